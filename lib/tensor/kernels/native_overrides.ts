/** Kernels of TensorFlow.js's native backend whose work another op of TensorFlow's does faster. */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, nativeBackend } from "../backend/select.ts";
import { runOneDnnOp, runTensorFlowOp } from "../backend/tensorflow_op.ts";
import type { DataType, Tensor2D, Tensor4D } from "../types.ts";

/** Puts `kernel` in the place of the native backend's own, which it is given to fall back on. */
function replaceKernel(
  kernelName: string,
  kernel: (own: tf.KernelFunc) => tf.KernelFunc,
): void {
  const own = tf.getKernel(kernelName, NATIVE);
  if (!own) return; // Native TensorFlow is not loaded.
  tf.unregisterKernel(kernelName, NATIVE);
  tf.registerKernel({ ...own, kernelFunc: kernel(own.kernelFunc) });
}

// TensorFlow's batched product spends 100 µs on finding out what to do; its plain one a tenth of
// that. With large factors the batched one walks through memory faster, except for the gradient of
// the second factor.
replaceKernel(tf.BatchMatMul, (own) => (call) => {
  const a = call.inputs.a!, b = call.inputs.b!;
  const { transposeA, transposeB } = call.attrs as unknown as tf.BatchMatMulAttrs;
  const plain = a.shape.length === 2 && b.shape.length === 2 && a.dtype === "float32" &&
    b.dtype === "float32" && (transposeA || b.shape[0]! * b.shape[1]! <= 2 ** 20);
  if (!plain) return own(call);
  return runTensorFlowOp("MatMul", [a, b], {
    T: { type: "float32" },
    transpose_a: { bool: transposeA },
    transpose_b: { bool: transposeB },
  });
});

// A conversion to the type that a tensor has is a copy in TensorFlow.js's own kernel, which its
// means and poolings call each time; in bfloat16, of which TensorFlow.js does not know, it would
// not even be that.
replaceKernel(tf.Cast, (own) => (call) => {
  const { dataId, shape, dtype } = call.inputs.x!;
  const { dtype: wanted } = call.attrs as unknown as tf.CastAttrs;
  if (dtype !== wanted) return own(call);
  nativeBackend()!.incRef(dataId);
  return { dataId, shape, dtype };
});

function poolingAttributes(attrs: tf.NamedAttrMap | undefined) {
  const { filterSize, strides, pad } = attrs as unknown as tf.MaxPoolAttrs;
  const both = (size: number | [number, number]) => typeof size === "number" ? [size, size] : size;
  return {
    T: { type: "float32" },
    ksize: { integers: [1, ...both(filterSize), 1] },
    strides: { integers: [1, ...both(strides), 1] },
    padding: { string: String(pad).toUpperCase() },
    workspace_enabled: { bool: true },
  } as const;
}

// oneDNN notes which element of each window was the largest, where TensorFlow's own kernel searches
// again on the way back, on one thread.
replaceKernel(tf.MaxPool, (own) => (call) => {
  const { pad } = call.attrs as unknown as tf.MaxPoolAttrs;
  const x = call.inputs.x!;
  if (typeof pad !== "string" || x.dtype !== "float32") return own(call);
  const pooled = runOneDnnOp("_MklNativeMaxPool", [x], poolingAttributes(call.attrs), 2);
  if (!pooled) return own(call);
  const [y, places] = pooled;
  if (tf.engine().state.gradientDepth > 0) nativeBackend()!.attachWorkspace(y!, places!);
  else places!.dispose();
  return y!;
});
replaceKernel(tf.MaxPoolGrad, (own) => (call) => {
  const x = call.inputs.input!, y = call.inputs.output!, dy = call.inputs.dy!;
  const places = nativeBackend()?.workspaceOf(y);
  if (!places) return own(call);
  const attributes = poolingAttributes(call.attrs);
  const dx = runOneDnnOp("_MklNativeMaxPoolGrad", [x, y, dy, places], attributes, 1);
  return dx ? dx[0]! : own(call);
});

