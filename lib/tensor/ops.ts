/**
 * Operations on tensors, with result types that follow from the arguments.
 *
 * TensorFlow.js lets the caller choose the type of many results (`const y: Tensor4D = tf.matMul(a, b)` compiles). Here a rank
 * that is not true does not compile.
 */
import * as tf from "@tensorflow/tfjs-core";
import "./backend.ts";
import type {
  Broadcast,
  DataType,
  Features,
  Fitting,
  Images,
  LastAxis,
  LastAxisOf,
  Rank,
  RankFor,
  RankMinus,
  RankOf,
  Same,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  Tensor5D,
  Variable,
} from "./types.ts";

export { avgPool, conv2d, localResponseNorm, maxPool } from "./convolution.ts";
export { batchNormInference, batchNormTraining } from "./batch_norm.ts";
export { softmaxCrossEntropy } from "./cross_entropy.ts";

type Numbers = readonly number[];
type TypedNumbers = Float32Array | Int32Array | Uint8Array;

// Creation

/**
 * A tensor of given values: a number, nested arrays, or a flat array with a shape.
 *
 * The dtype is float32 unless said otherwise, for numbers and for typed arrays alike.
 *
 * @throws {RangeError} If the values are ragged, or their number is not the product of the shape.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2, 3], [4, 5, 6]]);
 * assert.deepEqual(x.shape, [2, 3]);
 * assert.deepEqual(ops.tensor([1, 2, 3, 4], [2, 2]).arraySync(), [[1, 2], [3, 4]]);
 * ```
 */
export function tensor(values: number, shape?: undefined, dtype?: DataType): Scalar;
export function tensor(values: Numbers, shape?: undefined, dtype?: DataType): Tensor1D;
export function tensor(values: readonly Numbers[], shape?: undefined, dtype?: DataType): Tensor2D;
export function tensor(
  values: readonly (readonly Numbers[])[],
  shape?: undefined,
  dtype?: DataType,
): Tensor3D;
export function tensor(
  values: readonly (readonly (readonly Numbers[])[])[],
  shape?: undefined,
  dtype?: DataType,
): Tensor4D;
export function tensor<const S extends Numbers>(
  values: Numbers | TypedNumbers,
  shape: S,
  dtype?: DataType,
): Tensor<RankFor<S["length"]>>;
export function tensor(values: TypedNumbers, shape?: undefined, dtype?: DataType): Tensor1D;
export function tensor(
  values: unknown,
  shape?: Numbers,
  dtype: DataType = "float32",
): Tensor {
  const length = values instanceof Float32Array || values instanceof Int32Array ||
      values instanceof Uint8Array || (Array.isArray(values) && typeof values[0] === "number")
    ? values.length
    : undefined;
  if (shape && length !== undefined && length !== sizeOf(shape)) {
    throw new RangeError(
      `Creating a tensor: shape [${shape}] takes ${
        sizeOf(shape)
      } values, but ${length} were given.`,
    );
  }
  // TensorFlow.js would keep a reference to a typed array, and read its later changes.
  if (dtype === "float32" && (values instanceof Uint8Array || values instanceof Int32Array)) {
    return tf.tensor(new Float32Array(values), shape && [...shape], dtype);
  }
  if (dtype === "int32" && (values instanceof Uint8Array || values instanceof Float32Array)) {
    return tf.tensor(new Int32Array(values), shape && [...shape], dtype);
  }
  try {
    return tf.tensor(
      (ArrayBuffer.isView(values) ? (values as TypedNumbers).slice() : values) as tf.TensorLike,
      shape && [...shape],
      dtype,
    );
  } catch (error) {
    throw new RangeError(
      `Creating a tensor: the values must be numbers in nested arrays of equal lengths. ${
        error instanceof Error ? error.message : error
      }`,
    );
  }
}

/** The number of elements of a tensor of this shape: the product of its axes. */
function sizeOf(shape: Numbers): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

/** A tensor without axes that holds one number. */
export function scalar(value: number, dtype: DataType = "float32"): Scalar {
  return tf.scalar(value, dtype);
}

/** A tensor of zeros of the given shape. */
export function zeros<const S extends Numbers>(
  shape: S,
  dtype: DataType = "float32",
): Tensor<RankFor<S["length"]>> {
  return tf.zeros<RankFor<S["length"]>>([...shape] as never, dtype);
}

