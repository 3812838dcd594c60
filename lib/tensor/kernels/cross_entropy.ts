/** Softmax and cross-entropy in one kernel, which gives the gradient along with the value. */
import * as tf from "@tensorflow/tfjs-core";
import { FALLBACK_BACKENDS, NATIVE } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import type { Scalar, Tensor, Tensor1D, Tensor2D } from "../types.ts";

export const CROSS_ENTROPY = "ResnetLabSoftmaxCrossEntropy";
const CROSS_ENTROPY_BACKPROP = "ResnetLabSoftmaxCrossEntropyBackprop";

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
for (const backendName of FALLBACK_BACKENDS) {
  tf.registerKernel({
    kernelName: CROSS_ENTROPY,
    backendName,
    kernelFunc: ({ inputs }) =>
      tf.tidy(() => {
        const targets = inputs.targets as Tensor;
        const logProbabilities = tf.logSoftmax(inputs.logits as Tensor);
        return [
          tf.neg(tf.sum(tf.mul(targets, logProbabilities), 1)),
          tf.sub(tf.exp(logProbabilities), targets),
        ];
      }),
  });
}
for (const backendName of [NATIVE, ...FALLBACK_BACKENDS]) {
  tf.registerKernel({
    // A kernel of its own, so that a gradient of this gradient is refused: the saved one does not
    // know the logits it came from.
    kernelName: CROSS_ENTROPY_BACKPROP,
    backendName,
    kernelFunc: ({ inputs }) =>
      tf.tidy(() => tf.mul(tf.expandDims(inputs.dy as Tensor, 1), inputs.dLogits as Tensor)),
  });
}
tf.registerGradient({
  kernelName: CROSS_ENTROPY,
  inputsToSave: ["targets"],
  outputsToSave: [false, true],
  gradFunc: (dy, [targets, dLogits]) => ({
    logits: () =>
      tf.engine().runKernel(CROSS_ENTROPY_BACKPROP, {
        dy: (dy as Tensor[])[0]!,
        dLogits: dLogits!,
      }),
    targets: () => tf.zerosLike(targets!),
  }),
});

export const LABEL_CROSS_ENTROPY = "ResnetLabLabelCrossEntropy";
const LABEL_CROSS_ENTROPY_BACKPROP = "ResnetLabLabelCrossEntropyBackprop";

// Both give the mean, and the gradient of the sum.
tf.registerKernel({
  kernelName: LABEL_CROSS_ENTROPY,
  backendName: NATIVE,
  kernelFunc: ({ inputs }) =>
    tf.tidy(() => {
      const [losses, dLogits] = runTensorFlowOp(
        "SparseSoftmaxCrossEntropyWithLogits",
        [inputs.logits!, inputs.labels!],
        { T: { type: "float32" }, Tlabels: { type: "int32" } },
        2,
      );
      return [tf.mean(losses!), dLogits!];
    }),
});
for (const backendName of FALLBACK_BACKENDS) {
  tf.registerKernel({
    kernelName: LABEL_CROSS_ENTROPY,
    backendName,
    kernelFunc: ({ inputs }) =>
      tf.tidy(() => {
        const logits = inputs.logits as Tensor2D;
        const targets = tf.oneHot(inputs.labels as Tensor1D, logits.shape[1], 1, 0, "float32");
        const logProbabilities = tf.logSoftmax(logits);
        // Not their product, which is NaN where another class has the logit −∞.
        const chosen = tf.where(tf.greater(targets, 0), logProbabilities, tf.zerosLike(logits));
        const losses = tf.neg(tf.sum(chosen, 1)),
          dLogits = tf.sub(tf.exp(logProbabilities), targets);
        return [tf.mean(losses), dLogits];
      }),
  });
}
for (const backendName of [NATIVE, ...FALLBACK_BACKENDS]) {
  tf.registerKernel({
    kernelName: LABEL_CROSS_ENTROPY_BACKPROP,
    backendName,
    kernelFunc: ({ inputs }) =>
      tf.tidy(() => {
        const dLogits = inputs.dLogits as Tensor2D;
        return tf.mul(dLogits, tf.mul(inputs.dy as Scalar, 1 / dLogits.shape[0]));
      }),
  });
}
tf.registerGradient({
  kernelName: LABEL_CROSS_ENTROPY,
  inputsToSave: ["labels"],
  outputsToSave: [false, true],
  gradFunc: (dy, [labels, dLogits]) => ({
    logits: () =>
      tf.engine().runKernel(LABEL_CROSS_ENTROPY_BACKPROP, {
        dy: (dy as Tensor[])[0]!,
        dLogits: dLogits!,
      }),
    labels: () => tf.zeros(labels!.shape),
  }),
});
