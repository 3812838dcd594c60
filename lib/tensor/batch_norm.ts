/**
 * Batch normalisation, fused: TensorFlow's `FusedBatchNormV3` and its gradient on the native backend, a composition of ops
 * elsewhere.
 */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, runTensorFlowOp } from "./backend.ts";
import type { Same, Tensor, Tensor1D, Tensor4D } from "./types.ts";

const BATCH_NORM = "ResnetLabBatchNorm";

tf.registerKernel({
  kernelName: BATCH_NORM,
  backendName: NATIVE,
  kernelFunc: ({ inputs, attrs }) => {
    const empty = tf.tensor1d([]);
    const outputs = runTensorFlowOp(
      "FusedBatchNormV3",
      [inputs.x!, inputs.scale!, inputs.offset!, empty, empty],
      fusedAttributes(attrs!),
      6,
    );
    empty.dispose();
    return outputs;
  },
});
tf.registerGradient({
  kernelName: BATCH_NORM,
  inputsToSave: ["x", "scale"],
  outputsToSave: [false, false, false, true, true, true],
  gradFunc: (dy, [x, scale, ...reserved], attrs) => {
    // One op gives all three gradients, so it runs here and not when each is asked for.
    const [dx, dScale, dOffset, ...unused] = runTensorFlowOp(
      "FusedBatchNormGradV3",
      [(dy as Tensor[])[0]!, x!, scale!, ...reserved],
      fusedAttributes(attrs),
      5,
    );
    tf.dispose(unused);
    return { x: () => dx!, scale: () => dScale!, offset: () => dOffset! };
  },
});

function fusedAttributes({ epsilon }: tf.NamedAttrMap) {
  return {
    T: { type: "float32" },
    U: { type: "float32" },
    epsilon: { float: epsilon as number },
    data_format: { string: "NHWC" },
    is_training: { bool: true },
  } as const;
}

/** The output of a batch-norm step in training, and the statistics of the batch. */
export interface BatchNormResult<T extends Tensor> {
  readonly y: Same<T>;
  /** The mean of each channel. */
  readonly mean: Tensor1D;
  /** The unbiased variance of each channel (divided by n − 1), which is what goes into running statistics. */
  readonly variance: Tensor1D;
}

/**
 * `y = (x − mean) / √(variance + epsilon) · scale + offset` with mean and biased variance of this batch, for each channel (Ioffe and
 * Szegedy 2015, algorithm 1).
 *
 * `x` is `[batch, channels]` or `[batch, height, width, channels]`; gradients flow through `y` only.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1], [3]]);
 * const { y, mean, variance } = ops.batchNormTraining(x, ops.tensor([1]), ops.tensor([0]), 0);
 * assert.deepEqual([...y.dataSync()], [-1, 1]);
 * assert.deepEqual([mean.dataSync()[0], variance.dataSync()[0]], [2, 2]);
 * ```
 */
export function batchNormTraining<T extends Tensor>(
  x: T,
  scale: Tensor1D,
  offset: Tensor1D,
  epsilon: number,
): BatchNormResult<T> {
  const channels = x.shape[x.rank - 1]!;
  const count = x.size / channels;
  const images: Tensor4D = x.rank === 4
    ? x as Tensor as Tensor4D
    : tf.reshape(x, [-1, 1, 1, channels]);
  let y: Tensor, mean: Tensor, variance: Tensor;
  if (tf.getBackend() === NATIVE) {
    const outputs = tf.engine().runKernel(BATCH_NORM, { x: images, scale, offset }, {
      epsilon,
    }) as Tensor[];
    [y, mean, variance] = outputs as [Tensor, Tensor, Tensor];
    tf.dispose(outputs.slice(3));
  } else {
    const moments = tf.moments(images, [0, 1, 2]);
    mean = moments.mean;
    variance = tf.mul(moments.variance, count / Math.max(1, count - 1));
    const normalized = tf.mul(
      tf.sub(images, mean),
      tf.rsqrt(tf.add(moments.variance, epsilon)),
    );
    y = tf.add(tf.mul(normalized, scale), offset);
  }
  return {
    y: (x.rank === 4 ? y : tf.reshape(y, x.shape)) as Same<T>,
    mean: mean as Tensor1D,
    variance: variance as Tensor1D,
  };
}

/**
 * `y = (x − mean) / √(variance + epsilon) · scale + offset` with statistics that are given, as in inference.
 *
 * `x` is `[batch, channels]` or `[batch, height, width, channels]`.
 */
export function batchNormInference<T extends Tensor>(
  x: T,
  { mean, variance, scale, offset, epsilon }: {
    mean: Tensor1D;
    variance: Tensor1D;
    scale: Tensor1D;
    offset: Tensor1D;
    epsilon: number;
  },
): Same<T> {
  return tf.batchNorm(x as Tensor, mean, variance, offset, scale, epsilon) as Same<T>;
}
