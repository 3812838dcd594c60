import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { packTar } from "modern-tar";
import {
  adam,
  augmentation,
  batches,
  cifar10,
  cifarResnet,
  compose,
  fit,
  ImageDataset,
  type Images,
  normalize,
  ops,
  Random,
} from "resnet-lab";
import { readCifar10 } from "../../lib/data/cifar10.ts";
import { statistics } from "../../lib/data/statistics.ts";
import { assertClose, testOnEachBackend } from "../_helpers.ts";

const names = ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5"]
  .concat("test_batch").map((name) => `${name}.bin`);
const imagesPerFile = 2;

/** Returns the byte of a pixel; nearby files, images, channels, rows and columns differ. */
const pixel = (file: number, image: number, channel: number, row: number, column: number) =>
  (file * 101 + image * 59 + channel * 83 + row * 7 + column) % 256;
const label = (file: number, image: number) => (file * 2 + image) % 10;

/**
 * Returns a file in the publisher's format: for each image its label, then the red, the green and
 * the blue plane, row by row.
 */
function written(file: number): Uint8Array<ArrayBuffer> {
  const bytes: number[] = [];
  for (let image = 0; image < imagesPerFile; image++) {
    bytes.push(label(file, image));
    for (let channel = 0; channel < 3; channel++) {
      for (let row = 0; row < 32; row++) {
        for (let column = 0; column < 32; column++) {
          bytes.push(pixel(file, image, channel, row, column));
        }
      }
    }
  }
  return new Uint8Array(bytes);
}

type Files = Record<string, Uint8Array<ArrayBuffer>>;
const whole: Files = Object.fromEntries(names.map((name, file) => [name, written(file)]));

/** Returns an archive like the publisher's: a folder, the six files, and two text files. */
async function archive(files: Files): Promise<Uint8Array<ArrayBuffer>> {
  const top = "cifar-10-batches-bin/";
  const texts = { "batches.meta.txt": "airplane\nautomobile\n", "readme.html": "<html></html>" };
  const tar = await packTar([
    { header: { name: top, type: "directory", size: 0 } },
    ...Object.entries({ ...files, ...texts }).map(([name, body]) => ({
      header: { name: top + name, size: body.length },
      body,
    })),
  ]);
  return await gzip(tar);
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).bytes();
}

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

async function withFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * Runs `test` with an empty cache folder and a server of `content` that supports ranges; returns
 * the requested ranges.
 */
async function withServer(
  content: Uint8Array<ArrayBuffer>,
  test: (options: { url: string; imagesPerFile: number }, file: string) => Promise<void>,
): Promise<(string | null)[]> {
  const ranges: (string | null)[] = [];
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, (request) => {
    const range = request.headers.get("range");
    ranges.push(range);
    const start = Number(range?.match(/^bytes=(\d+)-$/)?.[1] ?? 0);
    return new Response(content.subarray(start), { status: range === null ? 200 : 206 });
  });
  const before = Deno.env.get("RESNET_LAB_CACHE");
  try {
    await withFolder(async (cache) => {
      Deno.env.set("RESNET_LAB_CACHE", cache);
      const url = `http://127.0.0.1:${server.addr.port}/cifar-10-binary.tar.gz`;
      await test({ url, imagesPerFile }, `${cache}/cifar-10/cifar-10-binary.tar.gz`);
    });
  } finally {
    if (before === undefined) Deno.env.delete("RESNET_LAB_CACHE");
    else Deno.env.set("RESNET_LAB_CACHE", before);
    await server.shutdown();
  }
  return ranges;
}

/** Asserts that every label and every pixel is in its place. */
function assertRead({ train, test }: Awaited<ReturnType<typeof cifar10>>): void {
  assert.deepEqual([train.count, test.count], [5 * imagesPerFile, imagesPerFile]);
  assert.deepEqual([train.name, test.name], ["CIFAR-10, train", "CIFAR-10, test"]);
  assert.deepEqual([train.height, train.width, train.channels, train.classes], [32, 32, 3, 10]);
  for (let file = 0; file < 6; file++) {
    const set = file < 5 ? train : test;
    const images = set.images().arraySync();
    for (let image = 0; image < imagesPerFile; image++) {
      const at = (file % 5) * imagesPerFile + image;
      assert.equal(set.labels[at], label(file, image));
      const expected = Array.from(
        { length: 32 },
        (_, row) =>
          Array.from(
            { length: 32 },
            (_, column) => [0, 1, 2].map((channel) => pixel(file, image, channel, row, column)),
          ),
      );
      const found = images[at]!.map((row) => row.map((rgb) => rgb.map((x) => Math.round(x * 255))));
      assert.deepEqual(found, expected);
    }
  }
}

