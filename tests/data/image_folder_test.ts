import assert from "node:assert/strict";
import { dirname } from "node:path";
import { decode as decodePng, encode } from "fast-png";
import sharp from "sharp";
import { imageFolder, type ImageFolderProgress, memory } from "resnet-lab";
import expected from "../fixtures/data/photograph.json" with { type: "json" };
import pillow from "../fixtures/data/pillow.json" with { type: "json" };

type Files = Record<string, Uint8Array>;

/** Runs `test` with a folder of `files`, by path. */
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

/** A PNG file of one colour: grey, grey and alpha, red, green and blue, or these and alpha. */
function plain(color: number[], height = 4, width = 4, depth: 8 | 16 = 8): Uint8Array {
  const values = Array.from({ length: height * width }, () => color).flat();
  const data = depth === 8 ? Uint8Array.from(values) : Uint16Array.from(values);
  return encode({ width, height, channels: color.length, depth, data });
}

/** A smooth picture with another colour at each pixel. */
const { height, width } = expected;
const pixels = Uint8Array.fromBase64(expected.pixels);
const photograph = encode({ width, height, channels: 3, data: pixels });
const source = () => sharp(pixels, { raw: { width, height, channels: 3 } });
const jpeg = async () => new Uint8Array(await source().jpeg({ quality: 95 }).toBuffer());

const text = (content: string) => new TextEncoder().encode(content);

function assertNear(found: ArrayLike<number>, wanted: ArrayLike<number>, most: number): void {
  assert.equal(found.length, wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    assert(
      Math.abs(found[i]! - wanted[i]!) <= most,
      `byte ${i}: ${found[i]}, expected ${wanted[i]} ± ${most}`,
    );
  }
}

Deno.test("imageFolder() takes the classes from the folders and the order from the names, whichever file is read first", () =>
  withFiles({
    "tree/b.png": plain([40, 50, 60], 500, 500),
    "tree/a.PNG": plain([10, 20, 30]),
    "bird/1.png": plain([1, 2, 3], 900, 700),
    "bird/notes.txt": text("no image"),
    "bird/.hidden.png": text("no image"),
    "bird/deeper/2.png": plain([9, 9, 9]),
    ".git/1.png": plain([0, 0, 0]),
    "readme.png": plain([0, 0, 0]),
  }, async (folder) => {
    const before = memory().tensors;
    const { dataset, skipped } = await imageFolder(folder, { size: [2, 3] });
    assert.equal(memory().tensors, before);
    assert.deepEqual(skipped.map(({ file }) => file), ["bird/notes.txt", "readme.png"]);
    assert.deepEqual(dataset.classNames, ["bird", "tree"]);
    assert.deepEqual([...dataset.labels], [0, 0, 1, 1]);
    assert.deepEqual([dataset.count, dataset.height, dataset.width, dataset.channels], [
      4,
      2,
      3,
      3,
    ]);
    const colors = [[1, 2, 3], [9, 9, 9], [10, 20, 30], [40, 50, 60]];
    assert.deepEqual([...dataset.pixels], colors.flatMap((color) => Array(6).fill(color).flat()));
    assert.equal(dataset.name, folder.split("/").at(-1));
  }));

Deno.test("imageFolder() reads only the folders of the option classes, in that order", () =>
  withFiles({
    "bird/1.png": plain([1, 1, 1]),
    "fish/1.png": plain([2, 2, 2]),
    "tree/1.png": plain([3, 3, 3]),
  }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [1, 1], classes: ["tree", "bird"] });
    assert.deepEqual(dataset.classNames, ["tree", "bird"]);
    assert.deepEqual([...dataset.labels], [0, 1]);
    assert.deepEqual([...dataset.pixels], [3, 3, 3, 1, 1, 1]);
  }));

Deno.test("imageFolder() reads the first imagesPerClass files of each class", () =>
  withFiles({
    "a/1.png": plain([1, 1, 1]),
    "a/2.png": plain([2, 2, 2]),
    "a/3.png": plain([3, 3, 3]),
    "b/1.png": plain([4, 4, 4]),
  }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [1, 1], imagesPerClass: 2, name: "few" });
    assert.deepEqual([...dataset.pixels], [1, 1, 1, 2, 2, 2, 4, 4, 4]);
    assert.deepEqual([...dataset.labels], [0, 0, 1]);
    assert.equal(dataset.name, "few");
  }));

