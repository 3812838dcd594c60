import assert from "node:assert/strict";
import type { EpochProgress, StepProgress } from "resnet-lab";
import { liveView } from "../../lib/notebook/live_view.ts";

function steps(losses: readonly number[]): StepProgress[] {
  return losses.map((loss, i) => ({
    kind: "step",
    epoch: 1,
    epochs: 2,
    step: i + 1,
    totalSteps: 1000,
    loss,
    accuracy: 0.5,
    gradientNorm: 1,
    learningRate: 0.1,
    imagesPerSecond: 100,
  }));
}

function epoch(epoch: number, trainAccuracy: number, validation?: number): EpochProgress {
  return {
    kind: "epoch",
    epoch,
    epochs: 2,
    trainLoss: 1,
    trainAccuracy,
    validation: validation === undefined ? undefined : { loss: 1, accuracy: validation },
    learningRate: 0.1,
    seconds: 1,
  };
}

/** The corners of the curves of a view. */
function curves(view: string): string[] {
  return [...view.matchAll(/ d="M(.*)" fill="none" stroke="#/g)].map(([, corners]) => corners!);
}

Deno.test("liveView() draws losses from corner to corner of their chart", () => {
  const view = liveView("How it stands", { steps: steps([3, 2, 1]), epochs: [] });
  assert.deepEqual(curves(view), ["50.0,30.0L190.0,80.0L330.0,130.0"]);
  assert.match(view, /How it stands\n<progress value="3" max="1000"/);
  assert.match(view, />Loss<(.|\n)*>3<(.|\n)*>1<(.|\n)*>Step<(.|\n)*>3</);
  assert.doesNotMatch(view, /Epoch/);
});

Deno.test("liveView() draws accuracies on one scale", () => {
  const view = liveView("", {
    steps: steps([1]),
    epochs: [epoch(1, 0.5, 0.6), epoch(2, 0.9, 0.8)],
  });
  assert.deepEqual(curves(view).slice(1), [
    "50.0,130.0L330.0,30.0",
    "50.0,105.0L330.0,55.0",
  ]);
  assert.match(
    view,
    />Training accuracy \(%\)<(.|\n)*>Validation accuracy \(%\)<(.|\n)*>90<(.|\n)*>50</,
  );
});

Deno.test("liveView() leaves out missing values", () => {
  const view = liveView("", { steps: steps([1]), epochs: [epoch(1, 0.5)] });
  assert.deepEqual(curves(view), ["50.0,130.0", "50.0,130.0"]);
  assert.doesNotMatch(view, /Validation|NaN|Infinity/);
});

Deno.test("liveView() stays small in a long training: points are means of neighbours", () => {
  const view = liveView("", { steps: steps(Array(300).fill([0, 1]).flat()), epochs: [] });
  const [corners = ""] = curves(view);
  assert.equal(corners.split("L").length, 150);
  assert.match(view, />0\.5</);
});
