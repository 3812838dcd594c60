import assert from "node:assert/strict";
import {
  batches,
  type BatchesOptions,
  ImageDataset,
  type Images,
  memory,
  ops,
  Random,
} from "resnet-lab";
import { assertNoLeak, testOnEachBackend } from "../_helpers.ts";

/** Ten images of one pixel; pixel and class are the position. */
const ten = new ImageDataset({
  name: "ten",
  pixels: Uint8Array.from({ length: 10 }, (_, i) => i),
  labels: Uint8Array.from({ length: 10 }, (_, i) => i),
  height: 1,
  width: 1,
  channels: 1,
  classes: 10,
  classNames: [..."0123456789"],
});

type Options = Omit<BatchesOptions<Images<1>, Images<1>>, "batchSize">;

/** Returns the class numbers of each batch; asserts that the images match them. */
function pass(batchSize: number, options: Options = {}): number[][] {
  const result = [];
  for (using batch of batches(ten, { batchSize, ...options })) {
    const labels = [...batch.labels.dataSync()];
    assert.deepEqual([...batch.images.dataSync()].map((pixel) => Math.round(pixel * 255)), labels);
    result.push(labels);
  }
  return result;
}

testOnEachBackend(
  "batches go through the set in order, the last one smaller",
  () =>
    assertNoLeak(() => {
      assert.deepEqual(pass(4), [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]);
      assert.equal(batches(ten, { batchSize: 4 }).length, 3);
      assert.deepEqual(pass(10), [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]);
    }),
);

Deno.test("batches() leaves out a smaller last batch with dropLast", () => {
  assert.deepEqual(pass(4, { dropLast: true }), [[0, 1, 2, 3], [4, 5, 6, 7]]);
  assert.equal(batches(ten, { batchSize: 4, dropLast: true }).length, 2);
  assert.equal(pass(5, { dropLast: true }).length, 2);
});

