/** Resizing and cropping images. */
import * as tf from "@tensorflow/tfjs-core";
import { checkInteger, checkOneOf, checkTensor, IMAGE_AXES, NUMERIC } from "../checks.ts";
import { checkIndices } from "./indices.ts";
import type { Images, Tensor1D, Tensor2D, Tensor4D } from "../types.ts";

/**
 * Resizes images `[batch, height, width, channels]` by bilinear interpolation with half-pixel
 * centres, as float32. No gradient flows.
 *
 * @throws {RangeError} If the height or width is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3], [1, 2, 2, 1]);
 * assert.deepEqual(ops.resizeBilinear(image, [1, 1]).dataSync(), new Float32Array([1.5]));
 * ```
 */
export function resizeBilinear<C extends number>(
  images: Images<C>,
  size: readonly [height: number, width: number],
): Images<C> {
  const action = "Resizing images";
  checkTensor(action, images, { name: "the images", axes: IMAGE_AXES, dtype: NUMERIC });
  for (const side of size) checkInteger(action, "the height and width", side, 1);
  return tf.image.resizeBilinear<Tensor4D>(images, [size[0], size[1]], false, true);
}

/**
 * Crops one rectangle `[top, left, bottom, right]` from the image at each index, and resizes it to
 * `size`, as float32. Boxes `[n, 4]` and indices `[n]` return `[n, height, width, channels]`.
 * Coordinates are fractions of `height − 1` and `width − 1`; pixels outside the image are 0. No
 * gradient flows.
 *
 * @throws {RangeError} If the boxes are not `[n, 4]`, an index is outside the images, or the size
 * is not positive.
 * @throws {TypeError} If the image indices are not int32.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3], [1, 2, 2, 1]);
 * const bottomRow = ops.tensor([[1, 0, 1, 1]]);
 * const first = ops.tensor([0], [1], "int32");
 * assert.deepEqual(
 *   ops.cropAndResize(image, bottomRow, first, [1, 2]).dataSync(),
 *   new Float32Array([2, 3]),
 * );
 * ```
 */
export function cropAndResize<C extends number>(
  images: Images<C>,
  boxes: Tensor2D,
  imageIndices: Tensor1D,
  size: readonly [height: number, width: number],
  method: "bilinear" | "nearest" = "bilinear",
): Images<C> {
  const action = "Cropping images";
  checkTensor(action, images, { name: "the images", axes: IMAGE_AXES, dtype: NUMERIC });
  checkTensor(action, boxes, { name: "the boxes", axes: ["n", "4"], dtype: "float32" });
  checkTensor(action, imageIndices, { name: "the image indices", axes: ["n"], dtype: "int32" });
  if (boxes.shape[1] !== 4 || boxes.shape[0] !== imageIndices.shape[0]) {
    throw new RangeError(
      `${action}: the boxes must be [n, 4] and the image indices [n], found [${boxes.shape}] and [${imageIndices.shape}].`,
    );
  }
  for (const side of size) checkInteger(action, "the height and width", side, 1);
  checkOneOf(action, "method", method, ["bilinear", "nearest"]);
  const checked = checkIndices(action, "an image index", imageIndices, images.shape[0]);
  return tf.image.cropAndResize(images, boxes, checked, [size[0], size[1]], method);
}
