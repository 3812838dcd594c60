/**
 * Softmax and cross-entropy as one kernel, which computes the gradient along with the value. The
 * gradients are kernels without a gradient: a saved gradient no longer depends on the logits, so a
 * gradient of a gradient is refused.
 */
import * as tf from "@tensorflow/tfjs-core";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { defineKernel, type RunKernel } from "./define.ts";
import type { Scalar, Tensor, Tensor1D, Tensor2D } from "../types.ts";

type BackpropInputs = { dy: Tensor; dLogits: Tensor2D };
const softmaxBackprop: RunKernel<BackpropInputs, Tensor> = defineKernel(
  "ResnetLabSoftmaxCrossEntropyBackprop",
  {
    fallback: ({ dy, dLogits }: BackpropInputs): Tensor => tf.mul(tf.expandDims(dy, 1), dLogits),
  },
);

type SoftmaxInputs = { logits: Tensor2D; targets: Tensor2D };
/** The cross-entropy of each row, and its gradient for the logits. */
export const softmaxCrossEntropy: RunKernel<SoftmaxInputs, [Tensor1D, Tensor2D]> = defineKernel(
  "ResnetLabSoftmaxCrossEntropy",
  {
    native: ({ logits, targets }: SoftmaxInputs) =>
      runTensorFlowOp(
        "SoftmaxCrossEntropyWithLogits",
        [logits, targets],
        { T: { type: "float32" } },
        2,
      ) as [Tensor1D, Tensor2D],
    fallback: ({ logits, targets }) => {
      const logProbabilities = tf.logSoftmax(logits);
      return [
        tf.neg(tf.sum(tf.mul(targets, logProbabilities), 1)),
        tf.sub(tf.exp(logProbabilities), targets),
      ];
    },
    gradient: {
      savedInputs: ["targets"],
      savedOutputs: [1],
      compute: (dy, { targets }, [dLogits]) => ({
        logits: () => softmaxBackprop({ dy, dLogits: dLogits as Tensor2D }),
        targets: () => tf.zerosLike(targets),
      }),
    },
  },
);

const labelBackprop: RunKernel<BackpropInputs, Tensor> = defineKernel(
  "ResnetLabLabelCrossEntropyBackprop",
  {
    fallback: ({ dy, dLogits }: BackpropInputs): Tensor =>
      tf.mul(dLogits, tf.mul(dy, 1 / dLogits.shape[0])),
  },
);

type LabelInputs = { logits: Tensor2D; labels: Tensor1D };
/** The mean cross-entropy of the rows, and the gradient of their sum for the logits. */
export const labelCrossEntropy: RunKernel<LabelInputs, [Scalar, Tensor2D]> = defineKernel(
  "ResnetLabLabelCrossEntropy",
  {
    native: ({ logits, labels }: LabelInputs) =>
      tf.tidy((): [Scalar, Tensor2D] => {
        const [losses, dLogits] = runTensorFlowOp(
          "SparseSoftmaxCrossEntropyWithLogits",
          [logits, labels],
          { T: { type: "float32" }, Tlabels: { type: "int32" } },
          2,
        );
        return [tf.mean(losses!), dLogits as Tensor2D];
      }),
    fallback: ({ logits, labels }) => {
      const targets = tf.oneHot(labels, logits.shape[1], 1, 0, "float32") as Tensor2D;
      const logProbabilities = tf.logSoftmax(logits);
      // Not their product, which is NaN where another class has the logit −∞.
      const chosen = tf.where(tf.greater(targets, 0), logProbabilities, tf.zerosLike(logits));
      const losses = tf.neg(tf.sum(chosen, 1));
      return [tf.mean(losses), tf.sub(tf.exp(logProbabilities), targets)];
    },
    gradient: {
      savedInputs: ["labels"],
      savedOutputs: [1],
      compute: (dy, { labels }, [dLogits]) => ({
        logits: () => labelBackprop({ dy, dLogits: dLogits as Tensor2D }),
        labels: () => tf.zeros(labels.shape),
      }),
    },
  },
);
