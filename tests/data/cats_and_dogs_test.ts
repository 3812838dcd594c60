import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { crc32, deflateRawSync } from "node:zlib";
import sharp from "sharp";
import { catsAndDogs } from "resnet-lab";
import { readCatsAndDogs } from "../../lib/data/cats_and_dogs.ts";

/** A grey JPEG. */
async function photograph(grey: number): Promise<Uint8Array> {
  const create = { width: 20, height: 16, channels: 3, background: { r: grey, g: grey, b: grey } };
  return await sharp({ create: { ...create, channels: 3 } }).jpeg().toBuffer();
}

const text = (content: string) => new TextEncoder().encode(content);

/**
 * Returns a zip archive by the format's specification (APPNOTE.TXT): local headers with deflated
 * content, the directory, its end. The directory may declare a larger size.
 */
function zipped(
  files: [name: string, content: Uint8Array, size?: number][],
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [], directory: Uint8Array[] = [];
  let offset = 0;
  /** Numbers of 2 or 4 bytes, the latter as bigint. */
  const numbers = (...values: (number | bigint)[]) => {
    const bytes: number[] = [];
    for (const value of values) {
      const size = typeof value === "bigint" ? 4 : 2;
      for (let i = 0; i < size; i++) bytes.push(Math.floor(Number(value) / 256 ** i) % 256);
    }
    return Uint8Array.from(bytes);
  };
  const big = (value: number) => BigInt(value);
  for (const [name, content, said = content.length] of files) {
    const data = deflateRawSync(content);
    const common = [20, 0, 8, 0, 33, big(crc32(content)), big(data.length), big(said)];
    const path = text(name);
    const local = [numbers(0x04034b50n, ...common, path.length, 0), path, data];
    directory.push(
      numbers(0x02014b50n, 20, ...common, path.length, 0, 0, 0, 0, 0n, big(offset)),
      path,
    );
    parts.push(...local);
    offset += local.reduce((sum, { length }) => sum + length, 0);
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0);
  const end = numbers(
    0x06054b50n,
    ...[0, 0, files.length, files.length, big(size), big(offset), 0] as const,
  );
  return Uint8Array.from([...parts, ...directory, end].flatMap((part) => [...part]));
}

/**
 * A small archive: photographs, an empty file, other files, and a name that leads out of the
 * folder.
 */
const archive = zipped([
  ["PetImages/", new Uint8Array()],
  ["PetImages/Cat/", new Uint8Array()],
  ["PetImages/Cat/0.jpg", await photograph(10)],
  ["PetImages/Cat/1.jpg", await photograph(20)],
  ["PetImages/Cat/666.jpg", new Uint8Array()],
  ["PetImages/Cat/Thumbs.db", text("thumbs")],
  ["PetImages/Dog/0.jpg", await photograph(200)],
  ["PetImages/Dog/11702.jpg", text("no image")],
  ["readme[1].txt", text("Microsoft")],
]);
const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

/**
 * Runs `test` with an empty cache folder and a server of `content`; returns the number of requests.
 */
async function withServer(
  content: Uint8Array<ArrayBuffer>,
  test: (source: { url: string; sha256: string }, cache: string) => Promise<void>,
): Promise<number> {
  let requests = 0;
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, () => {
    requests++;
    return new Response(content);
  });
  const before = Deno.env.get("RESNET_LAB_CACHE");
  const cache = await Deno.makeTempDir();
  try {
    Deno.env.set("RESNET_LAB_CACHE", cache);
    const url = `http://127.0.0.1:${server.addr.port}/kagglecatsanddogs_5340.zip`;
    await test({ url, sha256: hash(content) }, `${cache}/cats-and-dogs`);
  } finally {
    if (before === undefined) Deno.env.delete("RESNET_LAB_CACHE");
    else Deno.env.set("RESNET_LAB_CACHE", before);
    await Deno.remove(cache, { recursive: true });
    await server.shutdown();
  }
  return requests;
}

async function names(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), ({ name }) => name)).sort();
}

