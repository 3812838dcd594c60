import { type Images, Random } from "../tensor/mod.ts";
import { defaultRandom } from "../tensor/internal.ts";
import { type Batches, batches, type ImageDataset } from "../data/mod.ts";
import {
  bindTrainingData,
  bindTransform,
  checkDataset,
  describeDataset,
  transformOf,
} from "../data/internal.ts";
import { type Evaluation, evaluator } from "./evaluate.ts";
import { checkFitOptions, checkForwardPass, checkParameters, prepare } from "./fit_checks.ts";
import type { AnyFitOptions, FitOptions } from "./fit_options.ts";
import { mixup } from "./mixup.ts";
import type { KnownOptions, TrainableFor, ValidationFor } from "./model_type_checks.ts";
import type { Progress, StepProgress } from "./progress.ts";
import { type AnyClassifier, asClassifier, isStopped } from "./run.ts";
import { Training } from "./training.ts";
import { type StepResult, TrainingStep } from "./training_step.ts";

/**
 * Trains a model on a data set. Each batch is one step: the loss, its gradients, and an update by
 * the optimizer.
 *
 * Awaited, it trains to the end and resolves to the {@linkcode History}. Iterated, it yields its
 * progress and continues at the next request, so the caller decides what to show and when to stop.
 * It does nothing before it is awaited or iterated. Leaving the loop, firing `signal`, or Stop in a
 * notebook ends it after the current step without an error, and the model stays as trained so far.
 *
 * All options are checked at the call, and one image goes through the model, so that a layer that
 * does not fit is reported with its path. With the same seed, {@linkcode setSeed} before the model
 * is made gives the same training run.
 *
 * @throws {RangeError} (at the call) If `epochs` or `batchSize` is not a whole number of at least
 * 1, `batchSize` is larger than the data set, `mixup` or `maxGradientNorm` is not positive, the
 * optimizer was made for another model or changes frozen parameters, a layer does not fit, the
 * model does not return logits for the classes of the data set, or a batch norm has a single value
 * for each channel in the last batch; (at the first step) if the loss does not depend on a
 * parameter, or a batch norm or dropout that is not frozen runs without `{ training: true }`.
 * @throws {TypeError} (at the call) If an option does not exist or is of the wrong kind, or `mixup`
 * comes with `objective`; (at a step) if `objective` does not return `{ loss }`.
 * @throws {DivergenceError} If a loss, a gradient, or a running statistic is not finite.
 *
 * After an error in a step, the parameters, running statistics and learning rate are as before that
 * step. Only an optimizer of the caller that throws halfway may leave changed parameters.
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
  Model,
  In,
  Result,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
  const Validation = ImageDataset<Channels, Classes>,
  Names extends PropertyKey = never,
>(
  model: TrainableFor<
    Model,
    In,
    Result,
    NoInfer<Channels>,
    NoInfer<Classes>,
    NoInfer<Out>,
    NoInfer<Names>
  >,
  dataset: ImageDataset<Channels, Classes>,
  options:
    & Omit<FitOptions<NoInfer<Channels>, NoInfer<Classes>, Out, NoInfer<Model>>, "validation">
    & { validation?: ValidationFor<Validation, NoInfer<Channels>, NoInfer<Classes>> }
    & KnownOptions<Names, FitOptions<number, number, number>>,
): Training {
  return startTraining(model, dataset, options as AnyFitOptions);
}

/** {@linkcode fit} without its compile-time checks. */
export function startTraining(
  model: unknown,
  dataset: ImageDataset,
  options: AnyFitOptions,
  doing = "Fitting to",
): Training {
  checkDataset("Fitting", dataset);
  const action = `${doing} "${dataset.name}"`;
  const classifier = asClassifier(action, model);
  checkFitOptions(action, options);
  checkParameters(action, classifier, options.optimizer);
  const completed = { ...options, transform: options.transform ?? transformOf(classifier) };
  trainingBatches(dataset, completed); // Checks batchSize.
  checkForwardPass(action, classifier, dataset, completed);
  return new Training(
    action,
    options.signal,
    (signal) => train(action, classifier, dataset, { ...completed, signal }),
  );
}

