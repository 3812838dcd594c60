/** One step of training: loss, gradients, and the optimizer's change. */
import {
  type Compiled,
  dispose,
  type Features,
  type Labels,
  ops,
  type Scalar,
  type Tensor,
  tidy,
  valueAndGradients,
  type Variable,
  withPrecision,
} from "../tensor/mod.ts";
import {
  argMaxWithoutNaN,
  checkNumber,
  keep,
  precisionOf,
  squaredNorm,
  UnusedInputError,
  vectorNorm,
  withBatchPart,
} from "../tensor/internal.ts";
import type { AnyModule } from "../nn/mod.ts";
import { areLabels } from "../data/internal.ts";
import { checkTargets } from "./checks.ts";
import { clipGradients } from "./clip.ts";
import type { DataParallel } from "./data_parallel.ts";
import { DivergenceError } from "./divergence_error.ts";
import { EpochMeans } from "./epoch_means.ts";
import type { AnyFitOptions, ObjectiveResult } from "./fit_options.ts";
import { type AnyLoss, crossEntropy } from "./losses.ts";
import { accuracyOf, predictedClasses } from "./metrics.ts";
import type { StepInputs } from "./mixup.ts";
import { checkedObjective } from "./objective.ts";
import type { Optimizer } from "./rule_optimizer.ts";
import type { StepProgress } from "./progress.ts";
import { type AnyModel, compiledIf, rows } from "./run.ts";
import type { Schedule } from "./schedules.ts";
import { checkTrainingMode } from "./training_mode.ts";

/** The results of a step that {@linkcode fit} yields. */
export type StepResult = Pick<StepProgress, "loss" | "accuracy" | "gradientNorm" | "metrics">;

/** The tensors that a step computes before it changes parameters. */
type StepTensors = {
  readonly value: Scalar;
  readonly gradients: readonly Tensor[];
  readonly square: Scalar;
  /** The predicted classes, or nothing if the objective returned no logits. */
  readonly predictions: readonly Labels[];
  readonly metrics: Readonly<Record<string, Scalar>>;
};

/** The steps of a training. Disposing it frees the graphs of a compiled training. */
export class TrainingStep implements Disposable {
  readonly #action: string;
  readonly #model: AnyModel;
  readonly #options: AnyFitOptions;
  readonly #totalSteps: number;
  readonly #statistics: readonly Variable[];
  readonly #share: DataParallel | undefined;
  /** The function that computes the tensors of a step. */
  readonly compute: Compiled<StepInputs, StepTensors>;

  constructor(
    action: string,
    model: AnyModel,
    classes: number | undefined,
    options: AnyFitOptions,
    totalSteps: number,
    share?: DataParallel,
  ) {
    this.#action = action;
    this.#share = share;
    this.#model = model;
    this.#options = options;
    this.#totalSteps = totalSteps;
    this.#statistics = runningStatistics(model);
    this.compute = compiledIf(options.compile, lossAndGradients(action, model, classes, options));
  }

