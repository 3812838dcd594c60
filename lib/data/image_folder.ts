import { Buffer } from "node:buffer";
import { availableParallelism } from "node:os";
import { basename, extname, join } from "node:path";
import type { Sharp } from "sharp";
import { checkOptions } from "../tensor/mod.ts";
import { linkInterrupt, show } from "../tensor/internal.ts";
import {
  allocate,
  checkKinds,
  checkNames,
  checkPositive,
  checkSignal,
  checkSize,
} from "./checks.ts";
import { ImageDataset } from "./dataset.ts";
import { type Pixels, resample } from "./resample.ts";

/** What can be asked of {@linkcode imageFolder}. */
export interface ImageFolderOptions<
  Names extends readonly string[] = readonly string[],
  Channels extends 1 | 3 = 1 | 3,
> {
  /** The size of the images in the set, in pixels. */
  size: readonly [height: number, width: number];
  /**
   * The length to which the shorter side of an image is brought before `size` is cut out of its
   * middle; unless given, no more is cut off than must be.
   */
  shorterSide?: number;
  /** 3 for red, green and blue, 1 for grey. @default 3 */
  channels?: Channels;
  /**
   * The sub-folders to read, in the order of their class numbers; all of them, sorted, unless
   * given.
   */
  classes?: Names;
  /** Reads no more than so many files of each class, the first by path. */
  imagesPerClass?: number;
  /** What the set is called; as the folder unless given. */
  name?: string;
  /** Called after each file. */
  onProgress?: (progress: ImageFolderProgress) => void;
  /** Ends the reading early, as Stop does in Jupyter. */
  signal?: AbortSignal;
}

/** How many files have been read, and which one was the last. */
export interface ImageFolderProgress {
  readonly file: string;
  readonly read: number;
  readonly total: number;
}

/** A file that is not in the set, by its path in the folder, and why. */
interface Skipped {
  readonly file: string;
  readonly reason: string;
}

