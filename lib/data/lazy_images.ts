import { join } from "node:path";
import { type Images, type Labels, ops } from "../tensor/mod.ts";
import { checkInteger } from "../tensor/internal.ts";
import { checkIndices } from "./checks.ts";
import { fractionsOf, type Indices, noteShorterSide } from "./dataset.ts";
import type { ReadImageOptions } from "./decode.ts";
import { decodeFiles, UnreadableFile } from "./decode_pool.ts";
import type { Dataset, Examples } from "./examples.ts";
import type { FileVersion } from "./readable_files.ts";
import { folds, halves } from "./splits.ts";

/** An image file of a lazy data set. */
export interface LazyFile extends FileVersion {
  /** Its path in the folder. */
  readonly file: string;
  /** Its class number. */
  readonly label: number;
}

/** The content of a {@linkcode LazyImageDataset}. */
export interface LazyImages<Channels extends number> {
  readonly name: string;
  /** The folder of the files. */
  readonly folder: string;
  readonly files: readonly LazyFile[];
  /** How the files are decoded. */
  readonly form: ReadImageOptions & { readonly channels: Channels & (1 | 3) };
  readonly classNames: readonly string[];
}

/**
 * Images in files, which {@linkcode imageFolder} returns with `lazy: true`. Only the images of the
 * next batches are in memory: workers read and decode them while the model trains.
 *
 * A checkpoint of a training compares the names, the sizes and the times of change of the files.
 *
 * @throws {Error} (when a batch is read) If a file is gone, has changed, or cannot be read; the
 * message has its path.
 */
export class LazyImageDataset<Channels extends number = number, Classes extends number = number>
  implements Dataset<Images<Channels>, Labels<Classes>> {
  /** The name of the data set in messages and titles. */
  readonly name: string;
  /** The class number of each image. */
  readonly labels: Int32Array;
  /** Height of the images in pixels. */
  readonly height: number;
  /** Width of the images in pixels. */
  readonly width: number;
  /** Number of channels. */
  readonly channels: Channels;
  /** Number of classes. */
  readonly classes: Classes;
  /** The names of the classes by class number. */
  readonly classNames: readonly string[];
  readonly #init: LazyImages<Channels>;

  /** @internal */
  constructor(init: LazyImages<Channels>) {
    const { name, files, form, classNames } = init;
    this.name = name;
    this.labels = Int32Array.from(files, ({ label }) => label);
    [this.height, this.width] = form.size;
    this.channels = form.channels;
    this.classes = classNames.length as Classes;
    this.classNames = classNames;
    this.#init = init;
    noteShorterSide(this, form.shorterSide);
  }

  /** Number of images. */
  get count(): number {
    return this.labels.length;
  }

  /**
   * Reads the images at `indices`, in that order, with pixels from 0 to 1.
   *
   * @returns Images `[batch, height, width, channels]` and class numbers `[batch]`; the caller
   * disposes them.
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   * @throws {Error} If a file is gone, has changed, or cannot be read.
   */
  async batch(indices: Indices): Promise<Examples<Images<Channels>, Labels<Classes>>> {
    checkIndices(this, indices);
    const { folder, files, form } = this.#init;
    const some = Array.from(indices, (index) => {
      const { file, size, time } = files[index]!;
      return { path: join(folder, file), size, time };
    });
    const labels = Int32Array.from(indices, (index) => this.labels[index]!);
    let pixels: Uint8Array;
    try {
      pixels = await decodeFiles(form, some);
    } catch (cause) {
      if (!(cause instanceof UnreadableFile)) throw cause;
      throw new Error(
        `Reading "${this.name}": each image must be as it was when the folder was read, found ${cause.path}: ${cause.reason}. ` +
          "Restore the file, or call imageFolder() again.",
        { cause },
      );
    }
    const shape = [indices.length, this.height, this.width, this.channels] as const;
    return {
      inputs: ops.tensor(fractionsOf(pixels), shape),
      targets: ops.tensor(labels, undefined, "int32"),
    };
  }

  /** Returns a text that differs if a name, a size or a time of change of a file differs. */
  async fingerprint(): Promise<string> {
    const { files, form } = this.#init;
    const text = JSON.stringify([
      form.size,
      form.shorterSide ?? null,
      files.map(({ file, label, size, time }) => [file, label, size, time]),
    ]);
    const bytes = new TextEncoder().encode(text);
    return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
  }

  /**
   * Returns a data set of the images at `indices`, in that order.
   *
   * @throws {RangeError} If `indices` is empty or an index is out of range.
   */
  subset(indices: Indices): LazyImageDataset<Channels, Classes> {
    checkIndices(this, indices);
    const files = Array.from(indices, (index) => this.#init.files[index]!);
    return new LazyImageDataset({ ...this.#init, files });
  }

  /**
   * Returns a data set of the first `count` images.
   *
   * @throws {RangeError} If `count` is not a whole number from 1 to the number of images.
   */
  take(count: number): LazyImageDataset<Channels, Classes> {
    checkInteger(`Taking the first images of "${this.name}"`, "count", count, 1, this.count);
    return new LazyImageDataset({ ...this.#init, files: this.#init.files.slice(0, count) });
  }

  /** Splits the data set into two, as {@linkcode ImageDataset.split} does. */
  split(
    fraction: number,
    options: { seed: number },
  ): [LazyImageDataset<Channels, Classes>, LazyImageDataset<Channels, Classes>] {
    return halves(this, fraction, options);
  }

  /** Divides the data set into folds, as {@linkcode ImageDataset.kFold} does. */
  kFold(
    count: number,
    options: { seed: number },
  ): [
    training: LazyImageDataset<Channels, Classes>,
    validation: LazyImageDataset<Channels, Classes>,
  ][] {
    return folds(this, count, options);
  }
}
