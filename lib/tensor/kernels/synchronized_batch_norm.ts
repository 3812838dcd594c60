/**
 * Batch normalisation in training over a batch that several processes share: each has a part of it
 * ({@linkcode BatchPart}). Forward they add up the count, the sum and the sum of squares of each
 * channel, backward the two sums in the gradient of `x` (Ioffe and Szegedy 2015, section 3).
 */
import * as tf from "@tensorflow/tfjs-core";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { batchPart } from "../batch_part.ts";
import type { Tensor, Tensor1D } from "../types.ts";
import type { Attributes, BatchNormInputs } from "./batch_norm.ts";
import { defineKernel, type RunKernel } from "./define.ts";
import { fusedAttributes } from "./fused_batch_norm.ts";

/** The mean and the unbiased variance of each channel of `x`. */
const moments: RunKernel<{ x: Tensor }, Tensor[]> = defineKernel("ResnetLabChannelMoments", {
  native: ({ x }: { x: Tensor }): Tensor[] => {
    const ones = tf.ones([x.shape.at(-1)!]), empty = tf.tensor1d([]);
    const inputs = [x, ones, ones, empty, empty];
    const [y, mean, variance, ...rest] = runTensorFlowOp(
      "FusedBatchNormV3",
      inputs,
      fusedAttributes(1e-5),
      6,
    );
    tf.dispose([ones, empty, y!, ...rest]);
    return [mean!, variance!];
  },
  fallback: ({ x }) => {
    const { mean, variance } = tf.moments(x, [0, 1, 2]), count = x.size / mean.size;
    return [mean, tf.mul(variance, count / Math.max(1, count - 1))];
  },
});

type FrozenInputs = { dy: Tensor; x: Tensor; weight: Tensor; mean: Tensor; variance: Tensor };
/** The gradients of x, weight and bias if mean and variance were constant. */
const frozenBackprop: RunKernel<FrozenInputs, Tensor[], { epsilon: number }> = defineKernel(
  "ResnetLabFrozenBatchNormBackprop",
  {
    native: ({ dy, x, weight, mean, variance }: FrozenInputs, { epsilon }: { epsilon: number }) => {
      const empty = tf.tensor1d([]);
      const [dx, dWeight, dBias, ...rest] = runTensorFlowOp(
        "FusedBatchNormGradV3",
        [dy, x, weight, mean, variance, empty],
        fusedAttributes(epsilon, false),
        5,
      );
      tf.dispose([empty, ...rest]);
      return [dx!, dWeight!, dBias!];
    },
    fallback: ({ dy, x, weight, mean, variance }, { epsilon }) => {
      const inverse = tf.rsqrt(tf.add(variance, epsilon));
      const normalized = tf.mul(tf.sub(x, mean), inverse);
      return [
        tf.mul(dy, tf.mul(weight, inverse)),
        tf.sum(tf.mul(dy, normalized), [0, 1, 2]),
        tf.sum(dy, [0, 1, 2]),
      ];
    },
  },
);

type BackpropInputs = FrozenInputs & { count: Tensor };
/** The gradients of x, weight and bias. Those of weight and bias are sums over this part only. */
const backprop: RunKernel<BackpropInputs, Tensor[], Attributes> = defineKernel(
  "ResnetLabSynchronizedBatchNormBackprop",
  {
    fallback: ({ count, ...inputs }: BackpropInputs, { epsilon }: Attributes) => {
      const { x, weight, mean, variance } = inputs, { rows, count: images, sum } = batchPart()!;
      const [dx, dWeight, dBias] = frozenBackprop(inputs, { epsilon });
      // The loss of a part is a mean over its images, and counts by their share in the batch.
      const share = rows.length / images;
      const sums = Float64Array.of(...dWeight!.dataSync(), ...dBias!.dataSync())
        .map((value) => value * share);
      sum!(sums);
      const [total] = count.dataSync(), channels = weight.size;
      const means = Float32Array.from(sums, (value) => value / (total! * share));
      const inverse = tf.rsqrt(tf.add(variance, epsilon));
      const factor = tf.neg(tf.mul(weight, inverse));
      const slope = tf.mul(tf.mul(factor, inverse), tf.tensor1d(means.subarray(0, channels)));
      const offset = tf.sub(
        tf.mul(factor, tf.tensor1d(means.subarray(channels))),
        tf.mul(slope, mean),
      );
      return [tf.add(dx!, tf.add(tf.mul(x, slope), offset)), dWeight!, dBias!];
    },
  },
);

/**
 * The normalised `x`, the mean and unbiased variance or the updated running statistics, and for the
 * gradient the mean, the biased variance and the count of each channel over the whole batch.
 */
export const synchronizedBatchNorm: RunKernel<BatchNormInputs, Tensor[], Attributes> = defineKernel(
  "ResnetLabSynchronizedBatchNorm",
  {
    fallback: (inputs: BatchNormInputs, { epsilon, momentum }: Attributes) => {
      const { x, weight, bias } = inputs, batch = statistics(x);
      const unbiased = tf.mul(batch.variance, batch.count / Math.max(1, batch.count - 1));
      const update = (running: Tensor | undefined, latest: Tensor) =>
        running ? tf.add(tf.mul(running, 1 - momentum), tf.mul(latest, momentum)) : latest.clone();
      return [
        tf.batchNorm<tf.Rank>(x, batch.mean, batch.variance, bias, weight, epsilon),
        update(inputs.mean, batch.mean),
        update(inputs.variance, unbiased),
        batch.mean,
        batch.variance,
        tf.scalar(batch.count),
      ];
    },
    gradient: {
      savedInputs: ["x", "weight"],
      savedOutputs: [3, 4, 5],
      compute: (dy, { x, weight }, [mean, variance, count], attributes) => {
        const inputs = { dy, x, weight, mean: mean!, variance: variance!, count: count! };
        const [dx, dWeight, dBias] = backprop(inputs, attributes);
        return { x: () => dx!, weight: () => dWeight!, bias: () => dBias! };
      },
    },
  },
);

/** The count, mean and biased variance of each channel of the whole batch. */
function statistics(x: Tensor): { count: number; mean: Tensor1D; variance: Tensor1D } {
  const own = x.size / x.shape.at(-1)!;
  const [mean, variance] = moments({ x }).map((values) => values.dataSync());
  const channels = mean!.length;
  // In float64, in which the difference of large sums is exact enough.
  const sums = new Float64Array(2 * channels + 1);
  for (let c = 0; c < channels; c++) {
    sums[c] = own * mean![c]!;
    sums[channels + c] = (own - 1) * variance![c]! + own * mean![c]! ** 2;
  }
  sums[2 * channels] = own;
  batchPart()!.sum!(sums);
  const count = sums[2 * channels]!;
  const means = sums.subarray(0, channels).map((sum) => sum / count);
  const variances = means.map((mean, c) => Math.max(0, sums[channels + c]! / count - mean ** 2));
  return {
    count,
    mean: tf.tensor1d(Float32Array.from(means)),
    variance: tf.tensor1d(Float32Array.from(variances)),
  };
}
