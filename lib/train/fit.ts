import {
  compile,
  defaultRandom,
  type Images,
  keep,
  type Labels,
  ops,
  type Precision,
  Random,
  squaredLength,
  type Tensor,
  tidy,
  valueAndGradients,
  type Variable,
  vectorLength,
  withPrecision,
} from "../tensor/mod.ts";
import { type Classifier, observeForward } from "../nn/mod.ts";
import { batches, type ImageDataset, type Transform } from "../data/mod.ts";
import { clipGradients } from "./clip.ts";
import { turnEventLoop } from "./event_loop.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import { agreement, checkLogits, evaluateForward, type Evaluation } from "./metrics.ts";
import { mixer, type StepInputs } from "./mixup.ts";
import type { Optimizer } from "./optimizers.ts";
import type { Schedule } from "./schedules.ts";
import { orStop } from "../tensor/stop.ts";

/** How {@linkcode fit} trains. */
export interface FitOptions<Channels extends number, Classes extends number, Out extends number> {
  /** Changes the parameters it is bound to; what else the model has stays as it is. */
  optimizer: Optimizer;
  /** The number of times each image is seen. */
  epochs: number;
  /** The number of images in a step. */
  batchSize: number;
  /** What is made small; {@linkcode crossEntropy} unless said otherwise. */
  loss?: Loss<Classes>;
  /** The learning rate of each step; the optimizer's own unless given. */
  schedule?: Schedule;
  /** What is done to all images before the model sees them, those of `validation` too: resizing, normalizing. */
  transform?: Transform<Channels, Out>;
  /** What is done to the training images before `transform`: random crops, flips. */
  augment?: Transform<Channels>;
  /**
   * Mixes each training batch, last of all, with another order of itself: `λ · x + (1 − λ) · x′`, with the loss `λ · loss(logits, y) + (1 − λ) ·
   * loss(logits, y′)`, where λ is drawn from Beta(mixup, mixup) once for a batch (Zhang et al. 2018, arXiv:1710.09412, who take 0.2 for
   * ImageNet and 1 for CIFAR-10). The accuracy in training then asks for the label of the larger share.
   *
   * @example
   * ```ts
   * import { collect, fashionMnist, fit, flatten, linear, sequential, setSeed, sgd } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * setSeed(1);
   * const model = sequential(flatten(), linear(784, 10));
   * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
   * const options = { optimizer, epochs: 1, batchSize: 100, mixup: 0.2, validation: test };
   * const { epochs } = await collect(fit(model, test, options));
   * // Mixed images are harder than those that it is evaluated on.
   * assert(epochs[0]!.trainAccuracy < epochs[0]!.validation!.accuracy);
   * ```
   */
  mixup?: number;
  /** A set on which the model is evaluated after each epoch. */
  validation?: ImageDataset<Channels, Classes>;
  /** Longer gradients are shortened to this; see {@linkcode clipGradients}. */
  maxGradientNorm?: number;
  /**
   * `"bf16"` computes the model and its gradient in bfloat16 where that is safe, about twice as fast on processors and GPUs that have
   * it; parameters, running statistics and the loss stay float32. See {@linkcode withPrecision}. `"fp32"` unless said otherwise.
   */
  precision?: Precision;
  /**
   * Has TensorFlow run the loss and its gradient, and the model in the evaluation, as one graph each from the second batch on: the same
   * numbers to rounding, sooner. It asks of the model and the loss what {@linkcode compile} asks of a function; false unless said otherwise.
   */
  compile?: boolean;
  /** Leaves out the last batch of an epoch if it is smaller than the others. */
  dropLast?: boolean;
  /** Seeds the order of the images, the augmentation and the mixing; they follow from {@linkcode setSeed} unless given. */
  seed?: number;
  /** Ends the training after the step that is under way; in a notebook the Stop button does so too. */
  signal?: AbortSignal;
}

