/**
 * Random numbers that are the same for the same seed on every backend: the counter-based generator
 * Philox 4×32-10 (Salmon et al. 2011), by TensorFlow's stateless ops natively and by the same
 * arithmetic in JavaScript elsewhere.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "./backend/select.ts";
import { runTensorFlowOp } from "./backend/tensorflow_op.ts";
import { batchPart } from "./batch_part.ts";
import { checkFinite, checkInteger, checkNumber, checkOptions, checkShape } from "./checks.ts";
import type { RankFor, Tensor } from "./types.ts";

type Words = [number, number, number, number];

/** Returns the high and low 32 bits of the product of two 32-bit numbers. */
function multiply(a: number, b: number): [high: number, low: number] {
  const low = (a & 0xffff) * (b & 0xffff);
  const middle = (a >>> 16) * (b & 0xffff) + Math.floor(low / 0x10000);
  const carry = (a & 0xffff) * (b >>> 16) + (middle % 0x10000);
  return [
    ((a >>> 16) * (b >>> 16) + Math.floor(middle / 0x10000) + Math.floor(carry / 0x10000)) >>> 0,
    Math.imul(a, b) >>> 0,
  ];
}

/** Returns the four words that Philox 4×32-10 computes from a counter and a key. */
function philox([c0, c1, c2, c3]: Words, [k0, k1]: [number, number]): Words {
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = multiply(0xd2511f53, c0);
    const [high1, low1] = multiply(0xcd9e8d57, c2);
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

/**
 * Returns `count` random words for a pair of 32-bit seeds, in the order of TensorFlow's stateless
 * ops, which scramble the seeds first.
 */
function words(count: number, [seed0, seed1]: [number, number]): Uint32Array {
  const mixed = philox(
    [seed0, seed0 < 0 ? 0xffffffff : 0, seed1, seed1 < 0 ? 0xffffffff : 0].map(
      (word) => word >>> 0,
    ) as Words,
    [0x3ec8f720, 0x02461e29],
  );
  const result = new Uint32Array(Math.ceil(count / 4) * 4);
  for (let block = 0; block * 4 < count; block++) {
    result.set(philox([block, 0, mixed[2], mixed[3]], [mixed[0], mixed[1]]), block * 4);
  }
  return result;
}

/** Returns a float from 0 to below 1, from the low 23 bits of a word. */
function toUnit(word: number): number {
  return (word & 0x7fffff) / 0x800000;
}

function uniformInJavaScript(count: number, seeds: [number, number]): Float32Array {
  return Float32Array.from(words(count, seeds).subarray(0, count), toUnit);
}

/** Returns standard normal numbers, by the Box-Muller transform of pairs. */
function normalInJavaScript(count: number, seeds: [number, number]): Float32Array {
  const source = words(count, seeds);
  const result = new Float32Array(source.length);
  for (let i = 0; i < source.length; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(Math.max(toUnit(source[i]!), 1e-7)));
    const angle = 2 * Math.PI * toUnit(source[i + 1]!);
    result[i] = Math.sin(angle) * radius;
    result[i + 1] = Math.cos(angle) * radius;
  }
  return result.subarray(0, count);
}

/** The state of a {@linkcode Random}, which JSON can hold. */
export interface RandomState {
  /** The seed of the stream. */
  readonly seed: number;
  /** The number of draws since the seed. */
  readonly draws: number;
}

/** The number of streams that were made. */
let streamsMade = 0;
/** Returns the number of streams that were made before this one. */
let ordinalOf: (random: Random) => number;
/** Is called with each stream before it draws, while {@linkcode watchDraws} runs. */
let watcher: ((random: Random) => void) | undefined;

/**
 * A stream of random numbers that is the same for the same seed, whatever the backend.
 *
 * @example
 * ```ts
 * import { Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const a = new Random(7), b = new Random(7);
 * assert.deepEqual(a.permutation(5), b.permutation(5));
 * assert.deepEqual(a.normal([2, 3]).arraySync(), b.normal([2, 3]).arraySync());
 * ```
 */
export class Random {
  static {
    ordinalOf = (random) => random.#ordinal;
  }

  readonly #ordinal = streamsMade++;
  #seed = 0;
  #draws = 0;

  /**
   * The stream that {@linkcode setSeed} restarts: initial weights and dropout draw from it, and
   * {@linkcode fit} without a seed.
   */
  static get default(): Random {
    return defaultStream;
  }

  /**
   * Starts a stream.
   *
   * @param seed A whole number from −2,147,483,647 to 2,147,483,647.
   * @throws {RangeError} If the seed is not such a number.
   */
  constructor(seed: number) {
    this.restart(seed);
  }

