/**
 * Operations on tensors, with result types that follow from the arguments.
 *
 * TensorFlow.js lets the caller choose the type of many results
 * (`const y: Tensor4D = tf.matMul(a, b)` compiles). Here a rank that is not true does not compile.
 *
 * Every operation throws a TypeError where an argument is no tensor, has been disposed, or has a
 * dtype that the operation does not take.
 */
import * as tf from "@tensorflow/tfjs-core";
import { add as sumOf } from "./addition.ts";
import { nativeBackend } from "./backend.ts";
import { valuesToCheck } from "./compile.ts";
import { isAllFinite } from "./finite.ts";
import "./gradients.ts";
import { checkOptions } from "./options.ts";
import "./replacements.ts";
import {
  checkArray,
  checkAxes,
  checkAxis,
  checkBoolean,
  checkFinite,
  checkSameDtype,
  checkShape,
  checkTensor,
  checkWhole,
  IMAGE_AXES,
  NUMERIC,
} from "./check.ts";
import type {
  Broadcast,
  DataType,
  Fitting,
  Images,
  Rank,
  RankFor,
  RankMinus,
  Same,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
} from "./types.ts";

export { avgPool, conv2d, localResponseNorm, maxPool } from "./convolution.ts";
export { batchNormInference, batchNormTraining } from "./batch_norm.ts";
export { labelCrossEntropy, softmaxCrossEntropy } from "./cross_entropy.ts";

type Numbers = readonly number[];
type TypedNumbers = Float32Array | Int32Array | Uint8Array;

// Creation

