import { type Figure, trainingCurves } from "../plot/mod.ts";
import type { EpochProgress, History, Progress } from "../train/mod.ts";
import { checkTraining } from "../train/training.ts";
import { liveView } from "./live_view.ts";

/** Where a training shows how it goes. */
export interface Display {
  /** Shows how it stands, in place of what was shown before. */
  update?(line: string, history: History): Promise<void> | void;
  /** Shows how an epoch ended. */
  epoch?(line: string): void;
  /** Shows how all ended, in place of what was shown before. */
  end(line: string, history: History): Promise<void> | void;
}

/** The least time between the starts of two updates, in milliseconds. */
const shortest = 500;
/** An update waits until it takes no more than this part of the time since the one before, */
const share = 0.01;
/**
 * but no longer than this: the first is slow because its code is new, others because the machine is
 * busy.
 */
const longest = 2000;

/**
 * Trains to the end and shows how it goes: a chart of losses, learning rates and accuracies and a
 * line that says how far it is, both updated in place about twice a second, for about a hundredth
 * of the time at most. In a terminal it is just the line.
 *
 * Stop ends the training after the step under way: the model stays as trained so far, and what was
 * reported so far is returned.
 *
 * @param training What {@linkcode fit} gives, without `await`, or a generator that goes through it.
 * @throws {TypeError} If it is none.
 * @throws What the training throws, with the chart of what came before on show.
 * @throws {TypeError} If it is not a training, such as the history of one that was awaited.
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
  return await follow(training, displayHere());
}

/** {@linkcode showProgress} on any display. */
export async function follow(
  training: AsyncIterable<Progress>,
  display: Display,
): Promise<History> {
  checkTraining("Showing the progress of a training", training);
  const history: History = { steps: [], epochs: [] };
  const start = performance.now();
  let due = start;
  const end = async (failed: boolean) => {
    if (history.steps.length === 0) return;
    await display.end(endLine(history, performance.now() - start, failed), history);
  };
  try {
    for await (const progress of training) {
      const now = performance.now();
      if (progress.kind === "step") history.steps.push(progress);
      else {
        history.epochs.push(progress);
        display.epoch?.(epochLine(progress));
      }
      if (!display.update || now < due) continue;
      await display.update(stepLine(history, now - start), history);
      due = now + Math.min(longest, Math.max(shortest, (performance.now() - now) / share));
    }
  } catch (error) {
    // An error of the training matters more than one of drawing it.
    await end(true).catch(() => {});
    throw error;
  }
  await end(false);
  return history;
}

/**
 * In a notebook the output of the cell, else standard output, rewritten where that is a terminal.
 */
function displayHere(): Display {
  try {
    return jupyterDisplay(Deno.jupyter);
  } catch { // Deno refuses Deno.jupyter outside of a kernel.
    const log = (line: string) => console.log(line);
    return Deno.stdout.isTerminal() ? terminalDisplay() : { epoch: log, end: log };
  }
}

/**
 * One output of a cell: a light view that is quick to update, and at the end the figure, which
 * takes a second to draw.
 */
export function jupyterDisplay(jupyter: Pick<typeof Deno.jupyter, "display">): Display {
  const display_id = crypto.randomUUID();
  let shown = false;
  async function show(content: unknown, raw: boolean) {
    await jupyter.display(content, { display_id, update: shown, raw });
    shown = true;
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

/** The curves of all that has a place on them: a loss that is no number has none. */
function curves(line: string, { steps, epochs }: History): Figure | undefined {
  const drawn = {
    steps: steps.filter(({ loss, learningRate }) => Number.isFinite(loss + learningRate)),
    epochs: epochs.filter(({ trainLoss, validation }) =>
      Number.isFinite(trainLoss + (validation?.loss ?? 0) + (validation?.accuracy ?? 0))
    ),
  };
  if (drawn.steps.length + drawn.epochs.length === 0) return undefined;
  return trainingCurves(drawn, {
    title: `<span style="font-size: 12px">${line}</span>`,
    description: `Training curves. ${line}.`,
  });
}

/** One line of a terminal. */
function terminalDisplay(): Display {
  const encoder = new TextEncoder();
  const write = (text: string) => void Deno.stdout.writeSync(encoder.encode(`\r\x1b[K${text}`));
  return {
    update: (line) => write(line.slice(0, Deno.consoleSize().columns - 1)),
    end: (line) => write(`${line}\n`),
  };
}

function stepLine({ steps }: History, milliseconds: number): string {
  const { epoch, epochs, step, totalSteps, loss, learningRate } = steps.at(-1)!;
  const recent = steps.slice(-50);
  const seconds = recent.reduce((sum, step) => sum + 1 / step.imagesPerSecond, 0);
  return join(
    `Epoch ${epoch} of ${epochs}`,
    `step ${count(step)} of ${count(totalSteps)}`,
    `loss ${significant(loss)}`,
    `learning rate ${significant(learningRate)}`,
    `${count(recent.length / seconds)} images/s`,
    `${duration(milliseconds * (totalSteps / step - 1))} left`,
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

function endLine({ steps, epochs }: History, milliseconds: number, failed: boolean): string {
  const last = steps.at(-1)!, epoch = epochs.at(-1);
  const place = `step ${count(last.step)} of ${count(last.totalSteps)}`;
  const how = failed
    ? `Failed after ${place}`
    : epochs.length < last.epochs
    ? `Stopped at ${place}`
    : `Finished ${count(last.step)} steps`;
  return join(
    `${how} in ${duration(milliseconds)}`,
    `loss ${significant(last.loss)}`,
    ...(epoch ? accuracies(epoch) : []),
  );
}

function accuracies(
  { trainAccuracy, validation }: EpochProgress,
): string[] {
  return [
    ...(Number.isNaN(trainAccuracy) ? [] : [`training accuracy ${percent(trainAccuracy)}`]),
    ...(validation ? [`validation accuracy ${percent(validation.accuracy)}`] : []),
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

function duration(milliseconds: number): string {
  const seconds = Math.round(milliseconds / 1000), minutes = Math.floor(seconds / 60);
  if (minutes === 0) return `${seconds} s`;
  if (minutes < 60) return `${minutes} min ${seconds % 60} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
