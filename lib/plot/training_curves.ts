import type { LayoutAxis } from "plotly.js";
import { show } from "../tensor/internal.ts";
import { Figure, type Trace } from "./figure.ts";
import { lineChart, type Series } from "./line_chart.ts";
import { requireNumbers, say } from "./numbers.ts";
import { panelGrid } from "./panels.ts";
import {
  type Axis,
  checkFigure,
  colors,
  extraTitleHeight,
  figureNames,
  type FigureOptions,
  frame,
} from "./style.ts";

/** What a training run reported: one record per step and one per epoch. */
export interface TrainingHistory {
  /** The loss of each step's batch and the learning rate it used. */
  readonly steps: readonly {
    readonly step: number;
    readonly loss: number;
    readonly learningRate: number;
  }[];
  /** Means over each epoch; accuracies are shares from 0 to 1. */
  readonly epochs: readonly {
    readonly epoch: number;
    readonly trainLoss: number;
    readonly trainAccuracy: number;
    readonly validation?: { readonly loss: number; readonly accuracy: number };
  }[];
}

/** What `trainingCurves` takes beside the history. */
export type TrainingCurvesOptions = Omit<FigureOptions, "height">;

const training = "training", validation = "validation", mean = "running mean";

/**
 * Draws a training run: loss, its running mean and learning rate per step, loss and accuracy per
 * epoch, training beside validation. Panels without numbers yet are left out, so it also serves a
 * run under way.
 *
 * @param history The records of the run.
 * @param options The title and width.
 * @throws {RangeError} If there is neither a step nor an epoch, a number is not finite, or an
 * accuracy is not a share from 0 to 1.
 * @throws {TypeError} If there is no such option, or something is of another kind.
 *
 * @example
 * ```ts
 * import { trainingCurves } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = trainingCurves({
 *   steps: [{ step: 0, loss: 2.3, learningRate: 0.1 }, { step: 1, loss: 1.9, learningRate: 0.1 }],
 *   epochs: [{ epoch: 0, trainLoss: 2.1, trainAccuracy: 0.25 }],
 * });
 * assert.equal(figure.data.length, 5);
 * assert.match(figure.description, /training accuracy 25 %/);
 * ```
 */
export function trainingCurves(
  history: TrainingHistory,
  options: TrainingCurvesOptions = {},
): Figure {
  const doing = "Drawing training curves";
  checkFigure<TrainingCurvesOptions>(doing, options, '{ title: "ResNet-20" }', figureNames);
  const { steps, epochs } = history ?? {};
  if (!Array.isArray(steps) || !Array.isArray(epochs)) {
    throw new TypeError(
      `${doing}: the history must be { steps: […], epochs: […] }, found ${show(history)}.`,
    );
  }
  if (steps.length + epochs.length === 0) {
    throw new RangeError(`${doing}: expected a step or an epoch, found none`);
  }
  for (const { epoch, trainAccuracy, validation } of epochs) {
    // A training on an objective without logits has no accuracy.
    const shares = Number.isNaN(trainAccuracy) ? [] : [trainAccuracy];
    if (validation) shares.push(validation.accuracy);
    if (shares.length > 0) requireNumbers(doing, `the accuracies of epoch ${epoch}`, shares);
    const other = shares.find((share) => !(share >= 0 && share <= 1));
    if (other === undefined) continue;
    throw new RangeError(
      `${doing}: accuracies must be shares from 0 to 1, found ${other} in epoch ${epoch}.`,
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
      validated.map(({ epoch, accuracy }) => [epoch, percent(accuracy)]),
    );
    if (accuracies.length > 0) {
      panels.push({ series: accuracies, x: epoch, y: { title: "Accuracy", unit: "%" } });
    }
  }
  const grid = panelGrid(panels.length, {
    columns: 2,
    width: options.width ?? 700,
    panelHeight: 190,
    columnGap: 76,
    rowGap: 60,
    margin: {
      l: 64,
      r: 16,
      t: (options.title === undefined ? 40 : 80) + extraTitleHeight(options),
      b: 52,
    },
  });
  const data: Trace[] = [];
  const axes: Record<string, Partial<LayoutAxis>> = {};
  const inLegend = new Set<string>();
  panels.forEach(({ series, x, y }, index) => {
    const panel = grid.panels[index]!;
    const chart = lineChart(series, { x, y });
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
    // Numbers of steps that are too long to stand side by side would be turned over the title.
    const long = Number(chart.data[0]?.x?.at(-1)) >= 1e5 ? { nticks: 4 } : {};
    axes[panel.xKey] = { ...chart.layout.xaxis, ...panel.xaxis, ...long };
    const rangemode = y === rate ? "tozero" : "normal";
    axes[panel.yKey] = { ...chart.layout.yaxis, ...panel.yaxis, rangemode };
  });
  return new Figure(
    data,
    { ...frame(options), ...grid.layout, ...axes, showlegend: true },
    options.description ?? describe(history),
  );
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

/** The mean that forgets a twentieth at each step, corrected for its start at zero. */
function runningMean(values: readonly number[], keep = 0.95): number[] {
  let sum = 0;
  return values.map((value, index) => {
    sum = keep * sum + (1 - keep) * value;
    return sum / (1 - keep ** (index + 1));
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
      `over ${say(steps.length)} steps the loss goes from ${say(first.loss)} to ${say(last.loss)}`,
    );
  }
  if (epoch) {
    const percent = (share: number) => `${Number((100 * share).toPrecision(4))} %`;
    parts.push(
      `after ${say(epochs.length)} ${epochs.length === 1 ? "epoch" : "epochs"} training ` +
        (Number.isNaN(epoch.trainAccuracy)
          ? `loss ${say(epoch.trainLoss)}`
          : `accuracy ${percent(epoch.trainAccuracy)}`) +
        (epoch.validation === undefined
          ? ""
          : `, validation accuracy ${percent(epoch.validation.accuracy)}`),
    );
  }
  return `Training curves: ${parts.join("; ")}.`;
}
