/** Operations on each element. */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { checkAxis, checkFinite, checkSameDtype, checkTensor, NUMERIC } from "../checks.ts";
import { addSameShape } from "../kernels/add.ts";
import { addBias } from "../kernels/bias.ts";
import { isAllFinite } from "../kernels/finite.ts";
import "../kernels/gradient_overrides.ts";
import "../kernels/native_overrides.ts";
import "../kernels/relu.ts";
import type {
  Broadcast,
  BroadcastableTo,
  DataType,
  SameShape,
  Tensor,
  Tensor1D,
} from "../types.ts";

type Operand = Tensor | number;

function checkBroadcast(what: string, a: Operand, b: Operand): void {
  if (typeof a === "number" || typeof b === "number") return;
  const shorter = Math.min(a.rank, b.rank);
  for (let axis = 1; axis <= shorter; axis++) {
    const left = a.shape[a.rank - axis];
    const right = b.shape[b.rank - axis];
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(
        `${what}: the shapes [${a.shape}] and [${b.shape}] do not broadcast. Counted from the last, each pair of axes must be ` +
          "equal or one of them 1.",
      );
    }
  }
}

function checkOperand(what: string, x: Operand, dtype: readonly DataType[]): void {
  if (typeof x !== "number") checkTensor(what, x, { name: "an operand", dtype });
}

function binary(
  what: string,
  f: (a: Operand, b: Operand) => Tensor,
  dtypes: readonly DataType[] = NUMERIC,
) {
  return <A extends Operand, B extends Operand>(
    a: A,
    b: B & BroadcastableTo<A, B>,
  ): Broadcast<A, B> => {
    checkOperand(what, a, dtypes);
    checkOperand(what, b, dtypes);
    checkBroadcast(what, a, b);
    return f(a, b) as Broadcast<A, B>;
  };
}

function toFloat(x: Operand): Operand {
  return typeof x === "number" || x.dtype === "float32" ? x : tf.cast(x, "float32");
}

function isFloat(x: Operand): x is Tensor {
  return typeof x !== "number" && x.dtype === "float32";
}

/** Adds by a kernel of ours where it can, because it saves nothing for the gradient. */
function sumOf(a: Operand, b: Operand): Tensor {
  if (isFloat(a) && isFloat(b)) {
    if (String(a.shape) === String(b.shape)) return addSameShape({ a, b });
    if (b.rank === 1 && a.rank > 1 && a.size > 0 && a.shape[a.rank - 1] === b.size) {
      return addBias({ x: a, bias: b as Tensor1D });
    }
  }
  return tf.add(a, b);
}

/**
 * `a + b`, broadcast: axes of length 1 and missing leading axes are repeated. A number counts as a
 * float32 tensor without axes, and the result is int32 only where both operands are.
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
export const add = binary("Adding", sumOf);

/**
 * `a − b`, broadcast as in {@linkcode add}.
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
export const sub = binary("Subtracting", tf.sub);

/**
 * `a · b` element by element, broadcast as in {@linkcode add}.
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
export const mul = binary("Multiplying", tf.mul);

/**
 * `a / b` element by element, broadcast as in {@linkcode add}; float32, also of whole numbers.
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
export const div = binary("Dividing", (a, b) => tf.tidy(() => tf.div(toFloat(a), b)));

/**
 * `aᵇ` element by element, broadcast as in {@linkcode add}; float32, also of whole numbers.
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
export const pow = binary(
  "Raising to a power",
  (a, b) => tf.tidy(() => tf.pow<Tensor>(toFloat(a), toFloat(b))),
);

/**
 * The larger of `a` and `b` element by element, broadcast as in {@linkcode add}.
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
export const maximum = binary("Taking the maximum", tf.maximum);

/**
 * The smaller of `a` and `b` element by element, broadcast as in {@linkcode add}.
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
export const minimum = binary("Taking the minimum", tf.minimum);

/**
 * Whether `a = b` element by element, as bool, broadcast as in {@linkcode add}.
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
export const equal = binary("Comparing", tf.equal, [...NUMERIC, "bool"]);

/**
 * Whether `a > b` element by element, as bool, broadcast as in {@linkcode add}.
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
export const greater = binary("Comparing", tf.greater);

/**
 * Whether `a ≥ b` element by element, as bool, broadcast as in {@linkcode add}.
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
export const greaterEqual = binary("Comparing", tf.greaterEqual);

/**
 * Whether `a < b` element by element, as bool, broadcast as in {@linkcode add}.
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
export const less = binary("Comparing", tf.less);

/**
 * `a` where the bool condition holds, else `b`; all three broadcast as in {@linkcode add}.
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
  const what = "Choosing";
  checkTensor(what, condition, { name: "the condition", dtype: "bool" });
  checkTensor(what, a);
  checkTensor(what, b);
  checkSameDtype(what, a, b);
  checkBroadcast(what, a, b);
  checkBroadcast(what, condition, a);
  checkBroadcast(what, condition, b);
  return tf.where<Tensor>(condition, a, b) as Broadcast<C, Broadcast<A, B>>;
}

function unary(
  what: string,
  f: (x: Tensor) => Tensor,
  dtype: DataType | readonly DataType[] = "float32",
): <T extends Tensor>(x: T) => SameShape<T> {
  return <T extends Tensor>(x: T) => {
    checkTensor(what, x, { dtype });
    return f(x) as SameShape<T>;
  };
}

/**
 * `−x`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.neg(ops.tensor([1, -2])).arraySync(), [-1, 2]);
 * ```
 */