Deno.test("catsAndDogs() downloads, unpacks, reads, and lists unreadable files; the second time from the cache", async () => {
  const requests = await withServer(archive, async (source, cache) => {
    for (let time = 1; time <= 2; time++) {
      let received = 0, read = 0;
      const { dataset, skipped } = await readCatsAndDogs({
        ...source,
        photographs: 1,
        size: [4, 6],
        onProgress: (progress) => {
          if ("received" in progress) received = progress.received;
          else read = progress.read;
        },
      });
      assert.deepEqual([dataset.name, dataset.classes], ["cats and dogs", 2]);
      assert.deepEqual(dataset.classNames, ["Cat", "Dog"]);
      assert.deepEqual([...dataset.labels], [0, 0, 1]);
      assert.deepEqual([dataset.height, dataset.width], [4, 6]);
      assert.deepEqual([...new Set(dataset.pixels)], [10, 20, 200]);
      assert.deepEqual(skipped.map(({ file }) => file), ["Cat/666.jpg", "Dog/11702.jpg"]);
      assert.deepEqual([received, read], [time === 1 ? archive.length : 0, 5]);
      assert.deepEqual(await names(cache), ["PetImages"]);
      assert.deepEqual(await names(`${cache}/PetImages/Cat`), ["0.jpg", "1.jpg", "666.jpg"]);
    }
  });
  assert.equal(requests, 1);
});

Deno.test("catsAndDogs() reads a folder, and fewer of each class", async () => {
  await withServer(archive, async (source, cache) => {
    await readCatsAndDogs({ ...source, photographs: 1, size: [1, 1] });
    const folder = `${cache}/PetImages`;
    const { dataset, skipped } = await catsAndDogs({ folder, size: [1, 1], imagesPerClass: 1 });
    assert.deepEqual([...dataset.pixels], [10, 10, 10, 200, 200, 200]);
    assert.deepEqual(skipped, []);
  });
});

Deno.test("catsAndDogs() refuses another archive than the publisher's, and removes it", async () => {
  await withServer(archive, async ({ url }, cache) => {
    await assert.rejects(readCatsAndDogs({ url, size: [1, 1] }), {
      name: "Error",
      message:
        /: the SHA-256 of the file must be b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9, found [0-9a-f]{64}\. The file was removed\. To continue without cats and dogs, call syntheticImages\(\{ count, seed, size, classes: 2 \}\)/,
    });
    assert.deepEqual(await names(cache), []);
  });
});

Deno.test("catsAndDogs() reports a missing server, and how to continue without it", async () => {
  await withServer(archive, async () => {
    // No server listens on port 1.
    const url = "http://127.0.0.1:1/kagglecatsanddogs_5340.zip";
    await assert.rejects(readCatsAndDogs({ url, retries: 0, size: [1, 1] }), {
      name: "Error",
      message:
        /^Downloading http.*: attempt 1 of 1 failed: .*by hand\. To continue without cats and dogs, call syntheticImages\(\{ count, seed, size, classes: 2 \}\): drawn images of two classes, whose accuracy says nothing about photographs\.$/,
    });
  });
});

Deno.test("catsAndDogs() leaves no half unpacked folder", async () => {
  // A directory that declares more files than there are, a truncated one, and none.
  const short = Uint8Array.from(archive);
  const at = short.findLastIndex((_, i) =>
    new TextDecoder().decode(short.subarray(i, i + 19)) === "PetImages/Dog/0.jpg"
  );
  short[at - 46 + 24]! += 5;
  for (const damaged of [short, archive.subarray(0, archive.length - 60), text("no archive")]) {
    const bytes = Uint8Array.from(damaged);
    await withServer(bytes, async (source, cache) => {
      await assert.rejects(readCatsAndDogs({ ...source, size: [1, 1] }), {
        name: "RangeError",
        message:
          /^Unpacking .*kagglecatsanddogs_5340\.zip to .*: the file must be a whole \.zip, and the disk must have space for its files, found the error: .+\.$/,
      });
      assert.deepEqual(await names(cache), ["kagglecatsanddogs_5340.zip"]);
    });
  }
});

Deno.test("catsAndDogs() writes nothing outside of its folder", async () => {
  const evil = zipped([
    ["PetImages/Cat/0.jpg", await photograph(1)],
    ["PetImages/Dog/0.jpg", await photograph(2)],
    ["PetImages/Cat/../../../escaped.jpg", await photograph(3)],
  ]);
  await withServer(evil, async (source, cache) => {
    await assert.rejects(readCatsAndDogs({ ...source, size: [1, 1] }), {
      name: "RangeError",
      message: /invalid relative path/,
    });
    assert.deepEqual(await names(cache), ["kagglecatsanddogs_5340.zip"]);
    assert.deepEqual(await names(`${cache}/..`), ["cats-and-dogs"]);
  });
});

