/**
 * Kernels of TensorFlow.js's WebAssembly backend that are missing, slow or wrong, as compositions
 * of its other kernels. `backend/select.ts` loads this file together with that backend, so it must
 * not import `select.ts`, directly or through another file.
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import { WASM } from "../backend/names.ts";
import { overrideKernel } from "./define.ts";
import { crop, insertZeros } from "./geometry.ts";
import type { Tensor, Tensor1D, Tensor2D, Tensor4D } from "../types.ts";

// --- Numbers that are not finite ---

/**
 * Replaces a kernel by `exact` where an input is not finite. XNNPACK computes minima and maxima,
 * and clips the results of other kernels with them; for NaN they depend on the order of the
 * operands and on the sign bit, so NaN and infinity get lost.
 */
function keepNonFinite<I extends Record<string, Tensor>, A = unknown>(
  kernelName: string,
  exact: (inputs: I, attributes: A, original: (inputs: I) => Tensor) => Tensor,
): void {
  overrideKernel(kernelName, WASM, (inputs: I, attributes: A, original) => {
    // Not by finite.ts, which imports select.ts.
    const isFinite = Object.values(inputs).every((x) =>
      x.dtype !== "float32" || tf.tidy(() => Number.isFinite(tf.sum(x).dataSync()[0]))
    );
    if (isFinite) return original(inputs, attributes);
    return tf.tidy(() =>
      exact(
        inputs,
        attributes,
        (inputs) => tf.engine().makeTensorFromTensorInfo(original(inputs, attributes)),
      )
    );
  });
}

keepNonFinite<{ x: Tensor }>(
  tf.Relu,
  ({ x }) => tf.where(tf.lessEqual(x, 0), tf.zerosLike(x), x),
);
keepNonFinite<{ x: Tensor }, tf.ClipByValueAttrs>(
  tf.ClipByValue,
  ({ x }, { clipValueMin, clipValueMax }) => {
    const low = tf.fill(x.shape, clipValueMin), high = tf.fill(x.shape, clipValueMax);
    return tf.where(tf.less(x, low), low, tf.where(tf.greater(x, high), high, x));
  },
);
for (const kernelName of [tf.Maximum, tf.Minimum]) {
  keepNonFinite<{ a: Tensor; b: Tensor }>(kernelName, ({ a, b }, _attributes, original) => {
    const y = original({ a, b });
    return tf.where(tf.logicalOr(tf.isNaN(a), tf.isNaN(b)), tf.fill(y.shape, NaN), y);
  });
}
keepNonFinite<{ x: Tensor }>(tf.AvgPool, ({ x }, _attributes, original) => {
  const average = (x: Tensor) => original({ x: tf.cast(x, "float32") });
  const hasAny = (condition: Tensor) => tf.greater(average(condition), 0);
  const hasInfinity = hasAny(tf.equal(x, Infinity));
  const hasMinusInfinity = hasAny(tf.equal(x, -Infinity));
  const y = average(tf.where(tf.isFinite(x), x, tf.zerosLike(x)));
  const withInfinity = tf.where(hasInfinity, tf.fill(y.shape, Infinity), y);
  const withBoth = tf.where(hasMinusInfinity, tf.sub(withInfinity, Infinity), withInfinity);
  return tf.where(hasAny(tf.isNaN(x)), tf.fill(y.shape, NaN), withBoth);
});

// --- Convolution ---

/** Returns the strides of a convolution, and its rows and columns of padding. */
function convolutionGeometry(
  x: Tensor4D["shape"],
  filter: Tensor4D["shape"],
  { strides, pad, dimRoundingMode }: Pick<tf.Conv2DAttrs, "strides" | "pad" | "dimRoundingMode">,
  dilations: tf.Conv2DAttrs["dilations"] = 1,
) {
  return tf.backend_util.computeConv2DInfo(x, filter, strides, dilations, pad, dimRoundingMode);
}

