import { createHash } from "node:crypto";
import { checkBoolean, checkFunction, checkOptions, checkSignal } from "../tensor/internal.ts";
import { ImageDataset } from "./dataset.ts";
import { cacheFolder, download, type DownloadProgress, limitBytes } from "./download.ts";
import { decodeIdx } from "./idx.ts";

const CLASS_NAMES = [
  "t-shirt/top",
  "trouser",
  "pullover",
  "dress",
  "coat",
  "sandal",
  "shirt",
  "sneaker",
  "bag",
  "ankle boot",
];

/**
 * The four files: size and SHA-256 of the IDX content and of the publisher's .gz file.
 *
 * The publisher names MD5s only. Debian's files have the same compressed bytes after a gzip header
 * without file name and with another time. With the publisher's header (file name, 2017-08-31 10:50
 * UTC) each of the four files has exactly the published MD5, so the SHA-256 of such a file is the
 * SHA-256 of the publisher's file.
 */
const FILES = {
  "train-images-idx3-ubyte": {
    bytes: 47_040_016,
    gzipBytes: 26_421_880,
    content: "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    gzip: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
  },
  "train-labels-idx1-ubyte": {
    bytes: 60_008,
    gzipBytes: 29_515,
    content: "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    gzip: "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
  },
  "t10k-images-idx3-ubyte": {
    bytes: 7_840_016,
    gzipBytes: 4_422_102,
    content: "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    gzip: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
  },
  "t10k-labels-idx1-ubyte": {
    bytes: 10_008,
    gzipBytes: 5_148,
    content: "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    gzip: "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
  },
};
type FileName = keyof typeof FILES;

/** The training and test sets of Fashion-MNIST. */
export interface FashionMnist {
  /** 60,000 images, 6,000 of the subset. */
  readonly train: ImageDataset<1, 10>;
  /** 10,000 images, 1,000 of the subset. */
  readonly test: ImageDataset<1, 10>;
}

/** The options of {@linkcode fashionMnist}. */
export interface FashionMnistOptions {
  /**
   * Whether to read only the 6,000 training and 1,000 test images that ship with the library, 600
   * and 100 of each class.
   *
   * @default false
   */
  subset?: boolean;
  /** Called during the download, if there is one. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Stops the download, as Jupyter's Stop does. */
  signal?: AbortSignal;
}

/**
 * Fashion-MNIST: 60,000 training and 10,000 test images of clothing, 28 × 28 grey, in ten classes
 * of equal size.
 *
 * The full set comes from Debian's package `dataset-fashion-mnist` if it is installed, else from
 * the cache folder, else from its publisher (30 MB, once).
 *
 * Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
 * Algorithms", arXiv:1708.07747.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If a file is damaged.
 * @throws {Error} If the full set cannot be downloaded.
 *
 * @example
 * ```ts
 * import { fashionMnist } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * assert.equal(train.count, 6000);
 * assert.equal(test.count, 1000);
 * assert.equal(test.classNames[9], "ankle boot");
 * ```
 */
export async function fashionMnist(options: FashionMnistOptions = {}): Promise<FashionMnist> {
  const action = "Reading Fashion-MNIST";
  checkOptions<FashionMnistOptions>(action, options, "{ subset: true }", {
    subset: true,
    onProgress: true,
    signal: true,
  });
  const { subset = false, onProgress, signal } = options;
  checkBoolean(action, "subset", subset);
  if (onProgress !== undefined) checkFunction(action, "onProgress", onProgress);
  checkSignal(action, signal);
  const read = subset
    ? (name: FileName) => readGzip(new URL(`${name}.gz`, SUBSET_FOLDER), FILES[name].bytes)
    : (name: FileName) => fashionMnistFile(name, { onProgress, signal });
  const readHalf = async (name: string, prefix: "train" | "t10k") => {
    const images = decodeIdx(await read(`${prefix}-images-idx3-ubyte`), `${name} images`);
    const labels = decodeIdx(await read(`${prefix}-labels-idx1-ubyte`), `${name} labels`);
    return new ImageDataset({
      name,
      pixels: images.values,
      labels: labels.values,
      height: 28,
      width: 28,
      channels: 1,
      classes: 10,
      classNames: CLASS_NAMES,
    });
  };
  const name = subset ? "Fashion-MNIST subset" : "Fashion-MNIST";
  return {
    train: await readHalf(`${name}, train`, "train"),
    test: await readHalf(`${name}, test`, "t10k"),
  };
}

const SUBSET_FOLDER = new URL("../../data/fashion_mnist_subset/", import.meta.url);

/**
 * Returns the IDX content of one file of the full set, from the first place that has it, checked
 * against its SHA-256.
 */
export async function fashionMnistFile(name: FileName, {
  systemFolder = "/usr/share/datasets/fashion-mnist",
  publisher = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
  ...options
}: Omit<FashionMnistOptions, "subset"> & { systemFolder?: string; publisher?: string } =
  {}
): Promise<
  Uint8Array<ArrayBuffer>
> {
  const { content, gzip, bytes, gzipBytes } = FILES[name];
  const installed = `${systemFolder}/${name}.gz`;
  const file = await Deno.stat(installed).then(
    () => installed,
    () =>
      download(`${publisher}/${name}.gz`, {
        file: `${cacheFolder()}/fashion-mnist/${name}.gz`,
        sha256: gzip,
        maxBytes: gzipBytes,
        ...options,
      }),
  );
  const unpacked = await readGzip(file, bytes);
  const digest = createHash("sha256").update(unpacked).digest("hex");
  if (digest !== content) {
    throw new RangeError(
      `Reading Fashion-MNIST from ${file}: the SHA-256 of the content must be ${content}, found ${digest}. ` +
        "Install the file again.",
    );
  }
  return unpacked;
}

/** Reads a gzip file whose content has at most `maxBytes`. */
async function readGzip(file: string | URL, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return await gunzip(await Deno.readFile(file), String(file), maxBytes);
}

/**
 * Returns the content of gzip data.
 *
 * @param source The name of the file, for the error message.
 * @param maxBytes Maximum size of the content in bytes: a kilobyte of gzip can hold a megabyte of
 * zeros.
 * @throws {RangeError} If the bytes are not gzip, are damaged or truncated (gzip ends with a
 * checksum and the length), or are too many.
 */
export async function gunzip(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(limitBytes(maxBytes));
  try {
    return await new Response(stream).bytes();
  } catch (error) {
    throw new RangeError(
      `Decompressing ${source}: the file must be whole gzip data, found ${bytes.length} bytes that are damaged or truncated (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
}
