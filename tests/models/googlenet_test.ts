import assert from "node:assert/strict";
import {
  crossEntropy,
  type Features,
  googlenet,
  type GoogLeNetVariant,
  type Images,
  inception,
  type Labels,
  memory,
  ops,
  type Scalar,
  setSeed,
  summary,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
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

type Kind = { variant: GoogLeNetVariant; auxiliary: boolean };
type Options = {
  variant: GoogLeNetVariant;
  inChannels: number;
  classes: number;
  width: number;
  imageSize: number;
  auxiliary: true;
};
const fixture = readNetworks<Options, Kind>("googlenet");
const VARIANTS = ["d2l", "torchvision"] as const;

/** Sizes of quick images: 65×65 become 5×5 for the heads of the d2l variant. */
const SIZE = { d2l: 65, torchvision: 32 };
const narrow = (variant: GoogLeNetVariant) =>
  googlenet({
    variant,
    inChannels: 1,
    classes: 10,
    width: 1 / 8,
    imageSize: SIZE[variant],
    auxiliary: true,
  });

/** The paper's loss. */
function loss(model: ReturnType<typeof narrow>, images: Images, labels: Labels): Scalar {
  const outputs = model.forwardWithAuxiliary(images, { training: true });
  const head = (logits: Features) => ops.mul(crossEntropy(logits, labels), 0.3);
  return ops.add(
    crossEntropy(outputs.logits, labels),
    ops.add(head(outputs.auxiliary1), head(outputs.auxiliary2)),
  );
}

for (const expected of fixture.cases) {
  testOnEachBackend(
    `GoogLeNet (${expected.options.variant}) equals PyTorch: logits, and a training step with its heads`,
    () => {
      using model = googlenet(expected.options);
      assertLikePyTorch(model, expected, (images) => {
        const { logits, auxiliary1, auxiliary2 } = model.forwardWithAuxiliary(images, {
          training: true,
        });
        return [logits, auxiliary1, auxiliary2];
      });
    },
  );
}

Deno.test("GoogLeNet of torchvision has 6,624,904 parameters, 1.50 billion multiply-accumulates and torchvision's shapes", async (t) => {
  const [without, withHeads] = fixture.counts;
  assert(without && withHeads);
  using model = googlenet({ variant: "torchvision" });
  const table = summary(model, [224, 224, 3]);
  assert.deepEqual([table.parameters, table.macs], [6_624_904, 1_498_376_192]);
  assert.deepEqual([table.parameters, table.macs], [without.parameters, without.macs]);
  assertShapes(model, without);
  await t.assertSnapshot(summary(model, [224, 224, 3], { depth: 1 }).toString());
  using larger = googlenet({ variant: "torchvision", auxiliary: true });
  const inference = summary(larger, [224, 224, 3]);
  assert.deepEqual([inference.parameters, inference.macs], [withHeads.parameters, without.macs]);
});

Deno.test("GoogLeNet has the stages b1 to b5 of d2l, and the operations of the paper's table", async (t) => {
  using model = googlenet({ variant: "d2l" });
  const table = summary(model, [224, 224, 1], { depth: 1 });
  const shape = (name: string) => table.rows.find(({ path }) => path === name)?.outputShape;
  assert.deepEqual(["maxpool1", "maxpool2", "maxpool3", "maxpool4", "avgpool"].map(shape), [
    [56, 56, 64],
    [28, 28, 192],
    [14, 14, 480],
    [7, 7, 832],
    [1024],
  ]);
  // Millions of operations in table 1 of the paper, which rounds up or down. The first convolution
  // and 5a are left out: the table's numbers do not follow from its channels.
  const paper = {
    ...{ inception3a: 128, inception3b: 304 },
    ...{ inception4a: 73, inception4b: 88, inception4c: 100, inception4d: 119, inception4e: 170 },
    inception5b: 71,
  };
  for (const [name, millions] of Object.entries(paper)) {
    const { macs } = table.rows.find(({ path }) => path === name)!;
    assert(Math.abs(macs / 1e6 - millions) < 1, `${name}: ${macs}`);
  }
  await t.assertSnapshot(table.toString());
});

Deno.test("inception() by hand: four branches of one image, joined along the channels", () => {
  for (const [variant, window] of [["d2l", 25], ["torchvision", 9]] as const) {
    using block = inception(1, [1, [1, 1], [1, 1], 1], { variant });
    const { branch1, branch2, branch3, branch4 } = block;
    [branch1, branch2, branch3, branch4].forEach((branch, i) => {
      for (const [path, parameter] of branch.namedParameters()) {
        if (/weight$/.test(path)) parameter.assign(ops.ones(parameter.shape));
        else parameter.assign(ops.full(parameter.shape, i));
      }
    });
    for (const [path, statistic] of block.namedVariables()) {
      // With this variance batch norm only adds its bias.
      if (/runningVariance/.test(path)) statistic.assign(ops.full(statistic.shape, 1 - 1e-3));
    }
    const y = block.forward(ops.tensor([1, 2, 3, 4], [1, 2, 2, 1]));
    assert.deepEqual(y.shape, [1, 2, 2, 4]);
    // Each larger window covers all four pixels: x; Σ (x + 1) + 1; Σ (x + 2) + 2; max x + 3.
    assertClose(y, [
      ...[1, 15, 20, 7],
      ...[2, 15, 20, 7],
      ...[3, 15, 20, 7],
      ...[4, 15, 20, 7],
    ]);
    assert.equal(block.parameters()[variant === "d2l" ? 8 : 12]?.size, window);
  }
});

Deno.test("GoogLeNet has batch norm in place of biases where it is asked for, and keeps its windows", () => {
  const channels = [64, [96, 128], [16, 32], 32] as const;
  const conv = (size: number, from: number, to: number) => size * size * from * to;
  const weights = conv(1, 192, 64) + conv(1, 192, 96) + conv(3, 96, 128) + conv(1, 192, 16) +
    conv(5, 16, 32) + conv(1, 192, 32);
  const outputs = 64 + 96 + 128 + 16 + 32 + 32;
  using plain = inception(192, channels),
    normalized = inception(192, channels, { batchNorm: true });
  const parameters = [plain, normalized].map((block) => summary(block, [7, 7, 192]).parameters);
  // A bias for each channel, or a weight and a bias of batch norm.
  assert.deepEqual(parameters, [weights + outputs, weights + 2 * outputs]);

  using model = googlenet({ variant: "d2l", width: 1 / 16, batchNorm: true, auxiliary: true });
  const paths = [...model.namedParameters().keys()];
  assert.equal(paths.filter((path) => path.endsWith("conv.bias")).length, 0);
  assert.equal(paths.filter((path) => path.endsWith("bn.weight")).length, 57 + 2);
  assert.deepEqual(
    model.namedParameters().get("inception3a.branch3.1.conv.weight")?.shape,
    [5, 5, 1, 2],
  );
  using without = googlenet({ variant: "torchvision", width: 1 / 16, batchNorm: false });
  assert(![...without.namedParameters().keys()].some((path) => path.includes(".bn.")));
});

Deno.test("GoogLeNet has dropout in its heads, and before its last layer in torchvision's variant", () => {
  using simplified = narrow("d2l"), torchvision = narrow("torchvision");
  const heads = ["aux1.dropout 0.7", "aux2.dropout 0.7"];
  assert.deepEqual(dropouts(simplified), heads);
  assert.deepEqual(dropouts(torchvision), ["dropout 0.2", ...heads]);
});

Deno.test("GoogLeNet: every parameter gets a finite gradient that is not zero", () => {
  for (const variant of VARIANTS) {
    setSeed(2);
    using model = narrow(variant);
    const { images, labels } = batchOf(8, SIZE[variant], 1);
    assertEveryParameterLearns(model, () => loss(model, images, labels));
  }
});

Deno.test("GoogLeNet overfits one batch", () => {
  for (const variant of VARIANTS) {
    setSeed(2);
    using model = narrow(variant);
    const { images, labels } = batchOf(4, SIZE[variant], 1);
    assertOverfits(model, () => loss(model, images, labels), {
      steps: 60,
      learningRate: variant === "torchvision" ? 0.005 : 0.002,
    });
  }
});

Deno.test("GoogLeNet drops in training only, leaves only its outputs, and no tensor once disposed", () => {
  setSeed(1);
  const { images } = batchOf(2, 65, 1);
  assertTrainingDiffers(() => narrow("torchvision"), images);
  using model = narrow("d2l");
  const before = memory().tensors;
  const outputs = model.forwardWithAuxiliary(images);
  assert.equal(memory().tensors, before + 3);
  assertClose(model.forward(images), outputs.logits, 0);
  assert.deepEqual(Object.values(outputs).map(({ shape }) => shape), [[2, 10], [2, 10], [2, 10]]);
});

Deno.test("googlenet() refuses images that are too small, with the layer and the smallest size", async () => {
  const options = { inChannels: 1, width: 1 / 8 };
  // The smallest size in torchvision is 15×15.
  const running =
    "googlenet: the images must be at least 15×15, found 14×14, of which 1×1 is left for maxpool3 (maxPool 3×3, stride 2, ceil mode).";
  await assertNoLeak(() => {
    assert.throws(() => googlenet({ ...options, variant: "torchvision", imageSize: 14 }), {
      name: "RangeError",
      message: `Building ${running}`,
    });
    using model = googlenet({ ...options, variant: "torchvision", auxiliary: true, imageSize: 15 });
    assert.throws(() => summary(model, [14, 14, 1]), {
      name: "RangeError",
      message: `Running ${running}`,
    });
    assert.deepEqual(summary(model, [15, 33, 1]).rows.at(-1)?.outputShape, [1000]);
  });
  await assertNoLeak(() => {
    assert.throws(
      () => googlenet({ ...options, variant: "d2l", auxiliary: true, imageSize: 64 }),
      {
        name: "RangeError",
        message:
          "Building googlenet: the images must be at least 65×65, found 64×64, of which 4×4 is left for aux1.pool (avgPool 5×5, stride 3).",
      },
    );
    using model = googlenet({ ...options, variant: "d2l", auxiliary: true, imageSize: 65 });
    using images = ops.ones([1, 80, 80, 1]);
    assert.throws(() => model.forwardWithAuxiliary(images), {
      name: "RangeError",
      message:
        "Running googlenet: the images must be 65×65, the option imageSize, found 80×80. Build the network with another imageSize.",
    });
  });
});

Deno.test("googlenet() and inception() refuse a bad option and leave no tensor", async () => {
  const action = "Building googlenet:";
  for (
    const [build, kind, message] of [
      [
        () => googlenet("d2l" as never),
        "TypeError",
        `${action} the options must be an object such as { variant: "d2l" }`,
      ],
      [
        () => googlenet({} as never),
        "TypeError",
        `${action} variant must be one of "d2l", "torchvision", found undefined.`,
      ],
      [
        () => googlenet({ variant: "d2l", classes: 0 }),
        "RangeError",
        `${action} classes must be a whole number of at least 1, found 0.`,
      ],
      [
        () => googlenet({ variant: "d2l", width: Infinity }),
        "RangeError",
        `${action} width must be a finite number above 0, found Infinity.`,
      ],
      [
        () => inception(3, [4, [4, 4], [4, 0], 4]),
        "RangeError",
        "Building inception: branch 3 must be a whole number of at least 1, found 0.",
      ],
      [
        () => inception(3, [4, 4 as never, [4, 4], 4]),
        "TypeError",
        "Building inception: branch 2 must be two numbers of channels such as [96, 128], found 4.",
      ],
      [
        () => inception(3, [4, [4, 4], [4, 4], 4], { variant: "original" as never }),
        "RangeError",
        'Building inception: variant must be one of "d2l", "torchvision", found "original".',
      ],
    ] as const
  ) {
    await assertRefused(build, kind, "Building ", message);
  }
});
