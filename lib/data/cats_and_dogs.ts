import { createWriteStream } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
// @ts-types="@types/yauzl"
import { type Entry, openPromise } from "yauzl";
import { checkOptions, checkString, linkInterrupt } from "../tensor/internal.ts";
import { cacheFolder, download, type DownloadOptions, type DownloadProgress } from "./download.ts";
import {
  checkFolderOptions,
  type ImageFolder,
  imageFolder,
  type ImageFolderOptions,
  type ImageFolderProgress,
} from "./image_folder.ts";

/** The options of {@linkcode catsAndDogs}. */
export interface CatsAndDogsOptions
  extends Pick<ImageFolderOptions, "size" | "shorterSide" | "imagesPerClass" | "signal"> {
  /** A folder with the unpacked folders `Cat` and `Dog`. */
  folder?: string;
  /** Called during the download, if there is one, and then after each image. */
  onProgress?: (progress: DownloadProgress | ImageFolderProgress) => void;
}

/**
 * Cats against dogs: 25,000 photographs, half of them of cats and half of dogs, at one size.
 *
 * The files come from `folder` if it is given, else from the cache folder, else from the publisher
 * (825 MB, once; the archive is checked against its SHA-256, unpacked and removed). A few files
 * cannot be read (Cat/666.jpg and Dog/11702.jpg are empty); they are listed in `skipped`.
 * {@linkcode imageFolder} resizes the others. All of them at 224 × 224 take 3.8 GB;
 * `imagesPerClass` reads fewer, the first by name. There is no separate test set; make one with
 * `split`.
 *
 * To continue without the photographs, use
 * `syntheticImages({ count, seed, size, classes: 2 })`.
 *
 * Elson, Douceur, Howell and Saul, "Asirra: A CAPTCHA that Exploits Interest-Aligned Manual Image
 * Categorization", CCS 2007; https://www.microsoft.com/en-us/download/details.aspx?id=54765.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If an option is out of range, as in {@linkcode imageFolder}, or the archive
 * cannot be unpacked.
 * @throws {Error} If the archive cannot be downloaded, or a file to be read is missing: 0.jpg to
 * 12499.jpg in each class.
 *
 * @example
 * ```ts
 * import { catsAndDogs } from "resnet-lab";
 * import { encode } from "fast-png";
 * import assert from "node:assert/strict";
 *
 * // A folder like the real one for this example: two grey cats, two grey dogs.
 * const folder = await Deno.makeTempDir();
 * for (const name of ["Cat", "Dog"]) {
 *   await Deno.mkdir(`${folder}/${name}`);
 *   const image = { width: 8, height: 6, channels: 1, data: new Uint8Array(48).fill(128) };
 *   for (const n of [0, 1]) await Deno.writeFile(`${folder}/${name}/${n}.jpg`, encode(image));
 * }
 * const { dataset, skipped } = await catsAndDogs({ size: [4, 4], folder, imagesPerClass: 2 });
 * const [train, test] = dataset.split(0.5, { seed: 1 });
 * assert.deepEqual([train.count, test.count], [2, 2]);
 * assert.deepEqual(train.classNames, ["Cat", "Dog"]);
 * assert.deepEqual(dataset.images().shape, [4, 4, 4, 3]);
 * assert.equal(skipped.length, 0);
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export async function catsAndDogs(options: CatsAndDogsOptions): Promise<ImageFolder<2>> {
  const action = "Reading cats and dogs";
  checkOptions<CatsAndDogsOptions>(action, options, "{ size: [224, 224] }", {
    size: true,
    shorterSide: true,
    imagesPerClass: true,
    folder: true,
    onProgress: true,
    signal: true,
  });
  if (options.folder !== undefined) checkString(action, "folder", options.folder);
  return await readCatsAndDogs(options);
}

/** Reads {@linkcode catsAndDogs} from any address. */
export async function readCatsAndDogs({
  folder,
  url =
    "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
  // The publisher names no checksum. Two other libraries check the file of the same address against
  // this SHA-256: TensorFlow Datasets (tensorflow_datasets/url_checksums/cats_vs_dogs.txt of its
  // release 4.9.9, with the size 824,887,076) and the Go package dogcat, an example of GoMLX (its
  // constant DownloadChecksum).
  sha256 = "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
  maxBytes = 824_887_076,
  photographs = 12_500,
  retries,
  ...options
}:
  & CatsAndDogsOptions
  & Partial<Pick<DownloadOptions, "sha256" | "retries" | "maxBytes">>
  & { url?: string; photographs?: number }): Promise<ImageFolder<2>> {
  const folderOptions = { ...options, name: "cats and dogs", classes: ["Cat", "Dog"] } as const;
  checkFolderOptions(folder ?? join(cacheFolder(), "cats-and-dogs"), folderOptions);
  using interrupt = linkInterrupt(options.signal);
  const { signal } = interrupt;
  const { onProgress } = options;
  const imagesFolder = folder ??
    await cachedPhotographs(url, { sha256, retries, maxBytes, onProgress, signal });
  await checkComplete(imagesFolder, options.imagesPerClass, photographs, folder === undefined);
  return await imageFolder(imagesFolder, { ...folderOptions, signal });
}

