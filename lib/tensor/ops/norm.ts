/** The length of tensors as one vector. */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { checkArray, checkTensor, NUMERIC } from "../checks.ts";
import type { Scalar, Tensor } from "../types.ts";

function checkTensors(action: string, tensors: readonly Tensor[]): void {
  checkArray(action, "the tensors", tensors);
  if (tensors.length === 0) {
    throw new RangeError(`${action}: there must be at least one tensor, found none.`);
  }
  for (const x of tensors) checkTensor(action, x, { dtype: NUMERIC });
}

/**
 * The squared length of all tensors seen as one vector, `Σ x²`, as a float32 tensor: infinite where
 * the length is above 1.8e19, and imprecise where it is below 1e-19. {@linkcode vectorNorm} is
 * right for all numbers.
 *
 * @throws {RangeError} If there is no tensor.
 * @throws {TypeError} If one is neither float32 nor int32, or was disposed.
 *
 * @example
 * ```ts
 * import { ops, squaredNorm } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(squaredNorm([ops.tensor([3]), ops.tensor([[0], [4]])]).dataSync()[0], 25);
 * ```
 */
export function squaredNorm(tensors: readonly Tensor[]): Scalar {
  checkTensors("Taking a squared length", tensors);
  return tf.tidy(() => tf.mul(tf.addN(tensors.map(halfSquaredLength)), 2));
}

function halfSquaredLength(x: Tensor): Tensor {
  const native = nativeBackend();
  return native && x.dtype === "float32"
    ? native.inFloat32(() => runTensorFlowOp("L2Loss", [x], { T: { type: "float32" } }))
    : tf.mul(tf.sum(tf.square(tf.cast(x, "float32"))), 0.5);
}

/**
 * The length of all tensors seen as one vector, `√(Σ x²)`. It is finite exactly where all numbers
 * are.
 *
 * @param square Their {@linkcode squaredNorm}, if it is known.
 *
 * @throws {RangeError} If there is no tensor.
 * @throws {TypeError} If one is neither float32 nor int32, or was disposed.
 *
 * @example
 * ```ts
 * import { ops, vectorNorm } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([3e30, 4e30]); // The squares are beyond float32.
 * assert(Math.abs(vectorNorm([x]) / 5e30 - 1) < 1e-6);
 * ```
 */
export function vectorNorm(tensors: readonly Tensor[], square?: Scalar): number {
  checkTensors("Taking a length", tensors);
  let result = 0;
  tf.tidy(() => {
    const [squared] = (square ?? squaredNorm(tensors)).dataSync();
    // Where squares leave the range of float32, the tensors are divided by their largest number
    // first.
    result = squared! > 1e-20 && squared! < Infinity
      ? Math.sqrt(squared!)
      : lengthByLargest(tensors.filter(({ size }) => size > 0));
  });
  return result;
}

function lengthByLargest(tensors: readonly Tensor[]): number {
  const largest = tensors.reduce(
    // Unlike a comparison, Math.max keeps NaN.
    (most, x) => Math.max(most, tf.max(tf.abs(tf.cast(x, "float32"))).dataSync()[0]!),
    0,
  );
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  // A power of two divides without rounding; twice, because its inverse may be no float32.
  const exponent = Math.floor(Math.log2(largest)), half = Math.trunc(exponent / 2);
  const scaled = tensors.map((x) =>
    tf.mul(tf.mul(tf.cast(x, "float32"), 2 ** -half), 2 ** (half - exponent))
  );
  return Math.sqrt(squaredNorm(scaled).dataSync()[0]!) * 2 ** exponent;
}
