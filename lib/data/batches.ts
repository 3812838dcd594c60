import { dispose, type Images, type Labels, Random, type Tensor, tidy } from "../tensor/mod.ts";
import {
  type BatchPart,
  checkBoolean,
  checkFunction,
  checkInstance,
  checkInteger,
  checkOptions,
  defaultRandom,
  withBatchPart,
} from "../tensor/internal.ts";
import type { ImageDataset } from "./dataset.ts";
import { checkDataset, checkExamples, type Dataset, type Examples } from "./examples.ts";
import { LoadAhead } from "./load_ahead.ts";
import { applyTransform, type InputTransform } from "./transforms.ts";

/**
 * Inputs `[batch, …]` with their targets `[batch, …]`: images with their class numbers, or others.
 * It owns both tensors.
 */
export class Batch<Inputs extends Tensor = Images, Targets extends Tensor = Labels>
  implements Examples<Inputs, Targets> {
  /**
   * A batch that owns its tensors.
   *
   * @param inputs The inputs of a model.
   * @param targets Their class numbers, or other targets.
   */
  constructor(readonly inputs: Inputs, readonly targets: Targets) {}

  /** The inputs, where they are images. */
  get images(): Inputs {
    return this.inputs;
  }

  /** The targets, where they are class numbers. */
  get labels(): Targets {
    return this.targets;
  }

  /** Number of examples. */
  get size(): number {
    return this.inputs.shape[0]!;
  }

  /** Frees both tensors. */
  dispose(): void {
    dispose([this.inputs, this.targets]);
  }

  /** Frees both tensors at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The options of {@linkcode batches}. */
export interface BatchesOptions<Inputs extends Tensor = Tensor, Out extends Tensor = Tensor> {
  /** Number of examples in a batch. */
  batchSize: number;
  /** Source of the random order; without it the examples have the order of the data set. */
  shuffle?: Random;
  /**
   * Whether to leave out the last batch if it is smaller than the others.
   *
   * @default false
   */
  dropLast?: boolean;
  /** Transform of the inputs of each batch: resizing, normalizing, augmentation. */
  transform?: InputTransform<Inputs, Out>;
}

/**
 * The batches of one epoch, made one at a time. Each iteration over it draws a new order. Those of
 * a data set that returns promises are loaded ahead.
 */
export interface AsyncBatches<Inputs extends Tensor, Targets extends Tensor>
  extends AsyncIterable<Batch<Inputs, Targets>> {
  /** Number of batches. */
  readonly length: number;
}

/** {@linkcode AsyncBatches} of a data set in memory, which need no `await`. */
export interface Batches<Inputs extends Tensor, Targets extends Tensor>
  extends AsyncBatches<Inputs, Targets>, Iterable<Batch<Inputs, Targets>> {}

/**
 * Returns the batches of one epoch: each example once, in random order with `shuffle`. The same
 * seed gives the same order, with or without a `transform` that draws random numbers.
 *
 * Iterate with `for (using batch of …)`, which frees each batch at the end of its iteration, and
 * with `for await (using batch of …)` where the data set is not in memory.
 *
 * @throws {RangeError} If `batchSize` is not a whole number from 1 to the number of examples.
 * @throws {TypeError} If an option does not exist or is of the wrong kind; (at a batch) if a data
 * set that returns promises is iterated without `await`.
 *
 * @example
 * ```ts
 * import { batches, fashionMnist, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * let seen = 0;
 * for (using batch of batches(test, { batchSize: 300, shuffle: new Random(1) })) {
 *   seen += batch.size;
 * }
 * assert.equal(seen, 1000);
 * ```
 */
export function batches<
  Channels extends number,
  Classes extends number,
  Out extends Images = Images<Channels>,
>(
  dataset: ImageDataset<Channels, Classes>,
  options: BatchesOptions<Images<NoInfer<Channels>>, Out>,
): Batches<Out, Labels<Classes>>;
/** {@linkcode batches} of any data set. */
export function batches<
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
>(
  dataset: Dataset<Inputs, Targets>,
  options: BatchesOptions<NoInfer<Inputs>, Out>,
): AsyncBatches<Out, Targets>;
export function batches(
  dataset: Dataset,
  options: BatchesOptions<never, Tensor>,
): Batches<Tensor, Tensor> {
  const { length, begin, load, prepare } = batchMaker(dataset, options as BatchesOptions);
  return {
    length,
    *[Symbol.iterator]() {
      const order = begin();
      for (let i = 0; i < length; i++) {
        const examples = load(order, i);
        if (examples instanceof Promise) {
          order.ahead[Symbol.dispose]();
          examples.then(({ inputs, targets }) => dispose([inputs, targets]), () => {});
          throw new TypeError(
            `Making batches of "${dataset.name}": the loop must be for await (using batch of batches(…)), as this data set returns promises, found a loop without await.`,
          );
        }
        yield prepare(order, examples);
      }
    },
    async *[Symbol.asyncIterator]() {
      const order = begin();
      using _ahead = order.ahead;
      for (let i = 0; i < length; i++) yield prepare(order, await load(order, i));
    },
  };
}

/** The random choices of one epoch. */
export interface BatchOrder {
  /** The examples in their order. */
  readonly indices: Int32Array;
  /** The stream of the transform. */
  readonly random: Random;
  /** The batches that are loaded ahead. */
  readonly ahead: LoadAhead;
}

/** Makes the batches of an epoch one by one, from any of them on. */
export interface BatchMaker {
  /** The number of batches. */
  readonly length: number;
  /** Draws the order of an epoch. */
  readonly begin: () => BatchOrder;
  /** Returns the number of examples in a batch; left out by a generator, which decides it. */
  readonly size?: (index: number) => number;
  /**
   * Returns the examples of a batch, or of these places in it, or a promise of them. It draws no
   * random numbers.
   */
  readonly load: (
    order: BatchOrder,
    index: number,
    rows?: Int32Array,
  ) => Examples | Promise<Examples>;
  /**
   * Makes a batch of examples, which it takes over. Its transform draws the next numbers of the
   * order's stream, the same ones for an example with or without the others.
   *
   * @param part The places of the examples in the batch, if they are not all.
   */
  readonly prepare: (
    order: BatchOrder,
    examples: Examples,
    part?: BatchPart,
  ) => Batch<Tensor, Tensor>;
}

/** Checks the options of {@linkcode batches}, and returns what makes the batches. */
export function batchMaker(dataset: Dataset, options: BatchesOptions): BatchMaker {
  checkDataset("Making batches", dataset);
  const { count, name } = dataset;
  const action = `Making batches of "${name}"`;
  checkOptions<BatchesOptions>(action, options, "{ batchSize: 100 }", {
    batchSize: true,
    shuffle: true,
    dropLast: true,
    transform: true,
  });
  const { batchSize, shuffle, dropLast = false, transform } = options;
  checkInteger(action, "batchSize", batchSize);
  if (batchSize > count) {
    throw new RangeError(
      `${action}: batchSize must be at most ${count}, the number of examples, found ${batchSize}.`,
    );
  }
  if (shuffle !== undefined) checkInstance(action, "shuffle", shuffle, Random, "a Random");
  checkBoolean(action, "dropLast", dropLast);
  if (transform !== undefined) checkFunction(action, "transform", transform);
  const length = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
  const read = (indices: Int32Array) => {
    const check = (examples: unknown) => checkExamples(action, examples, indices.length);
    const examples = dataset.batch(indices);
    return examples instanceof Promise ? examples.then(check) : check(examples);
  };
  const indicesOf = (all: Int32Array, index: number) =>
    all.subarray(index * batchSize, (index + 1) * batchSize);
  return {
    length,
    begin: () => {
      const indices = shuffle?.permutation(count) ??
        Int32Array.from({ length: count }, (_, i) => i);
      const ahead = new LoadAhead(length, (index) => read(indicesOf(indices, index)));
      // The transform has a separate stream, so that its draws do not change the next order.
      return { indices, random: shuffle?.fork() ?? defaultRandom(), ahead };
    },
    size: (index) => Math.min(batchSize, count - index * batchSize),
    load: ({ ahead, indices }, index, rows) => {
      if (!rows) return ahead.take(index);
      const whole = indicesOf(indices, index);
      return read(rows.map((row) => whole[row]!));
    },
    prepare: ({ random }, examples, part) => transformed(action, examples, transform, random, part),
  };
}

/** Returns a batch of the transformed examples, which it takes over. */
export function transformed(
  action: string,
  { inputs, targets }: Examples,
  transform: InputTransform | undefined,
  random: Random,
  part?: BatchPart,
): Batch<Tensor, Tensor> {
  if (!transform) return new Batch(inputs, targets);
  try {
    const result = tidy(() =>
      withBatchPart(part, () => applyTransform(action, transform, inputs, random))
    );
    if (result !== inputs) inputs.dispose();
    return new Batch(result, targets);
  } catch (error) {
    dispose([inputs, targets]);
    throw error;
  }
}