/** What {@linkcode fit} yields after each step. */
export interface StepProgress {
  readonly kind: "step";
  /** From 1 to `epochs`. */
  readonly epoch: number;
  readonly epochs: number;
  /** From 1 to `totalSteps`. */
  readonly step: number;
  readonly totalSteps: number;
  /** The mean loss of the batch, before the step. */
  readonly loss: number;
  /** The part of the batch whose class is predicted, before the step, from 0 to 1. */
  readonly accuracy: number;
  /** The length of all gradients as one vector, before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  /** How fast this step was, its batch included. */
  readonly imagesPerSecond: number;
}

/** What {@linkcode fit} yields after each epoch. */
export interface EpochProgress {
  readonly kind: "epoch";
  /** From 1 to `epochs`. */
  readonly epoch: number;
  readonly epochs: number;
  /** The mean loss over the images of the epoch, each at the step that saw it. */
  readonly trainLoss: number;
  /** The part of the images of the epoch whose class was predicted, each at the step that saw it. */
  readonly trainAccuracy: number;
  /** Mean cross-entropy and accuracy on the validation set, if there is one. */
  readonly validation?: { readonly loss: number; readonly accuracy: number };
  readonly learningRate: number;
  /** The time of the steps of this epoch in seconds, without evaluation and without what the receiver did in between. */
  readonly seconds: number;
}

/** What {@linkcode fit} yields: a {@linkcode StepProgress} after each step, an {@linkcode EpochProgress} after each epoch. */
export type Progress = StepProgress | EpochProgress;

/**
 * Training cannot go on: a loss, a gradient, or a running statistic is not finite. The model is as it was before that step.
 *
 * @example
 * ```ts
 * import { collect, DivergenceError, fashionMnist, fit, flatten, linear, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 1e38 });
 * const training = fit(model, test, { optimizer, epochs: 1, batchSize: 100 });
 * await assert.rejects(collect(training), DivergenceError);
 * ```
 */
export class DivergenceError extends RangeError {
  override readonly name = "DivergenceError";
}

/**
 * Trains a model on a set: for each batch the loss, its gradients, and a step of the optimizer.
 *
 * It yields its progress and goes on when asked for more, so the receiver decides what to show and when to stop. Leaving the loop,
 * firing `signal`, or Stop in a notebook ends it after the step under way, and the model stays as trained so far; it does not throw.
 *
 * Before the first step one image goes through the model, so that a layer that does not fit is reported with its path. The same
 * {@linkcode setSeed} before the model is made gives the same training.
 *
 * @throws {RangeError} (when the first progress is asked for) If `epochs` or `batchSize` is not a positive integer, `batchSize` is
 * larger than the set, `mixup` or `maxGradientNorm` is not positive, the optimizer was made for another model or changes what is frozen, a layer does not fit, or the model does not give logits for the
 * classes of the set.
 * @throws {DivergenceError} If a loss, a gradient, or a running statistic is not finite. The model is as it was before that step.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, sequential, setSeed, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * setSeed(1);
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * const options = { optimizer, epochs: 1, batchSize: 100, validation: test };
 * for await (const progress of fit(model, train, options)) {
 *   if (progress.kind === "epoch") assert(progress.validation!.accuracy > 0.6);
 * }
 * ```
 */
