import assert from "node:assert/strict";
import { trainingCurves } from "../../lib/plot/mod.ts";
import { renderSvg } from "../../lib/plot/render.ts";
import { ticks } from "./_helpers.ts";

const steps = [
  { step: 0, loss: 2.3, learningRate: 0.1 },
  { step: 1, loss: 1.5, learningRate: 0.05 },
  { step: 2, loss: 1.25, learningRate: 0.01 },
];
const epochs = [
  { epoch: 1, trainLoss: 1.9, trainAccuracy: 0.5, validation: { loss: 1.7, accuracy: 0.55 } },
  { epoch: 2, trainLoss: 1.2, trainAccuracy: 0.75, validation: { loss: 1.4, accuracy: 0.625 } },
];

Deno.test("trainingCurves draws loss, learning rate, mean loss and accuracy", () => {
  const { data, layout, description } = trainingCurves({ steps, epochs }, { title: "LeNet" });
  assert.deepEqual(data.map(({ name, x, y, xaxis }) => [name, xaxis, x, y]), [
    ["each step", "x", [0, 1, 2], [2.3, 1.5, 1.25]],
    // Each step weighs 1/20: 2.3; (0.95·2.3 + 1.5) / 1.95; (0.95²·2.3 + 0.95·1.5 + 1.25) / 2.8525.
    ["running mean", "x", [0, 1, 2], [2.3, 1.88974, 1.66547]],
    ["learning rate", "x2", [0, 1, 2], [0.1, 0.05, 0.01]],
    ["training", "x3", [1, 2], [1.9, 1.2]],
    ["validation", "x3", [1, 2], [1.7, 1.4]],
    ["training", "x4", [1, 2], [50, 75]],
    ["validation", "x4", [1, 2], [55, 62.5]],
  ]);
  const titles = [layout.yaxis, layout.yaxis2, layout.yaxis3, layout.yaxis4]
    .map((axis) => axis?.title?.text);
  assert.deepEqual(titles, ["Loss", "Learning rate", "Mean loss", "Accuracy (%)"]);
  assert.equal(layout.xaxis3?.title?.text, "Epoch");
  assert.deepEqual(data.filter(({ showlegend }) => showlegend).map(({ name }) => name), [
    "running mean",
    "training",
    "validation",
  ]);
  assert.equal(
    description,
    "Training curves: over 3 steps the loss goes from 2.3 to 1.25; after 2 epochs training " +
      "accuracy 75 %, validation accuracy 62.5 %.",
  );
});

Deno.test("trainingCurves serves a run that has no epoch, no steps, or no validation", () => {
  const started = trainingCurves({ steps: steps.slice(0, 1), epochs: [] });
  assert.deepEqual(started.data.map(({ xaxis, mode }) => [xaxis, mode]), [
    ["x", "lines+markers"],
    ["x", "lines+markers"],
    ["x2", "lines+markers"],
  ]);
  const summed = trainingCurves({ steps: [], epochs });
  assert.deepEqual(summed.data.map(({ xaxis }) => xaxis), ["x", "x", "x2", "x2"]);
  const [{ epoch, trainLoss, trainAccuracy }] = [epochs[0]!];
  const alone = trainingCurves({ steps: [], epochs: [{ epoch, trainLoss, trainAccuracy }] });
  assert.deepEqual(alone.data.map(({ name }) => name), ["training", "training"]);
  assert.equal(alone.description, "Training curves: after 1 epoch training accuracy 50 %.");
});

Deno.test("trainingCurves draws validation only where there was one", () => {
  const { data } = trainingCurves({
    steps: [],
    epochs: [{ epoch: 1, trainLoss: 3, trainAccuracy: 0.25 }, epochs[1]!],
  });
  assert.deepEqual(data.filter(({ name }) => name === "validation").map(({ x, y }) => [x, y]), [
    [[2], [1.4]],
    [[2], [62.5]],
  ]);
});

Deno.test("trainingCurves stays small for a long run", () => {
  const long = Array.from({ length: 50_000 }, (_, step) => ({
    step,
    loss: 1 + Math.sin(step) / 3,
    learningRate: 0.1,
  }));
  const { data, layout } = trainingCurves({ steps: long, epochs });
  assert.ok(JSON.stringify([data, layout]).length < 100_000);
});

Deno.test("trainingCurves fits the labels of its ticks into the picture, side by side", async () => {
  for (const [width, count] of [[720, 1000], [720, 200_000], [360, 1000], [360, 10_000]] as const) {
    const long = [1, count / 2, count].map((step) => ({ step, loss: 1, learningRate: 0.1 }));
    const svg = await renderSvg(trainingCurves({ steps: long, epochs: [] }, { width }));
    // The ticks of the left panel have the class "xtick", those of the right one "x2tick".
    for (const axis of ["x", "x2"] as const) {
      const drawn = ticks(svg, axis);
      assert.equal(drawn.at(-1)?.value, count, `${width} pixels, ${count} steps`);
      const halfWidth = ({ label }: { label: string }) => 3.5 * label.length;
      const last = drawn.at(-1)!, before = drawn.at(-2)!;
      assert(last.at + halfWidth(last) <= width, `${last.label} ends beyond ${width}`);
      assert(before.at + halfWidth(before) < last.at - halfWidth(last), `${before.label} overlaps`);
    }
    assert.doesNotMatch(svg, /<g class="x2?tick"><text[^>]*rotate\((?!0)/);
  }
});

Deno.test("trainingCurves refuses values that it cannot draw", () => {
  assert.throws(() => trainingCurves({ steps: [], epochs: [] }), {
    name: "RangeError",
    message: "Drawing training curves: the history must have a step or an epoch, found none.",
  });
  const diverged = [...steps, { step: 3, loss: NaN, learningRate: 0.1 }];
  assert.throws(() => trainingCurves({ steps: diverged, epochs }), {
    name: "RangeError",
    message:
      'Drawing a line chart: y of series "each step" must be finite numbers, found NaN at index 3.',
  });
});

Deno.test("trainingCurves() draws a training without accuracy", () => {
  const unclassified = [{ epoch: 1, trainLoss: 2, trainAccuracy: NaN }];
  const { data, description } = trainingCurves({ steps: [], epochs: unclassified });
  assert.deepEqual(data.map(({ name, y }) => [name, y]), [["training", [2]]]);
  assert.equal(description, "Training curves: after 1 epoch training loss 2.");
});

Deno.test("trainingCurves has ticks at whole epochs only", async () => {
  for (const count of [1, 2]) {
    const svg = await renderSvg(trainingCurves({ steps, epochs: epochs.slice(0, count) }));
    const shown = ticks(svg, "x3").map(({ value }) => value);
    assert(shown.includes(1) && shown.every(Number.isInteger), String(shown));
  }
});
