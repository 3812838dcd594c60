import { checkBoolean, checkFunction, checkOptions, checkSignal } from "../tensor/internal.ts";
import { ImageDataset } from "./dataset.ts";
import type { DownloadProgress } from "./download.ts";
import { fashionMnistFile, type FileName, subsetFile } from "./fashion_mnist_files.ts";
import { decodeIdx } from "./idx.ts";

/** The names of the classes by class number. */
export const CLASS_NAMES: readonly string[] = [
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
  const read = (name: FileName) =>
    (subset ? subsetFile : fashionMnistFile)(name, { onProgress, signal });
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
