import { dispose, type Random, type Tensor } from "../tensor/mod.ts";
import { precisionOf } from "../tensor/internal.ts";
import type { Dataset, Examples } from "../data/mod.ts";
import {
  type BatchMaker,
  batchMaker,
  bindDataset,
  checkDataset,
  checkExamples,
  imageFormOf,
  transformOf,
  unlessAborted,
} from "../data/internal.ts";
import { checkpointed } from "./checkpoint.ts";
import { DataParallel } from "./data_parallel.ts";
import { type Evaluation, evaluator, type LossEvaluation } from "./evaluate.ts";
import {
  checkFitOptions,
  checkForwardPass,
  checkParameters,
  checkValidationPass,
  firstOf,
  inputAtHand,
  prepare,
} from "./fit_checks.ts";
import type { AnyFitOptions, FitOptions, GeneratorPace } from "./fit_options.ts";
import { type BatchGenerator, GeneratorBatches, isGenerator } from "./generator_batches.ts";
import type { Loss } from "./losses.ts";
import { drawMix, mixed } from "./mixup.ts";
import type {
  KnownOptions,
  LossFor,
  Pace,
  TrainableFor,
  ValidationFor,
} from "./model_type_checks.ts";
import type { Progress, StepProgress } from "./progress.ts";
import { type AnyModel, asModel, isStopped } from "./run.ts";
import { evaluateWithin, type Stage, withSource } from "./stage.ts";
import { Training } from "./training.ts";
import { type TrainingParts, TrainingState } from "./training_state.ts";
import { TrainingStep } from "./training_step.ts";

/**
 * Trains a model on a data set, or on a generator of batches. Each batch is one step: the loss, its
 * gradients, and an update by the optimizer.
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
 * All options are checked at the call, and one input goes through the model, so that a layer that
 * does not fit is reported with its path. For a data set of your own and a generator, which may
 * take long to return examples, this happens with the first batch. With the same seed,
 * {@linkcode setSeed} before the model is made gives the same training run.
 *
 * @throws {RangeError} (at the call) If `epochs` or `batchSize` is not a whole number of at least
 * 1, `batchSize` is larger than the data set, `mixup` or `maxGradientNorm` is not positive, the
 * optimizer was made for another model or changes frozen parameters, a layer does not fit, the
 * model does not return logits for the classes of the data set, or a batch norm has a single value
 * for each channel in the last batch; (at the first step) if the loss does not depend on a
 * parameter, a batch norm or dropout that is not frozen runs without `{ training: true }`, or the
 * checkpoint is of another training.
 * @throws {TypeError} (at the call) If an option does not exist or is of the wrong kind, `mixup`
 * comes with `objective`, or `checkpoint`, `batchSize` or `dropLast` with a generator; (at a step)
 * if `objective` does not return `{ loss }`, or the targets do not fit the loss.
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
  Result extends Tensor,
  Inputs extends Tensor,
  Targets extends Tensor,
  Source,
  Out extends Tensor = Inputs,
  OwnInputs extends Tensor = Inputs,
  OwnTargets extends Tensor = Targets,
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
  data: Source & (Dataset<Inputs, Targets> | BatchGenerator<Inputs, Targets>),
  options:
    & Omit<
      FitOptions<NoInfer<Inputs>, NoInfer<Targets>, Out, NoInfer<Model>>,
      "batchSize" | "loss" | "validation"
    >
    & { loss?: LossFor<Given, NoInfer<Result>, NoInfer<Targets>> }
    & { loss?: Loss<NoInfer<Result>, NoInfer<Targets>> }
    & {
      validation?:
        & Dataset<OwnInputs, OwnTargets>
        & ValidationFor<OwnInputs, OwnTargets, NoInfer<Inputs>, NoInfer<Targets>>;
    }
    & Pace<NoInfer<Source>>
    & KnownOptions<Names, FitOptions<Tensor, Tensor> & Pick<GeneratorPace, "stepsPerEpoch">>,
): Training {
  return startTraining(model, data, options as unknown as AnyFitOptions);
}

/** {@linkcode fit} without its compile-time checks. */
export function startTraining(
  model: unknown,
  data: Dataset | BatchGenerator,
  options: AnyFitOptions,
  doing = "Fitting to",
): Training {
  const dataset = isGenerator(data) ? undefined : data;
  if (dataset) checkDataset("Fitting", dataset);
  const action = dataset ? `${doing} "${dataset.name}"` : `${doing} a generator`;
  const runnable = asModel(action, model);
  checkFitOptions(action, options, !dataset);
  checkParameters(action, runnable, options.optimizer);
  const completed = {
    ...options,
    transform: options.transform ?? transformOf(runnable),
    precision: precisionOf(options.precision),
  };
  if (dataset) {
    trainingBatches(dataset, completed); // Checks batchSize.
    checkAtHand(action, runnable, dataset, completed);
  } else DataParallel.refuse(action);
  const share = dataset && DataParallel.of(action, runnable, dataset, completed);
  const stages: Stage[] = [];
  const training = new Training(
    action,
    options.signal,
    (signal) => train(action, runnable, data, { ...completed, signal }, stages, share),
  );
  return withSource(training, { action, model: runnable, options, stages });
}

