/** Convolution. */
import * as tf from "@tensorflow/tfjs-core";
import { checkInteger, checkOptions, checkTensor } from "../checks.ts";
import { conv2dWithBias } from "../kernels/bias.ts";
import { crop, insertZeros } from "../kernels/geometry.ts";
import "../kernels/gradient_overrides.ts";
import "../kernels/native_overrides.ts";
import "../kernels/pooling.ts";
import {
  checkImages,
  type Padding,
  padForKernel,
  type Pair,
  pair,
  windowGeometry,
} from "./window.ts";
import type { Tensor1D, Tensor4D } from "../types.ts";

/**
 * Returns the weight with `dilation − 1` zeros between neighbouring elements of the kernel. No
 * backend can differentiate a dilated convolution on every device.
 */
function dilate(weight: Tensor4D, dilation: readonly [number, number]): Tensor4D {
  const [vertical, horizontal] = dilation;
  if (vertical === 1 && horizontal === 1) return weight;
  const [height, width, inChannels, outChannels] = weight.shape;
  const positions: Tensor4D = tf.reshape(weight, [1, height, width, inChannels * outChannels]);
  const dilated = crop(
    insertZeros(positions, dilation),
    (height - 1) * vertical + 1,
    (width - 1) * horizontal + 1,
  );
  return tf.reshape(dilated, [dilated.shape[1], dilated.shape[2], inChannels, outChannels]);
}

/** Convolves, and adds a bias if there is one. */
function convolve(
  x: Tensor4D,
  filter: Tensor4D,
  strides: [number, number],
  pad: "same" | "valid",
  bias: Tensor1D | undefined,
): Tensor4D {
  if (!bias) return tf.conv2d(x, filter, strides, pad);
  return conv2dWithBias({ x, filter, bias }, { strides, pad, dataFormat: "NHWC", dilations: 1 });
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
   * Distance in pixels between neighbouring elements of the kernel.
   *
   * @default 1
   */
  dilation?: Pair;
  /**
   * Groups of channels, each convolved on its own.
   *
   * @default 1
   */
  groups?: number;
  /** Numbers to add, one for each output channel `[out]`. */
  bias?: Tensor1D;
}

/**
 * Convolves images `[batch, height, width, in]` with a weight `[height, width, in / groups, out]`
 * (a cross-correlation, as in every deep-learning library):
 * `y[b, i, j, o] = Σ x[b, i·s + u·d − p, j·s + v·d − p, c] · weight[u, v, c, o] + bias[o]`.
 *
 * With `groups` > 1 the channels are split into that many groups, and each output sees only the
 * channels of its group (Krizhevsky et al. 2012, section 3.2).
 *
 * @param weight `[height, width, in / groups, out]`
 *
 * @throws {RangeError} If the images or the weight are empty, the channels do not fit, the window
 * does not fit the image, or an option is not a valid size.
 * @throws {TypeError} If the images, the weight or the bias are not float32, or an option does not
 * exist.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]);
 * const weight = ops.tensor([0, 1, 2, 3], [2, 2, 1, 1]);
 * assert.deepEqual([...ops.conv2d(image, weight).dataSync()], [19, 25, 37, 43]);
 * ```
 */
export function conv2d(
  x: Tensor4D,
  weight: Tensor4D,
  options: ConvolutionOptions = {},
): Tensor4D {
  const action = "Convolving";
  checkOptions<ConvolutionOptions>(action, options, "{ stride: 2 }", {
    stride: true,
    padding: true,
    dilation: true,
    groups: true,
    bias: true,
  });
  const { stride = 1, padding = 0, dilation = 1, groups = 1, bias } = options;
  const size = checkImages(action, x);
  checkTensor(action, weight, {
    name: "the weight",
    axes: ["height", "width", "in / groups", "out"],
    dtype: "float32",
  });
  checkInteger(action, "groups", groups, 1);
  const [kernelHeight, kernelWidth, groupChannels, outChannels] = weight.shape;
  if (weight.size === 0) {
    throw new RangeError(
      `${action}: the weight must not be empty, found the shape [${weight.shape}].`,
    );
  }
  if (x.shape[3] !== groupChannels * groups) {
    throw new RangeError(
      `${action}: the images must have ${
        groupChannels * groups
      } channels for a weight [${weight.shape}] in ${groups} group${
        groups === 1 ? "" : "s"
      }, found the shape [${x.shape}].`,
    );
  }
  if (outChannels % groups !== 0) {
    throw new RangeError(
      `${action}: the output channels must be a multiple of the groups, found a weight [${weight.shape}] with ${groups} groups.`,
    );
  }
  if (bias) {
    checkTensor(action, bias, { name: "the bias", axes: ["out"], dtype: "float32" });
    if (bias.size !== outChannels) {
      throw new RangeError(
        `${action}: the bias must have one number for each of the ${outChannels} output channels, found ${bias.size}.`,
      );
    }
  }
  const window = { kernelSize: [kernelHeight, kernelWidth] as const, stride, padding, dilation };
  const { pads } = windowGeometry(action, size, window);
  const [vertical, horizontal] = pair(stride);
  return tf.tidy(() => {
    const filter = dilate(weight, pair(dilation));
    const padded = padForKernel(x, pads, window);
    // oneDNN writes past its memory in the gradient of a 1×1 convolution with a stride, so the
    // pixels that it skips are removed first.
    const skips = kernelHeight * kernelWidth === 1 && vertical * horizontal > 1;
    const images = skips
      ? tf.avgPool(padded.images, 1, [vertical, horizontal], "valid")
      : padded.images;
    const strides: [number, number] = skips ? [1, 1] : [vertical, horizontal];
    if (groups === 1) return convolve(images, filter, strides, padded.padding, bias);
    // TensorFlow cannot differentiate a grouped convolution on a CPU.
    const parts: Tensor4D[] = tf.split(images, groups, 3);
    const filters: Tensor4D[] = tf.split(filter, groups, 3);
    const biases: (Tensor1D | undefined)[] = bias ? tf.split(bias, groups) : [];
    return tf.concat(
      parts.map((part, i) => convolve(part, filters[i]!, strides, padded.padding, biases[i])),
      3,
    );
  });
}
