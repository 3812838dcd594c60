/** Shape, order and parts of tensors. */
import * as tf from "@tensorflow/tfjs-core";
import {
  checkArray,
  checkAxes,
  checkAxis,
  checkInteger,
  checkSameDtype,
  checkShape,
  checkTensor,
  NUMERIC,
} from "../checks.ts";
import "../kernels/native_overrides.ts";
import { checkIndices } from "./indices.ts";
import type { Rank, RankFor, RankMinus, SameShape, Tensor, Tensor1D } from "../types.ts";

type Numbers = readonly number[];

/**
 * Returns the same elements, in row-major order, with a different shape. One axis may be −1; its
 * length then follows from the others.
 *
 * @throws {RangeError} If the number of elements differs.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.range(0, 6);
 * assert.deepEqual(ops.reshape(x, [2, -1]).arraySync(), [[0, 1, 2], [3, 4, 5]]);
 * ```
 */
export function reshape<const S extends Numbers>(
  x: Tensor,
  shape: S,
): Tensor<RankFor<S["length"]>> {
  const action = "Reshaping";
  checkTensor(action, x);
  checkArray(action, "the shape", shape);
  const known = shape.filter((axis) => axis !== -1);
  checkShape(action, known);
  const unknown = shape.length - known.length;
  const count = tf.util.sizeFromShape(known);
  if (unknown > 1 || (unknown === 0 ? count !== x.size : x.size % count !== 0)) {
    throw new RangeError(
      `${action}: the shape must hold the ${x.size} elements of [${x.shape}], found [${shape}].`,
    );
  }
  return tf.reshape<Rank>(x, [...shape]) as Tensor<RankFor<S["length"]>>;
}

/**
 * Returns `x` with its axes in a different order: axis `permutation[i]` becomes axis `i`. Without a
 * permutation the order is reversed.
 *
 * @throws {RangeError} If the permutation does not name each axis once.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2, 3], [4, 5, 6]]);
 * assert.deepEqual(ops.transpose(x).arraySync(), [[1, 4], [2, 5], [3, 6]]);
 * const images = ops.zeros([8, 28, 30, 3]);
 * assert.deepEqual(ops.transpose(images, [0, 3, 1, 2]).shape, [8, 3, 28, 30]);
 * ```
 */
export function transpose<R extends Rank>(x: Tensor<R>, permutation?: Numbers): Tensor<R> {
  const action = "Transposing";
  checkTensor(action, x);
  if (permutation === undefined) return tf.transpose(x);
  const axes = checkAxes(action, x.shape, permutation);
  if (axes.length !== x.rank) {
    throw new RangeError(
      `${action}: the permutation must name each axis of [${x.shape}] once, found [${permutation}].`,
    );
  }
  return tf.transpose(x, axes);
}

/**
 * Returns the block of `x` that starts at `begin` and has `size` elements along each axis. A size
 * of −1 means all that remain.
 *
 * @throws {RangeError} If the block does not lie inside `x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2, 3], [4, 5, 6]]);
 * assert.deepEqual(ops.slice(x, [0, 1], [-1, 2]).arraySync(), [[2, 3], [5, 6]]);
 * ```
 */
export function slice<R extends Rank>(x: Tensor<R>, begin: Numbers, size: Numbers): Tensor<R> {
  const action = "Slicing";
  checkTensor(action, x);
  const shape: Numbers = x.shape;
  const inside = shape.length > 0 && begin.length === shape.length &&
    size.length === shape.length && shape.every((length, axis) => {
      const [from, count] = [begin[axis]!, size[axis]!];
      return Number.isInteger(from) && from >= 0 && from <= length && Number.isInteger(count) &&
        count >= -1 && from + count <= length;
    });
  if (!inside) {
    throw new RangeError(
      `${action}: the block must lie inside the shape [${shape}], found a block from [${begin}] of size [${size}].`,
    );
  }
  // Backends resolve −1 only while no gradient is recorded, so it is resolved here.
  return tf.slice<R, Tensor<R>>(
    x,
    [...begin],
    size.map((n, i) => n < 0 ? shape[i]! - begin[i]! : n),
  );
}

/**
 * Joins tensors along an existing axis. Their other axes must agree.
 *
 * @throws {RangeError} If there are no tensors, no such axis, or the other axes differ.
 * @throws {TypeError} If the dtypes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const a = ops.tensor([[1, 2]]), b = ops.tensor([[3, 4]]);
 * assert.deepEqual(ops.concat([a, b]).arraySync(), [[1, 2], [3, 4]]);
 * assert.deepEqual(ops.concat([a, b], 1).arraySync(), [[1, 2, 3, 4]]);
 * ```
 */
export function concat<R extends Rank>(tensors: readonly Tensor<R>[], axis = 0): Tensor<R> {
  const action = "Joining tensors";
  const joined = checkAxis(action, checkList(action, tensors).shape, axis);
  checkShapes(action, tensors, joined);
  return tf.concat<Tensor<R>>([...tensors], joined);
}