/**
 * Checks that the files 0.jpg, 1.jpg, … exist in `Cat` and in `Dog`.
 *
 * @throws {Error} If a file to be read is missing.
 */
async function checkComplete(
  folder: string,
  imagesPerClass: number | undefined,
  photographs: number,
  cached: boolean,
): Promise<void> {
  const missing: string[] = [];
  for (const name of ["Cat", "Dog"]) {
    const files = Array.from({ length: photographs }, (_, n) => `${n}.jpg`).sort();
    const present = new Set<string>();
    try {
      for await (const entry of Deno.readDir(join(folder, name))) present.add(entry.name);
    } catch {
      return; // imageFolder() reports it.
    }
    for (const file of files.slice(0, imagesPerClass)) {
      if (!present.has(file)) missing.push(`${name}/${file}`);
    }
  }
  if (missing.length > 0) {
    throw new Error(
      `Reading cats and dogs from ${folder}: the folder must have the files 0.jpg to ${
        photographs - 1
      }.jpg of Cat and of Dog, found ${missing.length} of them missing, such as ${missing[0]}. ` +
        (cached
          ? "Remove the folder and call again."
          : 'Read your own pictures with imageFolder(folder, { size, classes: ["Cat", "Dog"] }).'),
    );
  }
}

/**
 * Returns the folder of the unpacked photographs in the cache. It gets its name only when it is
 * complete.
 */
async function cachedPhotographs(
  url: string,
  options: Omit<DownloadOptions, "file">,
): Promise<string> {
  const { signal } = options;
  const folder = join(cacheFolder(), "cats-and-dogs", "PetImages");
  const archive = join(dirname(folder), "kagglecatsanddogs_5340.zip");
  if (await exists(folder)) {
    // A call that was killed, or was slower than another, leaves files.
    for (const end of ["", ".part", ".new.part"]) await Deno.remove(archive + end).catch(() => {});
    return folder;
  }
  await download(url, {
    file: archive,
    advice:
      "To continue without cats and dogs, call syntheticImages({ count, seed, size, classes: 2 }): drawn images of two classes, whose " +
      "accuracy says nothing about photographs.",
    ...options,
  });
  // One call at a time unpacks. The lock is on the folder, since a slower download may replace the
  // archive. A lock ends with its process, so a killed one leaves a half unpacked folder.
  using handle = await Deno.open(dirname(folder));
  while (!await handle.tryLock(true)) {
    await delay(100, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
  // Another call finished first.
  if (await exists(folder)) return await cachedPhotographs(url, options);
  for await (const { name } of Deno.readDir(dirname(folder))) {
    if (name.startsWith("unpacking_")) {
      await Deno.remove(join(dirname(folder), name), { recursive: true });
    }
  }
  const unfinished = await Deno.makeTempDir({ dir: dirname(folder), prefix: "unpacking_" });
  try {
    await unpack(archive, unfinished, signal);
    await Deno.rename(unfinished, folder);
  } catch (error) {
    await Deno.remove(unfinished, { recursive: true });
    throw error;
  }
  await Deno.remove(archive).catch(() => {});
  return folder;
}

/** Maximum size of all photographs together, in bytes; the publisher's have about 0.85 billion. */
const MAX_BYTES = 2 ** 31;

/** Unpacks the photographs of an archive into a folder. */
async function unpack(archive: string, folder: string, signal?: AbortSignal): Promise<void> {
  for (const name of ["Cat", "Dog"]) await Deno.mkdir(join(folder, name));
  try {
    const zip = await openPromise(archive, { autoClose: false });
    try {
      // All sizes are checked before anything is unpacked. The reader limits each file to the size
      // in the directory.
      const entries = new Map<string, Entry>();
      let bytes = 0;
      for await (const entry of zip.eachEntry()) {
        signal?.throwIfAborted();
        const path = entry.fileName.match(/^PetImages\/((?:Cat|Dog)\/\d{1,5}\.jpg)$/)?.[1];
        if (path === undefined) continue;
        bytes += entry.uncompressedSize;
        entries.set(path, entry);
      }
      if (bytes > MAX_BYTES) {
        throw new Error(`${bytes} bytes of photographs, above the limit of ${MAX_BYTES}`);
      }
      for (const [path, entry] of entries) {
        const content = await zip.openReadStreamPromise(entry);
        await pipeline(content, createWriteStream(join(folder, path)), { signal });
      }
    } finally {
      zip.close();
    }
  } catch (error) {
    signal?.throwIfAborted();
    throw new RangeError(
      `Unpacking ${archive} to ${folder}: the file must be a whole .zip, and the disk must have space for its files, found the error: ${
        error instanceof Error ? error.message : error
      }.`,
      { cause: error },
    );
  }
}

/** Whether there is a folder of this path. */
async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
