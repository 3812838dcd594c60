import assert from "node:assert/strict";
import { linear, setSeed, tuneEach } from "resnet-lab";
import { DivergenceError } from "../../lib/train/divergence_error.ts";

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
  assert.throws(
    () => race.searchChart({ range: [1, 0] }),
    /^RangeError: .* range must be two ascending numbers, found \[1, 0\]/,
  );
  assert.throws(
    () => race.searchChart({ range: [-2, -1] }),
    /^RangeError: .* the range must hold a loss, found none in \[-2, -1\]\.$/,
  );
});

Deno.test("tuneEach() records each contestant, and refuses the record of another search", async () => {
  const file = new URL("../../data/tune_each_test.json", import.meta.url);
  const options = { experiment: "tune_each_test", prefix: "rules: ", seeds: 2 };
  Deno.env.set("RESNET_LAB_WRITE", "1");
  try {
    const { tuned } = await tuneEach(optimum, rates, trial, options);
    assert.deepEqual(Object.keys(JSON.parse(Deno.readTextFileSync(file))), [
      "cpu: rules: SGD",
      "cpu: rules: Adam",
    ]);
    const again = await tuneEach(
      optimum,
      rates,
      () => Promise.reject(new Error("measured again")),
      options,
    );
    assert.deepEqual(again.tuned.SGD.losses, tuned.SGD.losses);
    assert.deepEqual(again.atEdge, ["Adam"]);
    const wrong = (seeds: string) =>
      new RegExp(
        '^RangeError: Tuning contestants: the record "rules: SGD" in data/tune_each_test\\.json must be ' +
          `of .*${seeds}.*, found .*"seeds":\\[0,1\\].* Delete it to measure again\\.$`,
      );
    await assert.rejects(
      tuneEach(optimum, rates, trial, { ...options, seeds: 3 }),
      wrong('"seeds":\\[0,1,2\\]'),
    );
    await assert.rejects(
      tuneEach(optimum, [0.01, 0.2, 1], trial, options),
      wrong('"settings":\\[0.01,0.2,1\\]'),
    );
  } finally {
    Deno.env.delete("RESNET_LAB_WRITE");
    Deno.removeSync(file);
  }
});

Deno.test("tuneEach() repeats the setting with the smallest mean loss, with other seeds", async () => {
  const calls: [setting: number, seed: number][] = [];
  const { tuned: { it } } = await tuneEach({ it: 3 }, [1, 3, 4], (optimum, setting, seed) => {
    calls.push([setting, seed]);
    return Promise.resolve({ loss: Math.abs(setting - optimum) + seed / 1000, seed });
  }, { searchSeeds: [10, 20], seeds: [7, 8] });
  assert.deepEqual(it.losses.map((loss) => loss?.toFixed(3)), ["2.015", "0.015", "1.015"]);
  assert.equal(it.best, 1);
  assert.deepEqual(it.outcomes.map(({ seed }) => seed), [7, 8]);
  assert.deepEqual(calls, [
    ...[[1, 10], [1, 20], [3, 10], [3, 20], [4, 10], [4, 20]],
    ...[[3, 7], [3, 8]],
  ]);
});

Deno.test("tuneEach() does not choose a setting that diverges, and takes seeds 0 to 4 by default", async () => {
  const { tuned: { it } } = await tuneEach({ it: 3 }, [3, 4, 5], (optimum, setting, seed) => {
    if (setting === 3 && seed === 101) {
      return Promise.reject(new DivergenceError("the loss is NaN"));
    }
    return Promise.resolve({ loss: setting === 4 ? NaN : Math.abs(setting - optimum), seed });
  });
  assert.deepEqual(it.losses, [null, null, 2]);
  assert.equal(it.best, 2);
  assert.deepEqual(it.outcomes.map(({ seed }) => seed), [0, 1, 2, 3, 4]);
});

