import {
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  show,
} from "../../tensor/internal.ts";
import { restoreStateDict } from "../../weights/internal.ts";
import { type StateDict, stateDict } from "../../weights/mod.ts";
import type { EpochProgress } from "../progress.ts";
import { around, sourceOf } from "../stage.ts";
import type { Training } from "../training.ts";

/** A number of an epoch that {@linkcode earlyStopping} can watch. */
export type Monitored = "validationLoss" | "validationAccuracy" | "trainLoss" | "trainAccuracy";

/** The options of {@linkcode earlyStopping}. */
export interface EarlyStoppingOptions {
  /**
   * The number of an epoch that should improve: a loss falls, an accuracy rises. A function returns
   * a number that should fall, such as `({ metrics }) => metrics!.error!`.
   *
   * @default "validationLoss"
   */
  readonly monitor?: Monitored | ((progress: EpochProgress) => number);
  /**
   * The number of epochs in a row without an improvement after which the training stops. With
   * Infinity it does not stop, but ends with the best weights.
   *
   * @default 3
   */
  readonly patience?: number;
  /**
   * The least change that counts as an improvement: it must be larger than this.
   *
   * @default 0
   */
  readonly minDelta?: number;
}

/** How each number is read, as one that should fall. */
const MONITORED: Readonly<Record<Monitored, (progress: EpochProgress) => number>> = {
  validationLoss: ({ validation }) => validation!.loss,
  validationAccuracy: ({ validation }) => -validation!.accuracy,
  trainLoss: ({ trainLoss }) => trainLoss,
  trainAccuracy: ({ trainAccuracy }) => -trainAccuracy,
};

/**
 * Stops a training when an epoch has not improved for some time, and gives the model the weights of
 * the best epoch. These it gets however the training ends: at the last epoch, by Stop, or by an
 * error.
 *
 * As in Keras's `EarlyStopping` with `restore_best_weights=True`; the default patience is that of
 * Lightning. In a checkpoint the best weights are called `stages.earlyStopping.PATH`, so that
 * `loadStateDict(model, await readSafetensors(file), { prefix: "stages.earlyStopping." })` takes
 * them out. A call with more `patience` continues a training that stopped.
 *
 * @throws {TypeError} If the training is not a training, or has begun, `monitor` is a number of
 * `validation` and there is none, or an option does not exist or is of the wrong kind.
 * @throws {RangeError} If `patience` is not a whole number of at least 1, `minDelta` is negative,
 * or a monitored number is NaN.
 *
 * @example
 * ```ts
 * import { evaluate, fashionMnist, fit, flatten, linear } from "resnet-lab";
 * import { sequential, sgd, stages } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.5 });
 * const options = { optimizer, epochs: 20, batchSize: 100, validation: test };
 * const training = stages.earlyStopping(fit(model, train.take(500), options), { patience: 2 });
 * const losses = (await training).epochs.map(({ validation }) => validation!.loss);
 * const { loss } = await evaluate(model, test);
 * assert(Math.abs(loss - Math.min(...losses)) < 1e-4); // the best epoch, not the last one
 * ```
 */
export function earlyStopping(training: Training, options: EarlyStoppingOptions = {}): Training {
  const action = "Stopping early";
  const { model, options: { validation } } = sourceOf(action, training);
  checkOptions<EarlyStoppingOptions>(action, options, "{ patience: 3 }", {
    monitor: true,
    patience: true,
    minDelta: true,
  });
  const { monitor = "validationLoss", patience = 3, minDelta = 0 } = options;
  if (typeof monitor !== "function") {
    checkOneOf(action, "monitor", monitor, Object.keys(MONITORED));
    if (monitor.startsWith("validation") && !validation) {
      throw new TypeError(
        `${action}: monitor must be "trainLoss" or "trainAccuracy" if there is no validation, found ${
          show(monitor)
        }. Give fit the option validation.`,
      );
    }
  }
  if (patience !== Infinity) checkInteger(action, "patience", patience);
  const fits = minDelta >= 0 && minDelta < Infinity;
  checkNumber(action, "minDelta", minDelta, fits, "a finite number of at least 0");
  const read = typeof monitor === "function" ? monitor : MONITORED[monitor];
  /** The best number and its weights, the epochs since then, and the last epoch. */
  let best = Infinity, weights: StateDict = new Map(), waited = 0, last = 0;
  return around(action, training, async function* (training) {
    try {
      for await (const progress of training) {
        if (progress.kind === "epoch" && !progress.restored) {
          const value: unknown = read(progress);
          const subject = `monitor in epoch ${progress.epoch}`;
          checkNumber(action, subject, value, !Number.isNaN(value), "a number");
          last = progress.epoch;
          waited++;
          if (value < best - minDelta) {
            best = value;
            waited = 0;
            weights = stateDict(model);
          }
        }
        yield progress;
        // The state of a training that continues is that after its last restored progress.
        if (progress.kind === "epoch" && progress.epoch === last && waited >= patience) break;
      }
    } finally {
      if (weights.size > 0) restoreStateDict(action, model, weights);
    }
  }, {
    name: "earlyStopping",
    settings: { monitor: String(monitor), minDelta },
    store: () => ({ numbers: { best, waited, last }, weights }),
    load({ numbers, weights: stored }) {
      ({ best, waited, last } = numbers as { best: number; waited: number; last: number });
      weights = stored;
    },
  });
}