/** The number of elements of a tensor of this shape: the product of its axes. */
function sizeOf(shape: Numbers): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/** Nested arrays taken apart: their shape, and their numbers in row-major order. */
function flatten(what: string, values: unknown): { shape: number[]; numbers: number[] } {
  const shape: number[] = [];
  for (let inner = values; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  const numbers: number[] = [];
  const visit = (value: unknown, axis: number): void => {
    if (Array.isArray(value)) {
      if (value.length !== shape[axis]) {
        throw new RangeError(
          `${what}: arrays of one depth must have one length, found ${
            axis < shape.length ? `${shape[axis]} and ${value.length}` : "an array beside a number"
          }.`,
        );
      }
      for (const inner of value) visit(inner, axis + 1);
    } else if (typeof value !== "number") {
      throw new TypeError(`${what}: the values must be numbers, found ${value}.`);
    } else if (axis < shape.length) {
      throw new RangeError(
        `${what}: arrays of one depth must have one length, found a number beside an array.`,
      );
    } else numbers.push(value);
  };
  visit(values, 0);
  return { shape, numbers };
}

/** A copy of numbers as the array that holds a dtype. */
function toTypedArray(
  what: string,
  numbers: Numbers | TypedNumbers,
  dtype: DataType,
): TypedNumbers {
  switch (dtype) {
    case "float32":
      return new Float32Array(numbers);
    case "bool":
      return Uint8Array.from(numbers, (value) => value === 0 ? 0 : 1);
    case "int32": {
      const whole = new Int32Array(numbers);
      const wrong = whole.findIndex((value, index) => value !== numbers[index]);
      if (wrong >= 0) {
        throw new RangeError(
          `${what}: int32 takes whole numbers of 32 bits, found ${
            numbers[wrong]
          } at position ${wrong}.`,
        );
      }
      return whole;
    }
    default:
      throw new TypeError(`${what}: the dtype must be float32, int32 or bool, found ${dtype}.`);
  }
}

/**
 * A tensor of given values: a number, nested arrays, or a flat array with a shape.
 *
 * The dtype is float32 unless said otherwise, for numbers and for typed arrays alike. The values
 * are copied.
 *
 * @throws {RangeError} If the values are ragged, their number is not the product of the shape, or
 * they are not whole where int32 is asked for.
 * @throws {TypeError} If a value is not a number.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2, 3], [4, 5, 6]]);
 * assert.deepEqual(x.shape, [2, 3]);
 * assert.deepEqual(ops.tensor([1, 2, 3, 4], [2, 2]).arraySync(), [[1, 2], [3, 4]]);
 * assert.equal(ops.tensor([7, 0, 2], [3], "int32").dtype, "int32");
 * ```
 */
export function tensor(values: number, shape?: undefined, dtype?: DataType): Scalar;
export function tensor(values: Numbers, shape?: undefined, dtype?: DataType): Tensor1D;
export function tensor(values: readonly Numbers[], shape?: undefined, dtype?: DataType): Tensor2D;
export function tensor(
  values: readonly (readonly Numbers[])[],
  shape?: undefined,
  dtype?: DataType,
): Tensor3D;
export function tensor(
  values: readonly (readonly (readonly Numbers[])[])[],
  shape?: undefined,
  dtype?: DataType,
): Tensor4D;
export function tensor<const S extends Numbers>(
  values: Numbers | TypedNumbers,
  shape: S,
  dtype?: DataType,
): Tensor<RankFor<S["length"]>>;
export function tensor(values: TypedNumbers, shape?: undefined, dtype?: DataType): Tensor1D;
export function tensor(values: unknown, shape?: Numbers, dtype: DataType = "float32"): Tensor {
  const what = "Creating a tensor";
  const given = values instanceof Float32Array || values instanceof Int32Array ||
      values instanceof Uint8Array
    ? { shape: [values.length], numbers: values }
    : flatten(what, values);
  const axes = shape ?? given.shape;
  checkShape(what, axes);
  if (sizeOf(axes) !== given.numbers.length) {
    throw new RangeError(
      `${what}: the shape [${axes}] takes ${
        sizeOf(axes)
      } values, but ${given.numbers.length} were given.`,
    );
  }
  return tf.tensor(toTypedArray(what, given.numbers, dtype), [...axes], dtype);
}

/**
 * A tensor without axes that holds one number.
 *
 * @throws {RangeError} If the value is not whole where int32 is asked for.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.scalar(3).rank, 0);
 * assert.equal(ops.scalar(3).dataSync()[0], 3);
 * ```
 */
export function scalar(value: number, dtype: DataType = "float32"): Scalar {
  return tensor(value, undefined, dtype);
}

/**
 * A tensor of zeros of the given shape.
 *
 * @throws {RangeError} If the shape is not made of at most six whole numbers of at least 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.zeros([2, 3]).arraySync(), [[0, 0, 0], [0, 0, 0]]);
 * ```
 */
export function zeros<const S extends Numbers>(
  shape: S,
  dtype: DataType = "float32",
): Tensor<RankFor<S["length"]>> {
  return full(shape, 0, dtype);
}

/**
 * A tensor of ones of the given shape.
 *
 * @throws {RangeError} If the shape is not made of at most six whole numbers of at least 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.ones([2, 3]).arraySync(), [[1, 1, 1], [1, 1, 1]]);
 * ```
 */
export function ones<const S extends Numbers>(
  shape: S,
  dtype: DataType = "float32",
): Tensor<RankFor<S["length"]>> {
  return full(shape, 1, dtype);
}

/**
 * A tensor of the given shape in which every element is `value`.
 *
 * @throws {RangeError} If the shape is not made of at most six whole numbers of at least 0, or the
 * value is not whole where int32 is asked for.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.full([2, 2], 7).arraySync(), [[7, 7], [7, 7]]);
 * ```
 */
export function full<const S extends Numbers>(
  shape: S,
  value: number,
  dtype: DataType = "float32",
): Tensor<RankFor<S["length"]>> {
  checkShape("Filling a tensor", shape);
  // Checks that the dtype can hold the value.
  toTypedArray("Filling a tensor", [value], dtype);
  return tf.fill<Rank>([...shape], value, dtype) as Tensor<RankFor<S["length"]>>;
}

/**
 * Zeros with the shape and dtype of `x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.zerosLike(ops.tensor([5, 6])).arraySync(), [0, 0]);
 * ```
 */
export function zerosLike<T extends Tensor>(x: T): Same<T> {
  checkTensor("Making zeros like a tensor", x);
  return tf.zerosLike<Tensor>(x) as Same<T>;
}

/**
 * Ones with the shape and dtype of `x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.onesLike(ops.tensor([5, 6])).arraySync(), [1, 1]);
 * ```
 */
export function onesLike<T extends Tensor>(x: T): Same<T> {
  checkTensor("Making ones like a tensor", x);
  return tf.onesLike<Tensor>(x) as Same<T>;
}

/**
 * The identity matrix `[size, size]`.
 *
 * @throws {RangeError} If the size is not a whole number of at least 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.eye(2).arraySync(), [[1, 0], [0, 1]]);
 * ```
 */
export function eye(size: number): Tensor2D {
  checkWhole("Making an identity matrix", "the size", size, 0);
  return tf.eye(size);
}

/**
 * `count` numbers from `start` to `stop`, both included, with equal steps.
 *
 * @throws {RangeError} If an end is not finite, or the count is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.linspace(0, 1, 5).arraySync(), [0, 0.25, 0.5, 0.75, 1]);
 * ```
 */
export function linspace(start: number, stop: number, count: number): Tensor1D {
  const what = "Spacing numbers evenly";
  checkFinite(what, "the start", start);
  checkFinite(what, "the stop", stop);
  checkWhole(what, "the count", count, 1);
  return tf.linspace(start, stop, count);
}

/**
 * The numbers from `start` up to but without `stop`, a `step` apart.
 *
 * @throws {RangeError} If a number is not finite, the step does not lead from start to stop, or
 * they are not whole where int32 is asked for.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.range(0, 4).arraySync(), [0, 1, 2, 3]);
 * assert.deepEqual(ops.range(4, 0, -2).arraySync(), [4, 2]);
 * ```
 */
export function range(
  start: number,
  stop: number,
  step = 1,
  dtype: "float32" | "int32" = "float32",
): Tensor1D {
  const what = "Making a range";
  checkFinite(what, "the start", start);
  checkFinite(what, "the stop", stop);
  checkFinite(what, "the step", step);
  if (start !== stop && (stop - start) * step <= 0) {
    throw new RangeError(`${what}: steps of ${step} do not lead from ${start} to ${stop}.`);
  }
  toTypedArray(what, [start, step], dtype);
  return tf.range(start, stop, step, dtype);
}

/**
 * Class numbers `[n]` as rows `[n, classes]` with a 1 at the class and 0 elsewhere, as float32.
 *
 * @throws {RangeError} If a label is not from 0 to `classes − 1`, or there are fewer than two
 * classes.
 * @throws {TypeError} If the labels are not int32.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const labels = ops.tensor([2, 0], [2], "int32");
 * assert.deepEqual(ops.oneHot(labels, 3).arraySync(), [[0, 0, 1], [1, 0, 0]]);
 * ```
 */
export function oneHot(labels: Tensor1D, classes: number): Tensor2D {
  const what = "One-hot encoding";
  checkTensor(what, labels, { name: "the labels", axes: ["n"], dtype: "int32" });
  checkWhole(what, "the number of classes", classes, 2);
  const checked = checkIndices(what, "a label", labels, classes);
  return tf.oneHot(checked, classes, 1, 0, "float32") as Tensor2D;
}

/**
 * Checks indices here, because TensorFlow gives zeros for those outside in some ops. What it gives
 * back is to be used: in a compiled function it is checked at each run.
 */
function checkIndices(what: string, name: string, indices: Tensor1D, count: number): Tensor1D {
  const native = nativeBackend();
  const outside = valuesToCheck(indices).find((index) => index < 0 || index >= count);
  if (outside !== undefined) {
    throw new RangeError(`${what}: ${name} must be from 0 to ${count - 1}, found ${outside}.`);
  }
  return native?.isRecording
    ? native.checkInGraph(`${what}: ${name}`, tf.range(0, count, 1, "int32"), indices)
    : indices;
}

/**
 * The same values as another dtype; from float32 to int32 the fraction is dropped, and NaN and
 * infinity become any number. No gradient flows through whole numbers.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.cast(ops.tensor([1.7, -1.7]), "int32").arraySync(), [1, -1]);
 * ```
 */
export function cast<T extends Tensor>(x: T, dtype: DataType): Same<T> {
  checkTensor("Converting a tensor", x);
  toTypedArray("Converting a tensor", [], dtype);
  return tf.cast<Tensor>(x, dtype) as Same<T>;
}

/**
 * A second tensor with the values of `x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([1, 2]);
 * const y = ops.clone(x);
 * x.dispose();
 * assert.deepEqual(y.arraySync(), [1, 2]);
 * ```
 */
export function clone<T extends Tensor>(x: T): Same<T> {
  checkTensor("Copying a tensor", x);
  return tf.clone<Tensor>(x) as Same<T>;
}

// Shape

/**
 * The same elements, in row-major order, under another shape; one axis may be −1 and follows from
 * the rest.
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
  const what = "Reshaping";
  checkTensor(what, x);
  checkArray(what, "the shape", shape);
  const known = shape.filter((axis) => axis !== -1);
  checkShape(what, known);
  const free = shape.length - known.length;
  if (free > 1 || (free === 0 ? sizeOf(known) !== x.size : x.size % sizeOf(known) !== 0)) {
    throw new RangeError(
      `${what}: [${x.shape}] has ${x.size} elements, which do not fill the shape [${shape}].`,
    );
  }
  return tf.reshape<Rank>(x, [...shape]) as Tensor<RankFor<S["length"]>>;
}

/**
 * The axes of `x` in another order, axis `permutation[i]` as axis `i`; reversed where no
 * permutation is given.
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
  const what = "Transposing";
  checkTensor(what, x);
  if (permutation === undefined) return tf.transpose(x);
  const axes = checkAxes(what, x.shape, permutation);
  if (axes.length !== x.rank) {
    throw new RangeError(
      `${what}: the permutation must name each axis of [${x.shape}] once, found [${permutation}].`,
    );
  }
  return tf.transpose(x, axes);
}

/**
 * The block of `x` that starts at `begin` and has `size` elements along each axis; a size of −1
 * means all that remain.
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
  const what = "Slicing";
  checkTensor(what, x);
  const shape: Numbers = x.shape;
  const inside = shape.length > 0 && begin.length === shape.length &&
    size.length === shape.length && shape.every((length, axis) => {
      const [from, count] = [begin[axis]!, size[axis]!];
      return Number.isInteger(from) && from >= 0 && from <= length && Number.isInteger(count) &&
        count >= -1 && from + count <= length;
    });
  if (!inside) {
    throw new RangeError(
      `${what}: the block from [${begin}] of size [${size}] does not lie inside the shape [${shape}].`,
    );
  }
  // The rest is worked out here because the backends do so only while no gradient is recorded.
  return tf.slice<R, Tensor<R>>(
    x,
    [...begin],
    size.map((n, i) => n < 0 ? shape[i]! - begin[i]! : n),
  );
}

/**
 * Tensors joined along an existing axis; their other axes must agree.
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
  const what = "Joining tensors";
  const joined = checkAxis(what, checkList(what, tensors).shape, axis);
  checkShapes(what, tensors, joined);
  return tf.concat<Tensor<R>>([...tensors], joined);
}

/**
 * The first of several tensors, after checking that there is one, all are alive, and they have one
 * dtype.
 */
function checkList<R extends Rank>(what: string, tensors: readonly Tensor<R>[]): Tensor<R> {
  checkArray(what, "the tensors", tensors);
  const [first, ...others] = tensors;
  if (!first) throw new RangeError(`${what}: there must be at least one tensor, found none.`);
  for (const tensor of tensors) checkTensor(what, tensor);
  checkSameDtype(what, first, ...others);
  return first;
}

function checkShapes(what: string, tensors: readonly Tensor[], except?: number): void {
  const shapes = tensors.map(({ shape }) => shape.filter((_, axis) => axis !== except).join());
  const wrong = tensors.findIndex((tensor, index) =>
    tensor.rank !== tensors[0]?.rank || shapes[index] !== shapes[0]
  );
  if (wrong >= 0) {
    throw new RangeError(
      `${what}: the shapes must agree${
        except === undefined ? "" : ` but for axis ${except}`
      }, found [${tensors[0]?.shape}] and [${tensors[wrong]?.shape}].`,
    );
  }
}

/**
 * Tensors of one shape joined along a new axis.
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
  const what = "Stacking tensors";
  const place = checkAxis(what, [tensors.length, ...checkList(what, tensors).shape], axis);
  checkShapes(what, tensors);
  return tf.stack([...tensors], place) as Tensor as Tensor<RankUp<R>>;
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
 * `x` taken apart along an axis, which goes away.
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
  const what = "Taking a tensor apart";
  checkTensor(what, x);
  return tf.unstack(x, checkAxis(what, x.shape, axis)) as Tensor[] as Tensor<RankMinus<R, 1>>[];
}

/**
 * `x` cut along an axis into pieces: so many equal ones, or ones of the given sizes.
 *
 * @throws {RangeError} If there is no such axis, or the pieces do not add up to it.
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
  const what = "Splitting";
  checkTensor(what, x);
  const along = checkAxis(what, x.shape, axis);
  const length = x.shape[along]!;
  if (typeof pieces === "number") checkWhole(what, "the number of pieces", pieces, 1);
  else if (!pieces.every((size) => Number.isInteger(size) && size >= 0)) {
    throw new RangeError(
      `${what}: the sizes of the pieces must be whole numbers of at least 0, found [${pieces}].`,
    );
  }
  const fits = typeof pieces === "number"
    ? length % pieces === 0
    : pieces.reduce((sum, size) => sum + size, 0) === length;
  if (!fits) {
    throw new RangeError(
      `${what}: axis ${along} of [${x.shape}] has ${length} elements, which cannot be cut into ${
        typeof pieces === "number" ? `${pieces} equal pieces` : `pieces of sizes [${pieces}]`
      }.`,
    );
  }
  return tf.split<Tensor<R>>(x, typeof pieces === "number" ? pieces : [...pieces], along);
}

/**
 * `x` with `[before, after]` elements of `value` added along each axis.
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
  const what = "Padding";
  checkTensor(what, x, { dtype: NUMERIC });
  if (paddings.length !== x.rank || x.rank === 0) {
    throw new RangeError(
      `${what}: each axis of [${x.shape}] needs a pair [before, after], found ${paddings.length} pairs.`,
    );
  }
  for (const pair of paddings) {
    for (const count of pair) checkWhole(what, "each count", count, 0);
  }
  return tf.pad<Tensor<R>>(x, paddings.map(([before, after]) => [before, after]), value);
}

/**
 * The slices of `x` along `axis` at the given positions.
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
  const what = "Gathering";
  checkTensor(what, x);
  checkTensor(what, indices, { name: "the indices", axes: ["n"], dtype: "int32" });
  const along = checkAxis(what, x.shape, axis);
  const checked = checkIndices(what, "an index", indices, x.shape[along]!);
  return tf.gather<Tensor<R>>(x, checked, along);
}

/**
 * `x` with the order of elements turned round along the axes.
 *
 * @throws {RangeError} If an axis does not exist or is named twice.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.reverse(ops.tensor([[1, 2], [3, 4]]), [1]).arraySync(), [[2, 1], [4, 3]]);
 * ```
 */
export function reverse<T extends Tensor>(x: T, axes: Numbers): Same<T> {
  checkTensor("Reversing", x);
  return tf.reverse<Tensor>(x, checkAxes("Reversing", x.shape, axes)) as Same<T>;
}

/**
 * `x` repeated so many times along each axis.
 *
 * @throws {RangeError} If there is not one number of at least 1 for each axis.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.tile(ops.tensor([[1, 2]]), [2, 2]).arraySync(), [[1, 2, 1, 2], [1, 2, 1, 2]]);
 * ```
 */
export function tile<R extends Rank>(x: Tensor<R>, repetitions: Numbers): Tensor<R> {
  const what = "Tiling";
  checkTensor(what, x);
  if (repetitions.length !== x.rank) {
    throw new RangeError(
      `${what}: each axis of [${x.shape}] needs a number of repetitions, found [${repetitions}].`,
    );
  }
  for (const count of repetitions) checkWhole(what, "a number of repetitions", count, 1);
  return tf.tile<Tensor<R>>(x, [...repetitions]);
}

/**
 * `x` with a new axis of length 1 at `axis`.
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
  const what = "Adding an axis";
  checkTensor(what, x);
  const place = checkAxis(what, [...x.shape, 1], axis);
  return tf.expandDims(x, place) as Tensor as Tensor<RankUp<R>>;
}

/**
 * `x` without the given axes, each of which must have length 1.
 *
 * @throws {RangeError} If an axis does not exist, is named twice, or has another length than 1.
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
  const what = "Squeezing";
  checkTensor(what, x);
  const gone = checkAxes(what, x.shape, axes);
  const long = gone.find((axis) => x.shape[axis] !== 1);
  if (long !== undefined) {
    throw new RangeError(
      `${what}: axis ${long} of [${x.shape}] must have length 1, found ${x.shape[long]}.`,
    );
  }
  // TensorFlow.js takes an empty list for "all".
  return (gone.length === 0 ? tf.clone<Tensor>(x) : tf.squeeze(x, gone)) as Tensor<
    RankMinus<R, A["length"]>
  >;
}

// Element by element, two operands

type Operand = Tensor | number;

function checkBroadcast(what: string, a: Operand, b: Operand): void {
  if (typeof a === "number" || typeof b === "number") return;
  const shorter = Math.min(a.rank, b.rank);
  for (let axis = 1; axis <= shorter; axis++) {
    const left = a.shape[a.rank - axis];
    const right = b.shape[b.rank - axis];
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(
        `${what}: the shapes [${a.shape}] and [${b.shape}] do not broadcast. Counted from the last, each pair of axes must be ` +
          "equal or one of them 1.",
      );
    }
  }
}

function checkOperand(what: string, x: Operand, dtype: readonly DataType[]): void {
  if (typeof x !== "number") checkTensor(what, x, { name: "an operand", dtype });
}

function binary(
  what: string,
  f: (a: Operand, b: Operand) => Tensor,
  dtypes: readonly DataType[] = NUMERIC,
) {
  return <A extends Operand, B extends Operand>(a: A, b: B & Fitting<A, B>): Broadcast<A, B> => {
    checkOperand(what, a, dtypes);
    checkOperand(what, b, dtypes);
    checkBroadcast(what, a, b);
    return f(a, b) as Broadcast<A, B>;
  };
}

function toFloat(x: Operand): Operand {
  return typeof x === "number" || x.dtype === "float32" ? x : tf.cast(x, "float32");
}

/**
 * `a + b`, broadcast: axes of length 1 and missing leading axes are repeated. A number counts as a
 * float32 tensor without axes, and the result is int32 only where both operands are.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const rows = ops.tensor([[1], [2]]);
 * assert.deepEqual(ops.add(rows, ops.tensor([10, 20])).arraySync(), [[11, 21], [12, 22]]);
 * ```
 */
export const add = binary("Adding", sumOf);

/**
 * `a − b`, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.sub(ops.tensor([3, 5]), 1).arraySync(), [2, 4]);
 * ```
 */
export const sub = binary("Subtracting", tf.sub);

/**
 * `a · b` element by element, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.mul(ops.tensor([3, 5]), ops.tensor([2, 4])).arraySync(), [6, 20]);
 * ```
 */
export const mul = binary("Multiplying", tf.mul);

/**
 * `a / b` element by element, broadcast as in {@linkcode add}; float32, also of whole numbers.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const seven = ops.scalar(7, "int32"), two = ops.scalar(2, "int32");
 * assert.equal(ops.div(seven, two).arraySync(), 3.5);
 * ```
 */
export const div = binary("Dividing", (a, b) => tf.tidy(() => tf.div(toFloat(a), b)));

/**
 * `aᵇ` element by element, broadcast as in {@linkcode add}; float32, also of whole numbers.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.pow(ops.tensor([1, 2, 3]), 2).arraySync(), [1, 4, 9]);
 * ```
 */
export const pow = binary(
  "Raising to a power",
  (a, b) => tf.tidy(() => tf.pow<Tensor>(toFloat(a), toFloat(b))),
);

/**
 * The larger of `a` and `b` element by element, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.maximum(ops.tensor([-1, 2]), 0).arraySync(), [0, 2]);
 * ```
 */
export const maximum = binary("Taking the maximum", tf.maximum);

/**
 * The smaller of `a` and `b` element by element, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.minimum(ops.tensor([-1, 2]), 0).arraySync(), [-1, 0]);
 * ```
 */
export const minimum = binary("Taking the minimum", tf.minimum);

/**
 * Whether `a = b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.equal(ops.tensor([1, 2]), 2).arraySync(), [0, 1]);
 * ```
 */
export const equal = binary("Comparing", tf.equal, [...NUMERIC, "bool"]);

/**
 * Whether `a > b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.greater(ops.tensor([1, 2, 3]), 2).arraySync(), [0, 0, 1]);
 * ```
 */
export const greater = binary("Comparing", tf.greater);

/**
 * Whether `a ≥ b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.greaterEqual(ops.tensor([1, 2, 3]), 2).arraySync(), [0, 1, 1]);
 * ```
 */
export const greaterEqual = binary("Comparing", tf.greaterEqual);

/**
 * Whether `a < b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.less(ops.tensor([1, 2, 3]), 2).arraySync(), [1, 0, 0]);
 * ```
 */
export const less = binary("Comparing", tf.less);

/**
 * `a` where the bool condition holds, else `b`; all three broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 * @throws {TypeError} If the condition is not bool, or `a` and `b` differ in dtype.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([-2, 3]);
 * assert.deepEqual(ops.where(ops.less(x, 0), ops.neg(x), x).arraySync(), [2, 3]);
 * ```
 */
export function where<C extends Tensor, A extends Tensor, B extends Tensor>(
  condition: C,
  a: A,
  b: B & Fitting<A, B>,
): Broadcast<C, Broadcast<A, B>> {
  const what = "Choosing";
  checkTensor(what, condition, { name: "the condition", dtype: "bool" });
  checkTensor(what, a);
  checkTensor(what, b);
  checkSameDtype(what, a, b);
  checkBroadcast(what, a, b);
  checkBroadcast(what, condition, a);
  checkBroadcast(what, condition, b);
  return tf.where<Tensor>(condition, a, b) as Broadcast<C, Broadcast<A, B>>;
}

// Element by element, one operand

function unary(
  what: string,
  f: (x: Tensor) => Tensor,
  dtype: DataType | readonly DataType[] = "float32",
): <T extends Tensor>(x: T) => Same<T> {
  return <T extends Tensor>(x: T) => {
    checkTensor(what, x, { dtype });
    return f(x) as Same<T>;
  };
}

/**
 * `−x`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.neg(ops.tensor([1, -2])).arraySync(), [-1, 2]);
 * ```
 */
export const neg = unary("Negating", tf.neg, NUMERIC);

/**
 * `|x|`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.abs(ops.tensor([1, -2])).arraySync(), [1, 2]);
 * ```
 */
export const abs = unary("Taking absolute values", tf.abs, NUMERIC);

/**
 * `eˣ`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.exp(ops.scalar(0)).arraySync(), 1);
 * ```
 */
export const exp = unary("Exponentiating", tf.exp);

/**
 * The natural logarithm: −∞ at 0, NaN below.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.log(ops.scalar(1)).arraySync(), 0);
 * ```
 */
export const log = unary("Taking logarithms", tf.log);

/**
 * `√x`; NaN below 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.sqrt(ops.scalar(9)).arraySync(), 3);
 * ```
 */
export const sqrt = unary("Taking square roots", tf.sqrt);

/**
 * `1/√x`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.rsqrt(ops.scalar(4)).arraySync(), 0.5);
 * ```
 */
export const rsqrt = unary("Taking inverse square roots", tf.rsqrt);

/**
 * `x²`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.square(ops.tensor([1, -2])).arraySync(), [1, 4]);
 * ```
 */
export const square = unary("Squaring", tf.square, NUMERIC);

/**
 * −1, 0 or 1, as `x` is negative, zero or positive; NaN stays NaN.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.sign(ops.tensor([-3, 0, 5])).arraySync(), [-1, 0, 1]);
 * ```
 */
export const sign = unary("Taking signs", (x) =>
  tf.tidy(() => {
    const y = tf.sign(x);
    // TensorFlow.js's own backends give 0 for NaN.
    if (nativeBackend() || x.dtype !== "float32" || isAllFinite(x)) return y;
    return tf.where(tf.isNaN(x), x, y);
  }), NUMERIC);

/**
 * `tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.tanh(ops.scalar(0)).arraySync(), 0);
 * ```
 */
export const tanh = unary("Taking tanh", tf.tanh);

/**
 * `1 / (1 + e⁻ˣ)`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.sigmoid(ops.scalar(0)).arraySync(), 0.5);
 * ```
 */
export const sigmoid = unary("Taking the sigmoid", tf.sigmoid);

/**
 * `max(x, 0)` (Nair and Hinton 2010); its gradient at 0 is 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.relu(ops.tensor([-1, 2])).arraySync(), [0, 2]);
 * ```
 */
export const relu = unary("Taking relu", tf.relu, NUMERIC);

/**
 * The error function `2/√π · ∫₀ˣ exp(−t²) dt`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.erf(ops.scalar(0)).arraySync(), 0);
 * ```
 */
export const erf = unary("Taking the error function", tf.erf);

/**
 * The nearest whole number towards −∞; no gradient flows.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.floor(ops.tensor([1.7, -1.7])).arraySync(), [1, -2]);
 * ```
 */
export const floor = unary("Rounding down", tf.floor);

/**
 * Whether each element is finite, as bool.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.isFinite(ops.tensor([1, NaN, Infinity])).arraySync(), [1, 0, 0]);
 * ```
 */
export const isFinite = unary("Looking for finite numbers", tf.isFinite);

/**
 * Whether each element is not a number, as bool.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.isNaN(ops.tensor([1, NaN, Infinity])).arraySync(), [0, 1, 0]);
 * ```
 */
export const isNaN = unary("Looking for NaN", tf.isNaN);

/**
 * `log(1 + eˣ)`, without overflow.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.softplus(ops.scalar(0)).arraySync(), Math.fround(Math.log(2)));
 * ```
 */
export const softplus = unary("Taking softplus", tf.softplus);

/**
 * `x` where positive, `slope · x` elsewhere (Maas et al. 2013).
 *
 * @throws {RangeError} If the slope is not finite.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.leakyRelu(ops.tensor([-1, 2]), 0.5).arraySync(), [-0.5, 2]);
 * ```
 */
export function leakyRelu<T extends Tensor>(x: T, slope = 0.01): Same<T> {
  checkTensor("Taking leaky relu", x, { dtype: "float32" });
  checkFinite("Taking leaky relu", "the slope", slope);
  return tf.leakyRelu<Tensor>(x, slope) as Same<T>;
}

/**
 * `x · Φ(x)` with Φ the normal distribution function (Hendrycks and Gimpel 2016).
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.gelu(ops.scalar(0)).arraySync(), 0);
 * assert.equal(ops.gelu(ops.scalar(10)).arraySync(), 10);
 * ```
 */
export function gelu<T extends Tensor>(x: T): Same<T> {
  checkTensor("Taking gelu", x, { dtype: "float32" });
  return tf.tidy(() => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))) as Same<
    T
  >;
}

