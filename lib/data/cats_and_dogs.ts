import { createWriteStream } from "node:fs";
import { dirname, join } from "node:path";
import { pipeline } from "node:stream/promises";
import { setTimeout as delay } from "node:timers/promises";
// @ts-types="@types/yauzl"
import { type Entry, openPromise } from "yauzl";
import { checkOptions } from "../tensor/mod.ts";
import { linkInterrupt } from "../tensor/internal.ts";
import { checkKinds } from "./checks.ts";
import {
  cacheFolder,
  type DownloadOptions,
  downloadOrAdvise,
  type DownloadProgress,
} from "./download.ts";
import {
  checkFolderOptions,
  type ImageFolder,
  imageFolder,
  type ImageFolderOptions,
  type ImageFolderProgress,
} from "./image_folder.ts";

/** What can be asked of {@linkcode catsAndDogs}. */
export interface CatsAndDogsOptions
  extends Pick<ImageFolderOptions, "size" | "shorterSide" | "imagesPerClass" | "signal"> {
  /** A folder that holds the unpacked folders `Cat` and `Dog`. */
  folder?: string;
  /** Called as the download goes on, where it is needed, and then after each image. */
  onProgress?: (progress: DownloadProgress | ImageFolderProgress) => void;
}

/**
 * Cats against dogs: 25,000 photographs, half of them of cats and half of dogs, at the size asked
 * for.
 *
 * The files come from `folder` where it is given, else from the cache folder, else from the
 * publisher (825 MB, once; the archive is checked against its SHA-256, unpacked and removed). A few
 * of them cannot be read (Cat/666.jpg and Dog/11702.jpg are empty) and are listed in `skipped`; see
 * {@linkcode imageFolder} for how the others are brought to one size. All at 224 × 224 take 3.8 GB;
 * `imagesPerClass` takes fewer, the first by name. There is no set to test on: split some off with
 * `split`.
 *
 * Nothing takes the place of the photographs where they cannot be had; whoever wants to go on
 * without them calls `syntheticImages({ count, seed, size, classes: 2 })`.
 *
 * Elson, Douceur, Howell and Saul, "Asirra: A CAPTCHA that Exploits Interest-Aligned Manual Image
 * Categorization", CCS 2007; https://www.microsoft.com/en-us/download/details.aspx?id=54765.
 *
 * @throws {TypeError | RangeError} If an option is wrong as {@linkcode imageFolder} says, or the
 * archive cannot be unpacked.
 * @throws {Error} If the archive is not to be downloaded, or one of the files to be read is
 * missing: 0.jpg to 12499.jpg of each class.
 *
 * @example
 * ```ts
 * import { catsAndDogs } from "resnet-lab";
 * import { encode } from "fast-png";
 * import assert from "node:assert/strict";
 *
 * // A folder like the real one for the sake of the example: two grey cats, two grey dogs.
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
  const doing = "Reading cats and dogs";
  checkOptions<CatsAndDogsOptions>(doing, options, "{ size: [224, 224] }", {
    size: true,
    shorterSide: true,
    imagesPerClass: true,
    folder: true,
    onProgress: true,
    signal: true,
  });
  checkKinds(doing, "string", { folder: options.folder });
  return await readCatsAndDogs(options);
}

/** {@linkcode catsAndDogs} from any address. */
export async function readCatsAndDogs({
  folder,
  url =
    "https://download.microsoft.com/download/3/E/1/3E1C3F21-ECDB-4869-8368-6DEBA77B919F/kagglecatsanddogs_5340.zip",
  // The publisher names none. This is what two other libraries hold the file of the same address
  // to: TensorFlow Datasets (tensorflow_datasets/url_checksums/cats_vs_dogs.txt of its release
  // 4.9.9, with the size 824,887,076) and the Go package dogcat, an example of GoMLX (its constant
  // DownloadChecksum).
  sha256 = "b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9",
  maxBytes = 824_887_076,
  photographs = 12_500,
  retries,
  ...options
}:
  & CatsAndDogsOptions
  & Partial<Pick<DownloadOptions, "sha256" | "retries" | "maxBytes">>
  & { url?: string; photographs?: number }): Promise<ImageFolder<2>> {
  const all = { ...options, name: "cats and dogs", classes: ["Cat", "Dog"] } as const;
  checkFolderOptions(folder ?? join(cacheFolder(), "cats-and-dogs"), all);
  using stop = linkInterrupt(options.signal);
  const { signal } = stop;
  const { onProgress } = options;
  const place = folder ??
    await unpacked(url, { sha256, retries, maxBytes, onProgress, signal });
  await checkComplete(place, options.imagesPerClass, photographs, folder === undefined);
  return await imageFolder(place, { ...all, signal });
}

