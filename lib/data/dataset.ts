import { type Images, type Labels, ops } from "../tensor/mod.ts";
import { checkInteger, checkOptions, checkString, show } from "../tensor/internal.ts";
import { checkClassNames, checkIndices, typedArrayName } from "./checks.ts";
import type { Dataset, Examples } from "./examples.ts";
import { folds, halves } from "./splits.ts";

/** Class numbers, as files, tensors and other libraries provide them; each is a whole number. */
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

/** The content of an {@linkcode ImageDataset}. */
export interface ImageDatasetInit<Channels extends number, Classes extends number> {
  /** The name of the data set in messages and titles. */
  name: string;
  /**
   * The pixels of all images in row-major order, `[count, height, width, channels]`: bytes from 0
   * to 255, or finite floating-point numbers that are used unchanged, such as feature maps.
   *
   * A `Uint8Array` or `Float32Array` is not copied: a later change of the array changes the data
   * set. A `Uint8ClampedArray`, as a canvas returns it, is read as bytes. `Float16Array` and
   * `Float64Array` become float32. Integers of other sizes are refused, because their range is
   * unknown: 16-bit images may have 10, 12 or 16 bits.
   */
  pixels: Uint8Array | Uint8ClampedArray | Float16Array | Float32Array | Float64Array;
  /**
   * The class number of each image, from 0 to one less than the number of classes. They are copied.
   */
  labels: ClassNumbers;
  /** Height of the images in pixels. */
  height: number;
  /** Width of the images in pixels. */
  width: number;
  /** Number of channels. */
  channels: Channels;
  /** Number of classes. */
  classes: Classes;
  /** The names of the classes by class number; they must differ. They are copied. */
  classNames: readonly string[];
}

/** Positions of images in a data set, in any order, repeated or not. */
export type Indices = readonly number[] | Int32Array;

