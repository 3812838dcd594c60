import { createHash } from "node:crypto";
import { checkOptions } from "../tensor/mod.ts";
import { checkKinds, checkSignal } from "./checks.ts";
import { ImageDataset } from "./dataset.ts";
import { cacheFolder, download, type DownloadProgress } from "./download.ts";
import { gunzip } from "./gzip.ts";
import { decodeIdx } from "./idx.ts";

const classNames = [
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
 * The four files: the size and the SHA-256 of the IDX content, and those of the .gz as its
 * publisher serves it.
 *
 * The publisher names MD5s only. Debian's files hold the same compressed bytes under a gzip header
 * without file name and with another time; with the publisher's header put back (name, 2017-08-31
 * 10:50 UTC) each of the four has exactly the published MD5, so these SHA-256s, taken from the
 * files so restored, are those of the publisher's files.
 */
const files = {
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
type FileName = keyof typeof files;

/** What {@linkcode fashionMnist} gives. */
export interface FashionMnist {
  readonly train: ImageDataset<1, 10>;
  readonly test: ImageDataset<1, 10>;
}

/** What can be asked of {@linkcode fashionMnist}. */
export interface FashionMnistOptions {
  /**
   * Only the 6,000 training and 1,000 test images that ship with the library, 600 and 100 of each
   * class.
   */
  subset?: boolean;
  /** Called as a download goes on, where one is needed. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Ends a download early, as Stop does in Jupyter. */
  signal?: AbortSignal;
}

/**
 * Fashion-MNIST: 60,000 training and 10,000 test images of clothing, 28 × 28 grey, in ten classes
 * of equal size.
 *
 * The full set comes from Debian's package `dataset-fashion-mnist` where it is installed, else from
 * the cache folder, else from its publisher (30 MB, once).
 *
 * Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
 * Algorithms", arXiv:1708.07747.
 *
 * @throws {Error} If the full set is neither there nor to be downloaded, or a file is damaged.
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
  const doing = "Reading Fashion-MNIST";
  checkOptions<FashionMnistOptions>(doing, options, "{ subset: true }", {
    subset: true,
    onProgress: true,
    signal: true,
  });
  const { subset = false, onProgress, signal } = options;
  checkKinds(doing, "boolean", { subset });
  checkKinds(doing, "function", { onProgress });
  checkSignal(doing, signal);
  const read = subset
    ? (name: FileName) => unzipped(new URL(`${name}.gz`, subsetFolder), files[name].bytes)
    : (name: FileName) => fashionMnistFile(name, { onProgress, signal });
  const half = async (name: string, prefix: "train" | "t10k") => {
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
      classNames,
    });
  };
  const name = subset ? "Fashion-MNIST subset" : "Fashion-MNIST";
  return {
    train: await half(`${name}, train`, "train"),
    test: await half(`${name}, test`, "t10k"),
  };
}

const subsetFolder = new URL("../../data/fashion_mnist_subset/", import.meta.url);

/**
 * The IDX content of one file of the full set, from the first place that has it, checked against
 * its SHA-256.
 */
export async function fashionMnistFile(name: FileName, {
  systemFolder = "/usr/share/datasets/fashion-mnist",
  publisher = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
  ...options
}: Omit<FashionMnistOptions, "subset"> & { systemFolder?: string; publisher?: string } = {}) {
  const { content, gzip, bytes, gzipBytes } = files[name];
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
  const unpacked = await unzipped(file, bytes);
  const found = createHash("sha256").update(unpacked).digest("hex");
  if (found !== content) {
    throw new RangeError(
      `Reading Fashion-MNIST from ${file}: expected content with the SHA-256 ${content}, found ${found}. ` +
        "Install the file again.",
    );
  }
  return unpacked;
}

async function unzipped(file: string | URL, bytes: number): Promise<Uint8Array<ArrayBuffer>> {
  return await gunzip(await Deno.readFile(file), String(file), bytes);
}
