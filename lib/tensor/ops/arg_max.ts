/** The largest element of each row without the cost of looking for NaN. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor1D, Tensor2D } from "../types.ts";

/** Returns `ops.argMax` of each row. NaN must not be among the numbers. */
export function argMaxWithoutNaN(x: Tensor2D): Tensor1D {
  return tf.argMax(x, 1);
}
