/** Max and average pooling. */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { checkOptions } from "../checks.ts";
import { isAllFinite } from "../kernels/finite.ts";
import "../kernels/gradient_overrides.ts";
import "../kernels/native_overrides.ts";
import { maxPoolNonFinite } from "../kernels/pooling.ts";
import {
  checkImages,
  type Padding,
  padForKernel,
  padImages,
  type Pair,
  pair,
  windowGeometry,
  type WindowOptions,
} from "./window.ts";
import type { Images, LastAxisOf, SameShape, Tensor4D } from "../types.ts";

/**
 * The options of {@linkcode maxPool} and {@linkcode avgPool}.
 */
export type PoolOptions = Omit<WindowOptions, "dilation">;

function checkPoolOptions(action: string, options: PoolOptions): void {
  checkOptions<PoolOptions>(action, options, "{ kernelSize: 2 }", {
    kernelSize: true,
    stride: true,
    padding: true,
    ceilMode: true,
  });
}

/**
 * Returns the largest value in each window of each channel. Padding is never the largest; NaN
 * always is.
 *
 * @throws {RangeError} If the window does not fit the image, the padding is more than half the
 * window, or an option is not a valid size.
 * @throws {TypeError} If the images are not float32, or an option does not exist.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
 * assert.deepEqual([...ops.maxPool(image, { kernelSize: 2, stride: 1 }).dataSync()], [4, 5, 7, 8]);
 * ```
 */
export function maxPool<T extends Tensor4D>(x: T, options: PoolOptions): Pooled<T> {
  const action = "Max pooling";
  checkPoolOptions(action, options);
  const { kernelSize, stride = kernelSize, padding = 0, ceilMode } = options;
  const window = { kernelSize, stride, padding, ceilMode };
  const { pads, output } = windowGeometry(action, checkImages(action, x), window);
  checkPoolPadding(action, kernelSize, padding);
  const size = pair(kernelSize), strides = pair(stride);
  return tf.tidy(() => {
    if (!keepsNaN() && !isAllFinite(x)) {
      const [top, , left] = pads;
      return maxPoolNonFinite(x, { kernelSize, stride, top, left, output });
    }
    const { images, padding } = padForKernel(x, pads, window, -Infinity);
    return tf.maxPool(images, [size[0], size[1]], [strides[0], strides[1]], padding);
  }) as Pooled<T>;
}

/**
 * Returns whether the backend's max pooling treats NaN as the largest number. cuDNN's does, because
 * `backend/select.ts` sets TF_ENABLE_MAXPOOL_NANPROP.
 */
function keepsNaN(): boolean {
  return nativeBackend()?.isUsingGpuDevice ?? false;
}

/** The result type of pooling: images with the channels of `T`. */
export type Pooled<T extends Tensor4D> = SameShape<T> & Images<LastAxisOf<T>>;

/**
 * Returns the mean of each window of each channel. The mean includes the zeros of a numeric
 * padding, as in PyTorch. It excludes the zeros of `"same"`, and pixels beyond the edge in
 * `ceilMode`.
 *
 * @throws {RangeError} If the window does not fit the image, the padding is more than half the
 * window, or an option is not a valid size.
 * @throws {TypeError} If the images are not float32, or an option does not exist.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
 * assert.deepEqual([...ops.avgPool(image, { kernelSize: 2, stride: 1 }).dataSync()], [2, 3, 5, 6]);
 * ```
 */
export function avgPool<T extends Tensor4D>(x: T, options: PoolOptions): Pooled<T> {
  const action = "Average pooling";
  checkPoolOptions(action, options);
  const { kernelSize, stride = kernelSize, padding = 0, ceilMode } = options;
  const window = { kernelSize, stride, padding, ceilMode };
  const { pads } = windowGeometry(action, checkImages(action, x), window);
  checkPoolPadding(action, kernelSize, padding);
  const size = pair(kernelSize), strides = pair(stride);
  const means = (images: Tensor4D): Tensor4D =>
    tf.avgPool(images, [size[0], size[1]], [strides[0], strides[1]], "valid");
  return tf.tidy(() => {
    const y = means(padImages(x, pads));
    const counted = typeof padding === "number" ? padding : 0;
    const [top, bottom, left, right] = pads;
    const border = [top - counted, bottom - counted, left - counted, right - counted] as const;
    if (border.every((count) => count === 0)) return y;
    // In plain JavaScript the gradient of TensorFlow.js's "same" is wrong at the border.
    const inside: Tensor4D = tf.ones([1, x.shape[1] + 2 * counted, x.shape[2] + 2 * counted, 1]);
    return tf.div(y, means(padImages(inside, border)));
  }) as Pooled<T>;
}

function checkPoolPadding(action: string, kernelSize: Pair, padding: Padding): void {
  if (typeof padding === "number" && padding > Math.min(...pair(kernelSize)) / 2) {
    throw new RangeError(
      `${action}: padding must be at most half the window, found ${padding} with a window of ${
        pair(kernelSize).join("×")
      }.`,
    );
  }
}
