import {
  checkOptions,
  compile,
  type Features,
  type Images,
  isTensor,
  type Labels,
  ops,
  type OptionNames,
  type Precision,
  type Scalar,
  tidy,
  withPrecision,
} from "../tensor/mod.ts";
import { linkInterrupt, show } from "../tensor/internal.ts";
import { checkModule } from "../nn/checks.ts";
import { type AnyModule, checkWhole, type Classifier } from "../nn/mod.ts";
import { batches, type ImageDataset, type Transform, transformOf } from "../data/mod.ts";
import { checkDataset } from "../data/dataset.ts";
import { checkKinds, checkLogits, explained } from "./checks.ts";
import { yieldToEventLoop } from "./event_loop.ts";
import { checkLabels, crossEntropy, type Loss } from "./losses.ts";
import type { Suiting } from "./suits.ts";

/**
 * The part of the rows of `logits` `[batch, classes]` whose largest number is at the label, from 0
 * to 1.
 *
 * @throws {TypeError} If the labels are not int32, or the logits not float32.
 * @throws {RangeError} If the logits are not `[batch, classes]`, there is not a label for each row,
 * a label is no class, or a logit is NaN, of which no class is the largest.
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
  const doing = "Computing the accuracy";
  checkLabels(doing, logits, labels);
  if (labels.size === 0) {
    throw new RangeError(`${doing}: there must be at least one row of logits, found none.`);
  }
  using predictions = predict(logits);
  const broken = predictions.dataSync().indexOf(NO_CLASS);
  if (broken >= 0) {
    throw new RangeError(`${doing}: the logits must be numbers, found NaN in row ${broken}.`);
  }
  return agreement(predictions, labels);
}

/** The prediction where a logit is NaN: it is no label. */
const NO_CLASS = -1;

/** The class with the largest logit in each row, {@linkcode NO_CLASS} where one is NaN. */
export function predict(logits: Features): Labels {
  return tidy(() => {
    const broken = ops.cast(ops.any(ops.isNaN(logits), [1]), "int32");
    // (1 − broken) · class − broken
    return ops.sub(ops.mul(ops.argMax(logits), ops.sub(1, broken)), broken);
  });
}

/** The part of predictions that are the label, from 0 to 1. */
export function agreement(predictions: Labels, labels: Labels): number {
  const predicted = predictions.dataSync();
  return labels.dataSync().filter((label, i) => label === predicted[i]).length / labels.size;
}

/**
 * How often each class was taken for each: row by the true class, column by the predicted one.
 *
 * @throws {RangeError} If there are not as many predictions as labels, or one is not a class.
 *
 * @example
 * ```ts
 * import { confusionMatrix } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const predictions = [0, 1, 1], labels = [0, 0, 1];
 * assert.deepEqual(confusionMatrix(predictions, labels, 2), [[1, 1], [0, 1]]);
 * ```
 */
export function confusionMatrix(
  predictions: ArrayLike<number>,
  labels: ArrayLike<number>,
  classes: number,
): number[][] {
  const counting = "Counting confusions";
  checkWhole(counting, "classes", classes);
  for (const [name, values] of Object.entries({ predictions, labels })) {
    if (typeof values?.length === "number") continue;
    throw new TypeError(
      `${counting}: ${name} must be class numbers in an array, found ${show(values)}.`,
    );
  }
  if (predictions.length !== labels.length) {
    throw new RangeError(
      `${counting}: expected a prediction for each label, found ${predictions.length} for ${labels.length}.`,
    );
  }
  const counts = Array.from({ length: classes }, () => new Array<number>(classes).fill(0));
  for (let i = 0; i < labels.length; i++) {
    const row = counts[labels[i]!], predicted = predictions[i]!;
    if (row?.[predicted] === undefined) {
      throw new RangeError(
        `${counting}: expected classes from 0 to ${classes - 1}, found label ${
          labels[i]
        } and prediction ${predicted} at ${i}.`,
      );
    }
    row[predicted]!++;
  }
  return counts;
}

/** How a model does on a set of images; the arrays are in the order of the set. */
export interface Evaluation {
  /** The mean loss. */
  readonly loss: number;
  /** The part of the images whose class is predicted, from 0 to 1. */
  readonly accuracy: number;
  /** How often each class (row) was taken for each (column). */
  readonly confusion: number[][];
  /** The predicted class of each image. */
  readonly predictions: Int32Array;
  /** The probability that the model gives to its prediction. */
  readonly confidences: Float32Array;
  /** Whether each prediction is the label. */
  readonly correct: boolean[];
}

