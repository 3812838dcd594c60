import assert from "node:assert/strict";
import {
  type AnyModule,
  cifarResnet,
  conv2d,
  type Convolution,
  crossEntropy,
  dispose,
  type Images,
  ops,
  resnet,
  resnet101,
  resnet152,
  resnet18,
  resnet34,
  resnet50,
  type ResNetOptions,
  type ResNetVersion,
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
  constantKernels,
  readNetworks,
} from "./_helpers.ts";

const VARIANTS = { 18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101, 152: resnet152 };
type Depth = keyof typeof VARIANTS;
const DEPTHS: readonly Depth[] = [18, 34, 50, 101, 152];
const VERSIONS = ["v1", "v1.5", "v2"] as const;
const SHORTCUTS = ["A", "B", "C", "none"] as const;
const BLOCKS = ["basic", "bottleneck"] as const;
const fixture = readNetworks<ResNetOptions, { depth: Depth; version: ResNetVersion }>("resnet");

/**
 * A quick one with every kind of block: the first of a stage that keeps or halves the size, and a
 * later one.
 */
const narrow = (options: Partial<ResNetOptions> = {}) =>
  resnet({
    block: "basic",
    stages: [1, 2],
    stem: "cifar",
    channels: 8,
    inChannels: 1,
    classes: 10,
    ...options,
  });

/** Every block, version and shortcut. */
const ALL = BLOCKS.flatMap((block) =>
  VERSIONS.flatMap((version) => SHORTCUTS.map((shortcut) => ({ block, version, shortcut })))
);

/** Returns the output shapes of the parts of a network. */
function shapes(model: AnyModule, input: readonly number[]): Record<string, string> {
  const { rows } = summary(model, input, { depth: 1 });
  return Object.fromEntries(rows.map(({ path, outputShape }) => [path, outputShape.join("×")]));
}

const count = (model: AnyModule) => model.parameters().reduce((total, { size }) => total + size, 0);

for (const expected of fixture.cases) {
  const { block, version, shortcut, stem, embedding } = expected.options;
  const head = embedding === undefined ? "" : ", with an embedding";
  testOnEachBackend(
    `ResNet (${block}, ${version}, shortcut ${shortcut}, stem ${stem}${head}) equals PyTorch: logits, and a training step`,
    () => {
      using model = resnet(expected.options);
      assertLikePyTorch(model, expected);
    },
  );
}

Deno.test("ResNets of 18 to 152 layers have the parameters, multiply-accumulates and shapes of torchvision and timm", () => {
  const golden: Record<string, [parameters: number, gigamacs: number]> = {
    "18 v1.5": [11_689_512, 1.814],
    "34 v1.5": [21_797_672, 3.664],
    "50 v1.5": [25_557_032, 4.089],
    "101 v1.5": [44_549_160, 7.801],
    "152 v1.5": [60_192_808, 11.514],
    "50 v1": [25_557_032, 3.858],
  };
  assert.equal(fixture.counts.length, 11);
  for (const expected of fixture.counts) {
    const { depth, version } = expected.options;
    using model = VARIANTS[depth]({ version });
    const table = summary(model, [224, 224, 3]);
    const what = `${depth} ${version}`;
    assert.deepEqual([table.parameters, table.macs], [expected.parameters, expected.macs], what);
    // The fixture has no shapes of timm's networks.
    if (version !== "v2") {
      assertShapes(model, expected);
      assert.deepEqual([table.parameters, Math.round(table.macs / 1e6) / 1e3], golden[what], what);
    }
  }
});

Deno.test("resnet() with shortcut A lacks the projections' parameters, and with C has a projection for each block", () => {
  const golden = { 18: 11_515_688, 34: 21_623_848, 50: 22_780_456 };
  for (const depth of [18, 34, 50] as const) {
    using model = VARIANTS[depth]({ shortcut: "A" });
    assert.equal(count(model), golden[depth]);
  }
  using a = resnet18({ shortcut: "A" });
  using c = resnet18({ shortcut: "C" });
  // Shortcut A leaves these out of the 1,814,073,344 for 18 layers.
  const projections = 28 * 28 * 64 * 128 + 14 * 14 * 128 * 256 + 7 * 7 * 256 * 512;
  assert.equal(summary(a, [224, 224, 3]).macs, 1_814_073_344 - projections);
  // A 1×1 convolution and a batch norm for the blocks that keep their shape: two in the first
  // stage, one in each other.
  const more = [64, 64, 128, 256, 512].reduce((sum, n) => sum + n * n + 2 * n, 0);
  assert.equal(count(c), 11_689_512 + more);
  // In v2 a projection has no batch norm.
  using b2 = narrow({ version: "v2" });
  using a2 = narrow({ version: "v2", shortcut: "A" });
  assert.equal(count(b2) - count(a2), 8 * 16);
});

