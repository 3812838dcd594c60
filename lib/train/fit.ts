import {
  checkOptions,
  compile,
  defaultRandom,
  type Images,
  isTensor,
  keep,
  type Labels,
  ops,
  type Precision,
  Random,
  squaredNorm,
  type Tensor,
  tidy,
  UnusedInputError,
  valueAndGradients,
  type Variable,
  vectorNorm,
  withPrecision,
} from "../tensor/mod.ts";
import { checkModule, checkNumber } from "../nn/checks.ts";
import { type AnyModule, BatchNorm, checkWhole, type Classifier, onForward } from "../nn/mod.ts";
import {
  type Batch,
  type Batches,
  batches,
  type ImageDataset,
  type Transform,
  transformOf,
} from "../data/mod.ts";
import { applyTransform, bindTransform, checkDataset } from "../data/internal.ts";
import { checkKinds, checkLogits, checkOptimizer, explained } from "./checks.ts";
import { clipGradients } from "./clip.ts";
import { yieldToEventLoop } from "./event_loop.ts";
import { crossEntropy, type Loss } from "./losses.ts";
import { agreement, evaluateBy, type Evaluation, inference, predict } from "./metrics.ts";
import { mixer, type StepInputs } from "./mixup.ts";
import type { Optimizer } from "./optimizers.ts";
import type { Schedule } from "./schedules.ts";
import type { Suiting, Validating } from "./suits.ts";
import { Training } from "./training.ts";

/** How {@linkcode fit} trains. */
export interface FitOptions<Channels extends number, Classes extends number, Out extends number> {
  /** Changes the parameters it is bound to; what else the model has stays as it is. */
  optimizer: Optimizer;
  /** The number of times each image is seen. */
  epochs: number;
  /** The number of images in a step. */
  batchSize: number;
  /**
   * Loss to minimise, in training and in `validation`: a mean over the batch. @default crossEntropy
   */
  loss?: Loss<Classes>;
  /** The learning rate of each step; the optimizer's own unless given. */
  schedule?: Schedule;
  /**
   * Applied to all images before the model sees them, those of `validation` too: resizing,
   * normalizing. It stays with the model, and is saved with it: {@linkcode evaluate} and another
   * `fit` do the same where no other is given. See {@linkcode transformOf}.
   */
  transform?: Transform<Channels, Out>;
  /** What is done to the training images before `transform`: random crops, flips. */
  augment?: Transform<Channels>;
  /**
   * Mixes each training batch, last of all, with another order of itself: `λ · x + (1 − λ) · x′`,
   * with the loss `λ · loss(logits, y) + (1 − λ) · loss(logits, y′)`, where λ is drawn from
   * Beta(mixup, mixup) once for a batch (Zhang et al. 2018, arXiv:1710.09412, who take 0.2 for
   * ImageNet and 1 for CIFAR-10). The accuracy in training then asks for the label of the larger
   * share.
   *
   * @example
   * ```ts
   * import { fashionMnist, fit, flatten, linear, sequential, setSeed, sgd } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * setSeed(1);
   * const model = sequential(flatten(), linear(784, 10));
   * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
   * const options = { optimizer, epochs: 1, batchSize: 100, mixup: 0.2, validation: test };
   * const { epochs } = await fit(model, test, options);
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
   * `"bf16"` computes the model and its gradient in bfloat16 where that is safe, about twice as
   * fast on processors and GPUs that have it; parameters, running statistics and the loss stay
   * float32. See {@linkcode withPrecision}. `"fp32"` unless said otherwise.
   */
  precision?: Precision;
  /**
   * Has TensorFlow run the loss and its gradient, and the model in the evaluation, as one graph
   * each from the third batch on: the same numbers to rounding, sooner. It asks of the model and
   * the loss what {@linkcode compile} asks of a function; false unless said otherwise.
   */
  compile?: boolean;
  /** Leaves out the last batch of an epoch if it is smaller than the others. */
  dropLast?: boolean;
  /**
   * Seeds the order of the images, the augmentation and the mixing; they follow from
   * {@linkcode setSeed} unless given.
   */
  seed?: number;
  /**
   * Ends the training after the step that is under way; in a notebook the Stop button does so too.
   */
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
  /**
   * The part of the images of the epoch whose class was predicted, each at the step that saw it.
   */
  readonly trainAccuracy: number;
  /** Mean loss and accuracy on the validation set, if there is one. */
  readonly validation?: { readonly loss: number; readonly accuracy: number };
  readonly learningRate: number;
  /**
   * The time of the steps of this epoch in seconds, without evaluation and without what the
   * receiver did in between.
   */
  readonly seconds: number;
}

