import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { extractFeatures, ImageDataset, ops } from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

/** Four images of 1 × 2 with 3 channels: the pixels of image i are 10 i, 10 i + 1, …, 10 i + 5. */
const parts = {
  name: "four",
  pixels: Uint8Array.from([0, 10, 20, 30].flatMap((ten) => [0, 1, 2, 3, 4, 5].map((i) => ten + i))),
  labels: new Uint8Array([1, 0, 1, 0]),
  height: 1,
  width: 2,
  channels: 3 as const,
  classes: 2 as const,
  classNames: ["cat", "dog"],
};
const four = new ImageDataset(parts);

/** 30 images of one pixel: 20 of class 0, then 10 of class 1; the pixel is the position. */
const uneven = new ImageDataset({
  name: "uneven",
  pixels: Uint8Array.from({ length: 30 }, (_, i) => i),
  labels: Uint8Array.from({ length: 30 }, (_, i) => i < 20 ? 0 : 1),
  height: 1,
  width: 1,
  channels: 1,
  classes: 2,
  classNames: ["many", "few"],
});

testOnEachBackend("images() returns all images as float32 from 0 to 1", () =>
  assertNoLeak(() => {
    const images = four.images();
    assert.deepEqual(images.shape, [4, 1, 2, 3]);
    assert.equal(images.dtype, "float32");
    assertClose(images, [...parts.pixels].map((pixel) => pixel / 255), 1e-7);
    images.dispose();
  }));

testOnEachBackend("images() returns exactly 0 and 1 for black and white", () => {
  const extremes = new ImageDataset({
    ...parts,
    pixels: Uint8Array.from({ length: 24 }, (_, i) => i % 2 * 255),
  });
  const images = extremes.images();
  assert.deepEqual([...images.dataSync()], Array.from({ length: 24 }, (_, i) => i % 2));
  images.dispose();
});

testOnEachBackend(
  "float32 pixels are given as they are, also in parts of the set",
  () =>
    assertNoLeak(() => {
      const pixels = Float32Array.from({ length: 24 }, (_, i) => i / 7 - 2);
      const set = new ImageDataset({ ...parts, pixels });
      const [one] = set.split(0.5, { seed: 1 });
      const tensors = [set.images(), set.images([2, 0]), set.subset([3]).images(), one.images()];
      const image = (i: number) => [...pixels.subarray(6 * i, 6 * i + 6)];
      assert.deepEqual([...tensors[0]!.dataSync()], [...pixels]);
      assert.deepEqual([...tensors[1]!.dataSync()], [...image(2), ...image(0)]);
      assert.deepEqual([...tensors[2]!.dataSync()], image(3));
      assert.equal(tensors[3]!.shape[0], 2);
      assert.deepEqual([...set.take(1).pixels], image(0));
      tensors.forEach((tensor) => tensor.dispose());
    }),
);

testOnEachBackend(
  "images and labelTensor give those at indices, in their order, also twice",
  () =>
    assertNoLeak(() => {
      for (const indices of [[3, 0, 3], new Int32Array([3, 0, 3])]) {
        const images = four.images(indices);
        const labels = four.labelTensor(indices);
        assert.deepEqual(images.shape, [3, 1, 2, 3]);
        const expected = [30, 31, 32, 33, 34, 35, 0, 1, 2, 3, 4, 5, 30, 31, 32, 33, 34, 35];
        assertClose(images, expected.map((pixel) => pixel / 255), 1e-7);
        assert.equal(labels.dtype, "int32");
        assert.deepEqual([...labels.dataSync()], [0, 1, 0]);
        images.dispose();
        labels.dispose();
      }
    }),
);

testOnEachBackend("labelTensor() returns all class numbers", () => {
  const labels = four.labelTensor();
  assert.equal(labels.dtype, "int32");
  assert.deepEqual(labels.arraySync(), [1, 0, 1, 0]);
  labels.dispose();
});

Deno.test("subset() and take() return separate sets", () => {
  const subset = four.subset([2, 1]);
  assert.deepEqual([...subset.pixels], [20, 21, 22, 23, 24, 25, 10, 11, 12, 13, 14, 15]);
  assert.deepEqual([...subset.labels], [1, 0]);
  assert.equal(subset.count, 2);
  assert.deepEqual({ ...subset, pixels: 0, labels: 0 }, {
    ...parts,
    pixels: 0,
    labels: 0,
  });
  const first = four.take(1);
  assert.deepEqual([...first.pixels], [0, 1, 2, 3, 4, 5]);
  assert.deepEqual([...first.labels], [1]);
});

