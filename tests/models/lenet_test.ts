import assert from "node:assert/strict";
import {
  grad,
  lenet,
  type LeNetActivation,
  ops,
  Random,
  setSeed,
  summary,
  type Tensor,
  type Tensor4D,
  tidy,
  valueAndGradients,
  type Variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, centralDifference, testOnEachBackend } from "../_helpers.ts";
import { assertLeavesOnlyOutput, assertStored, read, type Stored } from "../nn/_helpers.ts";

const ACTIVATIONS = ["relu", "sigmoid", "tanh"] as const;

interface LeNetFixture {
  labels: number[];
  cases: {
    activation: LeNetActivation;
    logits: Stored;
    loss: number;
    firstKernel: Stored;
    firstBias: Stored;
    lastWeight: Stored;
    lastBias: Stored;
  }[];
}
const fixture: LeNetFixture = read("lenet.json");

/** Returns the numbers of tests/fixtures/make_nn_fixtures.py for a seed. */
function numbers(seed: number, shape: readonly number[]): Tensor {
  const count = shape.reduce((product, axis) => product * axis, 1);
  return ops.tensor(
    Float32Array.from(
      { length: count },
      (_, i) => (((i + 1) * 2654435761 + seed * 40503) % 2 ** 32) / 2 ** 31 - 1,
    ),
    shape,
  );
}

/**
 * Returns PyTorch's parameter of a seed in our layout: weights are transposed, and the features of
 * a flattened image reordered.
 */
function fromPyTorch(seed: number, { shape }: Variable): Tensor {
  if (shape.length === 1) return ops.mul(numbers(seed, shape), 0.1);
  const channelsFirst = shape[0] === 400 ? [120, 16, 5, 5] : shape.toReversed();
  if (shape.length === 4) channelsFirst.splice(2, 2, shape[0]!, shape[1]!);
  const fanIn = channelsFirst.slice(1).reduce((product, axis) => product * axis, 1);
  const theirs = ops.mul(numbers(seed, channelsFirst), Math.sqrt(6 / fanIn));
  const ours = ops.transpose(theirs, channelsFirst.length === 4 ? [2, 3, 1, 0] : [1, 0]);
  return ops.reshape(ours, shape);
}

const meanLoss = (logits: Parameters<typeof ops.softmaxCrossEntropy>[0], labels: number[]) =>
  ops.mean(
    ops.softmaxCrossEntropy(logits, ops.oneHot(ops.tensor(labels, [labels.length], "int32"), 10)),
  );

for (const { activation, ...expected } of fixture.cases) {
  testOnEachBackend(
    `LeNet with ${activation} is PyTorch's: logits, loss, first and last gradients`,
    () => {
      tidy(() => {
        const model = lenet({ activation });
        model.parameters().forEach((variable, seed) =>
          variable.assign(fromPyTorch(seed, variable))
        );
        const images = ops.reshape(numbers(100, [2, 1, 28, 28]), [2, 28, 28, 1]);
        assertStored(model.forward(images), expected.logits, 1e-4);
        const variables = model.parameters();
        const { value, gradients } = valueAndGradients(
          () => meanLoss(model.forward(images), fixture.labels),
          variables,
        );
        assertClose(value, expected.loss, 1e-4);
        const [firstKernel, firstBias] = gradients;
        const [lastWeight, lastBias] = gradients.slice(-2);
        assertStored(firstKernel!, expected.firstKernel, 1e-4);
        assertStored(firstBias!, expected.firstBias, 1e-4);
        assertStored(lastWeight!, expected.lastWeight, 1e-4);
        assertStored(lastBias!, expected.lastBias, 1e-4);
        model.dispose();
      });
    },
  );
}

Deno.test("LeNet has 61,706 parameters, and the layers of the paper", async (t) => {
  const table = summary(lenet(), [28, 28, 1]);
  assert.equal(table.parameters, 61_706);
  const convolutions = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150;
  assert.equal(table.macs, convolutions + 400 * 120 + 120 * 84 + 84 * 10);
  await t.assertSnapshot(table.toString());
});

Deno.test("LeNet for other images and classes", () => {
  const model = lenet({ inChannels: 3, classes: 7, activation: "tanh" });
  assert.deepEqual(model.forward(ops.zeros([2, 28, 28, 3])).shape, [2, 7]);
  assert.equal(summary(model, [28, 28, 3]).parameters, 61_706 + 2 * 150 - 3 * 85);
  assert.deepEqual([...model.namedParameters().keys()], [
    "features.0.weight",
    "features.0.bias",
    "features.3.weight",
    "features.3.bias",
    "classifier.1.weight",
    "classifier.1.bias",
    "classifier.3.weight",
    "classifier.3.bias",
    "classifier.5.weight",
    "classifier.5.bias",
  ]);
});