/**
 * What {@linkcode fit} yields: a {@linkcode StepProgress} after each step, an
 * {@linkcode EpochProgress} after each epoch.
 */
export type Progress = StepProgress | EpochProgress;

/**
 * Training cannot go on: a loss, a gradient, or a running statistic is not finite. The model is as
 * it was before that step.
 *
 * @example
 * ```ts
 * import { DivergenceError, fashionMnist, fit, flatten, linear, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 1e38 });
 * await assert.rejects(fit(model, test, { optimizer, epochs: 1, batchSize: 100 }), DivergenceError);
 * ```
 */
export class DivergenceError extends RangeError {
  override readonly name = "DivergenceError";
}

/**
 * Trains a model on a set: for each batch the loss, its gradients, and a step of the optimizer.
 *
 * Awaited, it trains to the end and gives the {@linkcode History}. Iterated, it yields its progress
 * and goes on when asked for more, so the receiver decides what to show and when to stop. It starts
 * with the one or the other, and does nothing before. Leaving the loop, firing `signal`, or Stop in
 * a notebook ends it after the step under way, and the model stays as trained so far; it does not
 * throw.
 *
 * All options are checked at the call, and one image goes through the model, so that a layer that
 * does not fit is reported with its path. The same {@linkcode setSeed} before the model is made
 * gives the same training.
 *
 * @throws {RangeError} (at the call) If `epochs` or `batchSize` is not a positive integer,
 * `batchSize` is larger than the set, `mixup` or `maxGradientNorm` is not positive, the optimizer
 * was made for another model or changes what is frozen, a layer does not fit, the model does not
 * give logits for the classes of the set, or a batch norm has a single value for each channel in
 * the last batch; (at the first step) if a parameter has no part in the loss.
 * @throws {TypeError} (at the call) If there is no such option, or one is of the wrong kind.
 * @throws {DivergenceError} If a loss, a gradient, or a running statistic is not finite.
 *
 * After an error in a step, the parameters, running statistics and learning rate are as before that
 * step, unless an optimizer of your own threw it after it had changed some.
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
 * const { epochs } = await fit(model, train, options);
 * assert(epochs[0]!.validation!.accuracy > 0.6);
 * for await (const progress of fit(model, train, options)) {
 *   if (progress.kind === "step" && progress.loss < 1) break;
 * }
 * ```
 */
export function fit<
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
  const Validation = ImageDataset<Channels, Classes>,
>(
  model: Suiting<In, Result, NoInfer<Channels>, NoInfer<Classes>, NoInfer<Out>>,
  dataset: ImageDataset<Channels, Classes>,
  options:
    & Omit<FitOptions<NoInfer<Channels>, NoInfer<Classes>, Out>, "validation">
    & { validation?: Validating<Validation, NoInfer<Channels>, NoInfer<Classes>> },
): Training {
  return begin(model as AnyModule as AnyClassifier, dataset, options as Options);
}

