import assert from "node:assert/strict";
import {
  adam,
  conv2d,
  type Dataset,
  evaluate,
  type Features,
  fit,
  flatten,
  ImageDataset,
  type Labels,
  linear,
  normalize,
  oneCycle,
  ops,
  sequential,
  setSeed,
  sgd,
  trainAndEvaluate,
} from "resnet-lab";
import { assertNoLeak } from "../_helpers.ts";

/** Images of two pixels, one of which is lit: the left one in class 0, the right one in class 1. */
function set<Classes extends 2 | 3>(count: number, classes: Classes): ImageDataset<1, Classes> {
  return new ImageDataset({
    name: "two pixels",
    pixels: Uint8Array.from({ length: 2 * count }, (_, i) => i % 4 === 0 || i % 4 === 3 ? 255 : 0),
    labels: Uint8Array.from({ length: count }, (_, i) => i % 2),
    height: 1,
    width: 2,
    channels: 1,
    classes,
    classNames: ["left", "right", "none"].slice(0, classes),
  });
}
const train = set(10, 2), test = set(6, 2);
const net = () => sequential(flatten(), linear(2, 2));
const options = { epochs: 2, batchSize: 4, learningRate: 0.1, seed: 1 };

/** Returns the lines that `console.log` gets during a call. */
async function linesOf(call: () => Promise<unknown>): Promise<string[]> {
  const log = console.log, lines: string[] = [];
  console.log = (line: string) => void lines.push(line);
  try {
    await call();
  } finally {
    console.log = log;
  }
  return lines;
}

Deno.test("trainAndEvaluate() is fit() with Adam and one cycle, then evaluate()", () =>
  assertNoLeak(async () => {
    const transform = normalize({ mean: 0.5, standardDeviation: 0.5 });
    setSeed(1);
    using model = net();
    const trained = await trainAndEvaluate(model, train, test, { ...options, transform });

    setSeed(1);
    using other = net();
    using optimizer = adam(other.parameters(), { learningRate: 0.1 });
    const history = await fit(other, train, {
      ...{ optimizer, transform, epochs: 2, batchSize: 4, seed: 1 },
      schedule: oneCycle({ maximum: 0.1, steps: 6 }),
    });
    const losses = (run: typeof history) => run.steps.map(({ loss }) => loss);
    assert.deepEqual(losses(trained.history), losses(history));
    const { loss, accuracy, predictions } = await evaluate(other, test);
    assert.deepEqual([trained.loss, trained.accuracy], [loss, accuracy]);
    assert.deepEqual(trained.predictions, predictions);
    assert.equal(trained.model, model);
    const [first, second] = trained.history.epochs;
    assert.equal(trained.seconds, first!.seconds + second!.seconds);
  }));

Deno.test("trainAndEvaluate() takes another optimizer, which it disposes, and another schedule", async () => {
  using model = net();
  let disposed = 0;
  const { history } = await trainAndEvaluate(model, train, test, {
    ...options,
    optimizer(parameters, { learningRate }) {
      assert.equal(parameters.length, 2);
      assert.equal(learningRate, 0.1);
      const optimizer = sgd(parameters, { learningRate, momentum: 0.9 });
      const dispose = optimizer.dispose.bind(optimizer);
      optimizer.dispose = () => {
        disposed++;
        dispose();
      };
      return optimizer;
    },
    schedule: (step) => 0.01 * (step + 1),
    dropLast: true,
  });
  assert.deepEqual(history.steps.map(({ learningRate }) => learningRate), [0.01, 0.02, 0.03, 0.04]);
  assert.equal(disposed, 1);
});

Deno.test("trainAndEvaluate() prints one line for a run with a name, and else nothing", async () => {
  using model = net();
  const run = (name?: string) =>
    linesOf(() =>
      trainAndEvaluate(model, train, test, { ...options, epochs: 30, learningRate: 0.3, name })
    );
  assert.deepEqual(await run(), []);
  const [line, ...others] = await run("my net");
  assert.deepEqual(others, []);
  assert.match(
    line!,
    /^my net: 30 epochs in \d+ s · training accuracy 100\.00 % · held-out accuracy 100\.00 %$/,
  );
  const live = await linesOf(() =>
    trainAndEvaluate(model, train, test, { ...options, live: true })
  );
  assert.match(live.at(-1)!, /^Finished 6 steps in /);
});

Deno.test("trainAndEvaluate() refuses options and data that do not fit", async () => {
  const model = net();
  const cases: [object, string, RegExp][] = [
    [{ learningRate: 0 }, "RangeError", /learningRate must be a positive number, found 0\.$/],
    [{ learningRate: undefined }, "TypeError", /learningRate must be a positive number, found/],
    [{ epochs: 0 }, "RangeError", /epochs must be a whole number of at least 1, found 0\.$/],
    [{ batchSize: 1.5 }, "RangeError", /batchSize must be a whole number/],
    [{ optimizer: 5 }, "TypeError", /optimizer must be a function, found 5\.$/],
    [{ name: 5 }, "TypeError", /name must be a string, found 5\.$/],
    [{ live: 1 }, "TypeError", /live must be true or false, found 1\.$/],
    [{ objective: () => {} }, "TypeError", /there is no option objective\./],
    [
      { learningrate: 1 },
      "TypeError",
      /there is no option learningrate\. Did you mean learningRate\?/,
    ],
  ];
  for (const [change, name, message] of cases) {
    const call = trainAndEvaluate(model, train, test, { ...options, ...change } as typeof options);
    await assert.rejects(call, { name, message });
  }
  await assert.rejects(trainAndEvaluate(model, train, 5 as never, options), TypeError);
  await assert.rejects(trainAndEvaluate(5 as never, train, test, options), TypeError);
});

Deno.test("trainAndEvaluate() takes a data set of one's own, with other inputs than images", () =>
  assertNoLeak(async () => {
    const points = (count: number): Dataset<Features<2>, Labels<2>> => ({
      name: "points",
      count,
      classNames: ["left", "right"],
      batch: (indices) =>
        Promise.resolve({
          inputs: ops.tensor(Array.from(indices, (i) => [i % 2, 1 - i % 2] as const)),
          targets: ops.tensor(indices.map((i) => i % 2), undefined, "int32") as Labels<2>,
        }),
    });
    setSeed(1);
    using model = linear(2, 2);
    const long = { ...options, epochs: 30 };
    const { accuracy, perClass } = await trainAndEvaluate(model, points(10), points(6), long);
    assert.equal(accuracy, 1);
    assert.deepEqual(perClass.map(({ className }) => className), ["left", "right"]);
  }));

/** Lines that must not compile. The function is checked, never called. */
export function types() {
  // @ts-expect-error: three classes
  trainAndEvaluate(net(), set(3, 3), set(3, 3), options);
  // @ts-expect-error: the held-out images have three classes
  trainAndEvaluate(net(), train, set(3, 3), options);
  // @ts-expect-error: feature maps are no logits
  trainAndEvaluate(conv2d(1, 2, { kernelSize: 1 }), train, test, options);
  // @ts-expect-error: there is no option learningrate
  trainAndEvaluate(net(), train, test, { ...options, learningrate: 1 });
}
