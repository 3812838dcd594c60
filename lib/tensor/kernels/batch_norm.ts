/**
 * Batch normalisation in training: TensorFlow's `FusedBatchNormV3` and its gradient on native
 * TensorFlow, a composition elsewhere.
 */
import * as tf from "@tensorflow/tfjs-core";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { defineKernel, type RunKernel } from "./define.ts";
import { fusedAttributes } from "./fused_batch_norm.ts";
import type { Tensor, Tensor1D } from "../types.ts";

/** Attributes of batch normalisation. */
export type Attributes = { epsilon: number; momentum: number };

/**
 * Returns the mean and biased variance of each channel, `1 / √(variance + epsilon)`, and `x`
 * normalised with them.
 */
function normalize(x: Tensor, epsilon: number) {
  const { mean, variance } = tf.moments(x, [0, 1, 2]);
  const inverse = tf.rsqrt(tf.add(variance, epsilon));
  return { mean, variance, inverse, normalized: tf.mul(tf.sub(x, mean), inverse) };
}

type BackpropInputs = {
  dy: Tensor;
  x: Tensor;
  weight: Tensor1D;
  // Outputs of FusedBatchNormV3 for its gradient, on native TensorFlow only.
  reserve1?: Tensor;
  reserve2?: Tensor;
  reserve3?: Tensor;
};
/** The gradients of x, weight and bias. */
const batchNormBackprop: RunKernel<BackpropInputs, Tensor[], Attributes> = defineKernel(
  "ResnetLabBatchNormBackprop",
  {
    native: (inputs: BackpropInputs, attributes: Attributes): Tensor[] => {
      const { dy, x, weight, reserve1, reserve2, reserve3 } = inputs;
      const outputs = runTensorFlowOp(
        "FusedBatchNormGradV3",
        [dy, x, weight, reserve1!, reserve2!, reserve3!],
        fusedAttributes(attributes.epsilon),
        5,
      );
      // The last two are empty.
      return outputs.slice(0, 3);
    },
    // Ioffe and Szegedy 2015, section 3, with the gradients of mean and variance put in.
    fallback: ({ dy, x, weight }, { epsilon }) => {
      const count = x.size / weight.size;
      const { inverse, normalized } = normalize(x, epsilon);
      const dBias = tf.sum(dy, [0, 1, 2]);
      const dWeight = tf.sum(tf.mul(dy, normalized), [0, 1, 2]);
      const centred = tf.sub(
        tf.sub(dy, tf.div(dBias, count)),
        tf.mul(normalized, tf.div(dWeight, count)),
      );
      return [tf.mul(centred, tf.mul(weight, inverse)), dWeight, dBias];
    },
  },
);

export type BatchNormInputs = {
  /** `[batch, height, width, channels]` */
  x: Tensor;
  weight: Tensor1D;
  bias: Tensor1D;
  /** Running statistics to update; without them the statistics of the batch are returned. */
  mean?: Tensor1D;
  variance?: Tensor1D;
};
/** The normalised `x`, and the mean and unbiased variance; native TensorFlow adds three outputs. */
export const batchNorm: RunKernel<BatchNormInputs, Tensor[], Attributes> = defineKernel(
  "ResnetLabBatchNorm",
  {
    native: (inputs: BatchNormInputs, attributes: Attributes): Tensor[] => {
      const { x, weight, bias, mean, variance } = inputs, empty = tf.tensor1d([]);
      const outputs = runTensorFlowOp(
        "FusedBatchNormV3",
        [x, weight, bias, mean ?? empty, variance ?? empty],
        {
          ...fusedAttributes(attributes.epsilon),
          exponential_avg_factor: { float: attributes.momentum },
        },
        6,
      );
      empty.dispose();
      return outputs;
    },
    fallback: ({ x, weight, bias, mean, variance }, { epsilon, momentum }) => {
      const count = x.size / weight.size;
      const batch = normalize(x, epsilon);
      const update = (running: Tensor | undefined, latest: Tensor) =>
        running ? tf.add(tf.mul(running, 1 - momentum), tf.mul(latest, momentum)) : latest;
      return [
        tf.add(tf.mul(batch.normalized, weight), bias),
        update(mean, batch.mean),
        update(variance, tf.mul(batch.variance, count / Math.max(1, count - 1))),
      ];
    },
    gradient: {
      savedInputs: ["x", "weight"],
      savedOutputs: [3, 4, 5],
      compute: (dy, { x, weight }, [reserve1, reserve2, reserve3], attributes) => {
        const reserves = reserve1 && { reserve1, reserve2, reserve3 };
        // One op computes all three gradients, so it runs here and not when each is asked for.
        const [dx, dWeight, dBias] = batchNormBackprop({ dy, x, weight, ...reserves }, attributes);
        return { x: () => dx!, weight: () => dWeight!, bias: () => dBias! };
      },
    },
  },
);
