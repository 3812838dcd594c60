import assert from "node:assert/strict";
import {
  crossEntropy,
  ops,
  setSeed,
  summary,
  vgg,
  type VGGArchitecture,
  vggBlock,
  type VGGDepth,
} from "resnet-lab";
import { assertClose, assertNoLeak } from "../_helpers.ts";
import {
  assertEveryParameterLearns,
  assertLikePyTorch,
  assertOverfits,
  assertRefused,
  assertShapes,
  assertTrainingDiffers,
  batchOf,
  readNetworks,
} from "./_helpers.ts";

type Kind = { architecture: VGGDepth; batchNorm: boolean };
type Options = {
  architecture: VGGDepth | VGGArchitecture;
  batchNorm: boolean;
  inChannels: number;
  classes: number;
  width: number;
  hidden: number;
  imageSize: number;
};
const fixture = readNetworks<Options, Kind>("vgg");

const narrow = (batchNorm: boolean) =>
  vgg({
    architecture: 13,
    batchNorm,
    inChannels: 1,
    classes: 10,
    width: 1 / 8,
    hidden: 32,
    imageSize: 32,
  });

for (const expected of fixture.cases) {
  const { architecture, batchNorm } = expected.options;
  Deno.test(`VGG ${architecture}${batchNorm ? " with batch norm" : ""} equals PyTorch: logits, and a training step`, () => {
    using model = vgg(expected.options);
    assertLikePyTorch(model, expected);
  });
}

Deno.test("VGG-16 has 138,357,544 parameters and 15.47 billion multiply-accumulates, and halves 224 to 112, 56, 28, 14, 7", async (t) => {
  const expected = fixture.counts.find(({ options }) => options.architecture === 16);
  assert(expected);
  using model = vgg({ architecture: 16 });
  const table = summary(model, [224, 224, 3]);
  assert.deepEqual([table.parameters, table.macs], [138_357_544, 15_470_264_320]);
  assert.deepEqual([table.parameters, table.macs], [expected.parameters, expected.macs]);
  assert.deepEqual(
    table.rows.filter(({ layer }) => layer.startsWith("maxPool")).map((row) => row.outputShape),
    [[112, 112, 64], [56, 56, 128], [28, 28, 256], [14, 14, 512], [7, 7, 512]],
  );
  assertShapes(model, expected);
  await t.assertSnapshot(table.toString());
});

Deno.test("vgg() has torchvision's parameters and multiply-accumulates at every depth", () => {
  // The linear layers are most of the parameters and the same for all depths, so they are counted
  // with 16 hidden units in place of 4096.
  const parameters = (hidden: number) => 25089 * hidden + (hidden + 1) * (hidden + 1000);
  const macs = (hidden: number) => 25088 * hidden + hidden * hidden + hidden * 1000;
  assert.equal(fixture.counts.length, 8);
  for (const expected of fixture.counts) {
    using model = vgg({ ...expected.options, hidden: 16 });
    const table = summary(model, [224, 224, 3]);
    assert.equal(table.parameters + parameters(4096) - parameters(16), expected.parameters);
    assert.equal(table.macs + macs(4096) - macs(16), expected.macs);
  }
});

Deno.test("vgg() with the blocks of d2l, for 1×224×224", () => {
  const conv_arch = [[1, 64], [1, 128], [2, 256], [2, 512], [2, 512]] as const;
  using model = vgg({ architecture: conv_arch, inChannels: 1, classes: 10, width: 1 / 4 });
  assert.deepEqual(
    summary(model, [224, 224, 1]).rows.map(({ outputShape }) => outputShape.join("×")),
    [
      ...["224×224×16", "224×224×16", "112×112×16"],
      ...["112×112×32", "112×112×32", "56×56×32"],
      ...["56×56×64", "56×56×64", "56×56×64", "56×56×64", "28×28×64"],
      ...["28×28×128", "28×28×128", "28×28×128", "28×28×128", "14×14×128"],
      ...["14×14×128", "14×14×128", "14×14×128", "14×14×128", "7×7×128"],
      ...["7×7×128", "6272", "1024", "1024", "1024", "1024", "1024", "1024", "10"],
    ],
  );
});

Deno.test("vggBlock() by hand: a padded convolution, relu, and the largest of each 2×2", async () => {
  using block = vggBlock(1, 2, { convolutions: 1 });
  const [kernel, bias] = block.parameters();
  kernel!.assign(ops.concat([ops.ones([3, 3, 1, 1]), ops.full([3, 3, 1, 1], -1)], 3));
  bias!.assign(ops.tensor([0, 5]));
  const image = ops.tensor([1, 2, 3, 4], [1, 2, 2, 1]);
  // Each 3×3 window covers all four numbers, whose sum is 10.
  assertClose(block.forward(image), [10, 0], 0);
  using normalized = vggBlock(1, 2, { convolutions: 2, batchNorm: true });
  assert.deepEqual(normalized.layers.map((layer) => layer.describe()), [
    "conv2d 1 → 2, 3×3, padding 1",
    "batchNorm 2",
    "relu",
    "conv2d 2 → 2, 3×3, padding 1",
    "batchNorm 2",
    "relu",
    "maxPool 2×2, stride 2",
  ]);
  await assertNoLeak(() =>
    assert.throws(() => vggBlock(1, 2, { convolutions: 0 }), {
      name: "RangeError",
      message: "Building vggBlock: convolutions must be a whole number of at least 1, found 0.",
    })
  );
});

