import assert from "node:assert/strict";
import { alexnet, type AlexNetVariant, crossEntropy, setSeed, summary } from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";
import {
  assertEveryParameterLearns,
  assertLikePyTorch,
  assertOverfits,
  assertRefused,
  assertShapes,
  assertTrainingDiffers,
  batchOf,
  dropouts,
  readNetworks,
} from "./_helpers.ts";

type Variant = { variant: AlexNetVariant };
type Options = Variant & { inChannels: number; classes: number; width: number; imageSize: number };
const fixture = readNetworks<Options, Variant>("alexnet");
const VARIANTS = ["original", "torchvision", "d2l"] as const;

/** A quick one: 99×99 pixels become 2×2. */
const narrow = (variant: AlexNetVariant) =>
  alexnet({ variant, inChannels: 1, classes: 10, width: 1 / 16, imageSize: 99 });

for (const expected of fixture.cases) {
  Deno.test(`AlexNet (${expected.options.variant}) equals PyTorch: logits, and a training step`, () => {
    using model = alexnet(expected.options);
    assertLikePyTorch(model, expected);
  });
}

Deno.test("AlexNet of torchvision has its parameters, multiply-accumulates and shapes", () => {
  const [expected] = fixture.counts;
  assert(expected);
  using model = alexnet({ variant: "torchvision" });
  const table = summary(model, [224, 224, 3]);
  assert.deepEqual([table.parameters, table.macs], [61_100_840, 714_188_480]);
  assert.deepEqual([table.parameters, table.macs], [expected.parameters, expected.macs]);
  assertShapes(model, expected);
});

Deno.test("AlexNet of the paper has feature maps of 55, 27, 13 and 6, and two groups", async (t) => {
  using model = alexnet({ variant: "original" });
  const table = summary(model, [227, 227, 3]);
  // Convolutions 2, 4 and 5 have two groups (sections 3.2 and 3.5).
  const convolutions = [
    [55 * 55, 96, 11 * 11 * 3],
    [27 * 27, 256, 5 * 5 * 48],
    [13 * 13, 384, 3 * 3 * 256],
    [13 * 13, 384, 3 * 3 * 192],
    [13 * 13, 256, 3 * 3 * 192],
  ] as const;
  const linear = [[9216, 4096], [4096, 4096], [4096, 1000]] as const;
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  assert.equal(
    table.parameters,
    sum(convolutions.map(([, out, window]) => out * (window + 1))) +
      sum(linear.map(([from, to]) => (from + 1) * to)),
  );
  assert.equal(
    table.macs,
    sum(convolutions.map(([pixels, out, window]) => pixels * out * window)) +
      sum(linear.map(([from, to]) => from * to)),
  );
  await t.assertSnapshot(table.toString());
});

Deno.test("AlexNet of d2l has feature maps of 54, 26, 12 and 5", async (t) => {
  using model = alexnet({ variant: "d2l" });
  const table = summary(model, [224, 224, 1]);
  // Article 002's nn.Sequential, layer by layer.
  assert.deepEqual(
    table.rows.map(({ outputShape }) => outputShape.join("×")),
    [
      ...["54×54×96", "54×54×96", "26×26×96"],
      ...["26×26×256", "26×26×256", "12×12×256"],
      ...["12×12×384", "12×12×384", "12×12×384", "12×12×384", "12×12×256", "12×12×256", "5×5×256"],
      ...["6400", "4096", "4096", "4096", "4096", "4096", "4096", "10"],
    ],
  );
  assert.equal(table.parameters, 46_764_746);
  await t.assertSnapshot(table.toString());
});

Deno.test("AlexNet: width multiplies channels and hidden units, an even number for two groups", () => {
  using model = alexnet({ variant: "original", width: 0.03, imageSize: 67 });
  const shapes = [...model.namedParameters()].map(([path, { shape }]) => `${path} ${shape}`);
  // 96, 256 and 384 times 0.03 are 2.88, 7.68 and 11.52, in twos 2, 8 and 12; 4096 times 0.03 is
  // 122.88.
  assert.deepEqual(shapes.filter((shape) => !shape.includes("bias")), [
    "features.0.weight 11,11,3,2",
    "features.4.weight 5,5,1,8",
    "features.8.weight 3,3,8,12",
    "features.10.weight 3,3,6,12",
    "features.12.weight 3,3,6,8",
    "classifier.0.weight 8,122",
    "classifier.3.weight 122,122",
    "classifier.6.weight 122,1000",
  ]);
});

