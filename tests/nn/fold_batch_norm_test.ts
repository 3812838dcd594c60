import assert from "node:assert/strict";
import {
  type AnyModule,
  BatchNorm,
  batchNorm,
  conv2d,
  dropout,
  dynamicConv2d,
  flatten,
  foldBatchNorm,
  globalAveragePool,
  googlenet,
  gradCam,
  type Images,
  linear,
  Module,
  ops,
  Random,
  relu,
  residual,
  resnet,
  resnet18,
  sequential,
  type Tensor,
  tidy,
  vgg,
} from "resnet-lab";
import { Conv2d } from "../../lib/nn/internal.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertStored,
  load,
  read,
  someImages,
  type StoredImages,
  type StoredVector,
} from "./_helpers.ts";

/** Gives each batch norm of a model statistics and parameters, as if it had been trained. */
function disturb(model: AnyModule, seed = 3): void {
  const random = new Random(seed);
  for (const module of model.namedModules().values()) {
    if (!(module instanceof BatchNorm)) continue;
    const shape = [module.channels] as const;
    module.weight.assign(random.uniform(shape, { min: 0.5, max: 1.5 }));
    module.bias.assign(random.normal(shape, { standardDeviation: 0.3 }));
    module.runningMean.assign(random.normal(shape, { standardDeviation: 0.3 }));
    module.runningVariance.assign(random.uniform(shape, { min: 0.5, max: 2 }));
  }
}

/**
 * Asserts that folding changes no output by more than 1e-4 of the largest, and gives the paths of
 * what was folded.
 */
function assertSameFolded<M extends Module<Images, Tensor>>(model: M, images: Images): string[] {
  disturb(model);
  let folded: string[] = [];
  tidy(() => {
    const before = model.forward(images);
    const largest = ops.max(ops.abs(before)).dataSync()[0]!;
    assert(largest > 0 && Number.isFinite(largest));
    folded = foldBatchNorm(model, images.shape.slice(1));
    assertClose(ops.div(model.forward(images), largest), ops.div(before, largest), 1e-4);
  });
  return folded;
}

/** The paths of the batch norms that are not folded. */
function unfolded(model: AnyModule): string[] {
  return [...model.namedModules()]
    .filter(([, module]) => module instanceof BatchNorm && !module.isFolded)
    .map(([path]) => path);
}

testOnEachBackend(
  "foldBatchNorm() by hand: factor 10 / √(3 + 1), then the mean and the offset",
  () => {
    const norm = () => {
      const layer = batchNorm(1, { epsilon: 1 });
      layer.weight.assign(ops.tensor([10]));
      layer.bias.assign(ops.tensor([2]));
      layer.runningMean.assign(ops.tensor([4]));
      layer.runningVariance.assign(ops.tensor([3]));
      return layer;
    };
    const biased = sequential(conv2d(1, 1, { kernelSize: 1 }), norm());
    biased.layers[0].weight.assign(ops.tensor([3], [1, 1, 1, 1]));
    biased.layers[0].bias!.assign(ops.tensor([7]));
    assert.deepEqual(foldBatchNorm(biased, [2, 2, 1]), ["1"]);
    assertClose(biased.layers[0].weight, [15]); // 3 · 5
    assertClose(biased.layers[0].bias!, [17]); // (7 − 4) · 5 + 2
    assertClose(biased.forward(ops.ones([1, 1, 2, 1])), [32, 32]);

    const plain = sequential(conv2d(1, 1, { kernelSize: 1, useBias: false }), norm());
    plain.layers[0].weight.assign(ops.tensor([3], [1, 1, 1, 1]));
    foldBatchNorm(plain, [2, 2, 1]);
    assertClose(plain.layers[0].bias!, [-18]); // −4 · 5 + 2
    assertClose(plain.forward(ops.ones([1, 1, 2, 1])), [-3, -3]);
    assert.deepEqual([...plain.namedParameters().keys()], ["0.weight", "0.bias"]);
    assert.equal(String(plain.layers[1]), "batchNorm 1, folded");
  },
);

interface Fold {
  kernel: StoredImages;
  bias: StoredVector | null;
  epsilon: number;
  scale: StoredVector;
  offset: StoredVector;
  runningMean: StoredVector;
  runningVariance: StoredVector;
  foldedKernel: StoredImages;
  foldedBias: StoredVector;
}

