/** The option `microBatchSize` of fit(): gradient accumulation. */
import assert from "node:assert/strict";
import {
  batchNorm,
  conv2d,
  crossEntropy,
  fit,
  type FitOptions,
  flatten,
  ImageDataset,
  type Images,
  type Labels,
  linear,
  memory,
  ops,
  Random,
  sequential,
  setSeed,
  sgd,
} from "resnet-lab";
import { startTraining } from "../../lib/train/fit.ts";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";

const random = new Random(1);
const set = new ImageDataset({
  name: "noise",
  pixels: Uint8Array.from({ length: 23 * 16 }, () => random.integer(256)),
  labels: Array.from({ length: 23 }, () => random.integer(3)),
  height: 4,
  width: 4,
  channels: 1,
  classes: 3,
  classNames: ["a", "b", "c"],
});

async function train(options: Partial<FitOptions<Images<1>, Labels<3>>>) {
  setSeed(1);
  const model = sequential(conv2d(1, 4, { kernelSize: 3 }), flatten(), linear(16, 3));
  using optimizer = sgd(model.parameters(), { learningRate: 0.5, momentum: 0.9 });
  const { steps, epochs } = await fit(model, set, {
    optimizer,
    epochs: 3,
    batchSize: 10,
    validation: set,
    maxGradientNorm: 0.5,
    ...options,
  });
  const weights = model.parameters().flatMap((parameter) => [...parameter.dataSync()]);
  model.dispose();
  return { steps, epochs, weights };
}

for (
  const [what, options] of Object.entries({
    "": {},
    " with mixup": { mixup: 0.4 },
    " compiled": { compile: true },
    " with an objective": {
      objective: (model: never, { images, labels }: { images: never; labels: never }) => {
        const logits = (model as { forward(images: never): never }).forward(images);
        return {
          loss: crossEntropy(logits, labels),
          logits,
          metrics: { norm: ops.mean(ops.square(logits)) },
        };
      },
    },
  })
) {
  Deno.test(`fit() with microBatchSize trains as with the whole batch${what}`, async () => {
    const whole = await train(options as object);
    // Parts of 4, 4 and 2 images, and of the last batch 3.
    const parts = await train({ ...options as object, microBatchSize: 4 });
    assert.equal(parts.steps.length, whole.steps.length);
    parts.steps.forEach((step, i) => {
      const { loss, accuracy, gradientNorm, metrics = {} } = whole.steps[i]!;
      assertClose(step.loss, loss, 1e-5);
      assertClose(step.accuracy, accuracy, 1e-9);
      assertClose(step.gradientNorm, gradientNorm, 1e-4);
      assertClose(Object.values(step.metrics ?? {}), Object.values(metrics), 1e-5);
    });
    assertClose(parts.weights, whole.weights, 1e-5);
    assertClose(parts.epochs[2]!.validation!.loss, whole.epochs[2]!.validation!.loss, 1e-5);
  });
}

Deno.test("fit() with microBatchSize runs the model on so many images at most", async () => {
  const sizes: number[] = [];
  const loss = (logits: Parameters<typeof crossEntropy>[0], labels: never) => {
    sizes.push(logits.shape[0]!);
    return crossEntropy(logits, labels);
  };
  await train({ epochs: 1, microBatchSize: 4, validation: set.take(9), loss: loss as never });
  assert.deepEqual(sizes, [...[4, 4, 2], ...[4, 4, 2], 3, ...[4, 4, 1]]);
});

testOnEachBackend("fit() with microBatchSize weights parts by their images", async () => {
  // Logits [0, w·x] at w = 0: the gradient of the mean loss is (½ − y)·x, so −½ for light pixels.
  const model = new OneWeight();
  using optimizer = sgd(model.parameters(), { learningRate: 1 });
  const data = pixels([1, 1, 1]);
  await fit(model, data, { optimizer, epochs: 1, batchSize: 3, microBatchSize: 2 });
  assertClose(model.weight, [0.5], 1e-6);
});

Deno.test("fit() with microBatchSize leaves no tensors", () =>
  assertNoLeak(async () => {
    await train({ epochs: 1, microBatchSize: 4 });
  }));

Deno.test("fit() with microBatchSize keeps the sum of the gradients, not each part's", async () => {
  const alive: number[] = [];
  const loss = (logits: Parameters<typeof crossEntropy>[0], labels: never) => {
    alive.push(memory().tensors);
    return crossEntropy(logits, labels);
  };
  const options = { epochs: 1, batchSize: 20, validation: undefined, dropLast: true };
  await train({ ...options, microBatchSize: 2, loss: loss as never });
  const [, second, ...others] = alive; // Before the second part there is no sum.
  assert.equal(others.length, 8);
  assert.deepEqual(others, others.map(() => second));
});

Deno.test("fit() refuses a microBatchSize that does not fit", () => {
  const model = sequential(conv2d(1, 2, { kernelSize: 4 }), batchNorm(2), flatten(), linear(2, 3));
  const optimizer = sgd(model.parameters(), { learningRate: 1 });
  const start = (options: object) => () =>
    startTraining(model, set, { optimizer, epochs: 1, batchSize: 10, ...options } as never);
  assert.throws(start({ microBatchSize: 11 }), {
    name: "RangeError",
    message: /: microBatchSize must be at most batchSize, 10, found 11\.$/,
  });
  assert.throws(start({ microBatchSize: 0 }), { name: "RangeError" });
  assert.throws(start({ microBatchSize: 2.5 }), { name: "RangeError" });
  // The batch norm sees one image of 10 by 3, of 3 (the last batch) by 2, and by 1.
  for (const microBatchSize of [3, 2, 1]) {
    assert.throws(start({ microBatchSize }), {
      name: "RangeError",
      message: /each part of a batch must have more than one image, as 1 normalises/,
    });
  }
  start({ microBatchSize: 2, dropLast: true })();
  start({ microBatchSize: 5 })();
  assert.throws(start({ gradient_accumulation_steps: 4 }), /Did you mean microBatchSize\?/);
});
