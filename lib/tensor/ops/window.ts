/**
 * Geometry of a window that moves over images, with the paddings of both worlds: `"same"` and
 * `"valid"` as in TensorFlow, and a number of rows and columns on each side as in PyTorch. The
 * gradients of TensorFlow.js know only the first two, so other paddings are added to the images
 * first.
 */
import * as tf from "@tensorflow/tfjs-core";
import {
  checkBoolean,
  checkOptions,
  checkPadding,
  checkPair,
  checkTensor,
  IMAGE_AXES,
} from "../checks.ts";
import { type Pair, pair } from "../kernels/geometry.ts";
import type { Tensor4D } from "../types.ts";

export { type Pair, pair };

/**
 * The zeros added around images: `"valid"` adds none; `"same"` adds as many as make the output
 * `⌈input / stride⌉` (as in TensorFlow: with stride 2 and an even size the extra row is at the
 * bottom); a number adds that many on each side (as in PyTorch).
 */
export type Padding = "same" | "valid" | number;

/** Size and movement of a window over images. */
export interface WindowOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /**
   * Pixels from one window to the next.
   *
   * @default 1 for a convolution, the kernel size for pooling
   */
  stride?: Pair;
  /**
   * Zeros around the image.
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
   * Whether to include a last window that starts inside the image and extends over its bottom or
   * right edge.
   *
   * @default false
   */
  ceilMode?: boolean;
}

/** Geometry of a window over an image of known size. */
export interface WindowGeometry {
  /** Rows and columns of padding. */
  readonly pads: readonly [top: number, bottom: number, left: number, right: number];
  /** Size of the output. */
  readonly output: readonly [height: number, width: number];
}

/**
 * Returns the padding of a window, and the number of its positions on an image:
 * `output = ⌊(input + padding − dilation · (kernel − 1) − 1) / stride⌋ + 1`.
 *
 * With `ceilMode` it is ⌈…⌉, unless the last window would then start beyond the image and its top
 * or left padding (PyTorch's rule).
 *
 * @param action The caller's action, for the error messages.
 * @param size The height and width of the image in pixels.
 *
 * @throws {RangeError} If an option is not a valid size, or the window does not fit the image. The
 * error names the smallest image that it fits.
 * @throws {TypeError} If an option does not exist.
 */
export function windowGeometry(
  action: string,
  [height, width]: readonly [number, number],
  options: WindowOptions,
): WindowGeometry {
  checkOptions<WindowOptions>(action, options, "{ kernelSize: 3 }", {
    kernelSize: true,
    stride: true,
    padding: true,
    dilation: true,
    ceilMode: true,
  });
  const { kernelSize, stride = 1, padding = 0, dilation = 1, ceilMode = false } = options;
  checkBoolean(action, "ceilMode", ceilMode);
  checkPair(action, "kernelSize", kernelSize);
  checkPair(action, "stride", stride);
  checkPair(action, "dilation", dilation);
  checkPadding(action, padding);
  const [rows, columns] = ([[height, 0], [width, 1]] as const).map(([size, axis]) => {
    const step = pair(stride)[axis],
      extent = pair(dilation)[axis] * (pair(kernelSize)[axis] - 1) + 1;
    let before = 0, after = 0;
    if (padding === "same") {
      const total = Math.max(0, (Math.ceil(size / step) - 1) * step + extent - size);
      before = Math.floor(total / 2);
      after = total - before;
    } else if (padding !== "valid") before = after = padding;
    const room = size + before + after - extent;
    let output = Math.floor(room / step) + 1;
    if (ceilMode && room % step !== 0 && output * step < size + before) {
      after += output * step - room;
      output++;
    }
    const least = Math.max(1, extent - before - after - (ceilMode ? step - 1 : 0));
    return { before, after, extent, output, least };
  });
  if (rows!.output < 1 || columns!.output < 1) {
    throw new RangeError(
      `${action}: the images must be at least ${rows!.least}×${columns!.least} for a window of ${
        rows!.extent
      }×${columns!.extent} with padding ${padding}, found ${height}×${width}.`,
    );
  }
  return {
    pads: [rows!.before, rows!.after, columns!.before, columns!.after],
    output: [rows!.output, columns!.output],
  };
}

/** Checks that a value is a batch of images that is not empty; returns their height and width. */
export function checkImages(action: string, x: Tensor4D): [height: number, width: number] {
  checkTensor(action, x, { name: "the images", axes: IMAGE_AXES, dtype: "float32" });
  if (x.size === 0) {
    throw new RangeError(
      `${action}: the images must not be empty, found the shape [${x.shape}].`,
    );
  }
  return [x.shape[1], x.shape[2]];
}

/** Returns images with rows and columns of `value` around them. */
export function padImages(
  x: Tensor4D,
  [top, bottom, left, right]: WindowGeometry["pads"],
  value = 0,
): Tensor4D {
  if (top + bottom + left + right === 0) return x;
  return tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], value);
}

/**
 * Returns images and a padding for the kernels of TensorFlow.js. Where the padding equals `"same"`,
 * as mostly for an odd kernel with stride 1, the images need no copy. TensorFlow also accepts a
 * padding in numbers, but its backward pass is then twice as slow on a CPU.
 */
export function padForKernel(
  x: Tensor4D,
  pads: WindowGeometry["pads"],
  window: WindowOptions,
  value = 0,
): { images: Tensor4D; padding: "same" | "valid" } {
  const same = windowGeometry("Padding", [x.shape[1], x.shape[2]], { ...window, padding: "same" });
  return String(same.pads) === String(pads)
    ? { images: x, padding: "same" }
    : { images: padImages(x, pads, value), padding: "valid" };
}
