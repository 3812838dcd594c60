import { Buffer } from "node:buffer";
import { availableParallelism } from "node:os";
import { basename, extname, join } from "node:path";
import type { Sharp } from "sharp";
import {
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  linkInterrupt,
  show,
} from "../tensor/internal.ts";
import { allocate, checkClassNames, checkSize } from "./checks.ts";
import { ImageDataset } from "./dataset.ts";
import { type Pixels, resample } from "./resample.ts";

/** The options of {@linkcode imageFolder}. */
export interface ImageFolderOptions<
  Names extends readonly string[] = readonly string[],
  Channels extends 1 | 3 = 1 | 3,
> {
  /** The height and width of the images in the data set, in pixels. */
  size: readonly [height: number, width: number];
  /**
   * The length to which the shorter side of an image is resized before `size` is cut out of its
   * middle. Without it the image is resized so that as little as possible is cut off.
   */
  shorterSide?: number;
  /**
   * 3 for red, green and blue, 1 for grey.
   *
   * @default 3
   */
  channels?: Channels;
  /**
   * The sub-folders to read, in the order of their class numbers.
   *
   * @default all, sorted
   */
  classes?: Names;
  /** Maximum number of files to read in each class, the first by path. */
  imagesPerClass?: number;
  /**
   * The name of the data set.
   *
   * @default the name of the folder
   */
  name?: string;
  /** Called after each file. */
  onProgress?: (progress: ImageFolderProgress) => void;
  /** Stops the reading, as Jupyter's Stop does. */
  signal?: AbortSignal;
}

/** The progress of {@linkcode imageFolder}. */
export interface ImageFolderProgress {
  /** The last file that was read, by its path in the folder. */
  readonly file: string;
  /** Number of files read so far. */
  readonly read: number;
  /** Number of files to read. */
  readonly total: number;
}

/** A file that is not in the data set. */
export interface SkippedFile {
  /** Its path in the folder. */
  readonly file: string;
  /** The reason. */
  readonly reason: string;
}

/** The data set of an image folder, and the files that are not in it. */
export interface ImageFolder<Classes extends number = number, Channels extends 1 | 3 = 3> {
  /** The images. */
  readonly dataset: ImageDataset<Channels, Classes>;
  /** The files that are not in the data set, by path, with the reason. */
  readonly skipped: readonly SkippedFile[];
}

