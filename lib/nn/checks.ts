/** Checks that layers share: options when they are built, inputs when they run. */
import { isTensor, isVariable, type Padding, type Pair, type Tensor } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { type AnyModule, Module } from "./module.ts";

/**
 * Checks that something is a layer or a model.
 *
 * @throws {TypeError} If it is not.
 */
export function checkModule(
  doing: string,
  name: string,
  value: unknown,
): asserts value is AnyModule {
  if (!(value instanceof Module)) {
    throw new TypeError(`${doing}: ${name} must be a module, found ${show(value)}.`);
  }
}

/**
 * Checks that an option is a number within limits, which `wanted` says in words.
 *
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If `fits` does not hold.
 */
export function checkNumber(
  doing: string,
  name: string,
  value: unknown,
  fits: boolean,
  wanted: string,
): void {
  if (typeof value === "number" && fits) return;
  const Kind = typeof value === "number" ? RangeError : TypeError;
  throw new Kind(`${doing}: ${name} must be ${wanted}, found ${show(value)}.`);
}

/**
 * Checks that an option of a layer or model is a whole number that is large enough.
 *
 * @throws {TypeError} If it is no number.
 * @throws {RangeError} If it is not whole, or less than `least`.
 *
 * @example
 * ```ts
 * import { checkWhole } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * checkWhole("Building myNet", "classes", 10);
 * assert.throws(
 *   () => checkWhole("Building myNet", "classes", 0),
 *   /Building myNet: classes must be a whole number of at least 1, found 0\./,
 * );
 * ```
 */
export function checkWhole(doing: string, name: string, value: number, least = 1): void {
  const fits = Number.isSafeInteger(value) && value >= least;
  checkNumber(doing, name, value, fits, `a whole number of at least ${least}`);
}

/**
 * Checks that an option is true or false.
 *
 * @throws {TypeError} If it is neither: the string "false" would be true.
 */
export function checkBoolean(doing: string, name: string, value: unknown): void {
  if (typeof value === "boolean") return;
  throw new TypeError(`${doing}: ${name} must be true or false, found ${show(value)}.`);
}

/**
 * Checks that a function was not given more arguments than it takes, which it would ignore.
 *
 * @throws {TypeError} If there are more.
 */
export function checkArguments(doing: string, given: ArrayLike<unknown>, most: number): void {
  if (given.length <= most) return;
  const wanted = most === 0 ? "no arguments" : `at most ${most} argument${most === 1 ? "" : "s"}`;
  throw new TypeError(
    `${doing}: there must be ${wanted}, found ${given.length}, the last of them ${
      show(given[given.length - 1])
    }.`,
  );
}

/**
 * Checks the shape of an input without the batch axis.
 *
 * @throws {RangeError} If it is no list of whole numbers above 0.
 */
export function checkInputShape(doing: string, shape: readonly number[]): void {
  const fits = Array.isArray(shape) && shape.length > 0 &&
    shape.every((axis) => Number.isSafeInteger(axis) && axis > 0);
  if (fits) return;
  throw new RangeError(
    `${doing}: the input shape must be whole numbers above 0 without the batch axis, such as [28, 28, 1], found ${
      show(shape)
    }.`,
  );
}

/** Checks that an option is one whole number of at least 1, or one for each of two axes. */
export function checkPair(doing: string, name: string, value: Pair): void {
  const sides: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (Array.isArray(value) && value.length !== 2) {
    throw new RangeError(
      `${doing}: ${name} must be one number or [vertical, horizontal], found ${show(value)}.`,
    );
  }
  for (const side of sides) checkWhole(doing, name, side as number);
}

/** Checks that an option says how images are padded. */
export function checkPadding(doing: string, padding: Padding): void {
  if (padding === "same" || padding === "valid") return;
  if (typeof padding === "number" && Number.isSafeInteger(padding) && padding >= 0) return;
  const Kind = typeof padding === "number" || typeof padding === "string" ? RangeError : TypeError;
  throw new Kind(
    `${doing}: padding must be "same", "valid" or a whole number of at least 0, found ${
      show(padding)
    }.`,
  );
}

/** The axes of an input, each by name, with its size where that is fixed. */
export type Axes = readonly (string | readonly [name: string, size: number])[];

/** The axes of images with any number of channels. */
export const IMAGE_AXES: Axes = ["batch", "height", "width", "channels"];

/**
 * Checks that a layer can run on an input: a float32 tensor with elements in it, with the given
 * axes where they matter.
 *
 * @throws {TypeError} If it is no tensor, not of float32, or disposed, or the layer was disposed.
 * @throws {RangeError} If the shape is another, or there are no elements.
 */
export function checkInput(layer: AnyModule, input: Tensor, axes?: Axes): void {
  if (!isTensor(input)) {
    throw new TypeError(`${layer.describe()}: the input must be a tensor, found ${show(input)}.`);
  }
  if (input.isDisposed) {
    throw new TypeError(`${layer.describe()}: the input was disposed and holds no values.`);
  }
  // The variables are asked for only where a field tells, since that takes time in each pass.
  const isDisposed = (value: unknown) => isVariable(value) && value.isDisposed;
  if (Object.values(layer).some(isDisposed) && [...layer.variables().values()].some(isDisposed)) {
    throw new TypeError(`${layer.describe()}: it was disposed and cannot run.`);
  }
  const found = `found [${input.shape.join(", ")}].`;
  if (
    axes !== undefined &&
    !(input.rank === axes.length &&
      axes.every((axis, i) => typeof axis === "string" || input.shape[i] === axis[1]))
  ) {
    const wanted = axes.map((axis) => typeof axis === "string" ? axis : axis.join(" "));
    throw new RangeError(
      `${layer.describe()}: the input must be [${wanted.join(", ")}], ${found}`,
    );
  }
  if (input.size === 0) {
    throw new RangeError(`${layer.describe()}: the input must not be empty, ${found}`);
  }
  if (input.dtype !== "float32") {
    throw new TypeError(`${layer.describe()}: the input must be float32, found ${input.dtype}.`);
  }
}
