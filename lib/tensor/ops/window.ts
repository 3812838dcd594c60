/**
 * How a window walks over images, with the paddings of both worlds: `"same"` and `"valid"` as
 * TensorFlow has them, and a number of rows and columns on each side as PyTorch has it.
 * TensorFlow.js's own gradients know only the first two, so other paddings are added to the images
 * first.
 */
import * as tf from "@tensorflow/tfjs-core";
import { checkBoolean, checkInteger, checkOptions, checkTensor, IMAGE_AXES } from "../checks.ts";
import type { Tensor4D } from "../types.ts";

/**
 * The zeros added around images: `"valid"` none; `"same"` as many as make the output
 * `⌈input / stride⌉` (TensorFlow's: with stride 2 and an even size the extra row comes at the
 * bottom); a number: so many on each side (PyTorch's).
 */
export type Padding = "same" | "valid" | number;

/** One number for both axes, or `[vertical, horizontal]`. */
export type Pair = number | readonly [vertical: number, horizontal: number];

/**
 * Both numbers of a {@linkcode Pair}.
 *
 * @example
 * ```ts
 * import { pair } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(pair(3), [3, 3]);
 * assert.deepEqual(pair([1, 2]), [1, 2]);
 * ```
 */
export function pair(value: Pair): readonly [vertical: number, horizontal: number] {
  return typeof value === "number" ? [value, value] : value;
}

/** How a window walks over images. */
export interface WindowOptions {
  /** Height and width of the window in pixels. */
  kernelSize: Pair;
  /**
   * Pixels from one window to the next; 1 unless said otherwise for a convolution, the kernel size
   * for a pooling.
   */
  stride?: Pair;
  /** Zeros around the image; 0 unless said otherwise. */
  padding?: Padding;
  /** Distance between neighbouring taps of the window; 1 unless said otherwise. */
  dilation?: Pair;
  /**
   * Whether a last window that reaches over the bottom or right edge counts, if it starts inside;
   * false unless said otherwise.
   */
  ceilMode?: boolean;
}

/**
 * The geometry of a window over an image of known size: rows and columns of padding, and the
 * output's height and width.
 */
export interface WindowGeometry {
  readonly pads: readonly [top: number, bottom: number, left: number, right: number];
  readonly output: readonly [height: number, width: number];
}

/**
 * Where a window can stand on an image:
 * `output = ⌊(input + padding − dilation · (kernel − 1) − 1) / stride⌋ + 1`.
 *
 * With `ceilMode` it is ⌈…⌉, unless the last window would then start beyond the image and its top
 * or left padding (PyTorch's rule).
 *
 * @param what What is being done, for the error messages.
 * @param size The height and width of the image in pixels.
 *
 * @throws {RangeError} If an option is no size, or the window does not fit once, with the smallest
 * image that would do.
 * @throws {TypeError} If an option does not exist.
 *
 * @example
 * ```ts
 * import { windowGeometry } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { output } = windowGeometry("Convolving", [224, 224], { kernelSize: 7, stride: 2, padding: 3 });
 * assert.deepEqual(output, [112, 112]);
 * ```
 */
export function windowGeometry(
  what: string,
  [height, width]: readonly [number, number],
  options: WindowOptions,
): WindowGeometry {
  checkOptions<WindowOptions>(what, options, "{ kernelSize: 3 }", {
    kernelSize: true,
    stride: true,
    padding: true,
    dilation: true,
    ceilMode: true,
  });
  const { kernelSize, stride = 1, padding = 0, dilation = 1, ceilMode = false } = options;
  checkBoolean(what, "ceilMode", ceilMode);
  for (const [name, value] of Object.entries({ kernelSize, stride, dilation })) {
    for (const size of pair(value)) checkInteger(what, name, size, 1);
  }
  if (padding !== "same" && padding !== "valid" && !(Number.isInteger(padding) && padding >= 0)) {
    throw new RangeError(
      `${what}: padding must be "same", "valid" or a whole number of at least 0, found ${padding}.`,
    );
  }
  const sides = [height, width].map((size, axis) => {
    const step = pair(stride)[axis] ?? 1;
    const extent = (pair(dilation)[axis] ?? 1) * ((pair(kernelSize)[axis] ?? 1) - 1) + 1;
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
  const [rows, columns] = sides as [typeof sides[0], typeof sides[0]];
  if (rows.output < 1 || columns.output < 1) {
    throw new RangeError(
      `${what}: a window of ${rows.extent}×${columns.extent} does not fit an image of ${height}×${width} with padding ${padding}; ` +
        `the image must be at least ${rows.least}×${columns.least}.`,
    );
  }
  return {
    pads: [rows.before, rows.after, columns.before, columns.after],
    output: [rows.output, columns.output],
  };
}

/** Checks that a value is a batch of images with something in it; gives their height and width. */
export function checkImages(what: string, x: Tensor4D): [height: number, width: number] {
  checkTensor(what, x, { name: "the images", axes: IMAGE_AXES, dtype: "float32" });
  if (x.size === 0) {
    throw new RangeError(`${what}: the images [${x.shape}] are empty.`);
  }
  return [x.shape[1], x.shape[2]];
}

/** Adds rows and columns of `value` around images. */
export function padImages(
  x: Tensor4D,
  [top, bottom, left, right]: WindowGeometry["pads"],
  value = 0,
) {
  if (top + bottom + left + right === 0) return x;
  return tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], value);
}

/**
 * Images and a padding that TensorFlow's kernels know. Where the padding is that of `"same"`, which
 * for an odd kernel with stride 1 it mostly is, nothing need be copied; TensorFlow takes a padding
 * in numbers as well, but then goes back twice as slowly on a CPU.
 */
export function placeWindows(
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