Deno.test("AlexNet has dropout of a half before or after the hidden layers", () => {
  const places = VARIANTS.map((variant) => {
    using model = narrow(variant);
    return dropouts(model);
  });
  // torchvision's paths; after relu in the paper (section 4.2) and in d2l.
  assert.deepEqual(places, [
    ["classifier.2 0.5", "classifier.5 0.5"],
    ["classifier.0 0.5", "classifier.3 0.5"],
    ["classifier.2 0.5", "classifier.5 0.5"],
  ]);
});

Deno.test("AlexNet: every parameter gets a finite gradient that is not zero", () => {
  for (const variant of VARIANTS) {
    setSeed(1);
    using model = narrow(variant);
    const { images, labels } = batchOf(4, 99, 1);
    assertEveryParameterLearns(
      model,
      () => crossEntropy(model.forward(images, { training: true }), labels),
    );
  }
});

Deno.test("AlexNet overfits one batch", () => {
  for (const variant of VARIANTS) {
    setSeed(3);
    using model = narrow(variant);
    const { images, labels } = batchOf(4, 99, 1);
    assertOverfits(
      model,
      () => crossEntropy(model.forward(images, { training: true }), labels),
    );
  }
});

Deno.test("AlexNet drops in training only, leaves only its output, and no tensor once disposed", () => {
  for (const variant of VARIANTS) {
    setSeed(1);
    assertTrainingDiffers(() => narrow(variant), batchOf(2, 99, 1).images);
  }
});

Deno.test("alexnet() refuses images that are too small, with the layer and the smallest size", async () => {
  // The smallest size in torchvision is 63×63.
  for (
    const [variant, at, smallest] of [
      ["original", "2×2 is left for features.7 (maxPool 3×3, stride 2)", 67],
      ["torchvision", "1×1 is left for features.12 (maxPool 3×3, stride 2)", 63],
      ["d2l", "2×2 is left for features.5 (maxPool 3×3, stride 2)", 65],
    ] as const
  ) {
    const options = { variant, inChannels: 1, width: 1 / 16 };
    const message =
      `alexnet: the images must be at least ${smallest}×${smallest}, found 32×32, of which ${at}.`;
    await assertNoLeak(() => {
      assert.throws(() => alexnet({ ...options, imageSize: 32 }), {
        name: "RangeError",
        message: `Building ${message}`,
      });
      assert.throws(() => alexnet({ ...options, imageSize: smallest - 1 }), { name: "RangeError" });
      using model = alexnet({ ...options, imageSize: smallest });
      assert.throws(() => summary(model, [32, 32, 1]), {
        name: "RangeError",
        message: `Running ${message}`,
      });
      assert.throws(
        () => summary(model, [200, smallest - 1, 1]),
        /the images must be at least .*, found 200×\d\d/,
      );
    });
  }
});

Deno.test("AlexNet of d2l for 1×224×224 refuses images of 3×227×227", () => {
  using model = alexnet({ variant: "d2l", width: 1 / 16 });
  assert.throws(() => summary(model, [227, 227, 1]), {
    name: "RangeError",
    message:
      "Running alexnet: the images must be 224×224, the option imageSize, found 227×227. Build the network with another imageSize.",
  });
  assert.throws(() => summary(model, [224, 224, 3]), {
    name: "RangeError",
    message: /^At features\.0 .* \[batch, height, width, channels 1\], found \[1, 224, 224, 3\]/,
  });
  assert.throws(() => summary(model, [224]), { name: "RangeError", message: /^At features\.0/ });
  using averaging = alexnet({ variant: "torchvision", width: 1 / 16 });
  assert.deepEqual(summary(averaging, [300, 250, 3]).rows.at(-1)?.outputShape, [1000]);
});

Deno.test("alexnet() refuses a bad option and leaves no tensor", async () => {
  for (
    const [options, kind, message] of [
      ["original", "TypeError", 'the options must be an object such as { variant: "original" }'],
      [
        {},
        "TypeError",
        'variant must be one of "original", "torchvision", "d2l", found undefined',
      ],
      [{ variant: "toString" }, "RangeError", '"d2l", found "toString"'],
      [{ variant: "original", classes: 0 }, "RangeError", "classes must be a whole number"],
      [{ variant: "original", inChannels: "3" }, "TypeError", "inChannels must be a whole number"],
      [{ variant: "original", width: 0 }, "RangeError", "width must be a finite number above 0"],
      [{ variant: "original", width: NaN }, "RangeError", "width must be a finite number above 0"],
      [{ variant: "original", width: "1" }, "TypeError", "width must be a finite number above 0"],
      [{ variant: "original", imageSize: 99.5 }, "RangeError", "imageSize must be a whole number"],
    ] as const
  ) {
    await assertRefused(() => alexnet(options as never), kind, "Building alexnet: ", message);
  }
});
