import assert from "node:assert/strict";
import {
  type AnyModule,
  basicBlock,
  bottleneck,
  cifarResnet,
  conv2d,
  type Convolution,
  crossEntropy,
  dispose,
  type Images,
  ops,
  Random,
  type ResidualBlockOptions,
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
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";
import { assertGradientsByDifferences } from "../nn/fixture.ts";
import {
  assertEveryParameterLearns,
  assertLikePyTorch,
  assertOverfits,
  assertRefused,
  assertShapes,
  assertTrainingDiffers,
  batchOf,
  readNetworks,
} from "./fixture.ts";

const VARIANTS = { 18: resnet18, 34: resnet34, 50: resnet50, 101: resnet101, 152: resnet152 };
type Depth = keyof typeof VARIANTS;
const DEPTHS: readonly Depth[] = [18, 34, 50, 101, 152];
const VERSIONS = ["v1", "v1.5", "v2"] as const;
const SHORTCUTS = ["A", "B", "C", "none"] as const;
const BLOCKS = ["basic", "bottleneck"] as const;
const fixture = readNetworks<ResNetOptions, { depth: Depth; version: ResNetVersion }>("resnet");

/**
 * One that is quick, with every kind of block: first of a stage that keeps or halves the size, and
 * not first.
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

/** The shapes that the parts of a network give. */
function shapes(model: AnyModule, input: readonly number[]): Record<string, string> {
  const { rows } = summary(model, input, { depth: 1 });
  return Object.fromEntries(rows.map(({ path, outputShape }) => [path, outputShape.join("×")]));
}

const count = (model: AnyModule) => model.parameters().reduce((total, { size }) => total + size, 0);

for (const expected of fixture.cases) {
  const { block, version, shortcut, stem, embedding } = expected.options;
  const head = embedding === undefined ? "" : ", with an embedding";
  testOnEachBackend(
    `ResNet (${block}, ${version}, shortcut ${shortcut}, stem ${stem}${head}) is PyTorch's: logits, and a training step`,
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
    // The file has no shapes where they are timm's.
    if (version !== "v2") {
      assertShapes(model, expected);
      assert.deepEqual([table.parameters, Math.round(table.macs / 1e6) / 1e3], golden[what], what);
    }
  }
});

Deno.test("shortcut A has the projections' parameters less, C a projection for each block", () => {
  const golden = { 18: 11_515_688, 34: 21_623_848, 50: 22_780_456 };
  for (const depth of [18, 34, 50] as const) {
    using model = VARIANTS[depth]({ shortcut: "A" });
    assert.equal(count(model), golden[depth]);
  }
  using a = resnet18({ shortcut: "A" });
  using c = resnet18({ shortcut: "C" });
  // What A leaves out of the 1,814,073,344 for 18 layers.
  const projections = 28 * 28 * 64 * 128 + 14 * 14 * 128 * 256 + 7 * 7 * 256 * 512;
  assert.equal(summary(a, [224, 224, 3]).macs, 1_814_073_344 - projections);
  // A 1×1 convolution and a batch norm for the blocks that keep their shape: two in the first
  // stage, one in each other.
  const more = [64, 64, 128, 256, 512].reduce((sum, n) => sum + n * n + 2 * n, 0);
  assert.equal(count(c), 11_689_512 + more);
  // In v2 a projection has no batch norm: of one channel for each of the three changes of shape.
  using b2 = narrow({ version: "v2" });
  using a2 = narrow({ version: "v2", shortcut: "A" });
  assert.equal(count(b2) - count(a2), 8 * 16);
});

