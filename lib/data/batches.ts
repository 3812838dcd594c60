import {
  checkOptions,
  defaultRandom,
  dispose,
  type Images,
  type Labels,
  Random,
  tidy,
} from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkPositive } from "./checks.ts";
import { checkDataset, type ImageDataset } from "./dataset.ts";
import { applyTransform, type Transform } from "./transforms.ts";

/**
 * Images `[batch, height, width, channels]` with their class numbers `[batch]`; it owns both
 * tensors.
 */
export class Batch<Channels extends number = number> {
  constructor(readonly images: Images<Channels>, readonly labels: Labels) {}

  /** Frees both tensors. */
  dispose(): void {
    dispose([this.images, this.labels]);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

/** How {@linkcode batches} goes through a set. */
export interface BatchesOptions<In extends number, Out extends number> {
  /** The number of images in a batch. */
  batchSize: number;
  /** Draws the order of the images; without it they come in the order of the set. */
  shuffle?: Random;
  /** Leaves out the last batch if it is smaller than the others. Default false. */
  dropLast?: boolean;
  /** What is done to the images of each batch: resizing, normalizing, augmentation. */
  transform?: Transform<In, Out>;
}

/**
 * The batches of one pass through a set, made one at a time; going through it again draws a new
 * order.
 */
export interface Batches<Channels extends number> extends Iterable<Batch<Channels>> {
  /** The number of batches. */
  readonly length: number;
}

/**
 * Goes through a set in batches: each image once, in random order if `shuffle` is given. The same
 * seed gives the same order, with or without a `transform` that draws random numbers.
 *
 * @returns Batches to be gone through with `for (using batch of …)`, which frees each one at the
 * end of its turn.
 * @throws {RangeError} If `batchSize` is not an integer from 1 to the number of images.
 * @throws {TypeError} If there is no such option, or one is of the wrong kind.
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
  checkDataset("Making batches", dataset);
  const { count, name } = dataset;
  const doing = `Making batches of "${name}"`;
  checkOptions<BatchesOptions<number, number>>(doing, options, "{ batchSize: 100 }", {
    batchSize: true,
    shuffle: true,
    dropLast: true,
    transform: true,
  });
  const { batchSize, shuffle, dropLast = false, transform } = options;
  checkPositive(doing, { batchSize });
  if (batchSize > count) {
    throw new RangeError(
      `${doing}: batchSize must be at most ${count}, the number of images, found ${batchSize}.`,
    );
  }
  for (
    const [option, fits, wanted, value] of [
      ["shuffle", shuffle === undefined || shuffle instanceof Random, "a Random", shuffle],
      ["dropLast", typeof dropLast === "boolean", "true or false", dropLast],
      ["transform", ["undefined", "function"].includes(typeof transform), "a function", transform],
    ] as const
  ) {
    if (!fits) {
      throw new TypeError(`${doing}: ${option} must be ${wanted}, found ${show(value)}.`);
    }
  }
  const length = dropLast ? Math.floor(count / batchSize) : Math.ceil(count / batchSize);
  return {
    length,
    *[Symbol.iterator]() {
      const order = shuffle?.permutation(count) ?? Int32Array.from({ length: count }, (_, i) => i);
      // A stream of its own, so that what a transform draws does not change the order of the next
      // pass.
      const random = shuffle?.fork() ?? defaultRandom();
      for (let i = 0; i < length; i++) {
        const indices = order.subarray(i * batchSize, (i + 1) * batchSize);
        const images = tidy(() => {
          const batch = dataset.images(indices);
          return transform ? applyTransform(doing, transform, batch, random) : batch;
        });
        yield new Batch(images, dataset.labelTensor(indices));
      }
    },
  };
}
