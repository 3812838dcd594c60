import { checkInteger, checkNumber, checkOptions } from "../../tensor/internal.ts";
import { around, endsEpoch, sourceOf } from "../stage.ts";
import type { Training } from "../training.ts";
import { WeightCopy } from "./weight_copy.ts";

/** The options of {@linkcode lookahead}. */
export interface LookaheadOptions {
  /**
   * The number of steps k between two moves of the slow weights.
   *
   * @default 6
   */
  readonly syncPeriod?: number;
  /**
   * The fraction α of the way to the fast weights that the slow weights move.
   *
   * @default 0.5
   */
  readonly slowStepSize?: number;
}

/**
 * Moves slow weights towards those of the optimizer every few steps, and continues from there:
 * Lookahead (Zhang et al. 2019, arXiv:1907.08610, algorithm 1). The optimizer moves fast weights,
 * and every k steps `slow ← slow + α · (fast − slow)` and `fast ← slow`. The optimizer keeps its
 * state. The slow weights begin as the weights before the first step.
 *
 * They also move after the last step of an epoch, as in timm, so that the model then has the slow
 * weights, and `validation` measures these. The defaults are those of timm and TensorFlow Addons,
 * the names of the options those of TensorFlow Addons. In a checkpoint the slow weights are called
 * `stages.lookahead.PATH`.
 *
 * @throws {TypeError} If the training is not a training, or has begun, or an option does not exist
 * or is of the wrong kind.
 * @throws {RangeError} If `syncPeriod` is not a whole number of at least 1, `slowStepSize` is not
 * above 0 and at most 1, or the training has a stage that must be around this one.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, sequential, sgd, stages } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.2 });
 * const options = { optimizer, epochs: 2, batchSize: 100, validation: test };
 * const { epochs } = await stages.lookahead(fit(model, train, options), { syncPeriod: 5 });
 * assert(epochs[1]!.validation!.accuracy > 0.6);
 * ```
 */
export function lookahead(training: Training, options: LookaheadOptions = {}): Training {
  const action = "Looking ahead";
  const { model, options: { optimizer } } = sourceOf(action, training);
  checkOptions<LookaheadOptions>(action, options, "{ syncPeriod: 6 }", {
    syncPeriod: true,
    slowStepSize: true,
  });
  const { syncPeriod = 6, slowStepSize = 0.5 } = options;
  checkInteger(action, "syncPeriod", syncPeriod);
  const fits = slowStepSize > 0 && slowStepSize <= 1;
  checkNumber(action, "slowStepSize", slowStepSize, fits, "a number above 0 and at most 1");
  const slow = new WeightCopy(model, optimizer.parameters);
  return around(action, training, async function* (training) {
    try {
      slow.approach(1);
      for await (const progress of training) {
        if (
          !progress.restored && progress.kind === "step" &&
          (progress.step % syncPeriod === 0 || endsEpoch(progress))
        ) {
          slow.approach(slowStepSize);
          slow.assignToModel();
        }
        yield progress;
      }
    } finally {
      slow.dispose();
    }
  }, {
    name: "lookahead",
    settings: { syncPeriod, slowStepSize },
    store: () => ({ numbers: {}, weights: slow.store(action) }),
    load: ({ weights }) => slow.load(action, weights),
  });
}
