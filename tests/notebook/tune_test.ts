import assert from "node:assert/strict";
import { compareOverSeeds } from "resnet-lab";
import { tune } from "../../lib/notebook/tune.ts";
import { DivergenceError } from "../../lib/train/training_step.ts";

/** A trial whose loss is the distance of the setting from 3, and the calls that were made. */
function recorded() {
  const calls: [setting: number, seed: number][] = [];
  const trial = (setting: number, seed: number) => {
    calls.push([setting, seed]);
    return Promise.resolve({ loss: Math.abs(setting - 3) + seed / 1000, seed });
  };
  return { calls, trial };
}

Deno.test("tune() repeats the setting with the smallest mean loss, with other seeds", async () => {
  const { calls, trial } = recorded();
  const { losses, best, outcomes } = await tune([1, 3, 4], trial, {
    searchSeeds: [10, 20],
    seeds: [7, 8],
  });
  assert.deepEqual(losses.map((loss) => loss?.toFixed(3)), ["2.015", "0.015", "1.015"]);
  assert.equal(best, 1);
  assert.deepEqual(outcomes.map(({ seed }) => seed), [7, 8]);
  assert.deepEqual(calls, [
    ...[[1, 10], [1, 20], [3, 10], [3, 20], [4, 10], [4, 20]],
    ...[[3, 7], [3, 8]],
  ]);
});

Deno.test("tune() does not choose a setting that diverges, and takes seeds 0 to 4 by default", async () => {
  const { trial } = recorded();
  const { losses, best, outcomes } = await tune([3, 5], async (setting, seed) => {
    if (setting === 3 && seed === 101) throw new DivergenceError("Stopped: the loss is NaN.");
    return await trial(setting, seed);
  });
  assert.equal(losses[0], null);
  assert.equal(best, 1);
  assert.deepEqual(outcomes.map(({ seed }) => seed), [0, 1, 2, 3, 4]);
});

Deno.test("tune() passes other errors on", async () => {
  const trial = () => Promise.reject(new TypeError("a mistake"));
  await assert.rejects(tune([1], trial), /^TypeError: a mistake$/);
});

Deno.test("tune() refuses wrong arguments", async () => {
  const { trial } = recorded();
  await assert.rejects(
    tune([], trial),
    /^RangeError: Tuning a setting: there must be at least one setting, found none\.$/,
  );
  await assert.rejects(
    tune([1], trial, { seeds: [] }),
    /^RangeError: Tuning a setting: seeds must be at least one seed, found none\.$/,
  );
  await assert.rejects(
    tune([1], () => Promise.resolve({ loss: NaN })),
    /^RangeError: Tuning a setting: the loss of setting 0 must be a finite number, found NaN\.$/,
  );
  const diverges = () => Promise.reject(new DivergenceError("Stopped."));
  await assert.rejects(
    tune([1, 2], diverges),
    /^RangeError: Tuning a setting: at least one setting must not diverge, found none\.$/,
  );
});

Deno.test("compareOverSeeds() takes numbers that are measured already", async () => {
  const contestants = { plain: [1, 2, 3], residual: [2, 3, 7] };
  const { rows, differences } = await compareOverSeeds({ contestants, seeds: 3 });
  assert.deepEqual(rows.map(({ values }) => values), [[1, 2, 3], [2, 3, 7]]);
  assert.deepEqual(differences[0]?.values, [1, 1, 4]);
  await assert.rejects(
    compareOverSeeds({ contestants: { plain: [1, 2] }, seeds: 3 }),
    /^RangeError: Comparing over seeds: the numbers of contestant "plain" must be one for each seed, found 2\.$/,
  );
});
