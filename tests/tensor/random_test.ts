import assert from "node:assert/strict";
import { ops, Random, setSeed, tidy } from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { defaultRandom } from "../../lib/tensor/internal.ts";

/** Numbers drawn by TensorFlow's own Python; make_random_fixtures.py wrote them. */
interface Draw {
  seed: [number, number];
  count: number;
  first: number[];
  last: number[];
}
const golden: { uniform: Draw[]; normal: Draw[]; words: number[] } = JSON.parse(
  await Deno.readTextFile(new URL("../fixtures/random.json", import.meta.url)),
);

/** A stream of which so many draws have been made. */
function stream([seed, draws]: [number, number]): Random {
  const random = new Random(seed);
  for (let i = 0; i < draws; i++) random.integer(2);
  return random;
}

for (const kind of ["uniform", "normal"] as const) {
  testOnEachBackend(`${kind} numbers are those of TensorFlow's Python for the same seeds`, () => {
    for (const { seed, count, first, last } of golden[kind]) {
      using x = stream(seed)[kind]([count]);
      const values = x.dataSync();
      assertClose(values.slice(0, 4), first, 1e-6);
      assertClose(values.slice(-4), last, 1e-6);
    }
  });
}

testOnEachBackend("whole numbers are the words of TensorFlow's generator, scaled", () => {
  const random = new Random(7);
  for (const word of golden.words) {
    assert.equal(random.integer(1000), Math.floor(word / 2 ** 32 * 1000));
  }
});

testOnEachBackend("uniform numbers fill their interval evenly", () => {
  tidy(() => {
    const x = new Random(1).uniform([100, 200], { min: -2, max: 4 });
    assert.deepEqual(x.shape, [100, 200]);
    assert.equal(x.dtype, "float32");
    const values = x.dataSync();
    const bins = new Array<number>(6).fill(0);
    for (const value of values) bins[Math.floor(value) + 2]! += 1;
    // 20,000 numbers in six bins: 3,333 in each, with a standard deviation of 53.
    for (const count of bins) assert(Math.abs(count - 3333) < 5 * 53, `${bins}`);
    // A number tells nothing of the next: the correlation of 20,000 pairs has a standard deviation
    // of 0.007.
    assert(Math.abs(correlation(values.slice(0, -1), values.slice(1))) < 0.035);
  });
});

testOnEachBackend(
  "normal numbers have mean, deviation and tails of the normal distribution",
  () => {
    tidy(() => {
      const x = new Random(2).normal([20_000], { mean: 3, standardDeviation: 2 });
      const within = (deviations: number) =>
        ops.mean(ops.cast(ops.less(ops.abs(ops.sub(x, 3)), 2 * deviations), "float32"));
      assert(Math.abs(ops.mean(x).dataSync()[0]! - 3) < 5 * 2 / Math.sqrt(20_000));
      assert(Math.abs(ops.variance(x).dataSync()[0]! - 4) < 5 * 4 * Math.sqrt(2 / 20_000));
      // 68.27 % and 95.45 % lie within one and two deviations.
      assert(Math.abs(within(1).dataSync()[0]! - 0.6827) < 0.017);
      assert(Math.abs(within(2).dataSync()[0]! - 0.9545) < 0.008);
      const values = x.dataSync();
      assert(Math.abs(correlation(values.slice(0, -1), values.slice(1))) < 0.035);
    });
  },
);

function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const mean = (x: ArrayLike<number>) => Array.from(x).reduce((s, v) => s + v, 0) / x.length;
  const [p, q] = [mean(a), mean(b)];
  let [pq, pp, qq] = [0, 0, 0];
  for (let i = 0; i < a.length; i++) {
    pq += (a[i]! - p) * (b[i]! - q);
    pp += (a[i]! - p) ** 2;
    qq += (b[i]! - q) ** 2;
  }
  return pq / Math.sqrt(pp * qq);
}

testOnEachBackend("the same seed gives the same stream, another seed or draw another", () => {
  tidy(() => {
    const draw = (random: Random) => [...random.normal([8]).dataSync()];
    const a = new Random(7), b = new Random(7);
    const first = draw(a);
    assert.deepEqual(draw(b), first);
    assert.deepEqual(draw(a), draw(b));
    assert.notDeepEqual(draw(a), first);
    assert.notDeepEqual(draw(new Random(8)), first);
    assert.notDeepEqual(draw(new Random(-7)), first);
  });
});

testOnEachBackend("a fork is a stream of its own, the same for the same seed", () => {
  tidy(() => {
    const a = new Random(7), b = new Random(7);
    const forked = a.fork(), same = b.fork();
    // What the first stream draws afterwards does not change the fork.
    a.normal([3]);
    const values = [...forked.uniform([8]).dataSync()];
    assert.deepEqual([...same.uniform([8]).dataSync()], values);
    assert.notDeepEqual([...b.uniform([8]).dataSync()], values);
    assert.notDeepEqual([...b.fork().uniform([8]).dataSync()], values);
  });
});

