import {
  type Features,
  type IsLabels,
  ops,
  type Scalar,
  type Tensor,
  tidy,
  withPrecision,
} from "../tensor/mod.ts";
import { checkNumber, isTensor, linkInterrupt, precisionOf, show } from "../tensor/internal.ts";
import type { Dataset } from "../data/mod.ts";
import { areLabels, checkDataset, transformOf } from "../data/internal.ts";
import { checkLogits, checkTargets, explainChannels } from "./checks.ts";
import type { DataParallel } from "./data_parallel.ts";
import { DivergenceError } from "./divergence_error.ts";
import type { OutputsFor } from "./fit_options.ts";
import { type AnyLoss, crossEntropy, type Loss } from "./losses.ts";
import { confusionMatrix } from "./metrics.ts";
import type { KnownOptions, LossFor, TrainableFor } from "./model_type_checks.ts";
import {
  type AnyModel,
  asModel,
  checkRunOptions,
  compiledIf,
  compilesModel,
  forEachBatch,
  type RunOptions,
} from "./run.ts";

/** The loss of a model on a data set, and further numbers. */
export interface LossEvaluation {
  /** The mean loss. */
  readonly loss: number;
  /** The results of the option `metrics`. */
  readonly metrics: Readonly<Record<string, number>>;
}

/** The performance of a classifier on a data set. The arrays are in the order of the images. */
export interface Evaluation extends LossEvaluation {
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
}

/** The result of {@linkcode evaluate}: for targets that are not class numbers, the loss. */
export type EvaluationFor<Targets> = IsLabels<Targets> extends true ? Evaluation : LossEvaluation;

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
export interface EvaluateOptions<
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
  Outputs extends Tensor = OutputsFor<Targets>,