/** Checks that there are tensors, alive and of the same dtype. Returns the first. */
function checkList<R extends Rank>(action: string, tensors: readonly Tensor<R>[]): Tensor<R> {
  checkArray(action, "the tensors", tensors);
  const [first, ...others] = tensors;
  if (!first) throw new RangeError(`${action}: there must be at least one tensor, found none.`);
  for (const tensor of tensors) checkTensor(action, tensor);
  checkSameDtype(action, first, ...others);
  return first;
}

function checkShapes(action: string, tensors: readonly Tensor[], except?: number): void {
  const shapes = tensors.map(({ shape }) => shape.filter((_, axis) => axis !== except).join());
  const wrong = tensors.findIndex((tensor, index) =>
    tensor.rank !== tensors[0]?.rank || shapes[index] !== shapes[0]
  );
  if (wrong >= 0) {
    throw new RangeError(
      `${action}: the shapes must agree${
        except === undefined ? "" : ` but for axis ${except}`
      }, found [${tensors[0]?.shape}] and [${tensors[wrong]?.shape}].`,
    );
  }
}

/**
 * Joins tensors of the same shape along a new axis.
 *
 * @throws {RangeError} If there are no tensors, no such axis in the result, or the shapes differ.
 * @throws {TypeError} If the dtypes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const rows = ops.stack([ops.tensor([1, 2]), ops.tensor([3, 4])]);
 * assert.deepEqual(rows.arraySync(), [[1, 2], [3, 4]]);
 * ```
 */
export function stack<R extends Rank>(
  tensors: readonly Tensor<R>[],
  axis = 0,
): Tensor<RankUp<R>> {
  const action = "Stacking tensors";
  const along = checkAxis(action, [tensors.length, ...checkList(action, tensors).shape], axis);
  checkShapes(action, tensors);
  return tf.stack([...tensors], along) as Tensor as Tensor<RankUp<R>>;
}
type RankUp<R extends Rank> = Rank extends R ? Rank
  : {
    R0: tf.Rank.R1;
    R1: tf.Rank.R2;
    R2: tf.Rank.R3;
    R3: tf.Rank.R4;
    R4: tf.Rank.R5;
    R5: tf.Rank.R6;
    R6: never;
  }[
    `${R}`
  ];

/**
 * Splits `x` along an axis into its slices, without that axis.
 *
 * @throws {RangeError} If there is no such axis.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const [first] = ops.unstack(ops.tensor([[1, 2], [3, 4]]));
 * assert.deepEqual(first?.arraySync(), [1, 2]);
 * ```
 */
export function unstack<R extends Rank>(x: Tensor<R>, axis = 0): Tensor<RankMinus<R, 1>>[] {
  const action = "Taking a tensor apart";
  checkTensor(action, x);
  const along = checkAxis(action, x.shape, axis);
  // TensorFlow.js has no gradient for taking apart into one.
  const parts = x.shape[along] === 1 ? [tf.squeeze(x, [along])] : tf.unstack(x, along);
  return parts as Tensor[] as Tensor<RankMinus<R, 1>>[];
}

/**
 * Splits `x` along an axis into pieces: a number of equal pieces, or pieces of the given sizes.
 *
 * @throws {RangeError} If there is no such axis, or the pieces do not add up to its length.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const [left, right] = ops.split(ops.tensor([[1, 2, 3]]), [1, 2], 1);
 * assert.deepEqual(left?.arraySync(), [[1]]);
 * assert.deepEqual(right?.arraySync(), [[2, 3]]);
 * ```
 */
export function split<R extends Rank>(
  x: Tensor<R>,
  pieces: number | Numbers,
  axis = 0,
): Tensor<R>[] {
  const action = "Splitting";
  checkTensor(action, x);
  const along = checkAxis(action, x.shape, axis);
  const length = x.shape[along]!;
  if (typeof pieces === "number") checkInteger(action, "the number of pieces", pieces, 1);
  else if (!pieces.every((size) => Number.isInteger(size) && size >= 0)) {
    throw new RangeError(
      `${action}: the sizes of the pieces must be whole numbers of at least 0, found [${pieces}].`,
    );
  }
  const fits = typeof pieces === "number"
    ? length % pieces === 0
    : pieces.reduce((sum, size) => sum + size, 0) === length;
  if (!fits) {
    throw new RangeError(
      `${action}: the pieces must add up to the ${length} elements of axis ${along} of [${x.shape}], found ${
        typeof pieces === "number" ? `${pieces} equal pieces` : `sizes [${pieces}]`
      }.`,
    );
  }
  // TensorFlow.js has no gradient for a single piece.
  if (pieces === 1 || typeof pieces !== "number" && pieces.length === 1) return [tf.clone(x)];
  return tf.split<Tensor<R>>(x, typeof pieces === "number" ? pieces : [...pieces], along);
}

