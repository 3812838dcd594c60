/**
 * Checks of arguments, with one wording of errors: action, subject, condition, value. Cells and
 * plain `deno run` are not type-checked, so the running library refuses what the types refuse.
 */
import * as tf from "@tensorflow/tfjs-core";
import { likelyName } from "./option_hints.ts";
import type { DataType, Tensor } from "./types.ts";

/**
 * Returns whether a value is a tensor. A variable is a tensor, too.
 */
export function isTensor(value: unknown): value is Tensor {
  return value instanceof tf.Tensor;
}

/** The dtypes that arithmetic accepts. */
export const NUMERIC: readonly DataType[] = ["float32", "int32"];
/** The axes of a batch of images. */
export const IMAGE_AXES: readonly string[] = ["batch", "height", "width", "channels"];

/** Requirements of a tensor; a requirement that is left out is not checked. */
export interface Expected {
  /**
   * The subject of error messages.
   *
   * @default "the tensor"
   */
  name?: string;
  /** The names of its axes; the tensor must have as many. */
  axes?: readonly string[];
  /** The dtype, or several that are accepted. */
  dtype?: DataType | readonly DataType[];
}

/**
 * Checks that a value is a tensor that is alive, with the axes and the dtype that are expected.
 *
 * @throws {TypeError} If it is not a tensor, was disposed, or has a different dtype.
 * @throws {RangeError} If it has a different number of axes.
 */
export function checkTensor(
  action: string,
  x: unknown,
  { name = "the tensor", axes, dtype }: Expected = {},
): asserts x is Tensor {
  if (!isTensor(x)) {
    throw new TypeError(`${action}: ${name} must be a tensor, found ${show(x)}.`);
  }
  if (x.isDisposed) {
    throw new TypeError(`${action}: ${name} must be alive, found a disposed tensor [${x.shape}].`);
  }
  if (axes && axes.length !== x.rank) {
    throw new RangeError(
      `${action}: ${name} must be [${axes.join(", ")}], found the shape [${x.shape}].`,
    );
  }
  const dtypes: readonly string[] | undefined = typeof dtype === "string" ? [dtype] : dtype;
  if (dtypes && !dtypes.includes(x.dtype)) {
    throw new TypeError(
      `${action}: ${name} must be ${
        dtypes.join(" or ")
      }, found ${x.dtype}. Convert it by ops.cast.`,
    );
  }
}

/**
 * Checks the result of a function whose tensors are disposed after it. The function must not
 * continue in the background.
 *
 * @throws {TypeError} If its result is a promise.
 */
export function checkSynchronous(action: string, result: unknown): void {
  if (result instanceof Promise) {
    // The rest of the function fails because its tensors are gone, which would hide this error.
    result.catch(() => {});
    throw new TypeError(
      `${action}: the function must be synchronous, found one that returned a promise. Await first, and compute afterwards.`,
    );
  }
}

/**
 * Checks that tensors have the same dtype.
 *
 * @throws {TypeError} If they differ.
 */
export function checkSameDtype(action: string, first: Tensor, ...others: Tensor[]): void {
  for (const other of others) {
    if (other.dtype !== first.dtype) {
      throw new TypeError(
        `${action}: the tensors must have one dtype, found ${first.dtype} and ${other.dtype}. Convert one by ops.cast.`,
      );
    }
  }
}

/**
 * Checks a number against a condition.
 *
 * @param condition The condition in words, such as `"at least 0"`.
 *
 * @throws {TypeError} If the value is not a number.
 * @throws {RangeError} If `fits` is false.
 */
export function checkNumber(
  action: string,
  subject: string,
  value: unknown,
  fits: boolean,
  condition: string,
): asserts value is number {
  if (typeof value === "number" && fits) return;
  throw new (typeof value === "number" ? RangeError : TypeError)(
    `${action}: ${subject} must be ${condition}, found ${show(value)}.`,
  );
}

/**
 * Checks that a value is a whole number from `least` to `most`.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is any other number.
 */
export function checkInteger(
  action: string,
  subject: string,
  value: unknown,
  least = 1,
  most = Infinity,
): asserts value is number {
  const fits = Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most;
  const condition = most === Infinity ? `of at least ${least}` : `from ${least} to ${most}`;
  checkNumber(action, subject, value, fits, `a whole number ${condition}`);
}

/**
 * Checks that a value is a finite number.
 *
 * @throws {TypeError} If it is not a number.
 * @throws {RangeError} If it is any other number.
 */
export function checkFinite(action: string, subject: string, value: unknown): void {
  checkNumber(action, subject, value, Number.isFinite(value), "a finite number");
}

