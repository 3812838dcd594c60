import assert from "node:assert/strict";
import {
  batchNorm,
  compareNetworks,
  conv2d,
  type Dataset,
  evaluate,
  flatten,
  ImageDataset,
  type Images,
  type Labels,
  linear,
  normalize,
  Random,
  sequential,
  setSeed,
  sgd,
  table,
  trainAndEvaluate,
} from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";

/** Noisy images of two pixels: the left one is brighter in class 0, the right one in class 1. */
function set(count: number, seed: number): ImageDataset<1, 2> {
  const noise = new Random(seed).uniform([count, 2]).dataSync();
  return new ImageDataset({
    name: "two pixels",
    pixels: Float32Array.from({ length: 2 * count }, (_, i) => {
      const isBright = (i >> 1) % 2 === i % 2;
      return 0.6 * noise[i]! + (isBright ? 0.4 : 0);
    }),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 2),
    height: 1,
    width: 2,
    channels: 1,
    classes: 2,
    classNames: ["left", "right"],
  });
}
const train = set(40, 1), heldOut = set(30, 2), test = set(50, 3);
const plain = () => sequential(flatten(), linear(2, 2));
const normed = () => sequential(flatten(), linear(2, 2), batchNorm(2));
const options = {
  contestants: { plain, normed },
  ...{ train, heldOut, test },
  ...{ images: 20, epochs: 3, batchSize: 5, seeds: [4, 5], learningRates: [0.0001, 0.05] },
  transform: normalize({ mean: 0.5, standardDeviation: 0.2 }),
};

Deno.test("compareNetworks() ends with a line that names the best rates and marks the ends", async () => {
  const lines: string[] = [];
  const log = console.log;
  console.log = (line: string) => lines.push(line);
  try {
    const twice = { ...options, contestants: { plain, again: plain } };
    await compareNetworks({ ...twice, learningRates: [1e-7, 0.05, 1e5] });
    await compareNetworks({ ...twice, learningRates: [1e-7, 0.05] });
    await compareNetworks({ ...options, learningRates: [1e-7, 0.05, 1e5] });
  } finally {
    console.log = log;
  }
  assert.match(lines[0]!, /^10 trainings .*; best rate: 0\.05$/);
  assert.match(lines[1]!, /; best rate: 0\.05 \(the largest\)$/);
  assert.match(lines[2]!, /; best rates: plain 0\.05; normed 1e-7 \(the smallest\)$/);
});

Deno.test("compareNetworks() trains as trainAndEvaluate() does, and tests at the best rate", () =>
  assertNoLeak(async () => {
    const { rows, differences, searches, networks, costs, seeds } = await compareNetworks(options);
    const outcome = async (
      build: typeof plain | typeof normed,
      learningRate: number,
      seed: number,
      images: ImageDataset<1, 2>,
    ) => {
      setSeed(seed);
      using model = build();
      const drawn = train.subset(new Random(seed).permutation(40).slice(0, 20));
      const { epochs, batchSize, transform } = options;
      const given = { epochs, batchSize, transform, learningRate, seed };
      return (await trainAndEvaluate(model, drawn, images, given)).accuracy;
    };
    assert.deepEqual(seeds, [4, 5]);
    for (const [index, [name, build]] of Object.entries(options.contestants).entries()) {
      const tried = [
        await outcome(build, 0.0001, 100, heldOut),
        await outcome(build, 0.05, 100, heldOut),
      ];
      const best = tried[0]! < tried[1]! ? 0.05 : 0.0001;
      const line = { name, x: [0.0001, 0.05], y: tried, mode: "lines+markers" };
      assert.deepEqual(searches[index], line);
      const values = [await outcome(build, best, 4, test), await outcome(build, best, 5, test)];
      assert.deepEqual(rows[index]!.values, values);
      const { learningRate, parameters, macs, outcomes } = networks[name]!;
      assert.deepEqual([learningRate, parameters, macs], [best, name === "plain" ? 6 : 10, 4]);
      assert.deepEqual(costs[index], {
        network: name,
        "best rate": best,
        parameters: name === "plain" ? 6 : 10,
        MACs: 4,
      });
      assert.deepEqual(outcomes.map(({ seed, accuracy }) => [seed, accuracy]), [
        [4, values[0]],
        [5, values[1]],
      ]);
    }
    assert.equal(differences[0]!.name, "normed − plain");
  }));

