/** What `fit` gives: awaited, iterated, or let go. */
import assert from "node:assert/strict";
import {
  type EpochProgress,
  fit,
  memory,
  type Progress,
  sgd,
  showProgress,
  type StepProgress,
  type Training,
} from "resnet-lab";
import { collectHistory } from "../../lib/train/internal.ts";
import { assertClose, assertNoLeak } from "../_helpers.ts";
import { OneWeight, pixels } from "./_helpers.ts";

const light = pixels([1, 1, 1]);
function training(model = new OneWeight(), more = {}): Training {
  const optimizer = sgd(model.parameters(), { learningRate: 1 });
  return fit(model, light, { optimizer, epochs: 2, batchSize: 1, ...more });
}
async function numbers(progress: AsyncIterable<Progress>): Promise<number[]> {
  const found = [];
  for await (const step of progress) found.push(step.kind === "step" ? step.loss : step.trainLoss);
  return found;
}

Deno.test("fit() awaited trains to the end and returns the history", async () => {
  const model = new OneWeight();
  const { steps, epochs } = await training(model);
  assert.deepEqual(steps.map(({ step }) => step), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(epochs.map(({ epoch }) => epoch), [1, 2]);
  // w ← w + 1 / (1 + eʷ), six times from 0.
  let weight = 0;
  for (let i = 0; i < 6; i++) weight += 1 / (1 + Math.exp(weight));
  assertClose(model.weight, [weight]);
});

Deno.test("fit() trains the same awaited and iterated", async () => {
  const { steps, epochs } = await training();
  const losses = [...steps.slice(0, 3), ...steps.slice(3)].map(({ loss }) => loss);
  losses.splice(3, 0, epochs[0]!.trainLoss);
  losses.push(epochs[1]!.trainLoss);
  assert.deepEqual(await numbers(training()), losses);
  assert.deepEqual((await collectHistory(training())).steps.length, 6);
});

Deno.test("fit() trains nothing before it is awaited or iterated", async () => {
  const model = new OneWeight();
  const waiting = training(model);
  await new Promise((done) => setTimeout(done, 20));
  assertClose(model.weight, [0]);
  await waiting;
  assert(model.weight.dataSync()[0]! > 1);
});

Deno.test("fit() awaited twice returns one history", async () => {
  const model = new OneWeight();
  const once = training(model);
  const [first, second] = await Promise.all([once, once]);
  assert.equal(first, second);
  assert.equal(await once, first);
  assert.equal(first.steps.length, 6);
});

Deno.test("fit() refuses to be both awaited and iterated", async () => {
  const awaited = training();
  await awaited;
  const both = { name: "TypeError", message: /a training must be awaited or iterated, not both/ };
  assert.throws(() => awaited[Symbol.asyncIterator](), both);
  await assert.rejects(awaited.next(), both);
  await assert.rejects(collectHistory(awaited), both);
  await assert.rejects(showProgress(awaited), both);
  const iterated = training();
  await iterated.next();
  await assert.rejects(async () => await iterated, both);
  await iterated.return();
});

Deno.test("fit() awaited rejects if it fails, as a promise does", async () => {
  const failing = () =>
    training(new OneWeight(), {
      loss: () => {
        throw new RangeError("on purpose");
      },
    });
  await assert.rejects(failing(), /on purpose/);
  assert.equal(await failing().catch((error) => (error as Error).message), "on purpose");
  let ended = false;
  await training().finally(() => ended = true);
  assert(ended);
});

Deno.test("fit() awaited and aborted returns the history so far", async () => {
  const stop = new AbortController();
  const schedule = (step: number) => {
    if (step === 1) stop.abort();
    return 0.1;
  };
  const { steps, epochs } = await training(new OneWeight(), { signal: stop.signal, schedule });
  assert.deepEqual([steps.length, epochs.length], [2, 0]);
});

Deno.test("fit() can run twice at once", async () => {
  const models = [new OneWeight(), new OneWeight(1)];
  const [first, second] = await Promise.all(models.map((model) => training(model)));
  assert.equal(first!.steps.length, 6);
  assert.notEqual(first!.steps[0]!.loss, second!.steps[0]!.loss);
});

Deno.test("fit() works in generators, by next() and for await, and ends at return()", async () => {
  async function* two(progress: AsyncIterable<Progress>) {
    let left = 2;
    for await (const step of progress) {
      yield step;
      if (--left === 0) return;
    }
  }
  assert.equal((await collectHistory(two(training()))).steps.length, 2);
  async function* all() {
    yield* training();
  }
  assert.equal((await collectHistory(all())).steps.length, 6);
  const byHand = training();
  assert.equal((await byHand.next()).value!.kind, "step");
  assert.equal((await numbers(byHand)).length, 7);
  assert.deepEqual(await byHand.next(), { done: true, value: undefined });
  const left = training();
  await left.next();
  assert.deepEqual(await left.return(), { done: true, value: undefined });
  assert.deepEqual(await left.next(), { done: true, value: undefined });
  {
    await using resource = training();
    await resource.next();
  }
});

Deno.test("fit() holds no batch between two steps", () =>
  assertNoLeak(async () => {
    using model = new OneWeight();
    using optimizer = sgd(model.parameters(), { learningRate: 1 });
    const dropped = fit(model, light, { optimizer, epochs: 2, batchSize: 1 });
    const before = memory().tensors;
    await dropped.next();
    assert.equal(memory().tensors, before);
  }));

Deno.test("collectHistory() keeps steps and epochs in their order", async () => {
  const step = (step: number): StepProgress => ({
    kind: "step",
    epoch: 1,
    epochs: 1,
    step,
    totalSteps: 2,
    loss: 1 / step,
    accuracy: 0.5,
    gradientNorm: 1,
    learningRate: 0.1,
    imagesPerSecond: 100,
  });
  const epoch: EpochProgress = {
    kind: "epoch",
    epoch: 1,
    epochs: 1,
    trainLoss: 0.75,
    trainAccuracy: 0.5,
    learningRate: 0.1,
    seconds: 1,
  };
  async function* training(): AsyncGenerator<Progress> {
    yield* await Promise.resolve([step(1), step(2), epoch]);
  }
  assert.deepEqual(await collectHistory(training()), {
    steps: [step(1), step(2)],
    epochs: [epoch],
  });
});

Deno.test("showProgress() and collectHistory() refuse a history, in words", async () => {
  const history = await training();
  for (const go of [collectHistory, showProgress]) {
    // @ts-expect-error: a history is no training
    await assert.rejects(go(history), {
      name: "TypeError",
      message:
        /: the training must be fit\(…\) itself, without await, or a generator of progress, found an object/,
    });
  }
});

async function warnings(program: string): Promise<string> {
  const { stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "eval",
      "--v8-flags=--expose-gc",
      `import { fit, sgd } from "resnet-lab";
      import { OneWeight, pixels } from "${import.meta.resolve("./_helpers.ts")}";
      const model = new OneWeight();
      const optimizer = sgd(model.parameters(), { learningRate: 1 });
      const train = () => fit(model, pixels([1]), { optimizer, epochs: 1, batchSize: 1 });
      ${program}`,
    ],
    cwd: new URL("../..", import.meta.url),
  }).output();
  return new TextDecoder().decode(stderr);
}

Deno.test("fit() warns of a training that never starts, at the end of the program or when it is collected", async () => {
  const told = /Fitting to "pixels" has not started, so nothing was trained: await fit/;
  assert.match(await warnings("globalThis.kept = train();"), told);
  assert.match(
    await warnings(`train();
      for (let i = 0; i < 5; i++) { gc(); await new Promise((done) => setTimeout(done, 20)); }
      console.error("still running");`),
    new RegExp(`${told.source}[^]*still running`),
  );
  assert.doesNotMatch(await warnings("await train(); for await (const _ of train()) break;"), told);
});
