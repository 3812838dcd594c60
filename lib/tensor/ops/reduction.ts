/** Sums, means and extremes along axes, and the positions of extremes. */
import * as tf from "@tensorflow/tfjs-core";
import {
  checkAxes,
  checkAxis,
  checkBoolean,
  checkInteger,
  checkOptions,
  checkTensor,
  NUMERIC,
} from "../checks.ts";
import { isAllFinite } from "../kernels/finite.ts";
import "../kernels/gradient_overrides.ts";
import "../kernels/native_overrides.ts";
import type { DataType, Rank, RankMinus, Scalar, Tensor, Tensor1D, Tensor2D } from "../types.ts";

type Numbers = readonly number[];

/**
 * A reduction over all axes to a scalar, over some axes (which are removed), or over some axes that
 * stay with length 1.
 */
export interface Reduction {
  /** Over all axes. */
  (x: Tensor): Scalar;
  /** Over the given axes, which are removed. */
  <R extends Rank, const A extends Numbers>(
    x: Tensor<R>,
    axes: A,
  ): Tensor<RankMinus<R, A["length"]>>;
  /** Over the given axes, which stay with length 1. */
  <R extends Rank>(x: Tensor<R>, axes: Numbers, options: { keepDims: true }): Tensor<R>;
}

function reduction(
  action: string,
  f: (x: Tensor, axes: number[], keepDims: boolean) => Tensor,
  { dtype, allowEmpty = false }: { dtype: DataType | readonly DataType[]; allowEmpty?: boolean },
): Reduction {
  return (x: Tensor, axes?: Numbers, options: { keepDims?: boolean } = {}) => {
    checkTensor(action, x, { dtype });
    checkOptions<typeof options>(action, options, "{ keepDims: true }", { keepDims: true });
    const { keepDims = false } = options;
    checkBoolean(action, "keepDims", keepDims);
    const reduced = axes ? checkAxes(action, x.shape, axes) : x.shape.map((_, axis) => axis);
    if (!allowEmpty && reduced.some((axis) => x.shape[axis] === 0)) {
      throw new RangeError(
        `${action}: there must be at least one element to reduce, found the shape [${x.shape}].`,
      );
    }
    return f(x, reduced, keepDims) as Tensor<never>;
  };
}

/**
 * Sums over axes, or over all elements. Of bool it counts the true elements.
 *
 * @throws {RangeError} If an axis does not exist or is repeated.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2], [3, 4]]);
 * assert.equal(ops.sum(x).arraySync(), 10);
 * assert.deepEqual(ops.sum(x, [0]).arraySync(), [4, 6]);
 * assert.deepEqual(ops.sum(x, [1], { keepDims: true }).arraySync(), [[3], [7]]);
 * ```
 */
export const sum: Reduction = reduction("Summing", tf.sum, {
  dtype: [...NUMERIC, "bool"],
  allowEmpty: true,
});

/**
 * Returns the mean over axes, or of all elements, as float32.
 *
 * @throws {RangeError} If an axis does not exist or is repeated, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.mean(ops.tensor([[1, 2], [3, 4]]), [0]).arraySync(), [2, 3]);
 * ```
 */
export const mean: Reduction = reduction("Taking the mean", tf.mean, {
  dtype: [...NUMERIC, "bool"],
});

/**
 * Returns the biased variance `mean((x − mean x)²)` over axes, or of all elements, as float32.
 *
 * @throws {RangeError} If an axis does not exist or is repeated, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.variance(ops.tensor([1, 3])).arraySync(), 1);
 * ```
 */
export const variance: Reduction = reduction(
  "Taking the variance",
  (x, axes, keepDims) => tf.tidy(() => tf.moments(x, axes, keepDims).variance),
  { dtype: NUMERIC },
);

/**
 * Returns the largest element over axes, or of all elements. Several equal largest elements share
 * the gradient.
 *
 * @throws {RangeError} If an axis does not exist or is repeated, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.max(ops.tensor([[1, 5], [3, 4]]), [1]).arraySync(), [5, 4]);
 * ```
 */
export const max: Reduction = reduction("Taking the maximum", tf.max, { dtype: NUMERIC });

