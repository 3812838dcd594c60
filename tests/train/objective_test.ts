/** fit({ objective }): any loss of a model and a batch. */
import assert from "node:assert/strict";
import {
  adam,
  backend,
  crossEntropy,
  fashionMnist,
  type Features,
  fit,
  flatten,
  googlenet,
  type Images,
  lenet,
  linear,
  Module,
  ops,
  type Progress,
  resize,
  resnet,
  type Scalar,
  sequential,
  setSeed,
  sgd,
  variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";

const { train, test } = await fashionMnist({ subset: true });
const forty = train.take(40);

const isNative = backend() === "tensorflow";
const runs = isNative
  ? [{}, { compile: true }, { precision: "bf16" }, { precision: "bf16", compile: true }] as const
  : [{}] as const;
for (const run of runs) {
  Deno.test(`fit() with the default loss as objective trains as without, ${JSON.stringify(run)}`, () =>
    assertNoLeak(async () => {
      const numbers = async (isGiven: boolean) => {
        setSeed(1);
        using model = lenet();
        using optimizer = adam(model.parameters(), { learningRate: 1e-3 });
        const options = {
          ...{ optimizer, epochs: 2, batchSize: 15, seed: 1, maxGradientNorm: 1 },
          ...{ validation: test.take(20), ...run },
        };
        const { steps, epochs } = await (isGiven
          ? fit(model, forty, {
            ...options,
            objective: (model, { images, labels }) => {
              const logits = model.forward(images, { training: true });
              return { loss: crossEntropy(logits, labels), logits };
            },
          })
          : fit(model, forty, options));
        return [
          steps.map(({ loss, accuracy, gradientNorm }) => [loss, accuracy, gradientNorm]),
          epochs.map((e) => [e.trainLoss, e.trainAccuracy, e.validation]),
          [...model.namedVariables().values()].map((x) => [...x.dataSync()]),
        ];
      };
      assert.deepEqual(await numbers(true), await numbers(false));
    }));
}

for (const compile of [false, true]) {
  Deno.test(`fit() trains a GoogLeNet with auxiliary heads, and reports metrics${compile ? ", compiled" : ""}`, () =>
    assertNoLeak(async () => {
      setSeed(1);
      using model = googlenet({
        ...{ variant: "torchvision", width: 1 / 16, inChannels: 1, classes: 10 },
        auxiliary: true,
      });
      using optimizer = adam(model.parameters(), { learningRate: 3e-3 });
      const { steps, epochs } = await fit(model, train.take(24), {
        ...{ optimizer, epochs: 8, batchSize: 12, seed: 1, compile },
        transform: resize(32, 32),
        validation: test.take(10),
        objective: (model, { images, labels }) => {
          const outputs = model.forwardWithAuxiliary(images, { training: true });
          const main = crossEntropy(outputs.logits, labels);
          const first = crossEntropy(outputs.auxiliary1, labels);
          const second = crossEntropy(outputs.auxiliary2, labels);
          const loss = ops.add(main, ops.mul(ops.add(first, second), 0.3));
          return { loss, logits: outputs.logits, metrics: { main, first, second } };
        },
      });
      for (const { loss, metrics } of steps) {
        const { main, first, second } = metrics!;
        assertClose(loss, main! + 0.3 * (first! + second!), 1e-5);
      }
      const [start, end] = [epochs[0]!, epochs.at(-1)!];
      const pair = steps.slice(0, 2).map(({ metrics }) => metrics!.main!);
      assertClose(start.metrics!.main!, (pair[0]! + pair[1]!) / 2, 1e-6);
      assert(end.trainLoss < 0.8 * start.trainLoss, `${start.trainLoss} to ${end.trainLoss}`);
      for (const name of ["main", "first", "second"]) {
        assert(end.metrics![name]! < start.metrics![name]!, name);
      }
      assert(steps.every(({ accuracy }) => accuracy >= 0 && accuracy <= 1));
      assert(Number.isFinite(end.validation!.loss));
    }));
}

Deno.test("fit() trains a student on a teacher's logits, and an embedding with a centre loss", async () => {
  setSeed(1);
  const teacher = lenet();
  const student = sequential(flatten(), linear(784, 10));
  const options = { epochs: 3, batchSize: 20, compile: true };
  const before = [...teacher.parameters()[0]!.dataSync()];
  const distilled = await fit(student, forty, {
    ...options,
    optimizer: adam(student.parameters(), { learningRate: 1e-3 }),
    objective: (model, { images }) => {
      const logits = model.forward(images, { training: true });
      return { loss: ops.mean(ops.square(ops.sub(logits, teacher.forward(images)))), logits };
    },
  });
  assert(distilled.epochs[2]!.trainLoss < distilled.epochs[0]!.trainLoss);
  assert.deepEqual([...teacher.parameters()[0]!.dataSync()], before);

  class WithCentres extends Module<Images<1>, Features> {
    readonly body = resnet({
      block: "basic",
      stages: [1],
      channels: 4,
      inChannels: 1,
      classes: 10,
    });
    readonly centres = variable(ops.zeros([10, 4]));
    override forward(images: Images<1>): Features {
      return this.body.forwardWithEmbedding(images).embedding;
    }
  }
  const model = new WithCentres();
  const { steps, epochs } = await fit(model, forty, {
    ...options,
    optimizer: sgd(model.parameters(), { learningRate: 0.01 }),
    validation: test.take(10),
    objective: ({ body, centres }, { images, labels }) => {
      const { logits, embedding } = body.forwardWithEmbedding(images, { training: true });
      const nearest = ops.matMul(ops.oneHot(labels, 10), centres);
      const spread: Scalar = ops.mean(ops.square(ops.sub(embedding, nearest)));
      return {
        loss: ops.add(crossEntropy(logits, labels), ops.mul(spread, 0.1)),
        logits,
        metrics: { spread },
      };
    },
    validationLogits: ({ body }, images) => body.forward(images),
  });
  assert(epochs[2]!.metrics!.spread! < epochs[0]!.metrics!.spread!);
  assert(steps.every(({ accuracy }) => accuracy >= 0 && accuracy <= 1));
  assert(epochs[2]!.validation!.accuracy >= 0);
});

testOnEachBackend(
  "fit() with an objective without logits has no training accuracy",
  () =>
    assertNoLeak(async () => {
      using model = new OneWeight(1);
      using optimizer = sgd(model.parameters(), { learningRate: 1 });
      const { steps: [step], epochs: [epoch] } = await fit(model, pixels([1]), {
        ...{ optimizer, epochs: 1, batchSize: 1 },
        objective: (model) => ({ loss: ops.mean(ops.square(model.weight)) }),
      });
      assert.equal(step!.loss, 1);
      assertClose(model.weight, [-1]);
      assert(Number.isNaN(step!.accuracy) && Number.isNaN(epoch!.trainAccuracy));
      assert(!("metrics" in step!) && !("metrics" in epoch!));
    }),
);

Deno.test("fit() gives an objective the images after augmentation and transform", async () => {
  const model = new OneWeight(1);
  const seen: number[][] = [];
  await fit(model, pixels([1, 1]), {
    ...{ optimizer: sgd(model.parameters(), { learningRate: 1 }), epochs: 1, batchSize: 2 },
    augment: (images) => ops.add(images, 1),
    transform: (images) => ops.mul(images, 3),
    objective: (model, { images, labels }) => {
      seen.push([...images.dataSync()], [...labels.dataSync()]);
      return { loss: ops.mean(model.weight) };
    },
  });
  assert.deepEqual(seen, [[6, 6], [1, 1]]);
});

const action = 'Fitting to "pixels": ';
const one = () => ops.scalar(1);
const refused: [name: string, objective: unknown, error: "TypeError" | "RangeError", string][] = [
  [
    "no loss",
    () => ({}),
    "TypeError",
    "objective must return { loss } with one number as the loss, found an object.",
  ],
  [
    "a tensor",
    () => one(),
    "TypeError",
    "objective must return { loss } with one number as the loss, found a tensor of float32 [].",
  ],
  [
    "nothing",
    () => undefined,
    "TypeError",
    "objective must return { loss } with one number as the loss, found undefined.",
  ],
  [
    "a loss of two numbers",
    () => ({ loss: ops.ones([2]) }),
    "TypeError",
    "objective must return { loss } with one number as the loss, found a tensor of float32 [2].",
  ],
  [
    "a JavaScript number",
    () => ({ loss: 1 }),
    "TypeError",
    "objective must return { loss } with one number as the loss, found 1.",
  ],
  [
    "an unknown result",
    () => ({ loss: one(), first: one() }),
    "TypeError",
    "objective must return { loss, logits, metrics }, found first. Put further numbers in metrics.",
  ],
  [
    "a metric that is no tensor",
    () => ({ loss: one(), metrics: { first: 1 } }),
    "TypeError",
    "the metric first of objective must be one number in a tensor, found 1.",
  ],
  [
    "logits of other classes",
    () => ({ loss: one(), logits: ops.ones([1, 3]) }),
    "RangeError",
    "the model must have the 2 classes of the data set, found 3. Build it with 2 classes.",
  ],
  [
    "logits of another rank",
    () => ({ loss: one(), logits: one() }),
    "RangeError",
    "objective must return logits [batch, 2], found a tensor of float32 [].",
  ],
  [
    "logits of another batch",
    () => ({ loss: one(), logits: ops.ones([3, 2]) }),
    "RangeError",
    "there must be a class number for each row of logits [3, 2], found labels [1].",
  ],
];
for (const [name, objective, error, message] of refused) {
  for (const compile of [false, true]) {
    Deno.test(`fit() refuses an objective that returns ${name}${compile ? ", compiled" : ""}`, () =>
      assertNoLeak(async () => {
        using model = new OneWeight();
        using optimizer = sgd(model.parameters(), { learningRate: 1 });
        const options = { optimizer, epochs: 1, batchSize: 1, compile };
        const training = fit(model, pixels([1]), { ...options, objective: objective as never });
        await assert.rejects(training, { name: error, message: action + message });
        assertClose(model.weight, [0]);
      }));
  }
}

Deno.test("fit() refuses an objective that returns a promise, or whose loss ignores parameters", () =>
  assertNoLeak(async () => {
    using model = new OneWeight();
    using optimizer = sgd(model.parameters(), { learningRate: 1 });
    const options = { optimizer, epochs: 1, batchSize: 1 };
    // @ts-expect-error: an objective is synchronous
    await assert.rejects(fit(model, pixels([1]), { ...options, objective: async () => {} }), {
      name: "TypeError",
      message: /^Fitting to "pixels", objective: the function must be synchronous/,
    });
    for (const compile of [false, true]) {
      const objective = () => ({ loss: ops.scalar(1) });
      await assert.rejects(fit(model, pixels([1]), { ...options, compile, objective }), {
        name: "RangeError",
        message:
          /the loss must depend on each parameter of the optimizer, found weight without influence on it\./,
      });
    }
    assertClose(model.weight, [0]);
  }));

Deno.test("fit() refuses mixup with an objective, and validation of what is no logits, at the call", () => {
  const model = new OneWeight();
  const optimizer = sgd(model.parameters(), { learningRate: 1 });
  const objective = () => ({ loss: one() });
  const options = { optimizer, epochs: 1, batchSize: 1, objective };
  assert.throws(() => fit(model, pixels([1]), { ...options, mixup: 0.2 }), {
    name: "TypeError",
    message:
      `${action}mixup must be left out if there is an objective, found 0.2. Mix the images and the losses in the objective.`,
  });
  // @ts-expect-error: a function
  assert.throws(() => fit(model, pixels([1]), { ...options, objective: "loss" }), {
    name: "TypeError",
    message:
      `${action}objective must be a function of a model and a batch that returns { loss }, found "loss".`,
  });
  class Embedding extends Module<Images<1>, Images<1>> {
    readonly weight = variable(ops.ones([1]));
    override forward(images: Images<1>): Images<1> {
      return ops.mul(images, this.weight);
    }
  }
  const other = new Embedding();
  const settings = {
    ...options,
    optimizer: sgd(other.parameters(), { learningRate: 1 }),
    validation: pixels([1]),
  };
  assert.throws(() => fit(other, pixels([1]), settings), {
    name: "RangeError",
    message: /the model must return logits \[batch, 2\], found a tensor of float32 \[1, 1, 1, 1\]/,
  });
});

Deno.test("fit() with an objective stops between steps, and restores the model after an error", async () => {
  setSeed(1);
  const model = resnet({ block: "basic", stages: [1], channels: 4, inChannels: 1, classes: 10 });
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  let calls = 0;
  const training = fit(model, forty, {
    ...{ optimizer, epochs: 1, batchSize: 20 },
    objective: (model, { images, labels }) => {
      const logits = model.forward(images, { training: true });
      if (++calls === 2) throw new Error("on purpose");
      return { loss: crossEntropy(logits, labels), logits };
    },
  });
  const values = () => [...model.namedVariables().values()].map((x) => [...x.dataSync()]);
  let before: unknown;
  const seen: Progress[] = [];
  await assert.rejects(async () => {
    for await (const progress of training) {
      seen.push(progress);
      before = values();
    }
  }, /on purpose/);
  assert.equal(seen.length, 1);
  assert.deepEqual(values(), before);
});