async function writeFiles(folder: string, files: Files): Promise<void> {
  for (const [name, bytes] of Object.entries(files)) {
    await Deno.writeFile(`${folder}/${name}`, bytes);
  }
}

Deno.test("cifar10() reads labels and colour planes of a folder's files, channels last", () =>
  withFolder(async (folder) => {
    await writeFiles(folder, whole);
    assertRead(await readCifar10({ folder, imagesPerFile }));
  }));

Deno.test("cifar10() names the classes as the publisher's batches.meta.txt does, in its order", () =>
  withFolder(async (folder) => {
    await writeFiles(folder, whole);
    const { train, test } = await readCifar10({ folder, imagesPerFile });
    const published = "airplane automobile bird cat deer dog frog horse ship truck".split(" ");
    assert.deepEqual(train.classNames, published);
    assert.deepEqual(test.classNames, published);
  }));

Deno.test("cifar10() downloads the archive once, with progress", async () => {
  const content = await archive(whole);
  const ranges = await withServer(content, async (options, file) => {
    const seen: number[] = [];
    const onProgress = ({ received }: { received: number }) => seen.push(received);
    assertRead(await readCifar10({ ...options, sha256: hash(content), onProgress }));
    assert.equal(seen.at(-1), content.length);
    assert.equal((await Deno.stat(file)).size, content.length);
    assertRead(await readCifar10({ ...options, sha256: hash(content) }));
  });
  assert.deepEqual(ranges, [null]);
});

Deno.test("cifar10() resumes an interrupted download", async () => {
  const content = await archive(whole);
  const ranges = await withServer(content, async (options, file) => {
    await Deno.mkdir(file.slice(0, file.lastIndexOf("/")));
    await Deno.writeFile(`${file}.part`, content.subarray(0, 1000));
    assertRead(await readCifar10({ ...options, sha256: hash(content) }));
  });
  assert.deepEqual(ranges, ["bytes=1000-"]);
});

Deno.test("cifar10() refuses another archive than the publisher's, and removes it", async () => {
  await withServer(await archive(whole), async (options, file) => {
    await assert.rejects(readCifar10(options), {
      name: "Error",
      message:
        /: the SHA-256 of the file must be c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd, found [0-9a-f]{64}\. The file was removed\. To continue without CIFAR-10, call syntheticImages/,
    });
    assert.deepEqual(await Array.fromAsync(Deno.readDir(file.slice(0, file.lastIndexOf("/")))), []);
  });
});

Deno.test("cifar10() reports a missing server, where to put the file, and how to continue without it", async () => {
  // No server listens on port 1.
  await withServer(new Uint8Array(), async (_, file) => {
    const options = { url: "http://127.0.0.1:1/cifar-10-binary.tar.gz", retries: 0 };
    await assert.rejects(readCifar10(options), {
      name: "Error",
      message: new RegExp(
        "^Downloading http.*cifar-10-binary\\.tar\\.gz: attempt 1 of 1 failed: .*" +
          `or put the file at ${file} by hand\\. To continue without CIFAR-10, call syntheticImages\\(\\{ count, seed \\}\\): ` +
          "drawn images of the same shape, whose accuracy says nothing about CIFAR-10\\.$",
      ),
    });
  });
});

Deno.test("cifar10() stops at a signal", async () => {
  const content = await archive(whole);
  await withServer(content, async (options) => {
    const reason = new Error("stopped");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(readCifar10({ ...options, sha256: hash(content), signal }), reason);
  });
});

