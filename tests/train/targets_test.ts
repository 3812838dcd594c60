/** Trainings on data sets of one's own: any inputs, any targets, in memory or on their way. */
import assert from "node:assert/strict";
import {
  binaryCrossEntropy,
  crossEntropy,
  type Dataset,
  evaluate,
  type Examples,
  extractFeatures,
  type Features,
  findLearningRate,
  fit,
  type Labels,
  linear,
  meanSquaredError,
  memory,
  Module,
  ops,
  predict,
  Random,
  sequential,
  setSeed,
  sgd,
  type Tensor,
  type Tensor3D,
  tidy,
} from "resnet-lab";
import { assertClose, assertNoLeak, tensorsAfter } from "../_helpers.ts";
import { testInFolder } from "./_helpers.ts";

/** Rows of numbers: the first ones are the inputs, the last `outputs` the targets. */
function table<In extends number, Out extends number>(
  rows: readonly (readonly number[])[],
  inputs: In,
  outputs: Out,
  isAsync = false,
): Dataset<Features<In>, Features<Out>> & { asked: number[][] } {
  const asked: number[][] = [];
  const batch = (indices: Int32Array): Examples<Features<In>, Features<Out>> => {
    asked.push([...indices]);
    const some = Array.from(indices, (i) => rows[i]!);
    return {
      inputs: ops.tensor(some.map((row) => row.slice(0, inputs))),
      targets: ops.tensor(some.map((row) => row.slice(inputs, inputs + outputs))),
    };
  };
  return {
    name: "a table",
    count: rows.length,
    asked,
    batch: isAsync
      ? async (indices) => {
        await new Promise((resolve) => setTimeout(resolve, 1));
        return batch(indices);
      }
      : batch,
  };
}

const points = [[1, 2], [2, 3], [3, 5], [-1, 0]] as const;

/** A linear layer that returns zeros. */
function zeroLinear<In extends number, Out extends number>(inputs: In, outputs: Out) {
  const layer = linear(inputs, outputs);
  for (const parameter of layer.parameters()) {
    tidy(() => parameter.assign(ops.zerosLike(parameter)));
  }
  return layer;
}

for (const isAsync of [false, true]) {
  const kind = isAsync ? "promises of batches" : "batches";
  Deno.test(`fit() takes a regression step as by hand, from ${kind}`, () =>
    assertNoLeak(async () => {
      const model = zeroLinear(1, 1), set = table(points, 1, 1, isAsync);
      const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
      const { steps, epochs } = await fit(model, set, {
        optimizer,
        loss: meanSquaredError,
        epochs: 1,
        batchSize: 4,
        validation: set,
      });
      // The mean of 4, 9, 25 and 0; its gradients are −2 · mean(x · y) and −2 · mean(y).
      assert.equal(steps[0]!.loss, 9.5);
      const weight = 0.1 * 2 * (2 + 6 + 15) / 4, bias = 0.1 * 2 * (2 + 3 + 5) / 4;
      assertClose(model.weight, [weight]);
      assertClose(model.bias!, [bias]);
      assert(Number.isNaN(steps[0]!.accuracy) && Number.isNaN(epochs[0]!.trainAccuracy));
      const errors = points.map(([x, y]) => (weight * x + bias - y) ** 2);
      assertClose(epochs[0]!.validation!.loss, errors.reduce((a, b) => a + b) / 4);
      assert(Number.isNaN(epochs[0]!.validation!.accuracy));
      const evaluation = await evaluate(model, set, {
        loss: meanSquaredError,
        batchSize: 3, // The last batch counts by its examples.
        metrics: {
          largest: (outputs, targets) => ops.max(ops.abs(ops.sub(outputs, targets))).dataSync()[0]!,
        },
      });
      assertClose(evaluation.loss, errors.reduce((a, b) => a + b) / 4);
      assertClose(evaluation.metrics.largest!, Math.sqrt(Math.max(...errors)));
      assert.deepEqual(Object.keys(evaluation).sort(), ["loss", "metrics"]);
      [...model.parameters()].forEach((parameter) => parameter.dispose());
    }));
}

/** Twenty rows of three features and two targets. */
function noise(isAsync: boolean) {
  const random = new Random(5);
  return table(
    Array.from({ length: 20 }, () => [...tidy(() => random.normal([5]).dataSync())]),
    3,
    2,
    isAsync,
  );
}