Deno.test("cifarResnet() has the paper's parameters, multiply-accumulates and feature maps of 32, 16 and 8", () => {
  for (
    const [depth, parameters, gigamacs] of [
      [20, 269_722, 0.0406],
      [32, 464_154, 0.0689],
      [44, 658_586, 0.0972],
      [56, 853_018, 0.1255],
      [110, 1_727_962, 0.2529],
    ] as const
  ) {
    using model = cifarResnet({ depth });
    const table = summary(model, [32, 32, 3]);
    assert.equal(table.parameters, parameters);
    assert.equal(Math.round(table.macs / 1e5) / 1e4, gigamacs);
    // Layers with weights: the first convolution, 6n in blocks, the linear one.
    const weights = model.parameters().filter(({ rank }) => rank > 1);
    assert.equal(weights.length, depth);
    assert.deepEqual(shapes(model, [32, 32, 3]), {
      ...{ conv1: "32×32×16", bn1: "32×32×16" },
      ...{ layer1: "32×32×16", layer2: "16×16×32", layer3: "8×8×64" },
      ...{ avgpool: "1×1×64", flatten: "64", fc: "10" },
    });
  }
  // Number of weights and biases by hand: stem, then per stage two kernels and two batch norms a
  // block, then 64 × 10 + 10.
  const stage = (from: number, to: number, n: number) =>
    9 * from * to + 9 * to * to * (2 * n - 1) + 4 * to * n;
  const byHand = (n: number) =>
    9 * 3 * 16 + 2 * 16 + stage(16, 16, n) + stage(16, 32, n) + stage(32, 64, n) + 650;
  assert.equal(byHand(3), 269_722);
  using small = cifarResnet({ depth: 8, inChannels: 3 });
  assert.equal(count(small), byHand(1));
});

Deno.test("resnet18() for 1×224×224 has stages of 56, 28, 14, 7 (article 000)", async (t) => {
  using model = resnet18({ inChannels: 1, classes: 10 });
  assert.deepEqual(shapes(model, [224, 224, 1]), {
    ...{ conv1: "112×112×64", bn1: "112×112×64", maxpool: "56×56×64" },
    ...{ layer1: "56×56×64", layer2: "28×28×128", layer3: "14×14×256", layer4: "7×7×512" },
    ...{ avgpool: "1×1×512", flatten: "512", fc: "10" },
  });
  // torchvision's count, for one channel in place of three and 10 classes in place of 1000.
  assert.equal(count(model), 11_689_512 - 7 * 7 * 2 * 64 - 513 * 990);
  await t.assertSnapshot(summary(model, [224, 224, 1]).toString());
});

Deno.test("resnet18() and resnet34() with the unpadded stem, for 32×32×3 (article 003)", async (t) => {
  for (const [build, parameters] of [[resnet18, 11_689_512], [resnet34, 21_797_672]] as const) {
    using model = build({ stem: "unpadded", version: "v1", classes: 10 });
    assert.deepEqual(shapes(model, [32, 32, 3]), {
      ...{ conv1: "30×30×64", bn1: "30×30×64", maxpool: "30×30×64" },
      ...{ layer1: "30×30×64", layer2: "15×15×128", layer3: "8×8×256", layer4: "4×4×512" },
      ...{ avgpool: "1×1×512", flatten: "512", fc: "10" },
    });
    assert.equal(count(model), parameters - (7 * 7 - 3 * 3) * 3 * 64 - 513 * 990);
    using small = build({ stem: "unpadded", classes: 10, width: 1 / 16 });
    assert.deepEqual(small.forward(ops.ones([2, 32, 32, 3]), { training: true }).shape, [2, 10]);
  }
  using model = resnet({ block: "basic", stages: [1], stem: "unpadded", channels: 1, classes: 2 });
  await t.assertSnapshot(summary(model, [32, 32, 3]).toString());
});

