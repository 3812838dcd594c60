import { ops, type Tensor4D, tidy } from "../tensor/mod.ts";
import { checkInteger, checkNumber, checkOptions, show } from "../tensor/internal.ts";
import { checkSize } from "./checks.ts";
import type { AnyChannelsTransform, Transform } from "./transforms.ts";

/**
 * Moves each image by a random offset of up to `padding` pixels along both axes: pads it with zeros
 * on all sides, then cuts out a window of the old size. He et al. (arXiv:1512.03385, section 4.2)
 * train on CIFAR-10 with `padding` 4.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If `padding` is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { augmentation, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const images = ops.ones([8, 5, 5, 1]);
 * const moved = augmentation.randomCrop({ padding: 1 })(images, new Random(0));
 * assert.deepEqual(moved.shape, [8, 5, 5, 1]);
 * // Some moved: a zero came in from the side.
 * assert(ops.min(moved, [1, 2, 3]).dataSync().includes(0));
 * ```
 */
export function randomCrop(options: { padding: number }): AnyChannelsTransform {
  const action = "Cropping images at random";
  checkOptions<typeof options>(action, options, "{ padding: 4 }", { padding: true });
  const { padding } = options;
  checkInteger(action, "padding", padding);
  return (images, random) =>
    tidy(() => {
      const [batch, height, width] = images.shape;
      const sides = [padding, padding] as const;
      const padded = ops.pad(images, [[0, 0], sides, sides, [0, 0]]);
      // Corners are fractions of the last row and column. "nearest" removes their rounding errors,
      // so pixels are copied exactly.
      const last = [height + 2 * padding - 1, width + 2 * padding - 1];
      const offsets = ops.floor(random.uniform([batch, 2], { max: 2 * padding + 1 }));
      const topLeft = ops.div(offsets, ops.tensor(last));
      const bottomRight = ops.div(
        ops.add(offsets, ops.tensor([height - 1, width - 1])),
        ops.tensor(last),
      );
      return ops.cropAndResize(
        padded,
        ops.concat([topLeft, bottomRight], 1),
        ops.range(0, batch, 1, "int32"),
        [height, width],
        "nearest",
      );
    });
}

/**
 * Mirrors each image left to right with probability ½.
 *
 * @example
 * ```ts
 * import { augmentation, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const images = ops.tile(ops.tensor([1, 2, 3], [1, 1, 3, 1]), [8, 1, 1, 1]);
 * const flipped = augmentation.randomFlip()(images, new Random(0));
 * const rows = new Set(ops.reshape(flipped, [8, 3]).arraySync().map(String));
 * assert.deepEqual([...rows].sort(), ["1,2,3", "3,2,1"]);
 * ```
 */
export function randomFlip(...options: []): AnyChannelsTransform {
  for (const option of options) checkOptions("Mirroring images at random", option, "{}", {});
  return (images, random) =>
    tidy(() => {
      const [batch, height, width] = images.shape;
      // A box from right to left mirrors. Its positions are whole numbers, so pixels are copied
      // exactly.
      const flip = ops.floor(random.uniform([batch, 1], { max: 2 }));
      const zero = ops.zerosLike(flip);
      const boxes = ops.concat([zero, flip, ops.add(zero, 1), ops.sub(1, flip)], 1);
      const all = ops.range(0, batch, 1, "int32");
      return ops.cropAndResize(images, boxes, all, [height, width], "nearest");
    });
}

/** The options of {@linkcode randomResizedCrop}. */
export interface RandomResizedCropOptions {
  /** The size of the result in pixels. */
  size: readonly [height: number, width: number];
  /**
   * Range of the area of the cut, as a fraction of the image's area.
   *
   * @default [0.08, 1]
   */
  scale?: readonly [least: number, greatest: number];
  /**
   * Range of the width of the cut, as a multiple of its height.
   *
   * @default [3 / 4, 4 / 3]
   */
  ratio?: readonly [least: number, greatest: number];
}

