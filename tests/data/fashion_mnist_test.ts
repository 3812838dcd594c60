import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { fashionMnist } from "resnet-lab";
import { fashionMnistFile } from "../../lib/data/fashion_mnist_files.ts";
import { gunzip } from "../../lib/data/gunzip.ts";

const labelsFile = "t10k-labels-idx1-ubyte";
/**
 * The publisher's file of test labels, byte for byte: its MD5 is bb300cfdad3c16e7a12a480ee83cd310,
 * as published.
 */
const published = await Deno.readFile(
  new URL("../fixtures/data/t10k-labels-idx1-ubyte.gz", import.meta.url),
);
const sha256 = (bytes: Uint8Array | Float32Array) =>
  createHash("sha256").update(bytes).digest("hex");
const perClass = (labels: Int32Array) =>
  labels.reduce((counts, label) => counts.with(label, counts[label]! + 1), Array(10).fill(0));

/** Runs `test` with an empty cache folder. */
async function withCache(test: (folder: string) => Promise<void>): Promise<void> {
  const before = Deno.env.get("RESNET_LAB_CACHE");
  const folder = await Deno.makeTempDir();
  Deno.env.set("RESNET_LAB_CACHE", folder);
  try {
    await test(folder);
  } finally {
    if (before === undefined) Deno.env.delete("RESNET_LAB_CACHE");
    else Deno.env.set("RESNET_LAB_CACHE", before);
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("fashionMnist() with subset has 600 training and 100 test images of each class", async () => {
  const { train, test } = await fashionMnist({ subset: true });
  assert.deepEqual(
    [train.count, train.height, train.width, train.channels, train.classes],
    [6000, 28, 28, 1, 10],
  );
  assert.equal(test.count, 1000);
  assert.deepEqual(perClass(train.labels), Array(10).fill(600));
  assert.deepEqual(perClass(test.labels), Array(10).fill(100));
  assert.equal(train.classNames[0], "t-shirt/top");
  assert.equal(train.classNames[9], "ankle boot");
});

const installed = await Deno.stat("/usr/share/datasets/fashion-mnist").then(
  () => true,
  () => false,
);
Deno.test({
  name: "fashionMnist() has 6,000 and 1,000 of each class, and the subset is a seeded tenth of it",
  ignore: !installed,
  async fn() {
    const full = await fashionMnist();
    assert.deepEqual(perClass(full.train.labels), Array(10).fill(6000));
    assert.deepEqual(perClass(full.test.labels), Array(10).fill(1000));
    // The mean and standard deviation that are commonly quoted for Fashion-MNIST: 0.2860 and
    // 0.3530.
    let sum = 0, squares = 0;
    for (const pixel of full.train.pixels) {
      sum += pixel / 255;
      squares += (pixel / 255) ** 2;
    }
    const mean = sum / full.train.pixels.length;
    assert.equal(mean.toFixed(4), "0.2860");
    assert.equal(Math.sqrt(squares / full.train.pixels.length - mean ** 2).toFixed(4), "0.3530");
    const subset = await fashionMnist({ subset: true });
    for (const part of ["train", "test"] as const) {
      const [tenth] = full[part].split(0.1, { seed: 2017 });
      assert.equal(sha256(tenth.pixels), sha256(subset[part].pixels));
      assert.equal(String(tenth.labels), String(subset[part].labels));
    }
  },
});

Deno.test("fashionMnist() downloads a file once, then reads it from the cache", () =>
  withCache(async (cache) => {
    let requests = 0;
    const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
      requests++;
      assert.equal(new URL(request.url).pathname, `/${labelsFile}.gz`);
      return new Response(published);
    });
    const options = {
      systemFolder: `${cache}/nothing`,
      publisher: `http://127.0.0.1:${server.addr.port}`,
    };
    const seen: number[] = [];
    const content = await fashionMnistFile(labelsFile, {
      ...options,
      onProgress: ({ received }) => seen.push(received),
    });
    await server.shutdown();
    assert.equal(content.length, 10_008);
    assert.equal(seen.at(-1), published.length);
    assert.equal(
      (await Deno.stat(`${cache}/fashion-mnist/${labelsFile}.gz`)).size,
      published.length,
    );
    assert.deepEqual(await fashionMnistFile(labelsFile, options), content);
    assert.equal(requests, 1);
  }));

Deno.test("fashionMnist() prefers a file of the system's folder, and checks its content", () =>
  withCache(async (folder) => {
    const options = { systemFolder: folder, publisher: "http://127.0.0.1:1" };
    const file = `${folder}/${labelsFile}.gz`;
    await Deno.writeFile(file, published);
    assert.equal((await fashionMnistFile(labelsFile, options)).length, 10_008);

    // Another whole file of the same name.
    const other = new Blob([new Uint8Array(100)]).stream().pipeThrough(
      new CompressionStream("gzip"),
    );
    await Deno.writeFile(file, other);
    await assert.rejects(fashionMnistFile(labelsFile, options), {
      name: "RangeError",
      message:
        /^Reading Fashion-MNIST from .*t10k-labels-idx1-ubyte\.gz: the SHA-256 of the content must be 0402a96d[0-9a-f]{56}, found [0-9a-f]{64}\. Install the file again\.$/,
    });

    await Deno.writeFile(file, published.subarray(0, 3000));
    await assert.rejects(fashionMnistFile(labelsFile, options), {
      name: "RangeError",
      message:
        /^Decompressing .*t10k-labels-idx1-ubyte\.gz: the file must be whole gzip data, found 3000 bytes that are damaged or truncated/,
    });
  }));

Deno.test("gunzip() refuses damaged bytes, bytes after the end, and other formats", async () => {
  const damaged = published.slice();
  damaged[2000]! ^= 0xff;
  for (const bytes of [damaged, new Uint8Array([...published, 1, 2, 3]), new Uint8Array(50)]) {
    await assert.rejects(gunzip(bytes, "labels", 10_008), {
      name: "RangeError",
      message: new RegExp(
        `^Decompressing labels: the file must be whole gzip data, found ${bytes.length} `,
      ),
    });
  }
});

Deno.test("gunzip() refuses content of more bytes than it may have", async () => {
  const zeros = new Blob([new Uint8Array(2 ** 24)]).stream();
  const bomb = await new Response(zeros.pipeThrough(new CompressionStream("gzip"))).bytes();
  await assert.rejects(gunzip(bomb, "zeros", 10_008), {
    name: "RangeError",
    message: /^Decompressing zeros: .*\(more than 10008 bytes\)\.$/,
  });
  assert.equal((await gunzip(published, "labels", 10_008)).length, 10_008);
});

Deno.test("fashionMnist() refuses options that do not exist or are of another kind", async () => {
  const wrong: [object, string][] = [
    [
      { Subset: true },
      "there is no option Subset. Did you mean subset? The options are subset, onProgress, signal.",
    ],
    [{ subset: "no" }, 'subset must be true or false, found "no".'],
    [
      { subset: true, signal: new AbortController() },
      "signal must be an AbortSignal such as controller.signal, found an object (AbortController).",
    ],
  ];
  for (const [options, message] of wrong) {
    await assert.rejects(fashionMnist(options), {
      name: "TypeError",
      message: `Reading Fashion-MNIST: ${message}`,
    });
  }
});
