import { checkOptions } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";

/** What an IDX file holds: the sizes of its axes, and its bytes in row-major order. */
export interface Idx {
  readonly shape: readonly number[];
  readonly values: Uint8Array;
}

/** The type codes of IDX: the third byte of a file. */
const typeNames: Record<number, string> = {
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
 * @throws {TypeError} If the magic number is not that of IDX, or the values are not unsigned bytes.
 * @throws {RangeError} If there are fewer or more bytes than the header promises.
 *
 * @example
 * ```ts
 * import { decodeIdx } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const labels = decodeIdx(new Uint8Array([0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 2]), "labels");
 * assert.deepEqual(labels.shape, [3]);
 * assert.deepEqual([...labels.values], [9, 0, 2]);
 * ```
 */
export function decodeIdx(bytes: Uint8Array<ArrayBuffer>, source: string): Idx {
  checkBytes(`Reading IDX from ${source}`, "the file", bytes);
  const [zero, alsoZero, type, rank] = bytes;
  if (type === undefined || rank === undefined) {
    throw new RangeError(
      `Reading IDX from ${source}: expected at least 4 bytes for the magic number, found ${bytes.length}.`,
    );
  }
  if (zero !== 0 || alsoZero !== 0 || typeNames[type] === undefined || rank === 0) {
    throw new TypeError(
      `Reading IDX from ${source}: expected the magic number 0x00 0x00, a type from 0x08 to 0x0e and the number of axes, found ` +
        `${
          [...bytes.subarray(0, 4)].map(hex).join(" ")
        }. This is no IDX file, or it is still compressed.`,
    );
  }
  if (type !== 0x08) {
    throw new TypeError(
      `Reading IDX from ${source}: expected values of type 0x08 (unsigned byte), found ${
        hex(type)
      } (${typeNames[type]}).`,
    );
  }
  const header = 4 + 4 * rank;
  if (bytes.length < header) {
    throw new RangeError(
      `Reading IDX from ${source}: expected a header of ${header} bytes for ${rank} axes, found ${bytes.length} bytes.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  const expected = shape.reduce((product, size) => product * size, 1);
  const values = bytes.subarray(header);
  if (values.length !== expected) {
    throw new RangeError(
      `Reading IDX from ${source}: expected ${expected} values for the shape [${shape}], found ${values.length}. ` +
        (values.length < expected ? "The file is truncated." : "There are bytes after the end."),
    );
  }
  return { shape, values };
}

/**
 * Encodes unsigned bytes as IDX; {@linkcode decodeIdx} reads them back.
 *
 * @throws {TypeError} If the values are no Uint8Array: other numbers would be cut to bytes.
 * @throws {RangeError} If the number of values is not the product of the shape, a size is not a
 * whole number of 32 bits, or there are no axes or more than 255.
 *
 * @example
 * ```ts
 * import { encodeIdx } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const bytes = encodeIdx({ shape: [3], values: new Uint8Array([9, 0, 2]) });
 * assert.deepEqual([...bytes], [0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 2]);
 * ```
 */
export function encodeIdx(idx: Idx): Uint8Array<ArrayBuffer> {
  checkOptions<Idx>("Writing IDX", idx, "{ shape: [3], values }", { shape: true, values: true });
  const { shape, values } = idx;
  checkBytes("Writing IDX", "values", values);
  if (!Array.isArray(shape)) {
    throw new TypeError(
      `Writing IDX: shape must be an array of sizes such as [3], found ${show(shape)}.`,
    );
  }
  const wrong = shape.find((size) => !(Number.isInteger(size) && size >= 0 && size < 2 ** 32));
  if (wrong !== undefined) {
    throw new RangeError(
      `Writing IDX: sizes must be whole numbers of 32 bits, found ${show(wrong)}.`,
    );
  }
  if (shape.length < 1 || shape.length > 255) {
    throw new RangeError(`Writing IDX: expected 1 to 255 axes, found ${shape.length}.`);
  }
  const expected = shape.reduce((product, size) => product * size, 1);
  if (values.length !== expected) {
    throw new RangeError(
      `Writing IDX: expected ${expected} values for the shape [${shape}], found ${values.length}.`,
    );
  }
  const bytes = new Uint8Array(4 + 4 * shape.length + values.length);
  bytes.set([0, 0, 0x08, shape.length]);
  const view = new DataView(bytes.buffer);
  shape.forEach((size, axis) => view.setUint32(4 + 4 * axis, size));
  bytes.set(values, 4 + 4 * shape.length);
  return bytes;
}

function checkBytes(doing: string, name: string, bytes: unknown): asserts bytes is Uint8Array {
  if (bytes instanceof Uint8Array) return;
  const found = ArrayBuffer.isView(bytes) ? `a ${bytes.constructor.name}` : show(bytes);
  throw new TypeError(`${doing}: ${name} must be a Uint8Array of bytes, found ${found}.`);
}