/**
 * Cuts a rectangle of random area, aspect ratio and position out of each image and resizes it to
 * `size`: the augmentation of Szegedy et al. (arXiv:1409.4842, section 6), usual for ImageNet.
 *
 * The area is uniform over `scale`, and the logarithm of the aspect ratio over the logarithms of
 * `ratio`, as in torchvision. A side that would be longer than the image's is cut to it;
 * torchvision draws again. Pixels are interpolated from the centre of the rectangle's first pixel
 * to the centre of its last, without smoothing where the image gets smaller.
 *
 * @throws {TypeError} If an option does not exist, or a size is of the wrong kind.
 * @throws {RangeError} If a size is not a whole number of at least 1, `scale` is not two numbers in
 * order, above 0 and at most 1, or `ratio` not two positive numbers in order.
 *
 * @example
 * ```ts
 * import { augmentation, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // Two columns, 0 and 1: some crops have more of the left one, some more of the right one.
 * const images = ops.tile(ops.tensor([0, 1], [1, 1, 2, 1]), [16, 2, 1, 1]);
 * const crop = augmentation.randomResizedCrop({ size: [3, 5], scale: [0.25, 1] });
 * const crops = crop(images, new Random(0));
 * assert.deepEqual(crops.shape, [16, 3, 5, 1]);
 * assert.equal(new Set(ops.mean(crops, [1, 2, 3]).dataSync()).size, 16);
 * ```
 */
export function randomResizedCrop(options: RandomResizedCropOptions): AnyChannelsTransform {
  const action = "Cropping images at random";
  checkOptions<RandomResizedCropOptions>(action, options, "{ size: [224, 224] }", {
    size: true,
    scale: true,
    ratio: true,
  });
  const { size, scale = [0.08, 1], ratio = [3 / 4, 4 / 3] } = options;
  checkSize(action, size);
  const [height, width] = size;
  for (const [name, range, most] of [["scale", scale, 1], ["ratio", ratio, 1e6]] as const) {
    const fits = Array.isArray(range) && range.length === 2 &&
      range.every((end) => typeof end === "number") && range[0] > 0 && range[0] <= range[1] &&
      range[1] <= most;
    if (!fits) {
      throw new RangeError(
        `${action}: ${name} must be two numbers in order, above 0 and at most ${most}, found ${
          show(range)
        }.`,
      );
    }
  }
  return (images, random) =>
    tidy(() => {
      const [batch, oldHeight, oldWidth] = images.shape;
      const area = random.uniform([batch, 1], {
        min: scale[0] * oldHeight * oldWidth,
        max: scale[1] * oldHeight * oldWidth,
      });
      const proportions = ops.exp(
        random.uniform([batch, 1], { min: Math.log(ratio[0]), max: Math.log(ratio[1]) }),
      );
      const position = random.uniform([batch, 2]);
      // Height and width of each cut, from 1 pixel to the whole image.
      const cut = ops.minimum(
        ops.maximum(
          ops.sqrt(ops.concat([ops.div(area, proportions), ops.mul(area, proportions)], 1)),
          1,
        ),
        ops.tensor([oldHeight, oldWidth]),
      );
      const topLeft = ops.mul(position, ops.sub(ops.tensor([oldHeight, oldWidth]), cut));
      const bottomRight = ops.add(topLeft, ops.sub(cut, 1));
      // Fractions of the last row and column, and a little less, so that rounding never leads out
      // of the image, where pixels are 0.
      const toFractions = ops.tensor(
        [oldHeight, oldWidth].map((side) => (1 - 1e-6) / Math.max(side - 1, 1)),
      );
      return ops.cropAndResize(
        images,
        ops.mul(ops.concat([topLeft, bottomRight], 1), ops.concat([toFractions, toFractions])),
        ops.range(0, batch, 1, "int32"),
        [height, width],
      );
    });
}

/** The options of {@linkcode colorJitter}: 0 changes nothing, 0.4 draws factors from 0.6 to 1.4. */
export interface ColorJitterOptions {
  /**
   * Range of the factor of the brightness around 1.
   *
   * @default 0
   */
  brightness?: number;
  /**
   * Range of the factor of the contrast around 1.
   *
   * @default 0
   */
  contrast?: number;
  /**
   * Range of the factor of the saturation around 1.
   *
   * @default 0
   */
  saturation?: number;
}

