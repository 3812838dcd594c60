import assert from "node:assert/strict";
import {
  adam,
  adamW,
  backend,
  batchNorm,
  conv2d,
  crossEntropy,
  dropout,
  type EpochProgress,
  fashionMnist,
  type Features,
  fit,
  type FitOptions,
  flatten,
  globalAveragePool,
  ImageDataset,
  type Images,
  type Labels,
  lenet,
  linear,
  memory,
  Module,
  normalize,
  ops,
  type Optimizer,
  type ParametersOrGroups,
  type Precision,
  type Progress,
  type Random,
  relu,
  resize,
  resnet,
  sequential,
  setSeed,
  sgd,
  type StepProgress,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";
import { DivergenceError } from "../../lib/train/divergence_error.ts";

const { train: shipped, test: shippedTest } = await fashionMnist({ subset: true });
const hundred = shipped.take(100);

function smallNet() {
  return sequential(
    conv2d(1, 4, { kernelSize: 3, stride: 3, useBias: false }),
    batchNorm(4),
    relu(),
    flatten(),
    dropout(0.2),
    linear(4 * 9 * 9, 10),
  );
}

const steps = (history: readonly Progress[]) => history.filter((p) => p.kind === "step");
async function all(training: AsyncIterable<Progress>): Promise<Progress[]> {
  const found = [];
  for await (const progress of training) found.push(progress);
  return found;
}
/** The sum of each variable, weighted by position, so that any change shows. */
const values = (model: Module) =>
  [...model.namedVariables().values()].map((variable) =>
    Array.from(variable.dataSync()).reduce((sum, value, i) => sum + value * Math.sin(i + 1), 0)
  );

testOnEachBackend(
  "fit() by hand: one weight, two steps of one light pixel, with a schedule",
  () =>
    assertNoLeak(async () => {
      using model = new OneWeight();
      using optimizer = sgd(model.parameters(), { learningRate: 1 });
      const [first, second, epoch] = await all(fit(model, pixels([1, 1]), {
        optimizer,
        epochs: 1,
        batchSize: 1,
        schedule: (step) => [4, 2][step]!,
        validation: pixels([1, 0]),
      })) as [StepProgress, StepProgress, EpochProgress];
      // Loss log(1 + e⁻ʷ), gradient −1 / (1 + eʷ): w = 0, then 4 / 2 = 2, then 2 + 2 / (1 + e²).
      const after = 2 + 2 / (1 + Math.exp(2));
      assertClose(model.weight, [after]);
      const loss = (w: number) => Math.log(1 + Math.exp(-w));
      assertClose([first.loss, second.loss], [loss(0), loss(2)]);
      assertClose([first.gradientNorm, second.gradientNorm], [0.5, 1 / (1 + Math.exp(2))]);
      // With equal logits the first class, dark, is predicted.
      assert.deepEqual([first.accuracy, second.accuracy], [0, 1]);
      assert.deepEqual([first.learningRate, second.learningRate, optimizer.learningRate], [
        4,
        2,
        2,
      ]);
      assert.deepEqual([first.step, second.step, second.totalSteps, second.epochs], [1, 2, 2, 1]);
      assert(first.imagesPerSecond > 0);
      assert.equal(epoch.kind, "epoch");
      assertClose(epoch.trainLoss, (loss(0) + loss(2)) / 2);
      assert.equal(epoch.trainAccuracy, 0.5);
      assertClose(epoch.validation!.loss, (loss(after) + Math.log(2)) / 2);
      assert.equal(epoch.validation!.accuracy, 1);
      assert(epoch.seconds > 0);
    }),
);

Deno.test("fit() weighs a smaller last batch by its images, or leaves it out", async () => {
  for (const [dropLast, count] of [[false, 3], [true, 2]] as const) {
    const model = new OneWeight();
    const seen = await all(fit(model, pixels([1, 0, 0, 0, 0]), {
      optimizer: sgd(model.parameters(), { learningRate: 3 }),
      epochs: 2,
      batchSize: 2,
      dropLast,
      seed: 1,
    }));
    assert.deepEqual(seen.map(({ kind, epoch }) => `${kind} ${epoch}`), [
      ...[1, 2].flatMap((epoch) => [...new Array(count).fill(`step ${epoch}`), `epoch ${epoch}`]),
    ]);
    const sizes = dropLast ? [2, 2] : [2, 2, 1];
    const losses = steps(seen).slice(0, count).map(({ loss }, i) => loss * sizes[i]!);
    const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b);
    const epoch = seen[count] as EpochProgress;
    assertClose(epoch.trainLoss, sum(losses) / sum(sizes), 1e-12);
    assert.equal(epoch.validation, undefined);
  }
});

Deno.test("fit() lets LeNet overfit one batch", async () => {
  setSeed(1);
  const model = lenet();
  const optimizer = adam(model.parameters(), { learningRate: 3e-3 });
  const { epochs } = await fit(model, shipped.take(32), { optimizer, epochs: 60, batchSize: 32 });
  assert.equal(epochs.at(-1)!.trainAccuracy, 1);
  assert(epochs.at(-1)!.trainLoss < 0.05, String(epochs.at(-1)!.trainLoss));
});

