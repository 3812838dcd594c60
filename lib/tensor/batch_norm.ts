/**
 * Batch normalisation, fused: TensorFlow's `FusedBatchNormV3` and its gradient on the native
 * backend, a composition of ops elsewhere.
 */
import * as tf from "@tensorflow/tfjs-core";
import { COMPOSED, NATIVE, runTensorFlowOp } from "./backend.ts";
import { checkFinite, checkTensor } from "./check.ts";
import { checkOptions } from "./options.ts";
import type { Rank, Same, Tensor, Tensor1D } from "./types.ts";

const BATCH_NORM = "ResnetLabBatchNorm";
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
for (const backendName of COMPOSED) {
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

/**
 * The output of a batch-norm step in training, and the statistics of the batch, or the running ones
 * that follow it.
 */
export type BatchNormResult<T extends Tensor> = {
  readonly y: Same<T>;
  /** The mean of each channel. */
  readonly mean: Tensor1D;
  /**
   * The unbiased variance of each channel (divided by n − 1), which is what goes into running
   * statistics; 0 of a single value.
   */
  readonly variance: Tensor1D;
};

/** Statistics over all batches so far. */
export interface RunningStatistics {
  readonly mean: Tensor1D;
  readonly variance: Tensor1D;
  /**
   * What part of the new ones is the batch's:
   * `running = (1 − momentum) · running + momentum · batch`.
   */
  readonly momentum: number;
}

/** Checks what both kinds of batch normalisation take; gives the number of channels. */
function checkArguments(
  what: string,
  x: Tensor,
  vectors: Readonly<Record<string, Tensor1D>>,
  epsilon: number,
): number {
  checkTensor(what, x, { name: "x", dtype: "float32" });
  const channels = x.shape[x.rank - 1];
  if ((x.rank !== 2 && x.rank !== 4) || channels === undefined || x.size === 0) {
    throw new RangeError(
      `${what}: x must be [batch, channels] or [batch, height, width, channels] and not empty, found the shape [${x.shape}].`,
    );
  }
  for (const [name, vector] of Object.entries(vectors)) {
    checkTensor(what, vector, { name, axes: ["channels"], dtype: "float32" });
    if (vector.size !== channels) {
      throw new RangeError(
        `${what}: ${name} must have one number for each of the ${channels} channels of [${x.shape}], found ${vector.size}.`,
      );
    }
  }
  checkFinite(what, "epsilon", epsilon);
  if (epsilon < 0) throw new RangeError(`${what}: epsilon must be at least 0, found ${epsilon}.`);
  return channels;
}

/**
 * `y = (x − mean) / √(variance + epsilon) · scale + offset` with mean and biased variance of this
 * batch, for each channel (Ioffe and Szegedy 2015, algorithm 1).
 *
 * `x` is `[batch, channels]` or `[batch, height, width, channels]`, scale and offset are
 * `[channels]`; gradients flow through `y` only.
 *
 * @param running Where given, mean and variance are these, moved towards the batch's.
 *
 * @throws {RangeError} If `x` has other axes or is empty, the sizes do not fit, or `epsilon` is
 * negative.
 * @throws {TypeError} If a tensor is not float32.
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
  running?: RunningStatistics,
): BatchNormResult<T> {
  const what = "Normalising a batch";
  if (running) {
    checkOptions<RunningStatistics>(what, running, "{ mean, variance, momentum: 0.1 }", {
      mean: true,
      variance: true,
      momentum: true,
    });
  }
  const { momentum = 1, ...followed } = running ?? {};
  const channels = checkArguments(what, x, { scale, offset, ...followed }, epsilon);
  checkFinite(what, "momentum", momentum);
  return tf.tidy(() => {
    const images: Tensor = x.rank === 4 ? x : tf.reshape(x, [-1, 1, 1, channels]);
    const [y, mean, variance] = tf.engine().runKernel<Tensor[]>(
      BATCH_NORM,
      { x: images, scale, offset, ...followed },
      { epsilon, momentum },
    );
    return {
      y: (x.rank === 4 ? y! : tf.reshape(y!, x.shape)) as Same<T>,
      mean: mean as Tensor1D,
      variance: variance as Tensor1D,
    };
  });
}

/**
 * `y = (x − mean) / √(variance + epsilon) · scale + offset` with statistics that are given, as in
 * inference.
 *
 * `x` is `[batch, channels]` or `[batch, height, width, channels]`, the others are `[channels]`.
 *
 * @throws {RangeError} If `x` has other axes or is empty, the sizes do not fit, or `epsilon` is
 * negative.
 * @throws {TypeError} If a tensor is not float32.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const y = ops.batchNormInference(ops.tensor([[1], [3]]), {
 *   mean: ops.tensor([1]),
 *   variance: ops.tensor([4]),
 *   scale: ops.tensor([10]),
 *   offset: ops.tensor([5]),
 *   epsilon: 0,
 * });
 * assert.deepEqual([...y.dataSync()], [5, 15]);
 * ```
 */
export function batchNormInference<T extends Tensor>(
  x: T,
  options: {
    mean: Tensor1D;
    variance: Tensor1D;
    scale: Tensor1D;
    offset: Tensor1D;
    epsilon: number;
  },
): Same<T> {
  const what = "Normalising with given statistics";
  const such = "{ mean, variance, scale, offset, epsilon: 1e-5 }";
  checkOptions<typeof options>(what, options, such, {
    mean: true,
    variance: true,
    scale: true,
    offset: true,
    epsilon: true,
  });
  const { epsilon, ...vectors } = options;
  checkArguments(what, x, vectors, epsilon);
  const { mean, variance, scale, offset } = vectors;
  return tf.batchNorm<Rank>(x, mean, variance, offset, scale, epsilon) as Same<T>;
}
