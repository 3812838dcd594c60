import assert from "node:assert/strict";
import {
  accuracy,
  calibration,
  conv2d,
  crossEntropy,
  dropout,
  evaluate,
  type Features,
  flatten,
  globalAveragePool,
  ImageDataset,
  type Images,
  linear,
  type Loss,
  Module,
  normalize,
  ops,
  sequential,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../_helpers.ts";
import { confusionMatrix } from "../../lib/train/internal.ts";

/**
 * Five images of two pixels: the left pixel is lit in class 0, the right one in class 1; the last
 * is labelled wrongly.
 */
const five = new ImageDataset({
  name: "five",
  pixels: new Uint8Array([255, 0, 0, 255, 255, 0, 0, 255, 255, 0]),
  labels: new Uint8Array([0, 1, 0, 1, 1]),
  height: 1,
  width: 2,
  channels: 1,
  classes: 2,
  classNames: ["left", "right"],
});

/** Logits that are the two pixels times 2. */
class Pixels extends Module<Images<1>, Features<2>> {
  override forward(images: Images<1>): Features<2> {
    return ops.mul(ops.reshape(images, [-1, 2]), 2);
  }
}

const sure = Math.exp(2) / (Math.exp(2) + 1);

for (const [batchSize, compile] of [[1, false], [2, false], [5, false], [2, true]] as const) {
  testOnEachBackend(
    `evaluate() by hand, ${batchSize} at a time${compile ? ", compiled" : ""}`,
    () =>
      assertNoLeak(async () => {
        const { loss, accuracy, confusion, predictions, confidences, correct, ...scores } =
          await evaluate(new Pixels(), five, {
            batchSize,
            compile,
            metrics: {
              largest: (logits) => Math.max(...logits.dataSync()),
              ones: (_, labels) => labels.dataSync().filter((label) => label === 1).length,
            },
          });
        assertClose(loss, (-4 * Math.log(sure) - Math.log(1 - sure)) / 5);
        assert.equal(accuracy, 4 / 5);
        assert.deepEqual(confusion, [[2, 0], [1, 2]]);
        assert.deepEqual([...predictions], [0, 1, 0, 1, 0]);
        assertClose(confidences, [sure, sure, sure, sure, sure]);
        assert.deepEqual(correct, [true, true, true, true, false]);
        const [first, second] = five.classNames;
        assert.deepEqual(scores, {
          perClass: [
            { className: first, count: 2, precision: 2 / 3, recall: 1, f1: 4 / 5 },
            { className: second, count: 3, precision: 1, recall: 2 / 3, f1: 4 / 5 },
          ],
          mistakes: [4],
          metrics: { largest: 2, ones: 3 },
        });
      }),
  );
}

Deno.test("evaluate() has no precision for a class that is never predicted", async () => {
  const { perClass: [scores] } = await evaluate(
    new Pixels(),
    five.subset([...five.labels.keys()].filter((i) => five.labels[i] === 1).slice(0, 1)),
  );
  assert.deepEqual([scores!.count, scores!.precision, scores!.recall, scores!.f1], [
    0,
    NaN,
    NaN,
    NaN,
  ]);
});

Deno.test("evaluate() refuses metrics that are no functions or return no numbers", async () => {
  const model = new Pixels();
  const refuse = (metrics: unknown, message: RegExp) =>
    assert.rejects(evaluate(model, five, { metrics } as never), { name: "TypeError", message });
  await refuse([1], /metrics\.0 must be a function of logits and labels/);
  const mean = (logits: Features) => ops.mean(logits);
  await refuse({ mean }, /mean must be a number, found a tensor.*Return a number of its dataSync/);
  await refuse(3, /metrics must be functions by name such as/);
  await refuse({ loss: () => "low" }, /the metric loss must be a number, found "low"/);
});

Deno.test("evaluate() lists the mistakes from the most to the least confident", async () => {
  const dataset = new ImageDataset({
    ...{ name: "mistakes", height: 1, width: 2, channels: 1, classes: 3 },
    // Each is lit on the left, with more and more certainty except the last; only image 1 is right.
    pixels: new Uint8Array([10, 0, 50, 0, 200, 0, 100, 0]),
    labels: new Uint8Array([1, 0, 1, 1]),
    classNames: ["left", "right", "none"],
  });
  class Three extends Module<Images<1>, Features<3>> {
    override forward(images: Images<1>): Features<3> {
      return ops.concat([ops.reshape(images, [-1, 2]), ops.zeros([images.shape[0], 1])], 1);
    }
  }
  const { mistakes, perClass } = await evaluate(new Three(), dataset);
  assert.deepEqual(mistakes, [2, 3, 0]);
  // There is no image of the third class.
  assert.deepEqual(perClass.map(({ recall }) => recall), [1, 0, NaN]);
});

testOnEachBackend("evaluate() transforms the images and runs the model in inference", async () => {
  const model = sequential(flatten(), linear(2, 2), dropout(0.9));
  const transform = normalize({ mean: 0.5, standardDeviation: 0.5 });
  const first = await evaluate(model, five, { transform });
  const again = await evaluate(model, five, { transform });
  assert.deepEqual(first, again);
  assert.notEqual((await evaluate(model, five)).loss, first.loss);
});

Deno.test("evaluate() stops between two batches and throws the reason of the signal", () =>
  assertNoLeak(async () => {
    const stop = new AbortController();
    let batches = 0;
    class Stopping extends Pixels {
      override forward(images: Images<1>) {
        if (++batches === 2) stop.abort();
        return super.forward(images);
      }
    }
    const evaluation = evaluate(new Stopping(), five, { batchSize: 1, signal: stop.signal });
    await assert.rejects(evaluation, { name: "AbortError" });
    assert.equal(batches, 2);
  }));

Deno.test("evaluate() refuses a model for other images or classes, and a batch larger than the set", () =>
  assertNoLeak(async () => {
    using small = sequential(flatten(), linear(3, 2));
    using three: Module<Images<1>, Features> = sequential(flatten(), linear(2, 3));
    await assert.rejects(evaluate(small, five), { name: "RangeError", message: /features 3/ });
    await assert.rejects(evaluate(three, five), {
      name: "RangeError",
      message:
        'Evaluating on "five": the model must have the 2 classes of the data set, found 3. Build it with 2 classes.',
    });
    await assert.rejects(evaluate(new Pixels(), five, { batchSize: 6 }), {
      name: "RangeError",
      message: /batchSize must be at most 5, the number of examples, found 6/,
    });
  }));

Deno.test("evaluate() says where a loss is not finite", () =>
  assertNoLeak(async () => {
    class Broken extends Module<Images<1>, Features<2>> {
      override forward(images: Images<1>): Features<2> {
        return ops.log(ops.sub(ops.reshape(images, [-1, 2]), 0.5));
      }
    }
    await assert.rejects(evaluate(new Broken(), five, { batchSize: 2 }), {
      name: "DivergenceError",
      message: 'Evaluating on "five": the loss must be finite, found NaN in images 0 to 1.',
    });
  }));

testOnEachBackend("accuracy() by hand", () =>
  assertNoLeak(() => {
    const logits = ops.tensor([[0, 1, 0], [3, 2, 1], [-1, -2, 0]]);
    const labels = ops.tensor([1, 1, 2], undefined, "int32");
    assertClose(accuracy(logits, labels), 2 / 3);
    logits.dispose();
    labels.dispose();
  }));

Deno.test("accuracy() refuses labels that do not fit the logits", () => {
  assert.throws(() => accuracy(ops.zeros([2, 3]), ops.tensor([0, 3], undefined, "int32")), {
    name: "RangeError",
    message:
      "Computing the accuracy: the labels must be from 0 to 2, as there are 3 logits, found 3.",
  });
  assert.throws(() => accuracy(ops.zeros([2, 3]), ops.tensor([0, 1])), { name: "TypeError" });
});

Deno.test("confusionMatrix() has true classes as rows and counts each prediction once", () => {
  assert.deepEqual(
    confusionMatrix([2, 2, 0, 1], new Uint8Array([0, 0, 0, 1]), 3),
    [[1, 0, 2], [0, 1, 0], [0, 0, 0]],
  );
});

Deno.test("confusionMatrix() refuses lengths that differ and classes that do not exist", () => {
  assert.throws(() => confusionMatrix([0, 1], [0], 2), {
    name: "RangeError",
    message: "Counting confusions: there must be a prediction for each label, found 2 for 1.",
  });
  assert.throws(() => confusionMatrix([0, 2], [0, 1], 2), {
    name: "RangeError",
    message: /classes must be from 0 to 1, found label 1 and prediction 2 at 1/,
  });
  assert.throws(() => confusionMatrix([0], [-1], 2), /found label -1 and prediction 0 at 0/);
});

Deno.test("calibration() by hand: three bins of four are filled", () => {
  const { bins, expectedError } = calibration(
    [0.2, 0.25, 0.5, 0.6, 0.75, 0.7],
    [true, false, true, true, false, true],
    4,
  );
  assert.deepEqual(bins.map(({ from, to, count }) => [from, to, count]), [
    [0, 0.25, 2],
    [0.25, 0.5, 1],
    [0.5, 0.75, 3],
  ]);
  assertClose(bins.map(({ confidence }) => confidence), [0.225, 0.5, 2.05 / 3], 1e-12);
  assertClose(bins.map(({ accuracy }) => accuracy), [0.5, 1, 2 / 3], 1e-12);
  assertClose(expectedError, (2 * 0.275 + 0.5 + 3 * 0.05 / 3) / 6, 1e-12);
});

Deno.test("calibration() takes certainties of 0 and 1, and 1 with a rounding of float32", () => {
  const { bins } = calibration([0, 1, 1 + 2 ** -23], [false, true, true]);
  assert.deepEqual(bins.map(({ from, count }) => [from, count]), [[0, 1], [0.9, 2]]);
});

Deno.test("calibration() refuses numbers that are no confidences", () => {
  assert.throws(
    () => calibration([], []),
    /there must be a confidence for each answer, found 0 for 0/,
  );
  assert.throws(() => calibration([0.5], [true, false]), /found 1 for 2/);
  assert.throws(() => calibration([0.5, NaN], [true, true]), /found NaN at 1/);
  assert.throws(() => calibration([1.5], [true]), /from 0 to 1, found 1\.5 at 0/);
  assert.throws(() => calibration([-0.5], [true]), /found -0\.5 at 0/);
  assert.throws(
    () => calibration([0.5], [true], 0),
    /bins must be a whole number of at least 1, found 0/,
  );
});

testOnEachBackend(
  "accuracy() refuses a row with NaN, of which no class is the largest",
  () =>
    assertNoLeak(() => {
      using labels = ops.tensor([0, 0, 2], undefined, "int32");
      for (const row of [[NaN, NaN, NaN], [NaN, 1, 2], [1, NaN, 0], [0, 1, NaN]]) {
        // torch.tensor([[nan, 1, 2]]).argmax(1) is the place of NaN.
        using logits = ops.tensor([[3, 2, 1], row, [0, 0, 1]]);
        assert.throws(() => accuracy(logits, labels), {
          name: "RangeError",
          message: "Computing the accuracy: the logits must be numbers, found NaN in row 1.",
        });
      }
      using infinite = ops.tensor([[Infinity, -Infinity, 0], [-Infinity, -1, -2], [
        0,
        0,
        Infinity,
      ]]);
      assertClose(accuracy(infinite, labels), 2 / 3);
    }),
);

testOnEachBackend(
  "evaluate() tells of a broken network also where the loss is a number",
  () =>
    assertNoLeak(async () => {
      for (const [broken, compile] of [[NaN, false], [Infinity, false], [NaN, true]] as const) {
        class Broken extends Pixels {
          override forward(images: Images<1>): Features<2> {
            const bad = ops.mul(ops.ones([images.shape[0], 1]), broken);
            return ops.concat(
              [bad, ops.slice(super.forward(images), [0, 1], [-1, 1])],
              1,
            ) as Features<2>;
          }
        }
        const loss = () => ops.scalar(0);
        await assert.rejects(evaluate(new Broken(), five, { batchSize: 2, loss, compile }), {
          name: "DivergenceError",
          message: 'Evaluating on "five": the logits must be finite, found others for image 0.',
        });
      }
    }),
);

for (const compile of [false, true]) {
  testOnEachBackend(
    `evaluate() by another loss, the mean over all images${compile ? ", compiled" : ""}`,
    () =>
      assertNoLeak(async () => {
        // Logits 2 and 0, or 0 and 2: the mean of their squares is 2, of which the last image has a
        // batch of its own.
        const loss: Loss = (logits, labels) =>
          ops.add(ops.mean(ops.square(logits)), ops.mean(ops.cast(labels, "float32")));
        const found = await evaluate(new Pixels(), five, { batchSize: 2, loss, compile });
        assertClose(found.loss, 2 + 3 / 5);
        assert.equal(found.accuracy, 4 / 5);
        const smooth: Loss = (logits, labels) =>
          crossEntropy(logits, labels, { labelSmoothing: 0.2 });
        // −0.9 · log p − 0.1 · log (1 − p) where it is right, which it is four times.
        const right = -0.9 * Math.log(sure) - 0.1 * Math.log(1 - sure);
        const wrong = -0.1 * Math.log(sure) - 0.9 * Math.log(1 - sure);
        if (compile) return;
        assertClose(
          (await evaluate(new Pixels(), five, { batchSize: 5, loss: smooth })).loss,
          (4 * right + wrong) / 5,
        );
      }),
  );
}

const untyped: [options: unknown, message: string][] = [
  [{ batch_size: 2 }, "there is no option batch_size. Did you mean batchSize?"],
  [
    { augment: normalize({ mean: 0, standardDeviation: 1 }) },
    "there is no option augment.",
  ],
  [5, "the options must be an object such as { batchSize: 100 }, found 5."],
  [{ batchSize: "2" }, 'batchSize must be a whole number of at least 1, found "2".'],
  [{ loss: "crossEntropy" }, "loss must be a function of logits and labels such as crossEntropy"],
  [
    { loss: null },
    "loss must be a function of logits and labels such as crossEntropy, found null.",
  ],
  [{ transform: true }, "transform must be a function of images"],
  [{ compile: "yes" }, 'compile must be true or false, found "yes".'],
  [{ signal: true }, "signal must be an AbortSignal such as controller.signal, found true."],
  [
    { loss: (logits: Features) => logits },
    "the loss must be one number, found a tensor of float32 [5, 2].",
  ],
  [{ loss: () => 0.5 }, "the loss must be one number, found 0.5."],
];
for (const [options, message] of untyped) {
  Deno.test(`evaluate() refuses the options ${Deno.inspect(options, { depth: 1 })}, in words`, () =>
    assertNoLeak(() =>
      assert.rejects(evaluate(new Pixels(), five, options as object), (error) => {
        assert(error instanceof TypeError);
        assert(error.message.startsWith('Evaluating on "five": '), error.message);
        assert(error.message.includes(message), error.message);
        return true;
      })
    ));
}

Deno.test("evaluate() refuses a model and a data set of the wrong kind", async () => {
  // @ts-expect-error: a model
  await assert.rejects(evaluate(Pixels, five), {
    name: "TypeError",
    message:
      'Evaluating on "five": the model must be a module, found the function Pixels (call it: Pixels()).',
  });
  // @ts-expect-error: a set
  await assert.rejects(evaluate(new Pixels(), [five]), {
    name: "TypeError",
    message:
      /^Evaluating: the data set must be an ImageDataset, or an object \{ name, count, batch \}, found \[/,
  });
});

Deno.test("evaluate() says in words what channels do not fit", async () => {
  const model = sequential(conv2d(3, 2, { kernelSize: 1 }), globalAveragePool());
  // @ts-expect-error: this model takes images with 3 channels, but the data set has 1
  await assert.rejects(evaluate(model, five), {
    name: "RangeError",
    message: 'Evaluating on "five": the images must have 3 channels for this model, found 1. ' +
      "Build the model for 1, or pass a transform that makes 3 of them.",
  });
});

Deno.test("confusionMatrix() and calibration refuse what is no list and no number of classes", () => {
  const one = [0] as number[], unknown = (value: unknown) => value as never;
  const wrong: [() => unknown, RegExp][] = [
    [
      () => confusionMatrix(one, one, unknown(undefined)),
      /^TypeError: Counting confusions: classes must be a whole number of at least 1, found undefined/,
    ],
    [
      () => confusionMatrix(one, one, 1.5),
      /^RangeError: .*classes must be a whole number of at least 1, found 1\.5/,
    ],
    [
      () => confusionMatrix(unknown(0), one, 1),
      /^TypeError: .*predictions must be class numbers in an array, found 0/,
    ],
    [() => confusionMatrix([NaN], one, 2), /found label 0 and prediction NaN at 0/],
    [
      () => calibration([0.5], unknown([1])),
      /^TypeError: .*correct\[0\] must be true or false, found 1/,
    ],
    [
      () => calibration(unknown(0.5), [true]),
      /^TypeError: .*confidences must be numbers in an array, found 0\.5/,
    ],
    [
      () => calibration([0.5], [true], unknown({ bins: 3 })),
      /^TypeError: .*bins must be a whole number/,
    ],
  ];
  for (const [start, message] of wrong) assert.throws(start, message);
});
