import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, runTensorFlowOp } from "./backend.ts";
import type { Tensor } from "./types.ts";

/**
 * The squared length of all tensors seen as one vector, `Σ x²`, read as a number.
 *
 * @example
 * ```ts
 * import { ops, squaredLength } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(squaredLength([ops.tensor([3]), ops.tensor([[0], [4]])]), 25);
 * ```
 */
export function squaredLength(tensors: readonly Tensor[]): number {
  const sum = tf.tidy(() => tf.addN(tensors.map(halfSquaredLength)));
  const half = sum.dataSync()[0]!;
  sum.dispose();
  return 2 * half;
}

function halfSquaredLength(x: Tensor): Tensor {
  return tf.getBackend() === NATIVE && x.dtype === "float32"
    ? runTensorFlowOp("L2Loss", [x], { T: { type: "float32" } })
    : tf.mul(tf.sum(tf.square(tf.cast(x, "float32"))), 0.5);
}