/**
 * Images of one size with their classes. Pixels that are bytes stay bytes, a quarter of the memory
 * of float32; the methods make tensors of them.
 *
 * The numbers of channels and of classes are part of the type, so that images with one channel do
 * not reach a model for three. The labels are int32, so there may be any number of classes.
 *
 * @throws {TypeError} (the constructor) If an option is of the wrong kind or does not exist.
 * @throws {RangeError} (the constructor) If there are no images, a size is not a whole number of at
 * least 1, the number of pixels is not `count · height · width · channels`, the class names are not
 * one for each class or do not differ, a label is not a class, or a pixel is not finite.
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
export class ImageDataset<Channels extends number = number, Classes extends number = number>
  implements Dataset<Images<Channels>, Labels<Classes>> {
  /** The name of the data set in messages and titles. */
  readonly name: string;
  /** The pixels of all images in row-major order. */
  readonly pixels: Uint8Array | Float32Array;
  /** The class number of each image. */
  readonly labels: Int32Array;
  /** Height of the images in pixels. */
  readonly height: number;
  /** Width of the images in pixels. */
  readonly width: number;
  /** Number of channels. */
  readonly channels: Channels;
  /** Number of classes. */
  readonly classes: Classes;
  /** The names of the classes by class number. */
  readonly classNames: readonly string[];

  /**
   * A set of the images and labels.
   *
   * @param init The pixels, labels, sizes and names.
   */
  constructor(init: ImageDatasetInit<Channels, Classes>) {
    checkOptions<typeof init>(
      "Making a data set",
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
    checkString("Making a data set", "name", name);
    const action = `Making the data set "${name}"`;
    for (const [subject, value] of Object.entries({ height, width, channels, classes })) {
      checkInteger(action, subject, value);
    }
    checkClassNames(action, "classNames", classNames);
    if (classNames.length !== classes) {
      throw new RangeError(
        `${action}: classNames must be a name for each of ${classes} classes, found ${classNames.length} names.`,
      );
    }
    const labels = toInt32Labels(action, init.labels, classes);
    if (labels.length === 0) {
      throw new RangeError(`${action}: there must be at least one image, found 0.`);
    }
    const size = height * width * channels;
    const pixels = toBytesOrFloats(action, init.pixels);
    if (pixels.length !== labels.length * size) {
      throw new RangeError(
        `${action}: pixels must be as many images as labels, ${labels.length} of ${height} × ${width} × ${channels}, found ` +
          `${pixels.length} pixels, which is ${pixels.length / size} images.`,
      );
    }
    const notFinite = pixels instanceof Float32Array
      ? pixels.findIndex((x) => !Number.isFinite(x))
      : -1;
    if (notFinite >= 0) {
      throw new RangeError(
        `${action}: pixels must be finite numbers that float32 can hold, found ${
          init.pixels[notFinite]
        } in image ${Math.floor(notFinite / size)}.`,
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

  /** Number of images. */
  get count(): number {
    return this.labels.length;
  }

  /**
   * Returns images as float32: all, or the images at `indices` in that order. Bytes are divided by
   * 255, which gives 0 to 1; floating-point pixels stay unchanged.
   *
   * @returns `[batch, height, width, channels]`; the caller disposes it.
   * @throws {TypeError} If `indices` is not an array of numbers.
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  images(indices?: Indices): Images<Channels> {
    const pixels = indices === undefined ? this.pixels : this.#gather(indices);
    this.#checkNotTransferred();
    const shape = [indices?.length ?? this.count, this.height, this.width, this.channels] as const;
    return ops.tensor(pixels instanceof Uint8Array ? fractionsOf(pixels) : pixels, shape);
  }

  /**
   * Returns the class numbers as int32: all, or the ones at `indices` in that order.
   *
   * @returns `[batch]`; the caller disposes it.
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  labelTensor(indices?: Indices): Labels<Classes> {
    return ops.tensor(
      indices === undefined ? this.labels : this.#labelsAt(indices),
      undefined,
      "int32",
    );
  }

  /**
   * Returns the images and class numbers at `indices`, in that order.
   *
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  batch(indices: Indices): Examples<Images<Channels>, Labels<Classes>> {
    return { inputs: this.images(indices), targets: this.labelTensor(indices) };
  }

  /**
   * Returns a data set of the images at `indices`, in that order.
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
   * Returns a data set of the first `count` images.
   *
   * @throws {TypeError} If `count` is not a number.
   * @throws {RangeError} If it is not a whole number from 1 to the number of images.
   */
  take(count: number): ImageDataset<Channels, Classes> {
    checkInteger(`Taking the first images of "${this.name}"`, "count", count, 1, this.count);
    const size = this.pixels.length / this.count;
    return this.#with(this.pixels.subarray(0, count * size), this.labels.subarray(0, count));
  }

  /**
   * Splits the data set into two that share no image, class by class: `fraction` of the images of
   * each class (rounded, at least one) go to the first, the others (at least one) to the second.
   * `seed` chooses the images; their order stays.
   *
   * @throws {TypeError} If an option does not exist, or an option or `fraction` is of the wrong
   * kind.
   * @throws {RangeError} If `fraction` is not between 0 and 1, or a class has only one image, which
   * cannot be in both parts.
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
    return halves(this, fraction, options);
  }

  /**
   * Divides the data set into `count` folds for cross-validation, class by class, and returns one
   * pair for each fold: all images of the other folds, and the images of the fold. So each image is
   * in one validation set. `seed` chooses the images; their order stays.
   *
   * @throws {TypeError} If an option does not exist or is of the wrong kind.
   * @throws {RangeError} If `count` is not a whole number of at least 2, or a class has fewer
   * images than there are folds.
   *
   * @example
   * ```ts
   * import { fashionMnist } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * const folds = test.kFold(5, { seed: 1 });
   * assert.equal(folds.length, 5);
   * for (const [training, validation] of folds) {
   *   assert.equal(training.count, 800);
   *   assert.equal(validation.count, 200);
   * }
   * ```
   */
  kFold(
    count: number,
    options: { seed: number },
  ): [training: ImageDataset<Channels, Classes>, validation: ImageDataset<Channels, Classes>][] {
    return folds(this, count, options);
  }

  /** Returns a copy of the pixels of the images at `indices`. */
  #gather(indices: Indices): Uint8Array | Float32Array {
    this.#checkIndices(indices);
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
    this.#checkIndices(indices);
    return Int32Array.from(indices, (index) => this.labels[index]!);
  }

  #checkIndices(indices: Indices): void {
    this.#checkNotTransferred();
    checkIndices(this, indices);
  }

  /** An array that was transferred to a worker is empty and would be read as zeros. */
  #checkNotTransferred(): void {
    if (this.pixels.length === 0 || this.labels.length === 0) {
      throw new TypeError(
        `Reading "${this.name}": its pixels and labels must be in this thread, found arrays that were transferred to another. ` +
          "Send a copy instead.",
      );
    }
  }

  /** Returns a data set of other images. Lists the fields, because a subclass may have more. */
  #with(pixels: Uint8Array | Float32Array, labels: Int32Array): ImageDataset<Channels, Classes> {
    const { name, height, width, channels, classes, classNames } = this;
    const init = { name, pixels, labels, height, width, channels, classes, classNames };
    const result = new ImageDataset(init);
    noteShorterSide(result, shorterSideOf(this));
    return result;
  }
}