Deno.test("compareNetworks() has the same results for a data set of one's own", () =>
  assertNoLeak(async () => {
    const own = (set: ImageDataset<1, 2>): Dataset<Images<1>, Labels<2>> => {
      const { name, count, classNames } = set;
      return { name, count, classNames, batch: (indices) => Promise.resolve(set.batch(indices)) };
    };
    const compared = await compareNetworks({ ...options, contestants: { plain } });
    const { searches, networks } = await compareNetworks({
      ...options,
      contestants: { plain },
      ...{ train: own(train), heldOut: own(heldOut), test: own(test) },
    });
    assert.deepEqual(searches, compared.searches);
    const scores = ({ outcomes }: typeof networks[string]) =>
      outcomes.map(({ accuracy, loss }) => [accuracy, loss]);
    assert.deepEqual(scores(networks.plain!), scores(compared.networks.plain!));
    assert.equal(networks.plain!.macs, compared.networks.plain!.macs);
  }));

Deno.test("compareNetworks() measures trained networks, not those of the search", async () => {
  let calls = 0;
  const { networks } = await compareNetworks({
    ...options,
    contestants: { plain },
    async measure(model) {
      calls++;
      return { again: (await evaluate(model, test)).accuracy };
    },
  });
  assert.equal(calls, 2);
  for (const { accuracy, again } of networks.plain!.outcomes) assert.equal(again, accuracy);
});

/** A comparison by two trainings each, with a measure of one's own. */
const compared = () =>
  compareNetworks({ ...options, measure: (model) => ({ size: model.parameters().length }) });

Deno.test("NetworkComparison.compareBy() compares the trainings by another number", async () => {
  const comparison = await compared();
  const { seeds, rows, differences } = comparison.compareBy(({ size }) => size);
  assert.deepEqual(seeds, [4, 5]);
  assert.deepEqual(rows.map(({ name, values }) => [name, values]), [
    ["plain", [2, 2]],
    ["normed", [4, 4]],
  ]);
  assert.deepEqual(differences.map(({ name, mean }) => [name, mean]), [["normed − plain", 2]]);
  const byAccuracy = comparison.compareBy(({ accuracy }) => accuracy);
  assert.deepEqual(byAccuracy.rows, comparison.rows);
  const both = comparison.compareBy(({ accuracy }) => accuracy, comparison);
  assert.deepEqual(both.rows, [...comparison.rows, ...comparison.rows]);
  assert.deepEqual(both.differences.map(({ name }) => name), [
    "normed − plain",
    "plain − plain",
    "normed − plain",
  ]);
  const later = await compareNetworks({ ...options, contestants: { plain }, seeds: [4, 6] });
  const measure = () => 1;
  assert.throws(() => comparison.compareBy(measure, later as typeof comparison), {
    name: "RangeError",
    message: "Comparing networks by a number: the seeds of all comparisons must be [4, 5], found " +
      "[4, 6].",
  });
  assert.throws(() => comparison.compareBy(() => NaN), { name: "RangeError" });
  assert.throws(() => comparison.compareBy(5 as never), {
    name: "TypeError",
    message: "Comparing networks by a number: measure must be a function, found 5.",
  });
});

Deno.test("NetworkComparison.means() has a row for each network, and a column for each number", async () => {
  const comparison = await compared();
  const rows = comparison.means({ accuracy: ({ accuracy }) => accuracy, size: ({ size }) => size });
  assert.deepEqual(Object.keys(rows), ["plain", "normed"]);
  const intervals = Object.values(rows).map(({ accuracy }) => accuracy);
  assert.deepEqual(
    intervals,
    comparison.rows.map(({ mean, standardDeviation, halfWidth }) => (
      { mean, standardDeviation, halfWidth }
    )),
  );
  assert.match(String(table(rows, { percent: ["accuracy"] })), /^normed .* % {2}4 ± 0$/m);
  assert.throws(() => comparison.means({ a: 5 as never }), {
    name: "TypeError",
    message: 'Computing the means of trainings: measure "a" must be a function, found 5.',
  });
  assert.throws(() => comparison.means(5 as never), { name: "TypeError", message: /found 5/ });
});

Deno.test("NetworkComparison.zooEntry() returns what addToZoo() takes", async () => {
  const comparison = await compared();
  assert.deepEqual(comparison.zooEntry("normed"), {
    accuracies: comparison.rows[1]!.values,
    parameters: 10,
    macs: 4,
    images: 20,
    epochs: 3,
  });
  assert.throws(() => comparison.zooEntry("none"), {
    name: "RangeError",
    message: 'Making an entry of the zoo: the name must be one of "plain", "normed", found "none".',
  });
});

