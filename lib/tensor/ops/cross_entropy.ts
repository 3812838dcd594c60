/** Cross-entropy of logits with targets or with labels. */
import { checkTensor } from "../checks.ts";
import * as kernels from "../kernels/cross_entropy.ts";
import type { Scalar, Tensor1D, Tensor2D } from "../types.ts";

/**
 * Returns the cross-entropy of each row, `−Σⱼ targetsⱼ · log softmax(logits)ⱼ`: `[batch]` for
 * logits and targets `[batch, classes]`.
 *
 * Each row of targets must sum to 1. Gradients flow to the logits only:
 * `softmax(logits) − targets`.
 *
 * @throws {RangeError} If the logits are not `[batch, classes]`, or the targets have a different
 * shape.
 * @throws {TypeError} If the logits or the targets are not float32.
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
  const action = "Taking the cross-entropy";
  const axes = ["batch", "classes"];
  checkTensor(action, logits, { name: "the logits", axes, dtype: "float32" });
  checkTensor(action, targets, { name: "the targets", axes, dtype: "float32" });
  if (String(logits.shape) !== String(targets.shape)) {
    throw new RangeError(
      `${action}: the targets must have the shape of the logits, [${logits.shape}], found [${targets.shape}].`,
    );
  }
  const [loss, dLogits] = kernels.softmaxCrossEntropy({ logits, targets });
  dLogits.dispose();
  return loss;
}

/**
 * Returns the mean over the batch of the cross-entropy with labels, `−log softmax(logits)[label]`,
 * for logits `[batch, classes]` and labels `[batch]`.
 *
 * The labels must be from 0 to `classes − 1`; the caller checks that. Gradients flow to the logits.
 *
 * @throws {RangeError} If the logits are not `[batch, classes]`, or the number of labels is
 * not the number of rows.
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
  const action = "Taking the cross-entropy with labels";
  checkTensor(action, logits, { name: "the logits", axes: ["batch", "classes"], dtype: "float32" });
  checkTensor(action, labels, { name: "the labels", axes: ["batch"], dtype: "int32" });
  if (labels.size !== logits.shape[0]) {
    throw new RangeError(
      `${action}: there must be a label for each row of the logits [${logits.shape}], found ${labels.size}.`,
    );
  }
  const [loss, dLogits] = kernels.labelCrossEntropy({ logits, labels });
  dLogits.dispose();
  return loss;
}
