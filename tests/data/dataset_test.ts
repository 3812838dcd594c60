import assert from "node:assert/strict";
import { ImageDataset } from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";

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

testOnEachBackend("images gives all images as float32 from 0 to 1", () =>
  assertNoLeak(() => {
    const images = four.images();
    assert.deepEqual(images.shape, [4, 1, 2, 3]);
    assert.equal(images.dtype, "float32");
    assertClose(images, [...parts.pixels].map((pixel) => pixel / 255), 1e-7);
    images.dispose();
  }));

testOnEachBackend("images gives exactly 0 and 1 for black and white", () => {
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

testOnEachBackend("labelTensor gives all class numbers", () => {
  const labels = four.labelTensor();
  assert.equal(labels.dtype, "int32");
  assert.deepEqual(labels.arraySync(), [1, 0, 1, 0]);
  labels.dispose();
});

Deno.test("subset and take give sets of their own", () => {
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

Deno.test("split divides every class, loses no image and keeps the order", () => {
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

Deno.test("split is the same for the same seed, and another for another", () => {
  const pixels = (seed: number) => [...uneven.split(0.5, { seed })[0].pixels];
  assert.deepEqual(pixels(1), pixels(1));
  assert.notDeepEqual(pixels(1), pixels(2));
});

const wrong: [string, () => unknown, string][] = [
  [
    "fewer labels than images",
    () => new ImageDataset({ ...parts, labels: new Uint8Array(3) }),
    'Making the image set "four": expected as many images as labels, 3 of 1 × 2 × 3, found 24 pixels, which is 4 images.',
  ],
  [
    "more labels than images",
    () => new ImageDataset({ ...parts, labels: new Uint8Array(5) }),
    'Making the image set "four": expected as many images as labels, 5 of 1 × 2 × 3, found 24 pixels, which is 4 images.',
  ],
  [
    "no images",
    () => new ImageDataset({ ...parts, pixels: new Uint8Array(), labels: new Uint8Array() }),
    'Making the image set "four": expected at least one image, found 0.',
  ],
  [
    "a label that is no class",
    () => new ImageDataset({ ...parts, labels: new Uint8Array([0, 1, 2, 0]) }),
    'Making the image set "four": expected labels from 0 to 1, found 2 at image 2.',
  ],
  [
    "a height that is no size",
    () => new ImageDataset({ ...parts, height: 0.5 }),
    'Making the image set "four": height must be a positive integer, found 0.5.',
  ],
  [
    "a class without a name",
    () => new ImageDataset({ ...parts, classes: 3 }),
    'Making the image set "four": expected a name for each of 3 classes, found 2 names.',
  ],
  [
    "an empty batch",
    () => four.images([]),
    'Reading "four": expected at least one index, found none.',
  ],
  [
    "an index after the last",
    () => four.images([0, 4]),
    'Reading "four": expected indices from 0 to 3, found 4.',
  ],
  [
    "a negative index",
    () => four.labelTensor([-1]),
    'Reading "four": expected indices from 0 to 3, found -1.',
  ],
  [
    "an index between two images",
    () => four.subset([0.5]),
    'Reading "four": expected indices from 0 to 3, found 0.5.',
  ],
  [
    "taking no image",
    () => four.take(0),
    'Taking the first images of "four": expected an integer from 1 to 4, found 0.',
  ],
  [
    "taking more images than there are",
    () => four.take(5),
    'Taking the first images of "four": expected an integer from 1 to 4, found 5.',
  ],
  [
    "a fraction that leaves nothing",
    () => four.split(1, { seed: 0 }),
    'Splitting the image set "four": the fraction must be between 0 and 1, found 1.',
  ],
  [
    "a fraction that is not a number",
    () => four.split(NaN, { seed: 0 }),
    'Splitting the image set "four": the fraction must be between 0 and 1, found NaN.',
  ],
  [
    "to split a class of one image",
    () => four.subset([0, 1, 3]).split(0.5, { seed: 0 }),
    'Splitting the image set "four": each class must have at least two images, one for either set, found one of the class ' +
    '"dog", image 0. Add images of it, or leave it out with subset().',
  ],
];
for (const [what, make, message] of wrong) {
  Deno.test(`ImageDataset refuses ${what}`, () =>
    assertNoLeak(() => assert.throws(make, { name: "RangeError", message })));
}