/** A tensor of ones of the given shape. */
export function ones<const S extends Numbers>(
  shape: S,
  dtype: DataType = "float32",
): Tensor<RankFor<S["length"]>> {
  return tf.ones<RankFor<S["length"]>>([...shape] as never, dtype);
}

/** A tensor of the given shape in which every element is `value`. */
export function full<const S extends Numbers>(
  shape: S,
  value: number,
  dtype: DataType = "float32",
): Tensor<RankFor<S["length"]>> {
  return tf.fill<RankFor<S["length"]>>([...shape] as never, value, dtype);
}

/** Zeros with the shape and dtype of `x`. */
export function zerosLike<T extends Tensor>(x: T): Same<T> {
  return tf.zerosLike(x) as Tensor as Same<T>;
}

/** Ones with the shape and dtype of `x`. */
export function onesLike<T extends Tensor>(x: T): Same<T> {
  return tf.onesLike(x) as Tensor as Same<T>;
}

/** The identity matrix `[size, size]`. */
export function eye(size: number): Tensor2D {
  return tf.eye(size);
}

/** `count` numbers from `start` to `stop`, both included, with equal steps. */
export function linspace(start: number, stop: number, count: number): Tensor1D {
  return tf.linspace(start, stop, count);
}

/** The numbers from `start` up to but without `stop`. */
export function range(
  start: number,
  stop: number,
  step = 1,
  dtype: "float32" | "int32" = "float32",
): Tensor1D {
  return tf.range(start, stop, step, dtype);
}

/** `[n]` class numbers as rows `[n, classes]` with a 1 at the class and 0 elsewhere. */
export function oneHot(labels: Tensor1D, classes: number): Tensor2D {
  return tf.oneHot(labels, classes, 1, 0, "float32") as Tensor2D;
}

/** The same values as another dtype. */
export function cast<T extends Tensor>(x: T, dtype: DataType): Same<T> {
  return tf.cast(x, dtype) as Tensor as Same<T>;
}

/** A second tensor with the values of `x`. */
export function clone<T extends Tensor>(x: T): Same<T> {
  return tf.clone(x as Tensor) as Same<T>;
}

// Shape

/**
 * The same elements, in row-major order, under another shape; one axis may be −1 and follows from the rest.
 *
 * @throws {RangeError} If the number of elements differs.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.range(0, 6);
 * assert.deepEqual(ops.reshape(x, [2, -1]).arraySync(), [[0, 1, 2], [3, 4, 5]]);
 * ```
 */
export function reshape<const S extends Numbers>(
  x: Tensor,
  shape: S,
): Tensor<RankFor<S["length"]>> {
  const known = sizeOf(shape.filter((axis) => axis !== -1));
  const free = shape.length - shape.filter((axis) => axis !== -1).length;
  if (free > 1 || (free === 0 ? known !== x.size : x.size % known !== 0)) {
    throw new RangeError(
      `Reshaping: [${x.shape}] has ${x.size} elements, which do not fill shape [${shape}].`,
    );
  }
  return tf.reshape(x, [...shape] as never);
}

/** The axes of `x` in another order; reversed where `permutation` is not given. */
export function transpose<R extends Rank>(x: Tensor<R>, permutation?: Numbers): Tensor<R> {
  return tf.transpose(x, permutation && [...permutation]);
}

/** The block of `x` that starts at `begin` and has `size` elements along each axis; −1 means all that remain. */
export function slice<R extends Rank>(x: Tensor<R>, begin: Numbers, size: Numbers): Tensor<R> {
  return tf.slice(x, [...begin], [...size]) as Tensor<R>;
}

/** Tensors joined along an existing axis; the other axes must agree. */
export function concat<R extends Rank>(tensors: readonly Tensor<R>[], axis = 0): Tensor<R> {
  return tf.concat([...tensors], axis) as Tensor<R>;
}

/** Tensors of one shape joined along a new axis. */
export function stack<R extends Rank>(
  tensors: readonly Tensor<R>[],
  axis = 0,
): Tensor<RankUp<R>> {
  return tf.stack([...tensors], axis) as Tensor as Tensor<RankUp<R>>;
}
type RankUp<R extends Rank> = Rank extends R ? Rank
  : {
    R0: tf.Rank.R1;
    R1: tf.Rank.R2;
    R2: tf.Rank.R3;
    R3: tf.Rank.R4;
    R4: tf.Rank.R5;
    R5: tf.Rank.R6;
    R6: never;
  }[
    `${R}`
  ];