/** The formats that are read, by the decoder's names. */
const FORMATS: readonly (string | undefined)[] = ["jpeg", "png", "webp", "gif", "tiff", "heif"];
const EXTENSIONS = [".avif", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"];

/** Pillow's MAX_IMAGE_PIXELS: a quarter of a gigabyte, at three bytes each. */
const MAX_PIXELS = 89_478_485;
/**
 * Images with more pixels are decoded one at a time: the decoder holds a whole interlaced image, at
 * up to 8 bytes a pixel.
 */
const LARGE_IMAGE = 2 ** 24;
const MAX_FILE_BYTES = 2 ** 28;

const NOT_A_FILE = "It must be a file, found a pipe, socket or device";

/**
 * Your own pictures: the image files of a folder with a sub-folder for each class, resized to one
 * size.
 *
 * Files that end in .jpg, .jpeg, .png, .webp, .gif, .tif, .tiff or .avif are read, also in folders
 * within the class folders. An animation counts as its first picture. Each image is turned upright
 * by its EXIF orientation. Transparent pixels become white, and 16 bits become the upper 8. Then
 * the image is resized in proportion (bilinear, with smoothing where it gets smaller), and cut to
 * `size` around its middle.
 *
 * The pixels equal `Image.open(file).convert("RGB")` in Pillow, or `convert("L")` with
 * `channels: 1`, followed by torchvision's `Resize` and `CenterCrop`, to within 1 of 255. Only the
 * edges of AVIF files with halved colours differ by more, up to 16, since decoders enlarge these
 * colours in different ways. Pillow does not turn images upright, shows the colours of transparent
 * pixels, and makes all 16-bit grey from 255 on white. Colour profiles are not applied, as in
 * Pillow. Pretrained networks expect the images of their tests: for ImageNet `{ size: [224, 224],
 * shorterSide: 256 }`, then `normalize("imagenet")`.
 *
 * `skipped` lists every file in the folder that is not in the data set, with the reason: other
 * kinds of files (such as .bmp and .heic), images that are empty, truncated or damaged, images of
 * more than 89,478,485 pixels (Pillow's limit) or 256 MiB, broken links, pipes and devices, and
 * files beside the class folders. Not listed are hidden files, classes that are not in `classes`,
 * and files after the first `imagesPerClass`. A folder with several links to it is read once. The
 * pixels are bytes, `height · width · channels` for each image.
 *
 * With `classes` the number of classes is part of the type: `ImageDataset<3, 2>` for
 * `classes: ["cat", "dog"]`. Make a test set with `split`.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If a size, `shorterSide` or `imagesPerClass` is not a whole number of at
 * least 1, `shorterSide` is shorter than a side of `size`, `channels` is neither 1 nor 3, two
 * classes have the same name, or the pixels do not fit in memory.
 * @throws {Error} If there is no such folder, a class has no folder, or none of its files can be
 * read.
 *
 * @example
 * ```ts
 * import { imageFolder } from "resnet-lab";
 * import { encode } from "fast-png";
 * import assert from "node:assert/strict";
 *
 * const folder = await Deno.makeTempDir();
 * for (const [name, grey] of [["day", 255], ["night", 0]] as const) {
 *   await Deno.mkdir(`${folder}/${name}`);
 *   const image = { width: 4, height: 3, channels: 3, data: new Uint8Array(4 * 3 * 3).fill(grey) };
 *   await Deno.writeFile(`${folder}/${name}/1.png`, encode(image));
 * }
 * await Deno.writeTextFile(`${folder}/night/2.png`, "not an image");
 *
 * const options = { size: [2, 2], classes: ["day", "night"] } as const;
 * const { dataset, skipped } = await imageFolder(folder, options);
 * assert.deepEqual(dataset.images([0]).shape, [1, 2, 2, 3]);
 * assert.deepEqual([...dataset.labels], [0, 1]);
 * assert.equal(skipped[0]!.file, "night/2.png");
 *
 * const grey = await imageFolder(folder, { size: [2, 2], channels: 1 });
 * assert.deepEqual(grey.dataset.images([0]).shape, [1, 2, 2, 1]);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function imageFolder<
  const Names extends readonly string[] = readonly string[],
  const Channels extends 1 | 3 = 3,
>(
  folder: string,
  options: ImageFolderOptions<Names, Channels>,
): Promise<ImageFolder<Names["length"], Channels>>;
export async function imageFolder(
  folder: string,
  options: ImageFolderOptions,
): Promise<ImageFolder<number, 1 | 3>> {
  checkFolderOptions(folder, options);
  const { name = basename(folder), channels = 3, size: [height, width], onProgress } = options;
  const action = `Reading images from the folder ${folder}`;
  using interrupt = linkInterrupt(options.signal);
  const { signal } = interrupt;
  const { classNames, files, skipped } = await findFiles(action, folder, options, signal);

  // Loaded late, so that programs without pictures do not wait for it.
  const { default: sharp } = await import("sharp");
  const imageSize = height * width * channels;
  const pixels = allocate(action, files.length, imageSize);
  const oneAtATime = mutex();
  const readInto = async (index: number) => {
    const bytes = await readBounded(join(folder, files[index]!.file));
    // Its warnings are about images that all programs can show. decode() limits the pixels.
    const image = sharp(Buffer.from(bytes.buffer), {
      failOn: "error",
      ignoreIcc: true,
      limitInputPixels: false,
    });
    pixels.set(await decode(image, bytes, options, oneAtATime), index * imageSize);
  };
  const failed: number[] = [];
  let next = 0, read = 0;
  const worker = async () => {
    while (next < files.length) {
      signal?.throwIfAborted();
      const index = next++;
      await readInto(index).catch(() => failed.push(index));
      onProgress?.({ file: files[index]!.file, read: ++read, total: files.length });
    }
  };
  try {
    await Promise.all(Array.from({ length: availableParallelism() }, worker));
  } finally {
    next = files.length; // If one worker fails, the others stop too.
  }
  // Decoders that run at the same time share one error message, so failed files are read again, one
  // at a time, for their own message.
  const reasons = new Map<number, string>();
  for (const index of failed) {
    signal?.throwIfAborted();
    await readInto(index).catch((error) => reasons.set(index, reasonOf(error)));
  }
  signal?.throwIfAborted();

  const readable = [...files.keys()].filter((index) => !reasons.has(index));
  readable.forEach((from, to) =>
    pixels.copyWithin(to * imageSize, from * imageSize, (from + 1) * imageSize)
  );
  for (const [index, reason] of reasons) skipped.push({ file: files[index]!.file, reason });
  skipped.sort((a, b) => a.file < b.file ? -1 : 1);
  const labels = Int32Array.from(readable, (index) => files[index]!.label);
  const present = new Set(labels);
  for (const [label, className] of classNames.entries()) {
    if (!present.has(label)) {
      const file = files.find((file) => file.label === label)?.file;
      const reason = skipped.find((skippedFile) => skippedFile.file === file)?.reason;
      throw new Error(
        `${action}: there must be an image of each class, found none in ${className} that can be read (${file}: ${reason}).`,
      );
    }
  }
  const dataset = new ImageDataset({
    name,
    pixels: pixels.subarray(0, readable.length * imageSize),
    labels,
    height,
    width,
    channels,
    classes: classNames.length,
    classNames,
  });
  return { dataset, skipped };
}

/**
 * Checks the arguments of {@linkcode imageFolder}.
 *
 * @throws {TypeError} If one is of the wrong kind.
 * @throws {RangeError} If one is out of range.
 */
export function checkFolderOptions(folder: unknown, options: ImageFolderOptions): void {
  if (typeof folder !== "string" || folder === "") {
    throw new TypeError(`Reading images: the folder must be a path, found ${show(folder)}.`);
  }
  const action = `Reading images from the folder ${folder}`;
  checkOptions<ImageFolderOptions>(action, options, "{ size: [224, 224] }", {
    size: true,
    shorterSide: true,
    channels: true,
    classes: true,
    imagesPerClass: true,
    name: true,
    onProgress: true,
    signal: true,
  });
  const { size, shorterSide, channels = 3, classes, imagesPerClass, name } = options;
  const { onProgress, signal } = options;
  checkSize(action, size);
  if (shorterSide !== undefined) checkInteger(action, "shorterSide", shorterSide);
  if (imagesPerClass !== undefined) checkInteger(action, "imagesPerClass", imagesPerClass);
  if (name !== undefined) checkString(action, "name", name);
  if (onProgress !== undefined) checkFunction(action, "onProgress", onProgress);
  checkSignal(action, signal);
  if (classes !== undefined) checkClassNames(action, "classes", classes);
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`${action}: channels must be 1 or 3, found ${show(channels)}.`);
  }
  const longer = Math.max(...size);
  if (shorterSide !== undefined && shorterSide < longer) {
    throw new RangeError(
      `${action}: shorterSide must be at least ${longer}, from which ${size[0]} × ${
        size[1]
      } can be cut, found ${shorterSide}.`,
    );
  }
}

