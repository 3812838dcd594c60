/** Variables: tensors whose value can be replaced. */
import * as tf from "@tensorflow/tfjs-core";
import { checkBoolean, checkOptions, checkSameDtype, checkTensor } from "./checks.ts";
import { updateRegistration } from "./reclaim.ts";
import type { Rank, Tensor, Variable } from "./types.ts";

const assign = tf.Variable.prototype.assign;
tf.Variable.prototype.assign = function (value) {
  const action = "Assigning to a variable";
  checkTensor(action, this, { name: "the variable" });
  checkTensor(action, value, { name: "the value" });
  if (String(value.shape) !== String(this.shape)) {
    throw new RangeError(
      `${action}: the value must have the shape [${this.shape}], found [${value.shape}].`,
    );
  }
  checkSameDtype(action, this, value);
  // TensorFlow.js frees the old value first, which would also be the new one.
  if (value === this) return;
  assign.call(this, value);
  updateRegistration(this);
};

/**
 * Returns a tensor whose value can be replaced with `.assign(…)`: a parameter if `trainable`, else
 * a running statistic.
 *
 * The initial tensor is disposed.
 *
 * @param options `trainable` is true for a parameter.
 * @default { trainable: true }
 *
 * @throws {TypeError} If the initial value is not a tensor, or was disposed.
 *
 * @example
 * ```ts
 * import { ops, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.zeros([2]));
 * const next = ops.tensor([1, 2]);
 * w.assign(next);
 * assert.deepEqual([...w.dataSync()], [1, 2]);
 * ```
 */
export function variable<R extends Rank>(
  initial: Tensor<R>,
  options: { trainable?: boolean } = {},
): Variable<R> {
  const action = "Making a variable";
  checkTensor(action, initial, { name: "the initial value" });
  checkOptions<typeof options>(action, options, "{ trainable: false }", { trainable: true });
  const { trainable = true } = options;
  checkBoolean(action, "trainable", trainable);
  const result = tf.variable(initial, trainable);
  initial.dispose();
  return result;
}

/**
 * Returns whether a value is a {@linkcode variable}.
 */
export function isVariable(value: unknown): value is Variable {
  return value instanceof tf.Variable;
}
