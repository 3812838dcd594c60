/**
 * Reads all pixels of an image file; see `decode.ts`. Workers load this file, so it imports nothing
 * of TensorFlow.js.
 */
import { Buffer } from "node:buffer";
import type { Metadata, Sharp } from "sharp";
import { rgbToGrey } from "./grey.ts";
import { EXTENSIONS, type FileVersion, NOT_A_FILE, versionOf } from "./readable_files.ts";
import type { Pixels } from "./resample.ts";

/** The formats that are read, by the decoder's names. */
const FORMATS: readonly (string | undefined)[] = ["jpeg", "png", "webp", "gif", "tiff", "heif"];

/** Pillow's MAX_IMAGE_PIXELS: a quarter of a gigabyte, at three bytes each. */
const MAX_PIXELS = 89_478_485;
/**
 * Images with more pixels are decoded one at a time: the decoder holds a whole interlaced image, at
 * up to 8 bytes a pixel.
 */
const LARGE_IMAGE = 2 ** 24;
const MAX_FILE_BYTES = 2 ** 28;

/**
 * Returns the bytes of a file.
 *
 * @param expected The version that it must have, if it was read before.
 * @throws {Error} If it is not a file, empty, too large, or has changed.
 */
export async function readBounded(
  path: string,
  expected?: FileVersion,
): Promise<Uint8Array<ArrayBuffer>> {
  const info = await Deno.stat(path);
  if (!info.isFile) throw new Error(NOT_A_FILE);
  const { size, time } = versionOf(info);
  if (expected && (size !== expected.size || time !== expected.time)) {
    throw new Error("The file has changed since the folder was read");
  }
  checkFileSize(size);
  return await Deno.readFile(path);
}

function checkFileSize(bytes: number): void {
  if (bytes === 0) throw new Error("The file must not be empty, found 0 bytes");
  if (bytes > MAX_FILE_BYTES) {
    throw new Error(`The file must have at most ${MAX_FILE_BYTES} bytes, found ${bytes}`);
  }
}

/** Loads the decoder late, so that programs without pictures do not wait for it. */
async function loadSharp() {
  const { default: sharp } = await import("sharp");
  // Images are decoded side by side, so more threads for one of them only take time.
  sharp.concurrency(1);
  return sharp;
}

/** Returns a function that runs one task at a time. */
function mutex(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}

/**
 * Returns a function that reads the bytes of an image file as pixels in red, green and blue, or in
 * grey. It throws an error if they are of another format, too large, or damaged.
 */
export async function pixelReader(
  channels: 1 | 3,
): Promise<(bytes: Uint8Array<ArrayBuffer>) => Promise<Pixels>> {
  const sharp = await loadSharp();
  const oneAtATime = mutex();
  return async (bytes) => {
    checkFileSize(bytes.length);
    // Its warnings are about images that all programs can show. decode() limits the pixels.
    const image = sharp(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), {
      failOn: "error",
      ignoreIcc: true,
      limitInputPixels: false,
    });
    return await decode(image, bytes, channels, oneAtATime);
  };
}

async function decode(
  image: Sharp,
  bytes: Uint8Array<ArrayBuffer>,
  channels: 1 | 3,
  oneAtATime: ReturnType<typeof mutex>,
): Promise<Pixels> {
  const plain = plainJpeg(bytes);
  const { format, depth, space, width, height } = plain ?? await image.metadata();
  if (!FORMATS.includes(format)) {
    throw new Error(`The format must be one of ${EXTENSIONS.join(", ")}, found ${format}`);
  }
  if (width * height > MAX_PIXELS) {
    throw new Error(`The image must have at most ${MAX_PIXELS} pixels, found ${width} × ${height}`);
  }
  if (depth !== "uchar" && depth !== "ushort") {
    throw new Error(`The pixels must have 8 or 16 bits, found ${depth}`);
  }
  // The decoder reads YCbCr as if it were red, green and blue, except in JPEG compression (7).
  if (format === "tiff" && tiffTag(bytes, 262) === 6 && tiffTag(bytes, 259) !== 7) {
    throw new Error("A TIFF must be in red, green and blue, found YCbCr");
  }
  const decodeAll = () => decodeWhole(image, plain ? "plain" : space, channels);
  return width * height > LARGE_IMAGE ? await oneAtATime(decodeAll) : await decodeAll();
}

/**
 * Reads plain JPEGs together, which takes less time if they are small. Without `decodeJpeg` they
 * must be of one size.
 *
 * @param decodeJpeg A faster decoder.
 * @returns Their pixels; undefined if the files are not such.
 * @throws {Error} If a file is damaged; the message does not say which one.
 */