Deno.test("imageFolder() does not change the pixels of an image of the right size", () =>
  withFiles({ "a/1.png": photograph }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [height, width] });
    assert.deepEqual(dataset.pixels, pixels);
  }));

for (const { size: [h, w], shorterSide, values } of expected.resized) {
  Deno.test(
    `imageFolder() resizes and cuts to ${h} × ${w} as torchvision does${
      shorterSide ? `, from ${shorterSide}` : ""
    }`,
    () =>
      withFiles({ "a/1.png": photograph }, async (folder) => {
        const { dataset } = await imageFolder(folder, {
          size: [h!, w!],
          shorterSide: shorterSide ?? undefined,
        });
        assert.deepEqual(dataset.pixels, Uint8Array.fromBase64(values));
      }),
  );
}

Deno.test("imageFolder() cuts off both ends of the longer side equally, portrait or landscape", () => {
  // Stripes: red, two of green, blue. Only the middle is left.
  const stripes = [[255, 0, 0], [0, 255, 0], [0, 255, 0], [0, 0, 255]];
  const lying = Uint8Array.from([...stripes, ...stripes].flat());
  const standing = Uint8Array.from(stripes.flatMap((stripe) => [...stripe, ...stripe]));
  return withFiles({
    "a/lying.png": encode({ width: 4, height: 2, channels: 3, data: lying }),
    "a/standing.png": encode({ width: 2, height: 4, channels: 3, data: standing }),
  }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [2, 2] });
    assert.deepEqual([...dataset.pixels], Array(8).fill([0, 255, 0]).flat());
  });
});

Deno.test("imageFolder() converts grey, palette, 16-bit and transparent PNGs to 8-bit colour", () =>
  withFiles({
    "a/1 grey.png": plain([100]),
    "a/2 grey and alpha.png": plain([100, 255]),
    "a/3 transparent grey.png": plain([0, 0]),
    "a/4 half transparent.png": plain([0, 0, 100, 51]), // 0.2 of the colour, 0.8 of white
    "a/5 16 bit.png": plain([257 * 10, 257 * 20, 257 * 30], 4, 4, 16),
    "a/6 16 bit grey.png": plain([257 * 70], 4, 4, 16),
    "a/7 palette.png": encode({
      width: 4,
      height: 4,
      channels: 1,
      data: new Uint8Array(16).fill(1),
      palette: [[0, 0, 0], [7, 8, 9]],
    }),
  }, async (folder) => {
    const { dataset, skipped } = await imageFolder(folder, { size: [1, 1] });
    assert.deepEqual(skipped, []);
    const colors = [
      [100, 100, 100],
      [100, 100, 100],
      [255, 255, 255],
      [204, 204, 224],
      [10, 20, 30],
      [70, 70, 70],
      [7, 8, 9],
    ];
    assertNear(dataset.pixels, colors.flat(), 1);
  }));

Deno.test("imageFolder() reads JPEGs: grey, progressive, CMYK, rotated by EXIF", async () => {
  const right = await source().jpeg({ quality: 95, chromaSubsampling: "4:4:4" }).toBuffer();
  const files = {
    "a/1.jpg": right,
    "a/2 progressive.JPEG": await source().jpeg({ quality: 95, progressive: true }).toBuffer(),
    "a/3 turned.jpg": await source().rotate(-90).withMetadata({ orientation: 6 })
      .jpeg({ quality: 95, chromaSubsampling: "4:4:4" }).toBuffer(),
    "a/4 cmyk.jpg": await source().toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer(),
    "a/5 grey.jpg": await source().toColourspace("b-w").jpeg({ quality: 95 }).toBuffer(),
  };
  await withFiles(files, async (folder) => {
    const { dataset, skipped } = await imageFolder(folder, { size: [height, width] });
    assert.deepEqual(skipped, []);
    const size = pixels.length;
    const image = (index: number) => [...dataset.pixels].slice(index * size, (index + 1) * size);
    assertNear(image(0), pixels, 12);
    assertNear(image(1), pixels, 30);
    assertNear(image(2), pixels, 12);
    // CMYK has fewer colours than RGB, so these are approximate. The Pillow fixture has exact
    // values.
    const mean = image(3).reduce((sum, value, i) => sum + Math.abs(value - pixels[i]!), 0) / size;
    assert(mean < 25, `CMYK is off by ${mean} on average`);
    const grey = image(4);
    assert(grey.every((value, i) => value === grey[i - i % 3]), "grey has no colour");
    assert(new Set(grey).size > 20);
  });
});

