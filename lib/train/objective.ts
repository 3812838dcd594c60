import type { Features } from "../tensor/mod.ts";
import { checkSynchronous, isTensor, show } from "../tensor/internal.ts";
import type { ImageDataset } from "../data/mod.ts";
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
  dataset: ImageDataset,
  objective: NonNullable<AnyFitOptions["objective"]>,
): (...inputs: StepInputs) => ObjectiveResult<number> {
  return (...[images, labels]) => {
    const result: unknown = objective(model, { images, labels });
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
      checkLogits(action, logits, dataset, "objective");
      checkLabels(action, logits as Features, labels);
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
