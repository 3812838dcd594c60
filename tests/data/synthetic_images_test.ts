import assert from "node:assert/strict";
import {
  adam,
  batchNorm,
  type Classifier,
  conv2d,
  evaluate,
  fit,
  flatten,
  type ImageDataset,
  type Images,
  linear,
  normalize,
  relu,
  sequential,
  setSeed,
  syntheticImages,
  withBackend,
} from "resnet-lab";
import { assertNoLeak, testOnEachBackend } from "../_helpers.ts";

testOnEachBackend(
  "syntheticImages() gives images of CIFAR-10's shape, ten classes in turn, and says that they are no photographs",
  () =>
    assertNoLeak(() => {
      const set: ImageDataset<3, 10> = syntheticImages({ count: 25, seed: 1 });
      assert.deepEqual([set.count, set.height, set.width, set.channels, set.classes], [
        25,
        32,
        32,
        3,
        10,
      ]);
      assert.equal(set.name, "drawn images, not photographs");
      assert.deepEqual([...set.labels], Array.from({ length: 25 }, (_, i) => i % 10));
      assert.equal(new Set(set.classNames).size, 10);
    }),
);

Deno.test("syntheticImages() draws the first classes, at any size, in the middle", () => {
  const set: ImageDataset<3, 2> = syntheticImages({
    count: 200,
    seed: 1,
    size: [20, 60],
    classes: 2,
  });
  assert.deepEqual([set.height, set.width, set.classes, set.count], [20, 60, 2, 200]);
  assert.deepEqual(set.classNames, ["disc", "ring"]);
  assert.deepEqual([...set.labels], Array.from({ length: 200 }, (_, i) => i % 2));
  // The middle of a disc has another colour than the far left and right, which differ only by light
  // and noise.
  let middle = 0, side = 0;
  for (let image = 0; image < 200; image += 2) {
    const mean = (column: number) => {
      let sum = 0;
      for (let row = 8; row < 12; row++) {
        for (let i = 0; i < 12; i++) {
          sum += set.pixels[((image * 20 + row) * 60 + column) * 3 + i]!;
        }
      }
      return sum / 48 / 255;
    };
    middle += Math.abs(mean(28) - (mean(3) + mean(53)) / 2) / 100;
    side += Math.abs(mean(3) - mean(53)) / 100;
  }
  assert(middle > 0.15 && middle > 1.5 * side, `${middle} and ${side}`);
});

Deno.test("syntheticImages() draws shapes of the radii that it is given, each ratio equally often", () => {
  const side = 64, count = 200;
  /** The radii in pixels of 32 × 32, from the number of pixels that differ from the left border. */
  const radii = (radius: readonly [number, number]) => {
    const set = syntheticImages({ count, seed: 3, size: [side, side], classes: 1, radius });
    return Array.from({ length: count }, (_, image) => {
      const colour = (pixel: number) =>
        [0, 1, 2].map((channel) => set.pixels[(image * side * side + pixel) * 3 + channel]! / 255);
      const border = [0, 0, 0];
      for (let row = 0; row < side; row++) {
        colour(row * side).forEach((value, channel) => border[channel]! += value / side);
      }
      let inside = 0;
      for (let pixel = 0; pixel < side * side; pixel++) {
        const difference = colour(pixel)
          .reduce((sum, value, channel) => sum + Math.abs(value - border[channel]!), 0);
        if (difference > 1) inside++;
      }
      // A disc has 0.8 of the radius.
      return Math.sqrt(inside / Math.PI) / 0.8 / (side / 32);
    });
  };
  const median = (values: number[]) => values.sort((a, b) => a - b)[count / 2]!;
  for (const radius of [3, 6, 12]) {
    const found = median(radii([radius, radius]));
    assert(Math.abs(found / radius - 1) < 0.1, `${found} for ${radius}`);
  }
  // Half of the images lie below the geometric mean, with a standard deviation of 0.035.
  const small = radii([3, 12]).filter((radius) => radius < 6).length / count;
  assert(Math.abs(small - 0.5) < 0.12, `${small}`);
});

Deno.test("syntheticImages() draws the same images for the same seed on each backend, and others for another", async () => {
  const { pixels } = syntheticImages({ count: 30, seed: 1 });
  assert.deepEqual(syntheticImages({ count: 30, seed: 1 }).pixels, pixels);
  await withBackend("cpu", () => {
    assert.deepEqual(syntheticImages({ count: 30, seed: 1 }).pixels, pixels);
  });
  assert.notDeepEqual(syntheticImages({ count: 30, seed: 2 }).pixels, pixels);
});

