/** Arithmetic, comparisons and functions of each element; `activation.ts` has the activations. */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { checkSameDtype, checkTensor, NUMERIC } from "../checks.ts";
import { addSameShape } from "../kernels/add.ts";
import { addBias } from "../kernels/bias.ts";
import { isAllFinite } from "../kernels/finite.ts";
import "../kernels/gradient_overrides.ts";
import "../kernels/native_overrides.ts";
import {
  binary,
  type BinaryOp,
  checkBroadcast,
  type Operand,
  unary,
  type UnaryOp,
} from "./define.ts";
import type { Broadcast, BroadcastableTo, SameShape, Tensor, Tensor1D } from "../types.ts";

export type { BinaryOp, Operand, UnaryOp };

function isFloat(x: Operand): x is Tensor {
  return typeof x !== "number" && x.dtype === "float32";
}

/** Adds by a kernel of ours where it can, because that kernel saves nothing for the gradient. */
function sumOf(a: Operand, b: Operand): Tensor {
  if (isFloat(a) && isFloat(b)) {
    if (String(a.shape) === String(b.shape)) return addSameShape({ a, b });
    if (b.rank === 1 && a.rank > 1 && a.size > 0 && a.shape[a.rank - 1] === b.size) {
      return addBias({ x: a, bias: b as Tensor1D });
    }
  }
  return tf.add(a, b);
}

function toFloat(x: Operand): Operand {
  return typeof x === "number" || x.dtype === "float32" ? x : tf.cast(x, "float32");
}

/**
 * Computes `a + b`, broadcast: axes of length 1 and missing leading axes are repeated. A number
 * counts as a float32 tensor without axes. The result is int32 only if both operands are.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const rows = ops.tensor([[1], [2]]);
 * assert.deepEqual(ops.add(rows, ops.tensor([10, 20])).arraySync(), [[11, 21], [12, 22]]);
 * ```
 */
export const add: BinaryOp = binary("Adding", sumOf);

/**
 * Computes `a − b`, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.sub(ops.tensor([3, 5]), 1).arraySync(), [2, 4]);
 * ```
 */
export const sub: BinaryOp = binary("Subtracting", tf.sub);

/**
 * Computes `a · b` element by element, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.mul(ops.tensor([3, 5]), ops.tensor([2, 4])).arraySync(), [6, 20]);
 * ```
 */
export const mul: BinaryOp = binary("Multiplying", tf.mul);

/**
 * Computes `a / b` element by element, broadcast as in {@linkcode add}; as float32, even for int32.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const seven = ops.scalar(7, "int32"), two = ops.scalar(2, "int32");
 * assert.equal(ops.div(seven, two).arraySync(), 3.5);
 * ```
 */
export const div: BinaryOp = binary("Dividing", (a, b) => tf.tidy(() => tf.div(toFloat(a), b)));

/**
 * Computes `aᵇ` element by element, broadcast as in {@linkcode add}; as float32, even for int32.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.pow(ops.tensor([1, 2, 3]), 2).arraySync(), [1, 4, 9]);
 * ```
 */
export const pow: BinaryOp = binary(
  "Raising to a power",
  (a, b) => tf.tidy(() => tf.pow<Tensor>(toFloat(a), toFloat(b))),
);

/**
 * Returns the larger of `a` and `b` element by element, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.maximum(ops.tensor([-1, 2]), 0).arraySync(), [0, 2]);
 * ```
 */
export const maximum: BinaryOp = binary("Taking the maximum", tf.maximum);

/**
 * Returns the smaller of `a` and `b` element by element, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.minimum(ops.tensor([-1, 2]), 0).arraySync(), [-1, 0]);
 * ```
 */
export const minimum: BinaryOp = binary("Taking the minimum", tf.minimum);

/**
 * Returns whether `a = b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.equal(ops.tensor([1, 2]), 2).arraySync(), [0, 1]);
 * ```
 */
export const equal: BinaryOp = binary("Comparing", tf.equal, [...NUMERIC, "bool"]);

/**
 * Returns whether `a > b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.greater(ops.tensor([1, 2, 3]), 2).arraySync(), [0, 0, 1]);
 * ```
 */
export const greater: BinaryOp = binary("Comparing", tf.greater);

/**
 * Returns whether `a ≥ b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.greaterEqual(ops.tensor([1, 2, 3]), 2).arraySync(), [0, 1, 1]);
 * ```
 */
export const greaterEqual: BinaryOp = binary("Comparing", tf.greaterEqual);

/**
 * Returns whether `a < b` element by element, as bool, broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.less(ops.tensor([1, 2, 3]), 2).arraySync(), [1, 0, 0]);
 * ```
 */
export const less: BinaryOp = binary("Comparing", tf.less);