Deno.test("split() divides every class, loses no image and keeps the order", () => {
  const [first, rest] = uneven.split(0.8, { seed: 3 });
  assert.deepEqual([first.count, rest.count], [24, 6]);
  assert.equal(first.labels.filter((label) => label === 0).length, 16);
  assert.equal(rest.labels.filter((label) => label === 1).length, 2);
  assert.deepEqual(
    [...first.pixels, ...rest.pixels].sort((a, b) => a - b),
    [...uneven.pixels],
  );
  for (const { pixels, labels } of [first, rest]) {
    assert.deepEqual([...pixels], [...pixels].sort((a, b) => a - b));
    assert.deepEqual([...labels], [...pixels].map((pixel) => uneven.labels[pixel]));
  }
});

Deno.test("split() is the same for the same seed, and another for another", () => {
  const pixels = (seed: number) => [...uneven.split(0.5, { seed })[0].pixels];
  assert.deepEqual(pixels(1), pixels(1));
  assert.notDeepEqual(pixels(1), pixels(2));
});

Deno.test("kFold() puts each image into one validation set, and all others into its training", () => {
  const set = uneven.subset([...uneven.labels.keys()]);
  const smallest = Math.min(
    ...uneven.classNames.map((_, label) => uneven.labels.filter((other) => other === label).length),
  );
  const folds = set.kFold(smallest, { seed: 2 });
  assert.equal(folds.length, smallest);
  const seen: number[] = [];
  for (const [training, validation] of folds) {
    assert.equal(training.count + validation.count, set.count);
    assert.equal(new Set(validation.labels).size, set.classes);
    assert.equal(new Set(training.labels).size, set.classes);
    seen.push(...validation.labels);
    assert(Math.abs(validation.count - set.count / smallest) < 1);
  }
  assert.deepEqual(seen.sort(), [...set.labels].sort());
  const numbers = (seed: number) =>
    set.kFold(2, { seed }).map(([training]) => [...training.pixels]);
  assert.deepEqual(numbers(1), numbers(1));
  assert.notDeepEqual(numbers(1), numbers(2));
  assert.throws(() => set.kFold(smallest + 1, { seed: 1 }), {
    name: "RangeError",
    message: new RegExp(
      `each class must have at least ${
        smallest + 1
      } images, one for each fold, found ${smallest} of`,
    ),
  });
  assert.throws(() => set.kFold(1, { seed: 1 }), /whole number of at least 2, found 1/);
});

Deno.test("split() leaves at least one image of each class on either side", () => {
  for (const [fraction, counts] of [[0.999, [28, 2]], [0.001, [2, 28]]] as const) {
    const sets = uneven.split(fraction, { seed: 1 });
    assert.deepEqual(sets.map(({ count }) => count), counts);
    for (const { labels } of sets) assert.deepEqual([...new Set(labels)], [0, 1]);
  }
  // A class without images is in neither set.
  assert.deepEqual(four.subset([0, 2]).split(0.5, { seed: 1 }).map(({ count }) => count), [1, 1]);
});

const thousand = {
  ...parts,
  classes: 1000,
  classNames: Array.from({ length: 1000 }, (_, i) => `class ${i}`),
};

testOnEachBackend(
  "labelTensor() returns class numbers of any size, in parts of the set too",
  () => {
    const set = new ImageDataset({ ...thousand, labels: Int32Array.of(300, 999, 0, 255) });
    assert(set.labels instanceof Int32Array);
    const tensors = [set.labelTensor(), set.labelTensor([1, 0]), set.subset([1]).labelTensor()];
    assert.deepEqual(tensors.map((tensor) => [...tensor.dataSync()]), [
      [300, 999, 0, 255],
      [999, 300],
      [999],
    ]);
    assert.deepEqual([...set.take(2).labels], [300, 999]);
    tensors.forEach((tensor) => tensor.dispose());
  },
);