  /**
   * Runs a step. After an error, parameters, running statistics and learning rate are as before.
   *
   * @param inputs Returns the inputs, whose tensors are disposed after the step.
   * @param count The number of images in the batch, over all processes.
   * @param step The index of the step, from 0.
   * @param place The place of the step in the training, for messages.
   * @throws {DivergenceError} If a loss, a gradient, or a running statistic is not finite.
   */
  run(inputs: () => StepInputs, count: number, step: number, place: string): StepResult {
    const { optimizer, schedule, maxGradientNorm = Infinity } = this.#options;
    const statistics = this.#statistics;
    const { learningRate } = optimizer;
    return tidy(() => {
      const before = statistics.map((statistic): Tensor => ops.clone(statistic));
      try {
        if (schedule) {
          optimizer.learningRate = rateOf(this.#action, schedule, step, this.#totalSteps);
        }
        const { loss, accuracy, metrics, gradients, square } = this.#measure(inputs(), count);
        const gradientNorm = vectorNorm(gradients, square);
        const broken = newlyBroken(statistics, before);
        if (broken || ![loss, gradientNorm].every(Number.isFinite)) {
          throw new DivergenceError(
            `Training stopped at ${place} with learning rate ${optimizer.learningRate}: ${
              describeDivergence(loss, this.#model, optimizer, gradients, broken)
            } The model is as it was before this step. Try a smaller learning rate, a warm-up, or maxGradientNorm.`,
          );
        }
        optimizer.step(
          clipGradients(gradients, gradientNorm, maxGradientNorm),
          Math.min(gradientNorm, maxGradientNorm),
        );
        return { loss, accuracy, gradientNorm, ...(metrics && { metrics }) };
      } catch (error) {
        restore(statistics, before);
        if (optimizer.learningRate !== learningRate) optimizer.learningRate = learningRate;
        throw error instanceof UnusedInputError
          ? unusedParameters(this.#action, this.#model, optimizer, error)
          : error;
      }
    });
  }

  /**
   * Measures a batch, in parts of `microBatchSize` images. A mean over the batch is the mean of
   * those over the parts, weighted by their numbers of images. On several processes these are the
   * parts of all of them.
   *
   * @param count The number of images in the whole batch.
   */
  #measure(inputs: StepInputs, count: number): Measurement {
    const { microBatchSize = Infinity } = this.#options, share = this.#share;
    if (count <= microBatchSize && !share) return this.#measureAtOnce(inputs);
    const means = new EpochMeans();
    let sums: readonly Tensor[] = [], first = 0;
    for (const part of share?.parts(count, microBatchSize) ?? partsOf(count, microBatchSize)) {
      const size = part.rows?.length ?? part.count;
      const before = sums, begin = first;
      sums = tidy(() => {
        const { gradients, ...numbers } = withBatchPart(
          part.rows && part,
          () => this.#measureAtOnce(slicePart(inputs, begin, size)),
        );
        means.add(numbers, size);
        return gradients.map((gradient, i): Tensor => {
          const portion = ops.mul(gradient, size / count), sum = sums[i];
          return sum ? ops.add(sum, portion) : portion;
        });
      });
      first += size;
      dispose([...before]);
    }
    if (share) {
      sums = share.sumTensors(sums);
      means.sumOver(share.sum);
    }
    const { trainLoss: loss, trainAccuracy: accuracy, metrics } = means.result();
    return { loss, accuracy, metrics, gradients: sums, square: squaredNorm(sums) };
  }

  #measureAtOnce(inputs: StepInputs): Measurement {
    const { value, gradients, square, predictions, metrics } = this.compute(...inputs);
    const loss = value.dataSync()[0]!;
    const [predicted] = predictions;
    const accuracy = predicted ? accuracyOf(predicted, inputs[1] as Labels) : NaN;
    predicted?.dispose();
    return { loss, accuracy, metrics: readAndDispose(metrics), gradients, square };
  }

  [Symbol.dispose](): void {
    this.compute[Symbol.dispose]();
  }
}

/** The numbers and gradients of a batch. */
type Measurement =
  & Pick<StepResult, "loss" | "accuracy" | "metrics">
  & Pick<StepTensors, "gradients" | "square">;

/** The parts of a batch on one process. */
function partsOf(count: number, micro: number): { count: number; rows?: undefined }[] {
  return Array.from(
    { length: Math.ceil(count / micro) },
    (_, i) => ({ count: Math.min(micro, count - i * micro) }),
  );
}

/** Some examples of a batch. */
function slicePart(
  [inputs, targets, ...mixed]: StepInputs,
  first: number,
  size: number,
): StepInputs {
  const some = rows(inputs, first, size), own = rows(targets, first, size);
  if (mixed.length === 0) return [some, own];
  const [otherTargets, lambda, rest] = mixed;
  return [some, own, rows(otherTargets, first, size), lambda, rest];
}