Deno.test("catsAndDogs() stops at a signal", async () => {
  await withServer(archive, async (source) => {
    const reason = new Error("stopped");
    const signal = AbortSignal.abort(reason);
    await assert.rejects(readCatsAndDogs({ ...source, size: [1, 1], signal }), reason);
  });
});

Deno.test("catsAndDogs() reports missing photographs in the cache and in a folder", async () => {
  await withServer(archive, async (source, cache) => {
    const size = [1, 1] as const;
    const folder = `${cache}/PetImages`;
    const missing = (where: string, count: number, first: string, remedy: string) => ({
      name: "Error",
      message: `Reading cats and dogs from ${where}: the folder must have the files 0.jpg to ${
        where === folder ? 2 : 12499
      }.jpg of Cat and of Dog, found ${count} of them missing, such as ${first}. ${remedy}`,
    });
    await assert.rejects(
      readCatsAndDogs({ ...source, size, photographs: 3 }),
      missing(folder, 3, "Cat/2.jpg", "Remove the folder and call again."),
    );
    // A copy in the option folder; it has five of 25,000 photographs.
    const copy = `${cache}/copy`;
    await Deno.rename(folder, copy);
    const own =
      'Read your own pictures with imageFolder(folder, { size, classes: ["Cat", "Dog"] }).';
    await assert.rejects(
      catsAndDogs({ folder: copy, size }),
      missing(copy, 24_995, "Cat/10.jpg", own),
    );
    // The first two by name are 0.jpg and 1.jpg.
    await assert.rejects(
      catsAndDogs({ folder: copy, size, imagesPerClass: 2 }),
      missing(copy, 1, "Dog/1.jpg", own),
    );
  });
});

Deno.test("catsAndDogs() removes the half unpacked folder of a killed call, and waits for a call that unpacks", async () => {
  await withServer(archive, async (source, cache) => {
    await Deno.mkdir(`${cache}/unpacking_abc/Cat`, { recursive: true });
    await Deno.writeTextFile(`${cache}/unpacking_abc/Cat/0.jpg`, "half");
    const options = { ...source, size: [1, 1] as const, photographs: 1 };
    const all = await Promise.all([1, 2, 3].map(() => readCatsAndDogs(options)));
    assert.deepEqual(all.map(({ dataset }) => dataset.count), [3, 3, 3]);
    assert.deepEqual(await names(cache), ["PetImages"]);
    // A call that was killed after it unpacked.
    await Deno.writeFile(`${cache}/kagglecatsanddogs_5340.zip`, archive);
    await Deno.writeFile(`${cache}/kagglecatsanddogs_5340.zip.part`, archive);
    await readCatsAndDogs(options);
    assert.deepEqual(await names(cache), ["PetImages"]);
  });
});

Deno.test("catsAndDogs() refuses an archive that declares more than two gigabytes", async () => {
  const bomb = zipped([
    ["PetImages/Cat/0.jpg", await photograph(1), 2 ** 31 - 1],
    ["PetImages/Dog/0.jpg", await photograph(2), 2 ** 31 - 1],
  ]);
  await withServer(bomb, async (source, cache) => {
    await assert.rejects(readCatsAndDogs({ ...source, size: [1, 1] }), {
      name: "RangeError",
      message: /found the error: 4294967294 bytes of photographs, above the limit of 2147483648\.$/,
    });
    assert.deepEqual(await names(cache), ["kagglecatsanddogs_5340.zip"]);
  });
});

Deno.test("catsAndDogs() checks its options before it downloads anything", async () => {
  const requests = await withServer(archive, async (source) => {
    await assert.rejects(readCatsAndDogs({ ...source, size: [0, 1] }), RangeError);
    const misspelt = { size: [1, 1], imagesperclass: 3 } as unknown as { size: [1, 1] };
    await assert.rejects(catsAndDogs(misspelt), {
      name: "TypeError",
      message:
        /^Reading cats and dogs: there is no option imagesperclass\. Did you mean imagesPerClass\?/,
    });
    await assert.rejects(catsAndDogs({ size: [1, 1], folder: 5 as unknown as string }), {
      name: "TypeError",
      message: "Reading cats and dogs: folder must be a string, found 5.",
    });
  });
  assert.equal(requests, 0);
});
