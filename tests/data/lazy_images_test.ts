/** Tests of image folders whose images stay in their files. */
import assert from "node:assert/strict";
import { dirname } from "node:path";
import { encode } from "fast-png";
import sharp from "sharp";
import { backend, batches, imageFolder, memory, Random } from "resnet-lab";
import { jpegDecoder } from "../../lib/data/jpeg_decoder.ts";
import { LazyImageDataset } from "../../lib/data/lazy_images.page.ts";
import { addonPath } from "../../lib/tensor/installation.ts";
import { tensorsAfter } from "../_helpers.ts";

type Files = Record<string, Uint8Array>;

async function withFiles(files: Files, test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [path, bytes] of Object.entries(files)) {
      await Deno.mkdir(dirname(`${folder}/${path}`), { recursive: true });
      await Deno.writeFile(`${folder}/${path}`, bytes);
    }
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A picture with another colour at each pixel, which depends on the seed. */
function picture(seed: number, height = 30, width = 41): Uint8Array {
  const data = Uint8Array.from(
    { length: height * width * 3 },
    (_, i) => (i * (seed + 3) + (i >> 5) * 7 + seed * 50) % 256,
  );
  return encode({ width, height, channels: 3, data });
}

const jpeg = async (seed: number) =>
  new Uint8Array(await sharp(picture(seed, 60, 80)).jpeg({ quality: 90 }).toBuffer());
const text = new TextEncoder().encode("no image");

/** Ten pictures of two classes, and three files that are none. */
async function pictures(): Promise<Files> {
  const files: Files = { "b/notes.txt": text, "a/9.png": text, "c.png": text };
  for (let i = 0; i < 5; i++) {
    files[`a/${i}.png`] = picture(i);
    files[`b/${i}.jpg`] = await jpeg(i);
  }
  files["a/8.jpg"] = (await jpeg(8)).subarray(0, 900);
  return files;
}

for (
  const options of [{ size: [16, 16] }, { size: [12, 20], shorterSide: 24, channels: 1 }] as const
) {
  Deno.test(`imageFolder() with lazy reads the same pixels and skips the same files, ${JSON.stringify(options)}`, async () =>
    await withFiles(await pictures(), async (folder) => {
      const whole = await imageFolder(folder, options);
      const { dataset, skipped } = await imageFolder(folder, { ...options, lazy: true });
      assert.equal(skipped.length, 4);
      assert.deepEqual(skipped, whole.skipped);
      assert.equal(dataset.name, whole.dataset.name);
      assert.equal(dataset.count, 10);
      assert.deepEqual(dataset.labels, whole.dataset.labels);
      assert.deepEqual(dataset.classNames, ["a", "b"]);
      assert.deepEqual(
        [dataset.height, dataset.width, dataset.channels, dataset.classes],
        [
          whole.dataset.height,
          whole.dataset.width,
          whole.dataset.channels,
          whole.dataset.classes,
        ],
      );
      const before = memory().tensors;
      const indices = [9, 0, 4, 4, 7];
      const { inputs, targets } = await dataset.batch(indices);
      const images = whole.dataset.images(indices);
      assert.deepEqual(inputs.shape, images.shape);
      assert.deepEqual(inputs.dataSync(), images.dataSync());
      assert.deepEqual([...targets.dataSync()], [1, 0, 0, 0, 1]);
      [inputs, targets, images].forEach((tensor) => tensor.dispose());
      assert.equal(memory().tensors, before);
    }));
}

