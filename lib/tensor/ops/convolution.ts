/** Convolution. */
import * as tf from "@tensorflow/tfjs-core";
import { checkInteger, checkOptions, checkTensor } from "../checks.ts";
import { convolve } from "../kernels/conv2d.ts";
import "../kernels/gradient_overrides.ts";
import "../kernels/native_overrides.ts";
import {
  checkImages,
  type Padding,
  type Pair,
  pair,
  placeWindows,
  windowGeometry,
} from "./window.ts";
import type { Tensor1D, Tensor4D } from "../types.ts";

/**
 * The kernel with `dilation − 1` zeros between its taps: no backend can differentiate a dilated
 * convolution on every device.
 */
function dilate(kernel: Tensor4D, [vertical, horizontal]: readonly [number, number]): Tensor4D {
  if (vertical === 1 && horizontal === 1) return kernel;
  const [height, width, inChannels, outChannels] = kernel.shape;
  const taps = tf.reshape(kernel, [height, 1, width, 1, inChannels * outChannels]);
  const spread = tf.pad(taps, [[0, 0], [0, vertical - 1], [0, 0], [0, horizontal - 1], [0, 0]]);
  const grid: Tensor4D = tf.reshape(spread, [
    height * vertical,
    width * horizontal,
    inChannels,
    outChannels,
  ]);
  return tf.slice(grid, [0, 0, 0, 0], [
    (height - 1) * vertical + 1,
    (width - 1) * horizontal + 1,
    inChannels,
    outChannels,
  ]);
}

/** The options of {@linkcode conv2d}. */
export interface ConvolutionOptions {
  /**
   * Pixels from one window to the next.
   *
   * @default 1
   */
  stride?: Pair;
  /**
   * Zeros around the images.
   *
   * @default 0
   */
  padding?: Padding;
  /**
   * Distance between neighbouring taps of the kernel.
   *
   * @default 1
   */
  dilation?: Pair;
  /**
   * Groups of channels that do not see each other.
   *
   * @default 1
   */
  groups?: number;
  /** Numbers to add, one for each output channel `[out]`. @default none */
  bias?: Tensor1D;
}

/**
 * The convolution of images `[batch, height, width, in]` with a kernel
 * `[height, width, in / groups, out]` (a cross-correlation, as in every deep-learning library):
 * `y[b, i, j, o] = Σ x[b, i·s + u·d − p, j·s + v·d − p, c] · kernel[u, v, c, o] + bias[o]`.
 *
 * With `groups` > 1 the channels fall into that many groups, and each output sees only its own
 * (Krizhevsky et al. 2012, section 3.2).
 *
 * @throws {RangeError} If there is nothing to convolve, the channels do not fit, the window does
 * not fit the image, or an option is no size.
 * @throws {TypeError} If the images, the kernel or the bias are not float32, or an option does not
 * exist.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
 * const kernel = ops.tensor([0, 1, 2, 3], [2, 2, 1, 1]);
 * assert.deepEqual([...ops.conv2d(image, kernel).dataSync()], [19, 25, 37, 43]);
 * ```
 */
export function conv2d(
  x: Tensor4D,
  kernel: Tensor4D,
  options: ConvolutionOptions = {},
): Tensor4D {
  const what = "Convolving";
  checkOptions<ConvolutionOptions>(what, options, "{ stride: 2 }", {
    stride: true,
    padding: true,
    dilation: true,
    groups: true,
    bias: true,
  });
  const { stride = 1, padding = 0, dilation = 1, groups = 1, bias } = options;
  const size = checkImages(what, x);
  checkTensor(what, kernel, {
    name: "the kernel",
    axes: ["height", "width", "in / groups", "out"],
    dtype: "float32",
  });
  checkInteger(what, "groups", groups, 1);
  const [kernelHeight, kernelWidth, groupChannels, outChannels] = kernel.shape;
  if (kernel.size === 0) throw new RangeError(`${what}: the kernel [${kernel.shape}] is empty.`);
  if (x.shape[3] !== groupChannels * groups || outChannels % groups !== 0) {
    throw new RangeError(
      `${what} images [${x.shape}] with a kernel [${kernel.shape}] in ${groups} group${
        groups === 1 ? "" : "s"
      }: the images must have ${
        groupChannels * groups
      } channels, and the output channels be a multiple of the groups; found ${
        x.shape[3]
      } and ${outChannels}.`,
    );
  }
  if (bias) {
    checkTensor(what, bias, { name: "the bias", axes: ["out"], dtype: "float32" });
    if (bias.size !== outChannels) {
      throw new RangeError(
        `${what}: the bias must have one number for each of the ${outChannels} output channels, found ${bias.size}.`,
      );
    }
  }
  const window = { kernelSize: [kernelHeight, kernelWidth] as const, stride, padding, dilation };
  const { pads } = windowGeometry(what, size, window);
  const [vertical, horizontal] = pair(stride);
  return tf.tidy(() => {
    const taps = dilate(kernel, pair(dilation));
    const placed = placeWindows(x, pads, window);
    // In the gradient of a 1×1 convolution that skips pixels oneDNN writes past its memory, so they
    // are left out before.
    const skips = kernelHeight * kernelWidth === 1 && vertical * horizontal > 1;
    const images = skips
      ? tf.avgPool(placed.images, 1, [vertical, horizontal], "valid")
      : placed.images;
    const strides: [number, number] = skips ? [1, 1] : [vertical, horizontal];
    if (groups === 1) return convolve(images, taps, strides, placed.padding, bias);
    // TensorFlow differentiates no grouped convolution on a CPU.
    const parts: Tensor4D[] = tf.split(images, groups, 3);
    const kernels: Tensor4D[] = tf.split(taps, groups, 3);
    const biases: (Tensor1D | undefined)[] = bias ? tf.split(bias, groups) : [];
    return tf.concat(
      parts.map((part, i) => convolve(part, kernels[i]!, strides, placed.padding, biases[i])),
      3,
    );
  });
}