Deno.test("imageFolder() leaves out unreadable files, and lists them with the reason", async () => {
  const whole = await jpeg();
  const png = photograph;
  const huge = Uint8Array.from(png);
  new DataView(huge.buffer).setUint32(16, 100_000);
  new DataView(huge.buffer).setUint32(20, 100_000);
  const gif = new Uint8Array(await source().gif().toBuffer());
  const files: Files = {
    "cat/1.jpg": whole,
    "cat/2.jpg": new Uint8Array(),
    "cat/3.jpg": whole.subarray(0, whole.length >> 1),
    "cat/4.jpg": text("<html>404</html>"),
    "cat/5.jpg": gif, // An image too, whatever its name.
    "cat/7.jpg": new Uint8Array([0xff, 0xd8, 0xff, 0xe0, 1, 2, 3]), // A message of 29 lines.
    "cat/6.jpg": text('<svg xmlns="http://www.w3.org/2000/svg" width="5" height="5"/>'),
    "dog/1.png": png.subarray(0, png.length >> 1),
    "dog/2.png": huge,
    "dog/3.png": png.subarray(0, 20),
    "dog/4.jpg": png, // An image, whatever its name.
  };
  await withFiles(files, async (folder) => {
    await Deno.symlink(`${folder}/nowhere.jpg`, `${folder}/dog/5.jpg`);
    const { dataset, skipped } = await imageFolder(folder, { size: [height, width] });
    assert.deepEqual([...dataset.labels], [0, 0, 1]);
    assertNear(dataset.pixels.subarray(0, pixels.length), pixels, 30);
    assert.deepEqual([...dataset.pixels.subarray(2 * pixels.length)], [...pixels]);
    const reasons: [string, RegExp][] = [
      ["cat/2.jpg", /^The file must not be empty, found 0 bytes$/],
      ["cat/3.jpg", /premature end of JPEG image/],
      ["cat/4.jpg", /unsupported image format/],
      ["cat/6.jpg", /^The format must be one of \.avif, .*, found svg$/],
      ["cat/7.jpg", /^[^;]+premature end[^;]+; VipsJpeg: JPEG datastream contains no image$/],
      ["dog/1.png", /png/],
      ["dog/2.png", /^The image must have at most 89478485 pixels, found 100000 × 100000$/],
      ["dog/3.png", /corrupt header$/],
      ["dog/5.jpg", /No such file/],
    ];
    assert.deepEqual(skipped.map(({ file }) => file), reasons.map(([file]) => file));
    skipped.forEach(({ reason }, i) => assert.match(reason, reasons[i]![1]));
  });
});

for (const { name, file, tolerance, expected } of pillow) {
  Deno.test(`imageFolder() reads and resizes a file "${name}" as Pillow does, in colour and in grey`, () =>
    withFiles({ "a/1.png": Uint8Array.fromBase64(file) }, async (folder) => {
      for (const { channels, size, shorterSide, values } of expected) {
        const { dataset } = await imageFolder(folder, {
          size: size as [number, number],
          shorterSide: shorterSide ?? undefined,
          channels: channels as 1 | 3,
        });
        assert.equal(dataset.channels, channels);
        assertNear(dataset.pixels, Uint8Array.fromBase64(values), tolerance);
      }
    }));
}

Deno.test("imageFolder() resizes a ramp of 391 pixels to 48 that end in 252, as a JPEG too", async () => {
  // Column 47 reads from 382.85 on: the mean of these pixels, weighted by a triangle, is 252, as in
  // Pillow.
  const row = Uint8Array.from({ length: 391 * 391 }, (_, i) => Math.round((i % 391) * 255 / 390));
  const raw = sharp(row, { raw: { width: 391, height: 391, channels: 1 } });
  await withFiles({
    "a/1.jpg": await raw.clone().jpeg({ quality: 95 }).toBuffer(),
    "a/2.png": await raw.clone().png().toBuffer(),
  }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [48, 48], channels: 1 });
    assert.deepEqual([dataset.pixels[47], dataset.pixels[48 * 48 + 47]], [252, 252]);
  });
});