/**
 * Returns the smallest element over axes, or of all elements. Several equal smallest elements share
 * the gradient.
 *
 * @throws {RangeError} If an axis does not exist or is repeated, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.min(ops.tensor([[1, 5], [3, 4]]), [1]).arraySync(), [1, 3]);
 * ```
 */
export const min: Reduction = reduction("Taking the minimum", tf.min, { dtype: NUMERIC });

/**
 * Returns whether all elements of a bool tensor are true, over axes or of all elements.
 *
 * @throws {RangeError} If an axis does not exist or is repeated, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.all(ops.less(ops.tensor([1, 2]), 3)).arraySync(), 1);
 * ```
 */
export const all: Reduction = reduction("Testing all elements", tf.all, { dtype: "bool" });

/**
 * Returns whether any element of a bool tensor is true, over axes or of all elements.
 *
 * @throws {RangeError} If an axis does not exist or is repeated, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.any(ops.greater(ops.tensor([1, 2]), 3)).arraySync(), 0);
 * ```
 */
export const any: Reduction = reduction("Testing any element", tf.any, { dtype: "bool" });

/**
 * Returns the position of the largest element along one axis as int32: the first of several equal
 * ones. No gradient flows.
 *
 * @throws {RangeError} If there is no such axis, or it has no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const logits = ops.tensor([[0.1, 0.9], [0.8, 0.2]]);
 * assert.deepEqual(ops.argMax(logits).arraySync(), [1, 0]);
 * ```
 */
export function argMax<R extends Rank>(x: Tensor<R>, axis = -1): Tensor<RankMinus<R, 1>> {
  const action = "Finding the largest element";
  checkTensor(action, x, { dtype: NUMERIC });
  const along = checkAxis(action, x.shape, axis);
  if (x.shape[along] === 0) {
    throw new RangeError(
      `${action}: axis ${along} must have at least one element, found the shape [${x.shape}].`,
    );
  }
  return tf.tidy(() => tf.argMax(ranked(x), along)) as Tensor as Tensor<RankMinus<R, 1>>;
}

/** Returns the {@linkcode argMax} of each row. NaN must not be among the numbers. */
export function argMaxWithoutNaN(x: Tensor2D): Tensor1D {
  return tf.argMax(x, 1);
}

/**
 * Returns finite numbers in the same order, with NaN as the largest. TensorFlow.js skips NaN or
 * stops at it, and not all backends sort infinities.
 */
function ranked<T extends Tensor>(x: T): T {
  if (x.dtype !== "float32" || isAllFinite(x)) return x;
  const largest = (2 - 2 ** -23) * 2 ** 127, next = (2 - 2 ** -22) * 2 ** 127;
  const others = tf.clipByValue<Tensor>(x, -next, next);
  return tf.where<Tensor>(tf.isNaN(x), tf.fill(x.shape, largest), others) as T;
}

/**
 * Returns the `k` largest values of each row `[n, m]` in descending order, and their positions,
 * both `[n, k]`. No gradient flows.
 *
 * @throws {RangeError} If `k` is not from 1 to the length of a row.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { values, indices } = ops.topK(ops.tensor([[3, 1, 2]]), 2);
 * assert.deepEqual(values.arraySync(), [[3, 2]]);
 * assert.deepEqual(indices.arraySync(), [[0, 2]]);
 * ```
 */
export function topK(x: Tensor2D, k: number): { values: Tensor2D; indices: Tensor2D } {
  const action = "Finding the largest elements";
  checkTensor(action, x, { axes: ["n", "m"], dtype: NUMERIC });
  checkInteger(action, "k", k, 1, x.shape[1]);
  return tf.tidy(() => {
    const order = ranked(x);
    const { values, indices } = tf.topk(order, k);
    if (order === x) return { values, indices };
    const rows = tf.range(0, x.size, x.shape[1], "int32");
    const positions = tf.reshape(tf.add(indices, tf.expandDims(rows, 1)), [-1]);
    const chosen: Tensor2D = tf.reshape(tf.gather(tf.reshape(x, [-1]), positions), indices.shape);
    return { values: chosen, indices };
  });
}
