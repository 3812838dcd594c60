import assert from "node:assert/strict";
import { crossEntropy, nin, ninBlock, ops, setSeed, summary } from "resnet-lab";
import { assertClose, assertNoLeak } from "../_helpers.ts";
import {
  assertEveryParameterLearns,
  assertLikePyTorch,
  assertOverfits,
  assertRefused,
  assertTrainingDiffers,
  batchOf,
  readNetworks,
} from "./_helpers.ts";

const fixture = readNetworks<{ inChannels: number; classes: number; width: number }>("nin");
const narrow = () => nin({ width: 1 / 4 });

for (const expected of fixture.cases) {
  Deno.test("NiN equals PyTorch: logits, and a training step", () => {
    using model = nin(expected.options);
    assertLikePyTorch(model, expected);
  });
}

Deno.test("NiN has feature maps of 54, 26, 12, 5, then 10 classes", async (t) => {
  using model = nin();
  assert.deepEqual(
    summary(model, [224, 224, 1], { depth: 2 }).rows.map(({ outputShape }) => outputShape),
    [
      ...[[54, 54, 96], [26, 26, 96]],
      ...[[26, 26, 256], [12, 12, 256]],
      ...[[12, 12, 384], [5, 5, 384], [5, 5, 384]],
      ...[[5, 5, 10], [10]],
    ],
  );
  const table = summary(model, [224, 224, 1]);
  const blocks = [
    [54 * 54, 11 * 11, 96],
    [26 * 26, 25 * 96, 256],
    [12 * 12, 9 * 256, 384],
    [5 * 5, 9 * 384, 10],
  ] as const;
  const sum = (numbers: number[]) => numbers.reduce((total, number) => total + number, 0);
  assert.equal(
    table.parameters,
    sum(blocks.map(([, window, out]) => (window + 1) * out + 2 * (out + 1) * out)),
  );
  assert.equal(
    table.macs,
    sum(blocks.map(([pixels, window, out]) => pixels * out * (window + 2 * out))),
  );
  await t.assertSnapshot(table.toString());
});

Deno.test("ninBlock() by hand: a convolution, then each pixel's channels through two small layers", () => {
  using block = ninBlock(1, 2, { kernelSize: 2 });
  const [kernel, bias, mix, mixBias, last, lastBias] = block.parameters();
  kernel!.assign(ops.tensor([1, -1, 1, 0, 1, 0, 1, 0], [2, 2, 1, 2]));
  bias!.assign(ops.tensor([0, 2]));
  mix!.assign(ops.tensor([1, 2, 3, -4], [1, 1, 2, 2]));
  mixBias!.assign(ops.tensor([0, 1]));
  last!.assign(ops.tensor([1, 0, 1, 1], [1, 1, 2, 2]));
  lastBias!.assign(ops.tensor([-20, 1]));
  // relu(1 + 2 + 3 + 4, 2 − 1) = (10, 1); relu(10 + 3, 20 − 4 + 1) = (13, 17); relu(13 + 17 − 20,
  // 17 + 1).
  assertClose(block.forward(ops.tensor([1, 2, 3, 4], [1, 2, 2, 1])), [10, 18], 0);
});

Deno.test("NiN: width leaves the classes alone", () => {
  using model = nin({ inChannels: 3, classes: 7, width: 1 / 8 });
  const table = summary(model, [67, 67, 3], { depth: 2 });
  assert.deepEqual(table.rows.filter((_, i) => i % 2 === 0).map((row) => row.outputShape.at(-1)), [
    ...[12, 32, 48, 48, 7],
  ]);
});

Deno.test("NiN: every parameter gets a finite gradient that is not zero", () => {
  setSeed(1);
  using model = narrow();
  const { images, labels } = batchOf(6, 99, 1);
  assertEveryParameterLearns(
    model,
    () => crossEntropy(model.forward(images, { training: true }), labels),
  );
});

Deno.test("NiN starts with every class open to every image", () => {
  const { images } = batchOf(4, 67, 1);
  for (let seed = 0; seed < 5; seed++) {
    setSeed(seed);
    using model = narrow();
    assert(ops.min(model.forward(images)).dataSync()[0]! > 0, `seed ${seed}`);
  }
});

Deno.test("NiN overfits one batch", () => {
  setSeed(1);
  using model = narrow();
  const { images, labels } = batchOf(4, 99, 1);
  assertOverfits(
    model,
    () => crossEntropy(model.forward(images, { training: true }), labels),
  );
});

Deno.test("NiN drops in training only, leaves only its output, and no tensor once disposed", () => {
  setSeed(1);
  assertTrainingDiffers(narrow, batchOf(2, 99, 1).images);
});

Deno.test("nin() refuses images of 32×32, with the layer and the smallest size", async () => {
  using model = narrow();
  await assertNoLeak(() =>
    assert.throws(() => summary(model, [32, 32, 1]), {
      name: "RangeError",
      message:
        "Running nin: the images must be at least 67×67, found 32×32, of which 2×2 is left for features.3 (maxPool 3×3, stride 2).",
    })
  );
  assert.throws(() => summary(model, [66, 67, 1]), { name: "RangeError" });
  assert.deepEqual(summary(model, [67, 67, 1]).rows.at(-1)?.outputShape, [10]);
});

Deno.test("nin() refuses a bad option and leaves no tensor", async () => {
  for (
    const [options, kind, message] of [
      [10, "TypeError", "the options must be an object such as { classes: 10 }, found 10"],
      [{ classes: 0 }, "RangeError", "classes must be a whole number of at least 1, found 0"],
      [{ inChannels: 1.5 }, "RangeError", "inChannels must be a whole number of at least 1, found"],
      [{ width: -1 }, "RangeError", "width must be a finite number above 0, found -1"],
    ] as const
  ) {
    await assertRefused(() => nin(options as never), kind, "Building nin: ", message);
  }
});
