/** The stages that change weights. For their checkpoints see stages_checkpoint_test.ts. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  evaluate,
  fit,
  type FitOptions,
  type Images,
  type Labels,
  ops,
  type Optimizer,
  type Progress,
  sgd,
  showProgress,
  stages,
  type Training,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";

const fixture = JSON.parse(
  readFileSync(new URL("../fixtures/stages.json", import.meta.url), "utf8"),
);

/** An optimizer that changes the weight in its own way. */
function optimizerBy({ weight }: OneWeight, next: (weight: number, step: number) => number) {
  let step = 0;
  const optimizer = {
    parameters: [weight],
    learningRate: 1,
    step: () => weight.assign(ops.tensor([next(weight.dataSync()[0]!, ++step)])),
  };
  return optimizer as unknown as Optimizer;
}

const four = pixels([1, 0, 1, 0]);

/** A training of 4 steps in each epoch, whose optimizer changes the weight as `next` says. */
function scripted(
  next: (weight: number, step: number) => number,
  options: Partial<FitOptions<Images<1>, Labels<2>>> = {},
) {
  const model = new OneWeight();
  const optimizer = optimizerBy(model, next);
  return { model, training: fit(model, four, { optimizer, epochs: 1, batchSize: 1, ...options }) };
}

/** The weight at each progress. */
async function weightsOf(model: OneWeight, training: AsyncIterable<Progress>): Promise<number[]> {
  const weights: number[] = [];
  for await (const _ of training) weights.push(model.weight.dataSync()[0]!);
  return weights;
}

for (const { decay, weights, averages } of fixture.ema) {
  testOnEachBackend(`stages.ema() averages as Keras with the decay ${decay}`, async () => {
    for (const axis of [0, 1]) {
      const of = (lists: number[][]) => lists.map((list) => list[axis]!);
      for (let steps = 1; steps <= 5; steps++) {
        const { model, training } = scripted((_, step) => of(weights)[step - 1]!, { epochs: 2 });
        let left = steps;
        for await (const progress of stages.ema(training, { decay })) {
          if (progress.kind === "step" && --left === 0) break;
        }
        assertClose(model.weight, [of(averages)[steps - 1]!], 1e-6);
      }
    }
  });
}

Deno.test("stages.ema() with warmup has the decays of timm", async () => {
  // ModelEmaV3.get_decay: 1 − (1 + n)^(−2/3), at most the decay; the first average is the weights.
  const { model, training } = scripted((_, step) => 10 ** step);
  await stages.ema(training, { decay: 0.5, warmup: true });
  const decays = [0, 1 - 2 ** (-2 / 3), 0.5, 0.5]; // The third would be 0.52.
  const average = decays.reduce((sum, decay, i) => decay * sum + (1 - decay) * 10 ** (i + 1), 0);
  assertClose(model.weight, [average], 1e-6);
});

Deno.test("stages.ema() shows the averages at the epoch, and trains on with the weights", async () => {
  const { model, training } = scripted((weight) => weight + 1, { epochs: 2, validation: four });
  const seen = await weightsOf(model, stages.ema(training, { decay: 0.5 }));
  // Averages of 1, 2, 3, 4 and so on: 1, 1.5, 2.25, 3.125, 4.0625, 5.03125, …
  assert.deepEqual(seen, [1, 2, 3, 4, 3.125, 5, 6, 7, 8, 7.0078125]);
  assert.deepEqual([...model.weight.dataSync()], [7.0078125]);
});

Deno.test("stages.ema() has the averages evaluated", async () => {
  const { model, training } = scripted((weight) => weight + 1, { validation: four });
  const { epochs } = await stages.ema(training, { decay: 0.5 });
  const { loss } = await evaluate(model, four, { batchSize: 1 });
  assert.equal(epochs[0]!.validation!.loss, loss);
  assertClose(loss, (Math.log(2) + Math.log1p(Math.exp(-3.125))) / 2);
});

