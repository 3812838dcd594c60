import assert from "node:assert/strict";
import { cachedExperiment, tuneEach } from "resnet-lab";
import { DivergenceError } from "../../lib/train/training_step.ts";

const optimum = { SGD: 0.1, Adam: 0.01 };
/** The loss is the distance of the rate from the optimum, and a rate of 1 diverges. */
const trial = (optimum: number, rate: number, seed: number) => {
  if (rate === 1) return Promise.reject(new DivergenceError("diverged"));
  return Promise.resolve({ loss: Math.abs(rate - optimum), accuracy: rate + seed });
};
const rates = [0.01, 0.1, 1];

Deno.test("tuneEach() gives each contestant its own best setting", async () => {
  const race = await tuneEach(optimum, rates, trial, { seeds: [1, 2] });
  assert.deepEqual(race.best, { SGD: 0.1, Adam: 0.01 });
  assert.deepEqual(race.atEdge, ["Adam"]);
  assert.equal(race.tuned.SGD.losses[2], null);
  const { rows, differences, seeds } = race.compareBy(({ accuracy }) => accuracy);
  assert.deepEqual(seeds, [1, 2]);
  assert.deepEqual(rows.map(({ values }) => values), [[1.1, 2.1], [1.01, 2.01]]);
  assert.equal(differences[0]?.mean.toFixed(2), "-0.09");
  const reversed = race.compareBy(({ accuracy }) => accuracy, ["Adam", "SGD"]);
  assert.equal(reversed.differences[0]?.name, "SGD − Adam");
});

Deno.test("tuneEach() takes settings of a contestant, and shows them in the rows of a table", async () => {
  const grids: Record<"plain" | "decay", { rate: number; strength?: number }[]> = {
    plain: [{ rate: 1 }],
    decay: [{ rate: 1, strength: 2 }, { rate: 3 }],
  };
  const tuned = await tuneEach(
    grids,
    (grid) => grid,
    (_, { rate }, seed) => Promise.resolve({ loss: rate + seed }),
    { seeds: [1, 3] },
  );
  const { plain, decay } = tuned.means({ loss: ({ loss }) => loss });
  assert.equal(plain.rate, 1);
  assert.equal(decay.strength, 2);
  assert.equal(Reflect.get(decay.loss as object, "mean"), 3);
  assert.throws(() => tuned.searchChart(), /^TypeError: .* the settings must be learning rates/);
});

Deno.test("searchChart() of tuneEach() leaves out rates that diverged and losses above the range", async () => {
  const race = await tuneEach(optimum, rates, trial);
  const chart = race.searchChart({ range: [0, 0.05], title: "The race" });
  assert.deepEqual(chart.data.map(({ x }) => Array.from(x as number[])), [[0.1], [0.01]]);
  assert.deepEqual(chart.layout.yaxis?.range, [0, 0.05]);
  assert.match(chart.description, /^Validation loss \(nats\) against learning rate: SGD from/);
});

Deno.test("tuneEach() records under the prefix and the name", async () => {
  const recorded = await cachedExperiment(
    "training",
    "models: one linear layer",
    () => Promise.reject<{ best: number }>(new Error("not recorded")),
  ).catch(() => undefined);
  const options = { experiment: "training", prefix: "models: ", seeds: [0, 1] };
  let trials = 0;
  const { tuned } = await tuneEach({ "one linear layer": 0 }, [1], (_, rate) => {
    trials++;
    return Promise.resolve({ loss: rate });
  }, options);
  if (recorded) assert.equal(trials, 0);
  else assert.equal(tuned["one linear layer"].best, 0);
});

Deno.test("tuneEach() refuses wrong arguments", async () => {
  await assert.rejects(tuneEach({}, rates, trial), /^RangeError: Tuning contestants: contestants/);
  await assert.rejects(
    tuneEach(optimum, rates, trial, { prefix: 1 as unknown as string }),
    /^TypeError: Tuning contestants: prefix must/,
  );
  const race = await tuneEach(optimum, rates, trial, { seeds: [0, 1] });
  assert.throws(() => race.compareBy(1 as unknown as () => number), /^TypeError: .* measure must/);
  // @ts-expect-error: there is no such contestant
  assert.throws(() => race.compareBy(() => 1, ["Lion"]), /^RangeError: .* a name must be/);
});
