import assert from "node:assert/strict";
import { type EpochProgress, type StepProgress, trainingCurves } from "resnet-lab";
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

/** The corners of the curves of a view, in hundredths of the axes from the upper left. */
function curves(view: string): string[] {
  return [...view.matchAll(/ d="M([^"]*)"[^>]* stroke="#\w+" stroke-width="2"/g)]
    .map(([, corners]) => corners!);
}

/** The texts of a view, such as titles and the labels of ticks. */
function texts(view: string): string[] {
  return Array.from(
    view.matchAll(/<span [^>]*>(.*?)<\/span>/gs),
    ([, text]) => text!.replaceAll(/<[^>]*>/g, "").replaceAll("&nbsp;", " ").trim(),
  );
}

/** The contrast of two colours, from 1 to 21 (WCAG 2.2). */
function contrast(one: string, other: string): number {
  const luminance = (color: string) => {
    const [red, green, blue] = [1, 3, 5].map((at) => {
      const share = parseInt(color.slice(at, at + 2), 16) / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red! + 0.7152 * green! + 0.0722 * blue!;
  };
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light! + 0.05) / (dark! + 0.05);
}

Deno.test("liveView() draws losses on axes from zero to the last step and a round number", () => {
  const view = liveView("How it stands", { steps: steps([2.4, 1.25, 0]), epochs: [] });
  // 2.4 of 2.5 is 4 % from above, and step 1 of 1000 is 0.1 % from the left.
  assert.equal(curves(view)[0], "0.10,4.00L0.20,50.00L0.30,100.00");
  assert.match(view, /How it stands<\/div>\n<progress value="3" max="1000"/);
  assert.deepEqual(texts(view).slice(0, 14), [
    "Loss",
    ...["0", "0.5", "1", "1.5", "2", "2.5"],
    ...["0", "200", "400", "600", "800", "1,000"],
    "Step",
  ]);
});

Deno.test("liveView() has the accuracies from the first step on, from 0 to 100 %", () => {
  const [, training] = curves(liveView("", { steps: steps([1]), epochs: [] }));
  assert.equal(training, "0.10,50.00");
  const view = liveView("", {
    steps: steps([1]),
    epochs: [epoch(1, 0.5, 0.6), epoch(2, 0.9, 0.8)],
  });
  assert.equal(curves(view)[2], "50.00,40.00L100.00,20.00");
  assert.deepEqual(texts(view).slice(-11), [
    "Training accuracy (%)   Validation accuracy (%)",
    ...["0", "20", "40", "60", "80", "100"],
    ...["0", "1", "2"],
    "Epoch",
  ]);
});

Deno.test("liveView() never shrinks the axis of the loss, and leaves out a single spike", () => {
  const top = (losses: number[]) => {
    const shown = texts(liveView("", { steps: steps(losses), epochs: [] }));
    return Number(shown[shown.indexOf("0", 2) - 1]); // before the labels of the steps
  };
  const falling = Array.from({ length: 400 }, (_, i) => 8 * 0.98 ** i);
  const tops = [1, 5, 40, 200, 400].map((count) => top(falling.slice(0, count)));
  assert.deepEqual(tops, [8, 8, 8, 8, 8]);
  assert.equal(top([2.3, 2.2, 40, 2.1]), 2.5);
  assert.equal(top([2.3, ...Array(10).fill(7)]), 8);
});

Deno.test("liveView() leaves out missing values", () => {
  const nothing = { ...steps([NaN])[0]!, accuracy: NaN };
  const view = liveView("", { steps: [nothing], epochs: [epoch(1, NaN)] });
  assert.deepEqual(curves(view), []);
  assert.doesNotMatch(view, /ccuracy|NaN|Infinity/);
  const some = liveView("", { steps: steps([1]), epochs: [epoch(1, 0.5)] });
  assert.doesNotMatch(some, /Validation|NaN|Infinity/);
});

Deno.test("liveView() draws negative losses", () => {
  const view = liveView("", { steps: steps([1, -1]).concat(steps(Array(9).fill(-1))), epochs: [] });
  assert.match(view, />-1<|>-0\.8</);
  assert.doesNotMatch(view, /NaN|Infinity/);
});

Deno.test("liveView() stays small in a long training: points are means of neighbours", () => {
  const view = liveView("", { steps: steps(Array(300).fill([0, 1]).flat()), epochs: [] });
  const [corners = ""] = curves(view);
  assert.equal(corners.split("L").length, 150);
  assert(corners.split("L").every((corner) => corner.endsWith(",0.00")));
});

Deno.test("liveView() is as high as the figure that replaces it", () => {
  const [one] = steps([1]);
  const figure = trainingCurves({ steps: [one!], epochs: [epoch(1, 0.5, 0.5)] }, { title: "line" });
  const view = liveView("line", { steps: [one!], epochs: [] });
  assert.match(view, RegExp(`height: ${figure.layout.height}px`));
});

Deno.test("liveView() can be read in light and dark themes", () => {
  const view = liveView("", { steps: steps([1]), epochs: [epoch(1, 0.5, 0.5)] });
  const used = new Set(Array.from(view.matchAll(/#[0-9a-f]{6}/g), ([color]) => color));
  assert.equal(used.size, 2);
  for (const color of used) {
    for (const background of ["#ffffff", "#111111"]) {
      assert(contrast(color, background) >= 3, `${color} on ${background}`);
    }
  }
});
