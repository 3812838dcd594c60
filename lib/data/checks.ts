/** Checks of sizes and class names, and of the memory that images need. */
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

/** The ends of the names of files that are read. */
export const EXTENSIONS = [".avif", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"];

/** The reason why a path is not read. */
export const NOT_A_FILE = "It must be a file, found a pipe, socket or device";