Deno.test("NetworkComparison.searchChart() draws a line and a ring around its best for each network", async () => {
  const comparison = await compareNetworks({
    ...options,
    contestants: { plain },
    learningRates: [1e-4, 0.05, 1e38],
    optimizer: sgd,
    schedule: (learningRate: number) => () => learningRate,
  });
  const { data, layout, description } = comparison.searchChart();
  const [line, ring] = data, [search] = comparison.searches;
  assert.equal(data.length, 2);
  assert.deepEqual([line!.x, line!.mode], [[1e-4, 0.05], "lines+markers"]);
  const percents = Array.from(search!.y, (accuracy) => (100 * accuracy).toFixed(3));
  assert.deepEqual(Array.from(line!.y as number[], (y) => y.toFixed(3)), percents);
  const best = comparison.networks.plain!.learningRate;
  assert.deepEqual([ring!.x, ring!.marker!.symbol], [[best], "circle-open"]);
  assert.deepEqual(ring!.y, [line!.y![(line!.x as number[]).indexOf(best)]]);
  assert.equal(layout.width, 560);
  assert.match(
    description,
    /^Best held-out accuracy \(%\) by largest learning rate: plain [\d.]+ at [\d.]+ \(.*of 3 rates, diverged at 1\.00e38\)\.$/,
  );
  assert.equal(comparison.searchChart({ description: "The search." }).description, "The search.");
});

Deno.test("NetworkComparison.searchChart() draws other searches too, with dashes for one colour", async () => {
  const comparison = await compared();
  const other = await compareNetworks({ ...options, contestants: { plain, other: plain } });
  const { data, layout } = comparison.searchChart({
    title: "Three",
    also: [other],
    colors: [0, 1, 0],
    range: [0, 1],
  });
  const lines = data.slice(0, 3);
  assert.deepEqual(lines.map(({ name }) => name), ["plain", "normed", "other"]);
  assert.deepEqual(lines.map(({ line }) => line!.dash), ["solid", "solid", "dash"]);
  assert.equal(lines[0]!.line!.color, lines[2]!.line!.color);
  assert.deepEqual(
    data.slice(3).map(({ marker }) => marker!.color),
    lines.map(({ line }) => line!.color),
  );
  assert.deepEqual(layout.yaxis!.range, [0, 100]);
  const refused: [object, string, RegExp][] = [
    [{ also: other }, "TypeError", /also must be an array/],
    [{ also: [5] }, "TypeError", /also must be results of compareNetworks, found 5/],
    [{ colors: [0] }, "RangeError", /colors/],
    [{ titel: "" }, "TypeError", /there is no option titel/],
  ];
  for (const [options, name, message] of refused) {
    assert.throws(() => comparison.searchChart(options), { name, message });
  }
});

Deno.test("compareNetworks() leaves a rate that diverges out of the search", async () => {
  const diverging = {
    ...options,
    contestants: { plain },
    optimizer: sgd,
    schedule: (learningRate: number) => () => learningRate,
  };
  const { searches, networks } = await compareNetworks({
    ...diverging,
    learningRates: [0.05, 1e38],
  });
  assert.deepEqual(searches[0]!.x, [0.05]);
  assert.equal(networks.plain!.learningRate, 0.05);
  await assert.rejects(compareNetworks({ ...diverging, learningRates: [1e38, 2e38] }), {
    name: "RangeError",
    message: 'Comparing networks: at least one learning rate of "plain" must not diverge, found ' +
      "none of [1e+38, 2e+38].",
  });
});

