/**
 * Checks that the files of this room share. Cells are not type-checked, so a value of a wrong kind
 * is refused here.
 */
import { show } from "../tensor/internal.ts";

/**
 * Checks that options are positive integers, `"optional"` ones where they are given.
 *
 * @throws {TypeError} If one is no number.
 * @throws {RangeError} If one is not a positive integer.
 */
export function checkPositive(
  doing: string,
  values: Record<string, unknown>,
  optional?: "optional",
): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined && optional || Number.isSafeInteger(value) && Number(value) >= 1) {
      continue;
    }
    const Kind = typeof value === "number" ? RangeError : TypeError;
    throw new Kind(`${doing}: ${name} must be a positive integer, found ${show(value)}.`);
  }
}

/**
 * Checks that a size is a height and a width.
 *
 * @throws {TypeError} If it is no pair of numbers.
 * @throws {RangeError} If a side is not a positive integer.
 */
export function checkSize(doing: string, size: unknown): void {
  if (!Array.isArray(size) || size.length !== 2) {
    throw new TypeError(
      `${doing}: size must be [height, width] such as [224, 224], found ${show(size)}.`,
    );
  }
  const [height, width] = size;
  checkPositive(doing, { height, width });
}

/**
 * Checks the kind of options, those that are given.
 *
 * @throws {TypeError} If one is of another kind.
 */
export function checkKinds(
  doing: string,
  kind: "boolean" | "string" | "function",
  values: Record<string, unknown>,
): void {
  for (const [name, value] of Object.entries(values)) {
    if (value === undefined || typeof value === kind) continue;
    throw new TypeError(`${doing}: ${name} must be a ${kind}, found ${show(value)}.`);
  }
}

/**
 * Checks an option `signal`: anything else would never end what it is meant to end.
 *
 * @throws {TypeError} If it is no AbortSignal.
 */
export function checkSignal(doing: string, signal: unknown): void {
  if (signal === undefined || signal instanceof AbortSignal) return;
  throw new TypeError(
    `${doing}: signal must be an AbortSignal such as controller.signal, found ${show(signal)}.`,
  );
}

/**
 * The names of classes: strings that are not empty and differ.
 *
 * @throws {TypeError} If they are no array of strings.
 * @throws {RangeError} If one is empty, or two are the same.
 */
export function checkNames(
  doing: string,
  option: string,
  names: unknown,
): asserts names is readonly string[] {
  if (!Array.isArray(names)) {
    throw new TypeError(
      `${doing}: ${option} must be an array of names such as ["cat", "dog"], found ${show(names)}.`,
    );
  }
  const seen = new Map<string, number>();
  // Array.from, so that a hole in the array counts as undefined.
  for (const [i, name] of Array.from<unknown>(names).entries()) {
    if (typeof name !== "string") {
      throw new TypeError(`${doing}: ${option}[${i}] must be a string, found ${show(name)}.`);
    }
    if (name.trim() === "") {
      throw new RangeError(`${doing}: ${option}[${i}] must not be empty, found ${show(name)}.`);
    }
    const first = seen.get(name);
    if (first !== undefined) {
      throw new RangeError(
        `${doing}: ${option} must differ, found ${show(name)} at ${first} and at ${i}.`,
      );
    }
    seen.set(name, i);
  }
}

/**
 * Room for the bytes of images.
 *
 * @throws {RangeError} If there is not enough.
 */
export function allocate(
  doing: string,
  count: number,
  imageSize: number,
): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(count * imageSize);
  } catch (error) {
    throw new RangeError(
      `${doing}: the pixels of all images must fit in memory, found ${count} images of ${imageSize} bytes. ` +
        "Choose a smaller size or fewer images.",
      { cause: error },
    );
  }
}
