/** A convolution with its bias, as one kernel. */
import * as tf from "@tensorflow/tfjs-core";
import { FALLBACK_BACKENDS, NATIVE, nativeBackend } from "../backend/select.ts";
import { runOneDnnOp } from "../backend/tensorflow_op.ts";
import { addBias, biasGradient } from "./add.ts";
import type { Tensor1D, Tensor4D } from "../types.ts";

const WITH_BIAS = "ResnetLabConv2DWithBias";
/** A convolution and its bias, without a pass over memory for the bias where there is oneDNN. */
function convolveWithBias({ inputs, attrs }: Parameters<tf.KernelFunc>[0]): tf.TensorInfo {
  const { x, filter, bias } = inputs as Record<"x" | "filter", Tensor4D> & { bias: Tensor1D };
  const { strides, pad } = attrs as unknown as { strides: [number, number]; pad: "same" | "valid" };
  // In a graph TensorFlow fuses the two itself, and what follows them too.
  const fused = nativeBackend()?.capture.isCapturing
    ? undefined
    : runOneDnnOp("_MklNativeConv2DWithBias", [x, filter, bias], {
      T: { type: "float32" },
      strides: { integers: [1, ...strides, 1] },
      padding: { string: pad.toUpperCase() },
    }, 1);
  if (fused) return fused[0]!;
  return tf.tidy(() => addBias(tf.conv2d(x, filter, strides, pad), bias));
}
for (const backendName of [NATIVE, ...FALLBACK_BACKENDS]) {
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

export function convolve(
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
