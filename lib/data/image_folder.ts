import { Buffer } from "node:buffer";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import type { Sharp } from "sharp";
import { ImageDataset } from "./dataset.ts";

/** What can be asked of {@linkcode imageFolder}. */
export interface ImageFolderOptions<Names extends readonly string[] = readonly string[]> {
  /** The size of the images in the set, in pixels. */
  size: readonly [height: number, width: number];
  /**
   * The length to which the shorter side of an image is brought before `size` is cut out of its middle; unless given, no more is
   * cut off than must be.
   */
  shorterSide?: number;
  /** The sub-folders to read, in the order of their class numbers; all of them, sorted, unless given. */
  classes?: Names;
  /** Reads no more than so many files of each class, the first by name. */
  imagesPerClass?: number;
  /** What the set is called; as the folder unless given. */
  name?: string;
  /** Called after each file. */
  onProgress?: (progress: ImageFolderProgress) => void;
  /** Ends the reading early. */
  signal?: AbortSignal;
}

/** How many files have been read, and which one was the last. */
export interface ImageFolderProgress {
  readonly file: string;
  readonly read: number;
  readonly total: number;
}

/** What {@linkcode imageFolder} gives. */
export interface ImageFolder<Classes extends number = number> {
  readonly dataset: ImageDataset<3, Classes>;
  /** The files that are not in the set because they cannot be read, by name, and why. */
  readonly skipped: readonly { readonly file: string; readonly reason: string }[];
}

/**
 * Photographs of your own: the JPEG and PNG files of a folder with a sub-folder for each class, brought to one size.
 *
 * Each image is turned upright, as its camera noted, resized with its proportions kept (bilinear, smoothed where it is made smaller),
 * and cut to `size` around its middle. (An image that is made larger ends up to half a pixel too far to the lower right.) Grey,
 * palette, CMYK and 16-bit images become 8-bit colour, and what is transparent becomes white. Pretrained networks expect what they
 * were tested with: on ImageNet that is `{ size: [224, 224], shorterSide: 256 }`, then {@linkcode imagenetStatistics}.
 *
 * A file that cannot be read (empty, truncated, something else under the name of an image) is left out and listed in `skipped`. Files
 * that do not end in .jpg, .jpeg or .png, and hidden ones, are not looked at. The pixels are held as bytes, `height · width · 3` for
 * each image.
 *
 * With `classes` the number of classes is part of the type: `ImageDataset<3, 2>` for `classes: ["cat", "dog"]`. For a set to test
 * on, see `split`.
 *
 * @throws {RangeError} If a size, `shorterSide` or `imagesPerClass` is not a positive integer, `shorterSide` is shorter than a side
 * of `size`, or there are more than 256 classes.
 * @throws {Error} If there is no such folder, a class has no folder, or none of its files can be read.
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
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export function imageFolder<const Names extends readonly string[]>(
  folder: string,
  options: ImageFolderOptions<Names> & { classes: Names },
): Promise<ImageFolder<Names["length"]>>;
export function imageFolder(folder: string, options: ImageFolderOptions): Promise<ImageFolder>;
export async function imageFolder(
  folder: string,
  { name = basename(folder), onProgress, signal, ...options }: ImageFolderOptions,
): Promise<ImageFolder> {
  const doing = `Reading images from the folder ${folder}`;
  checkOptions(doing, options);
  const classNames = await findClasses(doing, folder, options.classes);
  const files: { readonly file: string; readonly label: number }[] = [];
  for (const [label, className] of classNames.entries()) {
    const found = await findImages(doing, folder, className);
    files.push(...found.slice(0, options.imagesPerClass).map((file) => ({ file, label })));
  }

  // Loaded here, so that whoever reads no photographs does not wait for it.
  const { default: sharp } = await import("sharp");
  const [height, width] = options.size;
  const imageSize = height * width * 3;
  const pixels = new Uint8Array(files.length * imageSize);
  const readInto = async (index: number) => {
    const bytes = await Deno.readFile(join(folder, files[index]!.file));
    if (bytes.length === 0) throw new Error("The file is empty");
    // Its warnings are about images that all programs show.
    const image = sharp(Buffer.from(bytes.buffer), { failOn: "error" });
    pixels.set(await decode(image, options), index * imageSize);
  };
  const failed: number[] = [];
  let next = 0, read = 0;
  const work = async () => {
    while (next < files.length && !signal?.aborted) {
      const index = next++;
      await readInto(index).catch(() => failed.push(index));
      onProgress?.({ file: files[index]!.file, read: ++read, total: files.length });
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
  // Once more, one at a time: decoders that run at once share the place in which they say what went wrong.
  const reasons = new Map<number, string>();
  for (const index of failed) {
    signal?.throwIfAborted();
    await readInto(index).catch((error) =>
      reasons.set(index, error.message.replace(/[:\s]+$/, "").replaceAll(/\s*\n\s*/g, " "))
    );
  }
  signal?.throwIfAborted();

  const kept = files.flatMap((_, index) => reasons.has(index) ? [] : [index]);
  kept.forEach((from, to) =>
    pixels.copyWithin(to * imageSize, from * imageSize, (from + 1) * imageSize)
  );
  const labels = Uint8Array.from(kept, (index) => files[index]!.label);
  const skipped = files.flatMap(({ file }, index) => {
    const reason = reasons.get(index);
    return reason === undefined ? [] : [{ file, reason }];
  });
  for (const [label, className] of classNames.entries()) {
    if (!labels.includes(label)) {
      const first = skipped.find(({ file }) => file.startsWith(`${className}/`));
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
    channels: 3,
    classes: classNames.length,
    classNames,
  });
  return { dataset, skipped };
}

