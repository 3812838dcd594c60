import { type Images, type Labels, ops, Random, tidy } from "../tensor/mod.ts";

/** What an {@linkcode ImageDataset} is made of. */
export interface ImageDatasetInit<Channels extends number, Classes extends number> {
  /** What the set is called in messages and titles. */
  name: string;
  /**
   * The pixels of all images in row-major order, `[count, height, width, channels]`: bytes from 0 to 255, or any finite numbers,
   * such as feature maps.
   */
  pixels: Uint8Array | Float32Array;
  /** The class number of each image, from 0 to one less than the number of classes. */
  labels: Uint8Array;
  height: number;
  width: number;
  channels: Channels;
  /** The number of classes. */
  classes: Classes;
  /** What each class is called, by its number. */
  classNames: readonly string[];
}

/** Positions of images in a set, in any order, repeated or not. */
export type Indices = readonly number[] | Int32Array;

/**
 * Images of one size with a class each, held as bytes where they can be, a quarter of what float32 takes; tensors are made when asked
 * for.
 *
 * The numbers of channels and of classes are part of the type, so that a model for three channels is not fed with one.
 *
 * @throws {RangeError} (the constructor) If there are no images, a size is not a positive integer, the number of pixels is not
 * `count · height · width · channels`, there is not a name for each class, a label is no class, or a pixel is not finite.
 *
 * @example
 * ```ts
 * import { ImageDataset } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const set = new ImageDataset({
 *   name: "two dots",
 *   pixels: new Uint8Array([0, 255, 51, 0]),
 *   labels: new Uint8Array([1, 0]),
 *   height: 1,
 *   width: 2,
 *   channels: 1,
 *   classes: 2,
 *   classNames: ["left", "right"],
 * });
 * assert.equal(set.count, 2);
 * const images = set.images([1]);
 * assert.deepEqual(images.shape, [1, 1, 2, 1]);
 * assert(Math.abs(images.dataSync()[0]! - 0.2) < 1e-7);
 * ```
 */
export class ImageDataset<Channels extends number = number, Classes extends number = number> {
  readonly name: string;
  readonly pixels: Uint8Array | Float32Array;
  readonly labels: Uint8Array;
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: Channels;
  readonly classes: Classes;
  readonly classNames: readonly string[];

  constructor(init: ImageDatasetInit<Channels, Classes>) {
    const { name, pixels, labels, height, width, channels, classes, classNames } = init;
    const making = `Making the image set "${name}"`;
    for (const [what, size] of Object.entries({ height, width, channels, classes })) {
      if (!Number.isInteger(size) || size < 1) {
        throw new RangeError(`${making}: ${what} must be a positive integer, found ${size}.`);
      }
    }
    if (classNames.length !== classes) {
      throw new RangeError(
        `${making}: expected a name for each of ${classes} classes, found ${classNames.length} names.`,
      );
    }
    if (labels.length === 0) {
      throw new RangeError(`${making}: expected at least one image, found 0.`);
    }
    const size = height * width * channels;
    if (pixels.length !== labels.length * size) {
      throw new RangeError(
        `${making}: expected as many images as labels, ${labels.length} of ${height} × ${width} × ${channels}, found ` +
          `${pixels.length} pixels, which is ${pixels.length / size} images.`,
      );
    }
    const stray = labels.findIndex((label) => label >= classes);
    if (stray >= 0) {
      throw new RangeError(
        `${making}: expected labels from 0 to ${classes - 1}, found ${
          labels[stray]
        } at image ${stray}.`,
      );
    }
    const broken = pixels instanceof Float32Array
      ? pixels.findIndex((x) => !Number.isFinite(x))
      : -1;
    if (broken >= 0) {
      throw new RangeError(
        `${making}: expected finite numbers, found ${pixels[broken]} in image ${
          Math.floor(broken / size)
        }.`,
      );
    }
    this.name = name;
    this.pixels = pixels;
    this.labels = labels;
    this.count = labels.length;
    this.height = height;
    this.width = width;
    this.channels = channels;
    this.classes = classes;
    this.classNames = classNames;
  }

