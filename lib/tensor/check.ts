/**
 * Checks of what a caller passes in, in one voice: what was being done, what was expected, what was
 * found.
 */
import * as tf from "@tensorflow/tfjs-core";
import { show } from "./options.ts";
import type { DataType, Tensor } from "./types.ts";

/**
 * Whether a value is a tensor (a variable is one too).
 *
 * @example
 * ```ts
 * import { isTensor, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert(isTensor(ops.zeros([2])));
 * assert(!isTensor([0, 0]));
 * ```
 */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof tf.Tensor;
}

/** The dtypes that arithmetic takes. */
export const NUMERIC: readonly DataType[] = ["float32", "int32"];
/** The axes of a batch of images. */
export const IMAGE_AXES: readonly string[] = ["batch", "height", "width", "channels"];

/** What a tensor must be; what is left out may be anything. */
export interface Expected {
  /** What the tensor is to the operation, as the subject of a sentence. */
  name?: string;
  /** The names of its axes, as many as it must have. */
  axes?: readonly string[];
  /** The dtype, or one of several. */
  dtype?: DataType | readonly DataType[];
}

/**
 * Checks that a value is a tensor that is alive, with the axes and the dtype that are expected.
 *
 * @throws {TypeError} If it is no tensor, was disposed, or has another dtype.
 * @throws {RangeError} If it has another number of axes.
 */
export function checkTensor(
  what: string,
  x: unknown,
  { name = "the tensor", axes, dtype }: Expected = {},
): asserts x is Tensor {
  if (!isTensor(x)) {
    throw new TypeError(`${what}: ${name} must be a tensor, found ${describe(x)}.`);
  }
  if (x.isDisposed) {
    throw new TypeError(`${what}: ${name} must be alive, found a disposed tensor [${x.shape}].`);
  }
  if (axes && axes.length !== x.rank) {
    throw new RangeError(
      `${what}: ${name} must be [${axes.join(", ")}], found the shape [${x.shape}].`,
    );
  }
  const dtypes: readonly string[] | undefined = typeof dtype === "string" ? [dtype] : dtype;
  if (dtypes && !dtypes.includes(x.dtype)) {
    throw new TypeError(
      `${what}: ${name} must be ${dtypes.join(" or ")}, found ${x.dtype}; ops.cast converts.`,
    );
  }
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === "object") return `an object (${value.constructor?.name ?? "Object"})`;
  return `a ${typeof value}`;
}

/**
 * Checks that a function whose tensors are disposed after it has not gone on in the background.
 *
 * @throws {TypeError} If its result is a promise.
 */
export function checkSynchronous(what: string, result: unknown): void {
  if (result instanceof Promise) {
    // What goes on fails for want of its tensors, which would hide this error.
    result.catch(() => {});
    throw new TypeError(
      `${what}: the function must be synchronous, but it returned a promise. Await first, and compute afterwards.`,
    );
  }
}

/**
 * Checks that tensors have the same dtype.
 *
 * @throws {TypeError} If they differ.
 */
export function checkSameDtype(what: string, first: Tensor, ...others: Tensor[]): void {
  for (const other of others) {
    if (other.dtype !== first.dtype) {
      throw new TypeError(
        `${what}: the tensors must have one dtype, found ${first.dtype} and ${other.dtype}; ops.cast converts.`,
      );
    }
  }
}

/**
 * Checks that a value is a whole number from `from` to `to`.
 *
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is another number.
 */
export function checkWhole(
  what: string,
  name: string,
  value: number,
  from: number,
  to = Infinity,
): void {
  if (Number.isInteger(value) && value >= from && value <= to) return;
  throw new (typeof value === "number" ? RangeError : TypeError)(
    `${what}: ${name} must be a whole number ${
      to === Infinity ? `of at least ${from}` : `from ${from} to ${to}`
    }, found ${show(value)}.`,
  );
}

/**
 * Checks that a value is a finite number.
 *
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is another number.
 */
export function checkFinite(what: string, name: string, value: number): void {
  if (Number.isFinite(value)) return;
  throw new (typeof value === "number" ? RangeError : TypeError)(
    `${what}: ${name} must be a finite number, found ${show(value)}.`,
  );
}

/**
 * Checks that a value is true or false: anything else would count as one of them.
 *
 * @throws {TypeError} If it is not.
 */
export function checkBoolean(what: string, name: string, value: unknown): void {
  if (typeof value !== "boolean") {
    throw new TypeError(`${what}: ${name} must be true or false, found ${describe(value)}.`);
  }
}

/**
 * Checks that a value is an array, such as one of axes or tensors: a cell of a notebook runs
 * without a look at types.
 *
 * @throws {TypeError} If it is not.
 */
export function checkArray(what: string, name: string, value: unknown): void {
  if (!Array.isArray(value)) {
    throw new TypeError(`${what}: ${name} must be an array, found ${describe(value)}.`);
  }
}

/**
 * Checks that a value is a function.
 *
 * @throws {TypeError} If it is not.
 */
export function checkFunction(what: string, name: string, value: unknown): void {
  if (typeof value !== "function") {
    throw new TypeError(`${what}: ${name} must be a function, found ${show(value)}.`);
  }
}

/**
 * Checks that a shape is made of at most six whole numbers from 0.
 *
 * @throws {TypeError} If it is no array.
 * @throws {RangeError} If it is made of something else.
 */
export function checkShape(what: string, shape: readonly number[]): void {
  checkArray(what, "the shape", shape);
  if (shape.length > 6 || !shape.every((axis) => Number.isInteger(axis) && axis >= 0)) {
    throw new RangeError(
      `${what}: a shape must be at most six whole numbers of at least 0, found [${shape}].`,
    );
  }
}

/**
 * Checks that an axis exists, and counts a negative one from the last.
 *
 * @throws {RangeError} If there is no such axis.
 */
export function checkAxis(what: string, shape: readonly number[], axis: number): number {
  const rank = shape.length;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new RangeError(
      `${what}: the shape [${shape}] has ${rank} ${
        rank === 1 ? "axis" : "axes"
      }, so there is no axis ${axis}.`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/**
 * Checks that axes exist and none comes twice, and counts negative ones from the last.
 *
 * @throws {TypeError} If they are no array.
 * @throws {RangeError} If one does not exist or comes twice.
 */
export function checkAxes(
  what: string,
  shape: readonly number[],
  axes: readonly number[],
): number[] {
  checkArray(what, "the axes", axes);
  const result = axes.map((axis) => checkAxis(what, shape, axis));
  if (new Set(result).size < result.length) {
    throw new RangeError(`${what}: each axis can be named once, found [${axes}].`);
  }
  return result;
}