// The gradient of a kernel is a matrix product for each of its taps: of the pixels that the tap
// sees with the gradient of the output. For 1×1 kernels that product is faster than oneDNN's
// convolution, in bfloat16 two to three times; with nine taps only where maps of few pixels have
// many channels.
replaceKernel(tf.Conv2DBackpropFilter, (own) => (call) => {
  const x = call.inputs.x as Tensor4D, dy = call.inputs.dy as Tensor4D;
  const { strides, pad, filterShape } = call.attrs as unknown as tf.Conv2DBackpropFilterAttrs;
  const [vertical, horizontal] = typeof strides === "number" ? [strides, strides] : strides;
  const [height, width, inChannels, outChannels] = filterShape;
  const [batch, rows, columns] = dy.shape;
  const single = height * width * vertical * horizontal === 1;
  const small = rows * columns <= 16 && batch >= 32 && Math.min(inChannels, outChannels) >= 256 &&
    nativeBackend()?.autocast.isActive;
  if (!(single || small) || (pad !== "valid" && pad !== "same")) return own(call);
  return tf.tidy(() => {
    const gradient: Tensor2D = tf.reshape(dy, [-1, outChannels]);
    const product = (seen: tf.Tensor): Tensor2D =>
      tf.matMul(tf.reshape<tf.Rank.R2>(seen, [-1, inChannels]), gradient, true);
    if (single) return tf.reshape(product(x), filterShape);
    const extent = [(rows - 1) * vertical + 1, (columns - 1) * horizontal + 1] as const;
    const around = (missing: number): [number, number] => [
      Math.max(0, Math.floor(missing / 2)),
      Math.max(0, Math.ceil(missing / 2)),
    ];
    const padded = tf.pad(x, [
      [0, 0],
      around(extent[0] + height - 1 - x.shape[1]),
      around(extent[1] + width - 1 - x.shape[2]),
      [0, 0],
    ]);
    const taps = Array.from({ length: height * width }, (_, tap) => {
      const row = Math.floor(tap / width), column = tap % width;
      const seen: Tensor4D = tf.slice(padded, [0, row, column, 0], [batch, ...extent, inChannels]);
      const skips = vertical * horizontal > 1;
      return product(skips ? tf.avgPool(seen, 1, [vertical, horizontal], "valid") : seen);
    });
    return tf.reshape(tf.stack(taps), filterShape);
  });
});

// The first version of TensorFlow's batch normalisation knows float32 only, so that in bfloat16 all
// maps would be converted twice.
replaceKernel(tf.FusedBatchNorm, (own) => (call) => {
  const { x, mean, variance, scale, offset } = call.inputs;
  if (!scale || !offset || mean!.shape.length !== 1) return own(call);
  const { varianceEpsilon } = call.attrs as unknown as tf.FusedBatchNormAttrs;
  const [y, ...rest] = runTensorFlowOp("FusedBatchNormV3", [x!, scale, offset, mean!, variance!], {
    T: { type: "float32" },
    U: { type: "float32" },
    epsilon: { float: varianceEpsilon },
    data_format: { string: "NHWC" },
    is_training: { bool: false },
  }, 6);
  tf.dispose(rest);
  return y!;
});

// On the way back from pooling windows of one pixel, which only leave pixels out, zeros go between
// those that were taken: a padding, if each row and column of pixels is seen as one of blocks, and
// a pixel of zeros as more channels.
replaceKernel(tf.AvgPoolGrad, (own) => (call) => {
  const { filterSize, strides } = call.attrs as unknown as tf.AvgPoolAttrs;
  const [vertical, horizontal] = typeof strides === "number" ? [strides, strides] : strides;
  const dy = call.inputs.dy as Tensor4D;
  const [batch, rows, columns, channels] = dy.shape;
  const shape = [batch, rows * vertical, columns * horizontal, channels];
  const takesOne = String(filterSize) === "1" || String(filterSize) === "1,1";
  if (!takesOne || String(shape) !== String(call.inputs.input!.shape)) return own(call);
  return tf.tidy(() => {
    const blocks = tf.reshape(dy, [batch, rows, 1, columns, channels]);
    const zeros: [number, number] = [0, (horizontal - 1) * channels];
    return tf.reshape(tf.pad(blocks, [[0, 0], [0, 0], [0, vertical - 1], [0, 0], zeros]), shape);
  });
});

// TensorFlow.js's own kernel reads the indices to check them, which ops.gather has done, and which
// a graph cannot.
replaceKernel(tf.GatherV2, () => (call) => {
  const x = call.inputs.x!, indices = call.inputs.indices!;
  const { axis, batchDims } = call.attrs as unknown as tf.GatherV2Attrs;
  return tf.tidy(() =>
    runTensorFlowOp("GatherV2", [x, indices, tf.scalar(axis, "int32")], {
      batch_dims: { integer: batchDims },
      Tparams: { type: x.dtype as DataType },
      Tindices: { type: "int32" },
      Taxis: { type: "int32" },
    })
  );
});

// TensorFlow.js's own kernels leave out the type of the tensor, or give another than it has. That
// is enough to run an op, but not for a node of a graph.
replaceKernel(tf.ExpandDims, () => (call) => {
  const x = call.inputs.input!;
  const { dim } = call.attrs as unknown as tf.ExpandDimsAttrs;
  return tf.tidy(() =>
    runTensorFlowOp("ExpandDims", [x, tf.scalar(dim, "int32")], {
      T: { type: x.dtype as DataType },
      Tdim: { type: "int32" },
    })
  );
});
replaceKernel(tf.Mean, (own) => (call) => {
  if (call.inputs.x!.dtype === "float32") return own(call);
  const x = tf.cast(call.inputs.x as tf.Tensor, "float32");
  const mean = own({ ...call, inputs: { x } });
  x.dispose();
  return mean;
});