  /**
   * Restarts the stream with this seed.
   *
   * @throws {RangeError} If the seed is not a whole number from −2,147,483,647 to 2,147,483,647.
   */
  restart(seed: number): void {
    checkInteger("Seeding random numbers", "the seed", seed, -0x7fffffff, 0x7fffffff);
    this.#seed = seed;
    this.#draws = 0;
  }

  /**
   * Returns the state of the stream, for {@linkcode Random.loadState}.
   *
   * @example
   * ```ts
   * import { Random } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const random = new Random(7);
   * random.permutation(5);
   * const stored = JSON.stringify(random.state());
   * const next = random.permutation(5);
   * const other = new Random(0);
   * other.loadState(JSON.parse(stored));
   * assert.deepEqual(other.permutation(5), next);
   * ```
   */
  state(): RandomState {
    return { seed: this.#seed, draws: this.#draws };
  }

  /**
   * Continues the stream that had this state.
   *
   * @throws {TypeError} If the state is no object of numbers.
   * @throws {RangeError} If they are not whole, or the seed is not of 32 bits.
   */
  loadState(state: RandomState): void {
    const action = "Loading the state of random numbers";
    checkOptions<RandomState>(action, state, "{ seed: 7, draws: 0 }", { seed: true, draws: true });
    const { seed, draws } = state;
    checkInteger(action, "draws", draws, 0);
    this.restart(seed);
    this.#draws = draws;
  }

  #next(): [number, number] {
    if (nativeBackend()?.capture.isCapturing) {
      throw new RangeError(
        "Compiling a function: the function must draw random numbers as tensors, found a draw in JavaScript, whose numbers a graph would repeat. Draw a tensor, or draw outside.",
      );
    }
    watcher?.(this);
    return [this.#seed, this.#draws++];
  }

  #draw(
    op: string,
    shape: readonly number[],
    inJavaScript: (count: number, seeds: [number, number]) => Float32Array,
  ): Tensor {
    const part = batchPart();
    if (!part || shape[0] !== part.rows.length) {
      return this.#drawAll(op, shape, inJavaScript);
    }
    // A compiled function may run for another part of this size, so it reads the part at each run.
    const read = (make: () => Tensor) => nativeBackend()?.capture.eagerInput(make) ?? make();
    const wholeShape = () => [batchPart()!.count, ...shape.slice(1)];
    const dimensions = read(() => tf.tensor1d(wholeShape(), "int32"));
    const whole = this.#drawAll(op, wholeShape(), inJavaScript, dimensions);
    const rows = read(() => tf.tensor1d(batchPart()!.rows, "int32"));
    const result = tf.gather(whole, rows as tf.Tensor1D);
    tf.dispose([whole, rows]);
    return result;
  }

