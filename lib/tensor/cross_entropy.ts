/** Softmax and cross-entropy in one op, which gives the gradient along with the value. */
import * as tf from "@tensorflow/tfjs-core";
import { COMPOSED, NATIVE, runTensorFlowOp } from "./backend.ts";
import { checkTensor } from "./check.ts";
import type { Scalar, Tensor, Tensor1D, Tensor2D } from "./types.ts";

const CROSS_ENTROPY = "ResnetLabSoftmaxCrossEntropy";
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
for (const backendName of COMPOSED) {
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
for (const backendName of [NATIVE, ...COMPOSED]) {
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

/**
 * The cross-entropy of each row, `−Σⱼ targetsⱼ · log softmax(logits)ⱼ`: logits and targets
 * `[batch, classes]` to `[batch]`.
 *
 * Each row of targets must sum to 1. Gradients flow to the logits only:
 * `softmax(logits) − targets`.
 *
 * @throws {RangeError} If the logits are not `[batch, classes]`, or the targets have another shape.
 * @throws {TypeError} If one of them is not float32.
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
  const what = "Taking the cross-entropy";
  const axes = ["batch", "classes"];
  checkTensor(what, logits, { name: "the logits", axes, dtype: "float32" });
  checkTensor(what, targets, { name: "the targets", axes, dtype: "float32" });
  if (String(logits.shape) !== String(targets.shape)) {
    throw new RangeError(
      `${what}: the targets must have the shape of the logits, [${logits.shape}], found [${targets.shape}].`,
    );
  }
  const [loss, dLogits] = tf.engine().runKernel<Tensor[]>(CROSS_ENTROPY, { logits, targets });
  dLogits!.dispose();
  return loss as Tensor1D;
}

const LABEL_CROSS_ENTROPY = "ResnetLabLabelCrossEntropy";
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
for (const backendName of COMPOSED) {
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
for (const backendName of [NATIVE, ...COMPOSED]) {
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

/**
 * The mean over the batch of the cross-entropy with labels, `−log softmax(logits)[label]`: logits
 * `[batch, classes]` and labels `[batch]` to one number.
 *
 * The labels must be from 0 to classes − 1, which is not looked at here. Gradients flow to the
 * logits.
 *
 * @throws {RangeError} If the logits are not `[batch, classes]`, or there is not a label for each
 * row.
 * @throws {TypeError} If the logits are not float32, or the labels not int32.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const loss = ops.labelCrossEntropy(ops.tensor([[0, 0]]), ops.tensor([1], undefined, "int32"));
 * assert(Math.abs(loss.dataSync()[0]! - Math.log(2)) < 1e-6);
 * ```
 */
export function labelCrossEntropy(logits: Tensor2D, labels: Tensor1D): Scalar {
  const what = "Taking the cross-entropy with labels";
  checkTensor(what, logits, { name: "the logits", axes: ["batch", "classes"], dtype: "float32" });
  checkTensor(what, labels, { name: "the labels", axes: ["batch"], dtype: "int32" });
  if (labels.size !== logits.shape[0]) {
    throw new RangeError(
      `${what}: there must be a label for each row of [${logits.shape}], found ${labels.size}.`,
    );
  }
  const [loss, dLogits] = tf.engine().runKernel<Tensor[]>(LABEL_CROSS_ENTROPY, { logits, labels });
  dLogits!.dispose();
  return loss as Scalar;
}