> extends RunOptions<Inputs, Out> {
  /**
   * The loss, a mean over the batch: the same as in training. Targets that are not class numbers
   * need another than the default.
   *
   * @default crossEntropy
   */
  loss?: Loss<Outputs, Targets>;
  /**
   * Further numbers to compute, by name. Each function gets the outputs and the targets of the
   * whole data set: for classes the logits `[count, classes]` and the labels `[count]`.
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
  metrics?: Readonly<Record<string, (outputs: Outputs, targets: Targets) => number>>;
}

/** {@linkcode EvaluateOptions} for any data. */
type AnyEvaluateOptions = EvaluateOptions<Tensor, Tensor, Tensor, Tensor>;

/**
 * Runs a model in inference over a data set and compares its outputs with the targets: for class
 * numbers its predictions with the labels, for other targets by the loss.
 *
 * Without `transform`, the images are transformed as in training, by the transform that
 * {@linkcode fit} left with the model. It yields to the event loop after each batch, so that a long
 * evaluation can be stopped.
 *
 * @throws {RangeError} If a layer does not fit, or the model does not return logits for the classes
 * of the data set.
 * @throws {DivergenceError} If a loss or a logit is not finite.
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or the targets are not
 * class numbers and there is no other loss.
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
  Model,
  In,
  Result extends Tensor,
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
  Given = Loss<Result, Targets>,
  Names extends PropertyKey = never,
>(
  model: TrainableFor<
    Model,
    In,
    Result,
    NoInfer<Inputs>,
    NoInfer<Targets>,
    NoInfer<Out>,
    NoInfer<Names>
  >,
  dataset: Dataset<Inputs, Targets>,
  options?:
    & Omit<EvaluateOptions<NoInfer<Inputs>, NoInfer<Targets>, Out, NoInfer<Result>>, "loss">
    & { loss?: LossFor<Given, NoInfer<Result>, NoInfer<Targets>> }
    & { loss?: Loss<NoInfer<Result>, NoInfer<Targets>> }
    & KnownOptions<Names, EvaluateOptions<Tensor, Tensor>>,
): Promise<EvaluationFor<Targets>> {
  checkDataset("Evaluating", dataset);
  const action = `Evaluating on "${dataset.name}"`;
  const runnable = asModel(action, model);
  const given = (options ?? {}) as AnyEvaluateOptions;
  checkRunOptions(action, given, "{ batchSize: 100 }", { loss: true, metrics: true });
  const { transform = transformOf(runnable) } = given;
  using stop = linkInterrupt(given.signal);
  // The loss is in the graph too.
  const compile = given.compile ??
    ((given.loss ?? crossEntropy) === crossEntropy && compilesModel(given, runnable, dataset));
  using run = evaluator(action, runnable, dataset, { ...given, transform, compile });
  return await run.evaluate(stop.signal) as EvaluationFor<Targets>;
}

/** The outputs and the loss of a batch. */
type Inference = { readonly outputs: Tensor; readonly loss: Scalar };

/** An evaluation that can run several times. */
export interface Evaluator extends Disposable {
  /** Evaluates the model as it is. The results of a classifier are an {@linkcode Evaluation}. */
  evaluate(signal: AbortSignal | undefined): Promise<Evaluation | LossEvaluation>;
  /** The function that computes outputs and loss of a batch. */
  readonly infer: object;
}

/**
 * Returns an evaluation that can run several times, whose options are checked and whose `transform`
 * is known. Disposing it frees the graphs of a compiled evaluation.
 */
export function evaluator(
  action: string,
  model: AnyModel,
  dataset: Dataset,
  options: AnyEvaluateOptions & {
    readonly logitsOf?: (inputs: Tensor) => Tensor;
    readonly share?: DataParallel;
  },
): Evaluator {
  const { batchSize, transform, loss = crossEntropy as AnyLoss } = options;
  const precision = precisionOf(options.precision);
  const { logitsOf = (inputs: Tensor) => model.forward(inputs), share } = options;
  const infer = compiledIf(options.compile, (inputs: Tensor, targets: Tensor): Inference => {
    checkTargets(action, targets, loss);
    const outputs = withPrecision(precision, () => logitsOf(inputs));
    if (areLabels(targets)) checkLogits(action, outputs, dataset.classNames?.length);
    const value = loss(outputs, targets);
    if (!isTensor(value) || value.rank !== 0) {
      throw new TypeError(`${action}: the loss must be one number, found ${show(value)}.`);
    }
    return { outputs, loss: value };
  });
  const { count } = dataset;
  const metrics = Object.entries(options.metrics ?? {});
  return {
    async evaluate(signal) {
      const allOutputs = new Collected(count, metrics.length > 0);
      const allTargets = new Collected(count, true);
      const predictions = new Int32Array(count);
      const confidences = new Float32Array(count);
      let sum = 0, hasLabels = dataset.classNames !== undefined;
      let classes = dataset.classNames?.length ?? 0;
      await forEachBatch(dataset, { batchSize, transform, signal }, (batch, first) => {
        const { inputs, targets, size } = batch;
        const { outputs, loss } = explainChannels(
          action,
          model,
          inputs,
          transform,
          () => infer(inputs, targets),
        );
        allOutputs.add(outputs, first);
        allTargets.add(targets, first);
        hasLabels = areLabels(targets);
        sum += loss.dataSync()[0]! * size;
        const last = first + size - 1;
        if (!Number.isFinite(sum)) {
          throw new DivergenceError(
            `${action}: the loss must be finite, found ${sum} in images ${first} to ${last}.`,
          );
        }
        if (!hasLabels) return;
        classes = outputs.shape[1]!;
        const probabilities = ops.softmax(outputs as Features);
        predictions.set(ops.argMax(probabilities).dataSync(), first);
        confidences.set(ops.max(probabilities, [1]).dataSync(), first);
        // The caller's own loss may be finite although a logit is not. The largest probability is
        // never 0.
        const broken = confidences.subarray(first, last + 1).findIndex((largest) => !(largest > 0));
        if (broken >= 0) {
          throw new DivergenceError(
            `${action}: the logits must be finite, found others for image ${first + broken}.`,
          );
        }
      }, share);
      // A process without an example in any batch knows the classes only.
      if (share && dataset.classNames) {
        allTargets.expect("int32", 1);
        allOutputs.expect("float32", dataset.classNames.length);
      }
      const all = [allOutputs, allTargets].flatMap(({ values }) => values ? [values] : []);
      sum = share?.gather(sum, [...all, predictions, confidences]) ?? sum;
      const result: LossEvaluation = {
        loss: sum / count,
        metrics: Object.fromEntries(metrics.map(([name, metric]) => {
          const value: unknown = tidy(() => metric(allOutputs.tensor(), allTargets.tensor()));
          if (isTensor(value)) {
            throw new TypeError(
              `${action}: the metric ${name} must be a number, found ${show(value)}. ` +
                "Return a number of its dataSync().",
            );
          }
          checkNumber(action, `the metric ${name}`, value, true, "a number");
          return [name, value];
        })),
      };
      if (!hasLabels) return result;
      const labels = allTargets.values!;
      const { classNames = Array.from({ length: classes }, (_, i) => String(i)) } = dataset;
      const correct = Array.from(predictions, (prediction, i) => prediction === labels[i]);
      const confusion = confusionMatrix(predictions, labels, classes);
      const evaluation: Evaluation = {
        ...result,
        accuracy: correct.filter((isCorrect) => isCorrect).length / count,
        mistakes: correct.flatMap((isCorrect, i) => isCorrect ? [] : i)
          .sort((a, b) => confidences[b]! - confidences[a]!),
        confusion,
        predictions,
        confidences,
        correct,
        perClass: scoresPerClass(confusion, classNames),
      };
      return evaluation;
    },
    infer,
    [Symbol.dispose]: () => infer[Symbol.dispose](),
  };
}

/** The tensors of all batches of a data set, one after the other. */
class Collected {
  readonly #count: number;
  readonly #isUsed: boolean;
  #values: Float32Array | Int32Array | undefined;
  #shape: number[] = [];

  constructor(count: number, isUsed: boolean) {
    this.#count = count;
    this.#isUsed = isUsed;
  }

  /** Adds the tensor of a batch, whose first example is `first` of the data set. */
  add(batch: Tensor, first: number): void {
    if (!this.#isUsed) return;
    const size = batch.size / batch.shape[0]!;
    this.#shape = [this.#count, ...batch.shape.slice(1)];
    this.#values ??= batch.dtype === "int32"
      ? new Int32Array(this.#count * size)
      : new Float32Array(this.#count * size);
    this.#values.set(batch.dataSync(), first * size);
  }

  /** Makes room for numbers of other processes, if there was no batch. */
  expect(dtype: "float32" | "int32", size: number): void {
    if (!this.#isUsed || this.#values) return;
    this.#shape = dtype === "int32" ? [this.#count] : [this.#count, size];
    this.#values = new (dtype === "int32" ? Int32Array : Float32Array)(this.#count * size);
  }

  get values(): Float32Array | Int32Array | undefined {
    return this.#values;
  }

  /** Returns all as one tensor. */
  tensor(): Tensor {
    const values = this.#values!;
    return ops.tensor(values, this.#shape, values instanceof Int32Array ? "int32" : "float32");
  }
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