// With the padding "same" the backend's own kernel returns zeros where windows skip pixels. It is
// right for the same padding as numbers.
overrideKernel(
  tf.Conv2D,
  WASM,
  (inputs: { x: Tensor4D; filter: Tensor4D }, attributes: tf.Conv2DAttrs, original) => {
    const { x: { shape }, filter } = inputs;
    const { padInfo } = convolutionGeometry(
      shape,
      filter.shape,
      attributes,
      attributes.dilations,
    );
    const { top, bottom, left, right } = padInfo;
    return original(inputs, {
      ...attributes,
      pad: [[0, 0], [top, bottom], [left, right], [0, 0]],
    });
  },
);

// ∂L/∂x. The backend's own kernel is a plain loop, ten times slower than the convolution. This is a
// convolution of dy, with zeros where the stride skips pixels, with the filter rotated by 180°.
overrideKernel(
  tf.Conv2DBackpropInput,
  WASM,
  (inputs: { dy: Tensor4D; filter: Tensor4D }, attributes: tf.Conv2DBackpropInputAttrs) =>
    tf.tidy(() => {
      const { filter } = inputs, { inputShape } = attributes;
      const [filterHeight, filterWidth] = filter.shape, [, height, width] = inputShape;
      const geometry = convolutionGeometry(inputShape, filter.shape, attributes);
      const { strideHeight, strideWidth, padInfo } = geometry;
      const dy = insertZeros(inputs.dy, [strideHeight, strideWidth]);
      const rotated: Tensor4D = tf.transpose(tf.reverse(filter, [0, 1]), [0, 1, 3, 2]);
      const sums = tf.conv2d(dy, rotated, 1, [
        [0, 0],
        [filterHeight - 1 - padInfo.top, Math.max(0, height + padInfo.top - dy.shape[1])],
        [filterWidth - 1 - padInfo.left, Math.max(0, width + padInfo.left - dy.shape[2])],
        [0, 0],
      ]);
      return crop(sums, height, width);
    }),
);

// ∂L/∂filter, which the backend lacks: a convolution of x with dy in which batch and channels
// change places, dilated by the stride.
overrideKernel(
  tf.Conv2DBackpropFilter,
  WASM,
  ({ x, dy }: { x: Tensor4D; dy: Tensor4D }, attributes: tf.Conv2DBackpropFilterAttrs) =>
    tf.tidy(() => {
      const { filterShape } = attributes;
      const [filterHeight, filterWidth, inChannels, outChannels] = filterShape;
      const geometry = convolutionGeometry(x.shape, filterShape, attributes);
      const { strideHeight, strideWidth, padInfo } = geometry;
      if (filterHeight * filterWidth * strideHeight * strideWidth === 1) {
        const pixels: Tensor2D = tf.reshape(x, [-1, inChannels]);
        const sums: Tensor2D = tf.matMul(pixels, tf.reshape(dy, [-1, outChannels]), true);
        return tf.reshape(sums, filterShape);
      }
      const sums = tf.conv2d(
        tf.transpose(x, [3, 1, 2, 0]),
        tf.transpose(dy, [1, 2, 0, 3]),
        1,
        [[0, 0], [padInfo.top, padInfo.bottom], [padInfo.left, padInfo.right], [0, 0]],
        "NHWC",
        [strideHeight, strideWidth],
      );
      // If the stride leaves the last rows out, the convolution returns too many sums.
      return tf.transpose(crop(sums, filterHeight, filterWidth), [1, 2, 0, 3]);
    }),
);

// --- Gradient of pooling ---

// The backend's own kernel gives the gradient to the last of equal maxima, and loses the gradient
// of maxima that are not above 0. Max pooling is also a morphological dilation with a filter of
// zeros, whose gradient goes to the first maximum if it is above 0. So it runs on positive numbers
// in the same order: x ↦ s·max(x, 0) + 1 / (1 + s·max(−x, 0)).
overrideKernel(
  tf.MaxPoolGrad,
  WASM,
  ({ input, dy }: { input: Tensor4D; dy: Tensor }, attributes: tf.MaxPoolGradAttrs) =>
    tf.tidy(() => {
      const { filterSize, strides, pad } = attributes;
      const scaled = tf.mul(input, 2 ** 60);
      const x: Tensor4D = tf.add(
        tf.relu(scaled),
        tf.reciprocal(tf.add(tf.relu(tf.neg(scaled)), 1)),
      );
      const { filterHeight, filterWidth, strideHeight, strideWidth, inChannels } = tf.backend_util
        .computePool2DInfo(x.shape, filterSize, strides, 1, pad);
      return tf.engine().runKernel<Tensor>(
        tf.Dilation2DBackpropInput,
        { dy, x, filter: tf.zeros([filterHeight, filterWidth, inChannels]) },
        { strides: [strideHeight, strideWidth], pad, dilations: [1, 1] },
      );
    }),
);

