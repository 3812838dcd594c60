/** Reads all pixels of an image file; see `decode.ts`. */
import { Buffer } from "node:buffer";
import type { Sharp } from "sharp";
import { EXTENSIONS, NOT_A_FILE } from "./checks.ts";
import { rgbToGrey } from "./grey.ts";
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
 * @throws {Error} If it is not a file, empty, or too large.
 */
export async function readBounded(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw new Error(NOT_A_FILE);
  checkFileSize(size);
  return await Deno.readFile(path);
}

function checkFileSize(bytes: number): void {
  if (bytes === 0) throw new Error("The file must not be empty, found 0 bytes");
  if (bytes > MAX_FILE_BYTES) {
    throw new Error(`The file must have at most ${MAX_FILE_BYTES} bytes, found ${bytes}`);
  }
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
  // Loaded late, so that programs without pictures do not wait for it.
  const { default: sharp } = await import("sharp");
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
  const { format, depth, space, width, height } = await image.metadata();
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
  const decodeAll = () => decodeWhole(image, space === "cmyk", channels);
  return width * height > LARGE_IMAGE ? await oneAtATime(decodeAll) : await decodeAll();
}

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
async function decodeWhole(image: Sharp, cmyk: boolean, channels: 1 | 3): Promise<Pixels> {
  const upright = cmyk
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
