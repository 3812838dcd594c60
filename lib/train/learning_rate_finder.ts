import {
  checkOptions,
  dispose,
  type Images,
  ops,
  type Tensor,
  type Variable,
} from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkModule } from "../nn/checks.ts";
import type { AnyModule, Classifier } from "../nn/mod.ts";
import { type ImageDataset, transformOf } from "../data/mod.ts";
import { bindTransform } from "../data/internal.ts";
import { checkOptimizer } from "./checks.ts";
import { DivergenceError, fit, type FitOptions } from "./fit.ts";
import type { Optimizer } from "./optimizers.ts";
import type { Suiting } from "./suits.ts";

/** How {@linkcode findLearningRate} goes about it; for the rest see {@linkcode FitOptions}. */
export interface FindLearningRateOptions<
  Channels extends number,
  Classes extends number,
  Out extends number,
> extends
  Pick<
    FitOptions<Channels, Classes, Out>,
    "batchSize" | "loss" | "transform" | "augment" | "maxGradientNorm" | "seed" | "signal"
  > {
  /**
   * Makes the optimizer to find a rate for, as
   * `(parameters) => sgd(parameters, { learningRate: 1, momentum: 0.9 })`.
   */
  optimizer: (parameters: readonly Variable[]) => Optimizer;
  /** The first learning rate; 1e-6 unless said otherwise. */
  from?: number;
  /** The last learning rate; 10 unless said otherwise. */
  to?: number;
  /** The number of steps, each with a rate larger by the same factor; 100 unless said otherwise. */
  steps?: number;
}

type Options = FindLearningRateOptions<number, number, number>;

/** The losses of a short training with a growing learning rate. */
export interface LearningRateSweep {
  readonly learningRates: number[];
  /** The loss of the batch that was seen with each rate, before its step. */
  readonly losses: number[];
  /**
   * The losses as a running mean, of which each keeps nine tenths of the one before, corrected for
   * its start.
   */
  readonly smoothedLosses: number[];
}

/**
 * Trains for some steps with a learning rate that grows from step to step, and reports the losses:
 * a good rate is a few times smaller than where they stop falling (Smith 2017, section 3.3).
 *
 * It ends early where the loss is not finite or the smoothed one four times its smallest. The
 * parameters, running statistics and the transform of the model are as before afterwards.
 *
 * @throws {RangeError} If `from`, `to` or `steps` do not make a growing sequence of positive
 * numbers, or as {@linkcode fit} does.
 * @throws {TypeError} If there is no such option, or one is of the wrong kind.
 *
 * @example
 * ```ts
 * import { fashionMnist, findLearningRate, flatten, linear, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const { learningRates, losses } = await findLearningRate(model, train, {
 *   optimizer: (parameters) => sgd(parameters, { learningRate: 1 }),
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
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
>(
  model: Suiting<In, Result, NoInfer<Channels>, NoInfer<Classes>, NoInfer<Out>>,
  dataset: ImageDataset<Channels, Classes>,
  options: FindLearningRateOptions<NoInfer<Channels>, NoInfer<Classes>, Out>,
): Promise<LearningRateSweep> {
  return await sweepAny(model as AnyModule as Classifier<Images, number>, dataset, options);
}

/** {@linkcode findLearningRate} for any model and data set. */
async function sweepAny(
  model: Classifier<Images, number>,
  dataset: ImageDataset,
  options: Options,
): Promise<LearningRateSweep> {
  const doing = "Finding a learning rate";
  checkModule(doing, "the model", model);
  checkOptions<Options>(doing, options, "{ optimizer: (p) => sgd(p, …), batchSize: 64 }", {
    optimizer: true,
    from: true,
    to: true,
    steps: true,
    batchSize: true,
    loss: true,
    transform: true,
    augment: true,
    maxGradientNorm: true,
    seed: true,
    signal: true,
  });
  const { from = 1e-6, to = 10, steps = 100, optimizer: makeOptimizer, ...rest } = options;
  for (const [name, value] of Object.entries({ from, to, steps })) {
    if (typeof value === "number") continue;
    throw new TypeError(`${doing}: ${name} must be a number, found ${show(value)}.`);
  }
  if (!(from > 0 && to > from && to < Infinity && Number.isInteger(steps) && steps > 1)) {
    throw new RangeError(
      `${doing}: expected 0 < from < to and at least 2 steps, found from ${from} to ${to} in ${steps} steps.`,
    );
  }
  if (typeof makeOptimizer !== "function") {
    throw new TypeError(
      `${doing}: optimizer must be a function that makes one, such as (p) => sgd(p, { learningRate: 1 }), found ${
        show(makeOptimizer)
      }.`,
    );
  }
  const made = makeOptimizer(model.parameters());
  checkOptimizer(doing, made);
  using optimizer = made;
  const training = fit(model, dataset, {
    ...rest,
    optimizer,
    epochs: steps, // Enough, as each has at least one step.
    schedule: (step) => from * (to / from) ** (step / (steps - 1)),
  });
  const transform = transformOf(model);
  const variables = [...model.namedVariables().values()];
  const before = variables.map((variable): Tensor => ops.clone(variable));
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
    variables.forEach((variable, i) => variable.assign(before[i]!));
    dispose(before);
    bindTransform(model, transform);
  }
  return sweep;
}