/** Checks the data sets whose first input is at hand. */
function checkAtHand(
  action: string,
  model: AnyModel,
  dataset: Dataset,
  options: AnyFitOptions,
): void {
  const { validation } = options;
  if (imageFormOf(dataset)) {
    checkForwardPass(action, model, dataset, options, () => ({ input: inputAtHand(dataset)! }));
  }
  if (validation && imageFormOf(validation)) {
    const example = () => ({ input: inputAtHand(validation)! });
    checkValidationPass(action, model, validation, options, example);
  }
}

/** Trains with options that are checked. */
async function* train(
  action: string,
  model: AnyModel,
  data: Dataset | BatchGenerator,
  options: AnyFitOptions,
  stages: readonly Stage[],
  share: DataParallel | undefined,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, microBatchSize, validation, validationLogits, checkpoint, batchSize } =
    options;
  checkParameters(action, model, optimizer); // Some may be frozen since the call.
  const dataset = isGenerator(data) ? undefined : data;
  if (dataset) share?.begin(model, dataset, options);
  using state = new TrainingState(
    options.seed,
    options.mixup !== undefined,
    checkpoint !== undefined,
  );
  using generator = isGenerator(data)
    ? generatorBatches(action, data, options, state.shuffle)
    : undefined;
  const batches = generator ?? trainingBatches(dataset!, options, state.shuffle);
  const totalSteps = options.epochs * batches.length;
  const classes = dataset?.classNames?.length;
  using step = new TrainingStep(action, model, classes, options, totalSteps, share);
  const transform = options.transform;
  if (validation && !imageFormOf(validation)) {
    await checkValidation(action, model, validation, options);
  }
  using evaluation = validation && evaluator(action, model, validation, {
    ...options,
    transform: transform && ((inputs, random) => state.watch(() => transform(inputs, random))),
    batchSize: Math.min(microBatchSize ?? batchSize ?? 256, validation.count),
    logitsOf: validationLogits && ((inputs) => validationLogits(model as never, inputs)),
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

/** Checks a validation set of the caller's own by its first example. */
async function checkValidation(
  action: string,
  model: AnyModel,
  validation: Dataset,
  options: AnyFitOptions,
): Promise<void> {
  const examples = checkExamples(action, await validation.batch(Int32Array.of(0)), 1);
  try {
    checkValidationPass(action, model, validation, options, () => firstOf(examples));
  } finally {
    dispose([examples.inputs, examples.targets]);
  }
}

/** Trains from the place that the state names to the end. */
async function* trainFrom(
  { action, model, dataset, options, state, batches, step, evaluation, stages, share }:
    TrainingParts,
): AsyncGenerator<Progress, void, void> {
  const { optimizer, epochs, signal } = options;
  const totalSteps = epochs * batches.length;
  let isBound = false, isChecked = dataset !== undefined && imageFormOf(dataset) !== undefined;
  while (state.epoch <= epochs) {
    const { epoch, means } = state;
    let started = performance.now();
    while (state.batch < batches.length) {
      let progress: StepProgress;
      { // The batch is disposed before the yield, because the caller may not continue after it.
        // A generator decides the size of a batch, and is not shared by processes.
        const known = batches.size?.(state.batch);
        const drawn = known && drawMix(known, options.mixup, state.mixup);
        const own = known ? share?.rows(known, options.microBatchSize) : undefined;
        // The images that those of this process are mixed with may be in other parts.
        const rows = own && drawn
          ? Int32Array.of(...own, ...own.map((row) => drawn.order[row]!))
          : own;
        const loading = state.watch(() => batches.load(state.order(batches), state.batch, rows));
        const examples = loading instanceof Promise
          ? await unlessAborted(loading, share ? undefined : signal)
          : loading;
        if (!examples) return;
        if (!isChecked) checkFirst(action, model, dataset, options, examples);
        isChecked = true;
        const size = known ?? examples.inputs.shape[0]!;
        const mix = drawn || drawMix(size, options.mixup, state.mixup);
        const part = rows && { count: size, rows };
        using batch = state.watch(() => batches.prepare(state.order(batches), examples, part));
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
    let validated: Evaluation | LossEvaluation | undefined;
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
      validation: validated && {
        loss: validated.loss,
        accuracy: "accuracy" in validated ? validated.accuracy : NaN,
      },
      learningRate: optimizer.learningRate,
      seconds,
    };
  }
}

/** Checks the first batch of a data set of the caller's own, or of a generator. */
function checkFirst(
  action: string,
  model: AnyModel,
  dataset: Dataset | undefined,
  options: AnyFitOptions,
  examples: Examples,
): void {
  try {
    checkForwardPass(action, model, dataset ?? {}, options, () => firstOf(examples));
  } catch (error) {
    dispose([examples.inputs, examples.targets]);
    throw error;
  }
}

function trainingBatches(
  dataset: Dataset,
  options: AnyFitOptions,
  shuffle?: Random,
): BatchMaker {
  return batchMaker(dataset, {
    batchSize: options.batchSize!,
    transform: (inputs, random) => prepare(inputs, random, options),
    shuffle,
    dropLast: options.dropLast,
  });
}

function generatorBatches(
  action: string,
  generator: BatchGenerator,
  options: AnyFitOptions,
  random: Random,
): GeneratorBatches {
  const length = options.stepsPerEpoch!;
  return new GeneratorBatches(action, generator, {
    length,
    total: options.epochs * length,
    random,
    transform: (inputs, random) => prepare(inputs, random, options),
  });
}