/** What {@linkcode imageFolder} gives. */
export interface ImageFolder<Classes extends number = number, Channels extends 1 | 3 = 3> {
  readonly dataset: ImageDataset<Channels, Classes>;
  /** The files that are not in the set, by path, and why. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[];
}

/** The formats that are read, as the decoder calls them. */
const FORMATS: readonly (string | undefined)[] = ["jpeg", "png", "webp", "gif", "tiff", "heif"];
const ENDINGS = [".avif", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"];

/** Pillow's MAX_IMAGE_PIXELS: a quarter of a gigabyte, at three bytes each. */
const MAX_PIXELS = 89_478_485;
/**
 * Images with more pixels than so many are decoded one at a time, for interlaced ones are held
 * whole, at up to 8 bytes a pixel.
 */
const LARGE_IMAGE = 2 ** 24;
const MAX_FILE_BYTES = 2 ** 28;

/**
 * Photographs of your own: the image files of a folder with a sub-folder for each class, brought to
 * one size.
 *
 * Files that end in .jpg, .jpeg, .png, .webp, .gif, .tif, .tiff or .avif are read, in folders
 * within the class folders too. Of an animation the first picture is taken. Each image is turned
 * upright, as its camera noted; what is transparent becomes white; 16 bits become the upper 8; then
 * it is resized with its proportions kept (bilinear, smoothed where it is made smaller), and cut to
 * `size` around its middle.
 *
 * The pixels are those of `Image.open(file).convert("RGB")` in Pillow, or `convert("L")` with
 * `channels: 1`, and of torchvision's `Resize` and `CenterCrop`, to within 1 of 255. (Only the
 * edges of AVIF files with halved colours differ by more, up to 16: decoders enlarge these colours
 * in different ways. Pillow itself does not turn images upright, shows what is under transparent
 * pixels, and makes 16-bit grey from 255 on white.) Colour profiles are not applied, as in Pillow.
 * Pretrained networks expect what they were tested with: on ImageNet that is `{ size: [224, 224],
 * shorterSide: 256 }`, then {@linkcode imagenetStatistics}.
 *
 * Every file in the folder that is not in the set is listed in `skipped` with the reason: other
 * kinds of files, images that are empty, truncated or damaged, those of more than 89,478,485 pixels
 * (Pillow's limit) or 256 MiB, links that lead nowhere, what is no file, and files beside the class
 * folders. Hidden files, classes that are not asked for, and files after the first `imagesPerClass`
 * are left out without a word. A folder that is reached twice, by links, is read once. The pixels
 * are held as bytes, `height · width · channels` for each image.
 *
 * With `classes` the number of classes is part of the type: `ImageDataset<3, 2>` for
 * `classes: ["cat", "dog"]`. For a set to test on, see `split`.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If a size, `shorterSide` or `imagesPerClass` is not a positive integer,
 * `shorterSide` is shorter than a side of `size`, `channels` is neither 1 nor 3, two classes have
 * the same name, or the pixels do not fit in memory.
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
 * const { dataset, skipped } = await imageFolder(folder, { size: [2, 2], classes: ["day", "night"] });
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
  const doing = `Reading images from the folder ${folder}`;
  using stop = linkInterrupt(options.signal);
  const { classNames, files, skipped } = await findFiles(doing, folder, options, stop.signal);

  // Loaded here, so that whoever reads no photographs does not wait for it.
  const { default: sharp } = await import("sharp");
  const imageSize = height * width * channels;
  const pixels = allocate(doing, files.length, imageSize);
  const oneAtATime = lock();
  const readInto = async (index: number) => {
    const bytes = await readBounded(join(folder, files[index]!.file));
    // Its warnings are about images that all programs show. The limit of pixels is ours, see
    // decode().
    const image = sharp(Buffer.from(bytes.buffer), {
      failOn: "error",
      ignoreIcc: true,
      limitInputPixels: false,
    });
    pixels.set(await decode(image, bytes, options, oneAtATime), index * imageSize);
  };
  const failed: number[] = [];
  let next = 0, read = 0;
  const work = async () => {
    while (next < files.length) {
      stop.signal?.throwIfAborted();
      const index = next++;
      await readInto(index).catch(() => failed.push(index));
      onProgress?.({ file: files[index]!.file, read: ++read, total: files.length });
    }
  };
  try {
    await Promise.all(Array.from({ length: availableParallelism() }, work));
  } finally {
    next = files.length; // Where one ended early, the others do too.
  }
  // Once more, one at a time: decoders that run at once share the place in which they say what went
  // wrong.
  const reasons = new Map<number, string>();
  for (const index of failed) {
    stop.signal?.throwIfAborted();
    await readInto(index).catch((error) => reasons.set(index, reasonOf(error)));
  }
  stop.signal?.throwIfAborted();

  const kept = [...files.keys()].filter((index) => !reasons.has(index));
  kept.forEach((from, to) =>
    pixels.copyWithin(to * imageSize, from * imageSize, (from + 1) * imageSize)
  );
  for (const [index, reason] of reasons) skipped.push({ file: files[index]!.file, reason });
  skipped.sort((a, b) => a.file < b.file ? -1 : 1);
  const labels = Int32Array.from(kept, (index) => files[index]!.label);
  const present = new Set(labels);
  for (const [label, className] of classNames.entries()) {
    if (!present.has(label)) {
      const file = files.find((file) => file.label === label)?.file;
      const first = skipped.find((each) => each.file === file);
      throw new Error(
        `${doing}: expected an image of each class, found none in ${className} that can be read (${first?.file}: ${first?.reason}).`,
      );
    }
  }
  const dataset = new ImageDataset({
    name,
    pixels: pixels.subarray(0, kept.length * imageSize),
    labels,
    height,
    width,
    channels,
    classes: classNames.length,
    classNames,
  });
  return { dataset, skipped };
}

/** Checks what is asked of {@linkcode imageFolder}. */
export function checkFolderOptions(folder: unknown, options: ImageFolderOptions): void {
  if (typeof folder !== "string" || folder === "") {
    throw new TypeError(`Reading images: the folder must be a path, found ${show(folder)}.`);
  }
  const doing = `Reading images from the folder ${folder}`;
  checkOptions<ImageFolderOptions>(doing, options, "{ size: [224, 224] }", {
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
  checkSize(doing, size);
  checkPositive(doing, { shorterSide, imagesPerClass }, "optional");
  checkKinds(doing, "string", { name });
  checkKinds(doing, "function", { onProgress: options.onProgress });
  checkSignal(doing, options.signal);
  if (classes !== undefined) checkNames(doing, "classes", classes);
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`${doing}: channels must be 1 or 3, found ${show(channels)}.`);
  }
  const longer = Math.max(...size);
  if (shorterSide !== undefined && shorterSide < longer) {
    throw new RangeError(
      `${doing}: expected a shorterSide of at least ${longer}, from which ${size[0]} × ${
        size[1]
      } can be cut, found ${shorterSide}.`,
    );
  }
}

/** Why a file cannot be read, in one line that is not too long: some decoders repeat themselves. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/[:\s]+$/, "").replaceAll(/\s*\n\s*/g, " ").slice(0, 200);
}

