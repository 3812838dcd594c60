import { checkBoolean, checkNumber, checkOptions } from "../../tensor/internal.ts";
import { around, sourceOf } from "../stage.ts";
import type { Training } from "../training.ts";
import { WeightCopy } from "./weight_copy.ts";

/** The options of {@linkcode ema}. */
export interface EmaOptions {
  /**
   * The decay β: after each step `average ← β · average + (1 − β) · weight`. The average reaches
   * back over about 1 / (1 − β) steps.
   *
   * @default 0.999
   */
  readonly decay?: number;
  /**
   * Whether the decay begins small, so that a short training forgets its first weights: the n-th
   * average after the first has the decay `min(β, 1 − (1 + n)^(−2/3))`.
   *
   * @default false
   */
  readonly warmup?: boolean;
}

/**
 * Averages the weights of a training exponentially (EMA): the parameters, and as in timm the
 * running statistics. The averages often classify better than the last weights, which still jump
 * about (Polyak and Juditsky 1992).
 *
 * At the end of the training the model has the averages, however it ends. It also has them while
 * `validation` is evaluated, and when the progress of an epoch arrives; so the validation numbers
 * and {@linkcode earlyStopping} are about the averages. Otherwise the training goes on as without
 * this stage.
 *
 * The first average is the weights after the first step, as in PyTorch's `AveragedModel` with
 * `get_ema_multi_avg_fn`, timm's `ModelEmaV3` and Keras's `use_ema`. The option `warmup` is
 * `use_warmup` of timm. In a checkpoint the averages are called `stages.ema.PATH`.
 *
 * @throws {TypeError} If the training is not a training, or has begun, or an option does not exist
 * or is of the wrong kind.
 * @throws {RangeError} If `decay` is not from 0 to below 1, or the training has a stage that must
 * be around this one.
 *
 * @example
 * ```ts
 * import { evaluate, fashionMnist, fit, flatten, linear } from "resnet-lab";
 * import { sequential, sgd, stages } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * const options = { optimizer, epochs: 1, batchSize: 100, validation: test };
 * const { epochs } = await stages.ema(fit(model, train, options), { decay: 0.9 });
 * const { loss } = await evaluate(model, test);
 * assert(Math.abs(loss - epochs[0]!.validation!.loss) < 1e-4); // both of the averages
 * ```
 */
export function ema(training: Training, options: EmaOptions = {}): Training {
  const action = "Averaging weights";
  const { model } = sourceOf(action, training);
  checkOptions<EmaOptions>(action, options, "{ decay: 0.999 }", { decay: true, warmup: true });
  const { decay = 0.999, warmup = false } = options;
  checkNumber(action, "decay", decay, decay >= 0 && decay < 1, "a number from 0 to below 1");
  checkBoolean(action, "warmup", warmup);
  const averages = new WeightCopy(model, [...model.namedVariables().values()]);
  let updates = 0;
  const decayNow = () => warmup ? Math.min(decay, 1 - (1 + updates) ** (-2 / 3)) : decay;
  return around(action, training, async function* (training) {
    try {
      for await (const progress of training) {
        if (progress.kind === "step" && !progress.restored) {
          averages.approach(1 - decayNow());
          updates++;
        }
        if (progress.kind === "step" || progress.restored) {
          yield progress;
          continue;
        }
        averages.exchange();
        try {
          yield progress;
        } finally {
          averages.exchange();
        }
      }
    } finally {
      averages.assignToModel();
      averages.dispose();
    }
  }, {
    name: "ema",
    settings: { decay, warmup },
    store: () => ({ numbers: { updates }, weights: averages.store(action) }),
    load({ numbers, weights }) {
      updates = numbers.updates!;
      averages.load(action, weights);
    },
    async evaluate(work) {
      averages.exchange();
      try {
        return await work();
      } finally {
        averages.exchange();
      }
    },
  });
}
