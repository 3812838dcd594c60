/**
 * Kernels of TensorFlow.js's native backend that another TensorFlow op does faster, or that cannot
 * become nodes of a graph. `pooling.ts` has those of pooling.
 */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, nativeBackend } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { overrideKernel } from "./define.ts";
import { pair } from "./geometry.ts";
import type { DataType, Tensor, Tensor1D, Tensor2D, Tensor4D } from "../types.ts";

type Shape4D = [height: number, width: number, inChannels: number, outChannels: number];

// TensorFlow.js always calls the batched product, which needs 100 µs to start; the plain one needs
// a tenth of that. With large factors the batched one walks through memory faster, except for the
// gradient of the second factor.
overrideKernel(
  tf.BatchMatMul,
  NATIVE,
  (inputs: { a: Tensor; b: Tensor }, attributes: tf.BatchMatMulAttrs, original) => {
    const { a, b } = inputs, { transposeA, transposeB } = attributes;
    const isPlain = a.shape.length === 2 && b.shape.length === 2 && a.dtype === "float32" &&
      b.dtype === "float32" && (transposeA || b.shape[0]! * b.shape[1]! <= 2 ** 20);
    if (!isPlain) return original(inputs, attributes);
    return runTensorFlowOp("MatMul", [a, b], {
      T: { type: "float32" },
      transpose_a: { bool: transposeA },
      transpose_b: { bool: transposeB },
    });
  },
);

// TensorFlow.js copies a tensor that it converts to its own type, and its kernels for means and
// pooling do so at each call. A bfloat16 tensor, of which TensorFlow.js does not know, would become
// float32.
overrideKernel(
  tf.Cast,
  NATIVE,
  (inputs: { x: Tensor }, attributes: tf.CastAttrs, original) => {
    const { dataId, shape, dtype } = inputs.x;
    if (dtype !== attributes.dtype) return original(inputs, attributes);
    nativeBackend()!.incRef(dataId);
    return { dataId, shape, dtype };
  },
);

// In a graph TensorFlow takes oneDNN's softmax, which loses NaN on processors with AVX-512.
overrideKernel(
  tf.Softmax,
  NATIVE,
  (inputs: { logits: Tensor }, attributes: tf.SoftmaxAttrs, original) => {
    const native = nativeBackend()!;
    if (native.capture.isCapturing) native.areFinite([inputs.logits]);
    return original(inputs, attributes);
  },
);

// The gradient of a convolution's weight has another form, which is faster in some cases.
overrideKernel(
  tf.Conv2DBackpropFilter,
  NATIVE,
  (
    inputs: { x: Tensor4D; dy: Tensor4D },
    attributes: tf.Conv2DBackpropFilterAttrs,
    original,
  ) => {
    const { x, dy } = inputs, { pad, filterShape } = attributes;
    const strides = pair(attributes.strides);
    const [height, width, inChannels, outChannels] = filterShape;
    const [batch, rows, columns] = dy.shape;
    const isAutocast = nativeBackend()?.autocast.isActive, skips = strides[0] * strides[1] > 1;
    if (pad !== "valid" && pad !== "same") return original(inputs, attributes);
    // For 1×1 kernels the product is faster than oneDNN's convolution, in bfloat16 two to three
    // times. For 3×3 kernels it is faster only where feature maps of few pixels have many channels.
    const isSmall = rows * columns <= 16 && batch >= 32 &&
      Math.min(inChannels, outChannels) >= 256 && isAutocast;
    return height * width === 1 && !skips || isSmall
      ? tf.tidy(() => productPerPosition(x, dy, filterShape, strides))
      : original(inputs, attributes);
  },
);

/**
 * Returns the gradient of a convolution's weight as one matrix product for each kernel position: of
 * the pixels under that position, and the gradient of the output.
 */
