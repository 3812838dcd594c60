/**
 * The error of a training run that cannot continue, because a loss, a gradient, or a running
 * statistic is not finite; the model is as it was before that step. {@linkcode evaluate} throws it
 * if the loss or a logit is not finite. Recognise it by its `name`.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 1e38 });
 * const training = fit(model, test, { optimizer, epochs: 1, batchSize: 100 });
 * await assert.rejects(training, { name: "DivergenceError" });
 * ```
 */
export class DivergenceError extends RangeError {
  /** The name of the class. */
  override readonly name = "DivergenceError";
}
