/**
 * Checks before a training run, for errors that would otherwise come after parameters have changed.
 */
import { ops, Random, type Tensor, tidy, withPrecision } from "../tensor/mod.ts";
import { checkInteger, isTensor, type OptionNames, precisionOf, show } from "../tensor/internal.ts";
import { type AnyModule, BatchNorm, onForward } from "../nn/mod.ts";
import { type Dataset, type Examples, ImageDataset } from "../data/mod.ts";
import { applyTransform, areLabels, imageFormOf } from "../data/internal.ts";
import {
  checkHasState,
  checkLogits,
  checkOptimizer,
  checkTargets,
  explainChannels,
} from "./checks.ts";
import { crossEntropy } from "./losses.ts";
import type { AnyFitOptions } from "./fit_options.ts";
import type { Optimizer } from "./rule_optimizer.ts";
import { type AnyModel, checkRunOptions, rows, type RunOptions } from "./run.ts";
import { pathOf, restore, runningStatistics } from "./training_step.ts";

/** The names of the options of a training run, without those of {@linkcode RunOptions}. */
export const fitOptions: OptionNames<Omit<AnyFitOptions, keyof RunOptions>> = {
  optimizer: true,
  epochs: true,
  microBatchSize: true,
  stepsPerEpoch: true,
  loss: true,
  objective: true,
  validationLogits: true,
  schedule: true,
  augment: true,
  mixup: true,
  validation: true,
  maxGradientNorm: true,
  dropLast: true,
  seed: true,
  checkpoint: true,
};

/**
 * Checks the options of a training run.
 *
 * @param isGenerator Whether the data is a generator of batches.
 * @throws {TypeError} If an option does not exist, or is of the wrong kind.
 * @throws {RangeError} If a value is out of range.
 */
export function checkFitOptions(
  action: string,
  options: AnyFitOptions,
  isGenerator = false,
): void {
  checkRunOptions(action, options, "{ optimizer, epochs: 4, batchSize: 128 }", fitOptions);
  const { optimizer, epochs, microBatchSize, objective, mixup, checkpoint } = options;
  checkOptimizer(action, optimizer);
  if (checkpoint !== undefined) checkHasState(action, optimizer);
  checkInteger(action, "epochs", epochs);
  if (isGenerator) checkGeneratorOptions(action, options);
  else {
    const { batchSize, stepsPerEpoch } = options;
    checkInteger(action, "batchSize", batchSize);
    if (stepsPerEpoch !== undefined) {
      throw new TypeError(
        `${action}: stepsPerEpoch must be left out, because the data set has a count, found ${stepsPerEpoch}.`,
      );
    }
    if (microBatchSize !== undefined && microBatchSize > batchSize!) {
      throw new RangeError(
        `${action}: microBatchSize must be at most batchSize, ${batchSize}, found ${microBatchSize}.`,
      );
    }
  }
  if (objective && mixup !== undefined) {
    throw new TypeError(
      `${action}: mixup must be left out if there is an objective, found ${mixup}. Mix the images and the losses in the objective.`,
    );
  }
}

/** Checks the options for a generator, which decides the batches and cannot go back to one. */
function checkGeneratorOptions(action: string, options: AnyFitOptions): void {
  checkInteger(action, "stepsPerEpoch", options.stepsPerEpoch);
  const reasons = {
    batchSize: "the generator decides how many examples are in a batch",
    dropLast: "the generator decides which batches there are",
    checkpoint: "a generator cannot go back to the batch after which a training stopped",
  };
  for (const [name, reason] of Object.entries(reasons)) {
    const value = options[name as keyof typeof reasons];
    if (value === undefined) continue;
    throw new TypeError(
      `${action}: ${name} must be left out for a generator of batches, because ${reason}, found ${
        show(value)
      }. A data set { name, count, batch } can have it.`,
    );
  }
}

/** Checks that an optimizer changes only parameters of the model that are not frozen. */
export function checkParameters(action: string, model: AnyModule, optimizer: Optimizer): void {
  const trainable = new Set(model.parameters());
  const other = optimizer.parameters.find((parameter) => !trainable.has(parameter));
  if (!other) return;
  const path = pathOf(model, other);
  throw new RangeError(
    `${action}: the optimizer must change only parameters of the model that are not frozen, found ${
      path === undefined
        ? `one of shape [${other.shape}] that is not in the model`
        : `${path}, which is ${other.trainable ? "frozen" : "no parameter"}`
    }. Make it again with the parameters of this model.`,
  );
}

/**
 * Returns an input of a data set that is at hand: the first image, or zeros in the place of an
 * image that is in a file. Undefined for other data sets, whose examples may take long to come.
 */
export function inputAtHand(dataset: Dataset): Tensor | undefined {
  if (dataset instanceof ImageDataset) return dataset.images([0]);
  const form = imageFormOf(dataset);
  return form && ops.zeros([1, form.height, form.width, form.channels]);
}

/** The training data as the checks know it: a generator of batches has no count and no classes. */
export type CheckedData = Partial<Pick<Dataset, "count" | "classNames">>;

/**
 * Runs one input of the training data through its transforms and the model.
 *
 * @param example Returns the input, with its target unless the target is a class number.
 * @throws {RangeError} If a layer does not fit, the model does not return logits for the classes of
 * the data set, or a batch norm has a single value for each channel in the last batch.
 * @throws {TypeError} If a transform does not return inputs, or the targets do not fit the loss.
 */