Deno.test("resnet(): the unpadded stem by hand: a window has the pixel, the next and the ones below", () => {
  using model = constantKernels(
    resnet({
      ...{ block: "basic", stages: [1], stem: "unpadded", shortcut: "none", version: "v2" },
      ...{ channels: 1, inChannels: 1, classes: 1 },
    }),
    { conv1: 1 },
  );
  const pooled = model.maxpool!.forward(ops.tensor([5, 1, 2, 3, 4, 9], [1, 2, 3, 1]));
  assert.deepEqual([...pooled.dataSync()], [5, 9, 9, 4, 9, 9]);
  // The 3×3 window fits once: no padding.
  assert.deepEqual([...model.conv1.forward(ops.ones([1, 3, 3, 1])).dataSync()], [9]);
});

Deno.test("resnet18() to resnet152(): grey images, poolSize 4×1, an embedding of 256 and 9 classes (article 004)", () => {
  const golden = [11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808];
  DEPTHS.forEach((depth, i) => {
    const options = {
      inChannels: 1,
      classes: 9,
      stem: "cifar",
      poolSize: [4, 1],
      embedding: 256,
    } as const;
    using model = VARIANTS[depth](options);
    const channels = depth < 50 ? 512 : 2048;
    assert.deepEqual(shapes(model, [64, 20, 1]), {
      ...{ conv1: "64×20×64", bn1: "64×20×64", layer1: `64×20×${channels / 8}` },
      ...{ layer2: `32×10×${channels / 4}`, layer3: `16×5×${channels / 2}` },
      ...{ layer4: `8×3×${channels}`, avgpool: `4×1×${channels}`, flatten: `${4 * channels}` },
      ...{ embedding: "256", fc: "9" },
    });
    assert.equal(
      count(model),
      golden[i]! - 7 * 7 * 3 * 64 - (channels + 1) * 1000 +
        3 * 3 * 64 + (4 * channels + 1) * 256 + 257 * 9,
    );
    using small = VARIANTS[depth]({ ...options, width: 1 / 32 });
    const { logits, embedding } = small.forwardWithEmbedding(ops.ones([2, 64, 20, 1]));
    assert.deepEqual([logits.shape, embedding.shape], [[2, 9], [2, 256]]);
  });
});

Deno.test("forwardWithEmbedding() returns the logits of forward(), and the input of the last layer", async () => {
  for (const embedding of [undefined, 5]) {
    setSeed(1);
    using model = narrow({ embedding, poolSize: [2, 1] });
    const { images } = batchOf(3, 9, 1);
    await assertNoLeak(() => {
      const outputs = model.forwardWithEmbedding(images);
      using logits = model.forward(images);
      using again = model.fc.forward(outputs.embedding);
      assertClose(outputs.logits, logits, 0);
      assertClose(outputs.logits, again, 0);
      assert.deepEqual(outputs.embedding.shape, [3, embedding ?? 2 * 16]);
      dispose(outputs);
    });
  }
});

/** The 4×4 pixels 0 to 15. */
const large: Images<1> = ops.reshape(ops.range(0, 16), [1, 4, 4, 1]);

Deno.test("resnet() without shortcut has the parameters of shortcut A, and adds nothing", () => {
  for (const depth of [20, 56] as const) {
    using residual = cifarResnet({ depth });
    using plain = cifarResnet({ depth, shortcut: "none" });
    const parameters = (model: AnyModule) =>
      [...model.namedParameters()].map(([path, { shape }]) => `${path} ${shape}`);
    assert.deepEqual(parameters(plain), parameters(residual));
    assert.equal(summary(plain, [32, 32, 3]).macs, summary(residual, [32, 32, 3]).macs);
  }
  // In blocks of zeros only the shortcut counts, so the embedding is the mean of the first feature
  // map.
  const [residual, plain] = (["A", "none"] as const).map((shortcut) =>
    constantKernels(narrow({ shortcut, channels: 1, stages: [2, 1] }), { conv1: 1 })
  );
  assertClose(residual!.forwardWithEmbedding(large).embedding, [
    // Windows of the padded image around the pixels 0, 2, 8 and 10.
    (10 + (1 + 2 + 3 + 5 + 6 + 7) + (4 + 5 + 8 + 9 + 12 + 13) + 9 * 10) / 4,
    0,
  ]);
  assertClose(plain!.forwardWithEmbedding(large).embedding, [0, 0]);
});