Deno.test("the CIFAR family has the paper's parameters, multiply-accumulates and maps of 32, 16 and 8", () => {
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
    const kernels = [...model.namedParameters().keys()].filter((path) => /kernel|fc.w/.test(path));
    assert.equal(kernels.length, depth);
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

Deno.test("article 000's ResNet-18 has its stage table for 1×224×224: 56, 28, 14, 7", async (t) => {
  using model = resnet18({ inChannels: 1, classes: 10 });
  assert.deepEqual(shapes(model, [224, 224, 1]), {
    ...{ conv1: "112×112×64", bn1: "112×112×64", maxpool: "56×56×64" },
    ...{ layer1: "56×56×64", layer2: "28×28×128", layer3: "14×14×256", layer4: "7×7×512" },
    ...{ avgpool: "1×1×512", flatten: "512", fc: "10" },
  });
  // torchvision's, with one channel in place of three and 10 classes in place of 1000.
  assert.equal(count(model), 11_689_512 - 7 * 7 * 2 * 64 - 513 * 990);
  await t.assertSnapshot(summary(model, [224, 224, 1]).toString());
});

Deno.test("article 003's ResNets: a valid 3×3 stem and a pooling that keeps the size, for 32×32×3", async (t) => {
  for (const [build, parameters] of [[resnet18, 11_689_512], [resnet34, 21_797_672]] as const) {
    using model = build({ stem: "keras", version: "v1", classes: 10 });
    assert.deepEqual(shapes(model, [32, 32, 3]), {
      ...{ conv1: "30×30×64", bn1: "30×30×64", maxpool: "30×30×64" },
      ...{ layer1: "30×30×64", layer2: "15×15×128", layer3: "8×8×256", layer4: "4×4×512" },
      ...{ avgpool: "1×1×512", flatten: "512", fc: "10" },
    });
    assert.equal(count(model), parameters - (7 * 7 - 3 * 3) * 3 * 64 - 513 * 990);
    using small = build({ stem: "keras", classes: 10, width: 1 / 16 });
    assert.deepEqual(small.forward(ops.ones([2, 32, 32, 3]), { training: true }).shape, [2, 10]);
  }
  using model = resnet({ block: "basic", stages: [1], stem: "keras", channels: 1, classes: 2 });
  await t.assertSnapshot(summary(model, [32, 32, 3]).toString());
});

Deno.test("the stem of article 003 by hand: pooling sees the pixel, the next and the ones below", () => {
  using model = constantKernels(
    resnet({
      ...{ block: "basic", stages: [1], stem: "keras", shortcut: "none", version: "v2" },
      ...{ channels: 1, inChannels: 1, classes: 1 },
    }),
    { conv1: 1 },
  );
  const pooled = model.maxpool!.forward(ops.tensor([5, 1, 2, 3, 4, 9], [1, 2, 3, 1]));
  assert.deepEqual([...pooled.dataSync()], [5, 9, 9, 4, 9, 9]);
  // The 3×3 window fits once: no padding.
  assert.deepEqual([...model.conv1.forward(ops.ones([1, 3, 3, 1])).dataSync()], [9]);
});

Deno.test("article 004's ResNets: grey images, a grid of 4×1, an embedding of 256 and 9 classes", () => {
  const golden = [11_689_512, 21_797_672, 25_557_032, 44_549_160, 60_192_808];
  DEPTHS.forEach((depth, i) => {
    const options = {
      inChannels: 1,
      classes: 9,
      stem: "cifar",
      grid: [4, 1],
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

Deno.test("forwardWithEmbedding gives what forward gives, and what the last layer makes it of", async () => {
  for (const embedding of [undefined, 5]) {
    setSeed(1);
    using model = narrow({ embedding, grid: [2, 1] });
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

/**
 * Fills each kernel with one number, given by path, zero unless given, and makes batch norm the
 * identity.
 */
function constantKernels<M extends AnyModule>(model: M, numbers: Record<string, number>): M {
  for (const [path, variable] of model.namedVariables()) {
    const [, layer, name] = /^(.*)\.(\w+)$/.exec(path)!;
    using value = name === "kernel"
      ? ops.full(variable.shape, numbers[layer!] ?? 0)
      : name === "runningVariance"
      ? ops.full(variable.shape, 1 - 1e-5)
      : ops.clone(variable);
    variable.assign(value);
  }
  return model;
}

/** 2×2 pixels, and the 4×4 pixels 0 to 15. */
const small = ops.tensor([1, -2, 3, 4], [1, 2, 2, 1]);
const large: Images<1> = ops.reshape(ops.range(0, 16), [1, 4, 4, 1]);

Deno.test("basicBlock by hand: shortcuts that keep the shape", () => {
  const block = (options: ResidualBlockOptions, last: number) =>
    constantKernels(basicBlock(1, 1, options), {
      ...{ conv1: 1, conv2: last },
      ...{ "downsample.0": 3, downsample: 3 },
    });
  // Each 3×3 window sees all four pixels: x1 = Σ x = 6, then x2 = 4 · 6; in v2 of the positive
  // ones, 8 and 32.
  for (const version of ["v1", "v1.5"] as const) {
    for (
      const [shortcut, expected] of [
        ["A", [25, 22, 27, 28]],
        ["B", [25, 22, 27, 28]],
        ["C", [27, 18, 33, 36]],
        ["none", [24, 24, 24, 24]],
      ] as const
    ) {
      assertClose(block({ version, shortcut }, 1).forward(small), expected);
      // A relu comes behind the addition.
      assertClose(block({ version, shortcut }, -1).forward(small), [0, 0, 0, 0]);
    }
  }
  for (
    const [shortcut, expected, negative] of [
      ["A", [33, 30, 35, 36], [-31, -34, -29, -28]],
      ["B", [33, 30, 35, 36], [-31, -34, -29, -28]],
      // The projection sees what the first convolution sees, after relu: 1, 0, 3, 4.
      ["C", [35, 32, 41, 44], [-29, -32, -23, -20]],
      ["none", [32, 32, 32, 32], [-32, -32, -32, -32]],
    ] as const
  ) {
    assertClose(block({ version: "v2", shortcut }, 1).forward(small), expected);
    assertClose(block({ version: "v2", shortcut }, -1).forward(small), negative);
  }
});

Deno.test("basicBlock by hand: shortcuts that change the shape", () => {
  const block = (options: ResidualBlockOptions) =>
    constantKernels(basicBlock(1, 2, { stride: 2, ...options }), {
      ...{ "downsample.0": 2, downsample: 2 },
    });
  for (const version of VERSIONS) {
    // With kernels of zeros the shortcut alone is left. A takes every second pixel and adds a
    // channel of zeros.
    assertClose(block({ version, shortcut: "A" }).forward(large), [0, 0, 2, 0, 8, 0, 10, 0]);
    for (const shortcut of ["B", "C"] as const) {
      assertClose(block({ version, shortcut }).forward(large), [0, 0, 4, 4, 16, 16, 20, 20]);
    }
    assertClose(block({ version, shortcut: "none" }).forward(large), Array(8).fill(0));
  }
  const odd: Images<1> = ops.reshape(ops.range(0, 9), [1, 3, 3, 1]);
  assertClose(block({ shortcut: "A" }).forward(odd), [0, 0, 2, 0, 6, 0, 8, 0]);
  // In v2 option A passes negative numbers on, and a projection sees none.
  const below: Images<1> = ops.sub(large, 20);
  assertClose(block({ version: "v2", shortcut: "A" }).forward(below), [
    ...[-20, 0, -18, 0, -12, 0, -10, 0],
  ]);
  assertClose(block({ version: "v2", shortcut: "B" }).forward(below), Array(8).fill(0));
  assertClose(block({ version: "v1", shortcut: "A" }).forward(below), Array(8).fill(0));
  // More channels at the same size: article 003 asks for a stride only, and could not add.
  using wider = constantKernels(basicBlock(1, 2), { "downsample.0": 2 });
  assertClose(wider.forward(small), [2, 2, 0, 0, 6, 6, 8, 8]);
});

Deno.test("the stride by hand: in a basic block's first convolution, in a bottleneck's 3×3 but for v1", () => {
  // 3×3 windows around every second pixel: 0 + 1 + 4 + 5, and so on.
  const windows = [10, 24, 51, 90];
  const kernels = { conv1: 1, conv2: 1, conv3: 1 };
  for (const version of VERSIONS) {
    using basic = constantKernels(basicBlock(1, 1, { stride: 2, version }), kernels);
    assertClose(basic.forward(large), Array(4).fill(10 + 24 + 51 + 90));
    using block = constantKernels(bottleneck(1, 1, { stride: 2, version }), kernels);
    const y = block.forward(large);
    assert.deepEqual(y.shape, [1, 2, 2, 4]);
    // The 1×1 convolution of v1 takes the pixels 0, 2, 8 and 10, of which each window sees all.
    const expected = version === "v1" ? Array(4).fill(0 + 2 + 8 + 10) : windows;
    assertClose(y, expected.flatMap((value) => Array(4).fill(value)));
  }
});

Deno.test("a block's gradients, of its images and parameters, agree with central differences", () => {
  const x: Images<2> = new Random(4).uniform([2, 3, 3, 2], { min: -1, max: 1 });
  for (const version of VERSIONS) {
    for (const shortcut of SHORTCUTS) {
      setSeed(4);
      using block = bottleneck(2, 1, { stride: 2, version, shortcut });
      for (const [path, parameter] of block.namedParameters()) {
        // So that nothing stands where relu has its bend.
        if (path.endsWith("offset")) parameter.assign(ops.full(parameter.shape, 0.7));
      }
      assertGradientsByDifferences((images) => block.forward(images), x, block.parameters(), {
        step: 1e-3,
      });
    }
  }
});

Deno.test("the plain twin has option A's parameters, of the same names and shapes, and adds nothing", () => {
  for (const depth of [20, 56] as const) {
    using residual = cifarResnet({ depth });
    using plain = cifarResnet({ depth, shortcut: "none" });
    const parameters = (model: AnyModule) =>
      [...model.namedParameters()].map(([path, { shape }]) => `${path} ${shape}`);
    assert.deepEqual(parameters(plain), parameters(residual));
    assert.equal(summary(plain, [32, 32, 3]).macs, summary(residual, [32, 32, 3]).macs);
  }
  // Of blocks of zeros nothing is left but what was added: the embedding is the mean of the first
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

Deno.test("the option convolution makes the 3×3 convolutions of blocks, and no other", () => {
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

Deno.test("the options of variants and of the family get through, and width multiplies channels", () => {
  using model = resnet50({ width: 0.03, version: "v2", shortcut: "C", inChannels: 2, classes: 4 });
  const { "layer1.0.conv1.kernel": first, "layer4.0.downsample.kernel": last } = Object.fromEntries(
    [...model.namedParameters()].map(([path, { shape }]) => [path, String(shape)]),
  );
  // 64 and 512 times 0.03 are 1.92 and 15.36, 1024 a quarter of 7.68's next.
  assert.deepEqual([first, last], ["1,1,2,2", "1,1,32,60"]);
  assert.deepEqual([model.conv1.kernel.shape, model.fc.weight.shape], [[7, 7, 2, 2], [60, 4]]);
  using family = cifarResnet({ depth: 14, width: 1 / 4, version: "v2", shortcut: "B", classes: 3 });
  assert.deepEqual(
    [...family.namedVariables().keys()].filter((path) => !/layer.\.1|layer3/.test(path)),
    [
      "conv1.kernel",
      ...block("layer1.0"),
      ...block("layer2.0"),
      "layer2.0.downsample.kernel",
      ...norm("norm"),
      ...["fc.weight", "fc.bias"],
    ],
  );
  function norm(path: string) {
    return ["scale", "offset", "runningMean", "runningVariance"].map((name) => `${path}.${name}`);
  }
  function block(path: string) {
    return [1, 2].flatMap((i) => [`${path}.conv${i}.kernel`, ...norm(`${path}.bn${i}`)]);
  }
});

/** The mean and the variance of numbers. */
function momentsOf(numbers: ArrayLike<number>): { mean: number; variance: number } {
  const values = Array.from(numbers);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return { mean, variance };
}

Deno.test("ResNets start as the paper says: He's weights, batch norms that do nothing", () => {
  setSeed(1);
  using model = resnet18({ width: 1 / 2, classes: 10 });
  for (const [path, variable] of model.namedVariables()) {
    const { mean, variance } = momentsOf(variable.dataSync());
    if (/scale|runningVariance/.test(path)) assert.deepEqual([mean, variance], [1, 0], path);
    else if (/offset|runningMean|bias/.test(path)) assert.deepEqual([mean, variance], [0, 0], path);
  }
  const kernel = model.stages[3]!.namedParameters().get("1.conv2.kernel")!;
  const { mean, variance } = momentsOf(kernel.dataSync());
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

Deno.test("ResNets use the batch's statistics in training only, leave their output alone, and nothing once disposed", () => {
  const { images } = batchOf(3, 9, 1);
  for (const options of ALL) {
    assertTrainingDiffers(() => narrow(options), images);
  }
  for (const stem of ["imagenet", "keras"] as const) {
    assertTrainingDiffers(() => narrow({ stem, embedding: 4, grid: [2, 1] }), images);
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

Deno.test("ResNets: images with other channels, or too small for the stem, are refused with the layer", async () => {
  using model = narrow({ stem: "keras" });
  const conv1 = "At conv1 (conv2d 1 → 8, 3×3): ";
  await assertRefused(() => summary(model, [9, 9, 3]), "RangeError", conv1, "found [1, 9, 9, 3]");
  await assertRefused(() => summary(model, [9, 2, 1]), "RangeError", conv1, "2");
  await assertRefused(() => summary(model, [9]), "RangeError", conv1, "found [1, 9]");
  assert.deepEqual(shapes(model, [3, 3, 1]).fc, "10");
  // Padding makes one pixel enough for the others.
  for (const stem of ["imagenet", "cifar"] as const) {
    using other = narrow({ stem });
    assert.equal(shapes(other, [1, 1, 1]).fc, "10");
  }
});

Deno.test("a block: a bad number, option or shortcut throws and leaves nothing", async () => {
  const whole = "must be a whole number of at least 1, found";
  for (
    const [build, kind, doing, message] of [
      [
        () => basicBlock(64, 32 as never, { shortcut: "A" }),
        "RangeError",
        "Building basicBlock: ",
        "shortcut A adds channels of zeros, so outChannels must be at least the 64 that come in, found 32. Take shortcut B.",
      ],
      [
        () => bottleneck(256, 32 as never, { shortcut: "A" }),
        "RangeError",
        "Building bottleneck: ",
        "shortcut A adds channels of zeros, so outChannels must be at least the 256 that come in, found 128. Take shortcut B.",
      ],
      [() => basicBlock(0, 8), "RangeError", "Building basicBlock: ", `inChannels ${whole} 0.`],
      [
        () => basicBlock(8, 1.5),
        "RangeError",
        "Building basicBlock: ",
        `outChannels ${whole} 1.5.`,
      ],
      [() => bottleneck(NaN, 8), "RangeError", "Building bottleneck: ", `inChannels ${whole} NaN.`],
      [() => bottleneck(8, 0), "RangeError", "Building bottleneck: ", `channels ${whole} 0.`],
      [
        () => basicBlock(8, 8, { stride: 0 }),
        "RangeError",
        "Building basicBlock: ",
        `stride ${whole} 0.`,
      ],
      [
        () => basicBlock(8, 8, { stride: "2" as never }),
        "TypeError",
        "Building basicBlock: ",
        `stride ${whole} "2".`,
      ],
      [
        () => basicBlock(8, 8, 2 as never),
        "TypeError",
        "Building basicBlock: ",
        "the options must be an object such as { stride: 2 }, found 2.",
      ],
      [
        () => bottleneck(8, 8, [2] as never),
        "TypeError",
        "Building bottleneck: ",
        "the options must be an object such as { stride: 2 }, found [2].",
      ],
      [
        () => basicBlock(8, 8, { version: "v3" as never }),
        "RangeError",
        "Building basicBlock: ",
        "version must be one of v1, v1.5, v2, found v3.",
      ],
      [
        () => bottleneck(8, 8, { shortcut: "D" as "B" }),
        "RangeError",
        "Building bottleneck: ",
        "shortcut must be one of A, B, C, none, found D.",
      ],
      [
        () => basicBlock(8, 8, { convolution: "conv2d" as never }),
        "TypeError",
        "Building basicBlock: ",
        "convolution must be a function such as conv2d, found conv2d.",
      ],
    ] as const
  ) await assertRefused(build, kind, doing, message);
});

Deno.test("ResNets: a bad option throws and leaves nothing", async () => {
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
        "RangeError",
        "block must be one of basic, bottleneck, found undefined.",
      ],
      [{ block: "toString", stages: [1] }, "RangeError", "basic, bottleneck, found toString."],
      [
        { block: "basic" },
        "TypeError",
        "stages must be the numbers of blocks, such as [2, 2, 2, 2], found undefined.",
      ],
      [{ block: "basic", stages: [] }, "TypeError", "such as [2, 2, 2, 2], found []."],
      [{ block: "basic", stages: 4 }, "TypeError", "such as [2, 2, 2, 2], found 4."],
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
        "version must be one of v1, v1.5, v2, found v3.",
      ],
      [{ ...right, version: 2 }, "RangeError", "version must be one of v1, v1.5, v2, found 2."],
      [
        { ...right, shortcut: "D" },
        "RangeError",
        "shortcut must be one of A, B, C, none, found D.",
      ],
      [
        { ...right, stem: "large" },
        "RangeError",
        "stem must be one of imagenet, cifar, keras, found large.",
      ],
      [{ ...right, channels: 0 }, "RangeError", `channels ${whole} 0.`],
      [{ ...right, width: 0 }, "RangeError", "width must be a finite number above 0, found 0."],
      [{ ...right, width: NaN }, "RangeError", "width must be a finite number above 0, found NaN."],
      [{ ...right, width: "1" }, "TypeError", "width must be a finite number above 0, found 1."],
      [{ ...right, classes: 0 }, "RangeError", `classes ${whole} 0.`],
      [{ ...right, inChannels: "3" }, "TypeError", `inChannels ${whole} "3".`],
      [{ ...right, embedding: 0 }, "RangeError", `embedding ${whole} 0.`],
      [
        { ...right, convolution: 3 },
        "TypeError",
        "convolution must be a function such as conv2d, found 3.",
      ],
    ] as const
  ) {
    await assertRefused(() => resnet(options as never), kind, "Building resnet: ", message);
  }
  for (
    const [grid, kind, message] of [
      [4, "TypeError", "size must be [height, width], found 4."],
      [[4], "RangeError", "size must be one number or [vertical, horizontal], found [4]."],
      [[4, 0], "RangeError", `size ${whole} 0.`],
    ] as const
  ) {
    const options = { ...right, grid };
    const doing = "Building adaptiveAveragePool: ";
    await assertRefused(() => resnet(options as never), kind, doing, message);
  }
  await assertRefused(
    () => resnet101(10 as never),
    "TypeError",
    "Building resnet101: ",
    "the options must be an object such as { classes: 10 }, found 10.",
  );
  await assertRefused(() => resnet34({ classes: -1 }), "RangeError", "Building resnet: ", whole);
});

Deno.test("the CIFAR family: a depth that is not 6n + 2 is refused with the nearest ones", async () => {
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
    "Building resnet: ",
    "shortcut must be one of A, B, C, none, found D.",
  );
});