/** `x` taken apart along an axis, which goes away. */
export function unstack<R extends Rank>(x: Tensor<R>, axis = 0): Tensor<RankMinus<R, 1>>[] {
  return tf.unstack(x, axis) as Tensor[] as Tensor<RankMinus<R, 1>>[];
}

/** `x` cut along an axis into pieces, equal ones or of the given sizes. */
export function split<R extends Rank>(
  x: Tensor<R>,
  pieces: number | Numbers,
  axis = 0,
): Tensor<R>[] {
  return tf.split(x, typeof pieces === "number" ? pieces : [...pieces], axis) as Tensor<R>[];
}

/** `x` with `[before, after]` elements of `value` added along each axis. */
export function pad<T extends Tensor>(
  x: T,
  paddings: readonly (readonly [before: number, after: number])[],
  value = 0,
): Tensor<RankOf<T>> {
  return tf.pad(x, paddings.map(([before, after]) => [before, after]), value) as Tensor as Tensor<
    RankOf<T>
  >;
}

/** The slices of `x` along `axis` at the given positions. */
export function gather<R extends Rank>(x: Tensor<R>, indices: Tensor1D, axis = 0): Tensor<R> {
  return tf.gather(x, indices, axis) as Tensor<R>;
}

/** `x` with the order of elements turned round along the axes. */
export function reverse<T extends Tensor>(x: T, axes: number | Numbers): Same<T> {
  return tf.reverse(x, typeof axes === "number" ? axes : [...axes]) as Tensor as Same<T>;
}

/** `x` repeated along each axis. */
export function tile<R extends Rank>(x: Tensor<R>, repetitions: Numbers): Tensor<R> {
  return tf.tile(x, [...repetitions]) as Tensor<R>;
}

/** `x` with a new axis of length 1. */
export function expandDims<R extends Rank>(x: Tensor<R>, axis = 0): Tensor<RankUp<R>> {
  return tf.expandDims(x, axis) as Tensor as Tensor<RankUp<R>>;
}

/** `x` without the given axes, each of which must have length 1. */
export function squeeze<R extends Rank, const A extends Numbers>(
  x: Tensor<R>,
  axes: A,
): Tensor<RankMinus<R, A["length"]>> {
  return tf.squeeze(x, [...axes]) as Tensor as Tensor<RankMinus<R, A["length"]>>;
}

// Element by element, two operands

type Operand = Tensor | number;

function checkBroadcast(name: string, a: Operand, b: Operand): void {
  if (typeof a === "number" || typeof b === "number") return;
  const shorter = Math.min(a.rank, b.rank);
  for (let axis = 1; axis <= shorter; axis++) {
    const left = a.shape[a.rank - axis];
    const right = b.shape[b.rank - axis];
    if (left !== right && left !== 1 && right !== 1) {
      throw new RangeError(
        `${name}: shapes [${a.shape}] and [${b.shape}] do not broadcast. Counted from the last, each pair of axes must be ` +
          "equal or one of them 1.",
      );
    }
  }
}

function binary(
  name: string,
  f: (a: tf.Tensor | tf.TensorLike, b: tf.Tensor | tf.TensorLike) => tf.Tensor,
): <A extends Operand, B extends Operand>(a: A, b: B & Fitting<A, B>) => Broadcast<A, B> {
  return (a, b) => {
    checkBroadcast(name, a, b);
    return f(a, b) as ReturnType<typeof f> as never;
  };
}

