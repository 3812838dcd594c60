import {
  checkOptions,
  type Features,
  isTensor,
  type Labels,
  ops,
  type Rank,
  type Scalar,
  type Tensor,
  tidy,
} from "../tensor/mod.ts";
import { valuesToCheck } from "../tensor/internal.ts";

/**
 * How wrong logits `[batch, classes]` are about labels `[batch]`, as one number to be made small.
 */
export type Loss<Classes extends number = number> = (
  logits: Features<Classes>,
  labels: Labels,
) => Scalar;

/** The options of {@linkcode crossEntropy}. */
export interface CrossEntropyOptions {
  /** The part of each target that is spread evenly over all classes; 0 unless said otherwise. */
  labelSmoothing?: number;
}

/**
 * The mean over the batch of `−Σⱼ targetⱼ · log softmax(logits)ⱼ`: logits `[batch, classes]` and
 * labels `[batch]` to one number.
 *
 * The target is 1 at the label and 0 elsewhere; with smoothing ε it is
 * `(1 − ε) · target + ε / classes` (Szegedy et al. 2016, section 7), as in PyTorch. The labels are
 * read and checked: a class that does not exist would count as a loss of 0. In a compiled function
 * they are checked at each call too.
 *
 * @throws {TypeError} If the labels are not int32, the logits not float32, one was disposed, or an
 * option does not exist.
 * @throws {RangeError} If the logits are not `[batch, classes]`, there is not a label for each row,
 * a label is no class, or the smoothing is not from 0 up to but without 1.
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
 * ```
 */
export function crossEntropy(
  logits: Features,
  labels: Labels,
  options: CrossEntropyOptions = {},
): Scalar {
  const doing = "Computing the cross-entropy";
  const such = "{ labelSmoothing: 0.1 }";
  checkOptions<CrossEntropyOptions>(doing, options, such, { labelSmoothing: true });
  const { labelSmoothing = 0 } = options;
  if (!(typeof labelSmoothing === "number" && labelSmoothing >= 0 && labelSmoothing < 1)) {
    throw new RangeError(
      `${doing}: labelSmoothing must be from 0 up to but without 1, found ${labelSmoothing}.`,
    );
  }
  checkLabels(doing, logits, labels);
  const classes = logits.shape[1];
  if (labelSmoothing === 0) return ops.labelCrossEntropy(logits, labels);
  return tidy(() => {
    const target = ops.oneHot(labels, classes);
    const smoothed = ops.add(ops.mul(target, 1 - labelSmoothing), labelSmoothing / classes);
    return ops.mean(ops.softmaxCrossEntropy(logits, smoothed));
  });
}

/**
 * The mean of `(prediction − target)²` over all elements of two tensors of one shape.
 *
 * @throws {RangeError} If the shapes differ; `[n, 1]` and `[n]` would quietly be compared each with
 * each.
 *
 * @example
 * ```ts
 * import { meanSquaredError, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(meanSquaredError(ops.tensor([1, 2]), ops.tensor([1, 4])).dataSync()[0], 2);
 * ```
 */
export function meanSquaredError<R extends Rank>(
  predictions: Tensor<R>,
  targets: Tensor<NoInfer<R>>,
): Scalar {
  checkAlive("Computing the mean squared error", { predictions, targets });
  if (String(predictions.shape) !== String(targets.shape)) {
    throw new RangeError(
      `Computing the mean squared error: predictions and targets must have one shape, found [${predictions.shape}] and ` +
        `[${targets.shape}].`,
    );
  }
  return tidy(() => {
    const difference: Tensor = ops.sub(predictions as Tensor, targets as Tensor);
    return ops.mean(ops.square(difference));
  });
}

function checkAlive(doing: string, tensors: Readonly<Record<string, unknown>>): void {
  for (const [name, x] of Object.entries(tensors)) {
    if (isTensor(x) && !x.isDisposed) continue;
    throw new TypeError(
      `${doing}: the ${name} must be a tensor that is alive, found ${
        isTensor(x) ? `a disposed one [${x.shape}]` : x === null ? "null" : typeof x
      }.`,
    );
  }
}

/**
 * Checks that there is an int32 class number for each row of the logits.
 *
 * The labels are read rather than reduced: a batch of them that came from JavaScript is still
 * there, so it costs a few microseconds where the smallest and largest would cost four ops.
 */
export function checkLabels(doing: string, logits: Features, labels: Labels): void {
  checkAlive(doing, { logits, labels });
  if (logits.rank !== 2) {
    throw new RangeError(`${doing}: the logits must be [batch, classes], found [${logits.shape}].`);
  }
  if (logits.dtype !== "float32") {
    throw new TypeError(`${doing}: the logits must be float32, found ${logits.dtype}.`);
  }
  if (labels.dtype !== "int32") {
    throw new TypeError(
      `${doing}: the labels must be class numbers of dtype int32, found ${labels.dtype}.`,
    );
  }
  const [batch, classes] = logits.shape;
  if (labels.rank !== 1 || labels.shape[0] !== batch) {
    throw new RangeError(
      `${doing}: there must be a label for each row of logits [${batch}, ${classes}], found labels [${labels.shape}].`,
    );
  }
  const stray = valuesToCheck(labels).find((label) => label < 0 || label >= classes);
  if (stray !== undefined) {
    throw new RangeError(
      `${doing}: the labels must be from 0 to ${
        classes - 1
      }, as there are ${classes} logits, found ${stray}.`,
    );
  }
}