Deno.test("compareNetworks() refuses options that do not fit", async () => {
  const cases: [object, string, RegExp][] = [
    [{ contestants: {} }, "RangeError", /there must be at least one contestant, found none/],
    [
      { contestants: [plain] },
      "TypeError",
      /contestants must be an object such as \{ plain/,
    ],
    [{ contestants: { plain: 5 } }, "TypeError", /contestant "plain" must be a function, found 5/],
    [{ images: 41 }, "RangeError", /images must be at most the 40 of the training set, found 41/],
    [{ images: 0 }, "RangeError", /images must be a whole number of at least 1, found 0/],
    [{ learningRates: [] }, "RangeError", /learningRates must be at least one number, found none/],
    [{ learningRates: 0.1 }, "TypeError", /learningRates must be an array, found 0.1/],
    [
      { learningRates: [0.1, 0.1] },
      "RangeError",
      /learningRates\[1\] must be a positive number, larger/,
    ],
    [{ seeds: [1] }, "RangeError", /seeds must be at least two different numbers, found \[1\]/],
    [{ searchSeeds: [-1] }, "RangeError", /searchSeeds\[0\] must be a whole number/],
    [{ measure: 5 }, "TypeError", /measure must be a function, found 5/],
    [{ schedule: 5 }, "TypeError", /schedule must be a function of/],
    [{ test: 5 }, "TypeError", /test must be an ImageDataset.*, found 5/],
    [{ heldOut: undefined }, "TypeError", /heldOut must be an ImageDataset.*, found undefined/],
    [
      { searchSeeds: [5] },
      "RangeError",
      /searchSeeds must be other than the seeds \[4, 5\], found 5/,
    ],
    [
      { contestants: { plain, late: () => Promise.resolve(plain()) } },
      "TypeError",
      /the result of contestant "late" must be a module, found a promise/,
    ],
    [{ measure: () => 3 }, "TypeError", /measure must return an object such as .*, found 3/],
    [
      { measure: () => ({ accuracy: 3 }) },
      "TypeError",
      /measure must return names other than those of the training, found accuracy/,
    ],
    [{ learningRate: 0.1 }, "TypeError", /learningRate\. Did you mean learningRates\?/],
    [{ live: true }, "TypeError", /there is no option live/],
    [{ epochs: 0 }, "RangeError", /epochs must be a whole number of at least 1, found 0/],
  ];
  for (const [change, name, message] of cases) {
    const call = compareNetworks({ ...options, ...change } as typeof options);
    await assert.rejects(call, { name, message }, JSON.stringify(change));
  }
});

Deno.test("compareNetworks() chooses the rate by the mean over the search seeds", async () => {
  const searchSeeds = [7, 8], learningRates = [0.02, 0.05];
  const accuracies = await Promise.all(
    searchSeeds.map((seed) =>
      compareNetworks({ ...options, learningRates, searchSeeds: [seed], contestants: { plain } })
    ),
  );
  const { searches } = await compareNetworks({
    ...{ ...options, learningRates, searchSeeds, contestants: { plain } },
  });
  const of = accuracies.map((comparison) => Array.from(comparison.searches[0]!.y));
  assert.deepEqual(
    Array.from(searches[0]!.y),
    of[0]!.map((accuracy, i) => (accuracy + of[1]![i]!) / 2),
  );
});

Deno.test("compareNetworks() names a network that does not fit before it trains another", async () => {
  const built: string[] = [];
  const contestants = {
    plain: () => (built.push("plain"), plain()),
    wide: () => (built.push("wide"), sequential(flatten(), linear(3, 2))),
  };
  await assert.rejects(compareNetworks({ ...options, contestants }), {
    name: "RangeError",
    message: /^Comparing networks: contestant "wide": At 1 \(linear 3 → 2\): the input must be/,
  });
  assert.deepEqual(built, ["plain", "wide"]);
});

Deno.test("compareNetworks() refuses a record that is damaged", async () => {
  const file = new URL("../../data/compare_damaged_test.json", import.meta.url);
  Deno.env.set("RESNET_LAB_WRITE", "1");
  try {
    const recorded = { ...options, experiment: "compare_damaged_test" };
    await compareNetworks(recorded);
    const runs = JSON.parse(Deno.readTextFileSync(file));
    const run = Object.keys(runs).find((name) => name.endsWith("seed 4"))!;
    delete runs[run].accuracy;
    Deno.writeTextFileSync(file, JSON.stringify(runs));
    await assert.rejects(compareNetworks(recorded), {
      name: "RangeError",
      message: new RegExp(
        `the record "${
          run.replace("cpu: ", "")
        }" in data/compare_damaged_test\\.json must have an ` +
          "accuracy and a loss, found .* Delete it to measure again",
      ),
    });
  } finally {
    Deno.env.delete("RESNET_LAB_WRITE");
    Deno.removeSync(file);
  }
});

/** Lines that must not compile. The function is checked, never called. */
export function types() {
  // @ts-expect-error: feature maps are no logits
  compareNetworks({ ...options, contestants: { a: () => conv2d(1, 2, { kernelSize: 1 }) } });
  // @ts-expect-error: three classes
  compareNetworks({ ...options, contestants: { a: () => sequential(flatten(), linear(2, 3)) } });
}
