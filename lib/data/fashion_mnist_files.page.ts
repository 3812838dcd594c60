/** The files of Fashion-MNIST in a web page or in Node, which have the subset beside the bundle. */
import { fetchBytes } from "./fetch_bytes.ts";
import type { FileName } from "./fashion_mnist_files.ts";
import { gunzip } from "./gunzip.ts";

/** Returns the IDX content of one file of the subset. */
export async function subsetFile(name: FileName): Promise<Uint8Array<ArrayBuffer>> {
  const url = new URL(`data/fashion_mnist_subset/${name}.gz`, import.meta.url);
  return await gunzip(await fetchBytes(url), url.href, 47_040_016);
}

/** Refuses to load a file of the full set, whose publisher serves no web pages. */
export function fashionMnistFile(_name: FileName): Promise<never> {
  return Promise.reject(
    new RangeError(
      "Reading Fashion-MNIST: subset must be true in a web page and in Node, found false. Pass { subset: true }.",
    ),
  );
}