export async function* fit<
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
>(
  model: Classifier<Images<NoInfer<Out>>, NoInfer<Classes>>,
  dataset: ImageDataset<Channels, Classes>,
  options: FitOptions<NoInfer<Channels>, NoInfer<Classes>, Out>,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, epochs, batchSize, schedule, transform, validation, seed } = options;
  checkFit(model, dataset, options);
  using stop = orStop(options.signal);
  const shuffle = seed === undefined ? defaultRandom().fork() : new Random(seed);
  const mix = mixer(options.mixup, shuffle);
  const training = batches(dataset, {
    batchSize,
    transform: (images, random) => prepare(images, random, options),
    shuffle,
    dropLast: options.dropLast,
  });
  const totalSteps = epochs * training.length;
  const statistics = runningStatistics(model);
  const compute = lossAndGradients(model, options);
  const infer = (images: Images<NoInfer<Out>>) => model.forward(images);
  using compiled = options.compile ? compile(compute) : undefined;
  using compiledInfer = options.compile ? compile(infer) : undefined;
  let step = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let images = 0, losses = 0, correct = 0, seconds = 0;
    let started = performance.now();
    for (using batch of training) {
      await turnEventLoop();
      if (stop.signal?.aborted) return;
      if (schedule) optimizer.learningRate = schedule(step);
      step++;
      const when = `step ${step} of ${totalSteps} (epoch ${epoch} of ${epochs})`;
      const result = trainStep(
        model,
        statistics,
        batch.labels,
        () => (compiled ?? compute)(...mix(batch)),
        options,
        when,
      );
      const time = (performance.now() - started) / 1000;
      const size = batch.labels.size;
      images += size;
      losses += result.loss * size;
      correct += result.accuracy * size;
      seconds += time;
      const { learningRate } = optimizer;
      const imagesPerSecond = size / time;
      yield {
        kind: "step",
        epoch,
        epochs,
        step,
        totalSteps,
        ...result,
        learningRate,
        imagesPerSecond,
      };
      started = performance.now();
    }
    let evaluation: Evaluation | undefined;
    try {
      evaluation = validation && await evaluateForward(compiledInfer ?? infer, validation, {
        batchSize: Math.min(batchSize, validation.count),
        transform,
        precision: options.precision,
        signal: stop.signal,
      });
    } catch (error) {
      if (stop.signal?.aborted) return;
      throw error;
    }
    yield {
      kind: "epoch",
      epoch,
      epochs,
      trainLoss: losses / images,
      trainAccuracy: correct / images,
      validation: evaluation && { loss: evaluation.loss, accuracy: evaluation.accuracy },
      learningRate: optimizer.learningRate,
      seconds,
    };
  }
}

type Model = Classifier<Images, number>;
type Options = FitOptions<number, number, number>;

/** What a step computes before anything changes but running statistics. */
function lossAndGradients(
  model: Model,
  { optimizer, loss = crossEntropy, precision = "fp32" }: Options,
) {
  return (...[images, labels, others, share, otherShare]: StepInputs) => {
    let predictions: Labels | undefined;
    try {
      const { value, gradients } = withPrecision(precision, () =>
        valueAndGradients(() => {
          const logits = model.forward(images, { training: true });
          const own = loss(logits, labels);
          predictions = keep(ops.argMax(logits));
          if (!others || !share || !otherShare) return own;
          return ops.add(ops.mul(own, share), ops.mul(loss(logits, others), otherShare));
        }, optimizer.parameters));
      return { value, gradients, square: squaredLength(gradients), predictions: predictions! };
    } catch (error) {
      predictions?.dispose();
      throw error;
    }
  };
}

/** One step: loss, gradients, and the optimizer's change, if all of it is finite. */
function trainStep(
  model: Model,
  statistics: readonly Variable[],
  labels: Labels,
  compute: () => ReturnType<ReturnType<typeof lossAndGradients>>,
  { optimizer, maxGradientNorm }: Options,
  when: string,
): Pick<StepProgress, "loss" | "accuracy" | "gradientNorm"> {
  return tidy(() => {
    const before = statistics.map((statistic): Tensor => ops.clone(statistic));
    const { value, gradients, square, predictions } = compute();
    const result = {
      loss: value.dataSync()[0]!,
      accuracy: agreement(predictions, labels),
      gradientNorm: vectorLength(gradients, square),
    };
    predictions.dispose();
    const broken = newlyBroken(statistics, before);
    if (broken || ![result.loss, result.gradientNorm].every(Number.isFinite)) {
      const reason = whatDiverged(result.loss, model, optimizer, gradients, broken);
      statistics.forEach((statistic, i) => statistic.assign(before[i]!));
      throw new DivergenceError(
        `Training stopped at ${when} with learning rate ${optimizer.learningRate}: ${reason} The model is as it was before this step. Try a smaller learning rate, a warm-up, or maxGradientNorm.`,
      );
    }
    optimizer.step(
      maxGradientNorm === undefined
        ? gradients
        : clipGradients(gradients, maxGradientNorm).gradients,
      Math.min(result.gradientNorm, maxGradientNorm ?? Infinity),
    );
    return result;
  });
}

