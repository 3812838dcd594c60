import type { EpochProgress, Progress, StepProgress } from "./fit.ts";

/** All that a training run reported. */
export interface History {
  readonly steps: StepProgress[];
  readonly epochs: EpochProgress[];
}

/**
 * Trains to the end and keeps what was reported on the way.
 *
 * @example
 * ```ts
 * import { adam, collect, fashionMnist, fit, flatten, linear, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = adam(model.parameters(), { learningRate: 1e-3 });
 * const { steps, epochs } = await collect(fit(model, test, { optimizer, epochs: 2, batchSize: 100 }));
 * assert.equal(steps.length, 20);
 * assert(epochs[1]!.trainLoss < epochs[0]!.trainLoss);
 * ```
 */
export async function collect(training: AsyncIterable<Progress>): Promise<History> {
  const history: History = { steps: [], epochs: [] };
  for await (const progress of training) {
    if (progress.kind === "step") history.steps.push(progress);
    else history.epochs.push(progress);
  }
  return history;
}