type Changes = {
  readonly microBatchSize?: number;
  readonly mixup?: number;
  readonly compile?: boolean;
};

async function lossesOf(isAsync: boolean, changes: Changes = {}): Promise<number[]> {
  setSeed(2);
  const model = sequential(linear(3, 4), linear(4, 2));
  using optimizer = sgd(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
  const set = noise(isAsync), options = { optimizer, loss: meanSquaredError, seed: 3, ...changes };
  const { steps, epochs } = await fit(model, set, {
    ...options,
    epochs: 3,
    batchSize: 6,
    augment: (x, random) => ops.add(x, random.normal(x.shape, { standardDeviation: 0.01 })),
    validation: set,
  });
  return [...steps.map(({ loss }) => loss), ...epochs.map(({ validation }) => validation!.loss)];
}

Deno.test("fit() has the same losses to the last bit if the data set returns promises", async () => {
  const expected = await lossesOf(false);
  assert.equal(expected.length, 15);
  assert.deepEqual(await lossesOf(true), expected);
});

Deno.test("fit() of float targets is the same in parts, and compiled", async () => {
  const expected = await lossesOf(false);
  assertClose(await lossesOf(true, { microBatchSize: 4 }), expected);
  assertClose(await lossesOf(true, { compile: true }), expected);
});

Deno.test("fit() mixes float targets as it mixes labels", async () => {
  // Of the points (0, 0) and (1, 1) a mixture with λ is (1 − λ, λ and 1 − λ of the two targets) or
  // (λ, …). For y = x its loss is λ · (1 − λ)² + (1 − λ) · λ² = λ · (1 − λ), or 0 if each point is
  // mixed with itself.
  const set = table([[0, 0], [1, 1]], 1, 1), model = zeroLinear(1, 1);
  tidy(() => model.weight.assign(ops.ones([1, 1])));
  using optimizer = sgd(model.parameters(), { learningRate: 1e-9 });
  const loss = meanSquaredError, options = { optimizer, loss, epochs: 40, batchSize: 2, seed: 1 };
  const { steps } = await fit(model, set, { ...options, mixup: 1 });
  const mixed = steps.map(({ loss }) => loss).filter((loss) => loss > 1e-6);
  assert(mixed.length > 5 && mixed.length < 35, `${mixed.length} of 40`);
  assert(mixed.every((loss) => loss <= 0.25 + 1e-6));
});

Deno.test("a data set that returns promises is asked ahead, in the order of the training", async () => {
  const set = noise(true), model = linear(3, 2);
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const training = fit(model, set, {
    optimizer,
    loss: meanSquaredError,
    epochs: 1,
    batchSize: 5,
    seed: 1,
  });
  for await (const progress of training) {
    if (progress.kind === "step") {
      // Two batches ahead of the one that was trained on, and no more than there are.
      assert(set.asked.length <= Math.min(4, progress.step + 2), `${set.asked.length}`);
    }
  }
  assert.equal(set.asked.length, 4);
  assert.equal(new Set(set.asked.flat()).size, 20);
});

Deno.test("fit() ends without an error while it waits for a batch, and frees the batch", async () => {
  const before = memory().tensors;
  const stop = new AbortController();
  let resolveLast = () => {};
  const late = new Promise<void>((resolve) => resolveLast = resolve);
  const rows = table(points, 1, 1);
  let calls = 0;
  const set: typeof rows = {
    ...rows,
    batch: async (indices) => {
      if (++calls > 1) await late;
      return await rows.batch(indices);
    },
  };
  const model = linear(1, 1);
  const options = { loss: meanSquaredError, epochs: 9, batchSize: 2, signal: stop.signal };
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  let steps = 0;
  for await (const _progress of fit(model, set, { ...options, optimizer })) {
    steps++;
    setTimeout(() => stop.abort(), 20);
  }
  assert.equal(steps, 1);
  resolveLast();
  model.parameters().forEach((parameter) => parameter.dispose());
  assert.equal(await tensorsAfter(20, before), before);
});

Deno.test("fit() passes on the error of a data set, and frees what was loaded ahead", async () => {
  const before = memory().tensors;
  const rows = table(points, 1, 1);
  let calls = 0;
  const set: typeof rows = {
    ...rows,
    batch: async (indices) => {
      if (++calls === 2) throw new Error("the disk is gone");
      await Promise.resolve();
      return rows.batch(indices);
    },
  };
  const model = linear(1, 1), optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const options = { optimizer, loss: meanSquaredError, epochs: 1, batchSize: 1 };
  await assert.rejects(fit(model, set, options).then(), /the disk is gone/);
  model.parameters().forEach((parameter) => parameter.dispose());
  assert.equal(await tensorsAfter(20, before), before);
});

Deno.test("fit() learns several labels with binaryCrossEntropy", async () => {
  // Label 0 where x > 0, label 1 where y > 0: each point has none, one or both.
  const rows = Array.from({ length: 36 }, (_, i) => {
    const x = i % 6 - 2.5, y = Math.floor(i / 6) - 2.5;
    return [x, y, Number(x > 0), Number(y > 0)];
  });
  const set = table(rows, 2, 2), model = zeroLinear(2, 2);
  using optimizer = sgd(model.parameters(), { learningRate: 1 });
  const options = { optimizer, loss: binaryCrossEntropy, epochs: 60, batchSize: 36 };
  const { steps } = await fit(model, set, options);
  assertClose(steps[0]!.loss, Math.LN2); // All probabilities are ½.
  const allRight = (logits: Tensor, targets: Tensor) => {
    const predicted = logits.dataSync();
    return Number(targets.dataSync().every((target, i) => (predicted[i]! > 0) === (target === 1)));
  };
  const { loss, metrics } = await evaluate(model, set, {
    loss: binaryCrossEntropy,
    metrics: { allRight },
  });
  assert.equal(metrics.allRight, 1);
  assert(loss < 0.1, `${loss}`);
});

/** The mean of a sequence `[batch, time, features]` over time, through a linear layer. */
class MeanOverTime extends Module<Tensor3D, Features<1>> {
  readonly head = linear(2, 1);
  override forward(x: Tensor3D): Features<1> {
    return this.head.forward(ops.mean(x, [1]) as Features<2>);
  }
}

Deno.test("fit() and evaluate() take sequences", async () => {
  const random = new Random(1);
  const sequences = random.normal([24, 5, 2]);
  const sums = tidy(() => ops.sum(sequences, [1, 2]).dataSync());
  const set: Dataset<Tensor3D, Features<1>> = {
    name: "sequences",
    count: 24,
    batch: (indices) => ({
      inputs: ops.gather(sequences, ops.tensor([...indices], undefined, "int32")),
      targets: ops.tensor(Array.from(indices, (i) => [sums[i]!])),
    }),
  };
  setSeed(1);
  const model = new MeanOverTime(), loss = meanSquaredError;
  using optimizer = sgd(model.parameters(), { learningRate: 0.5 });
  await fit(model, set, { optimizer, loss, epochs: 60, batchSize: 8 });
  // The sum over time and features is 5 times the mean: weights of 5.
  assert((await evaluate(model, set, { loss })).loss < 1e-3);
  assertClose(model.head.weight, [5, 5], 0.02);
});

/** Points of two classes, on both sides of zero. */
function twoClasses(classNames?: string[]): Dataset<Features<1>, Labels<2>> {
  const xs = [-2, -1, 1, 2];
  return {
    name: "sides",
    count: 4,
    classNames,
    batch: async (indices) => ({
      inputs: await Promise.resolve(ops.tensor(Array.from(indices, (i) => [xs[i]!]))),
      targets: ops.tensor(Array.from(indices, (i) => Number(xs[i]! > 0)), undefined, "int32"),
    }),
  };
}

Deno.test("evaluate() and predict() of a classifier take a data set of one's own", async () => {
  const model = zeroLinear(1, 2);
  using optimizer = sgd(model.parameters(), { learningRate: 1 });
  const named = twoClasses(["left", "right"]);
  const { epochs } = await fit(model, named, {
    optimizer,
    epochs: 5,
    batchSize: 2,
    validation: named,
  });
  assert.equal(epochs.at(-1)!.validation!.accuracy, 1);
  assert.equal(epochs.at(-1)!.trainAccuracy, 1);
  const { accuracy, perClass, predictions } = await evaluate(model, named);
  assert.equal(accuracy, 1);
  assert.deepEqual(perClass.map(({ className }) => className), ["left", "right"]);
  assert.deepEqual([...predictions], [0, 0, 1, 1]);
  const unnamed = await evaluate(model, twoClasses());
  assert.deepEqual(unnamed.perClass.map(({ className }) => className), ["0", "1"]);
  const names = ["left", "right"];
  for (const inputs of [named, ops.tensor([[-3], [-1], [5], [7]])]) {
    const predicted = await predict(model, inputs, { classNames: names });
    assert.deepEqual(predicted.map(([best]) => best!.className), [
      "left",
      "left",
      "right",
      "right",
    ]);
  }
  const features = await extractFeatures((x) => ops.mul(x, 2) as Features<1>, named);
  assert.deepEqual([...features.pixels], [-4, -2, 2, 4]);
  assert.deepEqual([...features.labels], [0, 0, 1, 1]);
  assert.deepEqual(features.classNames, names);
  await assert.rejects(extractFeatures((x: Features<1>) => x, twoClasses()), {
    name: "TypeError",
    message: 'Extracting features of "sides": the data set must have classNames, because its ' +
      "features become a data set of classes, found none.",
  });
});

Deno.test("findLearningRate() takes a regression", async () => {
  const model = linear(3, 2), loss = meanSquaredError;
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const sweep = await findLearningRate(model, noise(true), { optimizer, loss, batchSize: 5 });
  assert(sweep.losses.length > 20 && sweep.losses.every(Number.isFinite));
});

Deno.test("fit() and evaluate() refuse float targets for the cross-entropy, in words", async () => {
  const model = linear(1, 1), set = table(points, 1, 1) as never;
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const options = { optimizer, epochs: 1, batchSize: 4 };
  const rest =
    "the targets must be class numbers, int32 [batch], for the loss crossEntropy, found " +
    "float32 [N,1]. Give the option loss: meanSquaredError for numbers, binaryCrossEntropy for " +
    "several labels.";
  const refuse = (run: PromiseLike<unknown>, action: string, n: number) =>
    assert.rejects(Promise.resolve(run), {
      name: "TypeError",
      message: `${action}: ${rest.replace("N", String(n))}`,
    });
  await refuse(fit(model as never, set, options as never), 'Fitting to "a table"', 1);
  await refuse(
    fit(model as never, set, { ...options, loss: crossEntropy } as never),
    'Fitting to "a table"',
    1,
  );
  await refuse(evaluate(model as never, set), 'Evaluating on "a table"', 4);
  // The validation set, before the first step.
  const validation = table(points, 1, 1) as never, classifier = linear(1, 2);
  using own = sgd(classifier.parameters(), { learningRate: 0.1 });
  await refuse(
    fit(classifier as never, twoClasses(), { ...options, optimizer: own, validation } as never),
    'Fitting to "sides", validating on "a table"',
    1,
  );
});

Deno.test("fit() refuses a model that does not fit a data set of one's own, before the first step", async () => {
  const model = linear(1, 3), set = twoClasses(["left", "right"]);
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const options = { optimizer, epochs: 1, batchSize: 4 };
  await assert.rejects(fit(model as never, set as never, options as never).then(), {
    name: "RangeError",
    message: 'Fitting to "sides": the model must have the 2 classes of the data set, found 3. ' +
      "Build it with 2 classes.",
  });
  const wide = linear(7, 2);
  using own = sgd(wide.parameters(), { learningRate: 0.1 });
  await assert.rejects(
    fit(wide as never, set as never, { ...options, optimizer: own } as never).then(),
    /linear 7 → 2: the input must be \[batch, features 7\], found \[1, 1\]/,
  );
});

Deno.test("data sets that return something else are refused, in words", async () => {
  const before = memory().tensors;
  const model = linear(1, 1);
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const train = (data: unknown) =>
    fit(
      model as never,
      data as never,
      { optimizer, loss: meanSquaredError, epochs: 1, batchSize: 2 } as never,
    )
      .then();
  const returning = (value: () => unknown) => ({ name: "odd", count: 4, batch: value });
  await assert.rejects(train(returning(() => 3)), {
    name: "TypeError",
    message: 'Making batches of "odd": a batch must be { inputs, targets }, two tensors, found 3.',
  });
  const short = () => ({ inputs: ops.zeros([2, 1]), targets: ops.zeros([1, 1]) });
  await assert.rejects(train(returning(() => Promise.resolve(short()))), {
    name: "RangeError",
    message: 'Making batches of "odd": inputs and targets must begin with an axis of 2 examples, ' +
      "found inputs [2,1] and targets [1,1].",
  });
  assert.throws(() => train({ name: "odd", count: 4 }), {
    name: "TypeError",
    message: "Fitting: the data set must be an ImageDataset, or an object " +
      "{ name, count, batch }, found { name, count }.",
  });
  assert.throws(() => train({ ...returning(short), count: 0 }), {
    name: "RangeError",
    message: 'Fitting: the count of "odd" must be a whole number of at least 1, found 0.',
  });
  model.parameters().forEach((parameter) => parameter.dispose());
  assert.equal(memory().tensors, before);
});

testInFolder(
  "a checkpoint continues on a data set of one's own, to the last bit",
  async (checkpoint) => {
    const train = async (folder: string | undefined, last = Infinity) => {
      setSeed(2);
      const model = linear(3, 2);
      using optimizer = sgd(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
      const training = fit(model, noise(true), {
        optimizer,
        loss: meanSquaredError,
        epochs: 2,
        batchSize: 3,
        seed: 1,
        mixup: 0.5,
        checkpoint: folder,
      });
      const losses: number[] = [];
      for await (const progress of training) {
        if (progress.kind === "step") losses.push(progress.loss);
        if (losses.length >= last) break;
      }
      return { losses, weight: [...model.weight.dataSync()] };
    };
    const expected = await train(undefined);
    await train(checkpoint, 4); // In the middle of the first epoch.
    await train(checkpoint, 9);
    assert.deepEqual(await train(checkpoint), expected);
  },
);

testInFolder("a checkpoint names the data of one's own that has changed", async (checkpoint) => {
  const begin = (changes: Partial<Dataset<Features<1>, Features<1>>>, rows = points.slice()) => {
    setSeed(1);
    const model = linear(1, 1), optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    const set = { ...table(rows, 1, 1), ...changes };
    const options = { optimizer, loss: meanSquaredError, epochs: 2, batchSize: 2, seed: 1 };
    return fit(model, set, { ...options, checkpoint });
  };
  for await (const progress of begin({})) if (progress.kind === "epoch") break;
  const other = points.map(([x, y]) => [x, y + 1] as const) as never;
  await assert.rejects(
    begin({}, other).then(),
    /the content of the data set \(some examples\) must be the same, found another\./,
  );
  await assert.rejects(
    begin({ name: "another" }).then(),
    /the data set must be "a table", 4 examples, found "another", 4 examples\./,
  );
});

testInFolder("a checkpoint compares the fingerprint of a data set", async (checkpoint) => {
  const begin = (fingerprint: string) => {
    setSeed(1);
    const model = linear(1, 1), optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    const set = { ...table(points, 1, 1), fingerprint: () => Promise.resolve(fingerprint) };
    const options = { optimizer, loss: meanSquaredError, epochs: 2, batchSize: 2, seed: 1 };
    return fit(model, set, { ...options, checkpoint });
  };
  for await (const progress of begin("first")) if (progress.kind === "epoch") break;
  await assert.rejects(
    begin("second").then(),
    /the content of the data set \(its fingerprint\) must be the same, found another\./,
  );
  assert.equal((await begin("first")).epochs.length, 2);
});

Deno.test("an objective gets inputs and targets", async () => {
  const model = linear(3, 2);
  using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const { steps } = await fit(model, noise(true), {
    optimizer,
    epochs: 1,
    batchSize: 10,
    objective: (model, { inputs, targets }) => ({
      loss: meanSquaredError(model.forward(inputs), targets),
    }),
  });
  assert.equal(steps.length, 2);
  assert(steps.every(({ loss }) => Number.isFinite(loss)));
  await assert.rejects(
    fit(model, noise(false), {
      optimizer,
      epochs: 1,
      batchSize: 10,
      objective: (model, { inputs }) => {
        const logits = model.forward(inputs);
        return { loss: ops.mean(logits), logits };
      },
    }).then(),
    /objective may return logits only for targets that are class numbers, int32 \[batch\], found targets float32 \[10,2\]/,
  );
});
