import assert from "node:assert/strict";
import {
  adam,
  backend,
  batchNorm,
  fashionMnist,
  type Features,
  findLearningRate,
  fit,
  flatten,
  type Images,
  linear,
  type Module,
  ops,
  relu,
  sequential,
  setSeed,
  sgd,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";

const { train: shipped } = await fashionMnist({ subset: true });
const set = shipped.take(200);

const network = () => sequential(flatten(), linear(784, 16), batchNorm(16), relu(), linear(16, 10));
/** The sum of each variable, weighted by position, so that any change shows. */
const values = (model: Module) =>
  [...model.namedVariables().values()].map((variable) =>
    Array.from(variable.dataSync()).reduce((sum, value, i) => sum + value * Math.sin(i + 1), 0)
  );
const plain = (model: Module) => sgd(model.parameters(), { learningRate: 1, momentum: 0.9 });

testOnEachBackend(
  "findLearningRate() goes through equal factors and leaves the model as it was",
  () =>
    assertNoLeak(async () => {
      setSeed(1);
      using model = network();
      using optimizer = plain(model);
      const before = values(model);
      const { learningRates, losses, smoothedLosses } = await findLearningRate(model, set, {
        optimizer,
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

Deno.test("findLearningRate() ends where the loss explodes", () =>
  assertNoLeak(async () => {
    setSeed(1);
    using model: Module<Images<1>, Features<10>> = sequential(flatten(), linear(784, 10));
    using optimizer = plain(model);
    const before = values(model);
    const { learningRates, smoothedLosses } = await findLearningRate(model, set, {
      optimizer,
      batchSize: 50,
      from: 1e-3,
      to: 1e6,
    });
    assert(learningRates.length < 100);
    assert(smoothedLosses.at(-1)! > 4 * Math.min(...smoothedLosses));
    assert.deepEqual(values(model), before);
  }));

Deno.test("findLearningRate() ends quietly where the loss is not finite", async () => {
  const model = sequential(flatten(), linear(784, 10));
  const before = values(model);
  const { losses } = await findLearningRate(model, set, {
    optimizer: plain(model),
    batchSize: 50,
    from: 1e38, // The second loss is NaN.
    to: 2e38,
  });
  assert.equal(losses.length, 1);
  assert.deepEqual(values(model), before);
});

Deno.test("findLearningRate() restores the model where it fails or is stopped", () =>
  assertNoLeak(async () => {
    using model = network();
    const before = values(model);
    let passes = 0;
    using optimizer = plain(model);
    const options = { optimizer, batchSize: 50, steps: 10 };
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

Deno.test("findLearningRate() refuses a range that does not grow, and what fit refuses", async () => {
  const model = network();
  const options = { optimizer: adam(model.parameters(), { learningRate: 1 }), batchSize: 50 };
  const cases = [
    [{ from: 0 }, "from must be a positive number, found 0."],
    [{ from: 2, to: 1 }, "to must be a number greater than 2, found 1."],
    [{ to: Infinity }, "to must be a number greater than 0.000001, found Infinity."],
    [{ steps: 1 }, "steps must be a whole number of at least 2, found 1."],
    [{ steps: 2.5 }, "steps must be a whole number of at least 2, found 2.5."],
  ] as const;
  for (const [wrong, message] of cases) {
    await assert.rejects(findLearningRate(model, set, { ...options, ...wrong }), {
      name: "RangeError",
      message: `Finding a learning rate: ${message}`,
    });
  }
  await assert.rejects(findLearningRate(model, set, { ...options, batchSize: 201 }), {
    name: "RangeError",
    message: /batchSize must be at most 200/,
  });
});

const untyped: [options: object, message: RegExp][] = [
  [{ minimum: 1e-5 }, /Finding a learning rate: there is no option minimum\./],
  [
    { epochs: 2 },
    /there is no option epochs\. Did you mean steps\?|there is no option epochs\./,
  ],
  [{ from: "1e-5" }, /from must be a positive number, found "1e-5"/],
  [{ steps: null }, /steps must be a whole number of at least 2, found null/],
  [
    { optimizer: () => sgd },
    /optimizer must be an optimizer such as .*, found the function optimizer/,
  ],
  [{ optimizer: "sgd" }, /optimizer must be an optimizer such as .*, found "sgd"/],
  [
    { optimizer: { parameters: [linear(1, 1).weight], step() {} } },
    /optimizer must have the methods state and loadState, with which it is restored, found undefined/,
  ],
  [{ loss: "mse" }, /loss must be a function/],
];
for (const [options, message] of untyped) {
  Deno.test(`findLearningRate() refuses ${Deno.inspect(options, { depth: 0 })}, in words`, () =>
    assertNoLeak(async () => {
      using model = network();
      using optimizer = plain(model);
      const wrong = { optimizer, batchSize: 50, ...options };
      await assert.rejects(findLearningRate(model, set, wrong), { name: "TypeError", message });
    }));
}

for (
  const make of [
    (model: Module) => sgd(model.parameters(), { learningRate: 0.3, momentum: 0.9 }),
    (model: Module) => adam(model.parameters(), { learningRate: 0.01 }),
  ]
) {
  Deno.test(`findLearningRate() restores the state and learning rate of ${make}`, () =>
    assertNoLeak(async () => {
      const train = async (isSweeping: boolean) => {
        setSeed(1);
        using model = network();
        using optimizer = make(model);
        const options = { optimizer, batchSize: 50, seed: 1 };
        await fit(model, set, { ...options, epochs: 1 });
        if (isSweeping) await findLearningRate(model, set, { ...options, steps: 7 });
        const { steps } = await fit(model, set, { ...options, epochs: 1 });
        return [...steps.map(({ loss }) => loss), optimizer.learningRate, ...values(model)];
      };
      assert.deepEqual(await train(true), await train(false));
    }));
}

Deno.test("findLearningRate() sees precision, compile, mixup, augment and objective as fit() does", async () => {
  const sweep = async (options: object) => {
    setSeed(1);
    const model = network();
    const settings = { optimizer: plain(model), batchSize: 50, steps: 4, seed: 1, ...options };
    return (await findLearningRate(model, set, settings)).losses;
  };
  const train = async (options: object) => {
    setSeed(1);
    const model = network();
    const settings = { optimizer: plain(model), batchSize: 50, epochs: 1, seed: 1, ...options };
    const schedule = (step: number) => 1e-6 * 1e7 ** (step / 3);
    return (await fit(model, set, { ...settings, schedule })).steps.map(({ loss }) => loss);
  };
  const augment = (images: Images<1>) => ops.mul(images, 0.5);
  const objective = (
    model: Module<Images<1>, Features<10>>,
    { images }: { images: Images<1> },
  ) => ({
    loss: ops.mean(ops.square(model.forward(images, { training: true }))),
  });
  const plainLosses = await sweep({});
  const cases = [{ mixup: 0.4 }, { augment }, { objective }, { compile: true }];
  if (backend() === "tensorflow") cases.push({ precision: "bf16" } as object as typeof cases[0]);
  for (const options of cases) {
    const losses = await sweep(options);
    assert.deepEqual(losses, await train(options));
    if (!("compile" in options)) assert.notDeepEqual(losses, plainLosses);
  }
});
