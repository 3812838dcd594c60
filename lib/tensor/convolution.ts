/**
 * Convolution and pooling with the paddings of both worlds: `"same"` and `"valid"` as TensorFlow
 * has them, and a number of rows and columns on each side as PyTorch has it. TensorFlow.js's own
 * gradients know only the first two, so other paddings are added to the images first.
 */
import * as tf from "@tensorflow/tfjs-core";
import { addBias, biasGradient } from "./addition.ts";
import { COMPOSED, NATIVE, nativeBackend, runOneDnnOp } from "./backend.ts";
import "./gradients.ts";
import { checkBoolean, checkFinite, checkTensor, checkWhole, IMAGE_AXES } from "./check.ts";
import { isAllFinite } from "./finite.ts";
import { checkOptions } from "./options.ts";
import type { Images, LastAxisOf, Same, Tensor, Tensor1D, Tensor4D } from "./types.ts";

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
    for (const size of pair(value)) checkWhole(what, name, size, 1);
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
function checkImages(what: string, x: Tensor4D): [height: number, width: number] {
  checkTensor(what, x, { name: "the images", axes: IMAGE_AXES, dtype: "float32" });
  if (x.size === 0) {
    throw new RangeError(`${what}: the images [${x.shape}] are empty.`);
  }
  return [x.shape[1], x.shape[2]];
}

/** Adds rows and columns of `value` around images. */
function padImages(x: Tensor4D, [top, bottom, left, right]: WindowGeometry["pads"], value = 0) {
  if (top + bottom + left + right === 0) return x;
  return tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]], value);
}

/**
 * Images and a padding that TensorFlow's kernels know. Where the padding is that of `"same"`, which
 * for an odd kernel with stride 1 it mostly is, nothing need be copied; TensorFlow takes a padding
 * in numbers as well, but then goes back twice as slowly on a CPU.
 */