Deno.test("batches() has every image once in random order", () => {
  const seen = pass(3, { shuffle: new Random(1) }).flat();
  assert.notDeepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(seen.sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

testOnEachBackend("batches() has the same order for the same seed", () => {
  assert.deepEqual(pass(3, { shuffle: new Random(1) }), pass(3, { shuffle: new Random(1) }));
  assert.notDeepEqual(pass(3, { shuffle: new Random(1) }), pass(3, { shuffle: new Random(2) }));
});

Deno.test("batches() draws a new order for each epoch", () => {
  const again = batches(ten, { batchSize: 10, shuffle: new Random(1) });
  const orders = [1, 2].map(() => {
    for (using batch of again) return [...batch.labels.dataSync()];
  });
  assert.notDeepEqual(orders[0], orders[1]);
});

Deno.test("batches() has the same order with a transform that draws random numbers", () => {
  const orders = (draws: boolean) => {
    const shuffle = new Random(1);
    return [1, 2].map(() =>
      pass(3, {
        shuffle,
        transform: (images, random) => {
          if (draws) random.uniform([2]);
          return images;
        },
      })
    );
  };
  assert.deepEqual(orders(true), orders(false));
});

Deno.test("batches() transforms the images, and frees the tensors of the transform", () =>
  assertNoLeak(() => {
    const doubled = (images: Images<1>) => {
      const kept = ops.mul(images, 255);
      return ops.add(kept, kept);
    };
    for (using batch of batches(ten, { batchSize: 10, transform: doubled })) {
      assert.deepEqual([...batch.images.dataSync()].map(Math.round), [
        ...[0, 2, 4, 6, 8, 10, 12, 14, 16, 18],
      ]);
    }
  }));

Deno.test("batches() holds two tensors at a time, and none after an epoch that ends early", () =>
  assertNoLeak(() => {
    const before = memory().tensors;
    for (using batch of batches(ten, { batchSize: 2 })) {
      assert.equal(memory().tensors, before + 2);
      if (batch.labels.dataSync()[0] === 4) break;
    }
  }));

Deno.test("Batch.dispose() frees a batch that outlives its turn", () =>
  assertNoLeak(() => {
    const all = [...batches(ten, { batchSize: 5 })];
    assert.deepEqual(all.map((batch) => batch.labels.arraySync()), [[0, 1, 2, 3, 4], [
      5,
      6,
      7,
      8,
      9,
    ]]);
    all.forEach((batch) => batch.dispose());
  }));

Deno.test("batches() leaves no tensor where a transform fails", () =>
  assertNoLeak(() => {
    const fails = (images: Images<1>) => {
      ops.mul(images, 2);
      throw new RangeError("on purpose");
    };
    assert.throws(() => [...batches(ten, { batchSize: 5, transform: fails })], /on purpose/);
  }));

for (
  const [batchSize, found] of [[0, "0"], [-1, "-1"], [2.5, "2.5"], [NaN, "NaN"], [
    Infinity,
    "Infinity",
  ]] as const
) {
  Deno.test(`batches() refuses a batchSize of ${found} before any image is read`, () => {
    assert.throws(() => batches(ten, { batchSize }), {
      name: "RangeError",
      message:
        `Making batches of "ten": batchSize must be a whole number of at least 1, found ${found}.`,
    });
  });
}

for (const dropLast of [false, true]) {
  Deno.test(`batches() refuses a batchSize above the number of images, dropLast ${dropLast}`, () => {
    assert.throws(() => batches(ten, { batchSize: 11, dropLast }), {
      name: "RangeError",
      message:
        'Making batches of "ten": batchSize must be at most 10, the number of examples, found 11.',
    });
  });
}

const untyped: [string, () => unknown, RegExp][] = [
  [
    "an option of another name",
    // @ts-expect-error: there is no option of this name; it is shuffle
    () => batches(ten, { batchSize: 2, shuffled: new Random(1) }),
    /Making batches of "ten": there is no option shuffled\. Did you mean shuffle\?/,
  ],
  [
    "a number in place of options",
    // @ts-expect-error: { batchSize: 2 }
    () => batches(ten, 2),
    /the options must be an object such as \{ batchSize: 100 \}, found 2/,
  ],
  [
    "a batchSize in words",
    // @ts-expect-error: a number
    () => batches(ten, { batchSize: "2" }),
    /TypeError: .*batchSize must be a whole number of at least 1, found "2"/,
  ],
  [
    "a shuffle that is true",
    // @ts-expect-error: a Random
    () => batches(ten, { batchSize: 2, shuffle: true }),
    /TypeError: .*shuffle must be a Random, found true/,
  ],
  [
    "a dropLast in words",
    // @ts-expect-error: true or false
    () => batches(ten, { batchSize: 2, dropLast: "no" }),
    /TypeError: .*dropLast must be true or false, found "no"/,
  ],
  [
    "a transform that is none",
    // @ts-expect-error: a function
    () => batches(ten, { batchSize: 2, transform: null }),
    /TypeError: .*transform must be a function, found null/,
  ],
  [
    "what is no set",
    // @ts-expect-error: an ImageDataset
    () => batches([ten], { batchSize: 2 }),
    /TypeError: Making batches: the data set must be an ImageDataset, or an object \{ name, count, batch \}, found \[/,
  ],
  [
    "a transform that leaves out images",
    () => [
      ...batches(ten, {
        batchSize: 2,
        transform: (x) => ops.slice(x, [0, 0, 0, 0], [1, -1, -1, -1]),
      }),
    ],
    /TypeError: .*the result of the transform must be images \[2, height, width, channels\], found a tensor of float32 \[1,/,
  ],
  [
    "a transform that gives a promise",
    // @ts-expect-error: images
    () => [...batches(ten, { batchSize: 2, transform: async (x) => await x })],
    /TypeError: .*the result of the transform must be images \[2, height, width, channels\], found a promise/,
  ],
];
for (const [name, make, message] of untyped) {
  Deno.test(`batches() refuses ${name}`, () => assertNoLeak(() => assert.throws(make, message)));
}
