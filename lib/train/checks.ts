/**
 * Checks that the functions of this room share. Cells are not type-checked, so a value of a wrong
 * kind is refused here.
 */
import { type Images, isTensor, type Precision, tidy } from "../tensor/mod.ts";
import { checkPrecision, show } from "../tensor/internal.ts";
import { withForwardHook } from "../nn/hooks.ts";
import type { AnyModule } from "../nn/mod.ts";
import { ImageDataset, type Transform } from "../data/mod.ts";
import type { Optimizer } from "./optimizers.ts";

const isFunction = (value: unknown) => typeof value === "function";
const isFlag = (value: unknown) => typeof value === "boolean";
const isNumber = (value: unknown) => typeof value === "number";

/** The kinds of the options that several functions have. */
const KINDS = {
  loss: [isFunction, "a function of logits and labels such as crossEntropy"],
  schedule: [isFunction, "a function of the step such as (step) => 0.1 / (1 + step)"],
  transform: [isFunction, "a function of images such as normalize(imagenetStatistics)"],
  augment: [isFunction, "a function of images such as randomFlip()"],
  compile: [isFlag, "true or false"],
  dropLast: [isFlag, "true or false"],
  mixup: [isNumber, "a number"],
  maxGradientNorm: [isNumber, "a number"],
  seed: [isNumber, "a whole number"],
  batchSize: [isNumber, "a whole number"],
  validation: [(value: unknown) => value instanceof ImageDataset, "an ImageDataset"],
  signal: [(value: unknown) => value instanceof AbortSignal, "an AbortSignal"],
} as const;

/**
 * Checks the kinds of options, of those that are given, and the precision.
 *
 * @throws {TypeError} If one is of another kind.
 * @throws {RangeError} If the precision is unknown, or the backend does not have it.
 */
export function checkKinds(doing: string, options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    if (Object.hasOwn(KINDS, name)) {
      const [fits, wanted] = KINDS[name as keyof typeof KINDS];
      if (!fits(value)) {
        throw new TypeError(`${doing}: ${name} must be ${wanted}, found ${show(value)}.`);
      }
    }
  }
  if ("precision" in options && options.precision !== undefined) {
    checkPrecision(options.precision as Precision);
  }
}

/**
 * Checks that something is an optimizer, the library's or another.
 *
 * @throws {TypeError} If it is not.
 * @throws {RangeError} If it has no parameters.
 */
export function checkOptimizer(doing: string, optimizer: Optimizer): void {
  const fits = typeof optimizer === "object" && optimizer !== null &&
    Array.isArray(optimizer.parameters) && typeof optimizer.step === "function";
  if (!fits) {
    throw new TypeError(
      `${doing}: optimizer must be an optimizer such as sgd(model.parameters(), { learningRate: 0.1 }), found ${
        show(optimizer)
      }.`,
    );
  }
  if (optimizer.parameters.length === 0) {
    throw new RangeError(`${doing}: the optimizer must have parameters to change, found none.`);
  }
}

/**
 * Checks that a model's output is logits for the classes of a set.
 *
 * @throws {RangeError} If it is not.
 */
export function checkLogits(doing: string, logits: unknown, { classes }: ImageDataset): void {
  const shape = isTensor(logits) ? logits.shape : undefined;
  if (shape?.length === 2 && shape[1] === classes) return;
  throw new RangeError(
    shape?.length === 2
      ? `${doing}: this model has ${shape[1]} classes, but the data set has ${classes}. ` +
        `Build the model with ${classes} classes.`
      : `${doing}: the model must give logits [batch, ${classes}], found ${show(logits)}.`,
  );
}

/**
 * What `work` gives, which runs a model on images.
 *
 * @throws {RangeError} If it fails where the model takes images with other channels; else what it
 * throws.
 */
export function explained<T>(
  doing: string,
  model: AnyModule,
  images: Images,
  transform: Transform | undefined,
  work: () => T,
): T {
  try {
    return work();
  } catch (error) {
    const taken = channelsTaken(model, images), given = images.shape[3];
    if (taken === undefined || taken === given) throw error;
    throw new RangeError(
      `${doing}: this model takes images with ${taken} channel${taken === 1 ? "" : "s"}, but the ${
        transform ? "transform gives" : "data set has"
      } ${given}. Build the model for ${given}, or give a transform that makes ${taken} of them.`,
      { cause: error },
    );
  }
}

/** The channels that the first layer with a fixed number of them takes. */
function channelsTaken(model: AnyModule, images: Images): number | undefined {
  let taken: number | undefined;
  try {
    tidy(() =>
      void withForwardHook(model, ({ module, input, forward }) => {
        const own = "inChannels" in module
          ? module.inChannels
          : "channels" in module
          ? module.channels
          : undefined;
        if (isTensor(input) && input.rank === 4 && typeof own === "number") taken ??= own;
        return forward(input);
      }, () => model.forward(images as never))
    );
  } catch {
    // It is known to fail.
  }
  return taken;
}