Deno.test("stages.ema() averages running statistics, and leaves frozen numbers alone", async () => {
  const { batchNorm, flatten, linear, sequential } = await import("resnet-lab");
  const model = sequential(batchNorm(1), flatten(), linear(1, 2));
  model.layers[2].freeze();
  model.layers[2].weight.assign(ops.tensor([[0.1, 0.7]]));
  const frozen = model.layers[2].weight.dataSync();
  const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
  const training = fit(model, pixels([1, 1, 1, 0]), {
    optimizer,
    epochs: 1,
    batchSize: 2,
    seed: 1,
  });
  const means: number[] = [];
  for await (const { kind } of stages.ema(training, { decay: 0.5 })) {
    if (kind === "step") means.push(model.layers[0].runningMean.dataSync()[0]!);
  }
  assert.notEqual(means[0], means[1]);
  assertClose(model.layers[0].runningMean, [(means[0]! + means[1]!) / 2], 1e-6);
  assert.deepEqual(model.layers[2].weight.dataSync(), frozen);
});

testOnEachBackend("stages.lookahead() moves slow weights as algorithm 1 of the paper", async () => {
  // From 0, +1 at each step. Every 2 steps, slow ← slow + ½ · (fast − slow).
  const { model, training } = scripted((weight) => weight + 1, { epochs: 2 });
  const seen = await weightsOf(
    model,
    stages.lookahead(training, { syncPeriod: 2, slowStepSize: 0.5 }),
  );
  assert.deepEqual(seen, [1, 1, 2, 2, 2, 3, 3, 4, 4, 4]);
});

Deno.test("stages.lookahead() also moves at the end of an epoch, with 6 and ½ by default", async () => {
  const { model, training } = scripted((weight) => weight + 1, { epochs: 2 });
  // Step 4 ends the epoch: 0 + ½ · 4. Step 6: 2 + ½ · (4 − 2). Step 8: 3 + ½ · (5 − 3).
  assert.deepEqual(await weightsOf(model, stages.lookahead(training)), [
    ...[1, 2, 3, 2, 2],
    ...[3, 3, 4, 4, 4],
  ]);
});

for (const { losses, patience, minDelta, stopped, best } of fixture.earlyStopping) {
  Deno.test(`stages.earlyStopping() stops as Keras with patience ${patience} and minDelta ${minDelta}`, async () => {
    const { model, training } = scripted((_, step) => step, { epochs: 11, batchSize: 4 });
    const monitor = ({ epoch }: { epoch: number }) => losses[epoch - 1];
    const { epochs } = await stages.earlyStopping(training, { monitor, patience, minDelta });
    assert.equal(epochs.length, stopped);
    assert.deepEqual([...model.weight.dataSync()], [best]);
  });
}

Deno.test("stages.earlyStopping() watches the validation loss, with a patience of 3", async () => {
  // All pixels are light, so a larger weight has a lower loss.
  const weights = [1, 3, 2, 2, 4, 1, 1, 1, 9];
  const options = { epochs: 9, batchSize: 4, validation: pixels([1]) };
  const { model, training } = scripted((_, step) => weights[step - 1]!, options);
  const { epochs } = await stages.earlyStopping(training);
  assert.equal(epochs.length, 8);
  assert.deepEqual([...model.weight.dataSync()], [4]);
});

Deno.test("stages.earlyStopping() takes an accuracy as better if it is higher", async () => {
  const options = { epochs: 4, batchSize: 1, validation: pixels([1]) };
  for (const monitor of ["validationAccuracy", "trainAccuracy"] as const) {
    const { model, training } = scripted((_, step) => step === 8 ? 1 : -1, options);
    const { epochs } = await stages.earlyStopping(training, { monitor, patience: 1 });
    // The train accuracy is counted before the steps: that of step 8 shows in epoch 3.
    const best = monitor === "trainAccuracy" ? 3 : 2;
    assert.equal(epochs.length, monitor === "trainAccuracy" ? 2 : best + 1);
    assert.deepEqual([...model.weight.dataSync()], [monitor === "trainAccuracy" ? -1 : 1]);
  }
});

