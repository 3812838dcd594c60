/** Losses: functions that return one number to minimise. */
import {
  type Features,
  type Labels,
  type LastAxis,
  type LastAxisOf,
  ops,
  type RankOf,
  type Scalar,
  type Tensor,
  tidy,
} from "../tensor/mod.ts";
import {
  checkArray,
  checkNumber,
  checkOptions,
  checkTensor,
  valuesToCheck,
} from "../tensor/internal.ts";

/**
 * The error of the outputs of a model for the targets, as one number to minimise: by default of
 * logits `[batch, classes]` for labels `[batch]`.
 */
export type Loss<Outputs extends Tensor = Features, Targets extends Tensor = Labels> = (
  outputs: Outputs,
  targets: Targets,
) => Scalar;

/** A loss of which the types are checked. */
export type AnyLoss = Loss<Tensor, Tensor>;

/** The options of {@linkcode crossEntropy}. */
export interface CrossEntropyOptions {
  /**
   * The fraction of each target that is spread evenly over all classes.
   *
   * @default 0
   */
  labelSmoothing?: number;
  /**
   * The weight of the images of each class, for classes of unequal size. The loss is then the
   * weighted mean: each image counts as much as its class weighs.
   *
   * @default 1 for each class
   */
  classWeights?: readonly number[];
}

/**
 * Returns the cross-entropy: the mean over the batch of `−Σⱼ targetⱼ · log softmax(logits)ⱼ`, for
 * logits `[batch, classes]` and labels `[batch]`.
 *
 * The target is 1 at the label and 0 elsewhere; with smoothing ε it is
 * `(1 − ε) · target + ε / classes` (Szegedy et al. 2016, section 7), as in PyTorch. The labels are
 * read and checked, also in a compiled function: a class that does not exist would count as a loss
 * of 0. With class weights `w` it is the weighted mean, as in PyTorch:
 * `−Σᵢⱼ targetᵢⱼ · wⱼ · log softmax(logitsᵢ)ⱼ / Σᵢ w[labelᵢ]`.
 *
 * @throws {TypeError} If the labels are not int32, the logits not float32, one was disposed, or an
 * option does not exist.
 * @throws {RangeError} If the logits are not `[batch, classes]`, there is not a label for each row,
 * a label is not a class, `labelSmoothing` is not at least 0 and less than 1, or `classWeights` is
 * not a positive number for each class.
 *
 * @example
 * ```ts
 * import { crossEntropy, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const logits = ops.tensor([[0, 0], [0, Math.log(3)]]); // Probabilities ½, ½ and ¼, ¾.
 * const labels = ops.tensor([0, 1], undefined, "int32");
 * const expected = (Math.log(2) + Math.log(4 / 3)) / 2;
 * assert(Math.abs(crossEntropy(logits, labels).dataSync()[0]! - expected) < 1e-6);
 *
 * const weighted = crossEntropy(logits, labels, { classWeights: [3, 1] });
 * const expectedWeighted = (3 * Math.log(2) + Math.log(4 / 3)) / 4;
 * assert(Math.abs(weighted.dataSync()[0]! - expectedWeighted) < 1e-6);
 * ```
 */
export function crossEntropy(
  logits: Features,
  labels: Labels,
  options: CrossEntropyOptions = {},
): Scalar {
  const action = "Computing the cross-entropy";
  const example = "{ labelSmoothing: 0.1 }";
  checkOptions<CrossEntropyOptions>(action, options, example, {
    labelSmoothing: true,
    classWeights: true,
  });
  const { labelSmoothing = 0, classWeights } = options;
  const isPart = labelSmoothing >= 0 && labelSmoothing < 1;
  checkNumber(action, "labelSmoothing", labelSmoothing, isPart, "at least 0 and less than 1");
  checkLabels(action, logits, labels);
  const classes = logits.shape[1];
  if (classWeights !== undefined) {
    checkWeights(action, "classWeights", classWeights, classes, "classes");
  }
  if (labelSmoothing === 0 && classWeights === undefined) {
    return ops.labelCrossEntropy(logits, labels);
  }
  return tidy(() => {
    const target = ops.oneHot(labels, classes);
    const smoothed = ops.add(ops.mul(target, 1 - labelSmoothing), labelSmoothing / classes);
    if (classWeights === undefined) return ops.mean(ops.softmaxCrossEntropy(logits, smoothed));
    const weights = ops.tensor(classWeights), weighted = ops.mul(smoothed, weights);
    const sum = ops.sum(ops.mul(weighted, ops.logSoftmax(logits)));
    return ops.neg(ops.div(sum, ops.sum(ops.mul(target, weights))));
  });
}

function checkWeights(
  action: string,
  name: string,
  weights: readonly number[],
  count: number,
  noun: string,
): void {
  checkArray(action, name, weights);
  if (weights.length !== count) {
    throw new RangeError(
      `${action}: ${name} must be a weight for each of ${count} ${noun}, found ${weights.length}.`,
    );
  }
  for (const [i, weight] of weights.entries()) {
    const isPositive = weight > 0 && weight < Infinity;
    checkNumber(action, `${name}[${i}]`, weight, isPositive, "a positive number");
  }
}

/**
 * Returns the mean squared error: the mean of `(prediction − target)²` over all elements of two
 * tensors of the same shape.
 *
 * @throws {TypeError} If one is not a tensor, or was disposed.
 * @throws {RangeError} If the shapes differ: `[n, 1]` and `[n]` would be broadcast to `[n, n]`.
 *
 * @example
 * ```ts
 * import { meanSquaredError, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(meanSquaredError(ops.tensor([1, 2]), ops.tensor([1, 4])).dataSync()[0], 2);
 * ```
 */