testOnEachBackend("foldBatchNorm() makes PyTorch's weight and bias", () => {
  const cases: Fold[] = read("inference.json").fold;
  assert.equal(cases.length, 2);
  for (const { kernel, bias, epsilon, foldedKernel, foldedBias, ...stored } of cases) {
    const conv = conv2d(3, 4, { kernelSize: 3, useBias: bias !== null });
    const norm = batchNorm(4, { epsilon });
    conv.weight.assign(load(kernel));
    if (bias) conv.bias!.assign(load(bias));
    norm.weight.assign(load(stored.scale));
    norm.bias.assign(load(stored.offset));
    norm.runningMean.assign(load(stored.runningMean));
    norm.runningVariance.assign(load(stored.runningVariance));
    foldBatchNorm(sequential(conv, norm), [4, 4, 3]);
    assertStored(conv.weight, foldedKernel);
    assertStored(conv.bias!, foldedBias);
  }
});

const narrow = { width: 1 / 8, classes: 10 } as const;
const images = () => someImages(2, 32, 32, 3);

Deno.test("foldBatchNorm() folds every batch norm of a ResNet-18", () => {
  for (const version of ["v1", "v1.5"] as const) {
    for (const shortcut of ["A", "B", "C", "none"] as const) {
      const model = resnet18({ ...narrow, version, shortcut, stem: "cifar" });
      const norms = unfolded(model);
      assert.deepEqual(assertSameFolded(model, images()).toSorted(), norms.toSorted());
      assert.deepEqual(unfolded(model), []);
    }
  }
  const bottlenecks = resnet({ block: "bottleneck", stages: [1, 2], channels: 4, classes: 3 });
  assert.equal(assertSameFolded(bottlenecks, images()).length, 1 + 3 * 3 + 2);
});

Deno.test("foldBatchNorm() folds a ResNet-18 v2 where a convolution feeds a batch norm alone", () => {
  const blocks = [1, 2, 3, 4].flatMap((stage) => [0, 1].map((i) => `layer${stage}.${i}`));
  const inner = blocks.map((path) => `${path}.bn2`);
  // What a block gets goes to its first batch norm and around it.
  assert.deepEqual(
    assertSameFolded(resnet18({ ...narrow, version: "v2", stem: "cifar" }), images()),
    inner,
  );
  assert.deepEqual(assertSameFolded(resnet18({ ...narrow, version: "v2" }), images()), inner);
  // With a projection everywhere, the first batch norm alone sees what the stem gives; all others
  // see sums.
  assert.deepEqual(
    assertSameFolded(resnet18({ ...narrow, version: "v2", shortcut: "C", stem: "cifar" }), images())
      .toSorted(),
    ["layer1.0.bn1", ...inner].toSorted(),
  );
  // Nothing goes around in the plain twin.
  const plain = resnet18({ ...narrow, version: "v2", shortcut: "none", stem: "cifar" });
  assert.equal(assertSameFolded(plain, images()).length, 17);
});

Deno.test("foldBatchNorm() folds every batch norm of VGG, GoogLeNet and a user's model with groups", () => {
  const vgg11 = vgg({ architecture: 11, batchNorm: true, imageSize: 32, hidden: 16, ...narrow });
  assert.equal(assertSameFolded(vgg11, images()).length, 8);
  const inceptions = googlenet({ variant: "torchvision", imageSize: 64, ...narrow });
  assert.equal(assertSameFolded(inceptions, someImages(1, 64, 64, 3)).length, 57);
  const grouped = { kernelSize: [3, 1], padding: 1, stride: 2, groups: 2, dilation: 2 } as const;
  const own = sequential(
    sequential(conv2d(4, 6, grouped)),
    sequential(batchNorm(6), relu()),
    globalAveragePool(),
    linear(6, 2),
  );
  assert.deepEqual(assertSameFolded(own, someImages(2, 9, 9, 4)), ["1.0"]);
});

class Twice extends Module<Images, Images> {
  readonly conv1 = conv2d(3, 3, { kernelSize: 1 });
  readonly conv2 = conv2d(3, 3, { kernelSize: 1 });
  readonly bn1 = batchNorm(3);
  readonly bn2 = batchNorm(3);
  constructor(readonly way: "one norm" | "one convolution" | "two norms" | "hidden") {
    super();
  }
  override forward(x: Images): Images {
    return tidy((): Images => {
      const { conv1, conv2, bn1, bn2 } = this;
      const y = conv1.forward(x);
      if (this.way === "one norm") return bn1.forward(conv2.forward(bn1.forward(y)));
      if (this.way === "one convolution") return bn2.forward(conv1.forward(bn1.forward(y)));
      if (this.way === "two norms") return ops.add(bn1.forward(y), bn2.forward(y));
      // What passes by the first pair goes through a second one, and a relu that gives nothing but
      // zeros.
      const beside = ops.relu(ops.sub(ops.mul(y, 0), 1));
      return bn2.forward(conv2.forward(ops.add(bn1.forward(y), beside)));
    });
  }
}

