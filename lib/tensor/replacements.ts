/** Kernels of TensorFlow.js's native backend whose work another op of TensorFlow's does faster. */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, nativeBackend, onNativeCpu, runTensorFlowOp } from "./backend.ts";
import type { Tensor2D, Tensor4D } from "./types.ts";

const sliceAttributes = { T: { type: "float32" }, Index: { type: "int32" } } as const;

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

// TensorFlow's batched product spends 100 µs on finding out what to do; its plain one a tenth of that. With large factors the batched
// one walks through memory faster, except for the gradient of the second factor.
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

/** Whether TensorFlow has oneDNN's pooling, as it mostly has on x86; found out at the first use. */
let hasOneDnn = true;

function poolingAttributes(attrs: tf.NamedAttrMap | undefined) {
  const { filterSize, strides, pad } = attrs as unknown as tf.MaxPoolAttrs;
  const both = (size: number | [number, number]) => typeof size === "number" ? [size, size] : size;
  return {
    T: { type: "float32" },
    ksize: { integers: [1, ...both(filterSize), 1] },
    strides: { integers: [1, ...both(strides), 1] },
    padding: { string: String(pad).toUpperCase() },
    workspace_enabled: { bool: true },
    _kernel: { string: "MklNameChangeOp" }, // oneDNN's mark of its kernels for TensorFlow's own layout
  } as const;
}

// oneDNN notes which element of each window was the largest, where TensorFlow's own kernel searches again on the way back, on one thread.
replaceKernel(tf.MaxPool, (own) => (call) => {
  const { pad } = call.attrs as unknown as tf.MaxPoolAttrs;
  const x = call.inputs.x!;
  if (!hasOneDnn || !onNativeCpu() || typeof pad !== "string" || x.dtype !== "float32") {
    return own(call);
  }
  try {
    const [y, places] = runTensorFlowOp("_MklNativeMaxPool", [x], poolingAttributes(call.attrs), 2);
    if (tf.engine().state.gradientDepth > 0) nativeBackend()!.attach(y!, places!);
    else places!.dispose();
    return y!;
  } catch {
    hasOneDnn = false;
    return own(call);
  }
});
replaceKernel(tf.MaxPoolGrad, (own) => (call) => {
  const x = call.inputs.input!, y = call.inputs.output!, dy = call.inputs.dy!;
  const places = nativeBackend()?.companionOf(y);
  if (!places) return own(call);
  const attributes = poolingAttributes(call.attrs);
  return runTensorFlowOp("_MklNativeMaxPoolGrad", [x, y, dy, places], attributes);
});

// The gradient of a kernel is a matrix product for each of its taps: of the pixels that the tap sees with the gradient of the output. For
// 1×1 kernels that product is faster than oneDNN's convolution, in bfloat16 two to three times; with nine taps only where maps of few
// pixels have many channels.
replaceKernel(tf.Conv2DBackpropFilter, (own) => (call) => {
  const x = call.inputs.x as Tensor4D, dy = call.inputs.dy as Tensor4D;
  const { strides, pad, filterShape } = call.attrs as unknown as tf.Conv2DBackpropFilterAttrs;
  const [vertical, horizontal] = typeof strides === "number" ? [strides, strides] : strides;
  const [height, width, inChannels, outChannels] = filterShape;
  const [batch, rows, columns] = dy.shape;
  const single = height * width * vertical * horizontal === 1;
  const small = rows * columns <= 16 && batch >= 32 && Math.min(inChannels, outChannels) >= 256 &&
    nativeBackend()?.isInBfloat16;
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
      const range = [
        [0, row, column, 0],
        [batch, row + extent[0], column + extent[1], inChannels],
        [1, vertical, horizontal, 1],
      ].map((bound) => tf.tensor1d(bound, "int32"));
      return product(runTensorFlowOp("StridedSlice", [padded, ...range], sliceAttributes));
    });
    return tf.reshape(tf.stack(taps), filterShape);
  });
});

// The first version of TensorFlow's batch normalisation knows float32 only, so that in bfloat16 all maps would be converted twice.
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

// A conversion to the type that a tensor has is a copy in TensorFlow.js's own kernel, which its mean calls each time.
replaceKernel(tf.Cast, (own) => (call) => {
  const x = call.inputs.x!, native = nativeBackend();
  const { dtype } = call.attrs as unknown as tf.CastAttrs;
  const isFloat = native && native.tensorMap.get(x.dataId)?.dtype === native.binding.TF_FLOAT;
  if (!isFloat || dtype !== "float32") return own(call);
  native.incRef(x.dataId);
  return { dataId: x.dataId, shape: x.shape, dtype };
});

// Pooling windows of one pixel only leave pixels out, which TensorFlow has an op for, several times as fast on the way back.
function everyNth(images: readonly number[], { filterSize, strides }: tf.AvgPoolAttrs) {
  if (String(filterSize) !== "1" && String(filterSize) !== "1,1") return undefined;
  const [vertical, horizontal] = typeof strides === "number" ? [strides, strides] : strides;
  const range = [[0, 0, 0, 0], images, [1, vertical, horizontal, 1]];
  return range.map((bound) => tf.tensor1d([...bound], "int32"));
}
replaceKernel(tf.AvgPool, (own) => (call) => {
  const x = call.inputs.x!;
  const range = everyNth(x.shape, call.attrs as unknown as tf.AvgPoolAttrs);
  if (!range) return own(call);
  const y = runTensorFlowOp("StridedSlice", [x, ...range], sliceAttributes);
  tf.dispose(range);
  return y;
});
replaceKernel(tf.AvgPoolGrad, (own) => (call) => {
  const shape = call.inputs.input!.shape;
  const range = everyNth(shape, call.attrs as unknown as tf.AvgPoolAttrs);
  if (!range) return own(call);
  const size = tf.tensor1d(shape, "int32");
  const dx = runTensorFlowOp(
    "StridedSliceGrad",
    [size, ...range, call.inputs.dy!],
    sliceAttributes,
  );
  tf.dispose([size, ...range]);
  return dx;
});