Deno.test("tuneEach() refuses wrong arguments", async () => {
  await assert.rejects(
    tuneEach({}, rates, trial),
    /^RangeError: Tuning contestants: there must be/,
  );
  await assert.rejects(
    tuneEach(optimum, [], trial),
    /^RangeError: Tuning contestants: there must be at least one setting of "SGD", found none\.$/,
  );
  await assert.rejects(
    tuneEach(optimum, rates, trial, { seeds: [3] }),
    /^RangeError: Tuning contestants: seeds must be at least two different numbers, found \[3\]\.$/,
  );
  await assert.rejects(
    tuneEach(optimum, rates, trial, { searchSeeds: [] }),
    /^RangeError: Tuning contestants: searchSeeds must be at least one seed, and all different, found/,
  );
  await assert.rejects(
    tuneEach(optimum, rates, trial, { seeds: [100, 7] }),
    /^RangeError: Tuning contestants: searchSeeds must be other than the seeds \[100, 7\], found 100\.$/,
  );
  await assert.rejects(
    tuneEach(optimum, rates, () => Promise.resolve({ accuracy: 1 } as unknown as { loss: number })),
    /^TypeError: Tuning contestants: trial must return \{ loss \} with a number, found an object for SGD at 0\.01, seed 100\.$/,
  );
  await assert.rejects(
    tuneEach(optimum, [Math.sqrt], () => Promise.resolve({ loss: 1 }), { experiment: "no_file" }),
    /^TypeError: Tuning contestants: the settings of "SGD"\[0\] must be a value that JSON can store/,
  );
  await assert.rejects(
    tuneEach(optimum, [1], trial),
    /^RangeError: Tuning contestants: at least one setting of "SGD" must not diverge, found none\.$/,
  );
  const unlucky = (_: number, rate: number, seed: number) =>
    Promise.resolve({ loss: seed === 3 ? NaN : rate });
  await assert.rejects(tuneEach(optimum, rates, unlucky), {
    name: "DivergenceError",
    message:
      'Tuning contestants: the loss of "SGD" at its best setting 0.01, seed 3, must be finite, found NaN.',
  });
  const mistaken = () => Promise.reject(new TypeError("a mistake"));
  await assert.rejects(tuneEach(optimum, rates, mistaken), /^TypeError: a mistake$/);
  await assert.rejects(
    tuneEach(optimum, rates, trial, { prefix: 1 as unknown as string }),
    /^TypeError: Tuning contestants: prefix must/,
  );
  await assert.rejects(
    tuneEach(optimum, rates, trial, { prefix: "a" }),
    /^TypeError: Tuning contestants: prefix needs the option experiment, found none\.$/,
  );
  await assert.rejects(
    tuneEach([1] as never, rates, trial),
    /contestants must be an object such as/,
  );
  const race = await tuneEach(optimum, rates, trial, { seeds: [0, 1] });
  assert.throws(() => race.compareBy(1 as unknown as () => number), /^TypeError: .* measure must/);
  assert.throws(
    () => race.compareBy((outcome) => Reflect.get(outcome, "acuracy")),
    /^TypeError: Comparing tuned contestants: the number of "SGD", seed 0, must be a finite number, found undefined\.$/,
  );
  assert.throws(() => race.compareBy(() => 1, []), /^RangeError: .* at least one name, found none/);
  assert.throws(() => race.means(5 as never), /^TypeError: .* measures must be functions by name/);
  // @ts-expect-error: there is no such contestant
  assert.throws(() => race.compareBy(() => 1, ["Lion"]), /^RangeError: .* a name must be/);
});

Deno.test("tuneEach() seeds the random numbers before each training", async () => {
  const drawn: number[] = [];
  await tuneEach({ it: 0 }, [1], () => {
    drawn.push(linear(1, 1).parameters()[0]!.dataSync()[0]!);
    return Promise.resolve({ loss: 1 });
  }, { searchSeeds: [7], seeds: [8, 9] });
  const expected = [7, 8, 9].map((seed) => {
    setSeed(seed);
    return linear(1, 1).parameters()[0]!.dataSync()[0];
  });
  assert.deepEqual(drawn, expected);
});
