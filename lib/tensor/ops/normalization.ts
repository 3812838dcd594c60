/** Batch normalisation and local response normalisation. */
import * as tf from "@tensorflow/tfjs-core";
import { checkFinite, checkInteger, checkNumber, checkOptions, checkTensor } from "../checks.ts";
import { batchPart } from "../batch_part.ts";
import { batchNorm } from "../kernels/batch_norm.ts";
import { synchronizedBatchNorm } from "../kernels/synchronized_batch_norm.ts";
import "../kernels/native_overrides.ts";
import { checkImages } from "./window.ts";
import type { Rank, SameShape, Tensor, Tensor1D, Tensor4D } from "../types.ts";

/**
 * Output of batch normalisation in training, with the statistics of the batch or the updated
 * running statistics.
 */
export type BatchNormResult<T extends Tensor> = {
  /** The normalised `x`. */
  readonly y: SameShape<T>;
  /** The mean of each channel. */
  readonly mean: Tensor1D;
  /**
   * The unbiased variance of each channel (divided by n − 1), as running statistics use it; 0 for a
   * single value.
   */
  readonly variance: Tensor1D;
};

/** Statistics over all batches so far. */
export interface RunningStatistics {
  /** The mean of each channel. */
  readonly mean: Tensor1D;
  /** The variance of each channel. */
  readonly variance: Tensor1D;
  /** Weight of the batch: `running = (1 − momentum) · running + momentum · batch`. */
  readonly momentum: number;
}

/** Checks the arguments of batch normalisation; returns the number of channels. */
function checkArguments(
  action: string,
  x: Tensor,
  vectors: Readonly<Record<string, Tensor1D>>,
  epsilon: number,
): number {
  checkTensor(action, x, { name: "x", dtype: "float32" });
  const channels = x.shape[x.rank - 1];
  if ((x.rank !== 2 && x.rank !== 4) || channels === undefined || x.size === 0) {
    throw new RangeError(
      `${action}: x must be [batch, channels] or [batch, height, width, channels] and not empty, found the shape [${x.shape}].`,
    );
  }
  for (const [name, vector] of Object.entries(vectors)) {
    checkTensor(action, vector, { name, axes: ["channels"], dtype: "float32" });
    if (vector.size !== channels) {
      throw new RangeError(
        `${action}: ${name} must have one number for each of the ${channels} channels of [${x.shape}], found ${vector.size}.`,
      );
    }
  }
  const isValid = epsilon >= 0 && Number.isFinite(epsilon);
  checkNumber(action, "epsilon", epsilon, isValid, "a finite number of at least 0");
  return channels;
}

/**
 * Computes `y = (x − mean) / √(variance + epsilon) · weight + bias` with mean and biased variance
 * of this batch, for each channel (Ioffe and Szegedy 2015, algorithm 1).
 *
 * `x` is `[batch, channels]` or `[batch, height, width, channels]`, weight and bias are
 * `[channels]`; gradients flow through `y` only.
 *
 * @param running Running statistics; the result then has them updated by the batch.
 *
 * @throws {RangeError} If `x` has the wrong number of axes or is empty, the sizes do not fit, or
 * `epsilon` is negative.
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
  weight: Tensor1D,
  bias: Tensor1D,
  epsilon: number,
  running?: RunningStatistics,
): BatchNormResult<T> {
  const action = "Normalising a batch";
  if (running) {
    checkOptions<RunningStatistics>(action, running, "{ mean, variance, momentum: 0.1 }", {
      mean: true,
      variance: true,
      momentum: true,
    });
  }
  const { momentum = 1, ...statistics } = running ?? {};
  const channels = checkArguments(action, x, { weight, bias, ...statistics }, epsilon);
  checkFinite(action, "momentum", momentum);
  return tf.tidy(() => {
    const images: Tensor = x.rank === 4 ? x : tf.reshape(x, [-1, 1, 1, channels]);
    const [y, mean, variance] = (batchPart()?.sum ? synchronizedBatchNorm : batchNorm)(
      { x: images, weight, bias, ...statistics },
      { epsilon, momentum },
    );
    return {
      y: (x.rank === 4 ? y! : tf.reshape(y!, x.shape)) as SameShape<T>,
      mean: mean as Tensor1D,
      variance: variance as Tensor1D,
    };
  });
}

/**
 * Computes `y = (x − mean) / √(variance + epsilon) · weight + bias` with the given statistics, as
 * in inference.
 *
 * `x` is `[batch, channels]` or `[batch, height, width, channels]`, the others are `[channels]`.
 *
 * @throws {RangeError} If `x` has the wrong number of axes or is empty, the sizes do not fit, or
 * `epsilon` is negative.
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
 *   weight: ops.tensor([10]),
 *   bias: ops.tensor([5]),
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
    weight: Tensor1D;
    bias: Tensor1D;
    epsilon: number;
  },
): SameShape<T> {
  const action = "Normalising with given statistics";
  const example = "{ mean, variance, weight, bias, epsilon: 1e-5 }";
  checkOptions<typeof options>(action, options, example, {
    mean: true,
    variance: true,
    weight: true,
    bias: true,
    epsilon: true,
  });
  const { epsilon, ...vectors } = options;
  checkArguments(action, x, vectors, epsilon);
  const { mean, variance, weight, bias } = vectors;
  return tf.batchNorm<Rank>(x, mean, variance, bias, weight, epsilon) as SameShape<T>;
}

/** The options of {@linkcode localResponseNorm}. */
export interface ResponseNormOptions {
  /**
   * Number of channels in the sum: the channel and as many on each side. It must be odd.
   *
   * @default 5
   */
  size?: number;
  /**
   * Number added to the sum.
   *
   * @default 2
   */
  bias?: number;
  /**
   * Factor of the sum. PyTorch divides it by `size`; the paper does not.
   *
   * @default 1e-4
   */
  alpha?: number;
  /**
   * Exponent.
   *
   * @default 0.75
   */
  beta?: number;
}

/**
 * Normalises each channel by its neighbours (Krizhevsky et al. 2012, section 3.3):
 * `y_c = x_c / (bias + alpha · Σ x²_j)^beta` over the `size` channels j around c.
 *
 * @throws {RangeError} If `size` is not odd, or another option not finite.
 * @throws {TypeError} If the images are not float32, or an option does not exist.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const pixel = ops.tensor([1, 2, 3], [1, 1, 1, 3]);
 * const y = ops.localResponseNorm(pixel, { size: 3, bias: 0, alpha: 1, beta: 0.5 });
 * const expected = [1 / Math.sqrt(5), 2 / Math.sqrt(14), 3 / Math.sqrt(13)];
 * assert(expected.every((value, i) => Math.abs(value - y.dataSync()[i]!) < 1e-6));
 * ```
 */
export function localResponseNorm<T extends Tensor4D>(
  x: T,
  options: ResponseNormOptions = {},
): SameShape<T> {
  const action = "Local response normalisation";
  checkOptions<ResponseNormOptions>(action, options, "{ size: 5 }", {
    size: true,
    bias: true,
    alpha: true,
    beta: true,
  });
  const { size = 5, bias = 2, alpha = 1e-4, beta = 0.75 } = options;
  checkImages(action, x);
  checkInteger(action, "size", size);
  checkNumber(action, "size", size, size % 2 === 1, "odd");
  for (const [name, value] of Object.entries({ bias, alpha, beta })) {
    checkFinite(action, name, value);
  }
  return tf.localResponseNormalization<Tensor4D>(x, (size - 1) / 2, bias, alpha, beta) as SameShape<
    T
  >;
}