/**
 * `x` limited to the interval from `low` to `high`; the gradient outside it is 0.
 *
 * @throws {RangeError} If `low` is above `high`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.clip(ops.tensor([-5, 0.5, 5]), 0, 1).arraySync(), [0, 0.5, 1]);
 * ```
 */
export function clip<T extends Tensor>(x: T, low: number, high: number): Same<T> {
  checkTensor("Clipping", x, { dtype: NUMERIC });
  if (!(low <= high)) {
    throw new RangeError(
      `Clipping: the lower limit must not be above the upper one, found ${low} and ${high}.`,
    );
  }
  return tf.clipByValue<Tensor>(x, low, high) as Same<T>;
}

/**
 * `softmax(x)ᵢ = exp xᵢ / Σⱼ exp xⱼ` along the last axis.
 *
 * @throws {RangeError} If `x` has no axes.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.softmax(ops.tensor([[0, 0], [0, 1000]])).arraySync(), [[0.5, 0.5], [0, 1]]);
 * ```
 */
export function softmax<T extends Tensor>(x: T): Same<T> {
  checkTensor("Taking softmax", x, { dtype: "float32" });
  checkAxis("Taking softmax", x.shape, -1);
  return tf.softmax<Tensor>(x) as Same<T>;
}

/**
 * The logarithm of {@linkcode softmax}, `xᵢ − log Σⱼ exp xⱼ`, without overflow.
 *
 * @throws {RangeError} If `x` has no axes.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.logSoftmax(ops.tensor([[0, 1000]])).arraySync(), [[-1000, 0]]);
 * ```
 */