Deno.test("imageFolder() does not apply colour profiles, as Pillow", async () => {
  const raw = { width, height, channels: 3 } as const;
  const tagged = await sharp(pixels, { raw }).withIccProfile("p3").png().toBuffer();
  const { data } = decodePng(tagged); // what the file holds
  assert.notDeepEqual(data, pixels);
  await withFiles({ "a/1.png": tagged }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [height, width] });
    assert.deepEqual([...dataset.pixels], [...data]);
  });
});

Deno.test("imageFolder() lists every file that it does not read, whatever kind of file it is", async () => {
  const image = plain([1, 2, 3]);
  await withFiles({
    "cat/1.png": image,
    "cat/2.bmp": text("BM"),
    "cat/3.heic": text("ftypheic"),
    "cat/4\n5.png": image,
    "cat/folder.jpg/6.JPEG": image,
    "cat/folder.jpg/Thumbs.db": text("thumbs"),
    "cat/7.tiff": text(""),
    "dog/1.png": image,
    "other.csv": text("a,b"),
  }, async (folder) => {
    await Deno.symlink("nowhere.jpg", `${folder}/cat/broken.jpg`);
    await Deno.symlink("nowhere", `${folder}/broken`);
    await Deno.symlink("..", `${folder}/cat/round`);
    await Deno.symlink("../dog", `${folder}/cat/dogs`);
    await Deno.symlink("/dev/zero", `${folder}/cat/zero.png`);
    await Deno.symlink("../dog/1.png", `${folder}/cat/z.png`);
    assert(
      (await new Deno.Command("mkfifo", { args: [`${folder}/cat/pipe.png`] }).output()).success,
    );
    using socket = Deno.listen({ transport: "unix", path: `${folder}/cat/socket.png` });
    assert(socket);
    const { dataset, skipped } = await imageFolder(folder, { size: [2, 2] });
    assert.deepEqual([...dataset.labels], [0, 0, 0, 0, 1]);
    const name = /^The name must end in \.avif, \.gif, .*, \.webp$/;
    const kind = /^It must be a file, found a pipe, socket or device$/;
    const reasons: [string, RegExp][] = [
      ["broken", /No such file/],
      ["cat/2.bmp", name],
      ["cat/3.heic", name],
      ["cat/7.tiff", /^The file must not be empty, found 0 bytes$/],
      ["cat/broken.jpg", /No such file/],
      ["cat/dogs", /^The same folder as dog$/],
      ["cat/folder.jpg/Thumbs.db", name],
      ["cat/pipe.png", kind],
      ["cat/round/other.csv", name],
      ["cat/socket.png", kind],
      ["cat/zero.png", kind],
      ["other.csv", /^Files must be in folders of the classes$/],
    ];
    const found = skipped.filter(({ file }) => !/^cat\/round\/(broken|cat|dog)$/.test(file));
    assert.deepEqual(found.map(({ file }) => file), reasons.map(([file]) => file));
    found.forEach(({ reason }, i) => assert.match(reason, reasons[i]![1]));
  });
});

Deno.test("imageFolder() lists images whose pixels the decoder would misread", async () => {
  // A TIFF of one pixel in YCbCr without compression: its header, a directory of ten fields, and
  // the pixel.
  const fields = [
    [256, 1],
    [257, 1],
    [258, 8],
    [259, 1],
    [262, 6],
    [273, 134],
    [277, 3],
    [278, 1],
    [
      279,
      3,
    ],
    [284, 1],
  ];
  const tiff = new DataView(new ArrayBuffer(137));
  tiff.setUint32(0, 0x49492a00);
  tiff.setUint32(4, 8, true);
  tiff.setUint16(8, fields.length, true);
  fields.forEach(([tag, value], i) => {
    const at = 10 + 12 * i;
    tiff.setUint16(at, tag!, true);
    tiff.setUint16(at + 2, 3, true);
    tiff.setUint32(at + 4, 1, true);
    tiff.setUint16(at + 8, value!, true);
  });
  await withFiles({
    "a/1.png": plain([1]),
    "a/2.tif": new Uint8Array(tiff.buffer),
  }, async (folder) => {
    const { skipped } = await imageFolder(folder, { size: [1, 1] });
    assert.deepEqual(skipped, [{
      file: "a/2.tif",
      reason: "A TIFF must be in red, green and blue, found YCbCr",
    }]);
  });
});

