import assert from "node:assert/strict";
import {
  accuracy,
  calibration,
  confusionMatrix,
  dropout,
  evaluate,
  type Features,
  flatten,
  ImageDataset,
  type Images,
  linear,
  Module,
  normalize,
  ops,
  sequential,
} from "resnet-lab";
import { assertClose, assertNoLeak, testOnEachBackend } from "../helpers.ts";

/** Five images of two pixels: the left pixel is lit in class 0, the right one in class 1; the last is labelled wrongly. */
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
    `evaluate by hand, ${batchSize} at a time${compile ? ", compiled" : ""}`,
    () =>
      assertNoLeak(async () => {
        const { loss, accuracy, confusion, predictions, confidences, correct } = await evaluate(
          new Pixels(),
          five,
          { batchSize, compile },
        );
        assertClose(loss, (-4 * Math.log(sure) - Math.log(1 - sure)) / 5);
        assert.equal(accuracy, 4 / 5);
        assert.deepEqual(confusion, [[2, 0], [1, 2]]);
        assert.deepEqual([...predictions], [0, 1, 0, 1, 0]);
        assertClose(confidences, [sure, sure, sure, sure, sure]);
        assert.deepEqual(correct, [true, true, true, true, false]);
      }),
  );
}

testOnEachBackend("evaluate transforms the images and runs the model in inference", async () => {
  const model = sequential(flatten(), linear(2, 2), dropout(0.9));
  const transform = normalize({ mean: 0.5, standardDeviation: 0.5 });
  const first = await evaluate(model, five, { transform });
  const again = await evaluate(model, five, { transform });
  assert.deepEqual(first, again);
  assert.notEqual((await evaluate(model, five)).loss, first.loss);
});

Deno.test("evaluate stops between two batches and throws the reason of the signal", () =>
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

Deno.test("evaluate refuses a model for other images or classes, and a batch larger than the set", () =>
  assertNoLeak(async () => {
    using small = sequential(flatten(), linear(3, 2));
    using three: Module<Images<1>, Features> = sequential(flatten(), linear(2, 3));
    await assert.rejects(evaluate(small, five), { name: "RangeError", message: /features 3/ });
    await assert.rejects(evaluate(three, five), {
      name: "RangeError",
      message:
        'Evaluating on "five": this model has 3 classes, but the data set has 2. Build the model with 2 classes.',
    });
    await assert.rejects(evaluate(new Pixels(), five, { batchSize: 6 }), {
      name: "RangeError",
      message: /batchSize must be at most 5, the number of images, found 6/,
    });
  }));

Deno.test("evaluate says where a loss is not finite", () =>
  assertNoLeak(async () => {
    class Broken extends Module<Images<1>, Features<2>> {
      override forward(images: Images<1>): Features<2> {
        return ops.log(ops.sub(ops.reshape(images, [-1, 2]), 0.5));
      }
    }
    await assert.rejects(evaluate(new Broken(), five, { batchSize: 2 }), {
      name: "RangeError",
      message: 'Evaluating on "five": the loss must be finite, found NaN in images 0 to 1.',
    });
  }));

testOnEachBackend("accuracy by hand", () =>
  assertNoLeak(() => {
    const logits = ops.tensor([[0, 1, 0], [3, 2, 1], [-1, -2, 0]]);
    const labels = ops.tensor([1, 1, 2], undefined, "int32");
    assertClose(accuracy(logits, labels), 2 / 3);
    logits.dispose();
    labels.dispose();
  }));

Deno.test("accuracy refuses labels that do not fit the logits", () => {
  assert.throws(() => accuracy(ops.zeros([2, 3]), ops.tensor([0, 3], undefined, "int32")), {
    name: "RangeError",
    message:
      "Computing the accuracy: the labels must be from 0 to 2, as there are 3 logits, found 3.",
  });
  assert.throws(() => accuracy(ops.zeros([2, 3]), ops.tensor([0, 1])), { name: "TypeError" });
});

Deno.test("confusionMatrix has true classes as rows and counts each prediction once", () => {
  assert.deepEqual(
    confusionMatrix([2, 2, 0, 1], new Uint8Array([0, 0, 0, 1]), 3),
    [[1, 0, 2], [0, 1, 0], [0, 0, 0]],
  );
});

Deno.test("confusionMatrix refuses lengths that differ and classes that do not exist", () => {
  assert.throws(() => confusionMatrix([0, 1], [0], 2), {
    name: "RangeError",
    message: "Counting confusions: expected a prediction for each label, found 2 for 1.",
  });
  assert.throws(() => confusionMatrix([0, 2], [0, 1], 2), {
    name: "RangeError",
    message: /classes from 0 to 1, found label 1 and prediction 2 at 1/,
  });
  assert.throws(() => confusionMatrix([0], [-1], 2), /found label -1 and prediction 0 at 0/);
});

Deno.test("calibration by hand: three bins of four are filled", () => {
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

Deno.test("calibration takes certainties of 0 and 1, and 1 with a rounding of float32", () => {
  const { bins } = calibration([0, 1, 1 + 2 ** -23], [false, true, true]);
  assert.deepEqual(bins.map(({ from, count }) => [from, count]), [[0, 1], [0.9, 2]]);
});

Deno.test("calibration refuses what is no confidence", () => {
  assert.throws(() => calibration([], []), /expected a confidence for each answer, found 0 for 0/);
  assert.throws(() => calibration([0.5], [true, false]), /found 1 for 2/);
  assert.throws(() => calibration([0.5, NaN], [true, true]), /found NaN at 1/);
  assert.throws(() => calibration([1.5], [true]), /from 0 to 1, found 1\.5 at 0/);
  assert.throws(() => calibration([-0.5], [true]), /found -0\.5 at 0/);
  assert.throws(() => calibration([0.5], [true], 0), /bins must be a positive integer, found 0/);
});
