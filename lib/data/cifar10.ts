import { join } from "node:path";
import { unpackTar } from "modern-tar";
import {
  checkFunction,
  checkOptions,
  checkSignal,
  checkString,
  linkInterrupt,
} from "../tensor/internal.ts";
import { ImageDataset } from "./dataset.ts";
import {
  cacheFolder,
  download,
  type DownloadOptions,
  type DownloadProgress,
  limitBytes,
} from "./download.ts";

const CLASS_NAMES = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
];
const TRAIN_FILES = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`);
const TEST_FILES = ["test_batch.bin"];

/** The training and test sets of CIFAR-10. */
export interface Cifar10 {
  /** 50,000 images. */
  readonly train: ImageDataset<3, 10>;
  /** 10,000 images. */
  readonly test: ImageDataset<3, 10>;
}

/** The options of {@linkcode cifar10}. */
export interface Cifar10Options {
  /**
   * A folder with the unpacked files, `data_batch_1.bin` to `data_batch_5.bin` and
   * `test_batch.bin`.
   */
  folder?: string;
  /** Called during the download, if there is one. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Stops the download or the reading, as Jupyter's Stop does. */
  signal?: AbortSignal;
}

/**
 * CIFAR-10: 50,000 training and 10,000 test images of things and animals, 32 × 32 in colour, in ten
 * classes of equal size.
 *
 * The files come from `folder` if it is given, else from the archive in the cache folder, else from
 * the publisher (170 MB, once). The archive is checked against its SHA-256. No checksums are
 * published for the unpacked files, so their sizes and labels are checked. To continue without
 * CIFAR-10, use {@linkcode syntheticImages}.
 *
 * ResNets train on it with the augmentation of He et al. (arXiv:1512.03385, section 4.2): 4 pixels
 * of padding on each side, a random 32 × 32 crop, and a random flip. The mean is subtracted before
 * the padding, so that the padding has the average colour:
 * `const { randomCrop, randomFlip } = augmentation`, then
 * `compose(normalize("cifar10"), randomCrop({ padding: 4 }), randomFlip())`. (The paper subtracts a
 * mean of each pixel and does not divide. A mean and a standard deviation of each channel are usual
 * today.)
 *
 * Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the binary version of
 * https://www.cs.toronto.edu/~kriz/cifar.html.
 *
 * @throws {RangeError} If a file does not have the size of 10,000 images, a label is above 9, or
 * the archive cannot be unpacked.
 * @throws {Error} If the archive cannot be downloaded, or a file is missing.
 *
 * @example
 * ```ts
 * import { cifar10 } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // Files of the right size for this example: 60,000 black airplanes.
 * const folder = await Deno.makeTempDir();
 * const numbered = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`);
 * for (const name of [...numbered, "test_batch.bin"]) {
 *   using file = await Deno.create(`${folder}/${name}`);
 *   await file.truncate(10_000 * 3073);
 * }
 * const { train, test } = await cifar10({ folder });
 * assert.equal(train.count, 50_000);
 * assert.equal(test.count, 10_000);
 * assert.deepEqual(test.images([0]).shape, [1, 32, 32, 3]);
 * assert.equal(test.classNames[test.labels[0]!], "airplane");
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function cifar10(options: Cifar10Options = {}): Promise<Cifar10> {
  const action = "Reading CIFAR-10";
  checkOptions<Cifar10Options>(action, options, '{ folder: "cifar-10-batches-bin" }', {
    folder: true,
    onProgress: true,
    signal: true,
  });
  const { folder, onProgress, signal } = options;
  if (folder !== undefined) checkString(action, "folder", folder);
  if (onProgress !== undefined) checkFunction(action, "onProgress", onProgress);
  checkSignal(action, signal);
  return await readCifar10(options);
}

/** Reads {@linkcode cifar10} from any address, with any number of images in each file. */
export async function readCifar10({
  folder,
  url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  // The publisher names only an MD5, c32a1d4ab5d03f1284b67883e8d87530. Two other libraries check
  // the file of the same address against this SHA-256: MLDatasets.jl
  // (src/datasets/vision/cifar10.jl) and torchvision-ruby (lib/torchvision/datasets/cifar10.rb).
  sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  maxBytes = 170_052_171, // The size of that file, in TensorFlow Datasets' list of checksums.
  imagesPerFile = 10_000,
  ...options
}:
  & Cifar10Options
  & Partial<Omit<DownloadOptions, "file">>
  & { url?: string; imagesPerFile?: number }): Promise<Cifar10> {
  using interrupt = linkInterrupt(options.signal);
  const { signal } = interrupt;
  const fileSize = imagesPerFile * (1 + IMAGE_SIZE);
  const read = folder === undefined
    ? await archiveReader(
      await downloadArchive(url, { ...options, sha256, maxBytes, signal }),
      // The six files, and less than a megabyte for two text files and the headers.
      6 * fileSize + 2 ** 20,
      signal,
    )
    : (name: string) => readFromFolder(folder, name, fileSize);
  const part = async (name: string, files: readonly string[]) => {
    const pixels = new Uint8Array(files.length * imagesPerFile * IMAGE_SIZE);
    const labels = new Uint8Array(files.length * imagesPerFile);
    for (const [i, file] of files.entries()) {
      signal?.throwIfAborted();
      const { bytes, source } = await read(file);
      decode(
        bytes,
        source,
        pixels.subarray(i * imagesPerFile * IMAGE_SIZE, (i + 1) * imagesPerFile * IMAGE_SIZE),
        labels.subarray(i * imagesPerFile, (i + 1) * imagesPerFile),
      );
    }
    return new ImageDataset({
      name,
      pixels,
      labels,
      height: 32,
      width: 32,
      channels: 3,
      classes: 10,
      classNames: CLASS_NAMES,
    });
  };
  return {
    train: await part("CIFAR-10, train", TRAIN_FILES),
    test: await part("CIFAR-10, test", TEST_FILES),
  };
}

const PLANE_SIZE = 32 * 32;
const IMAGE_SIZE = 3 * PLANE_SIZE;

/**
 * Reads records of a label and the red, green and blue plane of an image. Writes the labels, and
 * the pixels with the channels last.
 *
 * @throws {RangeError} If there are not as many records as labels, or a label is above 9.
 */
function decode(bytes: Uint8Array, source: string, pixels: Uint8Array, labels: Uint8Array): void {
  const count = labels.length;
  const size = 1 + IMAGE_SIZE;
  if (bytes.length !== count * size) throw wrongSize(source, count * size, bytes.length);
  let to = 0;
  for (let image = 0; image < count; image++) {
    const record = bytes.subarray(image * size, (image + 1) * size);
    const label = record[0]!;
    if (label > 9) {
      throw new RangeError(
        `Reading CIFAR-10 from ${source}: labels must be from 0 to 9, found ${label} at image ${image}. The file is damaged.`,
      );
    }
    labels[image] = label;
    // A plain loop takes less than half a second for all 184 million bytes.
    for (let red = 1; red <= PLANE_SIZE; red++) {
      pixels[to++] = record[red]!;
      pixels[to++] = record[red + PLANE_SIZE]!;
      pixels[to++] = record[red + 2 * PLANE_SIZE]!;
    }
  }
}

/** Returns the error for a file of the wrong size; `size` is text if the path is not a file. */
function wrongSize(source: string, expected: number, size: number | string): RangeError {
  const recordSize = 1 + IMAGE_SIZE;
  return new RangeError(
    `Reading CIFAR-10 from ${source}: the file must have ${expected} bytes, ${
      expected / recordSize
    } images of ${recordSize}, found ${size}.${
      typeof size === "string"
        ? ""
        : size < expected
        ? " The file is truncated."
        : " There are bytes after the end."
    }`,
  );
}

/** The bytes of a file, and its name in messages. */
interface Content {
  readonly bytes: Uint8Array;
  readonly source: string;
}

/** Reads a file of a folder. */
async function readFromFolder(folder: string, name: string, fileSize: number): Promise<Content> {
  const source = join(folder, name);
  try {
    const { isFile, size } = await Deno.stat(source);
    if (!isFile || size !== fileSize) throw wrongSize(source, fileSize, isFile ? size : "no file");
    return { bytes: await Deno.readFile(source), source };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const files = [...TRAIN_FILES, ...TEST_FILES].join(", ");
    throw new Error(
      `Reading CIFAR-10 from the folder ${folder}: the folder must have the files ${files}, found no ${name}.`,
      { cause: error },
    );
  }
}

/** Unpacks an archive, and returns a function that finds a file in it by name. */
async function archiveReader(
  archive: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<(name: string) => Content> {
  const entries = await unpack(archive, maxBytes, signal);
  const files = new Map(entries.map(({ header, data }) => [header.name, data]));
  return (name) => {
    const path = `cifar-10-batches-bin/${name}`;
    const bytes = files.get(path);
    if (bytes === undefined) {
      throw new Error(
        `Reading CIFAR-10 from ${archive}: the archive must have the file ${path}, found ${
          [...files.keys()].join(", ") || "no file that ends in .bin"
        }.`,
      );
    }
    return { bytes, source: `${path} in ${archive}` };
  };
}

/** Returns the .bin files in an archive. */
async function unpack(archive: string, maxBytes: number, signal?: AbortSignal) {
  // A stream saves 600 MB of memory. Strict reading is not needed: the checksum was right, and a
  // missing or truncated file is found later by its name or size.
  const file = await Deno.open(archive);
  try {
    const content = file.readable.pipeThrough(new DecompressionStream("gzip"), { signal });
    return await unpackTar(content.pipeThrough(limitBytes(maxBytes)), {
      filter: ({ name }) => name.endsWith(".bin"),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new RangeError(
      `Unpacking ${archive}: the file must be a whole .tar.gz, found one that is damaged or truncated (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
}

/** Downloads the archive, and returns its path. */
async function downloadArchive(
  url: string,
  options: Omit<DownloadOptions, "file">,
): Promise<string> {
  return await download(url, {
    file: `${cacheFolder()}/cifar-10/cifar-10-binary.tar.gz`,
    advice:
      "To continue without CIFAR-10, call syntheticImages({ count, seed }): drawn images of the same shape, whose accuracy says nothing " +
      "about CIFAR-10.",
    ...options,
  });
}