/** Trains with options that are checked. */
async function* train(
  action: string,
  model: AnyClassifier,
  dataset: ImageDataset,
  options: AnyFitOptions,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, epochs, batchSize, transform, validation, seed, signal } = options;
  checkParameters(action, model, optimizer); // Some may be frozen since the call.
  const shuffle = seed === undefined ? defaultRandom().fork() : new Random(seed);
  const mix = mixup(options.mixup, shuffle);
  const training = trainingBatches(dataset, options, shuffle);
  const totalSteps = epochs * training.length;
  const { validationLogits } = options;
  using trainingStep = new TrainingStep(action, model, dataset, options, totalSteps);
  using evaluation = validation && evaluator(action, model, validation, {
    ...options,
    batchSize: Math.min(batchSize, validation.count),
    logitsOf: validationLogits && ((images) => validationLogits(model as never, images)),
  });
  let step = 0;
  for (let epoch = 1; epoch <= epochs; epoch++) {
    const means = new EpochMeans();
    let seconds = 0;
    let started = performance.now();
    for (const batch of training) {
      let progress: StepProgress;
      { // The batch is disposed before the yield, because the caller may not continue after it.
        using _ = batch;
        if (await isStopped(signal)) return;
        step++;
        const result = trainingStep.run(
          () => mix(batch),
          batch.labels,
          step - 1,
          `step ${step} of ${totalSteps} (epoch ${epoch} of ${epochs})`,
        );
        if (step === 1) {
          bindTransform(model, transform);
          bindTrainingData(model, describeDataset(dataset));
        }
        const time = (performance.now() - started) / 1000;
        const size = batch.labels.size;
        means.add(result, size);
        seconds += time;
        const { learningRate } = optimizer;
        const imagesPerSecond = size / time;
        const place = { epoch, epochs, step, totalSteps };
        progress = { kind: "step", ...place, ...result, learningRate, imagesPerSecond };
      }
      yield progress;
      started = performance.now();
    }
    let validated: Evaluation | undefined;
    try {
      validated = await evaluation?.evaluate(signal);
    } catch (error) {
      if (signal?.aborted) return;
      throw error;
    }
    yield {
      kind: "epoch",
      epoch,
      epochs,
      ...means.result(),
      validation: validated && { loss: validated.loss, accuracy: validated.accuracy },
      learningRate: optimizer.learningRate,
      seconds,
    };
  }
}

function trainingBatches(
  dataset: ImageDataset,
  options: AnyFitOptions,
  shuffle?: Random,
): Batches<number> {
  return batches(dataset, {
    batchSize: options.batchSize,
    transform: (images: Images, random) => prepare(images, random, options),
    shuffle,
    dropLast: options.dropLast,
  });
}

/** The means of an epoch over its images. */
class EpochMeans {
  #images = 0;
  readonly #sums = { loss: 0, accuracy: 0 };
  readonly #metrics: Record<string, number> = {};

  add({ loss, accuracy, metrics = {} }: StepResult, images: number): void {
    this.#images += images;
    this.#sums.loss += loss * images;
    this.#sums.accuracy += accuracy * images;
    for (const [name, value] of Object.entries(metrics)) {
      this.#metrics[name] = (this.#metrics[name] ?? 0) + value * images;
    }
  }

  result(): { trainLoss: number; trainAccuracy: number; metrics?: Record<string, number> } {
    const images = this.#images;
    const metrics = Object.entries(this.#metrics).map(([name, sum]) => [name, sum / images]);
    return {
      trainLoss: this.#sums.loss / images,
      trainAccuracy: this.#sums.accuracy / images,
      ...(metrics.length > 0 && { metrics: Object.fromEntries(metrics) }),
    };
  }
}