Deno.test("resnet(): resnet(): the option convolution makes the 3×3 convolutions of blocks, and no other", () => {
  const asked: string[] = [];
  const made = new Set<AnyModule>();
  const convolution: Convolution = (inChannels, outChannels, options) => {
    asked.push(`${inChannels} → ${outChannels} ${JSON.stringify(options)}`);
    const layer = conv2d<number, number>(inChannels, outChannels, options);
    made.add(layer);
    return layer;
  };
  const rest = (stride: number) =>
    `{"kernelSize":3,"stride":${stride},"padding":1,"useBias":false}`;
  const isMade = (model: AnyModule) =>
    [...model.namedModules()].filter(([, module]) => made.has(module)).map(([path]) => path);
  using basic = narrow({ convolution });
  assert.deepEqual(asked.splice(0), [
    ...[`8 → 8 ${rest(1)}`, `8 → 8 ${rest(1)}`],
    ...[`8 → 16 ${rest(2)}`, `16 → 16 ${rest(1)}`, `16 → 16 ${rest(1)}`, `16 → 16 ${rest(1)}`],
  ]);
  assert.deepEqual(isMade(basic), [
    ...["layer1.0.conv1", "layer1.0.conv2"],
    ...["layer2.0.conv1", "layer2.0.conv2", "layer2.1.conv1", "layer2.1.conv2"],
  ]);
  using deep = narrow({ convolution, block: "bottleneck", version: "v1" });
  assert.deepEqual(asked.splice(0), [
    `8 → 8 ${rest(1)}`,
    `16 → 16 ${rest(1)}`,
    `16 → 16 ${rest(1)}`,
  ]);
  assert.deepEqual(isMade(deep), ["layer1.0.conv2", "layer2.0.conv2", "layer2.1.conv2"]);
  using family = cifarResnet({ depth: 8, convolution });
  using variant = resnet18({ convolution, width: 1 / 64 });
  assert.equal(asked.length, 6 + 16);
  assert.equal(isMade(family).length + isMade(variant).length, 22);
});

Deno.test("resnet50() and cifarResnet() pass on their options, and width multiplies channels", () => {
  using model = resnet50({ width: 0.03, version: "v2", shortcut: "C", inChannels: 2, classes: 4 });
  const { "layer1.0.conv1.weight": first, "layer4.0.downsample.weight": last } = Object.fromEntries(
    [...model.namedParameters()].map(([path, { shape }]) => [path, String(shape)]),
  );
  // 64 and 512 times 0.03 are 1.92 and 15.36, 1024 a quarter of 7.68's next.
  assert.deepEqual([first, last], ["1,1,2,2", "1,1,32,60"]);
  assert.deepEqual([model.conv1.weight.shape, model.fc.weight.shape], [[7, 7, 2, 2], [60, 4]]);
  using family = cifarResnet({ depth: 14, width: 1 / 4, version: "v2", shortcut: "B", classes: 3 });
  assert.deepEqual(
    [...family.namedVariables().keys()].filter((path) => !/layer.\.1|layer3/.test(path)),
    [
      "conv1.weight",
      ...block("layer1.0"),
      ...block("layer2.0"),
      "layer2.0.downsample.weight",
      ...norm("norm"),
      ...["fc.weight", "fc.bias"],
    ],
  );
  function norm(path: string) {
    return ["weight", "bias", "runningMean", "runningVariance"].map((name) => `${path}.${name}`);
  }
  function block(path: string) {
    return [1, 2].flatMap((i) => [`${path}.conv${i}.weight`, ...norm(`${path}.bn${i}`)]);
  }
});

