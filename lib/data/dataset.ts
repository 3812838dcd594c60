import { checkOptions, type Images, type Labels, ops, Random, tidy } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkNames, checkPositive } from "./checks.ts";

/**
 * Class numbers as they come from files, tensors and other libraries; each must be a whole number.
 */
export type ClassNumbers =
  | readonly number[]
  | readonly bigint[]
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float16Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array;

/** What an {@linkcode ImageDataset} is made of. */
export interface ImageDatasetInit<Channels extends number, Classes extends number> {
  /** What the set is called in messages and titles. */
  name: string;
  /**
   * The pixels of all images in row-major order, `[count, height, width, channels]`: bytes from 0
   * to 255, or floating-point numbers that are used as they are, such as feature maps, which must
   * be finite.
   *
   * A `Uint8Array` or `Float32Array` is kept, not copied: who changes it afterwards changes the
   * set. A `Uint8ClampedArray`, as a canvas gives it, is read as bytes; `Float16Array` and
   * `Float64Array` become float32. Integers of other sizes are refused, because their range is
   * unknown: 16-bit images may hold 10, 12 or 16 bits.
   */
  pixels: Uint8Array | Uint8ClampedArray | Float16Array | Float32Array | Float64Array;
  /**
   * The class number of each image, from 0 to one less than the number of classes. They are copied.
   */
  labels: ClassNumbers;
  height: number;
  width: number;
  channels: Channels;
  /** The number of classes. */
  classes: Classes;
  /** The names of the classes, by class number: strings that differ. They are copied. */
  classNames: readonly string[];
}

/** Positions of images in a set, in any order, repeated or not. */
export type Indices = readonly number[] | Int32Array;