function placeWindows(
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

const WITH_BIAS = "ResnetLabConv2DWithBias";
/** A convolution and its bias, without a pass over memory for the bias where there is oneDNN. */
function convolveWithBias({ inputs, attrs }: Parameters<tf.KernelFunc>[0]): tf.TensorInfo {
  const { x, filter, bias } = inputs as Record<"x" | "filter", Tensor4D> & { bias: Tensor1D };
  const { strides, pad } = attrs as unknown as { strides: [number, number]; pad: "same" | "valid" };
  // In a graph TensorFlow fuses the two itself, and what follows them too.
  const fused = nativeBackend()?.isRecording
    ? undefined
    : runOneDnnOp("_MklNativeConv2DWithBias", [x, filter, bias], {
      T: { type: "float32" },
      strides: { integers: [1, ...strides, 1] },
      padding: { string: pad.toUpperCase() },
    }, 1);
  if (fused) return fused[0]!;
  return tf.tidy(() => addBias(tf.conv2d(x, filter, strides, pad), bias));
}
for (const backendName of [NATIVE, ...COMPOSED]) {
  tf.registerKernel({ kernelName: WITH_BIAS, backendName, kernelFunc: convolveWithBias });
}
tf.registerGradient({
  kernelName: WITH_BIAS,
  inputsToSave: ["x", "filter"],
  gradFunc: (dy, saved, attrs) => ({
    ...tf.getGradient(tf.Conv2D).gradFunc(dy, saved, attrs),
    bias: () => biasGradient(dy as Tensor4D),
  }),
});

function convolve(
  x: Tensor4D,
  filter: Tensor4D,
  strides: [number, number],
  pad: "same" | "valid",
  bias: Tensor1D | undefined,
): Tensor4D {
  if (!bias) return tf.conv2d(x, filter, strides, pad);
  const attributes = { strides, pad, dataFormat: "NHWC", dilations: 1 };
  return tf.engine().runKernel(WITH_BIAS, { x, filter, bias }, attributes);
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
  checkWhole(what, "groups", groups, 1);
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

/**
 * The options of {@linkcode maxPool} and {@linkcode avgPool}; the stride is the kernel size unless
 * given.
 */
export type PoolOptions = Omit<WindowOptions, "dilation">;

function checkPoolOptions(what: string, options: PoolOptions): void {
  checkOptions<PoolOptions>(what, options, "{ kernelSize: 2 }", {
    kernelSize: true,
    stride: true,
    padding: true,
    ceilMode: true,
  });
}

/**
 * The largest value in each window of each channel; padding never wins, and NaN always does.
 *
 * @throws {RangeError} If the window does not fit the image, the padding is more than half of it,
 * or an option is no size.
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
  const what = "Max pooling";
  checkPoolOptions(what, options);
  const { kernelSize, stride = kernelSize, padding = 0, ceilMode } = options;
  const window = { kernelSize, stride, padding, ceilMode };
  const { pads } = windowGeometry(what, checkImages(what, x), window);
  checkPoolPadding(what, kernelSize, padding);
  const size = pair(kernelSize), strides = pair(stride);
  return tf.tidy(() => {
    if (!keepsNaN() && !isAllFinite(x)) return maxPoolAny(x, pads, window);
    const { images, padding } = placeWindows(x, pads, window, -Infinity);
    return tf.maxPool(images, [size[0], size[1]], [strides[0], strides[1]], padding);
  }) as Pooled<T>;
}

/**
 * Whether the max pooling of the backend takes NaN for the largest number: cuDNN's does, as
 * backend.ts asks it to.
 */
function keepsNaN(): boolean {
  return nativeBackend()?.isUsingGpuDevice ?? false;
}

/**
 * Max pooling of numbers that are not all finite, and its gradient, as PyTorch has it: NaN counts
 * as the largest number, and the last NaN of a window gets the gradient. In JavaScript, as no
 * backend has it.
 */
function maxPoolAny(
  x: Tensor4D,
  [top, , left]: WindowGeometry["pads"],
  window: WindowOptions,
): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const { output: [rows, columns] } = windowGeometry("Max pooling", [height, width], window);
  const [kernelHeight, kernelWidth] = pair(window.kernelSize);
  const [vertical, horizontal] = pair(window.stride ?? window.kernelSize);
  const values = x.dataSync(), largest = new Float32Array(batch * rows * columns * channels);
  const places = new Int32Array(largest.length);
  for (let i = 0; i < largest.length; i++) {
    const channel = i % channels, column = Math.floor(i / channels) % columns;
    const row = Math.floor(i / channels / columns) % rows;
    const image = Math.floor(i / channels / columns / rows);
    let place = -1;
    for (let u = 0; u < kernelHeight; u++) {
      const y = row * vertical - top + u;
      if (y < 0 || y >= height) continue;
      for (let v = 0; v < kernelWidth; v++) {
        const x = column * horizontal - left + v;
        if (x < 0 || x >= width) continue;
        const seen = ((image * height + y) * width + x) * channels + channel;
        if (place < 0 || values[seen]! > values[place]! || Number.isNaN(values[seen])) place = seen;
      }
    }
    places[i] = place;
    largest[i] = values[place]!;
  }
  const shape = x.shape;
  return tf.customGrad((_x) => ({
    value: tf.tensor4d(largest, [batch, rows, columns, channels]),
    gradFunc: (dy: Tensor) => {
      const dx = new Float32Array(values.length);
      dy.dataSync().forEach((gradient, i) => dx[places[i]!]! += gradient);
      return tf.tensor4d(dx, shape);
    },
  }))(x) as Tensor4D;
}
type Pooled<T extends Tensor4D> = Same<T> & Images<LastAxisOf<T>>;

/**
 * The mean of each window of each channel. Zeros of a numeric padding count (PyTorch's default);
 * those of `"same"` (TensorFlow's) and what a window of `ceilMode` reaches over the edge do not.
 *
 * @throws {RangeError} If the window does not fit the image, the padding is more than half of it,
 * or an option is no size.
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
  const what = "Average pooling";
  checkPoolOptions(what, options);
  const { kernelSize, stride = kernelSize, padding = 0, ceilMode } = options;
  const window = { kernelSize, stride, padding, ceilMode };
  const { pads } = windowGeometry(what, checkImages(what, x), window);
  checkPoolPadding(what, kernelSize, padding);
  const size = pair(kernelSize), strides = pair(stride);
  const means = (images: Tensor4D): Tensor4D =>
    tf.avgPool(images, [size[0], size[1]], [strides[0], strides[1]], "valid");
  return tf.tidy(() => {
    const y = means(padImages(x, pads));
    const counted = typeof padding === "number" ? padding : 0;
    const [top, bottom, left, right] = pads;
    const border = [top - counted, bottom - counted, left - counted, right - counted] as const;
    if (border.every((count) => count === 0)) return y;
    // TensorFlow.js's own "same" in JavaScript has a wrong gradient at the border.
    const inside: Tensor4D = tf.ones([1, x.shape[1] + 2 * counted, x.shape[2] + 2 * counted, 1]);
    return tf.div(y, means(padImages(inside, border)));
  }) as Pooled<T>;
}

function checkPoolPadding(what: string, kernelSize: Pair, padding: Padding): void {
  if (typeof padding === "number" && padding > Math.min(...pair(kernelSize)) / 2) {
    throw new RangeError(
      `${what}: padding must be at most half the window, found ${padding} with a window of ${
        pair(kernelSize).join("×")
      }.`,
    );
  }
}

/** The options of {@linkcode localResponseNorm}. */
interface ResponseNormOptions {
  /** Channels that are summed: the channel and as many on each side. */
  size?: number;
  bias?: number;
  alpha?: number;
  beta?: number;
}

/**
 * Local response normalisation across channels (Krizhevsky et al. 2012, section 3.3):
 * `y_c = x_c / (bias + alpha · Σ x²_j)^beta` over the `size` channels j around c.
 *
 * `alpha` is the paper's; PyTorch divides it by `size`.
 *
 * @throws {RangeError} If `size` is not odd, or another option not finite.
 * @throws {TypeError} If the images are not float32, or an option does not exist.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const pixel = ops.tensor([1, 2, 3], [1, 1, 1, 3]);
 * const y = ops.localResponseNorm(pixel, { size: 3, bias: 0, alpha: 1, beta: 0.5 });
 * const expected = [1 / Math.sqrt(5), 2 / Math.sqrt(14), 3 / Math.sqrt(13)];
 * assert(expected.every((value, i) => Math.abs(value - y.dataSync()[i]!) < 1e-6));
 * ```
 */
export function localResponseNorm<T extends Tensor4D>(
  x: T,
  options: ResponseNormOptions = {},
): Same<T> {
  const what = "Local response normalisation";
  checkOptions<ResponseNormOptions>(what, options, "{ size: 5 }", {
    size: true,
    bias: true,
    alpha: true,
    beta: true,
  });
  const { size = 5, bias = 2, alpha = 1e-4, beta = 0.75 } = options;
  checkImages(what, x);
  if (!Number.isInteger(size) || size < 1 || size % 2 === 0) {
    throw new RangeError(
      `${what}: size must be odd (the channel and as many on each side), found ${size}.`,
    );
  }
  for (const [name, value] of Object.entries({ bias, alpha, beta })) checkFinite(what, name, value);
  return tf.localResponseNormalization<Tensor4D>(x, (size - 1) / 2, bias, alpha, beta) as Same<T>;
}