export function logSoftmax<T extends Tensor>(x: T): Same<T> {
  checkTensor("Taking log-softmax", x, { dtype: "float32" });
  checkAxis("Taking log-softmax", x.shape, -1);
  return tf.logSoftmax<Tensor>(x) as Same<T>;
}

// Reductions

/**
 * A reduction: over all axes to a scalar, over some (which go away), or over some and keeping them
 * with length 1.
 */
export interface Reduction {
  /** Over all axes. */
  (x: Tensor): Scalar;
  /** Over the given axes, which go away. */
  <R extends Rank, const A extends Numbers>(
    x: Tensor<R>,
    axes: A,
  ): Tensor<RankMinus<R, A["length"]>>;
  /** Over the given axes, which stay with length 1. */
  <R extends Rank>(x: Tensor<R>, axes: Numbers, options: { keepDims: true }): Tensor<R>;
}

function reduction(
  what: string,
  f: (x: Tensor, axes: number[], keepDims: boolean) => Tensor,
  { dtype, ofNothing = false }: { dtype: DataType | readonly DataType[]; ofNothing?: boolean },
): Reduction {
  return (x: Tensor, axes?: Numbers, options: { keepDims?: boolean } = {}) => {
    checkTensor(what, x, { dtype });
    checkOptions<typeof options>(what, options, "{ keepDims: true }", { keepDims: true });
    const { keepDims = false } = options;
    checkBoolean(what, "keepDims", keepDims);
    const over = axes ? checkAxes(what, x.shape, axes) : x.shape.map((_, axis) => axis);
    if (!ofNothing && over.some((axis) => x.shape[axis] === 0)) {
      throw new RangeError(`${what}: the shape [${x.shape}] has no elements to reduce.`);
    }
    return f(x, over, keepDims) as Tensor<never>;
  };
}