for (
  const Kind of [
    Uint16Array,
    Int16Array,
    Uint32Array,
    Int32Array,
    Float16Array,
    Float32Array,
    Float64Array,
  ]
) {
  Deno.test(`ImageDataset accepts labels from a ${Kind.name}, part of a buffer or whole`, () => {
    const labels = Kind.of(7, 300, 999, 0, 2).subarray(1);
    assert.deepEqual([...new ImageDataset({ ...thousand, labels }).labels], [300, 999, 0, 2]);
  });
}

Deno.test("ImageDataset accepts labels from plain arrays and of 64 bits", () => {
  for (
    const labels of [[300, 999, 0, 2], [300n, 999n, 0n, 2n], BigInt64Array.of(300n, 999n, 0n, 2n)]
  ) {
    assert.deepEqual([...new ImageDataset({ ...thousand, labels }).labels], [300, 999, 0, 2]);
  }
});

Deno.test("ImageDataset copies labels and names, so that later changes of them have no effect", () => {
  const labels = Int32Array.of(1, 0, 1, 0), classNames = ["cat", "dog"];
  const set = new ImageDataset({ ...parts, labels, classNames });
  labels.fill(77);
  classNames[0] = "";
  assert.deepEqual([[...set.labels], set.classNames], [[1, 0, 1, 0], ["cat", "dog"]]);
  const tensor = set.labelTensor();
  tensor.dataSync().fill(5);
  tensor.dispose();
  assert.deepEqual([...set.labels], [1, 0, 1, 0]);
});

/** Two black and white pixels. */
const blackWhite = {
  ...parts,
  labels: [0],
  height: 1,
  width: 2,
  channels: 1 as const,
  pixels: Uint8Array.of(0, 255),
};
const shared = new Uint8Array(new SharedArrayBuffer(2));
shared[1] = 255;

for (
  const [what, pixels, expected] of [
    ["of a canvas", Uint8ClampedArray.of(0, 255), [0, 1]],
    ["in a Buffer", Buffer.from([0, 255]), [0, 1]],
    ["in shared memory", shared, [0, 1]],
    ["in memory that can grow", growing(), [0, 1]],
    ["of float16", Float16Array.of(0, 255), [0, 255]],
    ["of float64", Float64Array.of(0.25, -3), [0.25, -3]],
  ] as const
) {
  testOnEachBackend(`ImageDataset reads pixels ${what} by their meaning`, () => {
    const set = new ImageDataset({ ...blackWhite, pixels });
    const images = [set.images(), set.images([0]), set.subset([0]).images()];
    for (const image of images) {
      assert.deepEqual([...image.dataSync()], expected);
      image.dispose();
    }
    const kinds = [Uint8Array, Float32Array].map((Kind) => set.pixels.constructor === Kind);
    assert(kinds.includes(true) && set.pixels.buffer instanceof ArrayBuffer);
  });
}

function growing(): Uint8Array {
  const bytes = new Uint8Array(new ArrayBuffer(2, { maxByteLength: 100 }));
  bytes[1] = 255;
  return bytes;
}

Deno.test("ImageDataset reports pixels that were transferred to another thread", () => {
  const pixels = Uint8Array.of(7, 8);
  const set = new ImageDataset({ ...blackWhite, pixels });
  structuredClone(pixels, { transfer: [pixels.buffer] });
  for (const read of [() => set.images(), () => set.images([0]), () => set.subset([0])]) {
    assert.throws(read, { name: "TypeError", message: /transferred to another/ });
  }
});

