/**
 * Event files of TensorBoard. A file is a sequence of records (TFRecord): the length of the data as
 * 64 bits, its masked checksum, the data, and the checksum of the data. The data is an `Event` of
 * TensorFlow's `event.proto`, in the encoding of protocol buffers. All numbers are little-endian.
 */

/** A number under a tag. */
export type Scalars = Readonly<Record<string, number>>;

/** Returns the record that begins a file. */
export function versionRecord(wallTime: number): Uint8Array {
  return record(message(double(1, wallTime), text(3, "brain.Event:2")));
}

/** Returns the record of some numbers at a step, from 1. */
export function scalarsRecord(wallTime: number, step: number, scalars: Scalars): Uint8Array {
  const values = Object.entries(scalars).map(([tag, value]) =>
    bytes(1, message(text(1, tag), float(2, value)))
  );
  return record(message(double(1, wallTime), integer(2, step), bytes(5, message(...values))));
}

/** Returns the wall times of the records that this module wrote, up to the first damaged one. */
export function wallTimesOf(file: Uint8Array): number[] {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const times: number[] = [];
  for (let at = 0; at + 25 <= file.length;) {
    const end = at + 16 + view.getUint32(at, true);
    // The wall time is first: the tag of a double with number 1, then the double.
    if (end > file.length || view.getUint8(at + 12) !== 0x09) break;
    if (view.getUint32(end - 4, true) !== masked(file.subarray(at + 12, end - 4))) break;
    times.push(view.getFloat64(at + 13, true));
    at = end;
  }
  return times;
}

function record(data: Uint8Array): Uint8Array {
  const result = new Uint8Array(data.length + 16), view = new DataView(result.buffer);
  view.setUint32(0, data.length, true);
  view.setUint32(8, masked(result.subarray(0, 8)), true);
  result.set(data, 12);
  view.setUint32(12 + data.length, masked(data), true);
  return result;
}

// Protocol buffers. A field is a tag, 8 · number + type, and a value.

function message(...fields: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(fields.flat());
}

function double(number: number, value: number): number[] {
  return [8 * number + 1, ...new Uint8Array(Float64Array.of(value).buffer)];
}

function float(number: number, value: number): number[] {
  return [8 * number + 5, ...new Uint8Array(Float32Array.of(value).buffer)];
}

function integer(number: number, value: number): number[] {
  return [8 * number, ...varint(value)];
}

function bytes(number: number, value: Uint8Array): number[] {
  return [8 * number + 2, ...varint(value.length), ...value];
}

function text(number: number, value: string): number[] {
  return bytes(number, new TextEncoder().encode(value));
}

/** Seven bits in each byte, the lowest first. The highest bit says that another byte follows. */
function varint(value: number): number[] {
  return value < 128 ? [value] : [value % 128 + 128, ...varint(Math.floor(value / 128))];
}

/** CRC-32C with the reversed polynomial 0x82f63b78, rotated and shifted as TFRecord does. */
function masked(data: Uint8Array): number {
  const crc = crc32c(data);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** Returns the CRC-32C (Castagnoli) of bytes. */
export function crc32c(data: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of data) crc = (crc >>> 8) ^ TABLE[(crc ^ byte) & 0xff]!;
  return (crc ^ 0xffffffff) >>> 0;
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});
