/**
 * Decodes image files to pixels, as Pillow and torchvision do; see `imageFolder`. Workers load this
 * file, so it imports nothing of TensorFlow.js.
 */
import { Buffer } from "node:buffer";
import type { Metadata, Sharp } from "sharp";
import { type Pixels, resample } from "./resample.ts";

/** The formats that are read, by the decoder's names. */
const FORMATS: readonly (string | undefined)[] = ["jpeg", "png", "webp", "gif", "tiff", "heif"];
/** The ends of the names of files that are read. */
export const EXTENSIONS = [".avif", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"];

/** Pillow's MAX_IMAGE_PIXELS: a quarter of a gigabyte, at three bytes each. */
const MAX_PIXELS = 89_478_485;
/**
 * Images with more pixels are decoded one at a time: the decoder holds a whole interlaced image, at
 * up to 8 bytes a pixel.
 */
const LARGE_IMAGE = 2 ** 24;
const MAX_FILE_BYTES = 2 ** 28;

export const NOT_A_FILE = "It must be a file, found a pipe, socket or device";

/** Returns the reason of an error in one short line: some decoders repeat themselves. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/[:\s]+$/, "").replaceAll(/\s*\n\s*/g, " ").slice(0, 200);
}

/** The size of a file and the time of its last change, by which a changed file is noticed. */
export interface FileVersion {
  readonly size: number;
  /** In milliseconds since 1970; 0 where the system has no times. */
  readonly time: number;
}

/** Returns the version of a file. */
export function versionOf({ size, mtime }: Deno.FileInfo): FileVersion {
  return { size, time: mtime?.getTime() ?? 0 };
}

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

/** Returns a function that runs one task at a time. */
function mutex(): <T>(task: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (task) => {
    const result = last.then(task);
    last = result.catch(() => {});
    return result;
  };
}

/** The options of {@linkcode readImage}. */
export interface ReadImageOptions<Channels extends 1 | 3 = 1 | 3> {
  /** The height and width of the image, in pixels. */
  size: readonly [height: number, width: number];
  /**
   * The length to which the shorter side is resized before `size` is cut out of the middle. Without
   * it the image is resized so that as little as possible is cut off.
   */
  shorterSide?: number;
  /**
   * 3 for red, green and blue, 1 for grey.
   *
   * @default 3
   */
  channels?: Channels;
}

/**
 * Returns a function that decodes the bytes of an image file to `[height, width, channels]`. It
 * throws an error if they are of another format, too large, or damaged.
 */
export async function decoder(
  options: ReadImageOptions,
): Promise<(bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>> {
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
    return await decode(image, bytes, options, oneAtATime);
  };
}

async function decode(
  image: Sharp,
  bytes: Uint8Array<ArrayBuffer>,
  { size, shorterSide, channels = 3 }: ReadImageOptions,
  oneAtATime: ReturnType<typeof mutex>,
): Promise<Uint8Array> {
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
  const whole = width * height > LARGE_IMAGE ? await oneAtATime(decodeAll) : await decodeAll();
  return toSize(whole, { size, shorterSide });
}

/**
 * Decodes plain JPEGs of one size together, which takes half of the time if they are small.
 *
 * @returns The images, `[height, width, channels]` each; undefined if the files are not such.
 * @throws {Error} If a file is damaged; the message does not say which one.
 */
export async function decodeTogether(
  options: ReadImageOptions,
  files: readonly Uint8Array[],
): Promise<Uint8Array[] | undefined> {
  const [first] = files.map(plainJpeg);
  if (!first || files.length < 2) return undefined;
  const { height, width } = first, size = height * width;
  const areAlike = files.every((bytes) => {
    const form = plainJpeg(bytes);
    return form?.height === height && form.width === width && bytes.length <= MAX_FILE_BYTES;
  });
  if (!areAlike || files.length * size > LARGE_IMAGE) return undefined;
  const { default: sharp } = await import("sharp");
  const images = sharp(files.map((bytes) => Buffer.from(bytes)), {
    failOn: "error",
    ignoreIcc: true,
    join: { across: 1 },
  });
  const { data, info } = await images.raw().toBuffer({ resolveWithObject: true });
  if (info.width !== width || data.length !== files.length * size * 3) return undefined;
  const { channels = 3 } = options;
  if (channels === 1) rgbToGrey(data, files.length * size);
  return files.map((_, i) => {
    const pixels = data.subarray(i * size * channels, (i + 1) * size * channels);
    return toSize({ data: pixels, height, width, channels }, options);
  });
}

/** Returns an image resized and cut to the size of the options. */
function toSize(whole: Pixels, { size, shorterSide }: ReadImageOptions): Uint8Array {
  const shorter = Math.min(whole.height, whole.width);
  // torchvision's Resize truncates the longer side to whole pixels, and CenterCrop rounds halves to
  // even numbers.
  const heightDecides = size[0] / whole.height >= size[1] / whole.width;
  const [factor, divisor] = shorterSide !== undefined
    ? [shorterSide, shorter]
    : heightDecides
    ? [size[0], whole.height]
    : [size[1], whole.width];
  const scaled = [
    Math.trunc(factor * whole.height / divisor),
    Math.trunc(factor * whole.width / divisor),
  ] as const;
  const from = [
    roundToEven((scaled[0] - size[0]) / 2),
    roundToEven((scaled[1] - size[1]) / 2),
  ] as const;
  return resample(whole, scaled, from, size);
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

/** Rounds to a whole number, halves to the even one. */
function roundToEven(x: number): number {
  return x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
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

/**
 * Converts RGB to grey in place, as Pillow does it: the luma of ITU-R 601-2 in units of 1/65,536.
 */
function rgbToGrey(data: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const [red, green, blue] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    data[i] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
  }
}
