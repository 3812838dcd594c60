import assert from "node:assert/strict";
import {
  adam,
  batchNorm,
  fashionMnist,
  type Features,
  findLearningRate,
  flatten,
  type Images,
  linear,
  type Module,
  ops,
  relu,
  sequential,
  setSeed,
  sgd,
  type Variable,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";

const { train: shipped } = await fashionMnist({ subset: true });
const set = shipped.take(200);

const network = () => sequential(flatten(), linear(784, 16), batchNorm(16), relu(), linear(16, 10));
/** The sum of each variable, weighted by position, so that any change shows. */
const values = (model: Module) =>
  [...model.namedVariables().values()].map((variable) =>
    Array.from(variable.dataSync()).reduce((sum, value, i) => sum + value * Math.sin(i + 1), 0)
  );
const plain = (parameters: readonly Variable[]) =>
  sgd(parameters, { learningRate: 1, momentum: 0.9 });

testOnEachBackend(
  "findLearningRate goes through equal factors and leaves the model as it was",
  () =>
    assertNoLeak(async () => {
      setSeed(1);
      using model = network();
      const before = values(model);
      const { learningRates, losses, smoothedLosses } = await findLearningRate(model, set, {
        optimizer: plain,
        batchSize: 64, // 4 steps an epoch, so 9 steps end within the third.
        from: 1e-4,
        to: 1,
        steps: 9,
      });
      const half = Math.sqrt(10);
      assertClose(learningRates, Array.from({ length: 9 }, (_, i) => 1e-4 * half ** i), 1e-12);
      assert.equal(losses.length, 9);
      // Weights 0.9¹ · 0.1 and 0.1 over their sum, 0.19.
      assertClose(smoothedLosses[1]!, (0.09 * losses[0]! + 0.1 * losses[1]!) / 0.19, 1e-12);
      assert.deepEqual(values(model), before);
    }),
);

Deno.test("findLearningRate ends where the loss explodes", () =>
  assertNoLeak(async () => {
    setSeed(1);
    using model: Module<Images<1>, Features<10>> = sequential(flatten(), linear(784, 10));
    const before = values(model);
    const { learningRates, smoothedLosses } = await findLearningRate(model, set, {
      optimizer: plain,
      batchSize: 50,
      from: 1e-3,
      to: 1e6,
    });
    assert(learningRates.length < 100);
    assert(smoothedLosses.at(-1)! > 4 * Math.min(...smoothedLosses));
    assert.deepEqual(values(model), before);
  }));

Deno.test("findLearningRate ends quietly where the loss is not finite", async () => {
  const model = sequential(flatten(), linear(784, 10));
  const before = values(model);
  const { losses } = await findLearningRate(model, set, {
    optimizer: plain,
    batchSize: 50,
    from: 1e38, // The second loss is NaN.
    to: 2e38,
  });
  assert.equal(losses.length, 1);
  assert.deepEqual(values(model), before);
});

Deno.test("findLearningRate restores the model where it fails or is stopped", () =>
  assertNoLeak(async () => {
    using model = network();
    const before = values(model);
    let passes = 0;
    const options = { optimizer: plain, batchSize: 50, steps: 10 };
    const failing = findLearningRate(model, set, {
      ...options,
      transform: (images) => {
        if (++passes === 4) throw new RangeError("on purpose");
        return images;
      },
    });
    await assert.rejects(failing, /on purpose/);
    assert.deepEqual(values(model), before);
    const stop = new AbortController();
    const stopped = await findLearningRate(model, set, {
      ...options,
      signal: stop.signal,
      loss: (logits) => {
        stop.abort();
        return ops.mean(logits);
      },
    });
    assert.equal(stopped.losses.length, 1);
    assert.deepEqual(values(model), before);
  }));

Deno.test("findLearningRate refuses a range that does not grow, and what fit refuses", async () => {
  const model = network();
  const options = {
    optimizer: (p: readonly Variable[]) => adam(p, { learningRate: 1 }),
    batchSize: 50,
  };
  for (
    const wrong of [{ from: 0 }, { from: 2, to: 1 }, { to: Infinity }, { steps: 1 }, { steps: 2.5 }]
  ) {
    await assert.rejects(findLearningRate(model, set, { ...options, ...wrong }), {
      name: "RangeError",
      message: /^Finding a learning rate: expected 0 < from < to and at least 2 steps, found from/,
    });
  }
  await assert.rejects(findLearningRate(model, set, { ...options, batchSize: 201 }), {
    name: "RangeError",
    message: /batchSize must be at most 200/,
  });
});

const untyped: [options: object, message: RegExp][] = [
  [{ minimum: 1e-5 }, /Finding a learning rate: there is no option minimum\./],
  [{ epochs: 2 }, /there is no option epochs\. Did you mean steps\?|there is no option epochs\./],
  [{ from: "1e-5" }, /from must be a number, found "1e-5"/],
  [{ steps: null }, /steps must be a number, found null/],
  [
    { optimizer: sgd([linear(1, 1).weight], { learningRate: 1 }) },
    /optimizer must be a function that makes one, such as/,
  ],
  [{ optimizer: () => "sgd" }, /optimizer must be an optimizer such as .*, found "sgd"/],
  [{ loss: "mse" }, /loss must be a function/],
];
for (const [options, message] of untyped) {
  Deno.test(`findLearningRate refuses ${Deno.inspect(options, { depth: 0 })}, in words`, () =>
    assertNoLeak(async () => {
      using model = network();
      const given = { optimizer: plain, batchSize: 50, ...options };
      await assert.rejects(findLearningRate(model, set, given), { name: "TypeError", message });
    }));
}