/** What a forward pass in training changes by itself. */
function runningStatistics(model: Model): Variable[] {
  return [...model.namedVariables().values()].filter(({ trainable }) => !trainable);
}

/** The first variable of fractions that is not finite, where its value before was. */
function newlyBroken(
  variables: readonly Variable[],
  before: readonly Tensor[],
): Variable | undefined {
  const fractions = variables.filter(({ dtype }) => dtype === "float32");
  if (isAllFinite(fractions)) return undefined;
  return variables.find((variable, i) =>
    fractions.includes(variable) && !isAllFinite([variable]) && isAllFinite([before[i]!])
  );
}

function isAllFinite(tensors: readonly Tensor[]): boolean {
  return tensors.length === 0 || Number.isFinite(vectorLength(tensors));
}

function whatDiverged(
  loss: number,
  model: Model,
  { parameters }: Optimizer,
  gradients: readonly Tensor[],
  statistic: Variable | undefined,
): string {
  if (!Number.isFinite(loss)) return `the loss is ${loss}.`;
  const pathOf = (variable: Variable | undefined) =>
    [...model.namedVariables()].find(([, value]) => value === variable)?.[0];
  const gradient = gradients.findIndex((gradient) => !isAllFinite([gradient]));
  return `the loss is ${loss}, but ${
    gradient >= 0
      ? `the gradient of ${pathOf(parameters[gradient])}`
      : `the running statistic ${pathOf(statistic)}`
  } is not finite.`;
}

function prepare(images: Images, random: Random, { augment, transform }: Options): Images {
  const augmented = augment ? augment(images, random) : images;
  return transform ? transform(augmented, random) : augmented;
}

/** Finds what would go wrong later before any parameter changes. */
function checkFit(model: Model, dataset: ImageDataset, options: Options): void {
  const { optimizer, epochs, validation } = options;
  const doing = `Fitting to "${dataset.name}"`;
  if (!Number.isInteger(epochs) || epochs < 1) {
    throw new RangeError(`${doing}: epochs must be a positive integer, found ${epochs}.`);
  }
  if (options.maxGradientNorm !== undefined && !(options.maxGradientNorm > 0)) {
    throw new RangeError(
      `${doing}: maxGradientNorm must be positive, found ${options.maxGradientNorm}.`,
    );
  }
  if (options.mixup !== undefined && !(options.mixup > 0 && options.mixup < Infinity)) {
    throw new RangeError(
      `${doing}: mixup must be a positive number, found ${options.mixup}.`,
    );
  }
  const trained = new Set(model.parameters());
  const stray = optimizer.parameters.find((parameter) => !trained.has(parameter));
  if (stray) {
    const path = [...model.namedVariables()].find(([, variable]) => variable === stray)?.[0];
    throw new RangeError(
      `${doing}: the optimizer changes ${
        path === undefined
          ? `a parameter of shape [${stray.shape}] that is not in the model`
          : `${path}, which is ${stray.trainable ? "frozen" : "no parameter"}`
      }. Make it again with the parameters of this model.`,
    );
  }
  for (const set of validation ? [dataset, validation] : [dataset]) {
    tidy(() => {
      const image = prepare(set.images([0]), new Random(0), options);
      const logits = withPrecision(
        options.precision ?? "fp32",
        () => observeForward(model, image, () => {}),
      );
      checkLogits(doing, logits, set);
    });
  }
}
