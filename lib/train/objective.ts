import type { Features, Labels } from "../tensor/mod.ts";
import { checkSynchronous, isTensor, show } from "../tensor/internal.ts";
import { areLabels } from "../data/internal.ts";
import { checkLogits } from "./checks.ts";
import type { AnyFitOptions, ObjectiveResult } from "./fit_options.ts";
import { checkLabels } from "./losses.ts";
import type { StepInputs } from "./mixup.ts";

/**
 * Returns the objective as a function of the inputs of a step, which checks its result.
 *
 * @throws {TypeError} (when it runs) If the loss or a metric is not one number, or the result is a
 * promise.
 * @throws {RangeError} (when it runs) If the logits are not for the classes of the data set and for
 * each image.
 */
export function checkedObjective(
  action: string,
  model: never,
  classes: number | undefined,
  objective: NonNullable<AnyFitOptions["objective"]>,
): (...inputs: StepInputs) => ObjectiveResult<number> {
  return (...[inputs, targets]) => {
    const batch = { inputs, targets, images: inputs, labels: targets };
    const result: unknown = objective(model, batch);
    checkSynchronous(`${action}, objective`, result);
    const { loss, logits, metrics = {}, ...others } = Object(result) as Record<string, unknown>;
    if (isTensor(result) || !isScalar(loss)) {
      throw new TypeError(
        `${action}: objective must return { loss } with one number as the loss, found ${
          show(isTensor(result) || loss === undefined ? result : loss)
        }.`,
      );
    }
    const [other] = Object.keys(others);
    if (other !== undefined) {
      throw new TypeError(
        `${action}: objective must return { loss, logits, metrics }, found ${other}. Put further numbers in metrics.`,
      );
    }
    if (logits !== undefined) {
      if (!areLabels(targets)) {
        throw new TypeError(
          `${action}: objective may return logits only for targets that are class numbers, int32 [batch], found targets ${targets.dtype} [${targets.shape}].`,
        );
      }
      checkLogits(action, logits, classes, "objective");
      checkLabels(action, logits as Features, targets as Labels);
    }
    for (const [name, metric] of Object.entries(Object(metrics))) {
      if (isScalar(metric)) continue;
      throw new TypeError(
        `${action}: the metric ${name} of objective must be one number in a tensor, found ${
          show(metric)
        }.`,
      );
    }
    return result as ObjectiveResult<number>;
  };
}

function isScalar(value: unknown): boolean {
  return isTensor(value) && value.rank === 0;
}