/** How a model runs over a whole set. */
export interface InferenceOptions<Channels extends number, Out extends number> {
  /**
   * The number of images that go through the model at once; 256 unless said otherwise, or all where
   * there are fewer.
   */
  batchSize?: number;
  /**
   * Applied to the images first, without augmentation. Without it, the transform of the training:
   * see {@linkcode transformOf}. `compose()` does nothing.
   */
  transform?: Transform<Channels, Out>;
  /**
   * The type in which the model computes, as in {@linkcode withPrecision}; `"fp32"` unless said
   * otherwise.
   */
  precision?: Precision;
  /**
   * Whether TensorFlow runs the model as one graph from the third batch on; see
   * {@linkcode compile}.
   */
  compile?: boolean;
  /** Ends the work between two batches; in a notebook the Stop button does so too. */
  signal?: AbortSignal;
}

/** The names of {@linkcode InferenceOptions}. */
export const inferenceOptions: OptionNames<InferenceOptions<number, number>> = {
  batchSize: true,
  transform: true,
  precision: true,
  compile: true,
  signal: true,
};

/** The options of {@linkcode evaluate}. */
export interface EvaluateOptions<Channels extends number, Out extends number>
  extends InferenceOptions<Channels, Out> {
  /** The loss, a mean over the batch: the same as in training. @default crossEntropy */
  loss?: Loss;
}

/**
 * Runs a model in inference over a whole set and compares what it predicts with the labels.
 *
 * The images are transformed as in training, by the transform that {@linkcode fit} left with the
 * model, where no other is given. Other work has a turn after each batch, so that a long evaluation
 * can be stopped.
 *
 * @throws {RangeError} If a layer does not fit, the model does not give logits for the classes of
 * the set, or a loss or a logit is not finite.
 * @throws {TypeError} If there is no such option, or one is of the wrong kind.
 * @throws The reason of `signal`, if it is aborted; an `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { evaluate, fashionMnist, flatten, linear, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const { accuracy, correct, confusion } = await evaluate(model, test);
 * assert.equal(accuracy, correct.filter((right) => right).length / 1000);
 * assert.equal(confusion[3]?.reduce((sum, count) => sum + count), 100); // 100 dresses
 * ```
 */
export async function evaluate<
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
>(
  model: Suiting<In, Result, NoInfer<Channels>, NoInfer<Classes>, NoInfer<Out>>,
  dataset: ImageDataset<Channels, Classes>,
  options: EvaluateOptions<NoInfer<Channels>, Out> = {},
): Promise<Evaluation> {
  return await evaluateAny(model as AnyModule as Classifier<Images, number>, dataset, options);
}

/** {@linkcode evaluate} for any model and data set. */
async function evaluateAny(
  model: Classifier<Images, number>,
  dataset: ImageDataset,
  options: EvaluateOptions<number, number>,
): Promise<Evaluation> {
  checkDataset("Evaluating", dataset);
  const doing = `Evaluating on "${dataset.name}"`;
  checkModule(doing, "the model", model);
  checkOptions<EvaluateOptions<number, number>>(doing, options, "{ batchSize: 100 }", {
    ...inferenceOptions,
    loss: true,
  });
  checkKinds(doing, options);
  const { transform = transformOf(model), signal } = options;
  const infer = inference(doing, model, dataset, options);
  using compiled = options.compile ? compile(infer) : undefined;
  using stop = linkInterrupt(signal);
  return await evaluateBy(doing, compiled ?? infer, model, dataset, {
    ...options,
    transform,
    signal: stop.signal,
  });
}

/** A model's logits and the loss of a batch. */
type Inference = (images: Images, labels: Labels) => { logits: Features; loss: Scalar };

/** The logits and the loss of a batch, as {@linkcode evaluate} computes them. */
export function inference(
  doing: string,
  model: Classifier<Images, number>,
  dataset: ImageDataset,
  { loss = crossEntropy, precision = "fp32" }: {
    readonly loss?: Loss;
    readonly precision?: Precision;
  },
): Inference {
  return (images, labels) => {
    const logits = withPrecision(precision, () => model.forward(images));
    checkLogits(doing, logits, dataset);
    const value = loss(logits, labels);
    if (!isTensor(value) || value.rank !== 0) {
      throw new TypeError(`${doing}: the loss must be one number, found ${show(value)}.`);
    }
    return { logits, loss: value };
  };
}

