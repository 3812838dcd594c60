/** Checks that layers share: options when they are built, inputs when they run. */
import type { Tensor } from "../tensor/mod.ts";

/**
 * Checks that an option is a whole number that is large enough.
 *
 * @throws {RangeError} If it is not.
 */
export function checkWhole(layer: string, name: string, value: number, least = 1): void {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(
      `Building ${layer}: ${name} must be a whole number of at least ${least}, found ${value}.`,
    );
  }
}

/**
 * Checks that a layer's input is a float32 tensor of the shape it takes; `null` stands for any size.
 *
 * @throws {TypeError} If it is no tensor, or not of float32.
 * @throws {RangeError} If the shape is another.
 */
export function checkInput(
  layer: string,
  input: Tensor,
  axes: readonly (readonly [name: string, size: number | null])[],
): void {
  if (!(typeof input === "object" && input !== null && "shape" in input)) {
    throw new TypeError(`${layer}: the input must be a tensor, found ${input}.`);
  }
  const wanted = axes.map(([name, size]) => size === null ? name : `${name} ${size}`).join(", ");
  const fits = input.rank === axes.length &&
    axes.every(([, size], i) => size === null || input.shape[i] === size);
  if (!fits) {
    throw new RangeError(`${layer}: the input must be [${wanted}], found [${input.shape}].`);
  }
  if (input.dtype !== "float32") {
    throw new TypeError(`${layer}: the input must be float32, found ${input.dtype}.`);
  }
}

/** The axes of images with so many channels. */
export function imageAxes(channels: number | null): [string, number | null][] {
  return [["batch", null], ["height", null], ["width", null], ["channels", channels]];
}
