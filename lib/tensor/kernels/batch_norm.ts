/**
 * Batch normalisation, fused: TensorFlow's `FusedBatchNormV3` and its gradient on the native
 * backend, a composition of ops elsewhere.
 */
import * as tf from "@tensorflow/tfjs-core";
import { FALLBACK_BACKENDS, NATIVE } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import type { Tensor } from "../types.ts";

export const BATCH_NORM = "ResnetLabBatchNorm";
const BATCH_NORM_BACKPROP = "ResnetLabBatchNormBackprop";

function fusedAttributes({ epsilon }: tf.NamedAttrMap) {
  return {
    T: { type: "float32" },
    U: { type: "float32" },
    epsilon: { float: epsilon as number },
    data_format: { string: "NHWC" },
    is_training: { bool: true },
  } as const;
}
tf.registerKernel({
  kernelName: BATCH_NORM,
  backendName: NATIVE,
  kernelFunc: ({ inputs, attrs }) => {
    const empty = tf.tensor1d([]);
    const outputs = runTensorFlowOp(
      "FusedBatchNormV3",
      [inputs.x!, inputs.scale!, inputs.offset!, inputs.mean ?? empty, inputs.variance ?? empty],
      {
        ...fusedAttributes(attrs!),
        exponential_avg_factor: { float: attrs!.momentum as number },
      },
      6,
    );
    empty.dispose();
    return outputs;
  },
});
tf.registerKernel({
  kernelName: BATCH_NORM_BACKPROP,
  backendName: NATIVE,
  kernelFunc: ({ inputs, attrs }) => {
    const outputs = runTensorFlowOp(
      "FusedBatchNormGradV3",
      [inputs.dy!, inputs.x!, inputs.scale!, inputs[0]!, inputs[1]!, inputs[2]!],
      fusedAttributes(attrs!),
      5,
    );
    // The last two are empty.
    return outputs.slice(0, 3);
  },
});

/**
 * What both directions need: mean and biased variance of each channel, `1/√(variance + epsilon)`,
 * and x normalised with them.
 */
function normalize(x: Tensor, epsilon: number) {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  return { mean, variance, inverse, normalized: tf.mul(tf.sub(x, mean), inverse) };
}
for (const backendName of FALLBACK_BACKENDS) {
  tf.registerKernel({
    kernelName: BATCH_NORM,
    backendName,
    kernelFunc: ({ inputs, attrs }) =>
      tf.tidy(() => {
        const x = inputs.x as Tensor;
        const count = x.size / inputs.scale!.shape[0]!;
        const { mean, variance, normalized } = normalize(x, attrs!.epsilon as number);
        const follow = (running: tf.TensorInfo | undefined, batch: Tensor) => {
          const momentum = attrs!.momentum as number;
          if (!running) return batch;
          return tf.add(tf.mul(running as Tensor, 1 - momentum), tf.mul(batch, momentum));
        };
        return [
          tf.add(tf.mul(normalized, inputs.scale as Tensor), inputs.offset as Tensor),
          follow(inputs.mean, mean),
          follow(inputs.variance, tf.mul(variance, count / Math.max(1, count - 1))),
        ];
      }),
  });
  tf.registerKernel({
    kernelName: BATCH_NORM_BACKPROP,
    backendName,
    // Ioffe and Szegedy 2015, section 3, with the gradients of mean and variance put in.
    kernelFunc: ({ inputs, attrs }) =>
      tf.tidy(() => {
        const x = inputs.x as Tensor, dy = inputs.dy as Tensor;
        const count = x.size / inputs.scale!.shape[0]!;
        const { inverse, normalized } = normalize(x, attrs!.epsilon as number);
        const dOffset = tf.sum(dy, [0, 1, 2]);
        const dScale = tf.sum(tf.mul(dy, normalized), [0, 1, 2]);
        const centred = tf.sub(
          tf.sub(dy, tf.div(dOffset, count)),
          tf.mul(normalized, tf.div(dScale, count)),
        );
        const dx = tf.mul(centred, tf.mul(inputs.scale as Tensor, inverse));
        return [dx, dScale, dOffset];
      }),
  });
}
tf.registerGradient({
  kernelName: BATCH_NORM,
  inputsToSave: ["x", "scale"],
  // The native op gives three more outputs, for its gradient.
  outputsToSave: [false, false, false, true, true, true],
  gradFunc: (dy, [x, scale, ...reserved], attrs) => {
    // One op gives all three gradients, so it runs here and not when each is asked for.
    const [dx, dScale, dOffset] = tf.engine().runKernel<Tensor[]>(
      BATCH_NORM_BACKPROP,
      {
        dy: (dy as Tensor[])[0]!,
        x: x!,
        scale: scale!,
        ...Object.fromEntries(reserved.entries()),
      },
      attrs,
    );
    return { x: () => dx!, scale: () => dScale!, offset: () => dOffset! };
  },
});
