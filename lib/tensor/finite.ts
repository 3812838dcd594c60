/**
 * Whether fast kernels may be used. Several of them lose NaN or infinity (oneDNN's max pooling and its batch normalisation with
 * relu; XNNPACK's relu, clipping and average pooling). A look at their inputs costs one reading pass, far less than the kernel.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend, runTensorFlowOp } from "./backend.ts";

/**
 * Whether all numbers of a float32 tensor are finite. It may say no where numbers are so large that their squares or their sum
 * are not.
 *
 * In a function that is compiled the answer is yes, and holds: where a run of the graph finds otherwise, its results are dropped and
 * the function itself runs.
 */
export function isAllFinite(x: tf.TensorInfo): boolean {
  const native = nativeBackend();
  // The sum of squares is finite exactly where all squares are: infinities do not cancel.
  if (native) {
    return tf.tidy(() =>
      native.assumeFinite(runTensorFlowOp("L2Loss", [x], { T: { type: "float32" } }))
    );
  }
  return tf.tidy(() => Number.isFinite(tf.sum(x as tf.Tensor).dataSync()[0]));
}