/**
 * The sum over axes, or over all elements; the number of those that hold, of bool.
 *
 * @throws {RangeError} If an axis does not exist or is named twice.
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
  ofNothing: true,
});

/**
 * The mean over axes, or of all elements, as float32.
 *
 * @throws {RangeError} If an axis does not exist or is named twice, or there are no elements.
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
 * The biased variance `mean((x − mean x)²)` over axes, or of all elements, as float32.
 *
 * @throws {RangeError} If an axis does not exist or is named twice, or there are no elements.
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
 * The largest element over axes, or of all elements. Its gradient goes to the largest, in equal
 * parts where several are.
 *
 * @throws {RangeError} If an axis does not exist or is named twice, or there are no elements.
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
 * The smallest element over axes, or of all elements. Its gradient goes to the smallest, in equal
 * parts where several are.
 *
 * @throws {RangeError} If an axis does not exist or is named twice, or there are no elements.
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
 * Whether all elements of a bool tensor hold, over axes or altogether.
 *
 * @throws {RangeError} If an axis does not exist or is named twice, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.all(ops.less(ops.tensor([1, 2]), 3)).arraySync(), 1);
 * ```
 */
export const all: Reduction = reduction("Asking for all", tf.all, { dtype: "bool" });

/**
 * Whether any element of a bool tensor holds, over axes or altogether.
 *
 * @throws {RangeError} If an axis does not exist or is named twice, or there are no elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.any(ops.greater(ops.tensor([1, 2]), 3)).arraySync(), 0);
 * ```
 */