Deno.test("a lazy set decodes many JPEGs of one size as one by one, and finds the damaged one", async () => {
  const files: Files = {};
  for (let i = 0; i < 40; i++) {
    const kind = { progressive: i % 3 === 0, chromaSubsampling: i % 2 === 0 ? "4:4:4" : "4:2:0" };
    // Those in the folder b differ in size, and one is grey.
    const image = sharp(picture(i, 36, 50 + (i >= 30 ? i % 2 : 0)));
    const bytes = await (i === 35 ? image.greyscale() : image).jpeg({ quality: 85, ...kind })
      .toBuffer();
    files[`${i < 30 ? "a" : "b"}/${10 + i}.jpg`] = new Uint8Array(bytes);
  }
  await withFiles(files, async (folder) => {
    for (const channels of [1, 3] as const) {
      const options = { size: [16, 20], channels } as const;
      const whole = (await imageFolder(folder, options)).dataset;
      const { dataset } = await imageFolder(folder, { ...options, lazy: true });
      const indices = Array.from({ length: 40 }, (_, i) => (i * 7) % 40);
      for (const some of [[...indices].sort((a, b) => a - b), indices]) {
        const { inputs, targets } = await dataset.batch(some);
        const images = whole.images(some);
        assert.deepEqual(inputs.dataSync(), images.dataSync());
        [inputs, targets, images].forEach((tensor) => tensor.dispose());
      }
    }
    const { dataset } = await imageFolder(folder, { size: [16, 20], lazy: true });
    const file = `${folder}/a/17.jpg`, { mtime } = await Deno.stat(file);
    const bytes = await Deno.readFile(file);
    // Cut in the middle, filled up to the same length with what is no JPEG data.
    await Deno.writeFile(file, bytes.map((byte, i) => i < bytes.length / 2 ? byte : 0xff));
    await Deno.utime(file, mtime!, mtime!);
    await assert.rejects(() => dataset.batch([...dataset.labels.keys()]), /found .*a\/17\.jpg: /);
  });
});

Deno.test("batches() of a lazy set are those of the set in memory, in the same order", async () =>
  await withFiles(await pictures(), async (folder) => {
    const whole = (await imageFolder(folder, { size: [8, 8] })).dataset;
    const lazy = (await imageFolder(folder, { size: [8, 8], lazy: true })).dataset;
    await assertNoLeakAsync(async () => {
      const expected = [...batches(whole, { batchSize: 3, shuffle: new Random(4) })];
      const lazyBatches = batches(lazy, { batchSize: 3, shuffle: new Random(4) });
      assert.equal(lazyBatches.length, 4);
      let i = 0;
      for await (using batch of lazyBatches) {
        using same = expected[i++]!;
        assert.deepEqual(batch.images.dataSync(), same.images.dataSync());
        assert.deepEqual(batch.labels.dataSync(), same.labels.dataSync());
      }
      assert.equal(i, 4);
    });
  }));

/** Asserts that no tensor is left, also none that comes later. */
async function assertNoLeakAsync(work: () => Promise<void>): Promise<void> {
  const before = memory().tensors;
  await work();
  assert.equal(await tensorsAfter(300, before), before);
}

Deno.test("batches() of a lazy set frees what was loaded ahead where the loop ends early", async () =>
  await withFiles(await pictures(), async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [8, 8], lazy: true });
    await assertNoLeakAsync(async () => {
      for await (using _batch of batches(dataset, { batchSize: 2 })) break;
      const fails = () => {
        throw new RangeError("on purpose");
      };
      await assert.rejects(async () => {
        for await (using _batch of batches(dataset, { batchSize: 2, transform: fails }));
      }, /on purpose/);
    });
  }));

Deno.test("batches() of a lazy set refuses a loop without await, in words", async () =>
  await withFiles(await pictures(), async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [8, 8], lazy: true, name: "pets" });
    await assertNoLeakAsync(async () => {
      await Promise.resolve();
      assert.throws(
        // @ts-expect-error: it must be iterated with await
        () => [...batches(dataset, { batchSize: 2 })],
        {
          name: "TypeError",
          message: 'Making batches of "pets": the loop must be for await (using batch of ' +
            "batches(…)), as this data set returns promises, found a loop without await.",
        },
      );
    });
  }));