/**
 * `a + b`, broadcast: axes of length 1 and missing leading axes are repeated.
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
export const add = binary("Adding", tf.add);
/** `a − b`, broadcast. */
export const sub = binary("Subtracting", tf.sub);
/** `a · b` element by element, broadcast. */
export const mul = binary("Multiplying", tf.mul);
/** `a / b` element by element, broadcast. */
export const div = binary("Dividing", tf.div);
/** `aᵇ` element by element, broadcast. */
export const pow = binary("Raising to a power", (a, b) => tf.pow(a as tf.Tensor, b));
/** The larger of `a` and `b` element by element, broadcast. */
export const maximum = binary("Taking the maximum", tf.maximum);
/** The smaller of `a` and `b` element by element, broadcast. */
export const minimum = binary("Taking the minimum", tf.minimum);
/** Whether `a = b`, as bool, broadcast. */
export const equal = binary("Comparing", tf.equal);
/** Whether `a > b`, as bool, broadcast. */
export const greater = binary("Comparing", tf.greater);
/** Whether `a ≥ b`, as bool, broadcast. */
export const greaterEqual = binary("Comparing", tf.greaterEqual);
/** Whether `a < b`, as bool, broadcast. */
export const less = binary("Comparing", tf.less);

/** `a` where the condition holds, else `b`. */
export function where<T extends Tensor>(condition: Tensor, a: T, b: Tensor): Same<T> {
  return tf.where(condition, a as Tensor, b) as Same<T>;
}

// Element by element, one operand

function unary(f: (x: tf.Tensor) => tf.Tensor): <T extends Tensor>(x: T) => Same<T> {
  return (x) => f(x) as never;
}

/** `−x` */
export const neg = unary(tf.neg);
/** `|x|` */
export const abs = unary(tf.abs);
/** `eˣ` */
export const exp = unary(tf.exp);
/** The natural logarithm. */
export const log = unary(tf.log);
/** `√x` */
export const sqrt = unary(tf.sqrt);
/** `1/√x` */
export const rsqrt = unary(tf.rsqrt);
/** `x²` */
export const square = unary(tf.square);
/** −1, 0 or 1. */
export const sign = unary(tf.sign);
/** `tanh x` */
export const tanh = unary(tf.tanh);
/** `1/(1 + e⁻ˣ)` */
export const sigmoid = unary(tf.sigmoid);
/** `max(x, 0)` */
export const relu = unary(tf.relu);
/** The error function. */
export const erf = unary(tf.erf);
/** The nearest integer towards −∞. */
export const floor = unary(tf.floor);
/** Whether each element is finite, as bool. */
export const isFinite = unary(tf.isFinite);
/** Whether each element is not a number, as bool. */
export const isNaN = unary(tf.isNaN);
/** `log(1 + eˣ)` */
export const softplus = unary(tf.softplus);

/** `x` where positive, `slope · x` elsewhere. */
export function leakyRelu<T extends Tensor>(x: T, slope = 0.01): Same<T> {
  return tf.leakyRelu(x as Tensor, slope) as Same<T>;
}

/** `x · Φ(x)` with Φ the normal distribution function (Hendrycks and Gimpel 2016). */
export function gelu<T extends Tensor>(x: T): Same<T> {
  return tf.tidy(() =>
    tf.mul(tf.mul(x as Tensor, 0.5), tf.add(tf.erf(tf.mul(x as Tensor, Math.SQRT1_2)), 1))
  ) as Same<T>;
}

/** `x` limited to the interval from `low` to `high`. */
export function clip<T extends Tensor>(x: T, low: number, high: number): Same<T> {
  return tf.clipByValue(x as Tensor, low, high) as Same<T>;
}

/** `softmax(x)ᵢ = exp xᵢ / Σⱼ exp xⱼ` along the last axis. */
export function softmax<T extends Tensor>(x: T): Same<T> {
  return tf.softmax(x as Tensor) as Same<T>;
}

/** The logarithm of {@linkcode softmax}, without overflow. */
export function logSoftmax<T extends Tensor>(x: T): Same<T> {
  return tf.logSoftmax(x as Tensor) as Same<T>;
}

// Reductions

/** A reduction: over all axes to a scalar, over some (which go away), or over some and keeping them with length 1. */
export interface Reduction {
  /** Over all axes. */
  (x: Tensor): Scalar;
  /** Over the given axes, which go away. */
  <R extends Rank, const A extends Numbers>(
    x: Tensor<R>,
    axes: A,
  ): Tensor<RankMinus<R, A["length"]>>;
  /** Over the given axes, which stay with length 1. */
  <R extends Rank>(x: Tensor<R>, axes: Numbers, options: { keepDims: true }): Tensor<R>;
}

