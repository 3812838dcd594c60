import {
  type Features,
  type Images,
  type Labels,
  ops,
  type Scalar,
  tidy,
  withPrecision,
} from "../tensor/mod.ts";
import { checkNumber, isTensor, linkInterrupt, show } from "../tensor/internal.ts";
import type { ImageDataset } from "../data/mod.ts";
import { transformOf } from "../data/internal.ts";
import { checkDataset } from "../data/dataset.ts";
import { checkLogits, explainChannels } from "./checks.ts";
import type { DataParallel } from "./data_parallel.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import { confusionMatrix } from "./metrics.ts";
import type { ClassifierFor } from "./model_type_checks.ts";
import {
  type AnyClassifier,
  asClassifier,
  checkRunOptions,
  compiledIf,
  forEachBatch,
  type RunOptions,
} from "./run.ts";

/** The performance of a model on a data set. The arrays are in the order of the images. */
export interface Evaluation {
  /** The mean loss. */
  readonly loss: number;
  /** The fraction of the images that are classified correctly, from 0 to 1. */
  readonly accuracy: number;
  /** The number of images by true class (row) and predicted class (column). */
  readonly confusion: number[][];
  /** The predicted class of each image. */
  readonly predictions: Int32Array;
  /** The probability of each predicted class, according to the model. */
  readonly confidences: Float32Array;
  /** Whether each prediction is the label. */
  readonly correct: boolean[];
  /** The indices of the images that are classified wrongly, the most confident first. */
  readonly mistakes: number[];
  /** How well each class is found, in the order of the class numbers. */
  readonly perClass: ClassScores[];
  /** The results of the option `metrics`. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * How well a class is found. A number that would be divided by zero is NaN: the precision of a
 * class that is never predicted, and the recall of a class without images.
 */
export interface ClassScores {
  /** The name of the class. */
  readonly className: string;
  /** The number of images of the class. */
  readonly count: number;
  /** The fraction of the predictions of this class that are correct. */
  readonly precision: number;
  /** The fraction of the images of this class that are found: its accuracy. */
  readonly recall: number;
  /** The harmonic mean of precision and recall, `2 · correct / (count + predicted)`. */
  readonly f1: number;
}

/** The options of {@linkcode evaluate}. */
export interface EvaluateOptions<Channels extends number, Out extends number>
  extends RunOptions<Channels, Out> {
  /**
   * The loss, a mean over the batch: the same as in training.
   *
   * @default crossEntropy
   */
  loss?: Loss;
  /**
   * Further numbers to compute, by name. Each function gets the logits `[count, classes]` and the
   * labels `[count]` of the whole data set.
   *
   * @example
   * ```ts
   * import { evaluate, type Features, fashionMnist, flatten } from "resnet-lab";
   * import { type Labels, linear, ops, sequential } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * const model = sequential(flatten(), linear(784, 10));
   * const classesPredicted = (logits: Features, _labels: Labels) =>
   *   new Set(ops.argMax(logits).dataSync()).size;
   * const { metrics } = await evaluate(model, test, { metrics: { classesPredicted } });
   * assert(metrics.classesPredicted! >= 1 && metrics.classesPredicted! <= 10);
   * ```
   */
  metrics?: Readonly<Record<string, (logits: Features, labels: Labels) => number>>;
}

/** {@linkcode EvaluateOptions} for any number of channels. */
type AnyEvaluateOptions = EvaluateOptions<number, number>;

/**
 * Runs a model in inference over a data set and compares its predictions with the labels.
 *
 * Without `transform`, the images are transformed as in training, by the transform that
 * {@linkcode fit} left with the model. It yields to the event loop after each batch, so that a long
 * evaluation can be stopped.
 *
 * @throws {RangeError} If a layer does not fit, the model does not return logits for the classes of
 * the data set, or a loss or a logit is not finite.
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
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
 * assert.equal(accuracy, correct.filter((isCorrect) => isCorrect).length / 1000);
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
  model: ClassifierFor<In, Result, NoInfer<Channels>, NoInfer<Classes>, NoInfer<Out>>,
  dataset: ImageDataset<Channels, Classes>,
  options: EvaluateOptions<NoInfer<Channels>, Out> = {},
): Promise<Evaluation> {
  checkDataset("Evaluating", dataset);
  const action = `Evaluating on "${dataset.name}"`;
  const classifier = asClassifier(action, model);
  checkRunOptions(action, options, "{ batchSize: 100 }", { loss: true, metrics: true });
  const { transform = transformOf(classifier) } = options;
  using stop = linkInterrupt(options.signal);
  using run = evaluator(action, classifier, dataset, { ...options, transform });
  return await run.evaluate(stop.signal);
}

/** The logits and the loss of a batch. */
type Inference = { readonly logits: Features; readonly loss: Scalar };

/** An evaluation that can run several times. */
export interface Evaluator extends Disposable {
  /** Evaluates the model as it is. */
  evaluate(signal: AbortSignal | undefined): Promise<Evaluation>;
  /** The function that computes logits and loss of a batch. */
  readonly infer: object;
}

/**
 * Returns an evaluation that can run several times, whose options are checked and whose `transform`
 * is known. Disposing it frees the graphs of a compiled evaluation.
 */
export function evaluator(
  action: string,
  model: AnyClassifier,
  dataset: ImageDataset,
  options: AnyEvaluateOptions & {
    readonly logitsOf?: (images: Images) => Features;
    readonly share?: DataParallel;
  },
): Evaluator {
  const { batchSize, transform, precision = "fp32", loss = crossEntropy, share } = options;
  const { logitsOf = (images: Images) => model.forward(images) } = options;
  const infer = compiledIf(options.compile, (images: Images, labels: Labels): Inference => {
    const logits = withPrecision(precision, () => logitsOf(images));
    checkLogits(action, logits, dataset);
    const value = loss(logits, labels);
    if (!isTensor(value) || value.rank !== 0) {
      throw new TypeError(`${action}: the loss must be one number, found ${show(value)}.`);
    }
    return { logits, loss: value };
  });
  const { count, labels, classes, classNames } = dataset;
  const metrics = Object.entries(options.metrics ?? {});
  return {
    async evaluate(signal) {
      const allLogits = new Float32Array(metrics.length > 0 ? count * classes : 0);
      const predictions = new Int32Array(count);
      const confidences = new Float32Array(count);
      let sum = 0;
      await forEachBatch(dataset, { batchSize, transform, signal }, (batch, first) => {
        const { logits, loss } = explainChannels(
          action,
          model,
          batch.images,
          transform,
          () => infer(batch.images, batch.labels),
        );
        if (metrics.length > 0) allLogits.set(logits.dataSync(), first * classes);
        const probabilities = ops.softmax(logits);
        predictions.set(ops.argMax(probabilities).dataSync(), first);
        confidences.set(ops.max(probabilities, [1]).dataSync(), first);
        sum += loss.dataSync()[0]! * batch.labels.size;
        const last = first + batch.labels.size - 1;
        if (!Number.isFinite(sum)) {
          throw new RangeError(
            `${action}: the loss must be finite, found ${sum} in images ${first} to ${last}.`,
          );
        }
        // The caller's own loss may be finite although a logit is not. The largest probability is
        // never 0.
        const broken = confidences.subarray(first, last + 1).findIndex((largest) => !(largest > 0));
        if (broken >= 0) {
          throw new RangeError(
            `${action}: the logits must be finite, found others for image ${first + broken}.`,
          );
        }
      }, share);
      sum = share?.gather(sum, [allLogits, predictions, confidences]) ?? sum;
      const correct = Array.from(predictions, (prediction, i) => prediction === labels[i]);
      const confusion = confusionMatrix(predictions, labels, classes);
      return {
        loss: sum / count,
        accuracy: correct.filter((isCorrect) => isCorrect).length / count,
        mistakes: correct.flatMap((isCorrect, i) => isCorrect ? [] : i)
          .sort((a, b) => confidences[b]! - confidences[a]!),
        confusion,
        predictions,
        confidences,
        correct,
        perClass: scoresPerClass(confusion, classNames),
        metrics: Object.fromEntries(metrics.map(([name, metric]) => {
          const value: unknown = tidy(() =>
            metric(ops.tensor(allLogits, [count, classes]), dataset.labelTensor())
          );
          checkNumber(action, `the metric ${name}`, value, true, "a number");
          return [name, value];
        })),
      };
    },
    infer,
    [Symbol.dispose]: () => infer[Symbol.dispose](),
  };
}

/** Returns the scores of each class from the confusion matrix. */
function scoresPerClass(confusion: number[][], classNames: readonly string[]): ClassScores[] {
  return classNames.map((className, label) => {
    const correct = confusion[label]![label]!;
    const count = confusion[label]!.reduce((sum, n) => sum + n, 0);
    const predicted = confusion.reduce((sum, row) => sum + row[label]!, 0);
    const precision = correct / predicted, recall = correct / count;
    return { className, count, precision, recall, f1: 2 * correct / (count + predicted) };
  });
}