/**
 * Returns `a` where the condition is true, else `b`; all three broadcast as in {@linkcode add}.
 *
 * @throws {RangeError} If the shapes do not broadcast.
 * @throws {TypeError} If the condition is not bool, or `a` and `b` differ in dtype.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([-2, 3]);
 * assert.deepEqual(ops.where(ops.less(x, 0), ops.neg(x), x).arraySync(), [2, 3]);
 * ```
 */
export function where<C extends Tensor, A extends Tensor, B extends Tensor>(
  condition: C,
  a: A,
  b: B & BroadcastableTo<A, B>,
): Broadcast<C, Broadcast<A, B>> {
  const action = "Choosing";
  checkTensor(action, condition, { name: "the condition", dtype: "bool" });
  checkTensor(action, a);
  checkTensor(action, b);
  checkSameDtype(action, a, b);
  checkBroadcast(action, a, b);
  checkBroadcast(action, condition, a);
  checkBroadcast(action, condition, b);
  return tf.where<Tensor>(condition, a, b) as Broadcast<C, Broadcast<A, B>>;
}

/**
 * Computes `−x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.neg(ops.tensor([1, -2])).arraySync(), [-1, 2]);
 * ```
 */
export const neg: UnaryOp = unary("Negating", tf.neg, NUMERIC);

/**
 * Computes `|x|`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.abs(ops.tensor([1, -2])).arraySync(), [1, 2]);
 * ```
 */
export const abs: UnaryOp = unary("Taking absolute values", tf.abs, NUMERIC);

/**
 * Computes `eˣ`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.exp(ops.scalar(0)).arraySync(), 1);
 * ```
 */
export const exp: UnaryOp = unary("Exponentiating", tf.exp);

/**
 * Computes the natural logarithm: −∞ at 0, NaN below.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.log(ops.scalar(1)).arraySync(), 0);
 * ```
 */
export const log: UnaryOp = unary("Taking logarithms", tf.log);

/**
 * Computes `√x`; NaN below 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.sqrt(ops.scalar(9)).arraySync(), 3);
 * ```
 */
export const sqrt: UnaryOp = unary("Taking square roots", tf.sqrt);

/**
 * Computes `1/√x`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.rsqrt(ops.scalar(4)).arraySync(), 0.5);
 * ```
 */
export const rsqrt: UnaryOp = unary("Taking inverse square roots", tf.rsqrt);

/**
 * Computes `x²`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.square(ops.tensor([1, -2])).arraySync(), [1, 4]);
 * ```
 */
export const square: UnaryOp = unary("Squaring", tf.square, NUMERIC);

/**
 * Returns −1, 0 or 1 where `x` is negative, zero or positive; NaN stays NaN.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.sign(ops.tensor([-3, 0, 5])).arraySync(), [-1, 0, 1]);
 * ```
 */
export const sign: UnaryOp = unary("Taking signs", (x) =>
  tf.tidy(() => {
    const y = tf.sign(x);
    // WebAssembly and plain JavaScript return 0 for NaN.
    if (nativeBackend() || x.dtype !== "float32" || isAllFinite(x)) return y;
    return tf.where(tf.isNaN(x), x, y);
  }), NUMERIC);

/**
 * Computes the error function `2/√π · ∫₀ˣ exp(−t²) dt`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.erf(ops.scalar(0)).arraySync(), 0);
 * ```
 */
export const erf: UnaryOp = unary("Taking the error function", tf.erf);

/**
 * Rounds down to whole numbers; no gradient flows.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.floor(ops.tensor([1.7, -1.7])).arraySync(), [1, -2]);
 * ```
 */
export const floor: UnaryOp = unary("Rounding down", tf.floor);

/**
 * Returns whether each element is finite, as bool.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.isFinite(ops.tensor([1, NaN, Infinity])).arraySync(), [1, 0, 0]);
 * ```
 */
export const isFinite: UnaryOp = unary("Looking for finite numbers", tf.isFinite);

/**
 * Returns whether each element is NaN, as bool.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.isNaN(ops.tensor([1, NaN, Infinity])).arraySync(), [0, 1, 0]);
 * ```
 */
export const isNaN: UnaryOp = unary("Looking for NaN", tf.isNaN);

/**
 * Limits `x` to the interval from `low` to `high`; the gradient outside it is 0.
 *
 * @throws {RangeError} If `low` is above `high`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.clip(ops.tensor([-5, 0.5, 5]), 0, 1).arraySync(), [0, 0.5, 1]);
 * ```
 */
export function clip<T extends Tensor>(x: T, low: number, high: number): SameShape<T> {
  checkTensor("Clipping", x, { dtype: NUMERIC });
  if (!(low <= high)) {
    throw new RangeError(
      `Clipping: low must be at most high, found ${low} and ${high}.`,
    );
  }
  return tf.clipByValue<Tensor>(x, low, high) as SameShape<T>;
}