export const any: Reduction = reduction("Asking for any", tf.any, { dtype: "bool" });

/**
 * The position of the largest element along one axis, the first where several are, as int32. No
 * gradient flows.
 *
 * @throws {RangeError} If there is no such axis, or nothing along it.
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
  const what = "Looking for the largest element";
  checkTensor(what, x, { dtype: NUMERIC });
  const along = checkAxis(what, x.shape, axis);
  if (x.shape[along] === 0) {
    throw new RangeError(`${what}: the shape [${x.shape}] has no elements along axis ${along}.`);
  }
  return tf.tidy(() => tf.argMax(ranked(x), along)) as Tensor as Tensor<RankMinus<R, 1>>;
}

/**
 * The same order of numbers, with NaN as the largest: TensorFlow.js passes over NaN, or stops at
 * it.
 */
function ranked<T extends Tensor>(x: T): T {
  if (x.dtype !== "float32" || isAllFinite(x)) return x;
  // All finite, as not all backends sort infinities either.
  const largest = (2 - 2 ** -23) * 2 ** 127, next = (2 - 2 ** -22) * 2 ** 127;
  const others = tf.clipByValue<Tensor>(x, -next, next);
  return tf.where<Tensor>(tf.isNaN(x), tf.fill(x.shape, largest), others) as T;
}

