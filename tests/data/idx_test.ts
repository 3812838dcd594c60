import assert from "node:assert/strict";
import { decodeIdx, encodeIdx, type Idx } from "../../lib/data/idx.ts";

/** Two images of 1 × 3, by hand from the format's description. */
const twoImages = new Uint8Array([
  ...[0x00, 0x00, 0x08, 0x03],
  ...[0, 0, 0, 2],
  ...[0, 0, 0, 1],
  ...[0, 0, 0, 3],
  ...[10, 20, 30, 40, 50, 255],
]);

Deno.test("decodeIdx() reads the shape and the values", () => {
  const { shape, values } = decodeIdx(twoImages, "images");
  assert.deepEqual(shape, [2, 1, 3]);
  assert.deepEqual([...values], [10, 20, 30, 40, 50, 255]);
});

Deno.test("decodeIdx() reads sizes as big-endian, and bytes that start inside a larger buffer", () => {
  const padded = new Uint8Array(3 + 8 + 258);
  padded.set([0, 0, 8, 1, 0, 0, 1, 2, 7], 3);
  const { shape, values } = decodeIdx(padded.subarray(3), "labels");
  assert.deepEqual(shape, [258]);
  assert.equal(values[0], 7);
});

Deno.test("encodeIdx() writes what decodeIdx reads", () => {
  assert.deepEqual(encodeIdx(decodeIdx(twoImages, "images")), twoImages);
});

Deno.test("encodeIdx() refuses values that do not match the shape", () => {
  assert.throws(() => encodeIdx({ shape: [2, 2], values: new Uint8Array(3) }), {
    name: "RangeError",
    message: "Writing IDX: there must be 4 values for the shape [2,2], found 3.",
  });
  assert.throws(() => encodeIdx({ shape: [], values: new Uint8Array(1) }), {
    name: "RangeError",
    message: "Writing IDX: the number of axes must be a whole number from 1 to 255, found 0.",
  });
});

const broken: [string, Uint8Array<ArrayBuffer>, string, RegExp][] = [
  [
    "an empty file",
    new Uint8Array(),
    "RangeError",
    /^Reading IDX from train-images: the file must have at least 4 bytes for the magic number, found 0\.$/,
  ],
  [
    "a gzip file that was not decompressed",
    new Uint8Array([0x1f, 0x8b, 0x08, 0x00, 0, 0, 0, 0]),
    "TypeError",
    /train-images: the magic number must be .*, found 0x1f 0x8b 0x08 0x00\. .*still compressed/,
  ],
  [
    "an unknown type",
    withByte(2, 0x07),
    "TypeError",
    /magic number must .* found 0x00 0x00 0x07 0x03/,
  ],
  ["no axes", withByte(3, 0), "TypeError", /magic number must .* found 0x00 0x00 0x08 0x00/],
  [
    "float values",
    withByte(2, 0x0d),
    "TypeError",
    /^Reading IDX from train-images: the values must have the type 0x08 \(unsigned byte\), found 0x0d \(float32\)\.$/,
  ],
  [
    "a truncated header",
    twoImages.subarray(0, 9),
    "RangeError",
    /train-images: the header must have 16 bytes for 3 axes, found 9 bytes\.$/,
  ],
  [
    "truncated values",
    twoImages.subarray(0, -1),
    "RangeError",
    /train-images: there must be 6 values for the shape \[2,1,3\], found 5\. The file is truncated\.$/,
  ],
  [
    "bytes after the end",
    new Uint8Array([...twoImages, 0]),
    "RangeError",
    /train-images: there must be 6 values for the shape \[2,1,3\], found 7\. There are bytes after the end\.$/,
  ],
  [
    "sizes beyond any memory",
    withByte(4, 0xff),
    "RangeError",
    /there must be 12834570246 values for the shape \[4278190082,1,3\], found 6\. The file is truncated\.$/,
  ],
];
for (const [what, bytes, name, message] of broken) {
  Deno.test(`decodeIdx() refuses ${what}`, () => {
    assert.throws(() => decodeIdx(bytes, "train-images"), { name, message });
  });
}

function withByte(position: number, byte: number): Uint8Array<ArrayBuffer> {
  const bytes = twoImages.slice();
  bytes[position] = byte;
  return bytes;
}

Deno.test("encodeIdx() refuses numbers that are no bytes, and invalid sizes", () => {
  const wrong: [object, string, string][] = [
    [
      { shape: [2], values: Int32Array.of(300, 999) },
      "TypeError",
      "values must be a Uint8Array of bytes, found an object (Int32Array).",
    ],
    [
      { shape: [1], values: [300] },
      "TypeError",
      "values must be a Uint8Array of bytes, found [300].",
    ],
    [
      { shape: [-1, -2], values: new Uint8Array(2) },
      "RangeError",
      "a size must be a whole number from 0 to 4294967295, found -1.",
    ],
    [
      { shape: 2, values: new Uint8Array(2) },
      "TypeError",
      "shape must be an array, found 2.",
    ],
  ];
  for (const [idx, name, message] of wrong) {
    assert.throws(() => encodeIdx(idx as Idx), { name, message: `Writing IDX: ${message}` });
  }
});

Deno.test("decodeIdx() refuses values that are no array of bytes", () => {
  const words = new Uint16Array(8) as unknown as Uint8Array<ArrayBuffer>;
  assert.throws(() => decodeIdx(words, "words"), {
    name: "TypeError",
    message:
      "Reading IDX from words: the file must be a Uint8Array of bytes, found an object (Uint16Array).",
  });
});
