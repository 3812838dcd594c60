import type { LayoutAxis } from "plotly.js";
import { show } from "../tensor/internal.ts";
import type { EpochProgress, StepProgress } from "../train/mod.ts";
import { checkFigureOptions, checkNumbers } from "./checks.ts";
import { Figure } from "./figure.ts";
import { formatNumber, formatPercent } from "./format.ts";
import { lineChart, type Series } from "./line_chart.ts";
import { type Axis, figureNames, type FigureOptions } from "./options.ts";
import { panelGrid } from "./panels.ts";
import { baseLayout, colors, extraTitleHeight } from "./style.ts";
import type { Trace } from "./trace.ts";

/** The part of a training run's `History` that the curves show. */
export interface TrainingHistory {
  /** Loss and learning rate of each step. */
  readonly steps: readonly Pick<StepProgress, "step" | "loss" | "learningRate">[];
  /** Mean loss and accuracy of each epoch. */
  readonly epochs: readonly Pick<
    EpochProgress,
    "epoch" | "trainLoss" | "trainAccuracy" | "validation"
  >[];
}

/** Options of {@linkcode trainingCurves}. */
export type TrainingCurvesOptions = Omit<FigureOptions, "height">;

const training = "training", validation = "validation", mean = "running mean";

/**
 * Draws a training run: loss, its running mean and learning rate per step, and loss and accuracy
 * per epoch, for training and validation. Panels without numbers are left out, so a training run in
 * progress can be drawn too.
 *
 * @param history The history of the training.
 * @param options The title and width.
 * @throws {RangeError} If there is neither a step nor an epoch, a number is not finite, or an
 * accuracy is not from 0 to 1.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { trainingCurves } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = trainingCurves({
 *   steps: [{ step: 1, loss: 2.3, learningRate: 0.1 }, { step: 2, loss: 1.9, learningRate: 0.1 }],
 *   epochs: [{ epoch: 1, trainLoss: 2.1, trainAccuracy: 0.25 }],
 * });
 * assert.equal(figure.data.length, 5);
 * assert.match(figure.description, /training accuracy 25 %/);
 * ```
 */
export function trainingCurves(
  history: TrainingHistory,
  options: TrainingCurvesOptions = {},
): Figure {
  const action = "Drawing training curves";
  checkFigureOptions<TrainingCurvesOptions>(action, options, '{ title: "ResNet-20" }', figureNames);
  const { steps, epochs } = history ?? {};
  if (!Array.isArray(steps) || !Array.isArray(epochs)) {
    throw new TypeError(
      `${action}: the history must be { steps: […], epochs: […] }, found ${show(history)}.`,
    );
  }
  if (steps.length + epochs.length === 0) {
    throw new RangeError(`${action}: the history must have a step or an epoch, found none.`);
  }
  for (const { epoch, trainAccuracy, validation } of epochs) {
    // Targets that are not class numbers have no accuracy, and neither has an objective without
    // logits.
    const accuracies = [trainAccuracy, ...(validation ? [validation.accuracy] : [])]
      .filter((accuracy) => !Number.isNaN(accuracy));
    if (accuracies.length > 0) {
      checkNumbers(action, `the accuracies of epoch ${epoch}`, accuracies);
    }
    const invalid = accuracies.find((accuracy) => !(accuracy >= 0 && accuracy <= 1));
    if (invalid === undefined) continue;
    throw new RangeError(
      `${action}: accuracies must be from 0 to 1, found ${invalid} in epoch ${epoch}.`,
    );
  }
  const panels: { series: Series[]; x: Axis; y: Axis }[] = [];
  const step: Axis = { title: "Step" }, epoch: Axis = { title: "Epoch" };
  const rate: Axis = { title: "Learning rate" };
  if (steps.length > 0) {
    const x = steps.map(({ step }) => step);
    const losses = steps.map(({ loss }) => loss);
    const loss = [
      { name: "each step", x, y: losses },
      { name: mean, x, y: runningMean(losses) },
    ];
    const rates = { name: "learning rate", x, y: steps.map(({ learningRate }) => learningRate) };
    panels.push({ series: loss, x: step, y: { title: "Loss" } });
    panels.push({ series: [rates], x: step, y: rate });
  }
  if (epochs.length > 0) {
    const validated = epochs.flatMap(({ epoch, validation }) =>
      validation ? [{ epoch, ...validation }] : []
    );
    const percent = (share: number) => 100 * share;
    panels.push({
      series: perEpoch(
        epochs.map(({ epoch, trainLoss }) => [epoch, trainLoss]),
        validated.map(({ epoch, loss }) => [epoch, loss]),
      ),
      x: epoch,
      y: { title: "Mean loss" },
    });
    const accuracies = perEpoch(
      epochs.filter(({ trainAccuracy }) => !Number.isNaN(trainAccuracy))
        .map(({ epoch, trainAccuracy }) => [epoch, percent(trainAccuracy)]),
      validated.filter(({ accuracy }) => !Number.isNaN(accuracy))
        .map(({ epoch, accuracy }) => [epoch, percent(accuracy)]),
    );
    if (accuracies.length > 0) {
      panels.push({ series: accuracies, x: epoch, y: { title: "Accuracy", unit: "%" } });
    }
  }
  const { width = 700 } = options;
  // The last tick of the steps may be at the right edge, so the margin fits half of its label.
  const margins = { l: 64, r: Math.max(16, labelWidth(steps.at(-1)?.step ?? 0) / 2 + 4) };
  const columnGap = 76;
  const panelWidth = (width - margins.l - margins.r - columnGap) / 2;
  const grid = panelGrid(panels.length, {
    columns: 2,
    width,
    panelHeight: 190,
    columnGap,
    rowGap: 60,
    margin: {
      ...margins,
      t: (options.title === undefined ? 40 : 80) + extraTitleHeight(options),
      b: 52,
    },
  });
  const data: Trace[] = [];
  const axes: Record<string, Partial<LayoutAxis>> = {};
  const inLegend = new Set<string>();
  panels.forEach(({ series, x, y }, index) => {
    const panel = grid.panels[index]!;
    const chart = lineChart(series, { x, y, width: Math.max(160, panelWidth) });
    for (const trace of chart.data) {
      const name = trace.name ?? "";
      data.push({
        ...trace,
        ...panel.trace,
        ...style(name),
        legendgroup: name,
        showlegend: [training, validation, mean].includes(name) && !inLegend.has(name),
      });
      inLegend.add(name);
    }
    // plotly.js would rotate labels that do not fit side by side, and they would overlap the title.
    const last = Number(chart.data[0]?.x?.at(-1));
    const maxTicks = Math.max(2, Math.floor(panelWidth / (labelWidth(last) + 12)));
    // Nor would it keep to whole epochs.
    const ticks = x === epoch && epochs.length < 5
      ? { dtick: 1, ...(epochs.length === 1 ? { range: [last - 1, last + 1] } : {}) }
      : maxTicks < 5
      ? { nticks: maxTicks }
      : {};
    axes[panel.xKey] = { ...chart.layout.xaxis, ...panel.xaxis, ...ticks };
    const rangemode = y === rate ? "tozero" : "normal";
    axes[panel.yKey] = { ...chart.layout.yaxis, ...panel.yaxis, rangemode };
  });
  return new Figure(
    data,
    { ...baseLayout(options), ...grid.layout, ...axes, showlegend: true, hovermode: "x unified" },
    options.description ?? describe(history),
  );
}

