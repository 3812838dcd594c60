/** The history as rows of numbers. The place of a row follows from its index. */
import type { EpochProgress, Progress, StepProgress } from "./progress.ts";

/** A row of the history: numbers by name. A metric is called `metrics.NAME`. */
export type Row = Readonly<Record<string, number>>;

/** The numbers of a step. */
export function rowOfStep(
  { loss, accuracy, gradientNorm, metrics, learningRate, imagesPerSecond }: StepProgress,
): Row {
  return { loss, accuracy, gradientNorm, learningRate, imagesPerSecond, ...prefixed(metrics) };
}

/** The numbers of an epoch. */
export function rowOfEpoch(
  { trainLoss, trainAccuracy, metrics, validation, learningRate, seconds }: EpochProgress,
): Row {
  return {
    trainLoss,
    trainAccuracy,
    ...(validation && { validationLoss: validation.loss, validationAccuracy: validation.accuracy }),
    learningRate,
    seconds,
    ...prefixed(metrics),
  };
}

const METRIC = "metrics.";

function prefixed(metrics: Readonly<Record<string, number>> = {}): Row {
  return Object.fromEntries(
    Object.entries(metrics).map(([name, value]) => [METRIC + name, value]),
  );
}

function metricsOf(row: Row): { metrics?: Record<string, number> } {
  const entries = Object.entries(row).filter(([name]) => name.startsWith(METRIC));
  if (entries.length === 0) return {};
  return {
    metrics: Object.fromEntries(entries.map(([name, value]) => [name.slice(METRIC.length), value])),
  };
}

/** The progress that rows hold, in the order in which it came. */
export function historyOf(
  { steps, epochs: epochRows }: { readonly steps: readonly Row[]; readonly epochs: readonly Row[] },
  epochs: number,
  length: number,
): Progress[] {
  const totalSteps = epochs * length;
  const history: Progress[] = [];
  const addEpoch = (index: number) => {
    const row = epochRows[index];
    if (!row) return;
    const { trainLoss, trainAccuracy, validationLoss: loss, validationAccuracy, learningRate } =
      row;
    history.push({
      kind: "epoch",
      epoch: index + 1,
      epochs,
      trainLoss: trainLoss!,
      trainAccuracy: trainAccuracy!,
      ...metricsOf(row),
      validation: loss === undefined ? undefined : { loss, accuracy: validationAccuracy! },
      learningRate: learningRate!,
      seconds: row.seconds!,
    });
  };
  steps.forEach((row, i) => {
    history.push({
      kind: "step",
      epoch: Math.floor(i / length) + 1,
      epochs,
      step: i + 1,
      totalSteps,
      loss: row.loss!,
      accuracy: row.accuracy!,
      gradientNorm: row.gradientNorm!,
      ...metricsOf(row),
      learningRate: row.learningRate!,
      imagesPerSecond: row.imagesPerSecond!,
    });
    if ((i + 1) % length === 0) addEpoch((i + 1) / length - 1);
  });
  return history;
}