  /**
   * Images as float32 from 0 to 1 (the byte divided by 255), or as they are where they are held as float32: all, or those at
   * `indices` in that order.
   *
   * @returns `[batch, height, width, channels]`; the caller disposes it.
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  images(indices?: Indices): Images<Channels> {
    const pixels = indices ? this.#gather(indices) : this.pixels;
    const shape = [indices?.length ?? this.count, this.height, this.width, this.channels] as const;
    return tidy(() => {
      const images = ops.tensor(pixels, shape);
      return pixels instanceof Uint8Array ? ops.div(images, 255) : images;
    });
  }

  /**
   * The class numbers as int32: all, or those at `indices` in that order.
   *
   * @returns `[batch]`; the caller disposes it.
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  labelTensor(indices?: Indices): Labels {
    return ops.tensor(indices ? this.#labelsAt(indices) : this.labels, undefined, "int32");
  }

  /**
   * The images at `indices` as a set of their own, in that order.
   *
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   *
   * @example
   * ```ts
   * import { fashionMnist } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * const boots = test.subset([...test.labels.keys()].filter((i) => test.labels[i] === 9));
   * assert.equal(boots.count, 100);
   * ```
   */
  subset(indices: Indices): ImageDataset<Channels, Classes> {
    return this.#with(this.#gather(indices), this.#labelsAt(indices));
  }

  /**
   * The first `count` images as a set of their own.
   *
   * @throws {RangeError} If `count` is not an integer from 1 to the number of images.
   */
  take(count: number): ImageDataset<Channels, Classes> {
    if (!Number.isInteger(count) || count < 1 || count > this.count) {
      throw new RangeError(
        `Taking the first images of "${this.name}": expected an integer from 1 to ${this.count}, found ${count}.`,
      );
    }
    const size = this.pixels.length / this.count;
    return this.#with(this.pixels.subarray(0, count * size), this.labels.subarray(0, count));
  }

  /**
   * Two sets without a common image: of every class, `fraction` of its images (rounded) go to the first and the others to the
   * second, chosen by `seed`. The order of the images is kept.
   *
   * @throws {RangeError} If `fraction` is not between 0 and 1, or a part would have no image.
   *
   * @example
   * ```ts
   * import { fashionMnist } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { train } = await fashionMnist({ subset: true });
   * const [training, validation] = train.split(0.9, { seed: 1 });
   * assert.equal(training.count, 5400);
   * assert.equal(validation.count, 600);
   * ```
   */
  split(
    fraction: number,
    { seed }: { seed: number },
  ): [ImageDataset<Channels, Classes>, ImageDataset<Channels, Classes>] {
    const splitting = `Splitting the image set "${this.name}"`;
    if (!(fraction > 0 && fraction < 1)) {
      throw new RangeError(
        `${splitting}: the fraction must be between 0 and 1, found ${fraction}.`,
      );
    }
    const random = new Random(seed);
    const members: number[][] = this.classNames.map(() => []);
    this.labels.forEach((label, index) => members[label]!.push(index));
    const first: number[] = [];
    const rest: number[] = [];
    for (const indices of members) {
      const size = Math.round(fraction * indices.length);
      random.permutation(indices.length).forEach((from, to) =>
        (to < size ? first : rest).push(indices[from]!)
      );
    }
    if (first.length === 0 || rest.length === 0) {
      throw new RangeError(
        `${splitting}: ${fraction} of ${this.count} images in ${this.classes} classes leaves a part without images.`,
      );
    }
    const ascending = (a: number, b: number) => a - b;
    return [this.subset(first.sort(ascending)), this.subset(rest.sort(ascending))];
  }

  /** Copies the pixels of each image as one block. */
  #gather(indices: Indices): Uint8Array | Float32Array {
    this.#check(indices);
    const size = this.pixels.length / this.count;
    const length = indices.length * size;
    const pixels = this.pixels instanceof Uint8Array
      ? new Uint8Array(length)
      : new Float32Array(length);
    indices.forEach((index, to) =>
      pixels.set(this.pixels.subarray(index * size, (index + 1) * size), to * size)
    );
    return pixels;
  }

  #labelsAt(indices: Indices): Uint8Array {
    this.#check(indices);
    return Uint8Array.from(indices, (index) => this.labels[index]!);
  }

  #check(indices: Indices): void {
    if (indices.length === 0) {
      throw new RangeError(`Reading "${this.name}": expected at least one index, found none.`);
    }
    for (const index of indices) {
      if (!Number.isInteger(index) || index < 0 || index >= this.count) {
        throw new RangeError(
          `Reading "${this.name}": expected indices from 0 to ${this.count - 1}, found ${index}.`,
        );
      }
    }
  }

  #with(pixels: Uint8Array | Float32Array, labels: Uint8Array): ImageDataset<Channels, Classes> {
    return new ImageDataset({ ...this, pixels, labels });
  }
}
