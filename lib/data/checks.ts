/** Checks of sizes, class names and indices, and of the memory that images need. */
import { checkArray, checkInteger, checkString, show } from "../tensor/internal.ts";

/**
 * Checks that a size is a height and a width.
 *
 * @throws {TypeError} If it is not a pair of numbers.
 * @throws {RangeError} If a side is not a whole number of at least 1.
 */
export function checkSize(action: string, size: unknown): void {
  if (!Array.isArray(size) || size.length !== 2) {
    throw new TypeError(
      `${action}: size must be [height, width] such as [224, 224], found ${show(size)}.`,
    );
  }
  checkInteger(action, "height", size[0]);
  checkInteger(action, "width", size[1]);
}

/**
 * Checks that class names are strings that are not empty and differ.
 *
 * @throws {TypeError} If they are not an array of strings.
 * @throws {RangeError} If one is empty, or two are the same.
 */
export function checkClassNames(
  action: string,
  subject: string,
  names: unknown,
): asserts names is readonly string[] {
  checkArray(action, subject, names);
  const positions = new Map<string, number>();
  // Array.from turns a hole of the array into undefined.
  for (const [i, name] of Array.from(names as unknown[]).entries()) {
    checkString(action, `${subject}[${i}]`, name);
    if (name.trim() === "") {
      throw new RangeError(`${action}: ${subject}[${i}] must not be empty, found ${show(name)}.`);
    }
    const first = positions.get(name);
    if (first !== undefined) {
      throw new RangeError(
        `${action}: ${subject} must differ, found ${show(name)} at ${first} and at ${i}.`,
      );
    }
    positions.set(name, i);
  }
}

/**
 * Returns an array for the bytes of images.
 *
 * @throws {RangeError} If there is not enough memory.
 */
export function allocate(
  action: string,
  count: number,
  imageSize: number,
): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(count * imageSize);
  } catch (error) {
    throw new RangeError(
      `${action}: the pixels of all images must fit in memory, found ${count} images of ${imageSize} bytes. ` +
        "Choose a smaller size or fewer images.",
      { cause: error },
    );
  }
}

/** Returns the name of a typed array's class, also for subclasses and arrays of another realm. */
export function typedArrayName(array: unknown): string | undefined {
  return ArrayBuffer.isView(array) && !(array instanceof DataView)
    ? (array as Uint8Array)[Symbol.toStringTag]
    : undefined;
}

/**
 * Checks positions in a data set.
 *
 * @throws {TypeError} If they are not an array of numbers.
 * @throws {RangeError} If there are none, or one is out of range.
 */
export function checkIndices(
  { name, count }: { readonly name: string; readonly count: number },
  indices: readonly number[] | Int32Array,
): void {
  const action = `Reading "${name}"`;
  if (!Array.isArray(indices) && typedArrayName(indices) === undefined) {
    throw new TypeError(
      `${action}: the indices must be an array of numbers, found ${show(indices)}.`,
    );
  }
  if (indices.length === 0) {
    throw new RangeError(`${action}: there must be at least one index, found none.`);
  }
  for (const index of indices) {
    if (Number.isInteger(index) && index >= 0 && index < count) continue;
    checkInteger(action, "an index", index, 0, count - 1); // Too slow for every index.
  }
}
