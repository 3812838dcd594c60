import { availableParallelism } from "node:os";
import { basename, extname, join, resolve } from "node:path";
import {
  checkBoolean,
  checkFunction,
  checkInteger,
  checkOptions,
  checkSignal,
  checkString,
  linkInterrupt,
  show,
} from "../tensor/internal.ts";
import { allocate, checkClassNames } from "./checks.ts";
import { ImageDataset, noteShorterSide } from "./dataset.ts";
import { decoder, type ReadImageOptions, reasonOf } from "./decode.ts";
import { checkDecodeOptions } from "./decode_options.ts";
import { type LazyFile, LazyImageDataset } from "./lazy_images.ts";
import { readBounded } from "./picture_file.ts";
import { EXTENSIONS, NOT_A_FILE, versionOf } from "./readable_files.ts";

/** The options of {@linkcode imageFolder}. */
export interface ImageFolderOptions<
  Names extends readonly string[] = readonly string[],
  Channels extends 1 | 3 = 1 | 3,
> extends ReadImageOptions<Channels> {
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
  /**
   * Whether the images stay in their files, and are read and decoded again whenever a batch needs
   * them, for sets that do not fit in memory. Each file is decoded once before, so that `skipped`
   * is complete.
   *
   * @default false
   */
  lazy?: boolean;
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

/** The {@linkcode ImageFolder} of the option `lazy`. */
export interface LazyImageFolder<Classes extends number = number, Channels extends 1 | 3 = 3> {
  /** The images, which stay in their files. */
  readonly dataset: LazyImageDataset<Channels, Classes>;
  /** The files that are not in the data set, by path, with the reason. */
  readonly skipped: readonly SkippedFile[];
}

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
 * files beside the class folders. It does not list hidden files, classes that are not in `classes`,
 * and files after the first `imagesPerClass`. A folder with several links to it is read once. The
 * pixels are bytes, `height · width · channels` for each image.
 *
 * With `classes` the number of classes is part of the type: `ImageDataset<3, 2>` for
 * `classes: ["cat", "dog"]`. Make a test set with `split`.
 *
 * With `lazy: true` the images stay in their files. A training reads the images of its next batches
 * while it computes, in other threads, so that memory stays flat however many images there are. The
 * pixels and `skipped` are the same. A file that is later gone, changed or damaged ends the
 * training with an error that has its path.
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
 *
 * const lazy = await imageFolder(folder, { ...options, lazy: true });
 * const { inputs, targets } = await lazy.dataset.batch([1]);
 * assert.deepEqual(inputs.dataSync(), dataset.images([1]).dataSync());
 * assert.equal(targets.dataSync()[0], 1);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export function imageFolder<
  const Names extends readonly string[] = readonly string[],
  const Channels extends 1 | 3 = 3,
>(
  folder: string,
  options: ImageFolderOptions<Names, Channels> & { lazy: true },
): Promise<LazyImageFolder<Names["length"], Channels>>;
/** {@linkcode imageFolder} of images in memory. */
export function imageFolder<
  const Names extends readonly string[] = readonly string[],
  const Channels extends 1 | 3 = 3,
>(
  folder: string,
  options: ImageFolderOptions<Names, Channels> & { lazy?: false },
): Promise<ImageFolder<Names["length"], Channels>>;
export async function imageFolder(
  folder: string,
  options: ImageFolderOptions,
): Promise<ImageFolder<number, 1 | 3> | LazyImageFolder<number, 1 | 3>> {
  checkFolderOptions(folder, options);
  const { name = basename(folder), channels = 3, size: [height, width], onProgress } = options;
  const { lazy = false, shorterSide } = options;
  const action = `Reading images from the folder ${folder}`;
  using interrupt = linkInterrupt(options.signal);
  const { signal } = interrupt;
  const { classNames, files, skipped } = await findFiles(action, folder, options, signal);

  const imageSize = height * width * channels;
  const pixels = allocate(action, lazy ? 0 : files.length, imageSize);
  const lazyFiles: LazyFile[] = [];
  const decode = await decoder(options);
  const readInto = async (index: number) => {
    const path = join(folder, files[index]!.file);
    // The version comes first, so that a change during the reading is noticed later.
    if (lazy) lazyFiles[index] = { ...files[index]!, ...versionOf(await Deno.stat(path)) };
    const image = await decode(await readBounded(path));
    if (!lazy) pixels.set(image, index * imageSize);
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
  if (lazy) {
    const dataset = new LazyImageDataset({
      name,
      folder: resolve(folder),
      files: readable.map((index) => lazyFiles[index]!),
      form: { size: [height, width], shorterSide, channels },
      classNames: [...classNames],
    });
    return { dataset, skipped };
  }
  readable.forEach((from, to) =>
    pixels.copyWithin(to * imageSize, from * imageSize, (from + 1) * imageSize)
  );
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
  noteShorterSide(dataset, shorterSide);
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
    lazy: true,
    onProgress: true,
    signal: true,
  });
  const { classes, imagesPerClass, name, lazy, onProgress, signal } = options;
  checkDecodeOptions(action, options);
  if (imagesPerClass !== undefined) checkInteger(action, "imagesPerClass", imagesPerClass);
  if (name !== undefined) checkString(action, "name", name);
  if (lazy !== undefined) checkBoolean(action, "lazy", lazy);
  if (onProgress !== undefined) checkFunction(action, "onProgress", onProgress);
  checkSignal(action, signal);
  if (classes !== undefined) checkClassNames(action, "classes", classes);
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