/** {@linkcode evaluate}, given what is computed for a batch, and options that are checked. */
export async function evaluateBy(
  doing: string,
  infer: Inference,
  model: AnyModule,
  dataset: ImageDataset,
  { batchSize = Math.min(256, dataset.count), transform, signal }: InferenceOptions<number, number>,
): Promise<Evaluation> {
  const { count, labels, classes } = dataset;
  const predictions = new Int32Array(count);
  const confidences = new Float32Array(count);
  let sum = 0, seen = 0;
  for (using batch of batches(dataset, { batchSize, transform })) {
    await yieldToEventLoop();
    signal?.throwIfAborted();
    tidy(() => {
      const { logits, loss } = explained(
        doing,
        model,
        batch.images,
        transform,
        () => infer(batch.images, batch.labels),
      );
      const probabilities = ops.softmax(logits);
      predictions.set(ops.argMax(probabilities).dataSync(), seen);
      confidences.set(ops.max(probabilities, [1]).dataSync(), seen);
      sum += loss.dataSync()[0]! * batch.labels.size;
    });
    const last = seen + batch.labels.size - 1;
    if (!Number.isFinite(sum)) {
      throw new RangeError(
        `${doing}: the loss must be finite, found ${sum} in images ${seen} to ${last}.`,
      );
    }
    // A loss of the user's own may be finite where a logit is not. The largest probability is never
    // 0.
    const broken = confidences.subarray(seen, last + 1).findIndex((largest) => !(largest > 0));
    if (broken >= 0) {
      throw new RangeError(
        `${doing}: the logits must be finite, found others for image ${seen + broken}.`,
      );
    }
    seen = last + 1;
  }
  const correct = Array.from(predictions, (prediction, i) => prediction === labels[i]);
  return {
    loss: sum / count,
    accuracy: correct.filter((right) => right).length / count,
    confusion: confusionMatrix(predictions, labels, classes),
    predictions,
    confidences,
    correct,
  };
}

/** Predictions of about the same confidence. */
export interface CalibrationBin {
  /** The confidences in this bin are above `from`… */
  readonly from: number;
  /** … and at most `to`. */
  readonly to: number;
  readonly count: number;
  /** The mean confidence. */
  readonly confidence: number;
  /** The part of the predictions that are correct. */
  readonly accuracy: number;
}

/** Whether a model is right as often as it is sure to be; made by {@linkcode calibration}. */
export interface Calibration {
  /** The bins that have predictions in them, by ascending confidence. */
  readonly bins: CalibrationBin[];
  /** The mean of `|accuracy − confidence|` over the bins, weighted by their counts. */
  readonly expectedError: number;
}

/**
 * Sorts predictions into bins of equal width by their confidence and compares it with how many are
 * correct: the expected calibration error is `Σ count / n · |accuracy − confidence|` (Guo et al.
 * 2017, equation 3).
 *
 * @throws {RangeError} If there are not as many confidences as answers, or none, one is not from 0
 * to 1, or `bins` is not a positive integer.
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
  const doing = "Measuring calibration";
  checkWhole(doing, "bins", bins);
  for (const [name, values] of Object.entries({ confidences, correct })) {
    if (typeof values?.length === "number") continue;
    const wanted = name === "correct" ? "answers" : "numbers";
    throw new TypeError(`${doing}: ${name} must be ${wanted} in an array, found ${show(values)}.`);
  }
  const stray = correct.findIndex((right) => typeof right !== "boolean");
  if (stray >= 0) {
    throw new TypeError(
      `${doing}: correct[${stray}] must be true or false, found ${show(correct[stray])}.`,
    );
  }
  const n = confidences.length;
  if (n === 0 || n !== correct.length) {
    throw new RangeError(
      `${doing}: expected a confidence for each answer, found ${n} for ${correct.length}.`,
    );
  }
  const sums = Array.from({ length: bins }, () => ({ count: 0, confidence: 0, correct: 0 }));
  for (let i = 0; i < n; i++) {
    const confidence = confidences[i]!;
    // A softmax can exceed 1 by a rounding.
    const bin = sums[Math.max(0, Math.ceil(Math.min(confidence, 1) * bins) - 1)];
    if (!(confidence >= 0 && confidence < 1.00001) || !bin) {
      throw new RangeError(
        `${doing}: expected confidences from 0 to 1, found ${confidence} at ${i}.`,
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
