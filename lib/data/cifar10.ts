import { join } from "node:path";
import { unpackTar } from "modern-tar";
import { checkOptions } from "../tensor/mod.ts";
import { linkInterrupt } from "../tensor/internal.ts";
import { checkKinds, checkSignal } from "./checks.ts";
import { ImageDataset } from "./dataset.ts";
import {
  cacheFolder,
  type DownloadOptions,
  downloadOrAdvise,
  type DownloadProgress,
} from "./download.ts";
import { atMost } from "./gzip.ts";

const classNames = [
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
const trainFiles = [1, 2, 3, 4, 5].map((n) => `data_batch_${n}.bin`);
const testFiles = ["test_batch.bin"];

/**
 * Mean and standard deviation of the red, green and blue of CIFAR-10's 50,000 training images,
 * pixels from 0 to 1: what `normalize` takes.
 *
 * They are the figures in general use: those of Facebook's ResNeXt (facebookresearch/ResNeXt,
 * datasets/cifar10.lua, "computed from entire CIFAR-10 training set": 125.3, 123.0, 113.9 and 63.0,
 * 62.1, 66.7), divided by 255, to a digit more.
 *
 * @example
 * ```ts
 * import { cifar10Statistics, normalize, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const average = ops.tensor(cifar10Statistics.mean, [1, 1, 1, 3]);
 * const normalized = normalize(cifar10Statistics)(average, new Random(0));
 * assert.deepEqual([...normalized.dataSync()], [0, 0, 0]);
 * ```
 */
export const cifar10Statistics = {
  mean: [0.4914, 0.4822, 0.4465],
  standardDeviation: [0.247, 0.2435, 0.2616],
} as const;

/** What {@linkcode cifar10} gives. */
export interface Cifar10 {
  readonly train: ImageDataset<3, 10>;
  readonly test: ImageDataset<3, 10>;
}

/** What can be asked of {@linkcode cifar10}. */
export interface Cifar10Options {
  /**
   * A folder that holds the unpacked files, `data_batch_1.bin` to `data_batch_5.bin` and
   * `test_batch.bin`.
   */
  folder?: string;
  /** Called as the download goes on, where it is needed. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Ends the download or the reading early, as Stop does in Jupyter. */
  signal?: AbortSignal;
}

/**
 * CIFAR-10: 50,000 training and 10,000 test images of things and animals, 32 × 32 in colour, in ten
 * classes of equal size.
 *
 * The files come from `folder` where it is given, else from the archive in the cache folder, else
 * from the publisher (170 MB, once). The archive is checked against its SHA-256; of files in a
 * folder, for which no checksums are published, the size and the labels. Nothing takes the place of
 * CIFAR-10 where it cannot be had; whoever wants to go on without it calls `syntheticImages`.
 *
 * ResNets train on it with the augmentation of He et al. (arXiv:1512.03385, section 4.2): 4 pixels
 * of padding on each side, a random 32 × 32 crop, mirrored or not, and the mean taken off before
 * the padding, so that the padding is the average colour:
 * `compose(normalize(cifar10Statistics), randomCrop({ padding: 4 }), randomFlip())`. (The paper
 * takes off a mean for each pixel and does not divide; a mean and a deviation for each channel are
 * usual since.)
 *
 * Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009; the binary version of
 * https://www.cs.toronto.edu/~kriz/cifar.html.
 *
 * @throws {RangeError} If a file has not the size of 10,000 images, or a label is above 9, or the
 * archive cannot be unpacked.
 * @throws {Error} If the archive is neither there nor to be downloaded, or a file is missing.
 *
 * @example
 * ```ts
 * import { cifar10 } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // Files of the right size for the sake of the example: 60,000 black airplanes.
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
  const doing = "Reading CIFAR-10";
  checkOptions<Cifar10Options>(doing, options, '{ folder: "cifar-10-batches-bin" }', {
    folder: true,
    onProgress: true,
    signal: true,
  });
  checkKinds(doing, "string", { folder: options.folder });
  checkKinds(doing, "function", { onProgress: options.onProgress });
  checkSignal(doing, options.signal);
  return await readCifar10(options);
}

/** {@linkcode cifar10} from any address, with any number of images in each file. */
export async function readCifar10({
  folder,
  url = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
  // The publisher names only an MD5, c32a1d4ab5d03f1284b67883e8d87530. This SHA-256 is what two
  // other libraries hold the file of the same address to: MLDatasets.jl
  // (src/datasets/vision/cifar10.jl) and torchvision-ruby (lib/torchvision/datasets/cifar10.rb).
  sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
  maxBytes = 170_052_171, // The size of that file, in TensorFlow Datasets' list of checksums.
  imagesPerFile = 10_000,
  ...options
}:
  & Cifar10Options
  & Partial<Omit<DownloadOptions, "file">>
  & { url?: string; imagesPerFile?: number }): Promise<Cifar10> {
  using stop = linkInterrupt(options.signal);
  const { signal } = stop;
  const fileSize = imagesPerFile * (1 + imageSize);
  const read = folder === undefined
    ? await fromArchive(
      await downloaded(url, { ...options, sha256, maxBytes, signal }),
      // The six files, and two texts and headers of less than a megabyte.
      6 * fileSize + 2 ** 20,
      signal,
    )
    : (name: string) => fromFolder(folder, name, fileSize);
  const part = async (name: string, files: readonly string[]) => {
    const pixels = new Uint8Array(files.length * imagesPerFile * imageSize);
    const labels = new Uint8Array(files.length * imagesPerFile);
    for (const [i, file] of files.entries()) {
      signal?.throwIfAborted();
      const { bytes, source } = await read(file);
      decode(
        bytes,
        source,
        pixels.subarray(i * imagesPerFile * imageSize, (i + 1) * imagesPerFile * imageSize),
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
      classNames,
    });
  };
  return {
    train: await part("CIFAR-10, train", trainFiles),
    test: await part("CIFAR-10, test", testFiles),
  };
}

const planeSize = 32 * 32;
const imageSize = 3 * planeSize;

/**
 * Reads records of a label and the red, green and blue plane of an image, and writes the labels and
 * the pixels, channels last.
 *
 * @throws {RangeError} If there are not as many records as labels, or a label is above 9.
 */
function decode(bytes: Uint8Array, source: string, pixels: Uint8Array, labels: Uint8Array): void {
  const count = labels.length;
  const size = 1 + imageSize;
  if (bytes.length !== count * size) throw wrongSize(source, count * size, bytes.length);
  let to = 0;
  for (let image = 0; image < count; image++) {
    const record = bytes.subarray(image * size, (image + 1) * size);
    const label = record[0]!;
    if (label > 9) {
      throw new RangeError(
        `Reading CIFAR-10 from ${source}: expected labels from 0 to 9, found ${label} at image ${image}. The file is damaged.`,
      );
    }
    labels[image] = label;
    // A plain loop: 184 million bytes in less than half a second, once.
    for (let red = 1; red <= planeSize; red++) {
      pixels[to++] = record[red]!;
      pixels[to++] = record[red + planeSize]!;
      pixels[to++] = record[red + 2 * planeSize]!;
    }
  }
}

function wrongSize(source: string, expected: number, found: number | string): RangeError {
  const size = 1 + imageSize;
  return new RangeError(
    `Reading CIFAR-10 from ${source}: expected ${expected} bytes, ${
      expected / size
    } images of ${size}, found ${found}.${
      typeof found === "string"
        ? ""
        : found < expected
        ? " The file is truncated."
        : " There are bytes after the end."
    }`,
  );
}

/** The bytes of a file, and what to call it in messages. */
interface Content {
  readonly bytes: Uint8Array;
  readonly source: string;
}

async function fromFolder(folder: string, name: string, fileSize: number): Promise<Content> {
  const source = join(folder, name);
  try {
    const { isFile, size } = await Deno.stat(source);
    if (!isFile || size !== fileSize) throw wrongSize(source, fileSize, isFile ? size : "no file");
    return { bytes: await Deno.readFile(source), source };
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    const expected = [...trainFiles, ...testFiles].join(", ");
    throw new Error(
      `Reading CIFAR-10 from the folder ${folder}: expected the files ${expected}, found no ${name}.`,
      { cause: error },
    );
  }
}

async function fromArchive(
  archive: string,
  maxBytes: number,
  signal?: AbortSignal,
): Promise<(name: string) => Content> {
  const entries = await unpacked(archive, maxBytes, signal);
  const files = new Map(entries.map(({ header, data }) => [header.name, data]));
  return (name) => {
    const path = `cifar-10-batches-bin/${name}`;
    const bytes = files.get(path);
    if (bytes === undefined) {
      throw new Error(
        `Reading CIFAR-10 from ${archive}: expected the file ${path}, found ${
          [...files.keys()].join(", ") || "no file that ends in .bin"
        }.`,
      );
    }
    return { bytes, source: `${path} in ${archive}` };
  };
}

async function unpacked(archive: string, maxBytes: number, signal?: AbortSignal) {
  // As a stream, for whole it would take another 600 MB. Not strict: its checksum has been right,
  // and what is missing for another reason is found by its name or size.
  const file = await Deno.open(archive);
  try {
    const content = file.readable.pipeThrough(new DecompressionStream("gzip"), { signal });
    return await unpackTar(content.pipeThrough(atMost(maxBytes)), {
      filter: ({ name }) => name.endsWith(".bin"),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new RangeError(
      `Unpacking ${archive}: expected a whole .tar.gz, found one that is damaged or truncated (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
}

async function downloaded(url: string, options: Omit<DownloadOptions, "file">): Promise<string> {
  return await downloadOrAdvise(
    url,
    { file: `${cacheFolder()}/cifar-10/cifar-10-binary.tar.gz`, ...options },
    "To go on without CIFAR-10, call syntheticImages({ count, seed }): images of the same shape that are drawn, so no accuracy on them is " +
      "one on CIFAR-10.",
  );
}
