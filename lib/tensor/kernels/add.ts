/**
 * Sums whose gradients do not ask for what was added. TensorFlow.js keeps both terms of every sum for the way back, for their shapes
 * alone; in a residual network that is one more map for each block.
 */
import * as tf from "@tensorflow/tfjs-core";
import { FALLBACK_BACKENDS, NATIVE } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import type { Tensor, Tensor1D } from "../types.ts";

const SUM = "ResnetLabSum";
const BIAS_SUM = "ResnetLabBiasSum";
const BIAS_GRADIENT = "ResnetLabBiasGradient";
const float = { T: { type: "float32" } } as const;
const channelsLast = { ...float, data_format: { string: "NHWC" } } as const;

tf.registerKernel({
  kernelName: SUM,
  backendName: NATIVE,
  // Not "Add": in a graph TensorFlow fuses a convolution only with a sum of which it knows that the shapes are equal.
  kernelFunc: ({ inputs }) =>
    runTensorFlowOp("AddN", [inputs.a!, inputs.b!], { ...float, N: { integer: 2 } }),
});
tf.registerKernel({
  kernelName: BIAS_SUM,
  backendName: NATIVE,
  kernelFunc: ({ inputs }) => runTensorFlowOp("BiasAdd", [inputs.x!, inputs.bias!], channelsLast),
});
tf.registerKernel({
  kernelName: BIAS_GRADIENT,
  backendName: NATIVE,
  kernelFunc: ({ inputs }) => {
    const sum = (dy: tf.TensorInfo) => runTensorFlowOp("BiasAddGrad", [dy], channelsLast);
    const dy = inputs.dy as Tensor, [batch, ...axes] = dy.shape, channels = axes.at(-1)!;
    if (axes.length === 1 || channels >= 16) return sum(dy);
    // Few channels fill no register of the processor, so first sum each pixel of each channel over the batch.
    return tf.tidy(() => sum(tf.reshape(sum(tf.reshape(dy, [batch!, -1])), [-1, channels])));
  },
});
for (const backendName of FALLBACK_BACKENDS) {
  tf.registerKernel({
    kernelName: SUM,
    backendName,
    kernelFunc: ({ inputs }) => tf.add(inputs.a as Tensor, inputs.b as Tensor),
  });
  tf.registerKernel({
    kernelName: BIAS_SUM,
    backendName,
    kernelFunc: ({ inputs }) => tf.add(inputs.x as Tensor, inputs.bias as Tensor),
  });
  tf.registerKernel({
    kernelName: BIAS_GRADIENT,
    backendName,
    kernelFunc: ({ inputs }) => {
      const dy = inputs.dy as Tensor;
      return tf.sum(dy, dy.shape.slice(1).map((_, axis) => axis));
    },
  });
}
tf.registerGradient({
  kernelName: SUM,
  gradFunc: (dy) => ({ a: () => tf.clone(dy as Tensor), b: () => tf.clone(dy as Tensor) }),
});
tf.registerGradient({
  kernelName: BIAS_SUM,
  gradFunc: (dy) => ({
    x: () => tf.clone(dy as Tensor),
    bias: () => biasGradient(dy as Tensor),
  }),
});
tf.registerGradient({
  kernelName: BIAS_GRADIENT,
  inputsToSave: ["dy"],
  gradFunc: (dBias, [dy]) => ({ dy: () => tf.add(tf.zerosLike(dy!), dBias as Tensor) }),
});

/** `a + b`, broadcast. */
export function add(a: Tensor | number, b: Tensor | number): Tensor {
  if (isFloat(a) && isFloat(b)) {
    if (String(a.shape) === String(b.shape)) return tf.engine().runKernel(SUM, { a, b });
    if (b.rank === 1 && a.rank > 1 && a.size > 0 && a.shape[a.rank - 1] === b.size) {
      return addBias(a, b as Tensor1D);
    }
  }
  return tf.add(a, b);
}

function isFloat(x: Tensor | number): x is Tensor {
  return typeof x !== "number" && x.dtype === "float32";
}

/** A number for each channel, the last axis, added. */
export function addBias<T extends Tensor>(x: T, bias: Tensor1D): T {
  return tf.engine().runKernel<T>(BIAS_SUM, { x, bias });
}

/** The gradient of a bias: that of what it was added to, summed over all axes but the channels. */
export function biasGradient(dy: Tensor): Tensor1D {
  return tf.engine().runKernel(BIAS_GRADIENT, { dy });
}