/** Returns the function that computes the tensors of a step. It changes running statistics only. */
function lossAndGradients(
  action: string,
  model: AnyModel,
  classes: number | undefined,
  options: AnyFitOptions,
): (...inputs: StepInputs) => StepTensors {
  const { optimizer, loss = crossEntropy as AnyLoss, objective } = options;
  const precision = precisionOf(options.precision);
  // The cross-entropy is NaN if a logit is, and ends the training. The caller's own loss need not.
  const predictClasses = loss === (crossEntropy as AnyLoss) && !objective
    ? argMaxWithoutNaN
    : predictedClasses;
  const minimised = objective
    ? checkedObjective(action, model as never, classes, objective)
    : (...[inputs, targets, otherTargets, lambda, rest]: StepInputs): ObjectiveResult<number> => {
      checkTargets(action, targets, loss);
      const outputs = model.forward(inputs, { training: true });
      const own = loss(outputs, targets);
      const logits = areLabels(targets) ? outputs as Features : undefined;
      if (!otherTargets || !lambda || !rest) return { loss: own, logits };
      const other = loss(outputs, otherTargets);
      return { loss: ops.add(ops.mul(own, lambda), ops.mul(other, rest)), logits };
    };
  let isChecked = false;
  return (...inputs) => {
    // The gradient disposes all other tensors of the forward pass.
    const kept: Tensor[] = [];
    const keepTensor = <T extends Tensor>(tensor: T): T => {
      kept.push(keep(tensor));
      return tensor;
    };
    let predictions: Labels[] = [];
    let metrics: Record<string, Scalar> = {};
    try {
      const { value, gradients } = withPrecision(precision, () =>
        valueAndGradients(() => {
          const result = isChecked
            ? minimised(...inputs)
            : checkTrainingMode(action, model, () => minimised(...inputs));
          isChecked = true;
          const { logits } = result;
          predictions = logits ? [keepTensor(predictClasses(logits as Features))] : [];
          metrics = Object.fromEntries(
            Object.entries(result.metrics ?? {}).map((
              [name, metric],
            ) => [name, keepTensor(ops.clone(metric))]),
          );
          return result.loss;
        }, optimizer.parameters));
      return { value, gradients, square: squaredNorm(gradients), predictions, metrics };
    } catch (error) {
      for (const tensor of kept) tensor.dispose();
      throw error;
    }
  };
}

/** The numbers in scalars, which are disposed; undefined if there are none. */
function readAndDispose(
  scalars: Readonly<Record<string, Scalar>>,
): Record<string, number> | undefined {
  const entries = Object.entries(scalars);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([name, scalar]) => {
    const [number] = scalar.dataSync();
    scalar.dispose();
    return [name, number!];
  }));
}

function rateOf(action: string, schedule: Schedule, step: number, totalSteps: number): number {
  const rate = schedule(step, totalSteps);
  const fits = rate >= 0 && rate < Infinity;
  checkNumber(action, `schedule(${step})`, rate, fits, "a finite number of at least 0");
  return rate;
}

/** The error about parameters on which the loss does not depend, with their paths. */
function unusedParameters(
  action: string,
  model: AnyModule,
  { parameters }: Optimizer,
  cause: UnusedInputError,
): RangeError {
  const indices = cause.inputs;
  const paths = indices.slice(0, 3).map((index) => pathOf(model, parameters[index]));
  const more = indices.length - paths.length;
  const [them, their] = indices.length === 1 ? ["it", "its layer"] : ["them", "their layers"];
  return new RangeError(
    `${action}: the loss must depend on each parameter of the optimizer, found ${paths.join(", ")}${
      more > 0 ? ` and ${more} more` : ""
    } without influence on it. Freeze ${them} before the ` +
      `optimizer is made, make the optimizer without ${them}, or use the output of ${their} in the loss.`,
    { cause },
  );
}

/** The path of a variable of a model; undefined if the variable is not in the model. */
export function pathOf(model: AnyModule, variable: Variable | undefined): string | undefined {
  return [...model.namedVariables()].find(([, value]) => value === variable)?.[0];
}

/** The variables that a forward pass in training changes. */
export function runningStatistics(model: AnyModule): Variable[] {
  return [...model.namedVariables().values()].filter(({ trainable }) => !trainable);
}

/** Assigns the values that variables had before. */
export function restore(variables: readonly Variable[], before: readonly Tensor[]): void {
  variables.forEach((variable, i) => {
    if (!variable.isDisposed) variable.assign(before[i]!);
  });
}

/** The first float32 variable that is not finite although its value before was. */
function newlyBroken(
  variables: readonly Variable[],
  before: readonly Tensor[],
): Variable | undefined {
  const floats = variables.filter(({ dtype }) => dtype === "float32");
  if (isAllFinite(floats)) return undefined;
  return variables.find((variable, i) =>
    floats.includes(variable) && !isAllFinite([variable]) && isAllFinite([before[i]!])
  );
}

function isAllFinite(tensors: readonly Tensor[]): boolean {
  return tensors.length === 0 || Number.isFinite(vectorNorm(tensors));
}

function describeDivergence(
  loss: number,
  model: AnyModule,
  { parameters }: Optimizer,
  gradients: readonly Tensor[],
  statistic: Variable | undefined,
): string {
  if (!Number.isFinite(loss)) return `the loss is ${loss}.`;
  const gradient = gradients.findIndex((gradient) => !isAllFinite([gradient]));
  return `the loss is ${loss}, but ${
    gradient >= 0
      ? `the gradient of ${pathOf(model, parameters[gradient])}`
      : `the running statistic ${pathOf(model, statistic)}`
  } is not finite.`;
}