/** Returns the reason of an error in one short line: some decoders repeat themselves. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/[:\s]+$/, "").replaceAll(/\s*\n\s*/g, " ").slice(0, 200);
}

/** Returns the files to read, with their class numbers, and the files that cannot be read. */
async function findFiles(
  action: string,
  folder: string,
  { classes, imagesPerClass }: ImageFolderOptions,
  signal: AbortSignal | undefined,
): Promise<{
  classNames: readonly string[];
  files: readonly { readonly file: string; readonly label: number }[];
  skipped: SkippedFile[];
}> {
  const skipped: SkippedFile[] = [];
  const { classNames, folders } = await findClasses(action, folder, classes, skipped);
  // Folders that have been read by real path, so that links do not form a circle, or give an image
  // two classes.
  const visited = new Map<string, string>();
  for (const name of folders) {
    const path = await Deno.realPath(join(folder, name));
    const other = visited.get(path);
    if (other !== undefined) {
      throw new Error(
        `${action}: each class must have a separate folder, found one folder for ${other} and ${name}.`,
      );
    }
    visited.set(path, name);
  }
  const files: { readonly file: string; readonly label: number }[] = [];
  for (const [label, className] of folders.entries()) {
    const classFiles: string[] = [];
    const pending = [className];
    for (let path; (path = pending.pop()) !== undefined;) {
      try {
        for await (const entry of Deno.readDir(join(folder, path))) {
          signal?.throwIfAborted();
          if (entry.name.startsWith(".")) continue;
          const file = `${path}/${entry.name}`;
          try {
            const { isFile, isDirectory } = entry.isSymlink
              ? await Deno.stat(join(folder, file))
              : entry;
            if (isDirectory) {
              const real = await Deno.realPath(join(folder, file));
              const earlier = visited.get(real);
              if (earlier === undefined) {
                visited.set(real, file);
                pending.push(file);
              } else skipped.push({ file, reason: `The same folder as ${earlier}` });
            } else if (!isFile) {
              skipped.push({ file, reason: NOT_A_FILE });
            } else if (!EXTENSIONS.includes(extname(entry.name).toLowerCase())) {
              skipped.push({
                file,
                reason: `The name must end in ${EXTENSIONS.join(", ")}`,
              });
            } else classFiles.push(file);
          } catch (error) {
            skipped.push({ file, reason: reasonOf(error) });
          }
        }
      } catch (error) {
        signal?.throwIfAborted();
        skipped.push({ file: `${path}/`, reason: reasonOf(error) });
      }
    }
    if (classFiles.length === 0) {
      const first = skipped.find(({ file }) => file.startsWith(`${className}/`));
      throw new Error(
        `${action}: there must be images of each class, found no file in ${className} that ends in ${
          EXTENSIONS.join(", ")
        }${first ? ` (${first.file}: ${first.reason})` : ""}.`,
      );
    }
    for (const file of classFiles.sort().slice(0, imagesPerClass)) files.push({ file, label });
  }
  return { classNames, files, skipped };
}