export function checkForwardPass(
  action: string,
  model: AnyModel,
  data: CheckedData,
  options: AnyFitOptions,
  example: () => FirstExample,
): void {
  tidy(() => {
    const { input: raw, target } = example();
    const input = prepared(action, raw, options);
    if (options.objective) return; // The objective runs the model, perhaps in its own way.
    if (target) checkTargets(action, target, options.loss ?? crossEntropy);
    const batchNorms: string[] = [];
    const outputs = explained(
      action,
      model,
      input,
      options,
      () =>
        onForward(model, input, ({ path, module, input }) => {
          if (normalizesOneValue(module, input)) batchNorms.push(path || module.describe());
        }),
    );
    if (!target || areLabels(target)) {
      const remedy = " With the option objective it may return something else.";
      checkLogits(action, outputs, data.classNames?.length, "the model", remedy);
    }
    if (batchNorms.length > 0 && data.count !== undefined) {
      checkLastBatch(action, model, data.count, options, input, batchNorms[0]!);
    }
  });
}

/** The first example of a data set. */
export interface FirstExample {
  /** The input, `[1, …]`. */
  readonly input: Tensor;
  /** The target, `[1, …]`; undefined for the class number of an image. */
  readonly target?: Tensor;
}

/** Returns the first of some examples. */
export function firstOf({ inputs, targets }: Examples): Required<FirstExample> {
  return { input: rows(inputs, 0, 1), target: rows(targets, 0, 1) };
}

/** Runs one input of the validation set through the transform and the model, with like checks. */
export function checkValidationPass(
  training: string,
  model: AnyModel,
  validation: Dataset,
  options: AnyFitOptions,
  example: () => FirstExample,
): void {
  const action = `${training}, validating on "${validation.name}"`;
  const { validationLogits } = options;
  tidy(() => {
    const { input: raw, target } = example();
    const input = prepared(action, raw, { ...options, augment: undefined });
    if (target) checkTargets(action, target, options.loss ?? crossEntropy);
    const outputs = explained(
      action,
      model,
      input,
      options,
      () =>
        validationLogits
          ? validationLogits(model as never, input)
          : onForward(model, input, () => {}),
    );
    if (target && !areLabels(target)) return;
    const remedy = " The option validationLogits returns the logits of another model.";
    const classes = validation.classNames?.length;
    if (validationLogits) checkLogits(action, outputs, classes, "validationLogits");
    else checkLogits(action, outputs, classes, "the model", remedy);
  });
}

/** The inputs of a training run: augmented, then transformed. */
export function prepare(
  inputs: Tensor,
  random: Random,
  { augment, transform }: AnyFitOptions,
): Tensor {
  const augmented = augment ? augment(inputs, random) : inputs;
  return transform ? transform(augmented, random) : augmented;
}

function prepared(action: string, input: Tensor, options: AnyFitOptions): Tensor {
  const transform = (inputs: Tensor, random: Random) => prepare(inputs, random, options);
  return applyTransform(action, transform, input, new Random(0));
}

function explained(
  action: string,
  model: AnyModel,
  image: Tensor,
  { transform, precision }: AnyFitOptions,
  run: () => unknown,
): unknown {
  const inPrecision = () => withPrecision(precisionOf(precision), run);
  return explainChannels(action, model, image, transform, inPrecision);
}

/**
 * Checks that no batch of a training run is a single image, which `batchNorm` could not normalise.
 */
function checkLastBatch(
  action: string,
  model: AnyModel,
  count: number,
  { batchSize = count, microBatchSize, dropLast }: AnyFitOptions,
  image: Tensor,
  batchNorm: string,
): void {
  const isLastSingle = batchSize === 1 || count % batchSize === 1 && !dropLast;
  const last = dropLast ? 0 : count % batchSize;
  const isPartSingle = microBatchSize !== undefined &&
    (microBatchSize === 1 || batchSize % microBatchSize === 1 || last % microBatchSize === 1);
  // A batch norm may run with its running statistics in training too.
  if (!isLastSingle && !isPartSingle || trainsOnOne(model, image)) return;
  if (!isLastSingle) {
    throw new RangeError(
      `${action}: each part of a batch must have more than one image, as ${batchNorm} normalises a single value for each channel of one, found microBatchSize ${microBatchSize} for ${count} images in batches of ${batchSize}. ` +
        "Take another microBatchSize.",
    );
  }
  throw new RangeError(
    batchSize === 1
      ? `${action}: batchSize must be at least 2, as ${batchNorm} normalises a single value for each channel of one image, found 1.`
      : `${action}: the last batch must have more than one image, as ${batchNorm} normalises a single value for each channel of one, found ${count} images in batches of ${batchSize}. ` +
        "Leave it out with dropLast: true, or take another batchSize.",
  );
}

/** Whether a model can run in training on one image. The model stays as it is. */
function trainsOnOne(model: AnyModel, image: Tensor): boolean {
  const statistics = runningStatistics(model);
  return tidy(() => {
    const before = statistics.map((statistic): Tensor => ops.clone(statistic));
    try {
      model.forward(image, { training: true });
      return true;
    } catch {
      return false;
    } finally {
      restore(statistics, before);
    }
  });
}

/** Whether a module is a batch norm in training with a single value for each channel. */
function normalizesOneValue(module: AnyModule, input: unknown): boolean {
  return module instanceof BatchNorm && !module.isFrozen && !module.isFolded &&
    isTensor(input) && input.size === module.channels;
}