/**
 * The `k` largest values of each row `[n, m]` in descending order, and their positions, both
 * `[n, k]`. No gradient flows.
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
  const what = "Looking for the largest elements";
  checkTensor(what, x, { axes: ["n", "m"], dtype: NUMERIC });
  checkWhole(what, "k", k, 1, x.shape[1]);
  return tf.tidy(() => {
    const order = ranked(x);
    const { values, indices } = tf.topk(order, k);
    if (order === x) return { values, indices };
    const rows = tf.range(0, x.size, x.shape[1], "int32");
    const places = tf.reshape(tf.add(indices, tf.expandDims(rows, 1)), [-1]);
    const chosen: Tensor2D = tf.reshape(tf.gather(tf.reshape(x, [-1]), places), indices.shape);
    return { values: chosen, indices };
  });
}

// Matrices

/**
 * The matrix product `[n, k] · [k, m] → [n, m]`; either matrix may be transposed first.
 *
 * @throws {RangeError} If the inner sizes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const a = ops.tensor([[1, 2], [3, 4]]);
 * assert.deepEqual(ops.matMul(a, ops.tensor([[1], [1]])).arraySync(), [[3], [7]]);
 * assert.deepEqual(ops.matMul(a, ops.tensor([[1, 1]]), { transposeB: true }).arraySync(), [[3], [7]]);
 * ```
 */
