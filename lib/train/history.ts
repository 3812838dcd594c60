import { show } from "../tensor/internal.ts";
import type { EpochProgress, Progress, StepProgress } from "./fit.ts";

/** All that a training run reported. */
export interface History {
  readonly steps: StepProgress[];
  readonly epochs: EpochProgress[];
}

/**
 * Goes through a training to its end and keeps what it reports on the way. A training as
 * {@linkcode fit} gives it does so by itself where it is awaited; this is for one that goes through
 * a generator, which may end it early, say.
 *
 * @throws {TypeError} If it cannot be iterated.
 *
 * @example
 * ```ts
 * import { adam, collectHistory, fashionMnist, fit, flatten, linear, type Progress, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * // Ends a training once the loss of an epoch is small enough.
 * async function* until(loss: number, training: AsyncIterable<Progress>) {
 *   for await (const progress of training) {
 *     yield progress;
 *     if (progress.kind === "epoch" && progress.trainLoss < loss) return;
 *   }
 * }
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = adam(model.parameters(), { learningRate: 1e-3 });
 * const training = fit(model, test, { optimizer, epochs: 50, batchSize: 100 });
 * const { epochs } = await collectHistory(until(1, training));
 * assert(epochs.length < 50);
 * ```
 */
export async function collectHistory(training: AsyncIterable<Progress>): Promise<History> {
  checkTraining("Collecting the progress of a training", training);
  const history: History = { steps: [], epochs: [] };
  for await (const progress of training) {
    if (progress.kind === "step") history.steps.push(progress);
    else history.epochs.push(progress);
  }
  return history;
}

/**
 * Checks that something is a training, of {@linkcode fit} or a generator.
 *
 * @throws {TypeError} If it is not.
 */
export function checkTraining(doing: string, training: unknown): void {
  if (typeof training === "object" && training !== null && Symbol.asyncIterator in training) return;
  throw new TypeError(
    `${doing}: the training must be fit(…) itself, without await, or a generator of progress, found ${
      show(training)
    }.`,
  );
}