Deno.test("imageFolder() refuses one folder for two classes", () =>
  withFiles({ "1/1.png": plain([1, 2, 3]) }, async (folder) => {
    const size = [2, 2] as const;
    await assert.rejects(imageFolder(folder, { size, classes: ["1", "1"] }), {
      name: "RangeError",
      message:
        `Reading images from the folder ${folder}: classes must differ, found "1" at 0 and at 1.`,
    });
    await Deno.symlink("1", `${folder}/2`);
    await assert.rejects(imageFolder(folder, { size }), {
      name: "Error",
      message:
        `Reading images from the folder ${folder}: each class must have a separate folder, found one folder for 1 and 2.`,
    });
  }));

Deno.test("imageFolder() finds a class whose name is in another Unicode form", () =>
  withFiles({ "cafe\u0301/1.png": plain([1, 2, 3]) }, async (folder) => {
    const { dataset } = await imageFolder(folder, { size: [2, 2], classes: ["caf\u00e9"] });
    assert.deepEqual([dataset.count, dataset.classNames], [1, ["caf\u00e9"]]);
  }));

Deno.test("imageFolder() reads more than 256 classes", () =>
  withFiles(
    Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`${1000 + n}/1.png`, plain([1])])),
    async (folder) => {
      const { dataset } = await imageFolder(folder, { size: [1, 1], channels: 1 });
      assert.deepEqual([dataset.classes, dataset.labels[299]], [300, 299]);
    },
  ));

Deno.test("imageFolder() refuses options that do not exist or are of another kind", async () => {
  const wrong: [object, string, string][] = [
    [
      { size: [2, 2], shorter_side: 3 },
      "TypeError",
      "there is no option shorter_side. Did you mean shorterSide? The options are size, shorterSide, channels, classes, " +
      "imagesPerClass, name, lazy, onProgress, signal.",
    ],
    [{}, "TypeError", "size must be [height, width] such as [224, 224], found undefined."],
    [{ size: 224 }, "TypeError", "size must be [height, width] such as [224, 224], found 224."],
    [{ size: ["2", 2] }, "TypeError", 'height must be a whole number of at least 1, found "2".'],
    [{ size: [2, 2], channels: 4 }, "RangeError", "channels must be 1 or 3, found 4."],
    [
      { size: [2, 2], classes: "cat" },
      "TypeError",
      'classes must be an array, found "cat".',
    ],
    [{ size: [2, 2], classes: [""] }, "RangeError", 'classes[0] must not be empty, found "".'],
    [
      { size: [2, 2], signal: new AbortController() },
      "TypeError",
      "signal must be an AbortSignal such as controller.signal, found an object (AbortController).",
    ],
    [{ size: [2, 2], onProgress: true }, "TypeError", "onProgress must be a function, found true."],
  ];
  for (const [options, name, message] of wrong) {
    await assert.rejects(imageFolder("/x", options as { size: [2, 2] }), {
      name,
      message: `Reading images from the folder /x: ${message}`,
    });
  }
});

Deno.test("imageFolder() reads a JPEG with EXIF data as it reads the same one without", async () => {
  const files: Files = {};
  const kinds = [{}, { progressive: true }, { chromaSubsampling: "4:4:4" }, { mozjpeg: true }];
  for (const [i, kind] of kinds.entries()) {
    const image = source().jpeg({ quality: 80, ...kind });
    files[`without/${i}.jpg`] = new Uint8Array(await image.toBuffer());
    files[`with/${i}.jpg`] = new Uint8Array(
      await image.clone().withExif({ IFD0: { Copyright: "nobody" } }).toBuffer(),
    );
    const [one, other] = [files[`without/${i}.jpg`]!, files[`with/${i}.jpg`]!];
    assert(other.length > one.length + 20);
  }
  await withFiles(files, async (folder) => {
    for (const channels of [1, 3] as const) {
      const read = async (classes: string) =>
        (await imageFolder(folder, { size: [20, 30], classes: [classes], channels })).dataset
          .pixels;
      assert.deepEqual(await read("without"), await read("with"));
    }
  });
});

