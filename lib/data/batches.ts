import { dispose, type Images, type Labels, Random, tidy } from "../tensor/mod.ts";
import {
  checkBoolean,
  checkFunction,
  checkInstance,
  checkInteger,
  checkOptions,
  defaultRandom,
  withBatchPart,
} from "../tensor/internal.ts";
import { checkDataset, type ImageDataset } from "./dataset.ts";
import { applyTransform, type Transform } from "./transforms.ts";

/** Images `[batch, height, width, channels]` with their labels `[batch]`; it owns both tensors. */
export class Batch<Channels extends number = number> {
  /**
   * A batch that owns its tensors.
   *
   * @param images The images.
   * @param labels Their class numbers.
   */
  constructor(readonly images: Images<Channels>, readonly labels: Labels) {}

  /** Frees both tensors. */
  dispose(): void {
    dispose([this.images, this.labels]);
  }

  /** Frees both tensors at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** The options of {@linkcode batches}. */
export interface BatchesOptions<In extends number, Out extends number> {
  /** Number of images in a batch. */
  batchSize: number;
  /** Source of the random order; without it the images have the order of the data set. */
  shuffle?: Random;
  /**
   * Whether to leave out the last batch if it is smaller than the others.
   *
   * @default false
   */
  dropLast?: boolean;
  /** Transform of the images of each batch: resizing, normalizing, augmentation. */
  transform?: Transform<In, Out>;
}

/** The batches of one epoch, made one at a time. Each iteration over it draws a new order. */
export interface Batches<Channels extends number> extends Iterable<Batch<Channels>> {
  /** Number of batches. */
  readonly length: number;
}

/**
 * Returns the batches of one epoch: each image once, in random order with `shuffle`. The same seed
 * gives the same order, with or without a `transform` that draws random numbers.
 *
 * Iterate with `for (using batch of …)`, which frees each batch at the end of its iteration.
 *
 * @throws {RangeError} If `batchSize` is not a whole number from 1 to the number of images.
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 *
 * @example
 * ```ts
 * import { batches, fashionMnist, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * let seen = 0;
 * for (using batch of batches(test, { batchSize: 300, shuffle: new Random(1) })) {
 *   seen += batch.labels.size;
 * }
 * assert.equal(seen, 1000);
 * ```
 */
export function batches<
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
>(
  dataset: ImageDataset<Channels, Classes>,
  options: BatchesOptions<NoInfer<Channels>, Out>,
): Batches<Out>;
export function batches(
  dataset: ImageDataset,
  options: BatchesOptions<number, number>,
): Batches<number> {
  const { length, begin, batch } = batchMaker(dataset, options);
  return {
    length,
    *[Symbol.iterator]() {
      const epoch = begin();
      for (let i = 0; i < length; i++) yield batch(epoch, i);
    },
  };
}

/** The random choices of one epoch. */
export interface BatchOrder {
  /** The images in their order. */
  readonly indices: Int32Array;
  /** The stream of the transform. */
  readonly random: Random;
}

/** Makes the batches of an epoch one by one, from any of them on. */
export interface BatchMaker {
  /** The number of batches. */
  readonly length: number;
  /** Draws the order of an epoch. */
  readonly begin: () => BatchOrder;
  /** Returns the number of images in a batch. */
  readonly size: (index: number) => number;
  /**
   * Makes a batch, or only the images at these places in it. Its transform draws the next numbers
   * of the order's stream, the same ones for an image with or without the others.
   */
  readonly batch: (order: BatchOrder, index: number, rows?: Int32Array) => Batch;
}

/** Checks the options of {@linkcode batches}, and returns what makes the batches. */
export function batchMaker(
  dataset: ImageDataset,
  options: BatchesOptions<number, number>,
): BatchMaker {
  checkDataset("Making batches", dataset);
  const { count, name } = dataset;
  const action = `Making batches of "${name}"`;
  checkOptions<BatchesOptions<number, number>>(action, options, "{ batchSize: 100 }", {
    batchSize: true,
    shuffle: true,
    dropLast: true,
    transform: true,
  });
  const { batchSize, shuffle, dropLast = false, transform } = options;
  checkInteger(action, "batchSize", batchSize);
  if (batchSize > count) {
    throw new RangeError(
      `${action}: batchSize must be at most ${count}, the number of images, found ${batchSize}.`,
    );
  }
  if (shuffle !== undefined) checkInstance(action, "shuffle", shuffle, Random, "a Random");
  checkBoolean(action, "dropLast", dropLast);
  if (transform !== undefined) checkFunction(action, "transform", transform);
  return {
    length: dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize),
    begin: () => ({
      indices: shuffle?.permutation(count) ?? Int32Array.from({ length: count }, (_, i) => i),
      // The transform has a separate stream, so that its draws do not change the next order.
      random: shuffle?.fork() ?? defaultRandom(),
    }),
    size: (index) => Math.min(batchSize, count - index * batchSize),
    batch: ({ indices: all, random }, index, rows) => {
      const whole = all.subarray(index * batchSize, (index + 1) * batchSize);
      const indices = rows ? rows.map((row) => whole[row]!) : whole;
      const images = tidy(() => {
        const batch = dataset.images(indices);
        return transform
          ? withBatchPart(
            rows && { count: whole.length, rows },
            () => applyTransform(action, transform, batch, random),
          )
          : batch;
      });
      return new Batch(images, dataset.labelTensor(indices));
    },
  };
}
