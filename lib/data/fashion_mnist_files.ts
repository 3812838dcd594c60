/** The files of Fashion-MNIST, and where they come from. */
import { createHash } from "node:crypto";
import { cacheFolder, download, type DownloadOptions } from "./download.ts";
import { gunzip } from "./gunzip.ts";

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
/** The name of one of the four files. */
export type FileName = keyof typeof FILES;

/** The SHA-256 of the subset's files, which ship with the library. */
const SUBSET: Readonly<Record<FileName, string>> = {
  "train-images-idx3-ubyte": "a64bba33fb3a967fa177364c477f789c583de36ecce7c6f52f7e1f54adb35bf3",
  "train-labels-idx1-ubyte": "8a092c548ae2952113856111ed74b222da5306ee87b78ff23003b9874f0c5de0",
  "t10k-images-idx3-ubyte": "10e6449893ad7096059c9cdd4447a6f84921d48c26c129c0a64713e520ed88be",
  "t10k-labels-idx1-ubyte": "e12fac5729307895041d51daf5b50d5128b7896d722f069b7e89e4dbf76be62f",
};

/**
 * Returns the IDX content of one file of the subset: from the folder of the library, or if the
 * library is imported from a server, from there, once.
 */
export async function subsetFile(
  name: FileName,
  options: Pick<DownloadOptions, "onProgress" | "signal">,
): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`../../data/fashion_mnist_subset/${name}.gz`, import.meta.url);
  const file = url.protocol === "file:" ? url : await download(url, {
    file: `${cacheFolder()}/fashion-mnist-subset/${name}.gz`,
    sha256: SUBSET[name],
    maxBytes: FILES[name].gzipBytes,
    ...options,
  });
  return await readGzip(file, FILES[name].bytes);
}

/**
 * Returns the IDX content of one file of the full set, from the first place that has it, checked
 * against its SHA-256.
 */
export async function fashionMnistFile(name: FileName, {
  systemFolder = "/usr/share/datasets/fashion-mnist",
  publisher = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
  ...options
}: Pick<DownloadOptions, "onProgress" | "signal"> & { systemFolder?: string; publisher?: string } =
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
