import type { Labels, Tensor, Variable } from "../tensor/mod.ts";
import {
  checkBoolean,
  checkFunction,
  checkNumber,
  checkString,
  type OptionNames,
} from "../tensor/internal.ts";
import type { Dataset } from "../data/mod.ts";
import { checkDataset } from "../data/internal.ts";
import {
  adam,
  evaluate,
  type Evaluation,
  type FitOptions,
  type History,
  type KnownOptions,
  type ModelFor,
  oneCycle,
  type Optimizer,
  type Schedule,
} from "../train/mod.ts";
import { startTraining } from "../train/fit.ts";
import { fitOptions } from "../train/fit_checks.ts";
import type { AnyFitOptions } from "../train/fit_options.ts";
import { asModel, checkRunOptions, type RunOptions } from "../train/run.ts";
import { duration } from "./duration.ts";
import { showProgress } from "./progress.ts";

/** Options of {@linkcode trainAndEvaluate}: its own, and those of {@linkcode fit}. */
export interface TrainAndEvaluateOptions<
  Inputs extends Tensor,
  Targets extends Labels,
  Out extends Tensor,
> extends Omit<FitOptions<Inputs, Targets, Out>, "optimizer" | "objective" | "validationLogits"> {
  /** The largest learning rate of the schedule. */
  learningRate: number;
  /**
   * Makes the optimizer; it is disposed after the training.
   *
   * @default adam
   */
  optimizer?: (parameters: Variable[], options: { learningRate: number }) => Optimizer;
  /**
   * The learning rate of each step.
   *
   * @default oneCycle({ maximum: learningRate })
   */
  schedule?: Schedule;
  /**
   * The name of the run in a line of log at the end.
   *
   * @default no line
   */
  name?: string;
  /**
   * Whether the progress is shown as {@linkcode showProgress} does.
   *
   * @default false
   */
  live?: boolean;
}

/** {@linkcode TrainAndEvaluateOptions} for any inputs and classes. */
type AnyOptions = TrainAndEvaluateOptions<Tensor, Labels, Tensor>;

const { objective: _, validationLogits: _1, stepsPerEpoch: _2, ...sharedOptions } = fitOptions;

/** The names of the options, without those of {@linkcode RunOptions}. */
export const trainingOptions: OptionNames<Omit<AnyOptions, keyof RunOptions>> = {
  ...sharedOptions,
  learningRate: true,
  name: true,
  live: true,
};

/** The performance of a model after its training. */
export interface TrainedModel<Model> extends Evaluation {
  /** The model. */
  readonly model: Model;
  /** The progress of the training. */
  readonly history: History;
  /** The time of the training steps in seconds, without evaluations. */
  readonly seconds: number;
}

/**
 * Trains a classifier with {@linkcode fit} and evaluates it on held-out examples: by default with
 * Adam and one cycle of the learning rate. Where Stop ends the training early, the model is
 * evaluated as it is then, and the line of log has the number of epochs that were finished.
 *
 * @param model The model. It stays as trained.
 * @param dataset The training set.
 * @param heldOut The examples for the evaluation after the training: a validation set, or at the
 * very end the test set.
 * @param options The options of the training.
 * @throws {TypeError} If an argument or an option is of the wrong kind.
 * @throws {RangeError} If the learning rate is not positive, or for the same reasons as
 * {@linkcode fit} and {@linkcode evaluate}.
 * @throws {DivergenceError} If the training diverges.
 *
 * @example
 * ```ts
 * import { fashionMnist, flatten, linear, sequential, trainAndEvaluate } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const { accuracy, seconds, history } = await trainAndEvaluate(model, train, test, {
 *   epochs: 1,
 *   batchSize: 100,
 *   learningRate: 0.01,
 *   name: "one layer", // prints "one layer: 1 epoch in 1 s · … · held-out accuracy 73.1 %"
 * });
 * assert(accuracy > 0.6 && seconds > 0);
 * assert.equal(history.steps.length, 60);
 * ```
 */
export async function trainAndEvaluate<
  Model,
  In,
  Result,
  Inputs extends Tensor,
  Targets extends Labels,
  Out extends Tensor = Inputs,
  Names extends PropertyKey = never,
>(
  model:
    & Model
    & ModelFor<In, Result, NoInfer<Inputs>, NoInfer<Targets>, NoInfer<Out>>,
  dataset: Dataset<Inputs, Targets>,
  heldOut: Dataset<NoInfer<Inputs>, NoInfer<Targets>>,
  options:
    & TrainAndEvaluateOptions<NoInfer<Inputs>, NoInfer<Targets>, Out>
    & KnownOptions<Names, TrainAndEvaluateOptions<Tensor, Labels, Tensor>>,
): Promise<TrainedModel<Model>> {
  const action = "Training and evaluating";
  const classifier = asModel(action, model), given = options as AnyOptions;
  checkDataset(action, dataset);
  checkDataset(action, heldOut);
  checkRunOptions<AnyOptions>(
    action,
    given,
    "{ epochs: 6, batchSize: 64, learningRate: 0.01 }",
    trainingOptions,
  );
  const { learningRate, optimizer: makeOptimizer = adam, name, live = false, ...rest } = given;
  const isRate = learningRate > 0 && learningRate < Infinity;
  checkNumber(action, "learningRate", learningRate, isRate, "a positive number");
  checkFunction(action, "optimizer", makeOptimizer);
  if (name !== undefined) checkString(action, "name", name);
  checkBoolean(action, "live", live);
  const { loss, precision, compile, signal } = rest;
  const { schedule = oneCycle({ maximum: learningRate }) } = rest;
  using optimizer = makeOptimizer(classifier.parameters(), { learningRate });
  const ready: object = { ...rest, schedule, optimizer };
  const training = startTraining(classifier, dataset, ready as AnyFitOptions);
  const history = live ? await showProgress(training) : await training;
  const run = { loss, precision, compile, signal };
  const labelled: Dataset<Tensor, Labels<number>> = heldOut;
  const evaluation: Evaluation = await evaluate(classifier as never, labelled, run as object);
  const seconds = history.epochs.reduce((sum, epoch) => sum + epoch.seconds, 0);
  if (name !== undefined) console.log(`${name}: ${logLine(history, evaluation, seconds)}`);
  return { ...evaluation, model, history, seconds };
}

/** Returns the results of a training in one line. */
function logLine({ epochs }: History, evaluation: Evaluation, seconds: number): string {
  const last = epochs.at(-1);
  const percent = (fraction: number) => `${(100 * fraction).toFixed(2)} %`;
  return [
    `${epochs.length} epoch${epochs.length === 1 ? "" : "s"} in ${duration(1000 * seconds)}`,
    ...(last ? [`training accuracy ${percent(last.trainAccuracy)}`] : []),
    `held-out accuracy ${percent(evaluation.accuracy)}`,
  ].join(" · ");
}
