/**
 * Whether fast kernels may be used. Several of them lose NaN or infinity (oneDNN's max pooling and
 * its batch normalisation with relu; XNNPACK's relu, clipping and average pooling). Checking their
 * inputs reads them once, which costs far less than the kernel.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";

/**
 * Returns whether all numbers of a float32 tensor are finite, and so small that their squares are
 * too: below 1.8e19, above which some kernels are also wrong.
 *
 * While a function is compiled, a true result must hold at each run of its graph: if a run finds
 * otherwise, its results are dropped and the function itself runs.
 */
export function isAllFinite(x: tf.TensorInfo): boolean {
  const native = nativeBackend();
  if (native) return native.areFinite([x]);
  return tf.tidy(() => Number.isFinite(tf.sum(tf.square(x as tf.Tensor)).dataSync()[0]));
}