Deno.test("foldBatchNorm() leaves alone what would change the outputs", () => {
  const x = someImages(2, 6, 6, 3);
  const around = sequential(
    conv2d(3, 3, { kernelSize: 1 }),
    residual(sequential(batchNorm(3), relu(), conv2d(3, 3, { kernelSize: 1 }), batchNorm(3))),
  );
  assert.deepEqual(assertSameFolded(around, x), ["1.body.3"]);
  for (const way of ["one norm", "one convolution", "two norms"] as const) {
    assert.deepEqual(assertSameFolded(new Twice(way), x), [], way);
  }
  assert.deepEqual(assertSameFolded(new Twice("hidden"), x), ["bn2"]);
  const others = sequential(
    batchNorm(3),
    dynamicConv2d(3, 3, { kernelSize: 1 }),
    batchNorm(3),
    conv2d(3, 3, { kernelSize: 1 }),
    relu(),
    batchNorm(3),
    flatten(),
    linear(108, 4),
    batchNorm(4),
  );
  assert.deepEqual(assertSameFolded(others, x), []);
  // A second folding finds nothing more.
  const model = sequential(conv2d(3, 3, { kernelSize: 1 }), batchNorm(3));
  assert.equal(assertSameFolded(model, x).length, 1);
  assert.deepEqual(foldBatchNorm(model, [6, 6, 3]), []);
});

class Sharing extends Module<Images, Images> {
  readonly conv1 = conv2d(3, 3, { kernelSize: 1 });
  readonly conv2 = conv2d(3, 3, { kernelSize: 1 });
  readonly bn1 = batchNorm(3);
  readonly bn2 = batchNorm(3);
  constructor(readonly way: string) {
    super();
    const { conv1, conv2, bn1, bn2 } = this;
    if (way === "weight") Object.assign(conv2, { weight: conv1.weight });
    if (way === "bias") Object.assign(conv2, { bias: conv1.bias });
    if (way === "scale") Object.assign(bn2, { weight: bn1.weight });
    if (way === "statistics") Object.assign(bn2, { runningMean: bn1.runningMean });
    if (way === "unused") Object.assign(this, { other: { weight: conv1.weight } });
  }
  override forward(x: Images): Images {
    return tidy((): Images => {
      const { conv1, conv2, bn1, bn2 } = this;
      const y = bn1.forward(conv1.forward(x));
      if (this.way === "read") return ops.conv2d(bn2.forward(conv2.forward(y)), conv1.weight);
      if (this.way === "penalty") return ops.mul(bn2.forward(conv2.forward(y)), bn1.weight);
      if (this.way === "again") return bn2.forward(conv2.forward(conv1.forward(y)));
      return bn2.forward(conv2.forward(y));
    });
  }
}

testOnEachBackend(
  "foldBatchNorm() leaves alone layers that share a variable, and changes no other layer",
  () => {
    const x = someImages(2, 4, 4, 3);
    const cases: [way: string, folded: string[]][] = [
      ["nothing", ["bn1", "bn2"]],
      ["weight", []],
      ["bias", []],
      ["scale", []],
      ["statistics", []],
      ["unused", ["bn2"]],
      ["read", ["bn2"]],
      ["penalty", ["bn2"]],
      ["again", ["bn2"]],
    ];
    for (const [way, folded] of cases) {
      assert.deepEqual(assertSameFolded(new Sharing(way), x), folded, way);
    }
    // The example: the second convolution has no batch norm behind it.
    const first = conv2d(3, 3, { kernelSize: 1 }), second = conv2d(3, 3, { kernelSize: 1 });
    Object.assign(second, { weight: first.weight });
    const before = second.forward(x);
    assert.deepEqual(assertSameFolded(sequential(first, batchNorm(3), second), x), []);
    assertClose(second.forward(x), before, 0);
    // One module in two branches.
    const shared = conv2d(3, 3, { kernelSize: 1 });
    const twice = sequential(sequential(shared, batchNorm(3)), sequential(shared, batchNorm(3)));
    assert.deepEqual(assertSameFolded(twice, x), []);
    const norm = batchNorm(3);
    const layer = () => conv2d(3, 3, { kernelSize: 1 });
    assert.deepEqual(assertSameFolded(sequential(layer(), norm, relu(), layer(), norm), x), []);
  },
);

