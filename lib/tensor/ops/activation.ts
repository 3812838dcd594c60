/** Activation functions, and softmax. */
import * as tf from "@tensorflow/tfjs-core";
import { checkAxis, checkFinite, checkTensor, NUMERIC } from "../checks.ts";
import { limitGradient } from "../kernels/limit_gradient.ts";
import "../kernels/relu.ts";
import { unary, type UnaryOp } from "./define.ts";
import type { SameShape, Tensor } from "../types.ts";

/**
 * Computes `max(x, 0)` (Nair and Hinton 2010); its gradient at 0 is 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.relu(ops.tensor([-1, 2])).arraySync(), [0, 2]);
 * ```
 */
export const relu: UnaryOp = unary("Taking relu", tf.relu, NUMERIC);

/**
 * Returns `x` where positive, `slope · x` elsewhere (Maas et al. 2013).
 *
 * @throws {RangeError} If the slope is not finite.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.leakyRelu(ops.tensor([-1, 2]), 0.5).arraySync(), [-0.5, 2]);
 * ```
 */
export function leakyRelu<T extends Tensor>(x: T, slope = 0.01): SameShape<T> {
  checkTensor("Taking leaky relu", x, { dtype: "float32" });
  checkFinite("Taking leaky relu", "the slope", slope);
  return tf.leakyRelu<Tensor>(x, slope) as SameShape<T>;
}

/**
 * Computes `x · Φ(x)`, where Φ is the normal distribution function (Hendrycks and Gimpel 2016).
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.gelu(ops.scalar(0)).arraySync(), 0);
 * assert.equal(ops.gelu(ops.scalar(10)).arraySync(), 10);
 * ```
 */
export function gelu<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Taking gelu", x, { dtype: "float32" });
  return tf.tidy(() =>
    tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1))
  ) as SameShape<
    T
  >;
}

/**
 * Computes `x · min(max(x + 3, 0), 6) / 6` (Howard et al. 2019). Its gradient is 0 at −3 and minus
 * infinity, and 1 at 3 and infinity, as in PyTorch.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.hardSwish(ops.tensor([-1.5, 1.5, 5])).arraySync(), [-0.375, 1.125, 5]);
 * ```
 */
export function hardSwish<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Taking hard swish", x, { dtype: "float32" });
  return tf.tidy(() => {
    // Not clipByValue: its gradient at the bounds is 1, and the slopes at −3 and 3 would be −0.5
    // and 1.5. That of relu at 0, and of the second operand of minimum where both are equal, is 0.
    const gate = tf.minimum(6, tf.relu(tf.add(x, 3)));
    // The gradient of the gate is dy · x, before relu and minimum multiply it by 0.
    return tf.mul(x, limitGradient({ x: tf.div(gate, 6) }));
  }) as SameShape<T>;
}

/**
 * Computes `1 / (1 + e⁻ˣ)`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.sigmoid(ops.scalar(0)).arraySync(), 0.5);
 * ```
 */
export const sigmoid: UnaryOp = unary("Taking the sigmoid", tf.sigmoid);

/**
 * Computes `tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.tanh(ops.scalar(0)).arraySync(), 0);
 * ```
 */
export const tanh: UnaryOp = unary("Taking tanh", tf.tanh);

/**
 * Computes `log(1 + eˣ)`, without overflow.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.softplus(ops.scalar(0)).arraySync(), Math.fround(Math.log(2)));
 * ```
 */
export const softplus: UnaryOp = unary("Taking softplus", tf.softplus);

/**
 * Computes `softmax(x)ᵢ = exp xᵢ / Σⱼ exp xⱼ` along the last axis.
 *
 * @throws {RangeError} If `x` has no axes.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.softmax(ops.tensor([[0, 0], [0, 1000]])).arraySync(), [[0.5, 0.5], [0, 1]]);
 * ```
 */
export function softmax<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Taking softmax", x, { dtype: "float32" });
  checkAxis("Taking softmax", x.shape, -1);
  return tf.softmax<Tensor>(x) as SameShape<T>;
}

/**
 * Computes the logarithm of {@linkcode softmax}, `xᵢ − log Σⱼ exp xⱼ`, without overflow.
 *
 * @throws {RangeError} If `x` has no axes.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.logSoftmax(ops.tensor([[0, 1000]])).arraySync(), [[-1000, 0]]);
 * ```
 */
export function logSoftmax<T extends Tensor>(x: T): SameShape<T> {
  checkTensor("Taking log-softmax", x, { dtype: "float32" });
  checkAxis("Taking log-softmax", x.shape, -1);
  return tf.logSoftmax<Tensor>(x) as SameShape<T>;
}