/** The files to read, with their class numbers, and those that cannot be read. */
async function findFiles(
  doing: string,
  folder: string,
  { classes, imagesPerClass }: ImageFolderOptions,
  signal: AbortSignal | undefined,
) {
  const skipped: Skipped[] = [];
  const { classNames, folders } = await findClasses(doing, folder, classes, skipped);
  /**
   * The real paths of folders that have been read, so that links neither go round nor give an image
   * two classes.
   */
  const seen = new Map<string, string>();
  for (const name of folders) {
    const path = await Deno.realPath(join(folder, name));
    const other = seen.get(path);
    if (other !== undefined) {
      throw new Error(
        `${doing}: each class must have a folder of its own, found one folder for ${other} and ${name}.`,
      );
    }
    seen.set(path, name);
  }
  const files: { readonly file: string; readonly label: number }[] = [];
  for (const [label, className] of folders.entries()) {
    const found: string[] = [];
    const waiting = [className];
    for (let path; (path = waiting.pop()) !== undefined;) {
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
              const earlier = seen.get(real);
              if (earlier === undefined) {
                seen.set(real, file);
                waiting.push(file);
              } else skipped.push({ file, reason: `The same folder as ${earlier}` });
            } else if (!isFile) {
              skipped.push({ file, reason: "Expected a file, found a pipe, socket or device" });
            } else if (!ENDINGS.includes(extname(entry.name).toLowerCase())) {
              skipped.push({
                file,
                reason: `Expected a name that ends in ${ENDINGS.join(", ")}`,
              });
            } else found.push(file);
          } catch (error) {
            skipped.push({ file, reason: reasonOf(error) });
          }
        }
      } catch (error) {
        signal?.throwIfAborted();
        skipped.push({ file: `${path}/`, reason: reasonOf(error) });
      }
    }
    if (found.length === 0) {
      const first = skipped.find(({ file }) => file.startsWith(`${className}/`));
      throw new Error(
        `${doing}: expected images of each class, found no file in ${className} that ends in ${
          ENDINGS.join(", ")
        }${first ? ` (${first.file}: ${first.reason})` : ""}.`,
      );
    }
    for (const file of found.sort().slice(0, imagesPerClass)) files.push({ file, label });
  }
  return { classNames, files, skipped };
}

/** The names of the classes and of their folders. */
async function findClasses(
  doing: string,
  folder: string,
  classes: readonly string[] | undefined,
  skipped: Skipped[],
): Promise<{ classNames: readonly string[]; folders: readonly string[] }> {
  const folders: string[] = [];
  try {
    for await (const entry of Deno.readDir(folder)) {
      const { name } = entry;
      if (name.startsWith(".")) continue;
      try {
        const { isDirectory } = entry.isSymlink ? await Deno.stat(join(folder, name)) : entry;
        if (isDirectory) folders.push(name);
        else skipped.push({ file: name, reason: "Expected files in folders of the classes" });
      } catch (error) {
        skipped.push({ file: name, reason: reasonOf(error) });
      }
    }
  } catch (error) {
    throw new Error(
      `${doing}: expected a folder ${folder}, found none that can be read (${reasonOf(error)}).`,
      { cause: error },
    );
  }
  folders.sort();
  // An "é" may be one character or two: macOS writes other names than those that are typed.
  const folderOf = (name: string) =>
    folders.includes(name) ? name : folders.find((other) => other.normalize() === name.normalize());
  const missing = classes?.filter((name) => folderOf(name) === undefined) ?? [];
  if (missing.length > 0) {
    throw new Error(
      `${doing}: expected a folder for each of the classes ${classes?.join(", ")}, found no ${
        missing.join(", ")
      }, only ${folders.join(", ") || "no folder at all"}.`,
    );
  }
  const classNames = classes ?? folders;
  if (classNames.length === 0) {
    throw new Error(`${doing}: expected a folder for each class, found none.`);
  }
  return { classNames, folders: classNames.map((name) => folderOf(name) ?? name) };
}