Deno.test("a lazy set names a file that is gone, changed or damaged", async () =>
  await withFiles(await pictures(), async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [8, 8], lazy: true, name: "pets" });
    const all = [...dataset.labels.keys()];
    const refuse = (path: string, reason: RegExp) =>
      assert.rejects(() => dataset.batch(all), (error: Error) => {
        const start =
          'Reading "pets": each image must be as it was when the folder was read, found ';
        assert(error.message.startsWith(`${start}${folder}/${path}: `), error.message);
        assert.match(error.message, reason);
        assert(error.message.endsWith(" Restore the file, or call imageFolder() again."));
        return true;
      });
    const file = `${folder}/b/3.jpg`, bytes = await Deno.readFile(file);
    const { mtime } = await Deno.stat(file);
    await Deno.remove(file);
    await refuse("b/3.jpg", /No such file/);
    await Deno.writeFile(file, bytes.subarray(0, 500));
    await refuse("b/3.jpg", /The file has changed since the folder was read/);
    // Of the same size and time, as on a broken disk.
    await Deno.writeFile(file, bytes.map(() => 7));
    await Deno.utime(file, mtime!, mtime!);
    await refuse("b/3.jpg", /found .*3\.jpg: \w/);
    // The others can still be read, and the worker goes on.
    const { inputs, targets } = await dataset.batch([0, 1]);
    assert.equal(inputs.shape[0], 2);
    await Deno.writeFile(file, bytes);
    await Deno.utime(file, mtime!, mtime!);
    const restored = await dataset.batch([8]);
    [inputs, targets, restored.inputs, restored.targets].forEach((tensor) => tensor.dispose());
  }));

Deno.test("a lazy set is divided as a set in memory is", async () =>
  await withFiles(await pictures(), async (folder) => {
    const whole = (await imageFolder(folder, { size: [8, 8] })).dataset;
    const lazy = (await imageFolder(folder, { size: [8, 8], lazy: true })).dataset;
    const labelsOf = (sets: readonly { readonly labels: Int32Array }[]) =>
      sets.map(({ labels }) => [...labels]);
    const seed = { seed: 3 };
    const [first, second] = lazy.split(0.6, seed), [own, other] = whole.split(0.6, seed);
    assert.deepEqual(labelsOf([first, second]), labelsOf([own, other]));
    assert.deepEqual([first.count, second.count], [6, 4]);
    const pairs = lazy.kFold(5, seed).flat(), expected = whole.kFold(5, seed).flat();
    assert.deepEqual(labelsOf(pairs), labelsOf(expected));
    const parts = [first, second, ...pairs, lazy.take(3), lazy.subset([9, 0])];
    const same = [own, other, ...expected, whole.take(3), whole.subset([9, 0])];
    for (const [i, part] of parts.entries()) {
      const { inputs, targets } = await part.batch([...part.labels.keys()]);
      const images = same[i]!.images();
      assert.deepEqual(inputs.dataSync(), images.dataSync());
      [inputs, targets, images].forEach((tensor) => tensor.dispose());
    }
  }));

Deno.test("the fingerprint of a lazy set changes with names, sizes, times and the form", async () =>
  await withFiles(await pictures(), async (folder) => {
    const fingerprint = async (size: [number, number] = [8, 8]) =>
      await (await imageFolder(folder, { size, lazy: true })).dataset.fingerprint();
    const found = [await fingerprint()];
    assert.equal(await fingerprint(), found[0]);
    found.push(await fingerprint([8, 9]));
    await Deno.utime(`${folder}/a/1.png`, new Date(0), new Date(0));
    found.push(await fingerprint());
    await Deno.rename(`${folder}/a/1.png`, `${folder}/a/11.png`);
    found.push(await fingerprint());
    assert.equal(new Set(found).size, found.length);
  }));