function productPerPosition(
  x: Tensor4D,
  dy: Tensor4D,
  filterShape: Shape4D,
  strides: readonly [vertical: number, horizontal: number],
): Tensor4D {
  const [height, width, inChannels, outChannels] = filterShape;
  const gradient: Tensor2D = tf.reshape(dy, [-1, outChannels]);
  const product = (pixels: Tensor): Tensor2D =>
    tf.matMul(tf.reshape<tf.Rank.R2>(pixels, [-1, inChannels]), gradient, true);
  if (height * width === 1) return tf.reshape(product(x), filterShape);
  const padded = padLike(x, dy, filterShape, strides);
  const products = Array.from({ length: height * width }, (_, position) => {
    const row = Math.floor(position / width), column = position % width;
    const pixels: Tensor4D = tf.slice(padded, [0, row, column, 0], [
      dy.shape[0],
      ...extent(dy, strides),
      inChannels,
    ]);
    const skips = strides[0] * strides[1] > 1;
    return product(skips ? tf.avgPool(pixels, 1, [...strides], "valid") : pixels);
  });
  return tf.reshape(tf.stack(products), filterShape);
}

/** Returns the number of rows and columns from the first kernel position to the last. */
function extent(
  { shape: [, rows, columns] }: Tensor4D,
  [vertical, horizontal]: readonly [vertical: number, horizontal: number],
): [rows: number, columns: number] {
  return [(rows - 1) * vertical + 1, (columns - 1) * horizontal + 1];
}

/** Pads images as the convolution did whose output has the gradient `dy`. */
function padLike(
  x: Tensor4D,
  dy: Tensor4D,
  [height, width]: Shape4D,
  strides: readonly [vertical: number, horizontal: number],
): Tensor4D {
  const [rows, columns] = extent(dy, strides);
  const around = (missing: number): [number, number] => [
    Math.max(0, Math.floor(missing / 2)),
    Math.max(0, Math.ceil(missing / 2)),
  ];
  return tf.pad(x, [
    [0, 0],
    around(rows + height - 1 - x.shape[1]),
    around(columns + width - 1 - x.shape[2]),
    [0, 0],
  ]);
}

// TensorFlow.js calls the first version of TensorFlow's batch normalisation. It takes float32 only,
// so in bfloat16 all feature maps would be converted twice.
overrideKernel(
  tf.FusedBatchNorm,
  NATIVE,
  (
    inputs: {
      x: Tensor;
      mean: Tensor;
      variance: Tensor;
      scale?: Tensor1D;
      offset?: Tensor1D;
    },
    attributes: tf.FusedBatchNormAttrs,
    original,
  ) => {
    const { x, mean, variance, scale, offset } = inputs;
    if (!scale || !offset || mean.shape.length !== 1) return original(inputs, attributes);
    const [y, ...rest] = runTensorFlowOp("FusedBatchNormV3", [x, scale, offset, mean, variance], {
      T: { type: "float32" },
      U: { type: "float32" },
      epsilon: { float: attributes.varianceEpsilon },
      data_format: { string: "NHWC" },
      is_training: { bool: false },
    }, 6);
    tf.dispose(rest);
    return y!;
  },
);

// TensorFlow.js reads the indices to check them, which a graph cannot. ops.gather checks them.
overrideKernel(
  tf.GatherV2,
  NATIVE,
  ({ x, indices }: { x: Tensor; indices: Tensor }, { axis, batchDims }: tf.GatherV2Attrs) =>
    tf.tidy(() =>
      runTensorFlowOp("GatherV2", [x, indices, tf.scalar(axis, "int32")], {
        batch_dims: { integer: batchDims },
        Tparams: { type: x.dtype as DataType },
        Tindices: { type: "int32" },
        Taxis: { type: "int32" },
      })
    ),
);

// TensorFlow.js passes no type for the input of ExpandDims, and a wrong one for the input of Mean.
// An op runs all the same, but a node of a graph needs the right type.
overrideKernel(
  tf.ExpandDims,
  NATIVE,
  ({ input }: { input: Tensor }, { dim }: tf.ExpandDimsAttrs) =>
    tf.tidy(() =>
      runTensorFlowOp("ExpandDims", [input, tf.scalar(dim, "int32")], {
        T: { type: input.dtype as DataType },
        Tdim: { type: "int32" },
      })
    ),
);
overrideKernel(
  tf.Mean,
  NATIVE,
  (inputs: { x: Tensor }, attributes: tf.MeanAttrs, original) => {
    if (inputs.x.dtype === "float32") return original(inputs, attributes);
    const x = tf.cast(inputs.x, "float32");
    const mean = original({ x }, attributes);
    x.dispose();
    return mean;
  },
);