/** {@linkcode fit} for any model and data set. */
function begin(model: AnyClassifier, dataset: ImageDataset, options: Options): Training {
  checkDataset("BroadcastableTo", dataset);
  const doing = `BroadcastableTo to "${dataset.name}"`;
  checkModule(doing, "the model", model);
  checkOptions<Options>(doing, options, "{ optimizer, epochs: 4, batchSize: 128 }", {
    optimizer: true,
    epochs: true,
    batchSize: true,
    loss: true,
    schedule: true,
    transform: true,
    augment: true,
    mixup: true,
    validation: true,
    maxGradientNorm: true,
    precision: true,
    compile: true,
    dropLast: true,
    seed: true,
    signal: true,
  });
  checkKinds(doing, options);
  const settled = { ...options, transform: options.transform ?? transformOf(model) };
  checkFit(doing, model, dataset, settled);
  return new Training(
    doing,
    options.signal,
    (signal) => train(doing, model, dataset, { ...settled, signal }),
  );
}

/** The training itself, of options that are checked. */
async function* train(
  doing: string,
  model: AnyClassifier,
  dataset: ImageDataset,
  options: Options,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, epochs, batchSize, transform, validation, seed, signal } = options;
  checkParameters(doing, model, optimizer); // It may have been frozen since.
  const shuffle = seed === undefined ? defaultRandom().fork() : new Random(seed);
  const mix = mixer(options.mixup, shuffle);
  const training = trainingBatches(dataset, options, shuffle);
  const totalSteps = epochs * training.length;
  const statistics = runningStatistics(model);
  const compute = lossAndGradients(model, options);
  const infer = validation && inference(doing, model, validation, options);
  using compiled = options.compile ? compile(compute) : undefined;
  using compiledInfer = options.compile && infer ? compile(infer) : undefined;
  let step = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    let images = 0, losses = 0, correct = 0, seconds = 0;
    let started = performance.now();
    for (const batch of training) {
      let progress: StepProgress;
      { // Nothing is held while the receiver has its turn, which may be the last.
        using _ = batch;
        await yieldToEventLoop();
        if (signal?.aborted) return;
        step++;
        const result = trainStep(
          doing,
          model,
          statistics,
          batch,
          () => (compiled ?? compute)(...mix(batch)),
          options,
          step,
          `step ${step} of ${totalSteps} (epoch ${epoch} of ${epochs})`,
        );
        if (step === 1) bindTransform(model, transform);
        const time = (performance.now() - started) / 1000;
        const size = batch.labels.size;
        images += size;
        losses += result.loss * size;
        correct += result.accuracy * size;
        seconds += time;
        const { learningRate } = optimizer;
        const imagesPerSecond = size / time;
        progress = {
          kind: "step",
          epoch,
          epochs,
          step,
          totalSteps,
          ...result,
          learningRate,
          imagesPerSecond,
        };
      }
      yield progress;
      started = performance.now();
    }
    let evaluation: Evaluation | undefined;
    try {
      evaluation = validation && infer &&
        await evaluateBy(doing, compiledInfer ?? infer, model, validation, {
          batchSize: Math.min(batchSize, validation.count),
          transform,
          signal,
        });
    } catch (error) {
      if (signal?.aborted) return;
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

type AnyClassifier = Classifier<Images, number>;
type Options = FitOptions<number, number, number>;

function trainingBatches(
  dataset: ImageDataset,
  options: Options,
  shuffle?: Random,
): Batches<number> {
  return batches(dataset, {
    batchSize: options.batchSize,
    transform: (images, random) => prepare(images, random, options),
    shuffle,
    dropLast: options.dropLast,
  });
}

/** What a step computes before anything changes but running statistics. */
function lossAndGradients(
  model: AnyClassifier,
  { optimizer, loss = crossEntropy, precision = "fp32" }: Options,
) {
  // The cross-entropy is NaN where a logit is; a loss of the user's own need not be.
  const predicted = loss === crossEntropy ? ops.argMax : predict;
  return (...[images, labels, others, share, otherShare]: StepInputs) => {
    let predictions: Labels | undefined;
    try {
      const { value, gradients } = withPrecision(precision, () =>
        valueAndGradients(() => {
          const logits = model.forward(images, { training: true });
          const own = loss(logits, labels);
          predictions = keep(predicted(logits));
          if (!others || !share || !otherShare) return own;
          return ops.add(ops.mul(own, share), ops.mul(loss(logits, others), otherShare));
        }, optimizer.parameters));
      return { value, gradients, square: squaredNorm(gradients), predictions: predictions! };
    } catch (error) {
      predictions?.dispose();
      throw error;
    }
  };
}

/**
 * One step: loss, gradients, and the optimizer's change, if all of it is finite. After an error all
 * is as it was.
 */
function trainStep(
  doing: string,
  model: AnyClassifier,
  statistics: readonly Variable[],
  { labels }: Batch,
  compute: () => ReturnType<ReturnType<typeof lossAndGradients>>,
  { optimizer, schedule, maxGradientNorm }: Options,
  step: number,
  when: string,
): Pick<StepProgress, "loss" | "accuracy" | "gradientNorm"> {
  const { learningRate } = optimizer;
  return tidy(() => {
    const before = statistics.map((statistic): Tensor => ops.clone(statistic));
    try {
      if (schedule) optimizer.learningRate = rateOf(doing, schedule, step - 1);
      const { value, gradients, square, predictions } = compute();
      const result = {
        loss: value.dataSync()[0]!,
        accuracy: agreement(predictions, labels),
        gradientNorm: vectorNorm(gradients, square),
      };
      predictions.dispose();
      const broken = newlyBroken(statistics, before);
      if (broken || ![result.loss, result.gradientNorm].every(Number.isFinite)) {
        throw new DivergenceError(
          `Training stopped at ${when} with learning rate ${optimizer.learningRate}: ${
            whatDiverged(result.loss, model, optimizer, gradients, broken)
          } The model is as it was before this step. Try a smaller learning rate, a warm-up, or maxGradientNorm.`,
        );
      }
      optimizer.step(
        maxGradientNorm === undefined
          ? gradients
          : clipGradients(gradients, maxGradientNorm).gradients,
        Math.min(result.gradientNorm, maxGradientNorm ?? Infinity),
      );
      return result;
    } catch (error) {
      statistics.forEach((statistic, i) => {
        if (!statistic.isDisposed) statistic.assign(before[i]!);
      });
      if (optimizer.learningRate !== learningRate) optimizer.learningRate = learningRate;
      throw error instanceof UnusedInputError ? unused(doing, model, optimizer, error) : error;
    }
  });
}

function rateOf(doing: string, schedule: Schedule, step: number): number {
  const rate = schedule(step);
  const fits = rate >= 0 && rate < Infinity;
  checkNumber(doing, `schedule(${step})`, rate, fits, "a finite number of at least 0");
  return rate;
}

/** The error about parameters that have no part in the loss, with their paths. */
function unused(
  doing: string,
  model: AnyClassifier,
  { parameters }: Optimizer,
  cause: UnusedInputError,
): RangeError {
  const indices = cause.inputs;
  const paths = indices.slice(0, 3).map((index) => pathOf(model, parameters[index]));
  const more = indices.length - paths.length;
  const them = indices.length === 1 ? "it" : "them";
  return new RangeError(
    `${doing}: the loss must depend on each parameter that the optimizer changes, found ${
      paths.join(", ")
    }${
      more > 0 ? ` and ${more} more` : ""
    } without a part in it. Freeze ${them} before the optimizer is made, give it only the ` +
      `others, or use what ${them === "it" ? "its layer gives" : "their layers give"} in the loss.`,
    { cause },
  );
}

/** The path of a variable of a model, if it is one. */
function pathOf(model: AnyClassifier, variable: Variable | undefined): string | undefined {
  return [...model.namedVariables()].find(([, value]) => value === variable)?.[0];
}

/** What a forward pass in training changes by itself. */
function runningStatistics(model: AnyClassifier): Variable[] {
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
  return tensors.length === 0 || Number.isFinite(vectorNorm(tensors));
}

function whatDiverged(
  loss: number,
  model: AnyClassifier,
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

function prepare(images: Images, random: Random, { augment, transform }: Options): Images {
  const augmented = augment ? augment(images, random) : images;
  return transform ? transform(augmented, random) : augmented;
}

/** Finds what would go wrong later before any parameter changes. */
function checkFit(
  doing: string,
  model: AnyClassifier,
  dataset: ImageDataset,
  options: Options,
): void {
  const { optimizer, epochs, batchSize, validation, maxGradientNorm, mixup, transform } = options;
  checkOptimizer(doing, optimizer);
  checkWhole(doing, "epochs", epochs);
  checkWhole(doing, "batchSize", batchSize);
  if (maxGradientNorm !== undefined && !(maxGradientNorm > 0)) {
    throw new RangeError(`${doing}: maxGradientNorm must be positive, found ${maxGradientNorm}.`);
  }
  if (mixup !== undefined && !(mixup > 0 && mixup < Infinity)) {
    throw new RangeError(`${doing}: mixup must be a positive number, found ${mixup}.`);
  }
  if (options.seed !== undefined) new Random(options.seed);
  checkParameters(doing, model, optimizer);
  trainingBatches(dataset, options);
  const isLastSingle = batchSize === 1 || dataset.count % batchSize === 1 && !options.dropLast;
  for (const set of validation ? [dataset, validation] : [dataset]) {
    tidy(() => {
      const image = applyTransform(
        doing,
        (images, random) =>
          prepare(images, random, set === dataset ? options : { ...options, augment: undefined }),
        set.images([0]),
        new Random(0),
      );
      const single: string[] = [];
      const logits = explained(
        doing,
        model,
        image,
        transform,
        () =>
          withPrecision(
            options.precision ?? "fp32",
            () =>
              onForward(model, image, ({ path, module, input }) => {
                if (normalizesOneValue(module, input)) single.push(path || module.describe());
              }),
          ),
      );
      checkLogits(doing, logits, set);
      if (set !== dataset || !isLastSingle || single.length === 0) return;
      // A batch norm may run with its running statistics in training too.
      if (trainsOnOne(model, image)) return;
      throw new RangeError(
        batchSize === 1
          ? `${doing}: batchSize must be at least 2, as ${
            single[0]
          } normalises a single value for each channel of one image, found 1.`
          : `${doing}: the last batch must have more than one image, as ${
            single[0]
          } normalises a single value for each channel of one, found ${dataset.count} images in batches of ${batchSize}. ` +
            "Leave it out with dropLast: true, or take another batchSize.",
      );
    });
  }
}

/** Whether a model can run in training on one image, which leaves it as it is. */
function trainsOnOne(model: AnyClassifier, image: Images): boolean {
  const statistics = runningStatistics(model);
  return tidy(() => {
    const before = statistics.map((statistic): Tensor => ops.clone(statistic));
    try {
      model.forward(image, { training: true });
      return true;
    } catch {
      return false;
    } finally {
      statistics.forEach((statistic, i) => statistic.assign(before[i]!));
    }
  });
}

/** Whether a batch norm that is to be trained has no variance to divide by. */
function normalizesOneValue(module: AnyModule, input: unknown): boolean {
  return module instanceof BatchNorm && !module.isFrozen && !module.isFolded &&
    isTensor(input) && input.size === module.channels;
}

/** Checks that an optimizer changes parameters of the model, and none that is frozen. */
function checkParameters(doing: string, model: AnyClassifier, optimizer: Optimizer): void {
  const trained = new Set(model.parameters());
  const stray = optimizer.parameters.find((parameter) => !trained.has(parameter));
  if (!stray) return;
  const path = pathOf(model, stray);
  throw new RangeError(
    `${doing}: the optimizer changes ${
      path === undefined
        ? `a parameter of shape [${stray.shape}] that is not in the model`
        : `${path}, which is ${stray.trainable ? "frozen" : "no parameter"}`
    }. Make it again with the parameters of this model.`,
  );
}