Deno.test("stages.earlyStopping() without end has the best weights, also after a break and an error", async () => {
  const monitor = ({ epoch }: { epoch: number }) => [2, 1, 3, 3][epoch - 1]!;
  const start = (fail = Infinity) => {
    const { model, training } = scripted((_, step) => {
      if (step === fail) throw new Error("no step today");
      return step;
    }, { epochs: 4, batchSize: 4 });
    const patience = Infinity;
    return { model, training: stages.earlyStopping(training, { monitor, patience }) };
  };
  const ends: [ReturnType<typeof start>, (training: Training) => Promise<unknown>][] = [
    [start(), (training) => training.then()],
    [start(), async (training) => {
      for await (const { kind, epoch } of training) if (kind === "step" && epoch === 4) break;
    }],
    [start(4), (training) => assert.rejects(training.then(), /no step today/)],
  ];
  for (const [{ model, training }, end] of ends) {
    await end(training);
    assert.deepEqual([...model.weight.dataSync()], [2]);
  }
});

Deno.test("stages compose: the best epoch is that of the averages, and showProgress() shows it", async () => {
  const { model, training } = scripted((weight) => weight + 1, { epochs: 5, validation: four });
  const monitor = () => Math.abs(model.weight.dataSync()[0]! - 7);
  const averaged = stages.ema(stages.lookahead(training, { syncPeriod: 1, slowStepSize: 1 }), {
    decay: 0.5,
  });
  const { log } = console;
  console.log = () => {};
  try {
    const options = { monitor, patience: 1 };
    const { epochs } = await showProgress(stages.earlyStopping(averaged, options));
    // The averages at the epochs are 3.125, 7.008 and 11.0005; the weights 4, 8 and 12.
    assert.equal(epochs.length, 3);
  } finally {
    console.log = log;
  }
  assert.deepEqual([...model.weight.dataSync()], [7.0078125]);
});

Deno.test("stages leave no tensors, however they end", async () => {
  const start = () => {
    const { model, training } = scripted((weight) => weight + 1, {
      epochs: 3,
      batchSize: 2,
      validation: four,
    });
    return {
      model,
      training: stages.earlyStopping(stages.ema(stages.lookahead(training, { syncPeriod: 3 }))),
    };
  };
  await assertNoLeak(async () => {
    const { model, training } = start();
    await training;
    model.dispose();
  });
  await assertNoLeak(async () => {
    const { model, training } = start();
    for await (const progress of training) if (progress.kind === "epoch") break;
    model.dispose();
  });
  await assertNoLeak(async () => {
    const { model, training } = start();
    await training.return();
    model.dispose();
  });
});

Deno.test("a stage ends with the signal of fit()", async () => {
  const controller = new AbortController();
  const { model, training } = scripted((weight) => weight + 1, {
    epochs: 9,
    signal: controller.signal,
  });
  for await (const progress of stages.ema(training, { decay: 0.5 })) {
    if (progress.kind === "step" && progress.step === 2) controller.abort();
  }
  assert.deepEqual([...model.weight.dataSync()], [1.5]);
});

// Refusals.

