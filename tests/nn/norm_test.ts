import assert from "node:assert/strict";
import {
  batchNorm,
  grad,
  localResponseNorm,
  ops,
  summary,
  type Tensor,
  type Tensor2D,
  type Tensor4D,
  tidy,
  valueAndGradients,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import {
  assertGradientsByDifferences,
  assertLeavesOnlyOutput,
  assertLikePyTorch,
  assertParameterGradients,
  assertStored,
  type BatchNormCase,
  layers,
  load,
  someImages,
  type Stored,
} from "./_helpers.ts";

const training = { training: true };

testOnEachBackend("batchNorm by hand: training, running statistics, inference", () => {
  const layer = batchNorm(2, { epsilon: 0, momentum: 0.5 });
  layer.weight.assign(ops.tensor([1, 10]));
  layer.bias.assign(ops.tensor([0, 5]));
  // Channel 0: mean 2, biased variance 1, unbiased 2.
  // Channel 1: mean 4, biased variance 16, unbiased 32.
  const x = ops.tensor([[1, 0], [3, 8]]);
  assertClose(layer.forward(x, training), [-1, -5, 1, 15]);
  assertClose(layer.runningMean, [1, 2]); // half of 0 and half of the mean
  assertClose(layer.runningVariance, [1.5, 16.5]); // half of 1 and half of the unbiased variance
  assertClose(layer.forward(ops.tensor([[1, 2]])), [0, 5]);
  assertClose(layer.forward(ops.tensor([[1 + Math.sqrt(1.5), 2]])), [1, 5]);
});

testOnEachBackend("batchNorm normalises over batch, height and width of each channel", () => {
  const y = batchNorm(3).forward(someImages(4, 5, 6, 3), training);
  assertClose(ops.mean(y, [0, 1, 2]), [0, 0, 0], 1e-5);
  assertClose(ops.variance(y, [0, 1, 2]), [1, 1, 1], 1e-3);
});

testOnEachBackend(
  "batchNorm, frozen, uses and keeps its running statistics in training",
  async () => {
    const layer = batchNorm(2, { epsilon: 1e-2 });
    layer.runningMean.assign(ops.tensor([0.3, -0.2]));
    layer.runningVariance.assign(ops.tensor([0.5, 2]));
    layer.weight.assign(ops.tensor([1.5, 0.7]));
    const x = someImages(2, 2, 3, 2);
    const inference = layer.forward(x).dataSync();
    const values = () => [...layer.namedVariables().values()].map((value) => value.dataSync());
    const before = values();
    layer.freeze();
    assert.deepEqual(layer.forward(x, training).dataSync(), inference);
    assertGradientsByDifferences((x) => layer.forward(x, training), x);
    assert.deepEqual(values(), before);
    assertLeavesOnlyOutput(() => layer.forward(x, training));
    const loss = (x: Tensor) => ops.sum(layer.forward(x as Tensor4D, training));
    await assertNoLeak(() => grad(loss)(x).dispose());
    layer.forward(ops.ones([1, 2]), training); // One value for each channel is enough.
    layer.unfreeze();
    assert.notDeepEqual(layer.forward(x, training).dataSync(), inference);
    assert.notDeepEqual(values(), before);
  },
);

function likePyTorch<S extends Stored, T extends Tensor4D | Tensor2D>(
  { channels, epsilon, momentum, scale, offset, steps, inference }: BatchNormCase<S>,
  open: (stored: S) => T,
) {
  const layer = batchNorm(channels, { epsilon, momentum });
  layer.weight.assign(load(scale));
  layer.bias.assign(load(offset));
  for (const step of steps) {
    assertStored(layer.forward(open(step.x), training), step.y, 1e-5);
    assertStored(layer.runningMean, step.runningMean);
    assertStored(layer.runningVariance, step.runningVariance);
    const [mean, variance] = [ops.clone(layer.runningMean), ops.clone(layer.runningVariance)];
    const forward = (x: Tensor) => layer.forward(x as T, training);
    assertStored(grad(forward)(open(step.x), open(step.dy)), step.dx, 1e-4);
    assertParameterGradients(() => forward(open(step.x)), step.dy, [
      [layer.weight, step.dScale],
      [layer.bias, step.dOffset],
    ], 1e-4);
    layer.runningMean.assign(mean);
    layer.runningVariance.assign(variance);
  }
  assertStored(layer.forward(open(inference.x)), inference.y);
}

testOnEachBackend("batchNorm of images is PyTorch's, in training and in inference", () => {
  likePyTorch(layers.batchNorm.images, (stored) => load(stored));
});
testOnEachBackend("batchNorm of features is PyTorch's, in training and in inference", () => {
  likePyTorch(layers.batchNorm.features, (stored) => load(stored));
});

testOnEachBackend(
  "batchNorm: gradients by central differences, in training and in inference",
  () => {
    const layer = batchNorm(2, { epsilon: 1e-2 });
    layer.runningMean.assign(ops.tensor([0.3, -0.2]));
    layer.runningVariance.assign(ops.tensor([0.5, 2]));
    layer.weight.assign(ops.tensor([1.5, 0.7]));
    for (const mode of [{ training: true }, { training: false }]) {
      assertGradientsByDifferences(
        (x) => layer.forward(x, mode),
        someImages(2, 2, 3, 2),
        layer.parameters(),
      );
    }
  },
);

Deno.test("batchNorm: inference changes nothing, and does not depend on the batch", () => {
  const layer = batchNorm(3);
  layer.forward(someImages(4, 3, 3, 3), training);
  const before = [layer.runningMean.dataSync(), layer.runningVariance.dataSync()];
  const x = someImages(4, 3, 3, 3);
  const all = layer.forward(x);
  const first = layer.forward(ops.slice(x, [0, 0, 0, 0], [1, -1, -1, -1]));
  assertClose(first, ops.slice(all, [0, 0, 0, 0], [1, -1, -1, -1]), 1e-6);
  assert.deepEqual([layer.runningMean.dataSync(), layer.runningVariance.dataSync()], before);
});

Deno.test("batchNorm lists weight and bias as parameters, and its statistics as variables", () => {
  const layer = batchNorm(5);
  assert.deepEqual([...layer.namedParameters().keys()], ["weight", "bias"]);
  assert.deepEqual([...layer.namedVariables().keys()], [
    "weight",
    "bias",
    "runningMean",
    "runningVariance",
  ]);
  const table = summary(layer, [4, 6, 5]);
  assert.deepEqual(table.rows, [
    { path: "", layer: "batchNorm 5", outputShape: [4, 6, 5], parameters: 10, macs: 0 },
  ]);
  assert.deepEqual(summary(layer, [5]).rows[0]?.outputShape, [5]);
});

testOnEachBackend(
  "batchNorm leaves its output and no other tensor, also after a training step",
  async () => {
    const layer = batchNorm(3);
    for (const x of [ops.ones([2, 4, 4, 3]), ops.ones([4, 3])]) {
      for (const mode of [{ training: true }, { training: false }]) {
        assertLeavesOnlyOutput(() => layer.forward(x, mode));
        await assertNoLeak(() =>
          tidy(() => {
            valueAndGradients(() => ops.sum(layer.forward(x, mode)), layer.parameters());
          })
        );
      }
    }
  },
);

Deno.test("batchNorm() refuses a bad option before it makes a tensor", async () => {
  for (
    const [build, kind, message] of [
      [() => batchNorm(0), "RangeError", "channels must be a whole number of at least 1, found 0"],
      [
        () => batchNorm(undefined as never),
        "TypeError",
        "channels must be a whole number of at least 1, found undefined",
      ],
      [
        () => batchNorm(3, 0.9 as never),
        "TypeError",
        "the options must be an object such as { momentum: 0.1 }, found 0.9",
      ],
      [
        () => batchNorm(3, { momentum: 1.1 }),
        "RangeError",
        "momentum must be a number from 0 to 1, found 1.1",
      ],
      [
        () => batchNorm(3, { momentum: NaN }),
        "RangeError",
        "momentum must be a number from 0 to 1, found NaN",
      ],
      [
        () => batchNorm(3, { epsilon: -1e-5 }),
        "RangeError",
        "epsilon must be a finite number of at least 0, found -0.00001",
      ],
      [
        () => batchNorm(3, { epsilon: "small" as never }),
        "TypeError",
        'epsilon must be a finite number of at least 0, found "small"',
      ],
    ] as const
  ) {
    await assertNoLeak(() =>
      assert.throws(build, { name: kind, message: `Building batchNorm: ${message}.` })
    );
  }
});

testOnEachBackend("batchNorm refuses a bad input, and its running statistics stay", () => {
  const layer = batchNorm(3);
  for (
    const [x, kind, message] of [
      [
        ops.ones([2, 4]),
        "RangeError",
        "the input must be [batch, channels 3], found [2, 4].",
      ],
      [
        ops.ones([1, 2, 2, 4]),
        "RangeError",
        "the input must be [batch, height, width, channels 3], found [1, 2, 2, 4].",
      ],
      [
        ops.ones([2, 2, 3]),
        "RangeError",
        "the input must be [batch, height, width, channels 3], found [2, 2, 3].",
      ],
      [ops.zeros([0, 3]), "RangeError", "the input must not be empty, found [0, 3]."],
      [ops.ones([2, 3], "int32"), "TypeError", "the input must be float32, found int32."],
      [undefined, "TypeError", "the input must be a tensor, found undefined."],
      [
        ops.ones([1, 3]),
        "RangeError",
        "the input must have more than one value for each channel in training, found [1, 3]. " +
        "Use a larger batch, or dropLast where the last batch of an epoch has one image.",
      ],
    ] as const
  ) {
    assert.throws(() => layer.forward(x as never, training), {
      name: kind,
      message: `batchNorm 3: ${message}`,
    });
  }
  assertClose(layer.runningMean, [0, 0, 0], 0);
  assertClose(layer.runningVariance, [1, 1, 1], 0);
});

testOnEachBackend("localResponseNorm by hand", () => {
  // Channel 0 sees channels 0 and 1: 1 / (1 + 1 + 4); the middle sees all three.
  const layer = localResponseNorm({ size: 3, bias: 1, alpha: 1, beta: 1 });
  const y = layer.forward(ops.tensor([1, 2, 3], [1, 1, 1, 3]));
  assertClose(y, [1 / 6, 2 / 15, 3 / 14]);
});

for (const { options, ...example } of layers.localResponseNorm) {
  testOnEachBackend(
    `localResponseNorm is PyTorch's with alpha times size: ${JSON.stringify(options)}`,
    () => {
      const layer = localResponseNorm(options);
      assertLikePyTorch((x) => layer.forward(x), example);
    },
  );
}

testOnEachBackend("localResponseNorm: gradient by central differences, one tensor left", () => {
  const layer = localResponseNorm({ size: 3, alpha: 0.5 });
  assertGradientsByDifferences((x) => layer.forward(x), someImages(1, 2, 2, 4));
  const images = someImages(2, 3, 3, 4);
  assertLeavesOnlyOutput(() => layer.forward(images));
  assert.deepEqual(summary(layer, [3, 3, 4]).rows[0]?.outputShape, [3, 3, 4]);
});

Deno.test("localResponseNorm() has the constants of the paper as defaults", () => {
  const x = someImages(1, 2, 2, 8);
  const paper = localResponseNorm({ size: 5, bias: 2, alpha: 1e-4, beta: 0.75 });
  assertClose(localResponseNorm().forward(x), paper.forward(x), 0);
  assert.equal(localResponseNorm().describe(), "localResponseNorm 5");
});

Deno.test("localResponseNorm() refuses a bad option or input", () => {
  for (
    const [options, kind, message] of [
      [{ size: 4 }, "RangeError", "size must be an odd whole number, found 4"],
      [{ size: -1 }, "RangeError", "size must be an odd whole number, found -1"],
      [{ bias: 0 }, "RangeError", "bias must be a finite number above 0, found 0"],
      [{ alpha: -1 }, "RangeError", "alpha must be a finite number of at least 0, found -1"],
      [{ beta: NaN }, "RangeError", "beta must be a finite number, found NaN"],
      [5, "TypeError", "the options must be an object such as { size: 5 }, found 5"],
    ] as const
  ) {
    assert.throws(() => localResponseNorm(options as never), {
      name: kind,
      message: `Building localResponseNorm: ${message}.`,
    });
  }
  assert.throws(() => localResponseNorm().forward(ops.ones([2, 3]) as never), {
    name: "RangeError",
    message:
      "localResponseNorm 5: the input must be [batch, height, width, channels], found [2, 3].",
  });
});