export async function pixelsTogether(
  channels: 1 | 3,
  files: readonly Uint8Array[],
  decodeJpeg?: (bytes: Uint8Array) => Pixels,
): Promise<Pixels[] | undefined> {
  const forms = files.map(plainJpeg), [first] = forms;
  if (decodeJpeg) {
    const sizes = forms.map((form) => form ? form.height * form.width : Infinity);
    if (sizes.reduce((sum, size) => sum + size, 0) > LARGE_IMAGE) return undefined;
    return files.map((bytes, i) => {
      const pixels = decodeJpeg(bytes);
      if (channels === 3) return pixels;
      rgbToGrey(pixels.data, sizes[i]!);
      return { ...pixels, data: pixels.data.subarray(0, sizes[i]), channels };
    });
  }
  if (!first || files.length < 2) return undefined;
  const { height, width } = first, size = height * width;
  const areAlike = files.every((bytes) => {
    const form = plainJpeg(bytes);
    return form?.height === height && form.width === width && bytes.length <= MAX_FILE_BYTES;
  });
  if (!areAlike || files.length * size > LARGE_IMAGE) return undefined;
  const sharp = await loadSharp();
  const images = sharp(files.map((bytes) => Buffer.from(bytes)), {
    failOn: "error",
    ignoreIcc: true,
    join: { across: 1 },
  });
  const { data, info } = await images.raw().toBuffer({ resolveWithObject: true });
  if (info.width !== width || data.length !== files.length * size * 3) return undefined;
  if (channels === 1) rgbToGrey(data, files.length * size);
  return files.map((_, i) => {
    const pixels = data.subarray(i * size * channels, (i + 1) * size * channels);
    return { data: pixels, height, width, channels };
  });
}

/**
 * Returns the form of a JPEG of three components of 8 bits without EXIF data, undefined for other
 * files. There is nothing to turn, flatten or convert. The decoder need not look at the header
 * first, which takes a third of the time of a small image.
 */
function plainJpeg(bytes: Uint8Array): PlainJpeg | undefined {
  if (bytes[0] !== 0xff || bytes[1] !== 0xd8) return undefined;
  for (let at = 2; at + 9 < bytes.length && bytes[at] === 0xff;) {
    const marker = bytes[at + 1]!, length = bytes[at + 2]! << 8 | bytes[at + 3]!;
    const isFrame = marker === 0xc0 || marker === 0xc1 || marker === 0xc2;
    if (isFrame) {
      const [depth, components] = [bytes[at + 4], bytes[at + 9]];
      const height = bytes[at + 5]! << 8 | bytes[at + 6]!;
      const width = bytes[at + 7]! << 8 | bytes[at + 8]!;
      const isPlain = depth === 8 && components === 3 && height > 0 && width > 0;
      return isPlain ? { format: "jpeg", depth: "uchar", space: "srgb", width, height } : undefined;
    }
    // JFIF's own segment, tables and comments. Others may change the colours or the orientation.
    const isKnown = marker === 0xe0 || marker === 0xdb || marker === 0xc4 || marker === 0xdd ||
      marker === 0xfe;
    if (!isKnown) return undefined;
    at += 2 + length;
  }
  return undefined;
}

/** The form of a plain JPEG, by the decoder's names. */
type PlainJpeg = Required<Pick<Metadata, "format" | "depth" | "space" | "width" | "height">>;

/**
 * Returns the value of a field with one 16-bit number in the first directory of a TIFF (TIFF 6.0,
 * section 2) or BigTIFF file, undefined if there is no such field.
 */
function tiffTag(bytes: Uint8Array<ArrayBuffer>, tag: number): number | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = bytes[0] === 0x49;
  const big = view.getUint16(2, little) === 43;
  const long = (at: number) => Number(view.getBigUint64(at, little));
  const start = big ? long(8) : view.getUint32(4, little);
  const count = big ? long(start) : view.getUint16(start, little);
  for (let i = 0; i < count; i++) {
    const field = start + (big ? 8 + 20 * i : 2 + 12 * i);
    if (view.getUint16(field, little) === tag) {
      return view.getUint16(field + (big ? 12 : 8), little);
    }
  }
}

/** Returns all pixels of an upright image, in red, green and blue or in grey. */
async function decodeWhole(
  image: Sharp,
  space: string | undefined,
  channels: 1 | 3,
): Promise<Pixels> {
  const cmyk = space === "cmyk";
  const upright = space === "plain"
    ? image
    : cmyk
    ? image.autoOrient().pipelineColourspace("cmyk").toColourspace("cmyk")
    : image.autoOrient().flatten({ background: "white" }).toColourspace("srgb");
  const { data, info } = await upright.raw().toBuffer({ resolveWithObject: true });
  const count = info.height * info.width;
  if (data.length !== count * (cmyk ? 4 : 3)) {
    throw new Error(
      `The pixels must be RGB or CMYK of 8 bits, found ${data.length} bytes for ${count} pixels`,
    );
  }
  if (cmyk) cmykToRgb(data, count);
  if (channels === 1) rgbToGrey(data, count);
  return { data, height: info.height, width: info.width, channels };
}

/** Converts CMYK to RGB in place, as Pillow does it (libImaging/Convert.c). */
function cmykToRgb(data: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const light = 255 - data[4 * i + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      const product = data[4 * i + channel]! * light + 128;
      data[3 * i + channel] = light - (((product >> 8) + product) >> 8);
    }
  }
}