export function matMul(
  a: Tensor2D,
  b: Tensor2D,
  options: { transposeA?: boolean; transposeB?: boolean } = {},
): Tensor2D {
  const what = "Multiplying matrices";
  checkOptions<typeof options>(what, options, "{ transposeB: true }", {
    transposeA: true,
    transposeB: true,
  });
  const { transposeA = false, transposeB = false } = options;
  checkBoolean(what, "transposeA", transposeA);
  checkBoolean(what, "transposeB", transposeB);
  checkTensor(what, a, { name: "the left matrix", axes: ["n", "k"], dtype: NUMERIC });
  checkTensor(what, b, { name: "the right matrix", axes: ["k", "m"], dtype: NUMERIC });
  const inner = a.shape[transposeA ? 0 : 1];
  const other = b.shape[transposeB ? 1 : 0];
  if (inner !== other) {
    throw new RangeError(
      `${what} [${a.shape}]${transposeA ? "ᵀ" : ""} and [${b.shape}]${
        transposeB ? "ᵀ" : ""
      }: the inner sizes must be equal, found ${inner} and ${other}.`,
    );
  }
  return tf.matMul<Tensor2D>(a, b, transposeA, transposeB);
}

/**
 * Matrix products of two stacks of matrices, `[b, n, k] · [b, k, m] → [b, n, m]`.
 *
 * @throws {RangeError} If the stacks or the inner sizes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const product = ops.batchMatMul(ops.ones([5, 2, 3]), ops.ones([5, 3, 4]));
 * assert.deepEqual(product.shape, [5, 2, 4]);
 * assert.equal(product.dataSync()[0], 3);
 * ```
 */
export function batchMatMul(a: Tensor3D, b: Tensor3D): Tensor3D {
  const what = "Multiplying stacks of matrices";
  checkTensor(what, a, { name: "the left stack", axes: ["b", "n", "k"], dtype: NUMERIC });
  checkTensor(what, b, { name: "the right stack", axes: ["b", "k", "m"], dtype: NUMERIC });
  if (a.shape[0] !== b.shape[0] || a.shape[2] !== b.shape[1]) {
    throw new RangeError(
      `${what}: the shapes must be [b, n, k] and [b, k, m], found [${a.shape}] and [${b.shape}].`,
    );
  }
  return tf.matMul<Tensor3D>(a, b);
}

// Images

/**
 * Images `[batch, height, width, channels]` at another size, by bilinear interpolation with
 * half-pixel centres, as float32. No gradient flows.
 *
 * @throws {RangeError} If the height or width is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3], [1, 2, 2, 1]);
 * assert.deepEqual(ops.resizeBilinear(image, [1, 1]).dataSync(), new Float32Array([1.5]));
 * ```
 */
export function resizeBilinear<C extends number>(
  images: Images<C>,
  size: readonly [height: number, width: number],
): Images<C> {
  const what = "Resizing images";
  checkTensor(what, images, { name: "the images", axes: IMAGE_AXES, dtype: NUMERIC });
  for (const side of size) checkWhole(what, "the height and width", side, 1);
  return tf.image.resizeBilinear<Tensor4D>(images, [size[0], size[1]], false, true);
}

/**
 * One rectangle `[top, left, bottom, right]` from the image at each index, resampled to `size`, as
 * float32: boxes `[n, 4]` and indices `[n]` give `[n, height, width, channels]`. Coordinates are
 * parts of `height − 1` and `width − 1`, and what lies outside the image is 0. No gradient flows.
 *
 * @throws {RangeError} If the boxes are not `[n, 4]`, an index is no image, or the size is not
 * positive.
 * @throws {TypeError} If the image indices are not int32.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1, 2, 3], [1, 2, 2, 1]);
 * const bottomRow = ops.tensor([[1, 0, 1, 1]]);
 * const first = ops.tensor([0], [1], "int32");
 * assert.deepEqual(
 *   ops.cropAndResize(image, bottomRow, first, [1, 2]).dataSync(),
 *   new Float32Array([2, 3]),
 * );
 * ```
 */
export function cropAndResize<C extends number>(
  images: Images<C>,
  boxes: Tensor2D,
  imageIndices: Tensor1D,
  size: readonly [height: number, width: number],
  method: "bilinear" | "nearest" = "bilinear",
): Images<C> {
  const what = "Cropping images";
  checkTensor(what, images, { name: "the images", axes: IMAGE_AXES, dtype: NUMERIC });
  checkTensor(what, boxes, { name: "the boxes", axes: ["n", "4"], dtype: "float32" });
  checkTensor(what, imageIndices, { name: "the image indices", axes: ["n"], dtype: "int32" });
  if (boxes.shape[1] !== 4 || boxes.shape[0] !== imageIndices.shape[0]) {
    throw new RangeError(
      `${what}: the boxes must be [n, 4] and the image indices [n], found [${boxes.shape}] and [${imageIndices.shape}].`,
    );
  }
  for (const side of size) checkWhole(what, "the height and width", side, 1);
  if (method !== "bilinear" && method !== "nearest") {
    throw new RangeError(
      `${what}: the method must be "bilinear" or "nearest", found ${JSON.stringify(method)}.`,
    );
  }
  const checked = checkIndices(what, "an image index", imageIndices, images.shape[0]);
  return tf.image.cropAndResize(images, boxes, checked, [size[0], size[1]], method);
}