function checkOptions(
  doing: string,
  { size, shorterSide, imagesPerClass }: ImageFolderOptions,
): void {
  const [height, width] = size;
  for (const [what, value] of Object.entries({ height, width, shorterSide, imagesPerClass })) {
    if (value !== undefined && (!Number.isInteger(value) || value < 1)) {
      throw new RangeError(`${doing}: ${what} must be a positive integer, found ${value}.`);
    }
  }
  if (shorterSide !== undefined && shorterSide < Math.max(height, width)) {
    throw new RangeError(
      `${doing}: expected a shorterSide of at least ${
        Math.max(height, width)
      }, from which ${height} × ${width} can be cut, found ${shorterSide}.`,
    );
  }
}

/** The names of the classes, each of which has a folder. */
async function findClasses(
  doing: string,
  folder: string,
  classes?: readonly string[],
): Promise<readonly string[]> {
  const folders: string[] = [];
  for await (const { name, isDirectory, isSymlink } of entries(doing, folder)) {
    if (name.startsWith(".")) continue;
    if (isDirectory || isSymlink && (await Deno.stat(join(folder, name))).isDirectory) {
      folders.push(name);
    }
  }
  folders.sort();
  const missing = classes?.filter((name) => !folders.includes(name)) ?? [];
  if (missing.length > 0) {
    throw new Error(
      `${doing}: expected a folder for each of the classes ${classes?.join(", ")}, found no ${
        missing.join(", ")
      }, only ${folders.join(", ") || "no folder at all"}.`,
    );
  }
  const found = classes ?? folders;
  if (found.length === 0) {
    throw new Error(`${doing}: expected a folder for each class, found none.`);
  }
  if (found.length > 256) {
    throw new RangeError(`${doing}: expected at most 256 classes, found ${found.length}.`);
  }
  return found;
}

/** The image files of a class, with the class's folder before their name, sorted. */
async function findImages(doing: string, folder: string, className: string): Promise<string[]> {
  const files: string[] = [];
  for await (const { name, isDirectory } of entries(doing, join(folder, className))) {
    if (!isDirectory && /^[^.].*\.(jpe?g|png)$/i.test(name)) files.push(`${className}/${name}`);
  }
  if (files.length === 0) {
    throw new Error(
      `${doing}: expected images of each class, found no .jpg, .jpeg or .png file in ${className}.`,
    );
  }
  return files.sort();
}

async function* entries(doing: string, folder: string): AsyncGenerator<Deno.DirEntry> {
  try {
    yield* Deno.readDir(folder);
  } catch (error) {
    throw new Error(
      `${doing}: expected a folder ${folder}, found none that can be read (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
}

/** The bytes of an image at the size asked for, `[height, width, 3]`. */
async function decode(
  image: Sharp,
  { size: [height, width], shorterSide }: ImageFolderOptions,
): Promise<Uint8Array> {
  const { format, autoOrient } = await image.metadata();
  if (format !== "jpeg" && format !== "png") {
    throw new Error(`Expected a JPEG or PNG image, found ${format}`);
  }
  const scale = shorterSide === undefined
    ? Math.max(height / autoOrient.height, width / autoOrient.width)
    : shorterSide / Math.min(autoOrient.height, autoOrient.width);
  const scaled = {
    height: Math.round(scale * autoOrient.height),
    width: Math.round(scale * autoOrient.width),
  };
  return await image
    .autoOrient()
    .flatten({ background: "white" })
    .resize({ ...scaled, fit: "fill", kernel: "linear" })
    .extract({
      top: Math.floor((scaled.height - height) / 2),
      left: Math.floor((scaled.width - width) / 2),
      height,
      width,
    })
    .toColourspace("srgb")
    .raw()
    .toBuffer();
}
