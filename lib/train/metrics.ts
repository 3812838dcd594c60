/** Metrics of predictions: accuracy, confusion, calibration. */
import { type Features, type Labels, ops, tidy } from "../tensor/mod.ts";
import { checkInteger, show } from "../tensor/internal.ts";
import { checkLabels } from "./losses.ts";

/**
 * Returns the accuracy: the fraction, from 0 to 1, of the rows of `logits` `[batch, classes]` whose
 * largest logit is at the label.
 *
 * @throws {TypeError} If the labels are not int32, or the logits not float32.
 * @throws {RangeError} If the logits are not `[batch, classes]`, there is not a label for each row,
 * a label is not a class, or a logit is NaN.
 *
 * @example
 * ```ts
 * import { accuracy, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const logits = ops.tensor([[1, 2], [4, 3]]);
 * assert.equal(accuracy(logits, ops.tensor([1, 1], undefined, "int32")), 0.5);
 * ```
 */
export function accuracy(logits: Features, labels: Labels): number {
  const action = "Computing the accuracy";
  checkLabels(action, logits, labels);
  if (labels.size === 0) {
    throw new RangeError(`${action}: there must be at least one row of logits, found none.`);
  }
  using predictions = predictedClasses(logits);
  const broken = predictions.dataSync().indexOf(NO_CLASS);
  if (broken >= 0) {
    throw new RangeError(`${action}: the logits must be numbers, found NaN in row ${broken}.`);
  }
  return accuracyOf(predictions, labels);
}

/** The prediction for a row with NaN. It equals no label. */
const NO_CLASS = -1;

/** The class with the largest logit of each row, {@linkcode NO_CLASS} for a row with NaN. */
export function predictedClasses(logits: Features): Labels {
  return tidy(() => {
    const broken = ops.cast(ops.any(ops.isNaN(logits), [1]), "int32");
    // (1 − broken) · class − broken
    return ops.sub(ops.mul(ops.argMax(logits), ops.sub(1, broken)), broken);
  });
}

/** Returns the fraction of the predictions that equal the label, from 0 to 1. */
export function accuracyOf(predictions: Labels, labels: Labels): number {
  const predicted = predictions.dataSync();
  return labels.dataSync().filter((label, i) => label === predicted[i]).length / labels.size;
}

/**
 * The number of images of each true class (row) for each predicted class (column).
 *
 * @throws {RangeError} If there are not as many predictions as labels, or one is not a class.
 */
export function confusionMatrix(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): number[][] {
  const action = "Counting confusions";
  checkInteger(action, "classes", classes);
  for (const [name, values] of Object.entries({ predictions, labels })) {
    if (typeof values?.length === "number") continue;
    throw new TypeError(
      `${action}: ${name} must be class numbers in an array, found ${show(values)}.`,
    );
  }
  if (predictions.length !== labels.length) {
    throw new RangeError(
      `${action}: there must be a prediction for each label, found ${predictions.length} for ${labels.length}.`,
    );
  }
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) {
    const row = counts[labels[i]!], predicted = predictions[i]!;
    if (row?.[predicted] === undefined) {
      throw new RangeError(
        `${action}: classes must be from 0 to ${classes - 1}, found label ${
          labels[i]
        } and prediction ${predicted} at ${i}.`,
      );
    }
    row[predicted]!++;
  }
  return counts;
}

/** Predictions of similar confidence. */
export interface CalibrationBin {
  /** The confidences in this bin are above `from`… */
  readonly from: number;
  /** … and at most `to`. */
  readonly to: number;
  /** The number of predictions. */
  readonly count: number;
  /** The mean confidence. */
  readonly confidence: number;
  /** The fraction of the predictions that are correct. */
  readonly accuracy: number;
}

/** Accuracy by confidence, as {@linkcode calibration} measures it. */
export interface Calibration {
  /** The bins that are not empty, by ascending confidence. */
  readonly bins: CalibrationBin[];
  /** The mean of `|accuracy − confidence|` over the bins, weighted by their counts. */
  readonly expectedError: number;
}

/**
 * Compares confidence with accuracy, in bins of equal width by confidence: the expected calibration
 * error is `Σ count / n · |accuracy − confidence|` (Guo et al. 2017, equation 3).
 *
 * @throws {RangeError} If there are not as many confidences as answers, or none, a confidence is
 * not from 0 to 1, or `bins` is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { calibration } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { bins, expectedError } = calibration([0.75, 0.75, 1, 1], [true, false, true, true], 2);
 * assert.deepEqual(bins, [{ from: 0.5, to: 1, count: 4, confidence: 0.875, accuracy: 0.75 }]);
 * assert.equal(expectedError, 0.125);
 * ```
 */
export function calibration(
  confidences: ArrayLike<number>,
  correct: readonly boolean[],
  bins = 10,
): Calibration {
  const action = "Measuring calibration";
  checkInteger(action, "bins", bins);
  for (const [name, values] of Object.entries({ confidences, correct })) {
    if (typeof values?.length === "number") continue;
    const items = name === "correct" ? "answers" : "numbers";
    throw new TypeError(`${action}: ${name} must be ${items} in an array, found ${show(values)}.`);
  }
  const other = correct.findIndex((answer) => typeof answer !== "boolean");
  if (other >= 0) {
    throw new TypeError(
      `${action}: correct[${other}] must be true or false, found ${show(correct[other])}.`,
    );
  }
  const n = confidences.length;
  if (n === 0 || n !== correct.length) {
    throw new RangeError(
      `${action}: there must be a confidence for each answer, found ${n} for ${correct.length}.`,
    );
  }
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, correct: 0 }));
  for (let i = 0; i < n; i++) {
    const confidence = confidences[i]!;
    // A softmax can exceed 1 by a rounding.
    const bin = sums[Math.max(0, Math.ceil(Math.min(confidence, 1) * bins) - 1)];
    if (!(confidence >= 0 && confidence < 1.00001) || !bin) {
      throw new RangeError(
        `${action}: confidences must be from 0 to 1, found ${confidence} at ${i}.`,
      );
    }
    bin.count++;
    bin.confidence += confidence;
    bin.correct += correct[i] ? 1 : 0;
  }
  const filled = sums.map((bin, i): CalibrationBin => ({
    from: i / bins,
    to: (i + 1) / bins,
    count: bin.count,
    confidence: bin.confidence / bin.count,
    accuracy: bin.correct / bin.count,
  })).filter(({ count }) => count > 0);
  return {
    bins: filled,
    expectedError: filled.reduce(
      (error, bin) => error + bin.count / n * Math.abs(bin.accuracy - bin.confidence),
      0,
    ),
  };
}