/**
 * Images of one size with a class each, held as bytes where they can be, a quarter of what float32
 * takes; tensors are made when asked for.
 *
 * The numbers of channels and of classes are part of the type, so that a model for three channels
 * is not fed with one. The labels are held as int32, so there may be any number of classes.
 *
 * @throws {TypeError} (the constructor) If an option is of the wrong kind or does not exist.
 * @throws {RangeError} (the constructor) If there are no images, a size is not a positive integer,
 * the number of pixels is not `count · height · width · channels`, there is not a name of its own
 * for each class, a label is no class, or a pixel is not finite.
 *
 * @example
 * ```ts
 * import { ImageDataset } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const set = new ImageDataset({
 *   name: "two dots",
 *   pixels: new Uint8Array([0, 255, 51, 0]),
 *   labels: [1, 0],
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
  readonly labels: Int32Array;
  readonly height: number;
  readonly width: number;
  readonly channels: Channels;
  readonly classes: Classes;
  readonly classNames: readonly string[];

  constructor(init: ImageDatasetInit<Channels, Classes>) {
    checkOptions<typeof init>(
      "Making an image set",
      init,
      "{ name, pixels, labels, height, width, channels, classes, classNames }",
      {
        name: true,
        pixels: true,
        labels: true,
        height: true,
        width: true,
        channels: true,
        classes: true,
        classNames: true,
      },
    );
    const { name, height, width, channels, classes, classNames } = init;
    if (typeof name !== "string") {
      throw new TypeError(`Making an image set: name must be a string, found ${show(name)}.`);
    }
    const making = `Making the image set "${name}"`;
    checkPositive(making, { height, width, channels, classes });
    checkNames(making, "classNames", classNames);
    if (classNames.length !== classes) {
      throw new RangeError(
        `${making}: expected a name for each of ${classes} classes, found ${classNames.length} names.`,
      );
    }
    const labels = classNumbers(making, init.labels, classes);
    if (labels.length === 0) {
      throw new RangeError(`${making}: expected at least one image, found 0.`);
    }
    const size = height * width * channels;
    const pixels = bytesOrFloats(making, init.pixels);
    if (pixels.length !== labels.length * size) {
      throw new RangeError(
        `${making}: expected as many images as labels, ${labels.length} of ${height} × ${width} × ${channels}, found ` +
          `${pixels.length} pixels, which is ${pixels.length / size} images.`,
      );
    }
    const broken = pixels instanceof Float32Array
      ? pixels.findIndex((x) => !Number.isFinite(x))
      : -1;
    if (broken >= 0) {
      throw new RangeError(
        `${making}: expected finite numbers that float32 can hold, found ${
          init.pixels[broken]
        } in image ${Math.floor(broken / size)}.`,
      );
    }
    this.name = name;
    this.pixels = pixels;
    this.labels = labels;
    this.height = height;
    this.width = width;
    this.channels = channels;
    this.classes = classes;
    this.classNames = [...classNames];
  }

  /** The number of images. */
  get count(): number {
    return this.labels.length;
  }

  /**
   * Images as float32 from 0 to 1 (the byte divided by 255), or as they are where they are held as
   * float32: all, or those at `indices` in that order.
   *
   * @returns `[batch, height, width, channels]`; the caller disposes it.
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  images(indices?: Indices): Images<Channels> {
    const pixels = indices === undefined ? this.pixels : this.#gather(indices);
    this.#checkHeld();
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
    return ops.tensor(
      indices === undefined ? this.labels : this.#labelsAt(indices),
      undefined,
      "int32",
    );
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
        `Taking the first images of "${this.name}": expected an integer from 1 to ${this.count}, found ${
          show(count)
        }.`,
      );
    }
    const size = this.pixels.length / this.count;
    return this.#with(this.pixels.subarray(0, count * size), this.labels.subarray(0, count));
  }

  /**
   * Two sets without a common image: of every class, `fraction` of its images (rounded, but at
   * least one) go to the first and the others (at least one) to the second, chosen by `seed`. The
   * order of the images is kept.
   *
   * @throws {TypeError} If an option does not exist or is of the wrong kind.
   * @throws {RangeError} If `fraction` is not between 0 and 1, or a class has only one image, which
   * cannot be in both sets.
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
    options: { seed: number },
  ): [ImageDataset<Channels, Classes>, ImageDataset<Channels, Classes>] {
    const splitting = `Splitting the image set "${this.name}"`;
    checkOptions<typeof options>(splitting, options, "{ seed: 1 }", { seed: true });
    if (typeof fraction !== "number" || !(fraction > 0 && fraction < 1)) {
      throw new RangeError(
        `${splitting}: the fraction must be between 0 and 1, found ${show(fraction)}.`,
      );
    }
    const random = new Random(options.seed);
    const members: number[][] = this.classNames.map(() => []);
    this.labels.forEach((label, index) => members[label]!.push(index));
    const single = members.findIndex(({ length }) => length === 1);
    if (single >= 0) {
      throw new RangeError(
        `${splitting}: each class must have at least two images, one for either set, found one of the class ` +
          `"${this.classNames[single]}", image ${
            members[single]
          }. Add images of it, or leave it out with subset().`,
      );
    }
    const first: number[] = [];
    const rest: number[] = [];
    for (const indices of members) {
      // Clamped, so that no class is missing from one of the sets.
      const size = Math.max(1, Math.min(Math.round(fraction * indices.length), indices.length - 1));
      random.permutation(indices.length).forEach((from, to) =>
        (to < size ? first : rest).push(indices[from]!)
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

  #labelsAt(indices: Indices): Int32Array {
    this.#check(indices);
    return Int32Array.from(indices, (index) => this.labels[index]!);
  }

  #check(indices: Indices): void {
    this.#checkHeld();
    if (!Array.isArray(indices) && kindOf(indices) === undefined) {
      throw new TypeError(
        `Reading "${this.name}": the indices must be an array of numbers, found ${show(indices)}.`,
      );
    }
    if (indices.length === 0) {
      throw new RangeError(`Reading "${this.name}": expected at least one index, found none.`);
    }
    for (const index of indices) {
      if (!Number.isInteger(index) || index < 0 || index >= this.count) {
        throw new RangeError(
          `Reading "${this.name}": expected indices from 0 to ${this.count - 1}, found ${
            show(index)
          }.`,
        );
      }
    }
  }

  /** An array that was transferred to a worker is empty; it would read as zeros. */
  #checkHeld(): void {
    if (this.pixels.length === 0 || this.labels.length === 0) {
      throw new TypeError(
        `Reading "${this.name}": its pixels and labels must be in this thread, but they were transferred to another. ` +
          "Send a copy instead.",
      );
    }
  }

  /** Named one by one, because a subclass may have more fields. */
  #with(pixels: Uint8Array | Float32Array, labels: Int32Array): ImageDataset<Channels, Classes> {
    const { name, height, width, channels, classes, classNames } = this;
    return new ImageDataset({ name, pixels, labels, height, width, channels, classes, classNames });
  }
}

