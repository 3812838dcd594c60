/** Checks about modules and their inputs. */
import type { Tensor } from "../tensor/mod.ts";
import { checkInstance, isTensor, show } from "../tensor/internal.ts";
import { type AnyModule, Module } from "./module.ts";

/**
 * Checks that a value is a layer or a model.
 *
 * @throws {TypeError} If it is not.
 */
export function checkModule(
  action: string,
  subject: string,
  value: unknown,
): asserts value is AnyModule {
  checkInstance(action, subject, value, Module, "a module");
}

/**
 * Checks the shape of an input without the batch axis.
 *
 * @throws {RangeError} If it is not an array of whole numbers of at least 1.
 */
export function checkInputShape(action: string, shape: readonly number[]): void {
  const fits = Array.isArray(shape) && shape.length > 0 &&
    shape.every((axis) => Number.isSafeInteger(axis) && axis > 0);
  if (fits) return;
  throw new RangeError(
    `${action}: the input shape must be whole numbers of at least 1 without the batch axis, such as [28, 28, 1], found ${
      show(shape)
    }.`,
  );
}

/** The names of an input's axes, each with its size if the layer fixes it. */
export type Axes = readonly (string | readonly [name: string, size: number])[];

/** The axes of images with any number of channels. */
export const IMAGE_AXES: Axes = ["batch", "height", "width", "channels"];

/**
 * Checks that a layer can run on an input: a float32 tensor with at least one element, and with the
 * given axes. Ops check their inputs too, but only the layer can say which layer it is.
 *
 * @throws {TypeError} If it is not a tensor, not float32, or disposed.
 * @throws {RangeError} If it has the wrong shape or no elements.
 */
export function checkInput(layer: AnyModule, input: Tensor, axes?: Axes): void {
  if (!isTensor(input)) {
    throw new TypeError(`${layer.describe()}: the input must be a tensor, found ${show(input)}.`);
  }
  if (input.isDisposed) {
    throw new TypeError(
      `${layer.describe()}: the input must be alive, found a disposed tensor [${input.shape}].`,
    );
  }
  const found = `found [${input.shape.join(", ")}].`;
  if (
    axes !== undefined &&
    !(input.rank === axes.length &&
      axes.every((axis, i) => typeof axis === "string" || input.shape[i] === axis[1]))
  ) {
    const expected = axes.map((axis) => typeof axis === "string" ? axis : axis.join(" "));
    throw new RangeError(
      `${layer.describe()}: the input must be [${expected.join(", ")}], ${found}`,
    );
  }
  if (input.size === 0) {
    throw new RangeError(`${layer.describe()}: the input must not be empty, ${found}`);
  }
  if (input.dtype !== "float32") {
    throw new TypeError(`${layer.describe()}: the input must be float32, found ${input.dtype}.`);
  }
}
