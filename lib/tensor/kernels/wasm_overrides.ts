/**
 * TensorFlow.js's WebAssembly backend, with what it lacks to train (the gradient of a convolution's
 * kernel), what it has slow (the gradient of the images and products with a transposed matrix are
 * plain loops, ten times slower than the convolution and the product as they stand), and what it
 * has wrong; each put together from other kernels of its own.
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import type { Tensor, Tensor2D, Tensor4D } from "../types.ts";

const WASM = "wasm";

function replaceKernel(config: tf.KernelConfig): void {
  if (tf.getKernel(config.kernelName, WASM)) tf.unregisterKernel(config.kernelName, WASM);
  tf.registerKernel(config);
}

/** Matrices with rows and columns changed. */
function turn(matrices: Tensor): Tensor {
  const axes = matrices.shape.map((_size, axis) => axis);
  return tf.transpose(matrices, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

/** The first rows and columns of images. */
function crop(images: Tensor4D, height: number, width: number): Tensor4D {
  const [batch, rows, columns, channels] = images.shape;
  // A copy of everything is slow here.
  if (rows === height && columns === width) return images;
  return tf.slice(images, [0, 0, 0, 0], [batch, height, width, channels]);
}

/**
 * Images with `vertical − 1` rows of zeros after each row, and `horizontal − 1` columns after each
 * column.
 */
function spread(images: Tensor4D, vertical: number, horizontal: number): Tensor4D {
  if (vertical * horizontal === 1) return images;
  const [batch, rows, columns, channels] = images.shape;
  const pixels = tf.reshape(images, [batch * rows, 1, columns, channels]);
  const zeros: [number, number][] = [[0, 0], [0, vertical - 1], [0, 0], [
    0,
    (horizontal - 1) * channels,
  ]];
  return tf.reshape(tf.pad(pixels, zeros), [
    batch,
    rows * vertical,
    columns * horizontal,
    channels,
  ]);
}

/** The strides of a convolution, and its rows and columns of padding. */
function geometry(x: Tensor4D["shape"], kernel: Tensor4D["shape"], attributes: tf.NamedAttrMap) {
  const { strides, dilations = 1, pad, dimRoundingMode } = attributes as unknown as tf.Conv2DAttrs;
  return tf.backend_util.computeConv2DInfo(x, kernel, strides, dilations, pad, dimRoundingMode);
}

/**
 * Uses `exact` where an input is not finite: XNNPACK's minima and maxima, by which it also clips
 * what other kernels give, depend on the order of their operands and on the sign bit of NaN.
 */
function keepNonFinite(
  kernelName: string,
  exact: (
    own: (inputs: tf.NamedTensorMap) => Tensor,
    inputs: tf.NamedTensorMap,
    attributes: tf.NamedAttrMap,
  ) => Tensor,
): void {
  const kernel = tf.getKernel(kernelName, WASM);
  replaceKernel({
    ...kernel,
    kernelFunc: (call) => {
      const inputs = call.inputs as tf.NamedTensorMap;
      // Not by finite.ts, which needs a backend, which needs this file.
      const isFast = Object.values(inputs).every((x) =>
        x.dtype !== "float32" || tf.tidy(() => Number.isFinite(tf.sum(x).dataSync()[0]))
      );
      if (isFast) return kernel.kernelFunc(call);
      return tf.tidy(() => {
        const own = (inputs: tf.NamedTensorMap) =>
          tf.engine().makeTensorFromTensorInfo(
            kernel.kernelFunc({ ...call, inputs }) as tf.TensorInfo,
          );
        return exact(own, inputs, call.attrs!);
      });
    },
  });
}

keepNonFinite(
  tf.Relu,
  (_own, { x }) => tf.where(tf.lessEqual(x!, 0), tf.zerosLike(x!), x!),
);
keepNonFinite(tf.ClipByValue, (_own, { x }, attributes) => {
  const { clipValueMin, clipValueMax } = attributes as unknown as tf.ClipByValueAttrs;
  const [low, high] = [clipValueMin, clipValueMax].map((value) => tf.fill(x!.shape, value));
  return tf.where(tf.less(x!, low!), low!, tf.where(tf.greater(x!, high!), high!, x!));
});
for (const kernelName of [tf.Maximum, tf.Minimum]) {
  keepNonFinite(kernelName, (own, { a, b }) => {
    const y = own({ a: a!, b: b! });
    return tf.where(tf.logicalOr(tf.isNaN(a!), tf.isNaN(b!)), tf.fill(y.shape, NaN), y);
  });
}
keepNonFinite(tf.AvgPool, (own, { x }) => {
  const share = (chosen: Tensor) => own({ x: tf.cast(chosen, "float32") });
  const has = (chosen: Tensor) => tf.greater(share(chosen), 0);
  const none = tf.zerosLike(x!);
  const plus = has(tf.equal(x!, Infinity)), minus = has(tf.equal(x!, -Infinity));
  const y = share(tf.where(tf.isFinite(x!), x!, none));
  const withPlus = tf.where(plus, tf.fill(y.shape, Infinity), y);
  const withBoth = tf.where(minus, tf.sub(withPlus, Infinity), withPlus);
  return tf.where(has(tf.isNaN(x!)), tf.fill(y.shape, NaN), withBoth);
});

// With the padding "same" its own gives zeros where the windows leave pixels out, so it gets the
// padding in numbers.
const conv2d = tf.getKernel(tf.Conv2D, WASM);
replaceKernel({
  ...conv2d,
  kernelFunc: (call) => {
    const x = call.inputs.x as Tensor4D, kernel = call.inputs.filter as Tensor4D;
    const { top, bottom, left, right } = geometry(x.shape, kernel.shape, call.attrs!).padInfo;
    const pad = [[0, 0], [top, bottom], [left, right], [0, 0]];
    return conv2d.kernelFunc({ ...call, attrs: { ...call.attrs, pad } });
  },
});

// A product with a transposed matrix: the matrix is transposed first.
const product = tf.getKernel(tf.BatchMatMul, WASM);
replaceKernel({
  ...product,
  kernelFunc: (call) => {
    const { transposeA, transposeB } = call.attrs!;
    if (!transposeA && !transposeB) return product.kernelFunc(call);
    const a = call.inputs.a as Tensor, b = call.inputs.b as Tensor;
    return tf.tidy(() => tf.matMul(transposeA ? turn(a) : a, transposeB ? turn(b) : b));
  },
});

// Its own gives the gradient to the last of equal maxima, and loses that of maxima up to 0. Pooling
// is also the morphologists' dilation with a filter of zeros, whose gradient goes to the first
// maximum, if it is above 0; so it gets positive numbers in the same order: x ↦ s·max(x, 0) + 1 /
// (1 + s·max(−x, 0)).
replaceKernel({
  kernelName: tf.MaxPoolGrad,
  backendName: WASM,
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const { filterSize, strides, pad } = attrs as unknown as tf.MaxPoolGradAttrs;
      const scaled = tf.mul(inputs.input as Tensor4D, 2 ** 60);
      const x: Tensor4D = tf.add(
        tf.relu(scaled),
        tf.reciprocal(tf.add(tf.relu(tf.neg(scaled)), 1)),
      );
      const { filterHeight, filterWidth, strideHeight, strideWidth, inChannels } = tf.backend_util
        .computePool2DInfo(x.shape, filterSize, strides, 1, pad);
      return tf.engine().runKernel<Tensor>(
        tf.Dilation2DBackpropInput,
        { dy: inputs.dy as Tensor, x, filter: tf.zeros([filterHeight, filterWidth, inChannels]) },
        { strides: [strideHeight, strideWidth], pad, dilations: [1, 1] },
      );
    }),
});