export function meanSquaredError<Predictions extends Tensor>(
  predictions: Predictions,
  targets: NoInfer<Tensor<RankOf<Predictions>> & LastAxis<LastAxisOf<Predictions>>>,
): Scalar {
  const action = "Computing the mean squared error";
  checkSameShape(action, "predictions", predictions, targets);
  return tidy(() => {
    const difference: Tensor = ops.sub(predictions as Tensor, targets as Tensor);
    return ops.mean(ops.square(difference));
  });
}

/** The options of {@linkcode binaryCrossEntropy}. */
export interface BinaryCrossEntropyOptions {
  /**
   * The weight of the targets that are 1, for each label: more than 1 for labels that few examples
   * have.
   *
   * @default 1 for each label
   */
  positiveWeights?: readonly number[];
}

/**
 * Returns the binary cross-entropy of logits `x` for targets `y` from 0 to 1, both
 * `[batch, labels]`: the mean of `−y · log σ(x) − (1 − y) · log(1 − σ(x))` over all elements. It is
 * the loss of examples that may have several labels, or none. The probability of a label is
 * `ops.sigmoid(logits)`.
 *
 * It is computed without overflow for any logit. With positive weights `w` the first term is
 * multiplied by `w` of its label, as by `pos_weight` of PyTorch's `BCEWithLogitsLoss`.
 *
 * @throws {TypeError} If a tensor is not float32, or was disposed, or an option does not exist.
 * @throws {RangeError} If the shapes differ, a target is not from 0 to 1, or `positiveWeights` is
 * not a positive number for each label.
 *
 * @example
 * ```ts
 * import { binaryCrossEntropy, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const logits = ops.tensor([[0, Math.log(3)]]); // Probabilities ½ and ¾.
 * const loss = binaryCrossEntropy(logits, ops.tensor([[1, 0]])).dataSync()[0]!;
 * assert(Math.abs(loss - (Math.log(2) + Math.log(4)) / 2) < 1e-6);
 * ```
 */
export function binaryCrossEntropy<Logits extends Tensor>(
  logits: Logits,
  targets: NoInfer<Tensor<RankOf<Logits>> & LastAxis<LastAxisOf<Logits>>>,
  options: BinaryCrossEntropyOptions = {},
): Scalar {
  const action = "Computing the binary cross-entropy";
  checkOptions<BinaryCrossEntropyOptions>(action, options, "{ positiveWeights: [2, 1] }", {
    positiveWeights: true,
  });
  checkSameShape(action, "logits", logits, targets);
  checkTensor(action, logits, { name: "the logits", dtype: "float32" });
  checkTensor(action, targets, { name: "the targets", dtype: "float32" });
  const other = valuesToCheck(targets).find((target) => !(target >= 0 && target <= 1));
  if (other !== undefined) {
    throw new RangeError(`${action}: the targets must be from 0 to 1, found ${other}.`);
  }
  const { positiveWeights } = options;
  if (positiveWeights !== undefined) {
    checkWeights(action, "positiveWeights", positiveWeights, logits.shape.at(-1) ?? 1, "labels");
  }
  return tidy(() => {
    const x: Tensor = logits, y: Tensor = targets;
    // −log σ(x) = softplus(−x), and −log(1 − σ(x)) = softplus(x).
    const negative: Tensor = ops.mul(ops.sub(1, y), ops.softplus(x));
    const positive: Tensor = ops.mul(y, ops.softplus(ops.neg(x)));
    const weighted: Tensor = positiveWeights
      ? ops.mul(positive, ops.tensor(positiveWeights))
      : positive;
    return ops.mean(ops.add(negative, weighted));
  });
}

/** Checks that two tensors have one shape: `[n, 1]` and `[n]` would be broadcast to `[n, n]`. */
function checkSameShape(action: string, name: string, outputs: Tensor, targets: Tensor): void {
  checkTensor(action, outputs, { name: `the ${name}` });
  checkTensor(action, targets, { name: "the targets" });
  if (String(outputs.shape) !== String(targets.shape)) {
    throw new RangeError(
      `${action}: ${name} and targets must have one shape, found [${outputs.shape}] and [${targets.shape}].`,
    );
  }
}

/**
 * Checks that there is an int32 class number for each row of the logits.
 *
 * The labels are read rather than reduced. A batch of labels that came from JavaScript is still
 * there, so reading costs a few microseconds. Computing the smallest and largest would take four
 * ops.
 */
export function checkLabels(action: string, logits: Features, labels: Labels): void {
  checkTensor(action, logits, {
    name: "the logits",
    axes: ["batch", "classes"],
    dtype: "float32",
  });
  checkTensor(action, labels, { name: "the labels" });
  const [batch, classes] = logits.shape;
  if (labels.rank !== 1 || labels.shape[0] !== batch) {
    throw new RangeError(
      `${action}: there must be a class number for each row of logits [${batch}, ${classes}], found labels [${labels.shape}].${
        String(labels.shape) === String(logits.shape)
          ? " Turn one-hot labels into class numbers by ops.argMax."
          : ""
      }`,
    );
  }
  checkTensor(action, labels, { name: "the labels", dtype: "int32" });
  const other = valuesToCheck(labels).find((label) => label < 0 || label >= classes);
  if (other !== undefined) {
    throw new RangeError(
      `${action}: the labels must be from 0 to ${
        classes - 1
      }, as there are ${classes} logits, found ${other}.`,
    );
  }
}