/**
 * Adds `[before, after]` elements of `value` along each axis of `x`.
 *
 * @throws {RangeError} If there is not one pair for each axis, or a count is negative.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2]]);
 * assert.deepEqual(ops.pad(x, [[0, 1], [1, 0]]).arraySync(), [[0, 1, 2], [0, 0, 0]]);
 * ```
 */
export function pad<R extends Rank>(
  x: Tensor<R>,
  paddings: readonly (readonly [before: number, after: number])[],
  value = 0,
): Tensor<R> {
  const action = "Padding";
  checkTensor(action, x, { dtype: NUMERIC });
  if (x.rank === 0) {
    throw new RangeError(`${action}: the shape must have at least one axis, found [].`);
  }
  if (paddings.length !== x.rank) {
    throw new RangeError(
      `${action}: there must be a pair [before, after] for each axis of [${x.shape}], found ${paddings.length}.`,
    );
  }
  for (const pair of paddings) {
    for (const count of pair) checkInteger(action, "each count", count, 0);
  }
  return tf.pad<Tensor<R>>(x, paddings.map(([before, after]) => [before, after]), value);
}

/**
 * Returns the slices of `x` along `axis` at the given positions.
 *
 * @throws {RangeError} If there is no such axis, or an index lies outside it.
 * @throws {TypeError} If the indices are not int32.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2], [3, 4], [5, 6]]);
 * const order = ops.tensor([2, 0], [2], "int32");
 * assert.deepEqual(ops.gather(x, order).arraySync(), [[5, 6], [1, 2]]);
 * ```
 */
export function gather<R extends Rank>(x: Tensor<R>, indices: Tensor1D, axis = 0): Tensor<R> {
  const action = "Gathering";
  checkTensor(action, x);
  checkTensor(action, indices, { name: "the indices", axes: ["n"], dtype: "int32" });
  const along = checkAxis(action, x.shape, axis);
  const checked = checkIndices(action, "an index", indices, x.shape[along]!);
  return tf.gather<Tensor<R>>(x, checked, along);
}

/**
 * Reverses the order of elements along the axes.
 *
 * @throws {RangeError} If an axis does not exist or is repeated.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.reverse(ops.tensor([[1, 2], [3, 4]]), [1]).arraySync(), [[2, 1], [4, 3]]);
 * ```
 */
export function reverse<T extends Tensor>(x: T, axes: Numbers): SameShape<T> {
  checkTensor("Reversing", x);
  return tf.reverse<Tensor>(x, checkAxes("Reversing", x.shape, axes)) as SameShape<T>;
}

/**
 * Repeats `x` along each axis.
 *
 * @throws {RangeError} If there is not one number of at least 1 for each axis.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2]]);
 * assert.deepEqual(ops.tile(x, [2, 2]).arraySync(), [[1, 2, 1, 2], [1, 2, 1, 2]]);
 * ```
 */
export function tile<R extends Rank>(x: Tensor<R>, repetitions: Numbers): Tensor<R> {
  const action = "Tiling";
  checkTensor(action, x);
  if (repetitions.length !== x.rank) {
    throw new RangeError(
      `${action}: there must be a number of repetitions for each axis of [${x.shape}], found [${repetitions}].`,
    );
  }
  for (const count of repetitions) checkInteger(action, "a number of repetitions", count, 1);
  return tf.tile<Tensor<R>>(x, [...repetitions]);
}

/**
 * Adds an axis of length 1 at `axis`.
 *
 * @throws {RangeError} If there is no such axis in the result.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.expandDims(ops.zeros([2, 3]), -1).shape, [2, 3, 1]);
 * ```
 */
export function expandDims<R extends Rank>(x: Tensor<R>, axis = 0): Tensor<RankUp<R>> {
  const action = "Adding an axis";
  checkTensor(action, x);
  const along = checkAxis(action, [...x.shape, 1], axis);
  return tf.expandDims(x, along) as Tensor as Tensor<RankUp<R>>;
}

/**
 * Removes axes of length 1.
 *
 * @throws {RangeError} If an axis does not exist, is repeated, or has a length other than 1.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.squeeze(ops.zeros([2, 1, 3]), [1]).shape, [2, 3]);
 * ```
 */
export function squeeze<R extends Rank, const A extends Numbers>(
  x: Tensor<R>,
  axes: A,
): Tensor<RankMinus<R, A["length"]>> {
  const action = "Squeezing";
  checkTensor(action, x);
  const removed = checkAxes(action, x.shape, axes);
  const long = removed.find((axis) => x.shape[axis] !== 1);
  if (long !== undefined) {
    throw new RangeError(
      `${action}: axis ${long} of [${x.shape}] must have length 1, found ${x.shape[long]}.`,
    );
  }
  // TensorFlow.js reads an empty list as all axes.
  return (removed.length === 0 ? tf.clone<Tensor>(x) : tf.squeeze(x, removed)) as Tensor<
    RankMinus<R, A["length"]>
  >;
}