const damages: [string, (files: Files) => Files, string, RegExp][] = [
  [
    "that is truncated",
    (files) => ({ ...files, "data_batch_3.bin": written(2).subarray(0, 6000) }),
    "RangeError",
    /^Reading CIFAR-10 from .*data_batch_3\.bin.*: the file must have 6146 bytes, 2 images of 3073, found 6000\. The file is truncated\.$/,
  ],
  [
    "with bytes after the end",
    (files) => ({ ...files, "test_batch.bin": new Uint8Array([...written(5), 0]) }),
    "RangeError",
    /^Reading CIFAR-10 from .*test_batch\.bin.*: the file must have 6146 bytes, 2 images of 3073, found 6147\. There are bytes after the end\.$/,
  ],
  [
    "with a label that is no class",
    (files) => ({ ...files, "data_batch_2.bin": written(1).fill(10, 3073, 3074) }),
    "RangeError",
    /^Reading CIFAR-10 from .*data_batch_2\.bin.*: labels must be from 0 to 9, found 10 at image 1\. The file is damaged\.$/,
  ],
  [
    "that is missing",
    ({ "data_batch_5.bin": _, ...files }) => files,
    "Error",
    /^Reading CIFAR-10 from .*: the (?:folder|archive) must have the files? .*data_batch_5\.bin.*, found .*\.bin\.$/,
  ],
];
for (const [what, damage, name, message] of damages) {
  Deno.test(`cifar10() refuses a file ${what}, in a folder`, () =>
    withFolder(async (folder) => {
      await writeFiles(folder, damage(whole));
      await assert.rejects(readCifar10({ folder, imagesPerFile }), { name, message });
    }));

  Deno.test(`cifar10() refuses a file ${what}, in the archive`, async () => {
    const content = await archive(damage(whole));
    await withServer(content, async (options) => {
      const sha256 = hash(content);
      await assert.rejects(readCifar10({ ...options, sha256 }), { name, message });
    });
  });
}

Deno.test("cifar10() refuses a truncated archive, and a file that is no archive", async () => {
  const content = await archive(whole);
  for (
    const bytes of [
      content.subarray(0, content.length >> 1),
      new TextEncoder().encode("<html>no</html>"),
    ]
  ) {
    await withServer(bytes, async (options) => {
      await assert.rejects(readCifar10({ ...options, sha256: hash(bytes) }), {
        name: "RangeError",
        message:
          /^Unpacking .*cifar-10-binary\.tar\.gz: the file must be a whole \.tar\.gz, found one that is damaged or truncated \(.+\)\.$/,
      });
    });
  }
  const noTar = await gzip(new Uint8Array(5000).fill(65));
  await withServer(noTar, async (options) => {
    await assert.rejects(readCifar10({ ...options, sha256: hash(noTar) }), {
      message:
        /^Reading CIFAR-10 from .*: the archive must have the file cifar-10-batches-bin\/data_batch_1\.bin, found no file that ends in \.bin\.$/,
    });
  });
});

Deno.test("cifar10() expects 10,000 images in each file", () =>
  withFolder(async (folder) => {
    await writeFiles(folder, whole);
    await assert.rejects(cifar10({ folder }), {
      name: "RangeError",
      message:
        /data_batch_1\.bin: the file must have 30730000 bytes, 10000 images of 3073, found 6146\. The file is truncated\.$/,
    });
  }));

Deno.test("cifar10() lists the files that a folder lacks", () =>
  withFolder(async (folder) => {
    await assert.rejects(cifar10({ folder }), {
      name: "Error",
      message:
        `Reading CIFAR-10 from the folder ${folder}: the folder must have the files data_batch_1.bin, data_batch_2.bin, data_batch_3.bin, ` +
        "data_batch_4.bin, data_batch_5.bin, test_batch.bin, found no data_batch_1.bin.",
    });
  }));

/** The augmentation of He et al. (arXiv:1512.03385, section 4.2), as in the doc of `cifar10`. */
const augment = compose(
  normalize("cifar10"),
  augmentation.randomCrop({ padding: 4 }),
  augmentation.randomFlip(),
);

