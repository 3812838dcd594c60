import { titleLines } from "../plot/internal.ts";
import { type Figure, trainingCurves } from "../plot/mod.ts";
import type { EpochProgress, History, Progress } from "../train/mod.ts";
import { emptyHistory } from "../train/history.ts";
import { checkTraining } from "../train/training.ts";
import { duration } from "./duration.ts";
import { liveView } from "./live_view.ts";

/** An output that shows the progress of a training run. */
export interface Display {
  /** Shows the current state in place of the previous one. */
  update?(line: string, history: History): Promise<void> | void;
  /** Shows the result of an epoch. */
  epoch?(line: string): void;
  /** Shows the end of the training in place of the last state. */
  end(line: string, history: History): Promise<void> | void;
}

/** Minimum and maximum time between two updates, in milliseconds. */
const MIN_INTERVAL = 500, MAX_INTERVAL = 2000;
/**
 * Maximum fraction of the time that updates may take. `MAX_INTERVAL` limits the wait after a slow
 * update: the first one is slow because its code is not compiled yet.
 */
const MAX_SHARE = 0.01;

/**
 * Trains to the end and shows the progress: a line of text, and a chart of losses, learning rates
 * and accuracies. Both are updated in place about twice a second, which takes at most about a
 * hundredth of the time. A terminal shows only the line.
 *
 * Stop ends the training after the current step. The model keeps what it has learnt, and the
 * history up to that step is returned. If the training throws, the chart up to the error stays, and
 * the error is thrown on.
 *
 * @param training The result of {@linkcode fit}, without `await`, or a generator that iterates over
 * it.
 * @returns The history of the training.
 * @throws {TypeError} If the argument is not a training, such as the history that an awaited
 * training returns.
 *
 * @example
 * ```ts
 * import { adam, fashionMnist, fit, flatten, linear, sequential, showProgress } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = adam(model.parameters(), { learningRate: 1e-3 });
 * const options = { optimizer, epochs: 1, batchSize: 100, validation: test };
 * const { steps, epochs } = await showProgress(fit(model, train, options));
 * assert.equal(steps.length, 60);
 * assert(epochs[0]!.validation!.accuracy > 0.6);
 * ```
 */
export async function showProgress(training: AsyncIterable<Progress>): Promise<History> {
  return await follow(training, currentDisplay());
}

/** Trains to the end and shows the progress on a display. */
export async function follow(
  training: AsyncIterable<Progress>,
  display: Display,
): Promise<History> {
  checkTraining("Showing the progress of a training", training);
  const history = emptyHistory();
  let start = performance.now();
  let due = start;
  /** The number of steps that a checkpoint restored. */
  let restored = 0;
  const end = async (failed: boolean) => {
    if (history.steps.length === 0) return;
    await display.end(endLine(history, restored, performance.now() - start, failed), history);
  };
  try {
    for await (const progress of training) {
      const now = performance.now();
      if (progress.kind === "step") history.steps.push(progress);
      else {
        history.epochs.push(progress);
        display.epoch?.(epochLine(progress));
      }
      if (progress.restored) {
        start = now;
        restored = history.steps.length;
        continue;
      }
      if (!display.update || now < due) continue;
      await display.update(stepLine(history, restored, now - start), history);
      due = now +
        Math.min(MAX_INTERVAL, Math.max(MIN_INTERVAL, (performance.now() - now) / MAX_SHARE));
    }
  } catch (error) {
    // The error of the training matters more than an error of the display.
    await end(true).catch(() => {});
    throw error;
  }
  await end(false);
  return history;
}

/** The output of the cell in a notebook; elsewhere the terminal or standard output. */
function currentDisplay(): Display {
  try {
    return jupyterDisplay(Deno.jupyter);
  } catch { // Deno.jupyter throws outside of a kernel.
    const log = (line: string) => console.log(line);
    return Deno.stdout.isTerminal() ? terminalDisplay() : { epoch: log, end: log };
  }
}