// --- Matrices ---

/** Transposes the last two axes. */
function transposeMatrices(matrices: Tensor): Tensor {
  const axes = matrices.shape.map((_size, axis) => axis);
  return tf.transpose(matrices, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

// The backend's own product with a transposed matrix is a plain loop, ten times slower than the
// product, so the matrix is transposed first.
overrideKernel(
  tf.BatchMatMul,
  WASM,
  (inputs: { a: Tensor; b: Tensor }, attributes: tf.BatchMatMulAttrs, original) => {
    const { a, b } = inputs, { transposeA, transposeB } = attributes;
    if (!transposeA && !transposeB) return original(inputs, attributes);
    return tf.tidy(() =>
      tf.matMul(transposeA ? transposeMatrices(a) : a, transposeB ? transposeMatrices(b) : b)
    );
  },
);

// --- Other types than float32 ---

// The backend's own kernel copies numbers into a bool as they are, so 2 stays 2.
overrideKernel(
  tf.Cast,
  WASM,
  (inputs: { x: Tensor }, attributes: tf.CastAttrs, original) => {
    const { x } = inputs;
    if (attributes.dtype !== "bool" || x.dtype === "bool") return original(inputs, attributes);
    return tf.tidy(() => tf.notEqual(x, tf.zeros([], x.dtype)));
  },
);

// The backend's own kernel reads the bits of integers as floating-point numbers.
overrideKernel(
  tf.ClipByValue,
  WASM,
  (inputs: { x: Tensor }, attributes: tf.ClipByValueAttrs, original) => {
    const { x } = inputs, { clipValueMin, clipValueMax } = attributes;
    if (x.dtype === "float32") return original(inputs, attributes);
    return tf.tidy(() => {
      const low = tf.scalar(clipValueMin, x.dtype), high = tf.scalar(clipValueMax, x.dtype);
      return tf.minimum(tf.maximum(x, low), high);
    });
  },
);

// The backend's own kernel writes whole numbers, even where it says that they are float32.
overrideKernel(
  tf.OneHot,
  WASM,
  (inputs: { indices: Tensor1D }, attributes: tf.OneHotAttrs, original) => {
    const { depth, onValue, offValue, dtype } = attributes;
    if (dtype === "int32") return original(inputs, attributes);
    return tf.tidy(() =>
      tf.cast(tf.oneHot(inputs.indices, depth, onValue, offValue, "int32"), dtype)
    );
  },
);

// --- Parts of tensors ---

// Where a box is exactly as wide as its result, the backend's own kernel copies the first columns
// of the image. So every box is made a millionth narrower, far less than half a pixel.
overrideKernel(
  tf.CropAndResize,
  WASM,
  (
    inputs: { image: Tensor4D; boxes: Tensor2D; boxInd: Tensor1D },
    attributes: tf.CropAndResizeAttrs,
    original,
  ) =>
    tf.tidy(() => {
      const share = 1e-6;
      const narrow = [[1, 0, 0, 0], [0, 1, 0, share], [0, 0, 1, 0], [0, 0, 0, 1 - share]];
      const boxes: Tensor2D = tf.matMul(inputs.boxes, tf.tensor2d(narrow));
      return tf.engine().makeTensorFromTensorInfo(original({ ...inputs, boxes }, attributes));
    }),
);

// The gradient of gather, which the backend lacks.
overrideKernel(
  tf.UnsortedSegmentSum,
  WASM,
  (
    { x, segmentIds }: { x: Tensor; segmentIds: Tensor },
    { numSegments }: tf.UnsortedSegmentSumAttrs,
  ) =>
    tf.tidy(() =>
      tf.scatterND(tf.expandDims(segmentIds, 1), x, [numSegments, ...x.shape.slice(1)])
    ),
);