const make = () => scripted((weight) => weight + 1).training;
const refused: readonly [string, () => unknown, string, RegExp][] = [
  [
    "a history",
    () => stages.ema({ steps: [], epochs: [] } as never),
    "TypeError",
    /^Averaging weights: the training must be fit\(…\) itself, without await, or a stage around it/,
  ],
  [
    "a generator",
    () => stages.csv((async function* () {})() as never, "a.csv"),
    "TypeError",
    /^Writing a CSV log: the training must be fit.* Put a loop of your own around the stages\.$/,
  ],
  [
    "a training twice",
    () => {
      const training = make();
      stages.ema(training);
      stages.earlyStopping(training, { monitor: "trainLoss" });
    },
    "TypeError",
    /^Stopping early: the training must not have begun, found one that is iterated, awaited, or within/,
  ],
  [
    "ema around earlyStopping",
    () => stages.ema(stages.earlyStopping(make(), { monitor: "trainLoss" })),
    "RangeError",
    /^Averaging weights: ema must be within earlyStopping, found it around\. Write stages\.earlyStopping\(stages\.ema\(fit/,
  ],
  [
    "lookahead around ema",
    () => stages.lookahead(stages.csv(stages.ema(make()), "a.csv")),
    "RangeError",
    /^Looking ahead: lookahead must be within ema/,
  ],
  [
    "ema twice",
    () => stages.ema(stages.ema(make())),
    "RangeError",
    /^Averaging weights: ema must be around a training once, found a second one\.$/,
  ],
  [
    "a decay of 1",
    () => stages.ema(make(), { decay: 1 }),
    "RangeError",
    /^Averaging weights: decay must be a number from 0 to below 1, found 1\.$/,
  ],
  [
    "a warm-up of steps",
    () => stages.ema(make(), { warmup: 100 as never }),
    "TypeError",
    /warmup must be true or false/,
  ],
  [
    "a syncPeriod of 0",
    () => stages.lookahead(make(), { syncPeriod: 0 }),
    "RangeError",
    /^Looking ahead: syncPeriod must be a whole number of at least 1, found 0\.$/,
  ],
  [
    "a slowStepSize of 0",
    () => stages.lookahead(make(), { slowStepSize: 0 }),
    "RangeError",
    /^Looking ahead: slowStepSize must be a number above 0 and at most 1, found 0\.$/,
  ],
  [
    "a monitor without validation",
    () => stages.earlyStopping(make()),
    "TypeError",
    /^Stopping early: monitor must be "trainLoss" or "trainAccuracy" if there is no validation, found "validationLoss"\. Give fit the option validation\.$/,
  ],
  [
    "an unknown monitor",
    () => stages.earlyStopping(make(), { monitor: "val_loss" as never }),
    "RangeError",
    /monitor must be one of "validationLoss", .* Did you mean "validationLoss"\?$/,
  ],
  [
    "a patience of 0",
    () => stages.earlyStopping(make(), { monitor: "trainLoss", patience: 0 }),
    "RangeError",
    /^Stopping early: patience must be a whole number of at least 1, found 0\.$/,
  ],
  [
    "a negative minDelta",
    () => stages.earlyStopping(make(), { monitor: "trainLoss", minDelta: -1 }),
    "RangeError",
    /minDelta must be a finite number of at least 0, found -1/,
  ],
];
for (const [what, call, name, message] of refused) {
  Deno.test(`stages refuse ${what}`, () => {
    assert.throws(call, { name, message });
  });
}

Deno.test("stages refuse a training that is awaited, and make one that is awaited once", async () => {
  const training = make();
  await training;
  assert.throws(() => stages.ema(training), /the training must not have begun/);
  const inner = make();
  const outer = stages.ema(inner);
  await assert.rejects(inner.then(), /awaited or iterated, not both/);
  assert.equal((await outer).steps.length, 4);
});

Deno.test("stages.earlyStopping() refuses a monitored number that is NaN", async () => {
  const { training } = scripted((weight) => weight + 1);
  await assert.rejects(stages.earlyStopping(training, { monitor: () => NaN }).then(), {
    name: "RangeError",
    message: "Stopping early: monitor in epoch 1 must be a number, found NaN.",
  });
});

Deno.test("a stage that has not started is reported once", async () => {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      `import { fit, sgd, stages } from "resnet-lab";
      import { OneWeight, pixels } from "${import.meta.resolve("./_helpers.ts")}";
      const model = new OneWeight(), optimizer = sgd(model.parameters(), { learningRate: 1 });
      stages.ema(fit(model, pixels([1, 0]), { optimizer, epochs: 1, batchSize: 1 }));`,
    ],
    cwd: new URL("../..", import.meta.url),
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stderr);
  assert.equal(text.match(/has not started, so nothing was trained/g)?.length, 1, text);
});

Deno.test("stages refuse wrong calls at compile time", () => {
  const calls = [
    // @ts-expect-error: 'patence' does not exist in type 'EarlyStoppingOptions'
    () => stages.earlyStopping(make(), { patence: 3 }),
    // @ts-expect-error: Type '"loss"' is not assignable to type 'Monitored | …'
    () => stages.earlyStopping(make(), { monitor: "loss" }),
    // @ts-expect-error: 'AsyncGenerator<…>' is missing properties from type 'Training'
    () => stages.ema((async function* (): AsyncGenerator<Progress> {})()),
    // @ts-expect-error: 'Promise<History>' is missing properties from type 'Training'
    () => stages.csv(make().then(), "a.csv"),
  ];
  for (const call of calls) assert.throws(call);
});