// Its own leaves numbers in a bool as they are, and clips whole numbers as if their bits were those
// of fractions.
const cast = tf.getKernel(tf.Cast, WASM);
replaceKernel({
  ...cast,
  kernelFunc: (call) =>
    call.attrs!.dtype === "bool" && call.inputs.x!.dtype !== "bool"
      ? tf.tidy(() => tf.notEqual(call.inputs.x as Tensor, tf.zeros([], call.inputs.x!.dtype)))
      : cast.kernelFunc(call),
});
const clip = tf.getKernel(tf.ClipByValue, WASM);
replaceKernel({
  ...clip,
  kernelFunc: (call) => {
    const x = call.inputs.x as Tensor;
    if (x.dtype === "float32") return clip.kernelFunc(call);
    const { clipValueMin, clipValueMax } = call.attrs as unknown as tf.ClipByValueAttrs;
    return tf.tidy(() => {
      const [low, high] = [clipValueMin, clipValueMax].map((value) => tf.scalar(value, x.dtype));
      return tf.minimum(tf.maximum(x, low!), high!);
    });
  },
});

// Where a box is exactly as many pixels wide as its result, its own copies the first columns of the
// image; so no box ends quite where it should.
const cropAndResize = tf.getKernel(tf.CropAndResize, WASM);
replaceKernel({
  ...cropAndResize,
  kernelFunc: (call) =>
    tf.tidy(() => {
      const share = 1e-6; // of the width, far less than half a pixel
      const narrow = [[1, 0, 0, 0], [0, 1, 0, share], [0, 0, 1, 0], [0, 0, 0, 1 - share]];
      const boxes = tf.matMul(call.inputs.boxes as Tensor2D, tf.tensor2d(narrow));
      const crops = cropAndResize.kernelFunc({ ...call, inputs: { ...call.inputs, boxes } });
      return tf.engine().makeTensorFromTensorInfo(crops as tf.TensorInfo);
    }),
});