Deno.test("a lazy set refuses positions that do not exist", async () =>
  await withFiles(await pictures(), async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [8, 8], lazy: true, name: "pets" });
    await assert.rejects(() => dataset.batch([10]), {
      name: "RangeError",
      message: 'Reading "pets": an index must be a whole number from 0 to 9, found 10.',
    });
    assert.throws(() => dataset.subset([]), /there must be at least one index/);
    assert.throws(() => dataset.take(0), /count must be a whole number from 1 to 10, found 0/);
    await assert.rejects(
      // @ts-expect-error: true or false
      () => imageFolder(folder, { size: [8, 8], lazy: "yes" }),
      /lazy must be true or false, found "yes"/,
    );
  }));

/** JPEGs of several sizes and kinds. */
async function jpegs(): Promise<Uint8Array[]> {
  const kinds = [
    { quality: 90 },
    { quality: 1 },
    { quality: 100, chromaSubsampling: "4:4:4" },
    { quality: 80, progressive: true },
    { quality: 80, mozjpeg: true },
  ];
  const sizes = [[60, 80], [33, 47], [1, 1], [8, 8], [17, 5]] as const;
  const made = kinds.flatMap((kind, i) =>
    sizes.map(([height, width], j) =>
      sharp(picture(5 * i + j, height, width)).jpeg(kind).toBuffer()
    )
  );
  return (await Promise.all(made)).map((bytes) => new Uint8Array(bytes));
}

Deno.test("jpegDecoder() decodes each kind of JPEG to the bytes of the other decoder", {
  ignore: backend() !== "tensorflow",
}, async () => {
  const decode = jpegDecoder(addonPath());
  for (const bytes of await jpegs()) {
    const { data, info } = await sharp(bytes).raw().toBuffer({ resolveWithObject: true });
    const pixels = decode(bytes);
    assert.deepEqual([pixels.height, pixels.width, pixels.channels], [info.height, info.width, 3]);
    assert.deepEqual(pixels.data, new Uint8Array(data));
  }
  const [first] = await jpegs();
  assert.throws(() => decode(first!.subarray(0, first!.length / 2)), /JPEG/);
});

for (const channels of [1, 3] as const) {
  Deno.test(`imageFolder() with lazy reads JPEGs of all kinds together, channels: ${channels}`, async () => {
    const files = Object.fromEntries(
      (await jpegs()).map((bytes, i) => [`${i % 2}/${String(i).padStart(2, "0")}.jpg`, bytes]),
    );
    await withFiles(files, async (folder) => {
      const options = { size: [16, 24], channels } as const;
      const { dataset } = await imageFolder(folder, options);
      const lazy = await imageFolder(folder, { ...options, lazy: true });
      const all = Int32Array.from({ length: dataset.count }, (_, i) => i);
      const { inputs } = await lazy.dataset.batch(all), expected = dataset.images(all);
      assert.deepEqual(inputs.dataSync(), expected.dataSync());
      inputs.dispose();
      expected.dispose();
    });
  });
}

Deno.test("the workers of a lazy set load nothing of TensorFlow.js", async () => {
  const worker = import.meta.resolve("../../lib/data/decode_worker.ts");
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--quiet", "--json", worker],
  }).output();
  const { modules }: { modules: { specifier: string }[] } = JSON.parse(
    new TextDecoder().decode(stdout),
  );
  const files = modules.map(({ specifier }) => specifier);
  assert(files.some((file) => file.endsWith("lib/data/picture_file.ts")), String(files));
  assert.deepEqual(files.filter((file) => /tensorflow|lib\/tensor/.test(file)), []);
});

Deno.test("LazyImageDataset is refused in a web page, in words", () => {
  assert.throws(() => new LazyImageDataset({ name: "pets" }), {
    name: "RangeError",
    message:
      'Reading "pets": lazy must be left out in a web page, which has no folders, found true. ' +
      "Pass fit() an object { name, count, batch } that reads its pictures with readImage().",
  });
});