/** Estimates the width of a tick's label in pixels. */
function labelWidth(value: number): number {
  return 7 * formatNumber(value).length;
}

function perEpoch(
  trained: readonly (readonly [number, number])[],
  validated: readonly (readonly [number, number])[],
): Series[] {
  return ([[training, trained], [validation, validated]] as const)
    .filter(([, points]) => points.length > 0)
    .map(([name, points]) => ({
      name,
      x: points.map(([epoch]) => epoch),
      y: points.map(([, value]) => value),
      mode: "lines+markers",
    }));
}

/** Returns the exponential moving average, corrected for its start at zero. */
function runningMean(values: readonly number[], decay = 0.95): number[] {
  let sum = 0;
  return values.map((value, index) => {
    sum = decay * sum + (1 - decay) * value;
    return sum / (1 - decay ** (index + 1));
  });
}

function style(name: string): Partial<Trace> {
  if (name === training || name === mean) return { line: { color: colors[0] } };
  if (name === validation) return { line: { color: colors[1] } };
  return { line: { color: name === "learning rate" ? colors[2] : colors[5], width: 1.2 } };
}

function describe({ steps, epochs }: TrainingHistory): string {
  const parts: string[] = [];
  const first = steps[0], last = steps.at(-1), epoch = epochs.at(-1);
  if (first && last) {
    parts.push(
      `over ${formatNumber(steps.length)} ${
        steps.length === 1 ? "step" : "steps"
      } the loss goes from ${formatNumber(first.loss)} to ${formatNumber(last.loss)}`,
    );
  }
  if (epoch) {
    parts.push(
      `after ${formatNumber(epochs.length)} ${epochs.length === 1 ? "epoch" : "epochs"} training ` +
        (Number.isNaN(epoch.trainAccuracy)
          ? `loss ${formatNumber(epoch.trainLoss)}`
          : `accuracy ${formatPercent(epoch.trainAccuracy, 4)}`) +
        (epoch.validation === undefined
          ? ""
          : Number.isNaN(epoch.validation.accuracy)
          ? `, validation loss ${formatNumber(epoch.validation.loss)}`
          : `, validation accuracy ${formatPercent(epoch.validation.accuracy, 4)}`),
    );
  }
  return `Training curves: ${parts.join("; ")}.`;
}