/**
 * Checks that a value is true or false.
 *
 * @throws {TypeError} If it is not.
 */
export function checkBoolean(action: string, subject: string, value: unknown): void {
  if (typeof value !== "boolean") {
    throw new TypeError(`${action}: ${subject} must be true or false, found ${show(value)}.`);
  }
}

/**
 * Checks that a value is an array, such as axes or tensors.
 *
 * @throws {TypeError} If it is not.
 */
export function checkArray(action: string, subject: string, value: unknown): void {
  if (!Array.isArray(value)) {
    throw new TypeError(`${action}: ${subject} must be an array, found ${show(value)}.`);
  }
}

/**
 * Checks that a value is a function.
 *
 * @throws {TypeError} If it is not.
 */
export function checkFunction(action: string, subject: string, value: unknown): void {
  if (typeof value !== "function") {
    throw new TypeError(`${action}: ${subject} must be a function, found ${show(value)}.`);
  }
}

/**
 * Checks that a value is a string.
 *
 * @throws {TypeError} If it is not.
 */
export function checkString(
  action: string,
  subject: string,
  value: unknown,
): asserts value is string {
  if (typeof value !== "string") {
    throw new TypeError(`${action}: ${subject} must be a string, found ${show(value)}.`);
  }
}

/**
 * Checks that a value is one of several.
 *
 * @throws {TypeError} If it is not a string.
 * @throws {RangeError} If it is any other string.
 */
export function checkOneOf(
  action: string,
  subject: string,
  value: unknown,
  all: readonly string[],
): void {
  if (all.some((one) => one === value)) return;
  const likely = typeof value === "string" ? likelyName(value, all) : undefined;
  throw new (typeof value === "string" ? RangeError : TypeError)(
    `${action}: ${subject} must be one of ${all.map(show).join(", ")}, found ${show(value)}.${
      likely === undefined ? "" : ` Did you mean ${show(likely)}?`
    }`,
  );
}

/**
 * Checks that a value is an instance of a class.
 *
 * @param noun The kind of value with its article, such as `"an ImageDataset"`.
 *
 * @throws {TypeError} If it is not.
 */
export function checkInstance<T>(
  action: string,
  subject: string,
  value: unknown,
  // deno-lint-ignore no-explicit-any
  type: abstract new (...parameters: any[]) => T,
  noun: string,
): asserts value is T {
  if (!(value instanceof type)) {
    throw new TypeError(`${action}: ${subject} must be ${noun}, found ${show(value)}.`);
  }
}

/**
 * Checks an option `signal`, where it is given.
 *
 * @throws {TypeError} If it is not an AbortSignal.
 */
export function checkSignal(action: string, signal: unknown): void {
  if (signal === undefined) return;
  checkInstance(action, "signal", signal, AbortSignal, "an AbortSignal such as controller.signal");
}

/**
 * Checks that a value is one whole number of at least 1, or one for each of two axes.
 *
 * @throws {TypeError} If it is neither a number nor an array of numbers.
 * @throws {RangeError} If it is any other number, or an array of a different length.
 */
export function checkPair(action: string, subject: string, value: unknown): void {
  if (Array.isArray(value) && value.length !== 2) {
    throw new RangeError(
      `${action}: ${subject} must be one number or [vertical, horizontal], found ${show(value)}.`,
    );
  }
  for (const side of Array.isArray(value) ? value : [value]) checkInteger(action, subject, side);
}

/**
 * Checks that an option says how images are padded.
 *
 * @throws {TypeError} If it is neither a string nor a number.
 * @throws {RangeError} If it is any other string or number.
 */
export function checkPadding(action: string, padding: unknown): void {
  if (padding === "same" || padding === "valid") return;
  if (Number.isSafeInteger(padding) && Number(padding) >= 0) return;
  throw new (typeof padding === "number" || typeof padding === "string" ? RangeError : TypeError)(
    `${action}: padding must be "same", "valid" or a whole number of at least 0, found ${
      show(padding)
    }.`,
  );
}

/**
 * Checks that a shape is made of at most six whole numbers from 0.
 *
 * @throws {TypeError} If it is not an array.
 * @throws {RangeError} If it is made of something else.
 */
export function checkShape(action: string, shape: readonly number[]): void {
  checkArray(action, "the shape", shape);
  if (shape.length > 6 || !shape.every((axis) => Number.isInteger(axis) && axis >= 0)) {
    throw new RangeError(
      `${action}: a shape must be at most six whole numbers of at least 0, found [${shape}].`,
    );
  }
}