/**
 * The name of a typed array's kind, which also holds for subclasses and for arrays of another
 * realm.
 */
function kindOf(array: unknown): string | undefined {
  return ArrayBuffer.isView(array) && !(array instanceof DataView)
    ? (array as Uint8Array)[Symbol.toStringTag]
    : undefined;
}

/**
 * Class numbers as int32.
 *
 * @throws {TypeError} If they are no array of numbers.
 * @throws {RangeError} If one is no class.
 */
function classNumbers(making: string, labels: unknown, classes: number): Int32Array {
  if (!Array.isArray(labels) && kindOf(labels) === undefined) {
    throw new TypeError(
      `${making}: labels must be an array of class numbers, found ${show(labels)}. ` +
        "The numbers of a tensor are in its dataSync().",
    );
  }
  const given = labels as ArrayLike<unknown>;
  const result = new Int32Array(given.length);
  for (let i = 0; i < given.length; i++) {
    const label = given[i];
    const number = typeof label === "bigint" ? Number(label) : label;
    if (typeof number !== "number") {
      throw new TypeError(
        `${making}: labels must be class numbers, found ${show(label)} at image ${i}.`,
      );
    }
    if (!Number.isInteger(number) || number < 0 || number >= classes) {
      throw new RangeError(
        `${making}: expected labels from 0 to ${classes - 1}, found ${label} at image ${i}.`,
      );
    }
    result[i] = number;
  }
  return result;
}

/**
 * Pixels as bytes or float32, without a copy where they are that already.
 *
 * @throws {TypeError} If their meaning is not known.
 */
function bytesOrFloats(making: string, pixels: unknown): Uint8Array | Float32Array {
  const kind = kindOf(pixels);
  const array = pixels as Uint8Array;
  // Memory that another thread can write, or that can grow, would change after it was checked.
  const { buffer } = kind === undefined ? { buffer: undefined } : array;
  const fixed = buffer instanceof ArrayBuffer && !buffer.resizable;
  switch (kind) {
    case "Uint8Array":
    case "Uint8ClampedArray":
      if (!fixed) return Uint8Array.from(array);
      // A Buffer is a Uint8Array whose methods differ.
      return array.constructor === Uint8Array
        ? array
        : new Uint8Array(array.buffer, array.byteOffset, array.length);
    case "Float32Array":
      return fixed && array instanceof Float32Array ? array : Float32Array.from(array);
    case "Float16Array":
    case "Float64Array":
      return Float32Array.from(array);
    default:
      throw new TypeError(
        `${making}: pixels must be a Uint8Array of bytes or a Float32Array of numbers that are used as they are, found ${
          Array.isArray(pixels) ? "a plain array" : kind === undefined ? show(pixels) : `a ${kind}`
        }. Convert them with Uint8Array.from(pixels) or, for 16 bits, Float32Array.from(pixels, (x) => x / 65535).`,
      );
  }
}

/**
 * Checks that something is a data set.
 *
 * @throws {TypeError} If it is not.
 */
export function checkDataset(doing: string, dataset: unknown): asserts dataset is ImageDataset {
  if (dataset instanceof ImageDataset) return;
  throw new TypeError(
    `${doing}: the data set must be an ImageDataset, found ${show(dataset)}.`,
  );
}
