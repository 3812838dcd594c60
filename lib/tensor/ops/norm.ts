/** Norm of several tensors as one vector. */
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
 * Returns the squared norm of all tensors as one vector, `Σ x²`, as a float32 tensor. It is
 * infinite where the norm is above 1.8e19, and imprecise where the norm is below 1e-19. {@linkcode
 * vectorNorm} is right for all numbers.
 *
 * @throws {RangeError} If there is no tensor.
 * @throws {TypeError} If a tensor is neither float32 nor int32, or was disposed.
 */
export function squaredNorm(tensors: readonly Tensor[]): Scalar {
  checkTensors("Computing a squared norm", tensors);
  return tf.tidy(() => tf.mul(tf.addN(tensors.map(halfSquaredNorm)), 2));
}

function halfSquaredNorm(x: Tensor): Tensor {
  const native = nativeBackend();
  return native && x.dtype === "float32"
    ? native.autocast.inFloat32(() => runTensorFlowOp("L2Loss", [x], { T: { type: "float32" } }))
    : tf.mul(tf.sum(tf.square(tf.cast(x, "float32"))), 0.5);
}

/**
 * Returns the norm of all tensors as one vector, `√(Σ x²)`. It is finite if and only if all numbers
 * are.
 *
 * @param square Their {@linkcode squaredNorm}, if it is known.
 *
 * @throws {RangeError} If there is no tensor.
 * @throws {TypeError} If a tensor is neither float32 nor int32, or was disposed.
 */
export function vectorNorm(tensors: readonly Tensor[], square?: Scalar): number {
  checkTensors("Computing a norm", tensors);
  let result = 0;
  tf.tidy(() => {
    const [squared] = (square ?? squaredNorm(tensors)).dataSync();
    // Squares outside the range of float32 need scaling.
    result = squared! > 1e-20 && squared! < Infinity
      ? Math.sqrt(squared!)
      : scaledNorm(tensors.filter(({ size }) => size > 0));
  });
  return result;
}

/** Returns the norm of tensors that are divided by their largest number first. */
function scaledNorm(tensors: readonly Tensor[]): number {
  const largest = tensors.reduce(
    // Unlike a comparison, Math.max keeps NaN.
    (most, x) => Math.max(most, tf.max(tf.abs(tf.cast(x, "float32"))).dataSync()[0]!),
    0,
  );
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  // A power of two divides without rounding. It divides twice, because its inverse may be outside
  // the range of float32.
  const exponent = Math.floor(Math.log2(largest)), half = Math.trunc(exponent / 2);
  const scaled = tensors.map((x) =>
    tf.mul(tf.mul(tf.cast(x, "float32"), 2 ** -half), 2 ** (half - exponent))
  );
  return Math.sqrt(squaredNorm(scaled).dataSync()[0]!) * 2 ** exponent;
}