Deno.test("imageFolder() survives 200 damaged files", async () => {
  const whole = [await jpeg(), photograph];
  const files: Files = { "a/0.jpg": whole[0]! };
  let state = 1;
  const random = (below: number) => (state = state * 48271 % 2147483647) % below;
  for (let n = 1; n <= 200; n++) {
    const bytes = Uint8Array.from(whole[n % 2]!);
    for (let i = 0; i < 5; i++) bytes[random(bytes.length)] = random(256);
    files[`a/${n}.jpg`] = bytes.subarray(0, n % 5 === 0 ? random(bytes.length) : undefined);
  }
  await withFiles(files, async (folder) => {
    const { dataset, skipped } = await imageFolder(folder, { size: [8, 8] });
    assert.equal(dataset.count + skipped.length, 201);
    assert(skipped.length > 40 && dataset.count > 10, `${skipped.length} skipped`);
    assert(skipped.every(({ reason }) => reason.length > 3 && !reason.includes("\n")));
  });
});

Deno.test("imageFolder() reports its progress, and stops at a signal", () =>
  withFiles(
    Object.fromEntries(
      Array.from({ length: 40 }, (_, n) => [`a/${10 + n}.png`, plain([1, 2, 3])]),
    ),
    async (folder) => {
      const seen: ImageFolderProgress[] = [];
      await imageFolder(folder, { size: [1, 1], onProgress: (progress) => seen.push(progress) });
      assert.deepEqual(seen.map(({ read }) => read), Array.from({ length: 40 }, (_, i) => i + 1));
      assert(seen.every(({ total }) => total === 40));
      assert.equal(new Set(seen.map(({ file }) => file)).size, 40);

      const reason = new Error("stopped");
      const stop = new AbortController();
      let last = 0;
      await assert.rejects(
        imageFolder(folder, {
          size: [1, 1],
          signal: stop.signal,
          onProgress: ({ read }) => {
            last = read;
            if (read === 5) stop.abort(reason);
          },
        }),
        reason,
      );
      assert(last < 40, `${last} read`);
    },
  ));

Deno.test("imageFolder() reports missing folders and images", () =>
  withFiles({
    "set/cat/1.png": plain([1, 2, 3]),
    "set/dog/1.png": text("no image"),
    "text/cat/readme.txt": text("no image"),
    "flat/1.png": plain([1, 2, 3]),
  }, async (folder) => {
    const size = [2, 2] as const;
    const cases: [string, string[] | undefined, string][] = [
      ["none", undefined, "the folder must be readable, found the error: No such"],
      ["flat", undefined, "there must be a folder for each class, found none."],
      [
        "text",
        undefined,
        "there must be images of each class, found no file in cat that ends in .avif, .gif, .jpeg, .jpg, .png, .tif, .tiff, .webp " +
        "(cat/readme.txt: The name must end in ",
      ],
      [
        "set",
        undefined,
        "there must be an image of each class, found none in dog that can be read (dog/1.png: Input buffer contains unsupported " +
        "image format).",
      ],
      [
        "set",
        ["cat", "fish", "owl"],
        "there must be a folder for each of the classes cat, fish, owl, found no fish, owl, only cat, dog.",
      ],
      [
        "flat",
        ["cat"],
        "there must be a folder for each of the classes cat, found no cat, only no folder at all.",
      ],
    ];
    for (const [set, classes, message] of cases) {
      await assert.rejects(
        imageFolder(`${folder}/${set}`, { size, classes }),
        (error: Error) => {
          assert.equal(error.name, "Error");
          const start = `Reading images from the folder ${folder}/${set}: `;
          assert(
            error.message.startsWith(start + message.replace("FOLDER", folder)),
            error.message,
          );
          return true;
        },
      );
    }
  }));

Deno.test("imageFolder() refuses invalid sizes", () =>
  withFiles({ "a/1.png": plain([1, 2, 3]) }, async (folder) => {
    const wrong: [Parameters<typeof imageFolder>[1], string][] = [
      [{ size: [0, 2] }, "height must be a whole number of at least 1, found 0."],
      [{ size: [2, 2.5] }, "width must be a whole number of at least 1, found 2.5."],
      [
        { size: [2, 2], imagesPerClass: 0 },
        "imagesPerClass must be a whole number of at least 1, found 0.",
      ],
      [
        { size: [2, 2], shorterSide: NaN },
        "shorterSide must be a whole number of at least 1, found NaN.",
      ],
      [
        { size: [2, 5], shorterSide: 4 },
        "shorterSide must be at least 5, from which 2 × 5 can be cut, found 4.",
      ],
    ];
    for (const [options, message] of wrong) {
      await assert.rejects(imageFolder(folder, options), {
        name: "RangeError",
        message: `Reading images from the folder ${folder}: ${message}`,
      });
    }
  }));