/** One output of a cell: a light view during the training, and at the end the figure. */
export function jupyterDisplay(jupyter: Pick<typeof Deno.jupyter, "display">): Display {
  const display_id = crypto.randomUUID();
  let isShown = false;
  async function show(content: unknown, raw: boolean) {
    await jupyter.display(content, { display_id, update: isShown, raw });
    isShown = true;
  }
  const update = (line: string, history: History) =>
    show({ "text/html": liveView(line, history), "text/plain": line }, true);
  return {
    update,
    async end(line, history) {
      await update(line, history);
      const figure = curves(line, history);
      if (figure) await show(figure, false);
    },
  };
}

/**
 * The width for which `titleLines` breaks the line above the curves: 700 pixels would be that of a
 * title, and the letters of the line are smaller.
 */
const titleWidth = 850;

/** The training curves of all finite values; undefined if there are none. */
function curves(line: string, { steps, epochs }: History): Figure | undefined {
  const finite = {
    steps: steps.filter(({ loss, learningRate }) => Number.isFinite(loss + learningRate)),
    epochs: epochs.filter(({ trainLoss, validation }) =>
      Number.isFinite(trainLoss + (validation?.loss ?? 0))
    ),
  };
  if (finite.steps.length + finite.epochs.length === 0) return undefined;
  return trainingCurves(finite, {
    title: titleLines(line, titleWidth)
      .map((part) => `<span style="font-size: 12px">${part}</span>`).join("<br>"),
    description: `Training curves. ${line}.`,
  });
}

/** One line of a terminal, which each update overwrites. */
function terminalDisplay(): Display {
  const encoder = new TextEncoder();
  const write = (text: string) => void Deno.stdout.writeSync(encoder.encode(`\r\x1b[K${text}`));
  return {
    update: (line) => write(line.slice(0, Deno.consoleSize().columns - 1)),
    end: (line) => write(`${line}\n`),
  };
}

function stepLine({ steps }: History, restored: number, milliseconds: number): string {
  const { epoch, epochs, step, totalSteps, loss, learningRate } = steps.at(-1)!;
  const recent = steps.slice(-50);
  const seconds = recent.reduce((sum, step) => sum + 1 / step.imagesPerSecond, 0);
  // The first step after the restored ones may be restored too.
  const left = step - restored <= 1 && restored > 0
    ? []
    : [`${duration(milliseconds * (totalSteps - step) / (step - restored))} left`];
  return join(
    `Epoch ${epoch} of ${epochs}`,
    `step ${count(step)} of ${count(totalSteps)}`,
    `loss ${significant(loss)}`,
    `learning rate ${significant(learningRate)}`,
    `${count(recent.length / seconds)} images/s`,
    ...left,
  );
}

function epochLine(progress: EpochProgress): string {
  const { epoch, epochs, trainLoss, seconds } = progress;
  return join(
    `Epoch ${epoch} of ${epochs}`,
    `loss ${significant(trainLoss)}`,
    ...accuracies(progress),
    duration(1000 * seconds),
  );
}

function endLine(
  { steps, epochs }: History,
  restored: number,
  milliseconds: number,
  failed: boolean,
): string {
  const last = steps.at(-1)!, epoch = epochs.at(-1);
  const position = `step ${count(last.step)} of ${count(last.totalSteps)}`;
  const how = failed
    ? `Failed after ${position}`
    : epochs.length < last.epochs
    ? `Stopped at ${position}`
    : `Finished ${count(last.step)} steps`;
  return join(
    `${how} in ${duration(milliseconds)}${
      restored > 0 ? `, continued after step ${count(restored)}` : ""
    }`,
    `loss ${significant(last.loss)}`,
    ...(epoch ? accuracies(epoch) : []),
  );
}

function accuracies(
  { trainAccuracy, validation }: EpochProgress,
): string[] {
  return [
    ...(Number.isNaN(trainAccuracy) ? [] : [`training accuracy ${percent(trainAccuracy)}`]),
    ...(!validation
      ? []
      : Number.isNaN(validation.accuracy)
      ? [`validation loss ${significant(validation.loss)}`]
      : [`validation accuracy ${percent(validation.accuracy)}`]),
  ];
}

function join(...parts: string[]): string {
  return parts.join(" · ");
}

function count(value: number): string {
  return Math.round(value).toLocaleString("en");
}

function significant(value: number): string {
  return String(Number(value.toPrecision(3)));
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
