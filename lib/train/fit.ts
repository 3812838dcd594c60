import type { Images, Random } from "../tensor/mod.ts";
import type { ImageDataset } from "../data/mod.ts";
import {
  type BatchMaker,
  batchMaker,
  bindDataset,
  checkDataset,
  transformOf,
} from "../data/internal.ts";
import { checkpointed } from "./checkpoint.ts";
import { DataParallel } from "./data_parallel.ts";
import { type Evaluation, evaluator } from "./evaluate.ts";
import { checkFitOptions, checkForwardPass, checkParameters, prepare } from "./fit_checks.ts";
import type { AnyFitOptions, FitOptions } from "./fit_options.ts";
import { drawMix, mixed } from "./mixup.ts";
import type { KnownOptions, TrainableFor, ValidationFor } from "./model_type_checks.ts";
import type { Progress, StepProgress } from "./progress.ts";
import { type AnyClassifier, asClassifier, isStopped } from "./run.ts";
import { evaluateWithin, type Stage, withSource } from "./stage.ts";
import { Training } from "./training.ts";
import { type TrainingParts, TrainingState } from "./training_state.ts";
import { TrainingStep } from "./training_step.ts";

/**
 * Trains a model on a data set. Each batch is one step: the loss, its gradients, and an update by
 * the optimizer.
 *
 * Awaited, it trains to the end and resolves to the {@linkcode History}. Iterated, it yields its
 * progress and continues at the next request, so the caller decides what to show and when to stop.
 * It does nothing before it is awaited or iterated. Leaving the loop, firing `signal`, or Stop in a
 * notebook ends it after the current step without an error, and the model stays as trained so far.
 *
 * The functions of {@linkcode stages} put trainings around it: early stopping, averages of the
 * weights, logs.
 *
 * With the option `checkpoint` it saves itself, and the same call continues after the end of the
 * process.
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
 * parameter, a batch norm or dropout that is not frozen runs without `{ training: true }`, or the
 * checkpoint is of another training.
 * @throws {TypeError} (at the call) If an option does not exist or is of the wrong kind, or `mixup`
 * comes with `objective`; (at a step) if `objective` does not return `{ loss }`.
 * @throws {DivergenceError} If a loss, a gradient, or a running statistic is not finite.
 * @throws {Error} (at the first step) If all checkpoints are damaged, or another process writes to
 * their folder.
 *
 * After an error in a step, the parameters, running statistics and learning rate are as before that
 * step, unless an optimizer of the caller throws halfway through its step.
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
  const share = DataParallel.of(action, classifier, dataset, options);
  const stages: Stage[] = [];
  const training = new Training(
    action,
    options.signal,
    (signal) => train(action, classifier, dataset, { ...completed, signal }, stages, share),
  );
  return withSource(training, { action, model: classifier, options, stages });
}

/** Trains with options that are checked. */
async function* train(
  action: string,
  model: AnyClassifier,
  dataset: ImageDataset,
  options: AnyFitOptions,
  stages: readonly Stage[],
  share: DataParallel | undefined,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, microBatchSize, validation, validationLogits, checkpoint } = options;
  checkParameters(action, model, optimizer); // Some may be frozen since the call.
  share?.begin(model, dataset, options);
  const state = new TrainingState(
    options.seed,
    options.mixup !== undefined,
    checkpoint !== undefined,
  );
  const batches = trainingBatches(dataset, options, state.shuffle);
  const totalSteps = options.epochs * batches.length;
  using step = new TrainingStep(action, model, dataset, options, totalSteps, share);
  const transform = options.transform;
  using evaluation = validation && evaluator(action, model, validation, {
    ...options,
    transform: transform && ((images, random) => state.watch(() => transform(images, random))),
    batchSize: Math.min(microBatchSize ?? options.batchSize, validation.count),
    logitsOf: validationLogits && ((images) => validationLogits(model as never, images)),
    share,
  });
  const parts = {
    action,
    model,
    dataset,
    options,
    state,
    batches,
    step,
    evaluation,
    stages,
    share,
  };
  const loop = trainFrom(parts);
  yield* checkpoint === undefined ? loop : checkpointed(parts, loop);
}

/** Trains from the place that the state names to the end. */
async function* trainFrom(
  { model, dataset, options, state, batches, step, evaluation, stages, share }: TrainingParts,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, epochs, signal } = options;
  const totalSteps = epochs * batches.length;
  let isBound = false;
  while (state.epoch <= epochs) {
    const { epoch, means } = state;
    let started = performance.now();
    while (state.batch < batches.length) {
      let progress: StepProgress;
      { // The batch is disposed before the yield, because the caller may not continue after it.
        const size = batches.size(state.batch);
        const mix = drawMix(size, options.mixup, state.mixup);
        const own = share?.rows(size, options.microBatchSize);
        // The images that those of this process are mixed with may be in other parts.
        const rows = own && mix ? Int32Array.of(...own, ...own.map((row) => mix.order[row]!)) : own;
        using batch = state.watch(() => batches.batch(state.order(batches), state.batch, rows));
        const wantsToStop = await isStopped(signal);
        if (share ? share.meet("a step", wantsToStop) : wantsToStop) return;
        const place = { epoch, epochs, step: state.step + 1, totalSteps };
        const result = state.watch(() =>
          step.run(
            () => mixed(batch, mix, share !== undefined),
            size,
            state.step,
            `step ${place.step} of ${totalSteps} (epoch ${epoch} of ${epochs})`,
          )
        );
        if (!isBound) bindDataset(model, dataset, options.transform);
        isBound = true;
        const time = (performance.now() - started) / 1000;
        means.add(result, size);
        state.seconds += time;
        state.step++;
        state.batch++;
        const { learningRate } = optimizer;
        const imagesPerSecond = size / time;
        progress = { kind: "step", ...place, ...result, learningRate, imagesPerSecond };
      }
      yield progress;
      started = performance.now();
    }
    let validated: Evaluation | undefined;
    try {
      validated = await evaluateWithin(stages, async () => await evaluation?.evaluate(signal));
    } catch (error) {
      if (signal?.aborted) return;
      throw error;
    }
    const { seconds } = state;
    state.nextEpoch();
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
): BatchMaker {
  return batchMaker(dataset, {
    batchSize: options.batchSize,
    transform: (images: Images, random) => prepare(images, random, options),
    shuffle,
    dropLast: options.dropLast,
  });
}