// The gradient of gather.
replaceKernel({
  kernelName: tf.UnsortedSegmentSum,
  backendName: WASM,
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const x = inputs.x as Tensor, rows = inputs.segmentIds as Tensor;
      const { numSegments } = attrs as unknown as tf.UnsortedSegmentSumAttrs;
      return tf.scatterND(tf.expandDims(rows, 1), x, [numSegments, ...x.shape.slice(1)]);
    }),
});

// Its own writes whole numbers, also where it says that they are float32.
const oneHot = tf.getKernel(tf.OneHot, WASM);
replaceKernel({
  ...oneHot,
  kernelFunc: (call) => {
    const { depth, onValue, offValue, dtype } = call.attrs as unknown as tf.OneHotAttrs;
    if (dtype === "int32") return oneHot.kernelFunc(call);
    const indices = call.inputs.indices as Tensor;
    return tf.tidy(() => tf.cast(tf.oneHot(indices, depth, onValue, offValue, "int32"), dtype));
  },
});

// ∂L/∂x: the gradients of the outputs, with zeros where the stride skipped, convolved with the
// kernel turned by 180°.
replaceKernel({
  kernelName: tf.Conv2DBackpropInput,
  backendName: WASM,
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const kernel = inputs.filter as Tensor4D;
      const [kernelHeight, kernelWidth] = kernel.shape;
      const inputShape = attrs!.inputShape as Tensor4D["shape"];
      const [, height, width] = inputShape;
      const { strideHeight, strideWidth, padInfo } = geometry(inputShape, kernel.shape, attrs!);
      const dy = spread(inputs.dy as Tensor4D, strideHeight, strideWidth);
      const turned: Tensor4D = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]);
      const sums = tf.conv2d(dy, turned, 1, [
        [0, 0],
        [kernelHeight - 1 - padInfo.top, Math.max(0, height + padInfo.top - dy.shape[1])],
        [kernelWidth - 1 - padInfo.left, Math.max(0, width + padInfo.left - dy.shape[2])],
        [0, 0],
      ]);
      return crop(sums, height, width);
    }),
});

// ∂L/∂kernel: the images convolved with the gradients of the outputs, summed over the batch where
// else it is over the channels, and at a distance of the stride.
replaceKernel({
  kernelName: tf.Conv2DBackpropFilter,
  backendName: WASM,
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const x = inputs.x as Tensor4D, dy = inputs.dy as Tensor4D;
      const shape = attrs!.filterShape as Tensor4D["shape"];
      const [kernelHeight, kernelWidth, inChannels, outChannels] = shape;
      const { strideHeight, strideWidth, padInfo } = geometry(x.shape, shape, attrs!);
      if (kernelHeight * kernelWidth * strideHeight * strideWidth === 1) {
        const pixels: Tensor2D = tf.reshape(x, [-1, inChannels]);
        return tf.reshape(tf.matMul(pixels, tf.reshape(dy, [-1, outChannels]), true), shape);
      }
      const sums = tf.conv2d(
        tf.transpose(x, [3, 1, 2, 0]),
        tf.transpose(dy, [1, 2, 0, 3]),
        1,
        [[0, 0], [padInfo.top, padInfo.bottom], [padInfo.left, padInfo.right], [0, 0]],
        "NHWC",
        [strideHeight, strideWidth],
      );
      // Where the stride leaves the last rows out, there are sums too many.
      return tf.transpose(crop(sums, kernelHeight, kernelWidth), [1, 2, 0, 3]);
    }),
});
