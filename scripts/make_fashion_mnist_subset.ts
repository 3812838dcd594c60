/**
 * Writes data/fashion_mnist_subset from the full set: a tenth of each class of the training images
 * and of the test images.
 *
 *     deno run -A scripts/make_fashion_mnist_subset.ts
 */
import { gzipSync } from "node:zlib";
import { encodeIdx } from "../lib/data/internal.ts";
import { fashionMnist } from "../lib/data/mod.ts";

const folder = new URL("../data/fashion_mnist_subset/", import.meta.url);
const { train, test } = await fashionMnist();
for (const [prefix, set] of [["train", train], ["t10k", test]] as const) {
  const [{ count, height, width, pixels, labels }] = set.split(0.1, { seed: 2017 });
  const images = encodeIdx({ shape: [count, height, width], values: Uint8Array.from(pixels) });
  const classes = encodeIdx({ shape: [count], values: Uint8Array.from(labels) });
  await Deno.writeFile(
    new URL(`${prefix}-images-idx3-ubyte.gz`, folder),
    gzipSync(images, { level: 9 }),
  );
  await Deno.writeFile(
    new URL(`${prefix}-labels-idx1-ubyte.gz`, folder),
    gzipSync(classes, { level: 9 }),
  );
}