/** Returns the names of the classes and of their folders. */
async function findClasses(
  action: string,
  folder: string,
  classes: readonly string[] | undefined,
  skipped: SkippedFile[],
): Promise<{ classNames: readonly string[]; folders: readonly string[] }> {
  const folders: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      const { name } = entry;
      if (name.startsWith(".")) continue;
      try {
        const { isDirectory } = entry.isSymlink ? await Deno.stat(join(folder, name)) : entry;
        if (isDirectory) folders.push(name);
        else skipped.push({ file: name, reason: "Files must be in folders of the classes" });
      } catch (error) {
        skipped.push({ file: name, reason: reasonOf(error) });
      }
    }
  } catch (error) {
    throw new Error(
      `${action}: the folder must be readable, found the error: ${reasonOf(error)}.`,
      { cause: error },
    );
  }
  folders.sort();
  // An "é" may be one character or two: macOS stores names in another form than they are typed.
  const folderOf = (name: string) =>
    folders.includes(name) ? name : folders.find((other) => other.normalize() === name.normalize());
  const missing = classes?.filter((name) => folderOf(name) === undefined) ?? [];
  if (missing.length > 0) {
    throw new Error(
      `${action}: there must be a folder for each of the classes ${classes?.join(", ")}, found no ${
        missing.join(", ")
      }, only ${folders.join(", ") || "no folder at all"}.`,
    );
  }
  const classNames = classes ?? folders;
  if (classNames.length === 0) {
    throw new Error(`${action}: there must be a folder for each class, found none.`);
  }
  return { classNames, folders: classNames.map((name) => folderOf(name) ?? name) };
}

/**
 * Returns the bytes of a file.
 *
 * @throws {Error} If it is not a file, empty, or too large.
 */
async function readBounded(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw new Error(NOT_A_FILE);
  if (size === 0) throw new Error("The file must not be empty, found 0 bytes");
  if (size > MAX_FILE_BYTES) {
    throw new Error(`The file must have at most ${MAX_FILE_BYTES} bytes, found ${size}`);
  }
  return await Deno.readFile(path);
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
 * Returns the bytes of an image at the size of the data set, `[height, width, channels]`.
 *
 * @throws {Error} If it is of another format, too large, or damaged.
 */
async function decode(
  image: Sharp,
  bytes: Uint8Array<ArrayBuffer>,
  { size, shorterSide, channels = 3 }: ImageFolderOptions,
  oneAtATime: ReturnType<typeof mutex>,
): Promise<Uint8Array> {
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
  const whole = width * height > LARGE_IMAGE ? await oneAtATime(decodeAll) : await decodeAll();
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

/**
 * Converts RGB to grey in place, as Pillow does it: the luma of ITU-R 601-2 in units of 1/65,536.
 */
function rgbToGrey(data: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const [red, green, blue] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    data[i] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
  }
}