/** The classes of a set of images, and the form of the images. */
export type ImageForm = Pick<
  ImageDataset,
  "name" | "count" | "classNames" | "height" | "width" | "channels"
>;

/** The option `shorterSide` with which the images of a data set were read, if it was given. */
const shorterSides = new WeakMap<ImageForm, number>();

/** Notes the option `shorterSide` of {@linkcode imageFolder}. */
export function noteShorterSide(dataset: ImageForm, shorterSide: number | undefined): void {
  if (shorterSide !== undefined) shorterSides.set(dataset, shorterSide);
}

/** Returns what {@linkcode noteShorterSide} noted. */
export function shorterSideOf(dataset: ImageForm): number | undefined {
  return shorterSides.get(dataset);
}

/** `i / 255` for each byte. */
const FRACTIONS = Float32Array.from({ length: 256 }, (_, i) => i / 255);

/** Returns bytes divided by 255. A table is faster than a division on a tensor of the bytes. */
export function fractionsOf(bytes: Uint8Array): Float32Array {
  const fractions = new Float32Array(bytes.length);
  for (let i = 0; i < bytes.length; i++) fractions[i] = FRACTIONS[bytes[i]!]!;
  return fractions;
}

/**
 * Returns class numbers as int32.
 *
 * @throws {TypeError} If they are not an array of numbers.
 * @throws {RangeError} If one is not a class.
 */
function toInt32Labels(action: string, labels: unknown, classes: number): Int32Array {
  if (!Array.isArray(labels) && typedArrayName(labels) === undefined) {
    throw new TypeError(
      `${action}: labels must be an array of class numbers, found ${show(labels)}. ` +
        "The numbers of a tensor are in its dataSync().",
    );
  }
  const values = labels as ArrayLike<unknown>;
  const result = new Int32Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i];
    const label = typeof value === "bigint" ? Number(value) : value;
    if (!(Number.isInteger(label) && Number(label) >= 0 && Number(label) < classes)) {
      throw new (typeof label === "number" ? RangeError : TypeError)(
        `${action}: labels must be whole numbers from 0 to ${classes - 1}, found ${
          show(value)
        } at image ${i}.`,
      );
    }
    result[i] = Number(label);
  }
  return result;
}

/**
 * Returns pixels as bytes or float32; bytes and float32 are not copied.
 *
 * @throws {TypeError} If their meaning is not known.
 */
function toBytesOrFloats(action: string, pixels: unknown): Uint8Array | Float32Array {
  const kind = typedArrayName(pixels);
  const array = pixels as Uint8Array;
  // Memory that another thread can write, or that can grow, could change after the check.
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
        `${action}: pixels must be a Uint8Array of bytes or a Float32Array of numbers that are used unchanged, found ${
          Array.isArray(pixels) ? "a plain array" : kind === undefined ? show(pixels) : `a ${kind}`
        }. Convert them with Uint8Array.from(pixels) or, for 16 bits, Float32Array.from(pixels, (x) => x / 65535).`,
      );
  }
}