export const neg = unary("Negating", tf.neg, NUMERIC);

/**
 * `|x|`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.abs(ops.tensor([1, -2])).arraySync(), [1, 2]);
 * ```
 */
export const abs = unary("Taking absolute values", tf.abs, NUMERIC);

/**
 * `eˣ`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.exp(ops.scalar(0)).arraySync(), 1);
 * ```
 */
export const exp = unary("Exponentiating", tf.exp);

/**
 * The natural logarithm: −∞ at 0, NaN below.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.log(ops.scalar(1)).arraySync(), 0);
 * ```
 */
export const log = unary("Taking logarithms", tf.log);

/**
 * `√x`; NaN below 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.sqrt(ops.scalar(9)).arraySync(), 3);
 * ```
 */
export const sqrt = unary("Taking square roots", tf.sqrt);

/**
 * `1/√x`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.rsqrt(ops.scalar(4)).arraySync(), 0.5);
 * ```
 */
export const rsqrt = unary("Taking inverse square roots", tf.rsqrt);

/**
 * `x²`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.square(ops.tensor([1, -2])).arraySync(), [1, 4]);
 * ```
 */
export const square = unary("Squaring", tf.square, NUMERIC);

/**
 * −1, 0 or 1, as `x` is negative, zero or positive; NaN stays NaN.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.sign(ops.tensor([-3, 0, 5])).arraySync(), [-1, 0, 1]);
 * ```
 */
export const sign = unary("Taking signs", (x) =>
  tf.tidy(() => {
    const y = tf.sign(x);
    // TensorFlow.js's own backends give 0 for NaN.
    if (nativeBackend() || x.dtype !== "float32" || isAllFinite(x)) return y;
    return tf.where(tf.isNaN(x), x, y);
  }), NUMERIC);

/**
 * `tanh x = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.tanh(ops.scalar(0)).arraySync(), 0);
 * ```
 */
export const tanh = unary("Taking tanh", tf.tanh);

/**
 * `1 / (1 + e⁻ˣ)`
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.sigmoid(ops.scalar(0)).arraySync(), 0.5);
 * ```
 */
export const sigmoid = unary("Taking the sigmoid", tf.sigmoid);

/**
 * `max(x, 0)` (Nair and Hinton 2010); its gradient at 0 is 0.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.relu(ops.tensor([-1, 2])).arraySync(), [0, 2]);
 * ```
 */
export const relu = unary("Taking relu", tf.relu, NUMERIC);

/**
 * The error function `2/√π · ∫₀ˣ exp(−t²) dt`.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.erf(ops.scalar(0)).arraySync(), 0);
 * ```
 */
export const erf = unary("Taking the error function", tf.erf);

/**
 * The nearest whole number towards −∞; no gradient flows.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.floor(ops.tensor([1.7, -1.7])).arraySync(), [1, -2]);
 * ```
 */
export const floor = unary("Rounding down", tf.floor);

/**
 * Whether each element is finite, as bool.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.isFinite(ops.tensor([1, NaN, Infinity])).arraySync(), [1, 0, 0]);
 * ```
 */
export const isFinite = unary("Looking for finite numbers", tf.isFinite);

/**
 * Whether each element is not a number, as bool.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(ops.isNaN(ops.tensor([1, NaN, Infinity])).arraySync(), [0, 1, 0]);
 * ```
 */
export const isNaN = unary("Looking for NaN", tf.isNaN);

/**
 * `log(1 + eˣ)`, without overflow.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(ops.softplus(ops.scalar(0)).arraySync(), Math.fround(Math.log(2)));
 * ```
 */
export const softplus = unary("Taking softplus", tf.softplus);

/**
 * `x` where positive, `slope · x` elsewhere (Maas et al. 2013).
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
 * `x · Φ(x)` with Φ the normal distribution function (Hendrycks and Gimpel 2016).
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
 * `x` limited to the interval from `low` to `high`; the gradient outside it is 0.
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
      `Clipping: the lower limit must not be above the upper one, found ${low} and ${high}.`,
    );
  }
  return tf.clipByValue<Tensor>(x, low, high) as SameShape<T>;
}

/**
 * `softmax(x)ᵢ = exp xᵢ / Σⱼ exp xⱼ` along the last axis.
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
 * The logarithm of {@linkcode softmax}, `xᵢ − log Σⱼ exp xⱼ`, without overflow.
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
