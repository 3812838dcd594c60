import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { compareOverSeeds, linear } from "resnet-lab";

const near = (actual: number | undefined, expected: number) =>
  assert(Math.abs(actual! - expected) < 1e-9, `expected ${expected}, found ${actual}`);

Deno.test("compareOverSeeds() by hand: means, intervals, and differences paired by seed", async () => {
  const { seeds, rows, differences } = await compareOverSeeds({
    contestants: {
      plain: (seed) => seed,
      doubled: (seed) => Promise.resolve(2 * seed),
      // The means differ by 1, but not at each seed.
      reversed: (seed) => 5 - seed,
    },
    seeds: [1, 2, 3],
  });
  assert.deepEqual(seeds, [1, 2, 3]);
  assert.deepEqual(rows.map(({ name, values, mean }) => [name, values, mean]), [
    ["plain", [1, 2, 3], 2],
    ["doubled", [2, 4, 6], 4],
    ["reversed", [4, 3, 2], 3],
  ]);
  // t for two degrees of freedom is 4.302652729749; the standard deviation of 1, 2, 3 is 1.
  near(rows[0]?.halfWidth, 4.302652729749 / Math.sqrt(3));
  assert.deepEqual(differences.map(({ name, values, mean }) => [name, values, mean]), [
    ["doubled − plain", [1, 2, 3], 2],
    ["reversed − plain", [3, 1, -1], 1],
  ]);
  near(differences[1]?.halfWidth, 2 * 4.302652729749 / Math.sqrt(3));
  assert.deepEqual(JSON.parse(JSON.stringify({ rows })), { rows });
});

Deno.test("compareOverSeeds() measures all contestants of a seed before the next, five seeds if not told", async () => {
  const calls: string[] = [];
  const measure = (name: string) => (seed: number) => {
    calls.push(`${name}${seed}`);
    return seed;
  };
  const { differences } = await compareOverSeeds({ contestants: { a: measure("a") } });
  assert.deepEqual(calls, ["a0", "a1", "a2", "a3", "a4"]);
  assert.deepEqual(differences, []);
  calls.length = 0;
  await compareOverSeeds({ contestants: { a: measure("a"), b: measure("b") }, seeds: 2 });
  assert.deepEqual(calls, ["a0", "b0", "a1", "b1"]);
});

Deno.test("compareOverSeeds() sets the seed before each measurement", async () => {
  const weight = () => {
    using layer = linear(1, 1);
    return layer.weight.dataSync()[0]!;
  };
  const { rows: [a, b] } = await compareOverSeeds({
    contestants: { a: weight, b: weight },
    seeds: 3,
  });
  assert.deepEqual(a?.values, b?.values);
  assert.equal(new Set(a?.values).size, 3);
});

Deno.test("compareOverSeeds() records measurements, and continues after one that failed", async () => {
  const file = new URL("../../data/compare_test.json", import.meta.url);
  Deno.env.set("RESNET_LAB_WRITE", "1");
  const calls: number[] = [];
  const run = (last: number) =>
    compareOverSeeds({
      contestants: {
        net: (seed) => {
          if (seed > last) throw new Error("interrupted");
          calls.push(seed);
          return 10 * seed;
        },
      },
      seeds: 3,
      experiment: "compare_test",
    });
  try {
    await assert.rejects(run(1), /interrupted/);
    assert.deepEqual((await run(2)).rows[0]?.values, [0, 10, 20]);
    assert.deepEqual(calls, [0, 1, 2]);
    const { machine, ...stored } = JSON.parse(Deno.readTextFileSync(file))["cpu: net, seed 2"];
    assert.equal(stored.value, 20);
    assert.match(machine, /^\d+ × /);
  } finally {
    Deno.env.delete("RESNET_LAB_WRITE");
    if (existsSync(file)) Deno.removeSync(file);
  }
});

Deno.test("compareOverSeeds() refuses options and measurements that are no comparison", async () => {
  const contestants = { net: () => 1 };
  const cases: [object, string, RegExp][] = [
    [{ contestants: [] }, "TypeError", /contestants must be an object such as .*, found \[\]\.$/],
    [{}, "TypeError", /contestants must be an object such as .*, found undefined\.$/],
    [{ contestants: {} }, "RangeError", /there must be at least one contestant, found none\.$/],
    [
      { contestants: { 18: () => 1, 9: () => 2 } },
      "RangeError",
      /a name must not be a number, because JavaScript would put it first, found "9"\. Call it/,
    ],
    [{ contestants: { net: 1 } }, "TypeError", /contestant "net" must be a function, found 1\.$/],
    [
      { contestants, seeds: 1 },
      "RangeError",
      /seeds must be a whole number of at least 2, found 1/,
    ],
    [{ contestants, seeds: [1] }, "RangeError", /at least two different numbers, found \[1\]\.$/],
    [
      { contestants, seeds: [1, 1] },
      "RangeError",
      /at least two different numbers, found \[1, 1\]/,
    ],
    [{ contestants, seeds: [1, -1] }, "RangeError", /seeds\[1\] must be a whole number/],
    [{ contestants, seeds: "3" }, "TypeError", /seeds must be an array, found "3"\.$/],
    [{ contestants, experiment: 5 }, "TypeError", /experiment must be a string, found 5\.$/],
    [{ contestants, seed: 5 }, "TypeError", /there is no option seed\. Did you mean seeds\?/],
    [
      { contestants: { net: () => NaN } },
      "RangeError",
      /the measurement of net, seed 0 must be a finite number, found NaN\.$/,
    ],
    [
      { contestants: { net: () => "1" } },
      "TypeError",
      /the measurement of net, seed 0 must be a finite number, found "1"\.$/,
    ],
  ];
  for (const [options, name, message] of cases) {
    await assert.rejects(compareOverSeeds(options as never), { name, message });
  }
});

Deno.test("compareOverSeeds() takes numbers that are measured already", async () => {
  const contestants = { plain: [1, 2, 3], residual: [2, 3, 7] };
  const { rows, differences } = await compareOverSeeds({ contestants, seeds: 3 });
  assert.deepEqual(rows.map(({ values }) => values), [[1, 2, 3], [2, 3, 7]]);
  assert.deepEqual(differences[0]?.values, [1, 1, 4]);
  await assert.rejects(
    compareOverSeeds({ contestants: { plain: [1, 2] }, seeds: 3 }),
    /^RangeError: Comparing over seeds: the numbers of contestant "plain" must be one for each of the 3 seeds, found 2\.$/,
  );
});

Deno.test("compareOverSeeds() does not take a record in place of given numbers", async () => {
  const file = new URL("../../data/compare_given_test.json", import.meta.url);
  Deno.env.set("RESNET_LAB_WRITE", "1");
  try {
    const shared = { experiment: "compare_given_test", seeds: 2 };
    await compareOverSeeds({ ...shared, contestants: { plain: (seed) => seed } });
    const { rows } = await compareOverSeeds({ ...shared, contestants: { plain: [55, 56] } });
    assert.deepEqual(rows[0]?.values, [55, 56]);
  } finally {
    Deno.env.delete("RESNET_LAB_WRITE");
    Deno.removeSync(file);
  }
});