/** The mean and the variance of numbers. */
function momentsOf(numbers: ArrayLike<number>): { mean: number; variance: number } {
  const values = Array.from(numbers);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

Deno.test("ResNets start with He's weights and batch norms that are the identity", () => {
  setSeed(1);
  using model = resnet18({ width: 1 / 2, classes: 10 });
  for (const [path, variable] of model.namedVariables()) {
    if (variable.rank > 1) continue;
    const { mean, variance } = momentsOf(variable.dataSync());
    const expected = /weight|runningVariance/.test(path) ? 1 : 0;
    assert.deepEqual([mean, variance], [expected, 0], path);
  }
  const weight = model.stages[3]!.namedParameters().get("1.conv2.weight")!;
  const { mean, variance } = momentsOf(weight.dataSync());
  // He et al. 2015: a variance of 2 for each input of a unit, here 9 · 256.
  assert(Math.abs(mean) < 1e-3 && Math.abs(variance * 9 * 256 / 2 - 1) < 0.02);
});

Deno.test("ResNets: every parameter gets a finite gradient that is not zero", () => {
  for (const options of ALL) {
    setSeed(1);
    using model = narrow({ ...options, embedding: 6 });
    const { images, labels } = batchOf(6, 9, 1);
    assertEveryParameterLearns(
      model,
      () => crossEntropy(model.forward(images, { training: true }), labels),
    );
  }
});

Deno.test("ResNets overfit one batch", () => {
  // Each block, version and shortcut once or twice.
  for (const options of ALL.filter((_, i) => i % 5 === 0)) {
    setSeed(1);
    using model = narrow(options);
    const { images, labels } = batchOf(4, 9, 1);
    assertOverfits(
      model,
      () => crossEntropy(model.forward(images, { training: true }), labels),
      { steps: 60, learningRate: 0.01 },
    );
  }
});

Deno.test("ResNets use the batch's statistics in training only, leave only their output, and no tensor once disposed", () => {
  const { images } = batchOf(3, 9, 1);
  for (const options of ALL) {
    assertTrainingDiffers(() => narrow(options), images);
  }
  for (const stem of ["imagenet", "unpadded"] as const) {
    assertTrainingDiffers(() => narrow({ stem, embedding: 4, poolSize: [2, 1] }), images);
  }
});

Deno.test("ResNets: running statistics change in training only", () => {
  for (const version of VERSIONS) {
    using model = narrow({ version });
    const { images } = batchOf(3, 9, 1);
    const statistics = () =>
      [...model.namedVariables()].filter(([path]) => /running/.test(path))
        .map(([, variable]) => [...variable.dataSync()]);
    const before = statistics();
    model.forward(images).dispose();
    assert.deepEqual(statistics(), before);
    model.forward(images, { training: true }).dispose();
    statistics().forEach((values, i) => assert.notDeepEqual(values, before[i]));
  }
});

Deno.test("resnet() refuses images with other channels, or too small for the stem", async () => {
  using model = narrow({ stem: "unpadded" });
  const conv1 = "At conv1 (conv2d 1 → 8, 3×3): ";
  await assertRefused(() => summary(model, [9, 9, 3]), "RangeError", conv1, "found [1, 9, 9, 3]");
  await assertRefused(
    () => summary(model, [9, 2, 1]),
    "RangeError",
    "Running resnet: ",
    "the images must be at least 3×3, found 9×2, of which 9×2 is left for conv1 (conv2d 1 → 8, 3×3).",
  );
  await assertRefused(() => summary(model, [9]), "RangeError", conv1, "found [1, 9]");
  assert.deepEqual(shapes(model, [3, 3, 1]).fc, "10");
  // Padding makes one pixel enough for the others.
  for (const stem of ["imagenet", "cifar"] as const) {
    using other = narrow({ stem });
    assert.equal(shapes(other, [1, 1, 1]).fc, "10");
  }
});

Deno.test("resnet() refuses a bad option and leaves no tensor", async () => {
  const right = { block: "basic", stages: [1, 1] };
  const whole = "must be a whole number of at least 1, found";
  for (
    const [options, kind, message] of [
      [
        "basic",
        "TypeError",
        'the options must be an object such as { block: "basic", stages: [2, 2, 2, 2] }, found "basic".',
      ],
      [
        { stages: [1] },
        "TypeError",
        'block must be one of "basic", "bottleneck", found undefined.',
      ],
      [
        { block: "toString", stages: [1] },
        "RangeError",
        '"basic", "bottleneck", found "toString".',
      ],
      [
        { block: "basic" },
        "TypeError",
        "stages must be an array, found undefined.",
      ],
      [{ block: "basic", stages: [] }, "RangeError", "such as [2, 2, 2, 2], found []."],
      [{ block: "basic", stages: 4 }, "TypeError", "stages must be an array, found 4."],
      [
        { block: "basic", stages: [2, 0, 2] },
        "RangeError",
        `the number of blocks of stage 2 ${whole} 0.`,
      ],
      [{ block: "basic", stages: [1.5] }, "RangeError", `blocks of stage 1 ${whole} 1.5.`],
      [{ block: "basic", stages: ["2"] }, "TypeError", `blocks of stage 1 ${whole} "2".`],
      [
        { ...right, version: "v3" },
        "RangeError",
        'version must be one of "v1", "v1.5", "v2", found "v3".',
      ],
      [
        { ...right, version: 2 },
        "TypeError",
        'version must be one of "v1", "v1.5", "v2", found 2.',
      ],
      [
        { ...right, shortcut: "D" },
        "RangeError",
        'shortcut must be one of "A", "B", "C", "none", found "D".',
      ],
      [
        { ...right, stem: "large" },
        "RangeError",
        'stem must be one of "imagenet", "cifar", "unpadded", found "large".',
      ],
      [{ ...right, channels: 0 }, "RangeError", `channels ${whole} 0.`],
      [{ ...right, width: 0 }, "RangeError", "width must be a finite number above 0, found 0."],
      [{ ...right, width: NaN }, "RangeError", "width must be a finite number above 0, found NaN."],
      [{ ...right, width: "1" }, "TypeError", 'width must be a finite number above 0, found "1".'],
      [{ ...right, classes: 0 }, "RangeError", `classes ${whole} 0.`],
      [{ ...right, inChannels: "3" }, "TypeError", `inChannels ${whole} "3".`],
      [{ ...right, embedding: 0 }, "RangeError", `embedding ${whole} 0.`],
      [
        { ...right, convolution: 3 },
        "TypeError",
        "convolution must be a function, found 3.",
      ],
    ] as const
  ) {
    await assertRefused(() => resnet(options as never), kind, "Building resnet: ", message);
  }
  for (
    const [poolSize, kind, message] of [
      [4, "TypeError", "the size [height, width] must be an array, found 4."],
      [[4], "RangeError", "size must be one number or [vertical, horizontal], found [4]."],
      [[4, 0], "RangeError", `size ${whole} 0.`],
    ] as const
  ) {
    const options = { ...right, poolSize };
    const action = "Building adaptiveAveragePool: ";
    await assertRefused(() => resnet(options as never), kind, action, message);
  }
  await assertRefused(
    () => resnet101(10 as never),
    "TypeError",
    "Building resnet101: ",
    "the options must be an object such as { classes: 10 }, found 10.",
  );
  await assertRefused(() => resnet34({ classes: -1 }), "RangeError", "Building resnet34: ", whole);
});

Deno.test("cifarResnet() refuses a depth that is not 6n + 2, with the nearest ones", async () => {
  for (
    const [depth, nearest] of [[9, [8, 14]], [13, [8, 14]], [21, [20, 26]], [18, [14, 20]], [
      111,
      [110, 116],
    ]] as const
  ) {
    await assertRefused(
      () => cifarResnet({ depth: depth as never }),
      "RangeError",
      "Building cifarResnet: ",
      `depth must be 6n + 2, such as 20, 32, 44, 56 or 110, found ${depth}. The nearest are ${
        nearest.join(" and ")
      }.`,
    );
  }
  for (
    const [options, kind, message] of [
      [{ depth: 2 }, "RangeError", "depth must be a whole number of at least 8, found 2."],
      [{ depth: 20.5 }, "RangeError", "depth must be a whole number of at least 8, found 20.5."],
      [{ depth: "20" }, "TypeError", 'depth must be a whole number of at least 8, found "20".'],
      [{}, "TypeError", "depth must be a whole number of at least 8, found undefined."],
      [20, "TypeError", "the options must be an object such as { depth: 20 }, found 20."],
    ] as const
  ) {
    await assertRefused(
      () => cifarResnet(options as never),
      kind,
      "Building cifarResnet: ",
      message,
    );
  }
  await assertRefused(
    () => cifarResnet({ depth: 20, shortcut: "D" as "B" }),
    "RangeError",
    "Building cifarResnet: ",
    'shortcut must be one of "A", "B", "C", "none", found "D".',
  );
});