function reduction(
  f: (x: tf.Tensor, axes?: number[], keepDims?: boolean) => tf.Tensor,
): Reduction {
  return (x: Tensor, axes?: Numbers, { keepDims = false }: { keepDims?: boolean } = {}) => {
    const outside = axes?.find((axis) => axis >= x.rank || axis < -x.rank);
    if (outside !== undefined) {
      throw new RangeError(
        `Reducing a tensor of shape [${x.shape}]: axis ${outside} does not exist; there are ${x.rank} axes.`,
      );
    }
    return f(x, axes && [...axes], keepDims) as never;
  };
}

/**
 * The sum over axes, or over all elements.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1, 2], [3, 4]]);
 * assert.equal(ops.sum(x).arraySync(), 10);
 * assert.deepEqual(ops.sum(x, [0]).arraySync(), [4, 6]);
 * assert.deepEqual(ops.sum(x, [1], { keepDims: true }).arraySync(), [[3], [7]]);
 * ```
 */
export const sum: Reduction = reduction(tf.sum);
/** The mean over axes, or of all elements. */
export const mean: Reduction = reduction(tf.mean);
/** The biased variance `mean((x − mean x)²)` over axes, or of all elements. */
export const variance: Reduction = reduction((x, axes, keepDims) =>
  tf.tidy(() => tf.moments(x, axes, keepDims).variance)
);
/** The largest element over axes, or of all elements. */
export const max: Reduction = reduction(tf.max);
/** The smallest element over axes, or of all elements. */
export const min: Reduction = reduction(tf.min);
/** Whether all elements hold, over axes or altogether. */
export const all: Reduction = reduction(tf.all);
/** Whether any element holds, over axes or altogether. */
export const any: Reduction = reduction(tf.any);

/** The position of the largest element along one axis, as int32. */
export function argMax<R extends Rank>(x: Tensor<R>, axis = -1): Tensor<RankMinus<R, 1>> {
  return tf.argMax(x, axis) as Tensor as Tensor<RankMinus<R, 1>>;
}

/** The `k` largest values of each row `[n, m]`, in descending order, and their positions. */
export function topK(x: Tensor2D, k: number): { values: Tensor2D; indices: Tensor2D } {
  return tf.topk(x, k);
}

// Matrices

/**
 * The matrix product `[n, k] · [k, m] → [n, m]`; either matrix may be transposed first.
 *
 * @throws {RangeError} If the inner sizes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const a = ops.tensor([[1, 2], [3, 4]]);
 * assert.deepEqual(ops.matMul(a, ops.tensor([[1], [1]])).arraySync(), [[3], [7]]);
 * ```
 */
export function matMul<B extends Tensor2D>(
  a: Tensor2D,
  b: B,
  { transposeA = false, transposeB = false }: { transposeA?: boolean; transposeB?: boolean } = {},
): Tensor2D {
  const inner = a.shape[transposeA ? 0 : 1];
  const other = b.shape[transposeB ? 1 : 0];
  if (inner !== other) {
    throw new RangeError(
      `Multiplying matrices [${a.shape}]${transposeA ? "ᵀ" : ""} and [${b.shape}]${
        transposeB ? "ᵀ" : ""
      }: the inner sizes must be equal, found ${inner} and ${other}.`,
    );
  }
  return tf.matMul(a, b, transposeA, transposeB) as Tensor2D;
}

/** Matrix products of two stacks of matrices, `[b, n, k] · [b, k, m] → [b, n, m]`. */
export function batchMatMul(a: Tensor3D, b: Tensor3D): Tensor3D {
  return tf.matMul(a, b) as Tensor3D;
}

// Images

/** Images `[batch, height, width, channels]` at another size, by bilinear interpolation with half-pixel centres. */
export function resizeBilinear<C extends number>(
  images: Images<C>,
  size: readonly [height: number, width: number],
): Images<C> {
  return tf.image.resizeBilinear(images as Tensor4D, [size[0], size[1]], false, true);
}

/**
 * One rectangle `[top, left, bottom, right]` from each image, resampled to `size`; coordinates are parts of `height − 1` and
 * `width − 1`, and what lies outside the image is 0.
 */
export function cropAndResize<C extends number>(
  images: Images<C>,
  boxes: Tensor2D,
  imageIndices: Tensor1D,
  size: readonly [height: number, width: number],
  method: "bilinear" | "nearest" = "bilinear",
): Images<C> {
  return tf.image.cropAndResize(images, boxes, imageIndices, [size[0], size[1]], method);
}
