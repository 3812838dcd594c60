/**
 * Checks before a training run, for errors that would otherwise come after parameters have changed.
 */
import { type Images, ops, Random, type Tensor, tidy, withPrecision } from "../tensor/mod.ts";
import { checkInteger, isTensor, type OptionNames } from "../tensor/internal.ts";
import { type AnyModule, BatchNorm, onForward } from "../nn/mod.ts";
import type { ImageDataset } from "../data/mod.ts";
import { applyTransform } from "../data/transforms.ts";
import { checkHasState, checkLogits, checkOptimizer, explainChannels } from "./checks.ts";
import type { AnyFitOptions } from "./fit_options.ts";
import type { Optimizer } from "./rule_optimizer.ts";
import { type AnyClassifier, type AnyRunOptions, checkRunOptions } from "./run.ts";
import { pathOf, restore, runningStatistics } from "./training_step.ts";

/** The names of the options of a training run, without those of {@linkcode RunOptions}. */
export const fitOptions: OptionNames<Omit<AnyFitOptions, keyof AnyRunOptions>> = {
  optimizer: true,
  epochs: true,
  microBatchSize: true,
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
 * @throws {TypeError} If an option does not exist, or is of the wrong kind.
 * @throws {RangeError} If a value is out of range.
 */
export function checkFitOptions(action: string, options: AnyFitOptions): void {
  checkRunOptions(action, options, "{ optimizer, epochs: 4, batchSize: 128 }", fitOptions);
  const { optimizer, epochs, batchSize, microBatchSize, objective, mixup, checkpoint } = options;
  checkOptimizer(action, optimizer);
  if (checkpoint !== undefined) checkHasState(action, optimizer);
  checkInteger(action, "epochs", epochs);
  checkInteger(action, "batchSize", batchSize);
  if (microBatchSize !== undefined && microBatchSize > batchSize) {
    throw new RangeError(
      `${action}: microBatchSize must be at most batchSize, ${batchSize}, found ${microBatchSize}.`,
    );
  }
  if (objective && mixup !== undefined) {
    throw new TypeError(
      `${action}: mixup must be left out if there is an objective, found ${mixup}. Mix the images and the losses in the objective.`,
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
 * Runs one image of each data set through its transforms and the model.
 *
 * @throws {RangeError} If a layer does not fit, the model does not return logits for the classes of
 * the data set, or a batch norm has a single value for each channel in the last batch.
 * @throws {TypeError} If a transform does not return images.
 */
export function checkForwardPass(
  action: string,
  model: AnyClassifier,
  dataset: ImageDataset,
  options: AnyFitOptions,
): void {
  tidy(() => {
    const image = firstImage(action, dataset, options);
    if (options.objective) return; // The objective runs the model, perhaps in its own way.
    const batchNorms: string[] = [];
    const logits = explained(
      action,
      model,
      image,
      options,
      () =>
        onForward(model, image, ({ path, module, input }) => {
          if (normalizesOneValue(module, input)) batchNorms.push(path || module.describe());
        }),
    );
    const remedy = " With the option objective it may return something else.";
    checkLogits(action, logits, dataset, "the model", remedy);
    if (batchNorms.length > 0) {
      checkLastBatch(
        action,
        model,
        dataset,
        options,
        image,
        batchNorms[0]!,
      );
    }
  });
  const { validation, validationLogits } = options;
  if (!validation) return;
  tidy(() => {
    const image = firstImage(action, validation, { ...options, augment: undefined });
    const logits = explained(
      action,
      model,
      image,
      options,
      () =>
        validationLogits
          ? validationLogits(model as never, image)
          : onForward(model, image, () => {}),
    );
    const remedy = " The option validationLogits returns the logits of another model.";
    if (validationLogits) checkLogits(action, logits, validation, "validationLogits");
    else checkLogits(action, logits, validation, "the model", remedy);
  });
}

/** The images of a training run: augmented, then transformed. */
export function prepare(
  images: Images,
  random: Random,
  { augment, transform }: AnyFitOptions,
): Images {
  const augmented = augment ? augment(images, random) : images;
  return transform ? transform(augmented, random) : augmented;
}

function firstImage(action: string, set: ImageDataset, options: AnyFitOptions): Images {
  const transform = (images: Images, random: Random) => prepare(images, random, options);
  return applyTransform(action, transform, set.images([0]), new Random(0));
}

function explained(
  action: string,
  model: AnyClassifier,
  image: Images,
  { transform, precision = "fp32" }: AnyFitOptions,
  run: () => unknown,
): unknown {
  return explainChannels(action, model, image, transform, () => withPrecision(precision, run));
}

/**
 * Checks that no batch of a training run is a single image, which `batchNorm` could not normalise.
 */
function checkLastBatch(
  action: string,
  model: AnyClassifier,
  { count }: ImageDataset,
  { batchSize, microBatchSize, dropLast }: AnyFitOptions,
  image: Images,
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
      restore(statistics, before);
    }
  });
}

/** Whether a module is a batch norm in training with a single value for each channel. */
function normalizesOneValue(module: AnyModule, input: unknown): boolean {
  return module instanceof BatchNorm && !module.isFrozen && !module.isFolded &&
    isTensor(input) && input.size === module.channels;
}