/** Values that the types refuse, as a cell could pass them to the constructor. */
const misfits: [object, string, string][] = [
  [
    { labels: [0, 1, 2, 0] },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found 2 at image 2.",
  ],
  [
    { labels: [0, 1, -1, 0] },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found -1 at image 2.",
  ],
  [
    { labels: Int8Array.of(0, 1, -1, 0) },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found -1 at image 2.",
  ],
  [
    { labels: [0, 0.5, 1, 0] },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found 0.5 at image 1.",
  ],
  [
    { labels: Float32Array.of(0, 0.5, 1, 0) },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found 0.5 at image 1.",
  ],
  [
    { labels: [0, NaN, 1, 0] },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found NaN at image 1.",
  ],
  [
    { labels: BigInt64Array.of(0n, 1n, 2n ** 62n, 0n) },
    "RangeError",
    "labels must be whole numbers from 0 to 1, found 4611686018427387904 at image 2.",
  ],
  [
    { labels: ["0", "1", "0", "1"] },
    "TypeError",
    'labels must be whole numbers from 0 to 1, found "0" at image 0.',
  ],
  [
    { labels: [true, false, true, false] },
    "TypeError",
    "labels must be whole numbers from 0 to 1, found true at image 0.",
  ],
  [
    { labels: [0, , 1, 0] },
    "TypeError",
    "labels must be whole numbers from 0 to 1, found undefined at image 1.",
  ],
  [
    { labels: new Set([0, 1]) },
    "TypeError",
    "labels must be an array of class numbers, found an object (Set). The numbers of a tensor are in its dataSync().",
  ],
  [
    { labels: new DataView(new ArrayBuffer(4)) },
    "TypeError",
    "labels must be an array of class numbers, found an object (DataView). The numbers of a tensor are in its dataSync().",
  ],
  ...([["a Uint16Array", new Uint16Array(24)], ["a Int8Array", new Int8Array(24)]] as const).map((
    [kind, pixels],
  ): [object, string, string] => [
    { pixels },
    "TypeError",
    `pixels must be a Uint8Array of bytes or a Float32Array of numbers that are used unchanged, found ${kind}. ` +
    "Convert them with Uint8Array.from(pixels) or, for 16 bits, Float32Array.from(pixels, (x) => x / 65535).",
  ]),
  [
    { pixels: Float64Array.from({ length: 24 }, (_, i) => i === 7 ? NaN : 0) },
    "RangeError",
    "pixels must be finite numbers that float32 can hold, found NaN in image 1.",
  ],
  [
    { pixels: Float64Array.from({ length: 24 }, (_, i) => i === 7 ? 1e300 : 0) },
    "RangeError",
    "pixels must be finite numbers that float32 can hold, found 1e+300 in image 1.",
  ],
  [
    { classNames: ["cat", "cat"] },
    "RangeError",
    'classNames must differ, found "cat" at 0 and at 1.',
  ],
  [{ classNames: ["cat", " "] }, "RangeError", 'classNames[1] must not be empty, found " ".'],
  [{ classNames: ["cat", 5] }, "TypeError", "classNames[1] must be a string, found 5."],
  [
    { classNames: "ab" },
    "TypeError",
    'classNames must be an array, found "ab".',
  ],
  [{ height: "1" }, "TypeError", 'height must be a whole number of at least 1, found "1".'],
  [
    { classes: undefined },
    "TypeError",
    "classes must be a whole number of at least 1, found undefined.",
  ],
];
for (const [misfit, name, message] of misfits) {
  Deno.test(`ImageDataset refuses what the types refuse: ${message.slice(0, 60)}`, () => {
    assert.throws(() => new ImageDataset({ ...parts, ...misfit }), {
      name,
      message: `Making the data set "four": ${message}`,
    });
  });
}

Deno.test("ImageDataset refuses plain arrays of pixels, which could be bytes or not", () => {
  const pixels = Array(24).fill(255) as unknown as Uint8Array;
  assert.throws(() => new ImageDataset({ ...parts, pixels }), {
    name: "TypeError",
    message:
      /: pixels must be a Uint8Array of bytes or a Float32Array .*, found a plain array\. Convert/,
  });
});

Deno.test("ImageDataset refuses options that do not exist, and names the nearest", () => {
  const { classNames: class_names, ...others } = parts;
  assert.throws(() => new ImageDataset({ ...others, class_names } as unknown as typeof parts), {
    name: "TypeError",
    message: /^Making a data set: there is no option class_names\. Did you mean classNames\?/,
  });
  assert.throws(() => four.split(0.5, { sead: 1 } as unknown as { seed: number }), {
    name: "TypeError",
    message:
      'Splitting the data set "four": there is no option sead. Did you mean seed? The options are seed.',
  });
  assert.throws(() => four.split(0.5, undefined as unknown as { seed: number }), {
    name: "TypeError",
    message: /: the options must be an object such as \{ seed: 1 \}, found undefined\.$/,
  });
  assert.throws(() => four.split(0.5, {} as unknown as { seed: number }), {
    name: "TypeError",
    message: /the seed must be a whole number .*, found undefined\.$/,
  });
});