Deno.test("a permutation holds each number once, in any order equally often", () => {
  const random = new Random(3);
  const counts = new Map<string, number>();
  for (let i = 0; i < 6000; i++) {
    const order = random.permutation(3);
    assert.deepEqual([...order].sort(), [0, 1, 2]);
    counts.set(order.join(), (counts.get(order.join()) ?? 0) + 1);
  }
  // Six orders, 1,000 of each, with a standard deviation of 29.
  assert.equal(counts.size, 6);
  for (const count of counts.values()) assert(Math.abs(count - 1000) < 5 * 29);
  assert.deepEqual([...random.permutation(0)], []);
  assert.deepEqual([...random.permutation(1)], [0]);
});

Deno.test("whole numbers reach each value below the limit equally often", () => {
  const random = new Random(4);
  const counts = [0, 0, 0];
  for (let i = 0; i < 3000; i++) counts[random.integer(3)]! += 1;
  for (const count of counts) assert(Math.abs(count - 1000) < 5 * 26, `${counts}`);
  assert.equal(random.integer(1), 0);
});

Deno.test("setSeed starts the shared stream anew", () => {
  setSeed(5);
  const first = defaultRandom().permutation(20);
  assert.notDeepEqual(defaultRandom().permutation(20), first);
  setSeed(5);
  assert.deepEqual(defaultRandom().permutation(20), first);
});

testOnEachBackend("a stream continues from a state that was stored as JSON", () => {
  const random = new Random(-7),
    draws = (from: Random) => [
      ...from.permutation(5),
      ...tidy(() => from.normal([3])).dataSync(),
      from.fork().integer(1000),
    ];
  draws(random);
  assert.deepEqual(random.state(), { seed: -7, draws: 3 });
  const stored = JSON.stringify(random.state()), expected = draws(random);
  const other = new Random(1);
  other.loadState(JSON.parse(stored));
  assert.deepEqual(draws(other), expected);
  setSeed(5);
  const { state } = { state: Random.default.state() };
  const first = Random.default.integer(1000);
  setSeed(6);
  Random.default.loadState(state);
  assert.equal(Random.default.integer(1000), first);
  assert.throws(() => random.loadState({ seed: 1.5, draws: 0 }), /the seed must be a whole number/);
  assert.throws(() => random.loadState({ seed: 1, draws: -1 }), /draws must be a whole number of/);
  assert.throws(() => random.loadState(5 as never), TypeError);
});

testOnEachBackend("random numbers leave nothing behind", async () => {
  const random = new Random(1);
  await assertNoLeak(() => random.uniform([2, 3]).dispose());
  await assertNoLeak(() => random.normal([2, 3]).dispose());
  await assertNoLeak(() => {
    assert.throws(() => random.normal([2, -3]));
  });
});

testOnEachBackend("random numbers come in any shape", () => {
  tidy(() => {
    const random = new Random(1);
    assert.deepEqual(random.uniform([]).shape, []);
    assert.deepEqual(random.normal([0, 3]).shape, [0, 3]);
    assert.deepEqual(random.normal([2, 1, 3, 1]).shape, [2, 1, 3, 1]);
  });
});

Deno.test("what cannot be drawn is refused in words, and draws nothing", () => {
  const random = new Random(1), untouched = new Random(1);
  const cases: [run: () => unknown, message: string][] = [
    [
      () => new Random(NaN),
      "Seeding random numbers: the seed must be a whole number from -2147483647 to 2147483647, found NaN.",
    ],
    [() => new Random(0.5), "found 0.5."],
    [() => new Random(2 ** 31), "found 2147483648."],
    [() => setSeed(Infinity), "found Infinity."],
    [
      () => random.uniform([-1]),
      "Drawing uniform numbers: a shape must be at most six whole numbers of at least 0, found [-1].",
    ],
    [() => random.uniform([2], { min: 1, max: 0 }), "min must be at most max, found 1 and 0."],
    [() => random.uniform([2], { max: NaN }), "max must be a finite number, found NaN."],
    [
      () => random.normal([2], { standardDeviation: -1 }),
      "Drawing normal numbers: standardDeviation must be a finite number of at least 0, found -1.",
    ],
    [() => random.normal([2], { mean: Infinity }), "mean must be a finite number"],
    [() => random.permutation(-1), "Shuffling: the count must be a whole number from 0 to"],
    [() => random.permutation(1.5), "found 1.5."],
    [() => random.integer(0), "the limit must be a whole number from 1 to 4294967296, found 0."],
  ];
  for (const [run, message] of cases) {
    assert.throws(run, (error: unknown) => {
      assert(error instanceof RangeError && error.message.includes(message), String(error));
      return true;
    });
  }
  assert.equal(random.integer(1000), untouched.integer(1000));
});