  #drawAll(
    op: string,
    shape: readonly number[],
    inJavaScript: (count: number, seeds: [number, number]) => Float32Array,
    dimensions: Tensor = tf.tensor1d([...shape], "int32"),
  ): Tensor {
    const native = nativeBackend();
    if (!native) {
      dimensions.dispose();
      return tf.tensor(inJavaScript(shape.reduce((a, b) => a * b, 1), this.#next()), [...shape]);
    }
    const seed = native.capture.eagerInput(() => tf.tensor1d(this.#next(), "int32"));
    const result = runTensorFlowOp(op, [dimensions, seed], {
      dtype: { type: "float32" },
      T: { type: "int32" },
      Tseed: { type: "int32" },
    });
    tf.dispose([dimensions, seed]);
    return result;
  }

  /**
   * Returns uniformly distributed numbers from `min` to below `max`.
   *
   * @param options The range.
   * @default { min: 0, max: 1 }
   *
   * @throws {RangeError} If the shape is not made of whole numbers of at least 0, or `min` and
   * `max` are not finite and in order.
   */
  uniform<const S extends readonly number[]>(
    shape: S,
    options: { min?: number; max?: number } = {},
  ): Tensor<RankFor<S["length"]>> {
    const action = "Drawing uniform numbers";
    checkOptions<typeof options>(action, options, "{ max: 255 }", { min: true, max: true });
    const { min = 0, max = 1 } = options;
    checkShape(action, shape);
    checkFinite(action, "min", min);
    checkFinite(action, "max", max);
    if (min > max) {
      throw new RangeError(`${action}: min must be at most max, found ${min} and ${max}.`);
    }
    return tf.tidy(() => {
      const unit = this.#draw("StatelessRandomUniform", shape, uniformInJavaScript);
      return tf.add(tf.mul(unit, max - min), min) as Tensor<RankFor<S["length"]>>;
    });
  }

  /**
   * Returns normally distributed numbers.
   *
   * @param options The distribution.
   * @default { mean: 0, standardDeviation: 1 }
   *
   * @throws {RangeError} If the shape is not made of whole numbers of at least 0, the mean or the
   * standard deviation is not finite, or the standard deviation is negative.
   */
  normal<const S extends readonly number[]>(
    shape: S,
    options: { mean?: number; standardDeviation?: number } = {},
  ): Tensor<RankFor<S["length"]>> {
    const action = "Drawing normal numbers";
    const names = { mean: true, standardDeviation: true } as const;
    checkOptions<typeof options>(action, options, "{ standardDeviation: 0.1 }", names);
    const { mean = 0, standardDeviation = 1 } = options;
    checkShape(action, shape);
    checkFinite(action, "mean", mean);
    checkNumber(
      action,
      "standardDeviation",
      standardDeviation,
      standardDeviation >= 0 && Number.isFinite(standardDeviation),
      "a finite number of at least 0",
    );
    return tf.tidy(() => {
      const standard = this.#draw("StatelessRandomNormal", shape, normalInJavaScript);
      return tf.add(tf.mul(standard, standardDeviation), mean) as Tensor<RankFor<S["length"]>>;
    });
  }

  /**
   * Returns the numbers from 0 to `count − 1` in random order (Fisher and Yates).
   *
   * @throws {RangeError} If `count` is not a whole number of at least 0.
   */
  permutation(count: number): Int32Array {
    checkInteger("Shuffling", "the count", count, 0, 0x7fffffff);
    const result = Int32Array.from({ length: count }, (_, i) => i);
    const source = words(count, this.#next());
    for (let i = count - 1; i > 0; i--) {
      const j = Math.floor((source[i]! / 2 ** 32) * (i + 1));
      [result[i], result[j]] = [result[j]!, result[i]!];
    }
    return result;
  }

  /**
   * Returns a random whole number from 0 to `below − 1`.
   *
   * @throws {RangeError} If `below` is not a whole number from 1 to 2³².
   */
  integer(below: number): number {
    checkInteger("Drawing a whole number", "the limit", below, 1, 2 ** 32);
    return Math.floor((words(1, this.#next())[0]! / 2 ** 32) * below);
  }

  /** Returns a new stream, independent of the later numbers of this one. */
  fork(): Random {
    return new Random(words(1, this.#next())[0]! & 0x7fffffff);
  }
}

const defaultStream = new Random(0);

/**
 * Restarts the random numbers of layers (initial weights, dropout): the same seed before the same
 * code makes the same network.
 *
 * Training then repeats to the last bit on the same machine. TensorFlow splits sums among its
 * threads, one for each core, and rounds each part. So a different number of cores changes the
 * results slightly, and training amplifies that. Where results must not depend on the cores, set
 * the number of threads in the environment before the start: `TF_NUM_INTRAOP_THREADS=1`, or any
 * other number. Results are then the same to the last bit on all processors of the same kind.
 *
 * @throws {RangeError} If the seed is not a whole number of 32 bits.
 *
 * @example
 * ```ts
 * import { lenet, ops, setSeed } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const images = ops.ones([1, 28, 28, 1]);
 * setSeed(1);
 * const first = lenet().forward(images).dataSync();
 * setSeed(1);
 * assert.deepEqual(lenet().forward(images).dataSync(), first);
 * ```
 */
export function setSeed(seed: number): void {
  defaultStream.restart(seed);
}

/**
 * Returns the stream that {@linkcode setSeed} restarts.
 */
export function defaultRandom(): Random {
  return defaultStream;
}

/** Runs `work`, and calls `onDraw` with each stream before it draws. */
export function watchDraws<T>(onDraw: (random: Random) => void, work: () => T): T {
  const outer = watcher;
  watcher = (random) => {
    outer?.(random);
    onDraw(random);
  };
  try {
    return work();
  } finally {
    watcher = outer;
  }
}

/** Runs `work`. `rewind` returns each stream to its state before. */
export function recordDraws<T>(work: () => T): { readonly result: T; readonly rewind: () => void } {
  const before = new Map<Random, RandomState>();
  const result = watchDraws((random) => {
    if (!before.has(random)) before.set(random, random.state());
  }, work);
  return { result, rewind: () => before.forEach((state, random) => random.loadState(state)) };
}

/** Returns a function that tells whether a stream was made before now. */
export function streamsUntilNow(): (random: Random) => boolean {
  const now = streamsMade;
  return (random) => ordinalOf(random) < now;
}
