import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, runTensorFlowOp } from "./backend.ts";
import type { Scalar, Tensor } from "./types.ts";

/**
 * The squared length of all tensors seen as one vector, `Σ x²`.
 *
 * @example
 * ```ts
 * import { ops, squaredLength } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(squaredLength([ops.tensor([3]), ops.tensor([[0], [4]])]).dataSync()[0], 25);
 * ```
 */
export function squaredLength(tensors: readonly Tensor[]): Scalar {
  return tf.tidy(() => tf.mul(tf.addN(tensors.map(halfSquaredLength)), 2));
}

function halfSquaredLength(x: Tensor): Tensor {
  return tf.getBackend() === NATIVE && x.dtype === "float32"
    ? runTensorFlowOp("L2Loss", [x], { T: { type: "float32" } })
    : tf.mul(tf.sum(tf.square(tf.cast(x, "float32"))), 0.5);
}