/**
 * Checks that an axis exists. Returns it; a negative one counts from the last axis.
 *
 * @throws {RangeError} If there is no such axis.
 */
export function checkAxis(action: string, shape: readonly number[], axis: number): number {
  const rank = shape.length;
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new RangeError(
      rank === 0
        ? `${action}: the shape must have at least one axis, found [].`
        : `${action}: each axis of the shape [${shape}] must be a whole number from ${-rank} to ${
          rank - 1
        }, found ${axis}.`,
    );
  }
  return axis < 0 ? axis + rank : axis;
}

/**
 * Checks that axes exist and that none is repeated. Returns them, negative ones counted from the
 * last axis.
 *
 * @throws {TypeError} If they are not an array.
 * @throws {RangeError} If one does not exist or is repeated.
 */
export function checkAxes(
  action: string,
  shape: readonly number[],
  axes: readonly number[],
): number[] {
  checkArray(action, "the axes", axes);
  const result = axes.map((axis) => checkAxis(action, shape, axis));
  if (new Set(result).size < result.length) {
    throw new RangeError(`${action}: the axes must differ, found [${axes}].`);
  }
  return result;
}

/**
 * The names of all options of a type. A name that is missing or wrong is a compile error.
 */
export type OptionNames<T> = { readonly [Name in keyof T]-?: true };

/**
 * Checks that options are an object and that each one exists.
 *
 * @param action The caller's action, such as `"Building myBlock"`.
 * @param example An example of the options, as in code.
 * @param names Every option that exists.
 * @throws {TypeError} If `options` is not an object or has an option that is not in `names`.
 */
export function checkOptions<T extends object>(
  action: string,
  options: unknown,
  example: string,
  names: OptionNames<NoInfer<T>>,
): void {
  if (!isPlainObject(options)) {
    throw new TypeError(
      `${action}: the options must be an object such as ${example}, found ${show(options)}.`,
    );
  }
  const known = Object.keys(names);
  const unknown = Object.keys(options).filter((name) => !Object.hasOwn(names, name));
  if (unknown.length === 0) return;
  const none = `${action}: there ${unknown.length === 1 ? "is no option" : "are no options"} ${
    unknown.join(", ")
  }.`;
  const likely = new Set(unknown.flatMap((name) => likelyName(name, known) ?? []));
  const hint = likely.size === 0 ? "" : `Did you mean ${[...likely].join(", ")}? `;
  throw new TypeError(
    known.length === 0
      ? `${none} It takes none.`
      : `${none} ${hint}The options are ${known.join(", ")}.`,
  );
}

/**
 * Returns whether a value was written as `{ … }`. The name of the constructor also identifies
 * objects of another realm.
 */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype.constructor?.name === "Object";
}

/**
 * Checks that a value can be the path of a file.
 *
 * @throws {TypeError} If it is not a string, or empty.
 */
export function checkPath(
  action: string,
  subject: string,
  value: unknown,
  example: string,
): void {
  if (typeof value === "string" && value !== "") return;
  throw new TypeError(
    `${action}: ${subject} must be a path such as ${show(example)}, found ${show(value)}.`,
  );
}

/** Returns a value as text for an error message. */
export function show(value: unknown): string {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 200 ? `${value.slice(0, 200)}…` : value);
  }
  if (typeof value === "function") {
    return value.name === ""
      ? "a function (was it meant to be called?)"
      : `the function ${value.name} (call it: ${value.name}())`;
  }
  if (Array.isArray(value)) {
    const shown = value.slice(0, 10).map(show);
    return `[${(value.length > 10 ? [...shown, `… ${value.length} in all`] : shown).join(", ")}]`;
  }
  if (isTensor(value)) return `a tensor of ${value.dtype} [${value.shape.join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    // The layers and models of lib/nn, which imports this file.
    return "describe" in value && typeof value.describe === "function"
      ? `the module ${value.describe()}`
      : value instanceof Promise
      ? "a promise (was it meant to be awaited?)"
      : isPlainObject(value)
      ? "an object"
      : `an object (${value.constructor?.name ?? "of no class"})`;
  }
  return String(value);
}

/**
 * Checks that a function did not receive more arguments than it takes: it would ignore them.
 *
 * @throws {TypeError} If there are more than `most`.
 */
export function checkArguments(action: string, values: ArrayLike<unknown>, most: number): void {
  if (values.length <= most) return;
  const allowed = most === 0 ? "no arguments" : `at most ${most} argument${most === 1 ? "" : "s"}`;
  throw new TypeError(
    `${action}: there must be ${allowed}, found ${values.length}, the last of them ${
      show(values[values.length - 1])
    }.`,
  );
}