Deno.test("vggBlock() with kernels of 5×5 keeps the size before its pooling, and sees two pixels far", async () => {
  const image = ops.oneHot(ops.tensor([0], [1], "int32"), 36);
  for (
    const [kernelSize, expected] of [[3, [1, 0, 0, 0, 0, 0, 0, 0, 0]], [
      5,
      [1, 1, 0, 1, 1, 0, 0, 0, 0],
    ]] as const
  ) {
    using block = vggBlock(1, 1, { convolutions: 1, kernelSize });
    const [kernel] = block.parameters();
    kernel!.assign(ops.onesLike(kernel!));
    assertClose(block.forward(ops.reshape(image, [1, 6, 6, 1])), [...expected], 0);
  }
  await assertRefused(
    () => vggBlock(1, 1, { convolutions: 1, kernelSize: 2 }),
    "RangeError",
    "Building vggBlock: ",
    "kernelSize must be an odd number, found 2.",
  );
});

Deno.test("vgg() with one 5×5 for each pair of 3×3, the shallow network of section 4.1", () => {
  const architecture = [[1, 64], [1, 128], [1, 256], [1, 512], [1, 512]] as const;
  using model = vgg({ architecture, kernelSize: 5, width: 1 / 16, hidden: 8 });
  const { rows } = summary(model, [224, 224, 3]);
  assert.deepEqual(
    rows.filter(({ layer }) => layer.startsWith("conv2d")).map(({ layer }) => layer),
    [[3, 4], [4, 8], [8, 16], [16, 32], [32, 32]].map(([from, to]) =>
      `conv2d ${from} → ${to}, 5×5, padding 2`
    ),
  );
});

Deno.test("vgg() starts with a loss near ln 10, without and with batch norm", () => {
  for (const batchNorm of [false, true]) {
    setSeed(4);
    using model = narrow(batchNorm);
    const { images, labels } = batchOf(8, 32, 1);
    const [loss] = crossEntropy(model.forward(images), labels).dataSync();
    assert(Math.abs(loss! - Math.log(10)) < 0.3, `found ${loss}`);
  }
});

Deno.test("VGG: every parameter gets a finite gradient that is not zero, but a bias that batch norm takes away", () => {
  for (const batchNorm of [false, true]) {
    setSeed(1);
    using model = narrow(batchNorm);
    const { images, labels } = batchOf(8, 32, 1);
    assertEveryParameterLearns(
      model,
      () => crossEntropy(model.forward(images, { training: true }), labels),
      // Batch norm subtracts the bias again, so its gradient is zero up to rounding errors.
      (path) => batchNorm && /features.*bias/.test(path),
    );
  }
});

Deno.test("VGG overfits one batch", () => {
  for (const batchNorm of [false, true]) {
    setSeed(2);
    using model = narrow(batchNorm);
    const { images, labels } = batchOf(4, 32, 1);
    assertOverfits(
      model,
      () => crossEntropy(model.forward(images, { training: true }), labels),
    );
  }
});

Deno.test("VGG drops in training only, leaves only its output, and no tensor once disposed", () => {
  setSeed(1);
  assertTrainingDiffers(() => narrow(false), batchOf(2, 32, 1).images);
  assertTrainingDiffers(() => narrow(true), batchOf(2, 32, 1).images);
});

Deno.test("vgg() refuses images of 16×16, with the layer and the smallest size", async () => {
  const options = { architecture: 16, inChannels: 1, width: 1 / 16, hidden: 8 } as const;
  const message =
    "vgg: the images must be at least 32×32, found 16×16, of which 1×1 is left for features.30 (maxPool 2×2, stride 2).";
  await assertNoLeak(() => {
    assert.throws(() => vgg({ ...options, imageSize: 16 }), {
      name: "RangeError",
      message: `Building ${message}`,
    });
    assert.throws(() => vgg({ ...options, imageSize: 31 }), { name: "RangeError" });
    using model = vgg({ ...options, imageSize: 32 });
    assert.throws(() => summary(model, [16, 16, 1]), {
      name: "RangeError",
      message: `Running ${message}`,
    });
    // Feature maps of larger images are averaged.
    assert.deepEqual(summary(model, [70, 40, 1]).rows.at(-1)?.outputShape, [1000]);
  });
});

Deno.test("vgg() refuses a bad option and leaves no tensor", async () => {
  for (
    const [options, kind, message] of [
      [16, "TypeError", "the options must be an object such as { architecture: 16 }, found 16"],
      [
        { architecture: 12 },
        "RangeError",
        "architecture must be one of 11, 13, 16, 19 or blocks such as [[1, 64], [2, 128]], found 12",
      ],
      [{ architecture: [] }, "TypeError", "found []"],
      [{ architecture: [[1, 8], 16] }, "TypeError", "found [[1, 8], 16]"],
      [{}, "TypeError", "found undefined"],
      [
        { architecture: [[1, 8], [0, 8]] },
        "RangeError",
        "the number of convolutions of block 1 must be a whole number of at least 1, found 0",
      ],
      [
        { architecture: [[1, 1.5]] },
        "RangeError",
        "the number of channels of block 0 must be a whole number of at least 1, found 1.5",
      ],
      [
        { architecture: 11, kernelSize: 4 },
        "RangeError",
        "kernelSize must be an odd number, found 4",
      ],
      [{ architecture: 11, kernelSize: 0 }, "RangeError", "kernelSize must be a whole number"],
      [{ architecture: 11, hidden: 0 }, "RangeError", "hidden must be a whole number"],
      [{ architecture: 11, classes: 0 }, "RangeError", "classes must be a whole number"],
      [{ architecture: 11, inChannels: 0 }, "RangeError", "inChannels must be a whole number"],
      [{ architecture: 11, width: -1 }, "RangeError", "width must be a finite number above 0"],
      [{ architecture: 11, imageSize: 0 }, "RangeError", "imageSize must be a whole number"],
    ] as const
  ) {
    await assertRefused(() => vgg(options as never), kind, "Building vgg: ", message);
  }
});
