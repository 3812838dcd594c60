/** Tensors from numbers. */
import * as tf from "@tensorflow/tfjs-core";
import { checkFinite, checkInteger, checkShape, checkTensor, show } from "../checks.ts";
import { checkIndices } from "./indices.ts";
import type {
  DataType,
  Rank,
  RankFor,
  SameShape,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
} from "../types.ts";

type Numbers = readonly number[];
type TypedNumbers = Float32Array | Int32Array | Uint8Array;

/** Returns the shape of nested arrays, and their numbers in row-major order. */
function flatten(action: string, values: unknown): { shape: number[]; numbers: number[] } {
  const shape: number[] = [];
  for (let inner = values; Array.isArray(inner); inner = inner[0]) shape.push(inner.length);
  const numbers: number[] = [];
  const visit = (value: unknown, axis: number): void => {
    if (Array.isArray(value)) {
      if (value.length !== shape[axis]) {
        throw new RangeError(
          `${action}: arrays of one depth must have one length, found ${
            axis < shape.length ? `${shape[axis]} and ${value.length}` : "an array beside a number"
          }.`,
        );
      }
      for (const inner of value) visit(inner, axis + 1);
    } else if (typeof value !== "number") {
      throw new TypeError(`${action}: the values must be numbers, found ${show(value)}.`);
    } else if (axis < shape.length) {
      throw new RangeError(
        `${action}: arrays of one depth must have one length, found a number beside an array.`,
      );
    } else numbers.push(value);
  };
  visit(values, 0);
  return { shape, numbers };
}

/** Returns a copy of numbers as the typed array of a dtype. */
function toTypedArray(
  action: string,
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
          `${action}: int32 values must be whole numbers of 32 bits, found ${
            numbers[wrong]
          } at position ${wrong}.`,
        );
      }
      return whole;
    }
    default:
      throw new TypeError(
        `${action}: the dtype must be float32, int32 or bool, found ${show(dtype)}.`,
      );
  }
}

/**
 * Returns a tensor of values: a number, nested arrays, or a flat array with a shape. The values are
 * copied.
 *
 * @param dtype The type of the elements, for numbers and typed arrays alike.
 * @default "float32"
 *
 * @throws {RangeError} If the values are ragged, do not fit the shape, or are not whole for int32.
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
/** From a flat array: one axis. */
export function tensor(values: Numbers, shape?: undefined, dtype?: DataType): Tensor1D;
/** From an array of arrays: two axes. */
export function tensor(values: readonly Numbers[], shape?: undefined, dtype?: DataType): Tensor2D;
/** From arrays of depth three. */
export function tensor(
  values: readonly (readonly Numbers[])[],
  shape?: undefined,
  dtype?: DataType,
): Tensor3D;
/** From arrays of depth four. */
export function tensor(
  values: readonly (readonly (readonly Numbers[])[])[],
  shape?: undefined,
  dtype?: DataType,
): Tensor4D;
/** From a flat array or a typed array in row-major order, with a shape. */
export function tensor<const S extends Numbers>(
  values: Numbers | TypedNumbers,
  shape: S,
  dtype?: DataType,
): Tensor<RankFor<S["length"]>>;
/** From a typed array: one axis. */
export function tensor(values: TypedNumbers, shape?: undefined, dtype?: DataType): Tensor1D;
export function tensor(values: unknown, shape?: Numbers, dtype: DataType = "float32"): Tensor {
  const action = "Creating a tensor";
  const flat = values instanceof Float32Array || values instanceof Int32Array ||
      values instanceof Uint8Array
    ? { shape: [values.length], numbers: values }
    : flatten(action, values);
  const axes = shape ?? flat.shape;
  checkShape(action, axes);
  const count = tf.util.sizeFromShape([...axes]);
  if (count !== flat.numbers.length) {
    throw new RangeError(
      `${action}: there must be ${count} values for the shape [${axes}], found ${flat.numbers.length}.`,
    );
  }
  return tf.tensor(toTypedArray(action, flat.numbers, dtype), [...axes], dtype);
}

/**
 * Returns a tensor without axes that holds one number.
 *
 * @throws {RangeError} If the value is not whole for int32.
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
 * Returns a tensor of zeros.
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
 * Returns a tensor of ones.
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
 * Returns a tensor in which every element is `value`.
 *
 * @throws {RangeError} If the shape is not made of at most six whole numbers of at least 0, or the
 * value is not whole for int32.
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
 * Returns zeros with the shape and dtype of `x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.zerosLike(ops.tensor([5, 6])).arraySync(), [0, 0]);
 * ```
 */
export function zerosLike<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Making zeros like a tensor", x);
  return tf.zerosLike<Tensor>(x) as SameShape<T>;
}

/**
 * Returns ones with the shape and dtype of `x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.onesLike(ops.tensor([5, 6])).arraySync(), [1, 1]);
 * ```
 */
export function onesLike<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Making ones like a tensor", x);
  return tf.onesLike<Tensor>(x) as SameShape<T>;
}

/**
 * Returns the identity matrix `[size, size]`.
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
  checkInteger("Making an identity matrix", "the size", size, 0);
  return tf.eye(size);
}

/**
 * Returns `count` numbers from `start` to `stop`, both included, with equal steps.
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
  const action = "Spacing numbers evenly";
  checkFinite(action, "the start", start);
  checkFinite(action, "the stop", stop);
  checkInteger(action, "the count", count, 1);
  return tf.linspace(start, stop, count);
}

/**
 * Returns the numbers from `start` to before `stop` in steps of `step`.
 *
 * @throws {RangeError} If a number is not finite, the step does not lead from start to stop, or the
 * numbers are not whole for int32.
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
  const action = "Making a range";
  checkFinite(action, "the start", start);
  checkFinite(action, "the stop", stop);
  checkFinite(action, "the step", step);
  if (start !== stop && (stop - start) * step <= 0) {
    throw new RangeError(
      `${action}: the step must lead from ${start} to ${stop}, found ${step}.`,
    );
  }
  toTypedArray(action, [start, step], dtype);
  return tf.range(start, stop, step, dtype);
}

/**
 * Returns class numbers `[n]` as float32 rows `[n, classes]`, with 1 at the class and 0 elsewhere.
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
  const action = "One-hot encoding";
  checkTensor(action, labels, { name: "the labels", axes: ["n"], dtype: "int32" });
  checkInteger(action, "the number of classes", classes, 2);
  const checked = checkIndices(action, "a label", labels, classes);
  return tf.oneHot(checked, classes, 1, 0, "float32") as Tensor2D;
}

/**
 * Converts values to a different dtype. From float32 to int32 the fraction is dropped, and NaN and
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
export function cast<T extends Tensor>(x: T, dtype: DataType): SameShape<T> {
  checkTensor("Converting a tensor", x);
  toTypedArray("Converting a tensor", [], dtype);
  return tf.cast<Tensor>(x, dtype) as SameShape<T>;
}

/**
 * Returns a second tensor with the values of `x`.
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
export function clone<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Copying a tensor", x);
  return tf.clone<Tensor>(x) as SameShape<T>;
}