const seeded = async (options: Partial<FitOptions<Images<1>, Labels<10>>>, shared = 1) => {
  setSeed(shared);
  const model = smallNet();
  const optimizer = sgd(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
  const random = (images: Images<1>, random: Random) =>
    ops.add(images, ops.mul(random.normal(images.shape), 0.1));
  const { steps } = await fit(model, hundred, {
    optimizer,
    epochs: 2,
    batchSize: 25,
    augment: random,
    ...options,
  });
  return steps.map(({ loss }) => loss);
};

testOnEachBackend(
  "fit() repeats a training for the same setSeed(), with augmentation and dropout",
  async () => {
    const losses = await seeded({});
    assert.equal(new Set(losses).size, 8);
    assert.deepEqual(await seeded({}), losses);
    assert.notDeepEqual(await seeded({}, 2), losses);
  },
);

Deno.test("fit() gives the same batches for the same seed to another model", async () => {
  const order = async (seed: number, model: Module<Images<1>, Features<10>>) => {
    const sums: number[] = [];
    const note = (images: Images<1>) => {
      sums.push(ops.sum(images).dataSync()[0]!);
      return images;
    };
    const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    await all(fit(model, hundred, { optimizer, epochs: 2, batchSize: 10, seed, transform: note }));
    return sums;
  };
  setSeed(1);
  const sums = await order(5, lenet());
  assert.deepEqual(await order(5, sequential(flatten(), linear(784, 10))), sums);
  assert.notDeepEqual(await order(6, sequential(flatten(), linear(784, 10))), sums);
});

Deno.test("fit() in bf16 learns as in fp32, and keeps parameters in fp32", {
  ignore: backend() !== "tensorflow",
}, async () => {
  const training = async (precision: "fp32" | "bf16") => {
    setSeed(2);
    const model = resnet({
      block: "basic",
      stages: [1, 1],
      channels: 8,
      inChannels: 1,
      classes: 10,
    });
    const optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
    const options = {
      optimizer,
      epochs: 3,
      batchSize: 20,
      seed: 3,
      precision,
      validation: hundred,
    };
    const epochs = (await all(fit(model, hundred, options))).filter(({ kind }) => kind === "epoch");
    return { model, losses: (epochs as EpochProgress[]).map(({ trainLoss }) => trainLoss) };
  };
  const { losses: expected } = await training("fp32");
  const { model, losses } = await training("bf16");
  assertClose(losses, expected, 0.05);
  assert.notDeepEqual(losses, expected);
  for (const [path, value] of model.namedVariables()) {
    const words = new Uint32Array(Float32Array.from(value.dataSync()).buffer);
    // The lower half of a float32 is 0 where it was a bfloat16.
    assert(words.some((word) => (word & 0xffff) !== 0), path);
  }
});

for (const precision of ["fp32", "bf16"] as const) {
  Deno.test(`fit() compiled in ${precision} learns as without`, {
    ignore: backend() !== "tensorflow",
  }, () =>
    assertNoLeak(async () => {
      const train = async (isCompiled: boolean) => {
        setSeed(2);
        using model = smallNet();
        using optimizer = sgd(model.parameters(), { learningRate: 0.05, momentum: 0.9 });
        let passes = 0;
        const forward = model.forward.bind(model);
        const counting = Object.assign(model, {
          forward: (...parameters: Parameters<typeof forward>) => {
            passes++;
            return forward(...parameters);
          },
        });
        const seen = await all(fit(counting, hundred, {
          ...{ optimizer, epochs: 3, batchSize: 30, seed: 3, mixup: 0.4, maxGradientNorm: 1 },
          ...{ precision, compile: isCompiled, validation: shippedTest.take(70) },
        }));
        const history = seen.map((progress) =>
          progress.kind === "step"
            ? [progress.loss, progress.accuracy, progress.gradientNorm]
            : [progress.trainLoss, progress.validation!.loss, progress.validation!.accuracy]
        );
        return { passes, numbers: [...history.flat(), ...values(model)] };
      };
      const plain = await train(false), compiled = await train(true);
      // One on each set to see that all fits, then two for batches of 30 and of 10 in training, and
      // in the evaluation.
      assert.equal(compiled.passes, 2 + 4 + 4);
      assert.equal(plain.passes, 2 + 3 * 4 + 3 * 3);
      assertClose(compiled.numbers, plain.numbers, precision === "fp32" ? 1e-4 : 0.05);
    }));
}

Deno.test("fit() compiled leaves the model as it was if it diverges", {
  ignore: backend() !== "tensorflow",
}, async () => {
  const model = smallNet();
  const optimizer = sgd(model.parameters(), { learningRate: 0.01 });
  let before: number[] = [];
  const training = fit(model, hundred, {
    ...{ optimizer, epochs: 2, batchSize: 20, compile: true },
    schedule: (step) => step === 3 ? 1e38 : 0.01,
  });
  await assert.rejects(async () => {
    for await (const _ of training) before = values(model);
  }, DivergenceError);
  assert.deepEqual(values(model), before);
});

Deno.test("fit() transforms validation images as well, but augments training images only", async () => {
  const model = sequential(flatten(), linear(784, 10));
  const shapes: string[] = [];
  const note = (name: string) => (images: Images<1>) => {
    shapes.push(`${name} ${images.shape[0]}`);
    return images;
  };
  await all(fit(model, hundred, {
    optimizer: sgd(model.parameters(), { learningRate: 0.1 }),
    epochs: 1,
    batchSize: 50,
    augment: note("augment"),
    transform: note("transform"),
    validation: shippedTest.take(30),
  }));
  const once = ["augment 50", "transform 50"];
  const check = ["augment 1", "transform 1", "transform 1"];
  assert.deepEqual(shapes, [...check, ...once, ...once, "transform 30"]);
});

Deno.test("fit() trains the parameters of the optimizer only, and keeps running statistics", async () => {
  setSeed(1);
  const model = smallNet();
  const [kernel, scale, offset, mean, variance, weight, bias] = values(model);
  const head = [...model.namedParameters()].filter(([path]) => path.startsWith("5."));
  const optimizer = sgd(head.map(([, parameter]) => parameter), { learningRate: 0.1 });
  await all(fit(model, hundred, { optimizer, epochs: 1, batchSize: 50 }));
  const after = values(model);
  assert.deepEqual(after.slice(0, 3), [kernel, scale, offset]);
  for (const [i, before] of [mean, variance, weight, bias].entries()) {
    assert.notDeepEqual(after[3 + i], before);
  }
});

/** The bits of each variable by its path. */
const bits = (model: Module) =>
  new Map(
    [...model.namedVariables()].map(([path, variable]) => [path, [...variable.dataSync()]]),
  );

for (
  const [name, make] of [
    [
      "sgd",
      (p: ParametersOrGroups) => sgd(p, { learningRate: 0.1, momentum: 0.9, weightDecay: 0.1 }),
    ],
    ["adamW", (p: ParametersOrGroups) => adamW(p, { learningRate: 0.01, weightDecay: 0.1 })],
  ] as const
) {
  testOnEachBackend(
    `fit() with ${name} leaves frozen modules alone to the bit, and moves all others`,
    () =>
      assertNoLeak(async () => {
        setSeed(1);
        const twenty = hundred.take(20), transform = resize(8, 8);
        using model = resnet({
          block: "basic",
          stages: [1, 1],
          stem: "cifar",
          channels: 2,
          inChannels: 1,
          classes: 10,
        });
        const run = async (optimizer: Optimizer) => {
          await fit(model, twenty, { optimizer, epochs: 2, batchSize: 10, transform });
          optimizer.dispose();
        };
        await run(make(model.parameters())); // Statistics that are not those of the start.
        const start = bits(model);
        model.freeze("conv1", "bn1", "layer2");
        await run(make(model.parameters()));
        const after = bits(model);
        let still = 0;
        for (const [path, before] of start) {
          if (/^(conv1|bn1|layer2)\./.test(path)) {
            assert.deepEqual(after.get(path), before, path);
            still++;
          } else assert.notDeepEqual(after.get(path), before, path);
        }
        assert.equal(still, 5 + 2 * 5 + 5); // Five to a convolution with its batch norm.
        assert.equal(start.size, still + 2 * 5 + 2);

        model.unfreeze();
        await run(make(model.parameters()));
        for (const [path, before] of after) {
          assert.notDeepEqual(bits(model).get(path), before, path);
        }
      }),
  );
}

Deno.test("fit() refuses an optimizer that was made before freezing, and changes nothing", () =>
  assertNoLeak(async () => {
    using model = smallNet();
    using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    model.freeze("5");
    const before = bits(model);
    const training = () => fit(model, hundred, { optimizer, epochs: 1, batchSize: 50 });
    assert.throws(training, {
      name: "RangeError",
      message:
        'Fitting to "Fashion-MNIST subset, train": the optimizer must change only parameters of the model that are not frozen, found 5.weight, which is frozen. Make it again with the parameters of this model.',
    });
    assert.deepEqual(bits(model), before);
    model.unfreeze("5");
    await all(training());
  }));

testOnEachBackend(
  "fit() leaves frozen and other statistics alone if it diverges",
  () =>
    assertNoLeak(async () => {
      using model = sequential(smallNet());
      model.freeze("0.1");
      using optimizer = sgd(model.parameters(), { learningRate: 1 });
      const before = bits(model);
      const loss: FitOptions<Images<1>, Labels<10>>["loss"] = (logits, labels) =>
        ops.mul(crossEntropy(logits, labels), NaN);
      const training = fit(model, hundred, { optimizer, epochs: 1, batchSize: 50, loss });
      await assert.rejects(all(training), { name: "DivergenceError" });
      assert.deepEqual(bits(model), before);
    }),
);

Deno.test("fit() with a schedule keeps the ratio of the groups of the optimizer", async () => {
  class TwoWeights extends Module<Images<1>, Features<2>> {
    readonly body = new OneWeight();
    readonly head = new OneWeight();
    override forward(images: Images<1>): Features<2> {
      return ops.add(this.body.forward(images), this.head.forward(images));
    }
  }
  const model = new TwoWeights();
  const groups = [
    { parameters: model.body.parameters(), learningRateFactor: 0.25 },
    { parameters: model.head.parameters() },
  ];
  const optimizer = sgd(groups, { learningRate: 9 });
  const schedule = (step: number) => [4, 2][step]!;
  const history = await fit(model, pixels([1, 1]), {
    optimizer,
    epochs: 1,
    batchSize: 1,
    schedule,
  });
  // Both gradients are −1 / (1 + eˢ) of the sum s of the weights: 0, then 2 + 0.5.
  const second = 1 / (1 + Math.exp(2.5));
  assertClose(model.head.weight, [2 + 2 * second]);
  assertClose(model.body.weight, [0.5 + 0.5 * second]);
  assert.equal(optimizer.learningRate, 2);
  assert.equal(history.steps.length, 2);
});

Deno.test("fit() clips gradients to maxGradientNorm", async () => {
  const model = new OneWeight();
  const [progress] = steps(
    await all(fit(model, pixels([1]), {
      optimizer: sgd(model.parameters(), { learningRate: 1 }),
      epochs: 1,
      batchSize: 1,
      maxGradientNorm: 0.1,
    })),
  );
  assertClose(progress!.gradientNorm, 0.5);
  assertClose(model.weight, [0.1]);
});

Deno.test("fit() minimises another loss", async () => {
  const model = new OneWeight();
  const [progress] = steps(
    await all(fit(model, pixels([1]), {
      optimizer: sgd(model.parameters(), { learningRate: 1 }),
      epochs: 1,
      batchSize: 1,
      loss: (logits, labels) => ops.mul(crossEntropy(logits, labels), 2),
    })),
  );
  assertClose(progress!.loss, 2 * Math.log(2));
  assertClose(model.weight, [1]);
});

testOnEachBackend(
  "fit() holds as many tensors after each step and epoch as before, and frees them",
  () =>
    assertNoLeak(async () => {
      using model = smallNet();
      using optimizer = adam(model.parameters(), { learningRate: 1e-3, weightDecay: 0.1 });
      const before = memory().tensors;
      for await (
        const _ of fit(model, shipped.take(60), {
          optimizer,
          epochs: 2,
          batchSize: 20,
          maxGradientNorm: 0.1,
          transform: normalize({ mean: 0.3, standardDeviation: 0.4 }),
          validation: shipped.take(50),
        })
      ) {
        assert.equal(memory().tensors, before);
      }
      assert.equal(memory().tensors, before);
    }),
);

Deno.test("fit() frees the batch where the receiver leaves the loop or throws", () =>
  assertNoLeak(async () => {
    using model = lenet();
    using optimizer = sgd(model.parameters(), { learningRate: 0.01, momentum: 0.9 });
    const start = () => fit(model, hundred, { optimizer, epochs: 2, batchSize: 20 });
    for await (const { step } of start() as AsyncIterable<StepProgress>) if (step === 2) break;
    await assert.rejects(async () => {
      for await (const _ of start()) throw new Error("on purpose");
    }, /on purpose/);
  }));

Deno.test("fit() ends at an abort after the current step, without an error", async () => {
  for (const at of [0, 1, 3]) {
    await assertNoLeak(async () => {
      using model = lenet();
      using optimizer = sgd(model.parameters(), { learningRate: 0.01 });
      const stop = new AbortController();
      if (at === 0) stop.abort();
      let seen = 0;
      for await (
        const _ of fit(model, hundred, { optimizer, epochs: 9, batchSize: 50, signal: stop.signal })
      ) if (++seen === at) stop.abort();
      assert.equal(seen, at);
    });
  }
});

Deno.test("fit() ends after a step during which a timer aborts it", async () => {
  const model = lenet();
  const optimizer = sgd(model.parameters(), { learningRate: 0.01 });
  const stop = new AbortController();
  let seen = 0;
  const slow = (images: Images<1>) => {
    const until = performance.now() + 10;
    while (performance.now() < until);
    return images;
  };
  for await (
    const _ of fit(model, hundred, {
      optimizer,
      epochs: 1,
      batchSize: 5,
      transform: slow,
      signal: stop.signal,
    })
  ) if (++seen === 2) setTimeout(() => stop.abort(), 5);
  assert.equal(seen, 2);
});

Deno.test("fit() ends without an error at an abort during its evaluation", () =>
  assertNoLeak(async () => {
    const stop = new AbortController();
    class Stopping extends OneWeight {
      override forward(images: Images<1>, { training = false } = {}) {
        if (!training && images.shape[0] === 4) stop.abort();
        return super.forward(images);
      }
    }
    using model = new Stopping();
    using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    const seen = await all(fit(model, pixels([1, 0, 1, 0]), {
      optimizer,
      epochs: 2,
      batchSize: 4,
      validation: pixels([1, 1, 1, 1, 1]),
      signal: stop.signal,
    }));
    assert.deepEqual(seen.map(({ kind }) => kind), ["step"]);
  }));

for (const [name, broken] of [["NaN", NaN], ["Infinity", Infinity]] as const) {
  testOnEachBackend(
    `fit() stops at a loss of ${name}, and the model is as before that step`,
    () =>
      assertNoLeak(async () => {
        setSeed(1);
        using model = smallNet();
        using optimizer = adam(model.parameters(), { learningRate: 0.5 });
        let before: number[] = [];
        const training = fit(model, hundred, {
          optimizer,
          epochs: 2,
          batchSize: 25,
          loss: (logits, labels) => {
            const value = crossEntropy(logits, labels);
            return step === 5 ? ops.mul(value, broken) : value;
          },
        });
        let step = 1;
        await assert.rejects(async () => {
          for await (const progress of training) {
            if (progress.kind === "step") step = progress.step + 1;
            before = values(model);
          }
        }, (error) => {
          assert(error instanceof DivergenceError && error instanceof RangeError);
          assert.equal(
            error.message,
            `Training stopped at step 5 of 8 (epoch 2 of 2) with learning rate 0.5: the loss is ${name}. The model is as it was before this ` +
              "step. Try a smaller learning rate, a warm-up, or maxGradientNorm.",
          );
          return true;
        });
        assert.deepEqual(values(model), before);
      }),
  );
}

testOnEachBackend(
  "fit() stops at a gradient that is not finite, and names it",
  () =>
    assertNoLeak(async () => {
      class Root extends Module<Images<1>, Features<2>> {
        readonly inner = new OneWeight();
        override forward(images: Images<1>) {
          return ops.sqrt(this.inner.forward(images)); // Slope ∞ at 0.
        }
      }
      using model = new Root();
      using optimizer = sgd(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
      await assert.rejects(
        all(fit(model, pixels([1, 1]), { optimizer, epochs: 1, batchSize: 2 })),
        {
          name: "DivergenceError",
          message:
            /at step 1 of 1 \(epoch 1 of 1\) .*: the loss is 0\.69\d*, but the gradient of inner\.weight is not finite\. The model/,
        },
      );
      assertClose(model.inner.weight, [0]);
    }),
);

Deno.test("fit() throws a DivergenceError at a learning rate much too large", async () => {
  setSeed(1);
  const model = lenet();
  const optimizer = sgd(model.parameters(), { learningRate: 1e4 });
  await assert.rejects(
    all(fit(model, hundred, { optimizer, epochs: 9, batchSize: 50 })),
    { name: "DivergenceError", message: /with learning rate 10000: the loss is (NaN|Infinity)/ },
  );
  assert(values(model).every(Number.isFinite));
});

const refused: [
  name: string,
  start: () => AsyncIterable<Progress>,
  error: "RangeError" | "TypeError",
  message: RegExp,
][] = [
  [
    "a layer that does not fit, with its path",
    () => {
      const model = sequential(conv2d(1, 2, { kernelSize: 3 }), flatten(), linear(999, 10));
      return fit(model, hundred, options(model));
    },
    "RangeError",
    /^At 2 \(linear 999 → 10\): .*1352/,
  ],
  [
    "validation images of another size",
    () => {
      const model = sequential(flatten(), linear(1, 2));
      const wide = new ImageDataset({ ...pixels([1, 0]), labels: new Uint8Array([1]), width: 2 });
      return fit(model, pixels([0, 1]), { ...options(model), batchSize: 1, validation: wide });
    },
    "RangeError",
    /^At 1 \(linear 1 → 2\): .*2/,
  ],
  [
    "validation images with other channels, and names the validation set",
    () => {
      const model: Module<Images, Features> = sequential(
        conv2d(1, 2, { kernelSize: 1 }),
        globalAveragePool(),
        linear(2, 2),
      );
      const { labels, height, width } = pixels([1, 0]);
      const classNames = ["a", "b"];
      const validation = new ImageDataset({
        ...{ name: "rgb", labels, height, width, channels: 3, classes: 2, classNames },
        pixels: new Uint8Array(6 * height * width),
      });
      return fit(model, pixels([0, 1]), { ...options(model), batchSize: 1, validation } as never);
    },
    "RangeError",
    /^Fitting to ".*", validating on "rgb": the images must have 1 channel for this model, found 3/,
  ],
  [
    "a model with fewer classes than the set",
    () => {
      const model: Module<Images<1>, Features> = sequential(flatten(), linear(784, 9));
      return fit(model, hundred, options(model));
    },
    "RangeError",
    /^Fitting to "Fashion-MNIST subset, train": the model must have the 10 classes of the data set, found 9\. Build it with 10 classes\.$/,
  ],
  [
    "a model that gives images",
    () => {
      const model = sequential(conv2d(1, 10, { kernelSize: 1 }));
      // @ts-expect-error: this model returns images with 10 channels, not logits [batch, classes]
      return fit(model, hundred, options(model));
    },
    "RangeError",
    /the model must return logits \[batch, 10\], found a tensor of float32 \[1, 28, 28, 10\]\./,
  ],
  [
    "an optimizer of another model",
    () => fit(lenet(), hundred, options(sequential(linear(7, 3)))),
    "RangeError",
    /the optimizer must change only .*, found one of shape \[7,3\] that is not in the model/,
  ],
  [
    "an optimizer of a running statistic",
    () => {
      const model = smallNet();
      const optimizer = sgd([model.layers[1].runningMean], { learningRate: 0.1 });
      return fit(model, hundred, { ...options(model), optimizer });
    },
    "RangeError",
    /the optimizer must change only .*, found 1\.runningMean, which is no parameter/,
  ],
  ...[0, -1, 1.5, NaN].map((epochs): typeof refused[number] => [
    `${epochs} epochs`,
    () => {
      const model = lenet();
      return fit(model, hundred, { ...options(model), epochs });
    },
    "RangeError",
    /epochs must be a whole number of at least 1, found/,
  ]),
  ...([[0, /batchSize must be a whole number of at least 1, found 0/], [
    101,
    /batchSize must be at most 100, the number of examples, found 101/,
  ]] as const).map(([batchSize, message]): typeof refused[number] => [
    `batches of ${batchSize}`,
    () => {
      const model = lenet();
      return fit(model, hundred, { ...options(model), batchSize });
    },
    "RangeError",
    message,
  ]),
  [
    "a maxGradientNorm of 0",
    () => {
      const model = lenet();
      return fit(model, hundred, { ...options(model), maxGradientNorm: 0 });
    },
    "RangeError",
    /maxGradientNorm must be a positive number, found 0/,
  ],
  ...[0, -0.2, NaN, Infinity].map((mixup): typeof refused[number] => [
    `a mixup of ${mixup}`,
    () => {
      const model = lenet();
      return fit(model, hundred, { ...options(model), mixup });
    },
    "RangeError",
    /mixup must be a positive finite number, found/,
  ]),
  [
    "a transform to int32",
    () => {
      const model = lenet();
      return fit(model, hundred, {
        ...options(model),
        transform: (images) => ops.cast(images, "int32"),
      });
    },
    "TypeError",
    /float32.*int32/,
  ],
];
function options(model: Module) {
  return { optimizer: sgd(model.parameters(), { learningRate: 0.1 }), epochs: 1, batchSize: 10 };
}
for (const [name, start, error, message] of refused) {
  Deno.test(`fit() refuses ${name}, at the call`, () => {
    assert.throws(start, { name: error, message });
  });
}

Deno.test("fit() leaves no tensor behind where it refuses", () =>
  assertNoLeak(() => {
    using model = sequential(flatten(), linear(3, 10));
    using optimizer = sgd(model.parameters(), { learningRate: 0.1 });
    assert.throws(
      () => fit(model, hundred, { optimizer, epochs: 1, batchSize: 10 }),
      /^RangeError: At 1/,
    );
  }));

/** Options as a cell may have them, which is not type-checked. */
const untyped: [options: object, message: string][] = [
  [
    { validationData: hundred },
    "there is no option validationData. Did you mean validation?",
  ],
  [{ weight_decay: 0.1 }, "there is no option weight_decay."],
  [{ optimizer: "adam" }, "optimizer must be an optimizer such as "],
  [{ optimizer: sgd }, "found the function sgd (call it: sgd())."],
  [{ optimizer: undefined }, "optimizer must be an optimizer such as "],
  [{ epochs: "3" }, 'epochs must be a whole number of at least 1, found "3".'],
  [{ batchSize: "32" }, 'batchSize must be a whole number of at least 1, found "32".'],
  [{ batchSize: undefined }, "batchSize must be a whole number of at least 1, found undefined."],
  [
    { loss: "crossEntropy" },
    'loss must be a function of logits and labels such as crossEntropy, found "crossEntropy".',
  ],
  [{ schedule: 0.1 }, "schedule must be a function of the step such as "],
  [{ transform: null }, "transform must be a function of images such as "],
  [
    { augment: [] },
    "augment must be a function of images such as augmentation.randomFlip(), found [].",
  ],
  [{ mixup: true }, "mixup must be a positive finite number, found true."],
  [
    { validation: [hundred] },
    "validation must be an ImageDataset, or an object { name, count, batch }, found [an object (ImageDataset)].",
  ],
  [{ maxGradientNorm: "1" }, 'maxGradientNorm must be a positive number, found "1".'],
  [{ compile: "yes" }, 'compile must be true or false, found "yes".'],
  [{ dropLast: 1 }, "dropLast must be true or false, found 1."],
  [{ seed: "1" }, 'seed must be a whole number from -2147483647 to 2147483647, found "1".'],
  [
    { signal: new AbortController() },
    "signal must be an AbortSignal such as controller.signal, found an object (AbortController).",
  ],
];
for (const [wrong, message] of untyped) {
  Deno.test(`fit() refuses ${Deno.inspect(wrong, { depth: 0 })}, at the call`, () => {
    const model = sequential(flatten(), linear(784, 10));
    assert.throws(
      () => fit(model, hundred, { ...options(model), ...wrong }),
      (error) => {
        assert(error instanceof TypeError);
        assert(error.message.startsWith(`Fitting to "${hundred.name}": `), error.message);
        assert(error.message.includes(message), error.message);
        return true;
      },
    );
  });
}

Deno.test('fit() with precision "auto" computes in bfloat16 on processors that can, and says so', {
  ignore: backend() !== "tensorflow" || Deno.build.os !== "linux",
}, async () => {
  const can = /\b(amx_bf16|avx512_bf16)\b/.test(Deno.readTextFileSync("/proc/cpuinfo"));
  const lines: string[] = [], { info } = console;
  console.info = (line: string) => void lines.push(line);
  try {
    const losses = async (precision: Precision | "auto") => {
      setSeed(1);
      const model = sequential(flatten(), linear(784, 10));
      const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
      const options = { optimizer, epochs: 1, batchSize: 20, seed: 1, precision };
      const { steps } = await fit(model, hundred, options);
      return steps.map(({ loss }) => loss);
    };
    const [auto, fp32, bf16] = [await losses("auto"), await losses("fp32"), await losses("bf16")];
    assert.deepEqual(auto, can ? bf16 : fp32);
    assert.notDeepEqual(auto, can ? fp32 : bf16);
    await losses("auto");
    assert.equal(lines.length, 1);
    assert.match(
      lines[0]!,
      can ? /is "bf16": this processor has/ : /is "fp32": this processor has no/,
    );
  } finally {
    console.info = info;
  }
});

Deno.test("fit() refuses a precision and a seed that do not exist, at the call", () => {
  const model = lenet();
  const precision = "fp16" as "fp32";
  assert.throws(() => fit(model, hundred, { ...options(model), precision }), {
    name: "RangeError",
    message: /the precision must be one of "fp32", "bf16", "auto", found "fp16"/,
  });
  assert.throws(() => fit(model, hundred, { ...options(model), seed: 0.5 }), {
    name: "RangeError",
    message: /seed must be a whole number from/,
  });
});

Deno.test("fit() refuses a model and a data set of the wrong kind", () => {
  const model = lenet();
  // @ts-expect-error: the function lenet is no model
  assert.throws(() => fit(lenet, hundred, options(model)), {
    name: "TypeError",
    message:
      'Fitting to "Fashion-MNIST subset, train": the model must be a module, found the function lenet (call it: lenet()).',
  });
  // @ts-expect-error: both sets are no set
  assert.throws(() => fit(model, { train: hundred }, options(model)), {
    name: "TypeError",
    message:
      "Fitting: the data set must be an ImageDataset, or an object { name, count, batch }, found { train }.",
  });
});

Deno.test("fit() refuses a schedule that returns no number, and keeps the learning rate", async () => {
  for (
    const [rate, name] of [[NaN, "RangeError"], [-1, "RangeError"], ["0.1", "TypeError"]] as const
  ) {
    const model = lenet();
    const chosen = options(model);
    const schedule = (step: number) => (step === 2 ? rate : 0.01) as number;
    const seen: Progress[] = [];
    await assert.rejects(async () => {
      for await (const progress of fit(model, hundred, { ...chosen, schedule })) {
        seen.push(progress);
      }
    }, { name, message: /schedule\(2\) must be a finite number of at least 0, found/ });
    assert.equal(seen.length, 2);
    assert.equal(chosen.optimizer.learningRate, 0.01);
  }
});

/** One value for each channel of an image, and two where there are two images. */
const pooledNorm = () =>
  sequential(conv2d(1, 4, { kernelSize: 1 }), globalAveragePool(), batchNorm(4), linear(4, 2));

Deno.test("fit() refuses a last batch of one image at the call where a batch norm has one value for each channel", () => {
  const three = pixels([1, 0, 1]);
  for (const compile of [false, true]) {
    const model = pooledNorm();
    assert.throws(() => fit(model, three, { ...options(model), batchSize: 2, compile }), {
      name: "RangeError",
      message:
        'Fitting to "pixels": the last batch must have more than one image, as 2 normalises a single value for each channel of one, found 3 images in batches of 2. ' +
        "Leave it out with dropLast: true, or take another batchSize.",
    });
    assert.throws(() => fit(model, three, { ...options(model), batchSize: 1, compile }), {
      name: "RangeError",
      message:
        'Fitting to "pixels": batchSize must be at least 2, as 2 normalises a single value for each channel of one image, found 1.',
    });
  }
});

Deno.test("fit() trains on a last batch of one image if every batch norm has several values or is frozen", async () => {
  const wide = sequential(
    conv2d(1, 4, { kernelSize: 3 }),
    batchNorm(4),
    globalAveragePool(),
    linear(4, 10),
  );
  const epoch = { ...options(wide), batchSize: 2 };
  assert.equal((await fit(wide, hundred.take(3), epoch)).steps.length, 2);
  const frozen = pooledNorm();
  frozen.freeze("2");
  await fit(frozen, pixels([1, 0, 1]), { ...options(frozen), batchSize: 2 });
  const dropping = pooledNorm();
  const dropLast = { ...options(dropping), batchSize: 2, dropLast: true };
  assert.equal((await fit(dropping, pixels([1, 0, 1]), dropLast)).steps.length, 1);
});

for (const compile of [false, true]) {
  for (
    const where of ["forward", "loss", "transform", "augment", "schedule", "optimizer"] as const
  ) {
    Deno.test(
      `fit() restores the statistics and the learning rate after an error in ${where}${
        compile ? ", compiled" : ""
      }`,
      () =>
        assertNoLeak(async () => {
          setSeed(1);
          let armed = false;
          const fail = (part: typeof where) => {
            if (armed && part === where) throw new Error(`${part} on purpose`);
          };
          class Failing extends Module<Images<1>, Features<10>> {
            readonly body = smallNet();
            override forward(images: Images<1>, options?: { training?: boolean }) {
              const logits = this.body.forward(images, options);
              fail("forward");
              return logits;
            }
          }
          using model = new Failing();
          using inner = sgd(model.parameters(), { learningRate: 0.1 });
          const optimizer: Optimizer = {
            parameters: inner.parameters,
            learningRate: 0.5,
            step(gradients) {
              fail("optimizer");
              inner.learningRate = this.learningRate;
              inner.step(gradients);
            },
            dispose() {},
            [Symbol.dispose]() {},
          };
          const pass = (part: typeof where) => (images: Images<1>) => {
            fail(part);
            return images;
          };
          const training = fit(model, hundred.take(45), {
            ...{ optimizer, epochs: 2, batchSize: 20, compile },
            transform: pass("transform"),
            augment: pass("augment"),
            schedule: (step) => {
              fail("schedule");
              return 0.01 * (step + 1);
            },
            loss: (logits, labels) => {
              const value = crossEntropy(logits, labels);
              fail("loss");
              return value;
            },
          });
          await training.next();
          await training.next();
          const before = bits(model);
          armed = true;
          // The third batch has another size, so it is compiled anew.
          await assert.rejects(training.next(), { message: `${where} on purpose` });
          assert.deepEqual(bits(model), before);
          assert.equal(optimizer.learningRate, 0.02);
        }),
    );
  }
}

/** Two heads, of which only one gives the logits. */
class TwoHeads extends Module<Images<1>, Features<2>> {
  readonly main = new OneWeight();
  readonly auxiliary = sequential(flatten(), linear(1, 2));
  override forward(images: Images<1>): Features<2> {
    return this.main.forward(images);
  }
}

for (const compile of [false, true]) {
  Deno.test(`fit() names the parameters on which the loss does not depend${compile ? ", compiled" : ""}, and changes nothing`, () =>
    assertNoLeak(async () => {
      using model = new TwoHeads();
      using optimizer = sgd(model.parameters(), { learningRate: 1 });
      const before = bits(model);
      const rest = { epochs: 1, batchSize: 1, compile };
      await assert.rejects(fit(model, pixels([1, 1]), { ...rest, optimizer }), {
        name: "RangeError",
        message:
          'Fitting to "pixels": the loss must depend on each parameter of the optimizer, found auxiliary.1.weight, auxiliary.1.bias ' +
          "without influence on it. Freeze them before the optimizer is made, make the optimizer without them, or use the output of their layers in the loss.",
      });
      assert.deepEqual(bits(model), before);
      using main = sgd(model.main.parameters(), { learningRate: 1 });
      await fit(model, pixels([1, 1]), { ...rest, optimizer: main });
      assert.notDeepEqual(bits(model), before);
    }));
}

Deno.test("fit() minimises the loss of its validation", async () => {
  const model = new OneWeight(1);
  const { epochs: [epoch] } = await fit(model, pixels([1, 1]), {
    ...options(model),
    batchSize: 1,
    optimizer: sgd(model.parameters(), { learningRate: 0 }),
    loss: (logits, labels) => ops.mul(crossEntropy(logits, labels), 3),
    validation: pixels([1, 1, 0]),
  });
  // Logits [0, 1] for a light pixel and [0, 0] for a dark one.
  const light = Math.log(1 + Math.exp(-1)), dark = Math.log(2);
  assertClose(epoch!.trainLoss, 3 * light);
  assertClose(epoch!.validation!.loss, 3 * (2 * light + dark) / 3);
});

Deno.test("fit() counts a row of NaN as wrong, even if the loss is finite", async () => {
  class Half extends OneWeight {
    override forward(images: Images<1>): Features<2> {
      return ops.log(ops.sub(super.forward(images), 1)); // All NaN: class 0 for argMax.
    }
  }
  const model = new Half();
  const { steps } = await fit(model, pixels([0, 0]), {
    ...options(model),
    batchSize: 2,
    loss: () => ops.sum(ops.square(model.weight)),
  });
  assert.equal(steps[0]!.accuracy, 0);
});

Deno.test("fit() refuses other channels and classes in words", () => {
  const rest = { ...options(lenet()) };
  const colour = new ImageDataset({ ...pixels([0, 1]), pixels: new Uint8Array(6), channels: 3 });
  // @ts-expect-error: this model takes images with 3 channels, but the data set has 1
  assert.throws(() => fit(resnet({ block: "basic", stages: [1] }), hundred, rest), {
    message: /^Fitting to .*: the optimizer must change only/,
  });
  const model = resnet({ block: "basic", stages: [1], classes: 10, channels: 4 });
  // @ts-expect-error: this model takes images with 3 channels, but the data set has 1
  assert.throws(() => fit(model, hundred, options(model)), {
    name: "RangeError",
    message:
      'Fitting to "Fashion-MNIST subset, train": the images must have 3 channels for this model, found 1. ' +
      "Build the model for 1, or pass a transform that makes 3 of them.",
  });
  const normed = sequential(batchNorm(1), flatten(), linear(1, 2));
  // @ts-expect-error: this model takes images with 1 channel, but the data set has 3
  assert.throws(() => fit(normed, colour, { ...options(normed), batchSize: 2 }), {
    message: /: the images must have 1 channel for this model, found 3\./,
  });
  const narrow = (images: Images<1>) =>
    ops.slice(images, [0, 0, 0, 0], [-1, -1, -1, 1]) as Images<1>;
  const three = sequential(conv2d(3, 2, { kernelSize: 1 }), globalAveragePool());
  // @ts-expect-error: this model takes images with 3 channels, but the transform returns 1
  assert.throws(() => fit(three, colour, { ...options(three), batchSize: 2, transform: narrow }), {
    message: /: the images must have 3 channels for this model, found 1 after the transform\./,
  });
});