/**
 * Checks that the files are there, by their names: 0.jpg, 1.jpg, … in `Cat` and in `Dog`.
 *
 * @throws {Error} If one of those that are to be read is missing.
 */
async function checkComplete(
  folder: string,
  imagesPerClass: number | undefined,
  photographs: number,
  cached: boolean,
): Promise<void> {
  const missing: string[] = [];
  for (const name of ["Cat", "Dog"]) {
    const wanted = Array.from({ length: photographs }, (_, n) => `${n}.jpg`).sort();
    const found = new Set<string>();
    try {
      for await (const entry of Deno.readDir(join(folder, name))) found.add(entry.name);
    } catch {
      return; // imageFolder() says what is wrong with it.
    }
    for (const file of wanted.slice(0, imagesPerClass)) {
      if (!found.has(file)) missing.push(`${name}/${file}`);
    }
  }
  if (missing.length > 0) {
    throw new Error(
      `Reading cats and dogs from ${folder}: expected the files 0.jpg to ${
        photographs - 1
      }.jpg of Cat and of Dog, found ${missing.length} of them missing, such as ${missing[0]}. ` +
        (cached
          ? "Remove the folder and call again."
          : 'Pictures of your own can be read by imageFolder(folder, { size, classes: ["Cat", "Dog"] }).'),
    );
  }
}

/**
 * The folder of the unpacked photographs in the cache, which appears there only when it is
 * complete.
 */
async function unpacked(url: string, options: Omit<DownloadOptions, "file">): Promise<string> {
  const { signal } = options;
  const folder = join(cacheFolder(), "cats-and-dogs", "PetImages");
  const archive = join(dirname(folder), "kagglecatsanddogs_5340.zip");
  if (await exists(folder)) {
    // Left over from a call that was killed, or from one that was slower than another.
    for (const end of ["", ".part", ".new.part"]) await Deno.remove(archive + end).catch(() => {});
    return folder;
  }
  await downloadOrAdvise(
    url,
    { file: archive, ...options },
    "To go on without cats and dogs, call syntheticImages({ count, seed, size, classes: 2 }): images of two classes that are drawn, so no " +
      "accuracy on them is one on photographs.",
  );
  // One call at a time unpacks. The folder is locked, not the archive, which a slower download may
  // replace. A lock ends with its process, so a half unpacked folder is left over from a killed
  // one.
  using handle = await Deno.open(dirname(folder));
  while (!await handle.tryLock(true)) {
    await delay(100, undefined, { signal }).catch(() => signal?.throwIfAborted());
  }
  if (await exists(folder)) return await unpacked(url, options); // Another call was quicker.
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

/**
 * The most bytes that all photographs may have together; those of the publisher have about 0.85
 * billion.
 */
const MAX_BYTES = 2 ** 31;

async function unpack(archive: string, folder: string, signal?: AbortSignal): Promise<void> {
  for (const name of ["Cat", "Dog"]) await Deno.mkdir(join(folder, name));
  try {
    const zip = await openPromise(archive, { autoClose: false });
    try {
      // All sizes are known before anything is unpacked. The reader holds each file to the size
      // that the directory says.
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
        throw new Error(`${bytes} bytes of photographs, more than ${MAX_BYTES}`);
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
      `Unpacking ${archive} to ${folder}: expected a whole .zip and room for its files, found: ${
        error instanceof Error ? error.message : error
      }.`,
      { cause: error },
    );
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