Deno.test("a subclass of ImageDataset may have more fields", async () => {
  class Named extends ImageDataset<3, 2> {
    readonly files = ["1.png", "2.png", "3.png", "4.png"];
  }
  const named = new Named(parts);
  assert.equal(named.count, 4);
  for (const part of [named.subset([1]), named.take(1), named.split(0.5, { seed: 1 })[0]]) {
    assert(part instanceof ImageDataset);
  }
  const { count } = await extractFeatures((images) => ops.mul(images, 2), named);
  assert.equal(count, 4);
  // The fields of a set make another set.
  assert.deepEqual([...new ImageDataset({ ...four, labels: [1, 1, 1, 0] }).labels], [1, 1, 1, 0]);
});

Deno.test("ImageDataset refuses indices that are no array", () => {
  for (
    const indices of [
      0,
      null,
      "01",
      new Set([1]),
      new DataView(new ArrayBuffer(4)),
    ] as unknown as number[][]
  ) {
    assert.throws(() => four.images(indices), {
      name: "TypeError",
      message: /^Reading "four": the indices must be an array of numbers, found /,
    });
  }
  assert.throws(() => four.images([true] as unknown as number[]), /found true/);
});

const wrong: [string, () => unknown, string][] = [
  [
    "fewer labels than images",
    () => new ImageDataset({ ...parts, labels: new Uint8Array(3) }),
    'Making the data set "four": pixels must be as many images as labels, 3 of 1 × 2 × 3, found 24 pixels, which is 4 images.',
  ],
  [
    "more labels than images",
    () => new ImageDataset({ ...parts, labels: new Uint8Array(5) }),
    'Making the data set "four": pixels must be as many images as labels, 5 of 1 × 2 × 3, found 24 pixels, which is 4 images.',
  ],
  [
    "no images",
    () => new ImageDataset({ ...parts, pixels: new Uint8Array(), labels: new Uint8Array() }),
    'Making the data set "four": there must be at least one image, found 0.',
  ],
  [
    "a label that is no class",
    () => new ImageDataset({ ...parts, labels: new Uint8Array([0, 1, 2, 0]) }),
    'Making the data set "four": labels must be whole numbers from 0 to 1, found 2 at image 2.',
  ],
  [
    "a height that is no size",
    () => new ImageDataset({ ...parts, height: 0.5 }),
    'Making the data set "four": height must be a whole number of at least 1, found 0.5.',
  ],
  [
    "a class without a name",
    () => new ImageDataset({ ...parts, classes: 3 }),
    'Making the data set "four": classNames must be a name for each of 3 classes, found 2 names.',
  ],
  [
    "an empty batch",
    () => four.images([]),
    'Reading "four": there must be at least one index, found none.',
  ],
  [
    "an index after the last",
    () => four.images([0, 4]),
    'Reading "four": an index must be a whole number from 0 to 3, found 4.',
  ],
  [
    "a negative index",
    () => four.labelTensor([-1]),
    'Reading "four": an index must be a whole number from 0 to 3, found -1.',
  ],
  [
    "an index between two images",
    () => four.subset([0.5]),
    'Reading "four": an index must be a whole number from 0 to 3, found 0.5.',
  ],
  [
    "taking no image",
    () => four.take(0),
    'Taking the first images of "four": count must be a whole number from 1 to 4, found 0.',
  ],
  [
    "taking more images than there are",
    () => four.take(5),
    'Taking the first images of "four": count must be a whole number from 1 to 4, found 5.',
  ],
  [
    "a fraction that leaves nothing",
    () => four.split(1, { seed: 0 }),
    'Splitting the data set "four": the fraction must be between 0 and 1, found 1.',
  ],
  [
    "a fraction that is not a number",
    () => four.split(NaN, { seed: 0 }),
    'Splitting the data set "four": the fraction must be between 0 and 1, found NaN.',
  ],
  [
    "to split a class of one image",
    () => four.subset([0, 1, 3]).split(0.5, { seed: 0 }),
    'Splitting the data set "four": each class must have at least two images, one for each set, found one of the class ' +
    '"dog", image 0. Add images of it, or leave it out with subset().',
  ],
];
for (const [what, make, message] of wrong) {
  Deno.test(`ImageDataset refuses ${what}`, () =>
    assertNoLeak(() => assert.throws(make, { name: "RangeError", message })));
}
