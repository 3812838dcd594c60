/** Variables: tensors whose value can be replaced. */
import * as tf from "@tensorflow/tfjs-core";
import { checkBoolean, checkOptions, checkSameDtype, checkTensor } from "./checks.ts";
import { updateRegistration } from "./reclaim.ts";
import type { Rank, Tensor, Variable } from "./types.ts";

const assign = tf.Variable.prototype.assign;
tf.Variable.prototype.assign = function (value) {
  const what = "Assigning to a variable";
  checkTensor(what, this, { name: "the variable" });
  checkTensor(what, value, { name: "the value" });
  if (String(value.shape) !== String(this.shape)) {
    throw new RangeError(
      `${what}: the value must have the shape [${this.shape}], found [${value.shape}].`,
    );
  }
  checkSameDtype(what, this, value);
  // TensorFlow.js frees the old value first, which would be the new one.
  if (value === this) return;
  assign.call(this, value);
  updateRegistration(this);
};

/**
 * A tensor whose value can be replaced with `.assign(…)`: a parameter if `trainable`, else a
 * running statistic.
 *
 * The tensor that is passed in is no longer needed afterwards; it is disposed.
 *
 * @throws {TypeError} If the initial value is no tensor, or was disposed.
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
  const what = "Making a variable";
  checkTensor(what, initial, { name: "the initial value" });
  checkOptions<typeof options>(what, options, "{ trainable: false }", { trainable: true });
  const { trainable = true } = options;
  checkBoolean(what, "trainable", trainable);
  const result = tf.variable(initial, trainable);
  initial.dispose();
  return result;
}

/**
 * Whether a value is a {@linkcode variable}.
 *
 * @example
 * ```ts
 * import { isVariable, ops, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert(isVariable(variable(ops.zeros([2]))));
 * assert(!isVariable(ops.zeros([2])));
 * ```
 */
export function isVariable(value: unknown): value is Variable {
  return value instanceof tf.Variable;
}