/** The bytes of a file that is one, and not too large. */
async function readBounded(path: string): Promise<Uint8Array<ArrayBuffer>> {
  const { isFile, size } = await Deno.stat(path);
  if (!isFile) throw new Error("Expected a file, found a pipe, socket or device");
  if (size === 0) throw new Error("The file is empty");
  if (size > MAX_FILE_BYTES) {
    throw new Error(`Expected at most ${MAX_FILE_BYTES} bytes, found ${size}`);
  }
  return await Deno.readFile(path);
}

/** Runs one piece of work at a time. */
function lock(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}

/** The bytes of an image at the size asked for, `[height, width, channels]`. */
async function decode(
  image: Sharp,
  bytes: Uint8Array<ArrayBuffer>,
  { size, shorterSide, channels = 3 }: ImageFolderOptions,
  oneAtATime: ReturnType<typeof lock>,
): Promise<Uint8Array> {
  const { format, depth, space, width, height } = await image.metadata();
  if (!FORMATS.includes(format)) {
    throw new Error(`Expected an image of the formats ${ENDINGS.join(", ")}, found ${format}`);
  }
  if (width * height > MAX_PIXELS) {
    throw new Error(`Expected at most ${MAX_PIXELS} pixels, found ${width} × ${height}`);
  }
  if (depth !== "uchar" && depth !== "ushort") {
    throw new Error(`Expected pixels of 8 or 16 bits, found ${depth}`);
  }
  // The decoder takes brightness and colour differences for red, green and blue, except in JPEG
  // compression (7).
  if (format === "tiff" && tiffTag(bytes, 262) === 6 && tiffTag(bytes, 259) !== 7) {
    throw new Error("Expected a TIFF in red, green and blue, found one in YCbCr");
  }
  const toPixels = () => decodeWhole(image, space === "cmyk", channels);
  const whole = width * height > LARGE_IMAGE ? await oneAtATime(toPixels) : await toPixels();
  const shorter = Math.min(whole.height, whole.width);
  // As torchvision's Resize, which cuts the longer side to whole pixels, and CenterCrop, which
  // rounds halves to even numbers.
  const covers = size[0] / whole.height >= size[1] / whole.width;
  const [factor, divisor] = shorterSide !== undefined
    ? [shorterSide, shorter]
    : covers
    ? [size[0], whole.height]
    : [size[1], whole.width];
  const scaled = [
    Math.trunc(factor * whole.height / divisor),
    Math.trunc(factor * whole.width / divisor),
  ] as const;
  const from = [toEven((scaled[0] - size[0]) / 2), toEven((scaled[1] - size[1]) / 2)] as const;
  return resample(whole, scaled, from, size);
}

/**
 * The value of a field of one 16-bit number in the first directory of a TIFF (TIFF 6.0, section 2)
 * or BigTIFF file.
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

function toEven(x: number): number {
  return x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
}

/** All pixels of an image, upright, in red, green and blue or in grey. */
async function decodeWhole(image: Sharp, inks: boolean, channels: 1 | 3): Promise<Pixels> {
  const upright = inks
    ? image.autoOrient().pipelineColourspace("cmyk").toColourspace("cmyk")
    : image.autoOrient().flatten({ background: "white" }).toColourspace("srgb");
  const { data, info } = await upright.raw().toBuffer({ resolveWithObject: true });
  const count = info.height * info.width;
  if (data.length !== count * (inks ? 4 : 3)) {
    throw new Error(
      `Expected three colours or four inks of 8 bits, found ${data.length} bytes for ${count} pixels`,
    );
  }
  if (inks) withoutInks(data, count);
  if (channels === 1) greyed(data, count);
  return { data, height: info.height, width: info.width, channels };
}

/**
 * Cyan, magenta, yellow and black to red, green and blue, in place, as Pillow does it
 * (libImaging/Convert.c).
 */
function withoutInks(data: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const light = 255 - data[4 * i + 3]!;
    for (let channel = 0; channel < 3; channel++) {
      const product = data[4 * i + channel]! * light + 128;
      data[3 * i + channel] = light - (((product >> 8) + product) >> 8);
    }
  }
}

/**
 * Red, green and blue to grey, in place, as Pillow does it: the luma of ITU-R 601-2 in parts of
 * 65,536.
 */
function greyed(data: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const [red, green, blue] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    data[i] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
  }
}