/**
 * Changes the colours of each image `[batch, height, width, 3]`, from 0 to 1, at random: its
 * brightness, then its contrast, then its saturation.
 *
 * Each change has a random factor `f` for each image, uniform from `max(0, 1 − x)` to `1 + x`,
 * where `x` is the option. The image becomes `f · image + (1 − f) · other`, clipped to 0 and 1.
 * `other` is black for brightness, the mean of the grey image for contrast, and the grey image for
 * saturation; grey is `0.2989 · red + 0.587 · green + 0.114 · blue`. These are the formulas of
 * torchvision's `ColorJitter`, which applies the three in random order. Use it before `normalize`.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If a number is negative or not finite, or the images do not have three
 * channels.
 *
 * @example
 * ```ts
 * import { augmentation, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const images = ops.full([8, 2, 2, 3], 0.5);
 * const jittered = augmentation.colorJitter({ brightness: 0.4 })(images, new Random(0));
 * const values = jittered.dataSync();
 * assert(Math.min(...values) >= 0.3 && Math.max(...values) <= 0.7);
 * assert.equal(new Set(values).size, 8); // One brightness for each image.
 * ```
 */
export function colorJitter(options: ColorJitterOptions): Transform<3> {
  const action = "Changing colours at random";
  checkOptions<ColorJitterOptions>(action, options, "{ brightness: 0.4 }", {
    brightness: true,
    contrast: true,
    saturation: true,
  });
  const { brightness = 0, contrast = 0, saturation = 0 } = options;
  for (const [name, value] of Object.entries({ brightness, contrast, saturation })) {
    const fits = value >= 0 && value < Infinity;
    checkNumber(action, name, value, fits, "a finite number of at least 0");
  }
  return (images, random) =>
    tidy(() => {
      if (images.shape[3] !== 3) {
        throw new RangeError(
          `${action}: the images must have 3 channels, found [${images.shape}].`,
        );
      }
      const blend = (image: Tensor4D, other: Tensor4D, range: number): Tensor4D => {
        const min = Math.max(0, 1 - range);
        const factor = random.uniform([images.shape[0], 1, 1, 1], { min, max: 1 + range });
        const result = ops.add(ops.mul(factor, image), ops.mul(ops.sub(1, factor), other));
        return ops.clip(result, 0, 1);
      };
      let result: Tensor4D = images;
      if (brightness > 0) result = blend(result, ops.zerosLike(result), brightness);
      if (contrast > 0) {
        result = blend(result, ops.mean(grey(result), [1, 2, 3], { keepDims: true }), contrast);
      }
      if (saturation > 0) {
        result = blend(result, grey(result), saturation);
      }
      return ops.clone(result);
    });
}

/** Returns the grey images, `[batch, height, width, 1]`. */
function grey(images: Tensor4D): Tensor4D {
  return ops.sum(ops.mul(images, ops.tensor([0.2989, 0.587, 0.114])), [3], { keepDims: true });
}

/**
 * Sets a square of `size` × `size` pixels around a random pixel of each image to 0. The square may
 * reach out of the image.
 *
 * DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout",
 * arXiv:1708.04552, section 3. They normalize the images before, so that 0 is the average colour.
 * Before `normalize` 0 is black. For CIFAR-10 they use 16 pixels.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If `size` is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { augmentation, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const images = ops.ones([8, 6, 6, 1]);
 * const cut = augmentation.cutout({ size: 2 })(images, new Random(0));
 * const left = ops.sum(cut, [1, 2, 3]).dataSync();
 * assert(left.every((pixels) => [36 - 4, 36 - 2, 36 - 1].includes(pixels)));
 * ```
 */
export function cutout(options: { size: number }): AnyChannelsTransform {
  const action = "Cutting squares out";
  checkOptions<typeof options>(action, options, "{ size: 16 }", { size: true });
  const { size } = options;
  checkInteger(action, "size", size);
  return (images, random) =>
    tidy((): Tensor4D => {
      const [batch, height, width] = images.shape;
      /** Returns 1 for the positions along an axis that are in the square, `[batch, length]`. */
      const inside = (length: number) => {
        const centre = ops.floor(random.uniform([batch, 1], { max: length }));
        const offset = ops.sub(ops.range(0, length), ops.sub(centre, Math.floor(size / 2)));
        const afterStart = ops.greaterEqual(offset, 0);
        return ops.mul(
          ops.cast(afterStart, "float32"),
          ops.cast(ops.less(offset, size), "float32"),
        );
      };
      const rows = ops.reshape(inside(height), [batch, height, 1, 1]);
      const columns = ops.reshape(inside(width), [batch, 1, width, 1]);
      return ops.mul(images, ops.sub(1, ops.mul(rows, columns)));
    });
}
