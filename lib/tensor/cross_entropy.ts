/** Softmax and cross-entropy in one op on the native backend, which gives the gradient along with the value. */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, runTensorFlowOp } from "./backend.ts";
import type { Tensor, Tensor1D, Tensor2D } from "./types.ts";

const CROSS_ENTROPY = "ResnetLabSoftmaxCrossEntropy";

tf.registerKernel({
  kernelName: CROSS_ENTROPY,
  backendName: NATIVE,
  kernelFunc: ({ inputs }) =>
    runTensorFlowOp(
      "SoftmaxCrossEntropyWithLogits",
      [inputs.logits!, inputs.targets!],
      { T: { type: "float32" } },
      2,
    ),
});
tf.registerGradient({
  kernelName: CROSS_ENTROPY,
  outputsToSave: [false, true],
  gradFunc: (dy, [dLogits]) => ({
    logits: () => tf.mul(tf.expandDims((dy as Tensor[])[0]!, 1), dLogits!),
  }),
});

/**
 * The cross-entropy of each row, `−Σⱼ targetsⱼ · log softmax(logits)ⱼ`: logits and targets `[batch, classes]` to `[batch]`.
 *
 * Gradients flow to the logits only.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const loss = ops.softmaxCrossEntropy(ops.tensor([[0, 0]]), ops.tensor([[1, 0]]));
 * assert(Math.abs(loss.dataSync()[0]! - Math.log(2)) < 1e-6);
 * ```
 */
export function softmaxCrossEntropy(logits: Tensor2D, targets: Tensor2D): Tensor1D {
  if (tf.getBackend() === NATIVE) {
    const [loss, dLogits] = tf.engine().runKernel(CROSS_ENTROPY, { logits, targets }) as Tensor[];
    dLogits!.dispose();
    return loss as Tensor1D;
  }
  return tf.tidy(() => tf.neg(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), 1)));
}