testOnEachBackend(
  "the augmentation is a crop of the image with 4 pixels of average colour around it, or its mirror image",
  () => {
    const batch = 200;
    const set = new ImageDataset({
      name: "noise",
      pixels: Uint8Array.from({ length: 3072 }, (_, i) => (i * 7919) >> 3),
      labels: new Uint8Array(1),
      height: 32,
      width: 32,
      channels: 3,
      classes: 10,
      classNames: [..."0123456789"],
    });
    const random = new Random(3);
    const result = augment(set.images(Array(batch).fill(0)), random).dataSync();
    // By hand: the normalized image in the middle of 40 × 40 zeros, and all its windows, mirrored
    // and not, by their values.
    const { mean, standardDeviation } = statistics.cifar10;
    const padded = (row: number, column: number, channel: number) =>
      row < 4 || row >= 36 || column < 4 || column >= 36 ? 0 : (set.pixels[
            ((row - 4) * 32 + column - 4) * 3 + channel
          ]! / 255 - mean[channel]!) / standardDeviation[channel]!;
    const near = (a: number, b: number) => Math.abs(a - b) < 1e-4;
    const rows = new Map<number, number>(), columns = new Map<number, number>();
    let mirrored = 0;
    for (let image = 0; image < batch; image++) {
      const windows: [number, number, boolean][] = [];
      for (let top = 0; top <= 8; top++) {
        for (let left = 0; left <= 8; left++) {
          for (const flip of [false, true]) {
            let fits = true;
            for (let i = 0; fits && i < 3072; i++) {
              const [row, column, channel] = [Math.floor(i / 96), Math.floor(i / 3) % 32, i % 3];
              const from = left + (flip ? 31 - column : column);
              fits = near(result[image * 3072 + i]!, padded(top + row, from, channel));
            }
            if (fits) windows.push([top, left, flip]);
          }
        }
      }
      assert.equal(windows.length, 1, `image ${image} fits ${windows.length} windows`);
      const [top, left, flip] = windows[0]!;
      rows.set(top, (rows.get(top) ?? 0) + 1);
      columns.set(left, (columns.get(left) ?? 0) + 1);
      if (flip) mirrored++;
    }
    // Each of nine offsets about 22 times (standard deviation 4.4), each side half of the time
    // (7.1).
    for (const counts of [rows, columns]) {
      assert.equal(counts.size, 9);
      assert([...counts.values()].every((n) => n >= 7 && n <= 40), String([...counts]));
    }
    assert(mirrored > 70 && mirrored < 130, `${mirrored} of ${batch} mirrored`);
  },
);

testOnEachBackend("statistics.cifar10 are the statistics of bytes, divided by 255", () => {
  assertClose(ops.mul(ops.tensor(statistics.cifar10.mean), 255), [125.3, 123.0, 113.9], 1e-3);
  assertClose(
    ops.mul(ops.tensor(statistics.cifar10.standardDeviation), 255),
    [63.0, 62.1, 66.7],
    1e-3,
  );
});

/** Lines that must not compile. The function is checked, never called. */
export async function types() {
  const { train } = await cifar10();
  const fits: ImageDataset<3, 10> = train;
  // @ts-expect-error: CIFAR-10 is in colour
  const grey: ImageDataset<1, 10> = train;
  for (using batch of batches(train, { batchSize: 128, transform: augment })) {
    const three: Images<3> = batch.images;
    // @ts-expect-error: the augment keeps the three channels
    const one: Images<1> = batch.images;
    return [fits, grey, three, one];
  }
  const colour = cifarResnet({ depth: 20, inChannels: 3 });
  const options = { epochs: 1, batchSize: 128 };
  fit(colour, train, { ...options, optimizer: adam(colour.parameters(), { learningRate: 1e-3 }) });
  const oneChannel = cifarResnet({ depth: 20, inChannels: 1 });
  const optimizer = adam(oneChannel.parameters(), { learningRate: 1e-3 });
  // @ts-expect-error: a model for one channel cannot train on three
  fit(oneChannel, train, { ...options, optimizer });
  // @ts-expect-error: the folder is a path
  cifar10({ folder: 1 });
}

Deno.test("cifar10() stops unpacking at the size of its files", async () => {
  const bomb = await archive({ ...whole, "data_batch_1.bin": new Uint8Array(2 ** 24) });
  assert(bomb.length < 200_000);
  await withServer(bomb, async (options) => {
    await assert.rejects(readCifar10({ ...options, sha256: hash(bomb) }), {
      name: "RangeError",
      message:
        /^Unpacking .*: the file must be a whole \.tar\.gz, .*\(more than 1085452 bytes\)\.$/,
    });
  });
});

Deno.test("cifar10() refuses options that do not exist or are of another kind", async () => {
  const wrong: [object, string][] = [
    [
      { Folder: "x" },
      "there is no option Folder. Did you mean folder? The options are folder, onProgress, signal.",
    ],
    [{ folder: new URL("file:///x") }, "folder must be a string, found an object (URL)."],
    [{ onProgress: 1 }, "onProgress must be a function, found 1."],
  ];
  for (const [options, message] of wrong) {
    await assert.rejects(cifar10(options), {
      name: "TypeError",
      message: `Reading CIFAR-10: ${message}`,
    });
  }
});

Deno.test("cifar10() stops at a signal between two files", async () => {
  await withFolder(async (folder) => {
    for (const [name, bytes] of Object.entries(whole)) {
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    const reason = new Error("stopped");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(readCifar10({ folder, imagesPerFile, signal }), reason);
  });
});
