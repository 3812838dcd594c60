import { dispose, ops, type Tensor } from "../tensor/mod.ts";
import { checkInteger, checkNumber } from "../tensor/internal.ts";
import type { Dataset } from "../data/mod.ts";
import { checkDataset, transformOf } from "../data/internal.ts";
import { bindTransform } from "../data/model_transform.ts";
import { checkHasState, checkOptimizer } from "./checks.ts";
import { startTraining } from "./fit.ts";
import type { AnyFitOptions, FitOptions } from "./fit_options.ts";
import type { Loss } from "./losses.ts";
import type { KnownOptions, LossFor, TrainableFor } from "./model_type_checks.ts";
import { asModel, checkRunOptions } from "./run.ts";
import { DivergenceError } from "./divergence_error.ts";
import { restore } from "./training_step.ts";

/** The options of {@linkcode findLearningRate}: its own, and those of a {@linkcode fit}. */
export interface FindLearningRateOptions<
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
  Model = never,
> extends
  Omit<
    FitOptions<Inputs, Targets, Out, Model>,
    "epochs" | "schedule" | "validation" | "validationLogits" | "checkpoint"
  > {
  /**
   * The first learning rate.
   *
   * @default 1e-6
   */
  from?: number;
  /**
   * The last learning rate.
   *
   * @default 10
   */
  to?: number;
  /**
   * The number of steps. From step to step the rate grows by the same factor.
   *
   * @default 100
   */
  steps?: number;
}

/** {@linkcode FindLearningRateOptions} for any model and any data. */
type AnyOptions =
  & Omit<FindLearningRateOptions<Tensor, Tensor, Tensor>, "objective">
  & Pick<AnyFitOptions, "objective">;

/** The losses of a short training run with a growing learning rate. */
export interface LearningRateSweep {
  /** The learning rate of each step. */
  readonly learningRates: number[];
  /** The loss of each step's batch, before the step. */
  readonly losses: number[];
  /** The running mean of the losses with the decay 0.9, corrected for its start at 0. */
  readonly smoothedLosses: number[];
}

/**
 * Trains for some steps with a learning rate that grows from step to step, and returns the losses:
 * a good rate is a few times smaller than the rate at which they stop falling (Smith 2017, section
 * 3.3).
 *
 * It ends early if the loss is not finite or the smoothed loss is four times its smallest. Then the
 * parameters, running statistics and transform of the model and the state and learning rate of the
 * optimizer are restored.
 *
 * @throws {RangeError} If `from`, `to` or `steps` do not make a growing sequence of positive
 * numbers, and for the same reasons as {@linkcode fit}.
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or the optimizer has no
 * {@linkcode Optimizer.state}.
 *
 * @example
 * ```ts
 * import { fashionMnist, findLearningRate, flatten, linear, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const { learningRates, losses } = await findLearningRate(model, train, {
 *   optimizer: sgd(model.parameters(), { learningRate: 1 }),
 *   batchSize: 64,
 *   from: 1e-4,
 *   to: 0.1,
 *   steps: 31,
 * });
 * assert.equal(learningRates[10]?.toFixed(6), "0.001000");
 * assert(losses.at(-1)! < losses[0]!);
 * ```
 */
export async function findLearningRate<
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
  options:
    & Omit<
      FindLearningRateOptions<NoInfer<Inputs>, NoInfer<Targets>, Out, NoInfer<Model>>,
      "loss"
    >
    & { loss?: LossFor<Given, NoInfer<Result>, NoInfer<Targets>> }
    & { loss?: Loss<NoInfer<Result>, NoInfer<Targets>> }
    & KnownOptions<Names, FindLearningRateOptions<Tensor, Tensor>>,
): Promise<LearningRateSweep> {
  const action = "Finding a learning rate";
  const classifier = asModel(action, model);
  checkDataset(action, dataset);
  checkRunOptions<AnyOptions>(action, options as AnyOptions, "{ optimizer, batchSize: 64 }", {
    optimizer: true,
    microBatchSize: true,
    loss: true,
    objective: true,
    augment: true,
    mixup: true,
    maxGradientNorm: true,
    dropLast: true,
    seed: true,
    from: true,
    to: true,
    steps: true,
  });
  const { from = 1e-6, to = 10, steps = 100, ...rest } = options as AnyOptions;
  const { optimizer } = rest;
  checkNumber(action, "from", from, from > 0 && from < Infinity, "a positive number");
  checkNumber(action, "to", to, to > from && to < Infinity, `a number greater than ${from}`);
  checkInteger(action, "steps", steps, 2);
  checkOptimizer(action, optimizer);
  checkHasState(action, optimizer);
  const training = startTraining(classifier, dataset, {
    ...rest,
    epochs: steps, // Enough, as each has at least one step.
    schedule: (step) => from * (to / from) ** (step / (steps - 1)),
  }, "Finding a learning rate on");
  const transform = transformOf(classifier);
  const variables = [...classifier.namedVariables().values()];
  const before = variables.map((variable): Tensor => ops.clone(variable));
  const state = optimizer.state();
  const sweep: LearningRateSweep = { learningRates: [], losses: [], smoothedLosses: [] };
  let running = 0;
  try {
    for await (const progress of training) {
      if (progress.kind === "epoch") continue;
      running = 0.9 * running + 0.1 * progress.loss;
      const smoothed = running / (1 - 0.9 ** progress.step);
      sweep.learningRates.push(progress.learningRate);
      sweep.losses.push(progress.loss);
      sweep.smoothedLosses.push(smoothed);
      if (progress.step === steps || smoothed > 4 * Math.min(...sweep.smoothedLosses)) break;
    }
  } catch (error) {
    if (!(error instanceof DivergenceError)) throw error;
  } finally {
    restore(variables, before);
    dispose(before);
    optimizer.loadState(state);
    dispose(state.tensors);
    bindTransform(classifier, transform);
  }
  return sweep;
}