Deno.test("foldBatchNorm() leaves alone layers with their own forward", () => {
  class Positive extends Conv2d<3, 3> {
    override forward(x: Images<3>): Images<3> {
      return tidy(() => ops.relu(super.forward(x)));
    }
  }
  class Doubled extends BatchNorm<3> {
    override forward(x: never): never {
      return tidy(() => ops.mul(super.forward(x) as Tensor, 2)) as never;
    }
  }
  class Named extends Conv2d<3, 3> {
    override describe() {
      return "my convolution";
    }
  }
  const plain = { kernelSize: 1 } as const;
  const hooked = conv2d(3, 3, plain);
  const forward = hooked.forward.bind(hooked);
  hooked.forward = (x) => tidy(() => ops.relu(forward(x)));
  const x = someImages(2, 4, 4, 3);
  for (
    const [conv, norm, folded] of [
      [new Positive(3, 3, plain), batchNorm(3), []],
      [conv2d(3, 3, plain), new Doubled(3), []],
      [hooked, batchNorm(3), []],
      [new Named(3, 3, plain), batchNorm(3), ["1"]],
      [sequential(conv2d(3, 3, plain), dropout(0.5)), batchNorm(3), []],
      [sequential(conv2d(3, 3, plain), relu()), batchNorm(3), []],
    ] as [AnyModule, AnyModule, string[]][]
  ) {
    const model = sequential<AnyModule[]>(conv, norm) as AnyModule as Module<Images, Tensor>;
    assert.deepEqual(assertSameFolded(model, x), folded);
  }
});

Deno.test("foldBatchNorm() folds frozen layers, and leaves them frozen", () => {
  const model = sequential(conv2d(3, 3, { kernelSize: 1 }), batchNorm(3));
  model.freeze();
  assert.deepEqual(assertSameFolded(model, someImages(2, 4, 4, 3)), ["1"]);
  assert.deepEqual(model.parameters(), []);
});

testOnEachBackend("foldBatchNorm(): a folded model has gradients, and refuses training", () => {
  const model = sequential(conv2d(2, 3, { kernelSize: 3, useBias: false }), batchNorm(3));
  disturb(model);
  foldBatchNorm(model, [4, 4, 2]);
  const x = someImages(1, 4, 4, 2);
  assertGradientsByDifferences((x) => model.forward(x), x, model.parameters());
  const refusal = {
    name: "RangeError",
    message:
      "At 1 (batchNorm 3, folded): the layer must not be folded for training, found it folded, with nothing left to train. " +
      "Train a model that is not folded, and fold it afterwards.",
  };
  assert.throws(() => model.forward(x, { training: true }), refusal);
  model.freeze();
  assert.throws(() => model.forward(x, { training: true }), refusal);
});

Deno.test("gradCam() returns the same maps for a folded model", () => {
  const model = resnet({ block: "basic", stages: [1, 1], stem: "cifar", channels: 4, classes: 5 });
  disturb(model);
  const x = someImages(2, 12, 12, 3);
  const before = gradCam(model, "layer2", x, 1);
  foldBatchNorm(model, [12, 12, 3]);
  assertClose(gradCam(model, "layer2", x, 1), before, 1e-4);
});

testOnEachBackend(
  "foldBatchNorm() leaves one bias in place of four variables, and no tensor on errors",
  async () => {
    const model = resnet({ block: "basic", stages: [1], stem: "cifar", channels: 4, classes: 2 });
    await assertNoLeak(() => void foldBatchNorm(model, [8, 8, 3]), 3 * (1 - 4));
    const x = ops.ones([1, 8, 8, 3]);
    assertLeavesOnlyOutput(() => model.forward(x));
    await assertNoLeak(() => model.dispose(), -(3 * 2 + 2));

    using fresh = sequential(
      conv2d(3, 3, { kernelSize: 3 }),
      batchNorm(3),
      flatten(),
      linear(3, 2),
    );
    await assertNoLeak(() => {
      assert.throws(() => foldBatchNorm(fresh, [4, 4, 3]), {
        name: "RangeError",
        message: /^At 3 \(linear 3 → 2\): the input must be/,
      });
      assert.throws(() => foldBatchNorm(fresh, [0, 4, 3]), {
        name: "RangeError",
        message:
          "Folding batch norms: the input shape must be whole numbers of at least 1 without the batch axis, such as [28, 28, 1], found [0, 4, 3].",
      });
      assert.throws(() => foldBatchNorm(batchNorm as never, [4, 4, 3]), {
        name: "TypeError",
        message:
          "Folding batch norms: the model must be a module, found the function batchNorm (call it: batchNorm()).",
      });
    });
    assert.deepEqual(unfolded(fresh), ["1"]);
  },
);

Deno.test("foldBatchNorm(): summary() and paths of a folded model", () => {
  const model = sequential(conv2d(3, 4, { kernelSize: 3, useBias: false }), batchNorm(4), relu());
  foldBatchNorm(model, [8, 8, 3]);
  assert.deepEqual([...model.namedVariables().keys()], ["0.weight", "0.bias"]);
  assert.deepEqual([...model.namedModules().keys()], ["", "0", "1", "2"]);
});
