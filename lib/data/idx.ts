import { checkArray, checkInstance, checkInteger, checkOptions } from "../tensor/internal.ts";

/** The content of an IDX file. */
export interface Idx {
  /** The sizes of the axes. */
  readonly shape: readonly number[];
  /** The bytes in row-major order. */
  readonly values: Uint8Array;
}

/** The type codes of IDX: the third byte of a file. */
const TYPE_NAMES: Record<number, string> = {
  0x08: "unsigned byte",
  0x09: "signed byte",
  0x0b: "int16",
  0x0c: "int32",
  0x0d: "float32",
  0x0e: "float64",
};

const hex = (byte: number) => `0x${byte.toString(16).padStart(2, "0")}`;

/**
 * Decodes IDX, the format of the MNIST family: the magic number `00 00 type rank`, then `rank`
 * sizes as big-endian 32-bit numbers, then the values. Images have the shape
 * `[count, height, width]`, labels `[count]`.
 *
 * @param bytes The whole file, not compressed. The result is a view of it, not a copy.
 * @param source The name of the file, for the error messages.
 * @throws {TypeError} If the bytes are not a Uint8Array, the magic number is not IDX, or the values
 * are not unsigned bytes.
 * @throws {RangeError} If there are fewer or more bytes than the header promises.
 */
export function decodeIdx(bytes: Uint8Array<ArrayBuffer>, source: string): Idx {
  const action = `Reading IDX from ${source}`;
  checkInstance(action, "the file", bytes, Uint8Array, "a Uint8Array of bytes");
  const [zero, alsoZero, type, rank] = bytes;
  if (type === undefined || rank === undefined) {
    throw new RangeError(
      `${action}: the file must have at least 4 bytes for the magic number, found ${bytes.length}.`,
    );
  }
  if (zero !== 0 || alsoZero !== 0 || TYPE_NAMES[type] === undefined || rank === 0) {
    throw new TypeError(
      `${action}: the magic number must be 0x00 0x00, a type from 0x08 to 0x0e and the number of axes, found ` +
        `${
          [...bytes.subarray(0, 4)].map(hex).join(" ")
        }. This is no IDX file, or it is still compressed.`,
    );
  }
  if (type !== 0x08) {
    throw new TypeError(
      `${action}: the values must have the type 0x08 (unsigned byte), found ${hex(type)} (${
        TYPE_NAMES[type]
      }).`,
    );
  }
  const header = 4 + 4 * rank;
  if (bytes.length < header) {
    throw new RangeError(
      `${action}: the header must have ${header} bytes for ${rank} axes, found ${bytes.length} bytes.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const size = sizeOf(shape);
  const values = bytes.subarray(header);
  if (values.length !== size) {
    throw new RangeError(
      `${action}: there must be ${size} values for the shape [${shape}], found ${values.length}. ` +
        (values.length < size ? "The file is truncated." : "There are bytes after the end."),
    );
  }
  return { shape, values };
}

/** Returns the number of elements of a shape. */
function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/**
 * Encodes unsigned bytes as IDX; {@linkcode decodeIdx} reads them back.
 *
 * @throws {TypeError} If the values are not a Uint8Array, or a size is not a number.
 * @throws {RangeError} If the number of values is not the product of the shape, a size is not a
 * whole number of 32 bits, or there are no axes or more than 255.
 */
export function encodeIdx(idx: Idx): Uint8Array<ArrayBuffer> {
  const action = "Writing IDX";
  checkOptions<Idx>(action, idx, "{ shape: [3], values }", { shape: true, values: true });
  const { shape, values } = idx;
  checkInstance(action, "values", values, Uint8Array, "a Uint8Array of bytes");
  checkArray(action, "shape", shape);
  for (const axis of shape) checkInteger(action, "a size", axis, 0, 2 ** 32 - 1);
  checkInteger(action, "the number of axes", shape.length, 1, 255);
  const size = sizeOf(shape);
  if (values.length !== size) {
    throw new RangeError(
      `${action}: there must be ${size} values for the shape [${shape}], found ${values.length}.`,
    );
  }
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length);
  bytes.set([0, 0, 0x08, shape.length]);
  const view = new DataView(bytes.buffer);
  shape.forEach((axis, i) => view.setUint32(4 + 4 * i, axis));
  bytes.set(values, 4 + 4 * shape.length);
  return bytes;
}