testOnEachBackend("every parameter of LeNet gets a finite gradient that is not zero", () => {
  for (const activation of ACTIVATIONS) {
    setSeed(1);
    tidy(() => {
      const model = lenet({ activation });
      const images = new Random(2).uniform([2, 28, 28, 1]);
      const { gradients } = valueAndGradients(
        () => meanLoss(model.forward(images, { training: true }), [3, 8]),
        model.parameters(),
      );
      [...model.namedParameters()].forEach(([path, { shape }], i) => {
        assert.deepEqual(gradients[i]!.shape, shape);
        const values = gradients[i]!.dataSync();
        assert(values.every(Number.isFinite), path);
        assert(values.some((value) => value !== 0), path);
      });
      model.dispose();
    });
  }
});

Deno.test("LeNet's gradient with respect to a filter agrees with central differences", () => {
  setSeed(7);
  const model = lenet({ activation: "tanh" });
  const images = new Random(8).uniform([1, 28, 28, 1]);
  const bias: Variable = model.features.layers[3].bias!;
  const loss = () => tidy(() => meanLoss(model.forward(images), [4]));
  const { gradients } = valueAndGradients(loss, [bias]);
  const value = ops.clone(bias);
  const differences = centralDifference((shifted) => {
    bias.assign(shifted);
    return loss();
  }, value);
  assertClose(gradients[0]!, differences, 1e-3);
  bias.assign(value);
  const ofImages = grad((x: Tensor4D) => meanLoss(model.forward(x), [4]))(images);
  assert.deepEqual(ofImages.shape, [1, 28, 28, 1]);
});

Deno.test("the same seed gives the same LeNet, another seed another", () => {
  const weights = (seed: number) => {
    setSeed(seed);
    using model = lenet();
    return model.parameters().map((variable) => [...variable.dataSync()]);
  };
  assert.deepEqual(weights(5), weights(5));
  assert.notDeepEqual(weights(5), weights(6));
});

Deno.test("LeNet starts with He's weights under relu and Xavier's elsewhere", () => {
  setSeed(3);
  for (const [activation, variance] of [["relu", 2 / 400], ["tanh", 2 / 520]] as const) {
    const { weight } = lenet({ activation }).classifier.layers[1];
    // 48,000 numbers: the sampling error of a variance is at most √(2 / n) = 0.6 % of it.
    assertClose(ops.variance(weight), variance, 0.03 * variance);
  }
});

testOnEachBackend(
  "LeNet leaves its output and no other tensor, and nothing once disposed",
  async () => {
    const images = ops.ones([2, 28, 28, 1]);
    await assertNoLeak(() => {
      for (const activation of ACTIVATIONS) {
        using model = lenet({ activation });
        for (const training of [true, false]) {
          assertLeavesOnlyOutput(() => model.forward(images, { training }));
        }
        tidy(() => {
          valueAndGradients(() => meanLoss(model.forward(images), [0, 1]), model.parameters());
        });
      }
    });
  },
);

Deno.test("LeNet does in training what it does in inference", () => {
  const model = lenet();
  const images = new Random(1).uniform([2, 28, 28, 1]);
  assertClose(model.forward(images, { training: true }), model.forward(images), 0);
});

Deno.test("LeNet overfits one batch", () => {
  setSeed(0);
  const model = lenet();
  const images = new Random(1).uniform([8, 28, 28, 1]);
  const labels = [0, 1, 2, 3, 4, 5, 6, 7];
  const variables = model.parameters();
  let loss = Infinity;
  for (let step = 0; step < 120; step++) {
    tidy(() => {
      const { value, gradients } = valueAndGradients(
        () => meanLoss(model.forward(images, { training: true }), labels),
        variables,
      );
      gradients.forEach((gradient, i) =>
        variables[i]!.assign(ops.sub(variables[i] as Tensor, ops.mul(gradient, 0.05)))
      );
      loss = value.dataSync()[0]!;
    });
  }
  assert(loss < 0.05, `${loss}`);
  assert.deepEqual([...ops.argMax(model.forward(images)).dataSync()], labels);
});

Deno.test("lenet() refuses a bad option and leaves no tensor", async () => {
  for (
    const [options, kind, message] of [
      [{ classes: 0 }, "RangeError", "classes must be a whole number of at least 1, found 0"],
      [{ classes: "10" }, "TypeError", 'classes must be a whole number of at least 1, found "10"'],
      [
        { inChannels: 1.5 },
        "RangeError",
        "inChannels must be a whole number of at least 1, found 1.5",
      ],
      [
        { activation: "swish" },
        "RangeError",
        'activation must be one of "relu", "sigmoid", "tanh", found "swish"',
      ],
      [
        { activation: "toString" },
        "RangeError",
        'activation must be one of "relu", "sigmoid", "tanh", found "toString"',
      ],
      [10, "TypeError", "the options must be an object such as { classes: 10 }, found 10"],
    ] as const
  ) {
    await assertNoLeak(() =>
      assert.throws(() => lenet(options as never), {
        name: kind,
        message: `Building lenet: ${message}.`,
      })
    );
  }
});

Deno.test("LeNet refuses images of another size, and names theirs", async () => {
  using model = lenet();
  const images = ops.ones([1, 32, 32, 1]);
  await assertNoLeak(() =>
    assert.throws(() => model.forward(images), {
      name: "RangeError",
      message: "Running lenet: the images must be 28×28, found 32×32. " +
        "Pass the transform resize(28, 28).",
    })
  );
});