Deno.test("syntheticImages(): colours and brightness say nothing about the class", () => {
  const { pixels, count } = syntheticImages({ count: 2000, seed: 1 });
  // The mean over 200 images of a class, whose means spread by about 0.25, has a standard deviation
  // of 0.018.
  const sums = Array.from({ length: 10 }, () => [0, 0, 0]);
  pixels.forEach((value, i) => sums[Math.floor(i / 3072) % 10]![i % 3]! += value / 255);
  for (const mean of sums.flat().map((sum) => sum / (count / 10) / 1024)) {
    assert(Math.abs(mean - 0.5) < 0.06, String(mean));
  }
});

Deno.test("syntheticImages(): a linear model is hardly better than guessing, a small convolutional network is", async () => {
  setSeed(1);
  const transform = normalize({ mean: 0.5, standardDeviation: 0.25 });
  const train = syntheticImages({ count: 1000, seed: 1 });
  const test = syntheticImages({ count: 1000, seed: 2 });
  const accuracy = async (model: Classifier<Images<3>, 10>, learningRate: number) => {
    using optimizer = adam(model.parameters(), { learningRate });
    const options = { optimizer, epochs: 4, batchSize: 50, transform, seed: 1 };
    const { epochs } = await fit(model, train, options);
    assert(epochs.at(-1)!.trainLoss < epochs[0]!.trainLoss);
    return (await evaluate(model, test, { transform })).accuracy;
  };
  const halving = { kernelSize: 3, stride: 2, padding: 1 };
  using flat = sequential(flatten(), linear(32 * 32 * 3, 10));
  using convolutional = sequential(
    ...[conv2d(3, 16, halving), batchNorm(16), relu()] as const,
    ...[conv2d(16, 32, halving), batchNorm(32), relu()] as const,
    ...[conv2d(32, 64, halving), batchNorm(64), relu()] as const,
    flatten(),
    linear(4 * 4 * 64, 10),
  );
  // Guessing has 0.1, with a standard deviation of 0.01.
  const [low, high] = [await accuracy(flat, 3e-4), await accuracy(convolutional, 2e-3)];
  assert(low < 0.15 && high > 0.2, `${low} and ${high}`);
});

Deno.test("syntheticImages() refuses no image, half an image, and an invalid seed", () => {
  for (const count of [0, 1.5, NaN]) {
    assert.throws(() => syntheticImages({ count, seed: 1 }), {
      name: "RangeError",
      message: `Drawing images: count must be a whole number of at least 1, found ${count}.`,
    });
  }
  for (const classes of [0, 2.5, 11]) {
    assert.throws(() => syntheticImages({ count: 1, seed: 1, classes }), {
      name: "RangeError",
      message: `Drawing images: classes must be a whole number from 1 to 10, found ${classes}.`,
    });
  }
  assert.throws(() => syntheticImages({ count: 1, seed: 1, size: [8, 0.5] }), {
    name: "RangeError",
    message: "Drawing images: width must be a whole number of at least 1, found 0.5.",
  });
  assert.throws(() => syntheticImages({ count: 1, seed: 0.5 }), {
    name: "RangeError",
    message: /^Drawing images: seed must be a whole number .*, found 0\.5\.$/,
  });
  for (
    const [radius, message] of [
      [[0, 12], "radius[0] must be from 1 to 32, found 0."],
      [[6, 5], "radius[1] must be from 6 to 32, found 5."],
      [[6, 40], "radius[1] must be from 6 to 32, found 40."],
    ] as const
  ) {
    assert.throws(() => syntheticImages({ count: 1, seed: 1, radius }), {
      name: "RangeError",
      message: `Drawing images: ${message}`,
    });
  }
});

Deno.test("syntheticImages() refuses options that do not exist or are of another kind", () => {
  const wrong: [object | undefined, string][] = [
    [
      { n: 100, seed: 1 },
      "there is no option n. Did you mean count? The options are count, seed, size, classes, radius.",
    ],
    [undefined, "the options must be an object such as { count: 1000, seed: 1 }, found undefined."],
    [{ seed: 1 }, "count must be a whole number of at least 1, found undefined."],
    [
      { count: 1, seed: 1, size: 32 },
      "size must be [height, width] such as [224, 224], found 32.",
    ],
  ];
  for (const [options, message] of wrong) {
    assert.throws(() => syntheticImages(options as { count: 1; seed: 1 }), {
      name: "TypeError",
      message: `Drawing images: ${message}`,
    });
  }
  assert.throws(() => syntheticImages({ count: 2 ** 50, seed: 1 }), {
    name: "RangeError",
    message: /^Drawing images: /,
  });
});
