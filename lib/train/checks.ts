/** Checks of the concepts of this room: the options of a training run, an optimizer, logits. */
import { type Precision, type Tensor, tidy } from "../tensor/mod.ts";
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOptions,
  checkPrecision,
  checkSignal,
  isTensor,
  show,
} from "../tensor/internal.ts";
import { withForwardHook } from "../nn/hooks.ts";
import type { AnyModule } from "../nn/mod.ts";
import { augmentation, compose, type InputTransform, normalize, resize } from "../data/mod.ts";
import { areLabels, checkDataset } from "../data/internal.ts";
import type { CheckpointOptions } from "./checkpoint_options.ts";
import { crossEntropy } from "./losses.ts";
import type { Optimizer } from "./rule_optimizer.ts";

type Check = (action: string, name: string, value: unknown) => void;

/** Checks that a value is a function of certain arguments. */
const functionOf = (description: string): Check => (action, name, value) => {
  if (typeof value === "function") return;
  throw new TypeError(
    `${action}: ${name} must be a function of ${description}, found ${show(value)}.`,
  );
};
/** Checks that a value is a transform: a function of images, and not one that makes a transform. */
const transformSuchAs = (example: string): Check => (action, name, value) => {
  if (typeof value === "function" && !TRANSFORM_MAKERS.has(value)) return;
  const isList = Array.isArray(value) && value.length > 0 &&
    value.every((step) => typeof step === "function");
  throw new TypeError(
    `${action}: ${name} must be a function of images such as ${example}, found ${
      isList ? "an array of functions. Join them by compose" : show(value)
    }.`,
  );
};
const TRANSFORM_MAKERS: ReadonlySet<unknown> = new Set([
  ...[compose, normalize, resize, ...Object.values(augmentation)],
]);
const checkPositive: Check = (action, name, value) =>
  checkNumber(action, name, value, Number(value) > 0, "a positive number");

/** The check of each option that several functions share. */
const CHECKS: Readonly<Record<string, Check>> = {
  loss: functionOf("logits and labels such as crossEntropy"),
  metrics: (action, name, value) => {
    if (typeof value !== "object" || value === null) {
      throw new TypeError(
        `${action}: ${name} must be functions by name such as { f: (logits, labels) => 1 }, found ${
          show(value)
        }.`,
      );
    }
    for (const [metric, f] of Object.entries(value)) {
      functionOf("logits and labels that returns a number")(action, `${name}.${metric}`, f);
    }
  },
  objective: functionOf("a model and a batch that returns { loss }"),
  validationLogits: functionOf("a model and images that returns logits"),
  schedule: functionOf("the step such as (step) => 0.1 / (1 + step)"),
  transform: transformSuchAs("normalize({ mean: 0.5, standardDeviation: 0.25 })"),
  augment: transformSuchAs("augmentation.randomFlip()"),
  compile: checkBoolean,
  dropLast: checkBoolean,
  mixup: (action, name, value) => {
    const fits = Number(value) > 0 && Number(value) < Infinity;
    checkNumber(action, name, value, fits, "a positive finite number");
  },
  maxGradientNorm: checkPositive,
  epochs: checkInteger,
  batchSize: checkInteger,
  microBatchSize: checkInteger,
  stepsPerEpoch: checkInteger,
  seed: (action, name, value) => checkInteger(action, name, value, -0x7fffffff, 0x7fffffff),
  validation: (action, name, value) => checkDataset(action, value, name),
  signal: (action, _, value) => checkSignal(action, value),
  checkpoint: (action, name, value) => {
    if (typeof value === "string" && value !== "") return;
    const example = '{ folder: "runs/first", seconds: 600 }';
    if (typeof value !== "object" || value === null) {
      throw new TypeError(
        `${action}: ${name} must be a folder such as "runs/first", or options such as ${example}, found ${
          show(value)
        }.`,
      );
    }
    const names = { folder: true, seconds: true } as const;
    checkOptions<CheckpointOptions>(action, value as CheckpointOptions, example, names);
    const { folder, seconds = 0 } = value as CheckpointOptions;
    if (typeof folder !== "string" || folder === "") {
      throw new TypeError(
        `${action}: the folder of checkpoint must be a path such as "runs/first", found ${
          show(folder)
        }.`,
      );
    }
    checkNumber(action, "seconds", seconds, seconds >= 0, "a number of at least 0");
  },
  precision: (_action, _name, value) =>
    checkPrecision(value as Precision, ["fp32", "bf16", "auto"]),
};

/**
 * Checks the values of the options that are given.
 *
 * @throws {TypeError} If one is of the wrong kind.
 * @throws {RangeError} If one is out of range.
 */
export function checkOptionValues(action: string, options: object): void {
  for (const [name, value] of Object.entries(options)) {
    if (value !== undefined && Object.hasOwn(CHECKS, name)) CHECKS[name]!(action, name, value);
  }
}

/**
 * Checks that a value is an optimizer, of the library or of the caller.
 *
 * @throws {TypeError} If it is not.
 * @throws {RangeError} If it has no parameters.
 */
export function checkOptimizer(action: string, optimizer: Optimizer): void {
  const fits = typeof optimizer === "object" && optimizer !== null &&
    Array.isArray(optimizer.parameters) && typeof optimizer.step === "function";
  if (!fits) {
    throw new TypeError(
      `${action}: optimizer must be an optimizer such as sgd(model.parameters(), { learningRate: 0.1 }), found ${
        show(optimizer)
      }.`,
    );
  }
  if (optimizer.parameters.length === 0) {
    throw new RangeError(`${action}: the optimizer must have parameters to change, found none.`);
  }
}

/**
 * Checks that the state of an optimizer can be saved and restored.
 *
 * @throws {TypeError} If it cannot.
 */
export function checkHasState(
  action: string,
  optimizer: Optimizer,
): asserts optimizer is Optimizer & Required<Pick<Optimizer, "state" | "loadState">> {
  for (const method of ["state", "loadState"] as const) {
    if (typeof optimizer[method] === "function") continue;
    throw new TypeError(
      `${action}: optimizer must have the methods state and loadState, with which it is restored, found ${
        show(optimizer[method])
      } as ${method}.`,
    );
  }
}

/**
 * Checks that targets are class numbers if they go to the cross-entropy, the default loss.
 *
 * @throws {TypeError} If they are not.
 */
export function checkTargets(action: string, targets: Tensor, loss: unknown): void {
  if (loss !== crossEntropy || areLabels(targets)) return;
  throw new TypeError(
    `${action}: the targets must be class numbers, int32 [batch], for the loss crossEntropy, found ${targets.dtype} [${targets.shape}]. ` +
      "Give the option loss: meanSquaredError for numbers, binaryCrossEntropy for several labels.",
  );
}

/**
 * Checks that a model returned logits for the classes of a data set.
 *
 * @param classes The number of classes; undefined if the data set does not tell it.
 * @throws {RangeError} If it did not.
 */
export function checkLogits(
  action: string,
  logits: unknown,
  classes: number | undefined,
  subject = "the model",
  remedy = "",
): void {
  const shape = isTensor(logits) ? logits.shape : undefined;
  if (shape?.length === 2 && shape[1] === (classes ?? shape[1])) return;
  throw new RangeError(
    shape?.length === 2
      ? `${action}: the model must have the ${classes} classes of the data set, found ${
        shape[1]
      }. Build it with ${classes} classes.`
      : `${action}: ${subject} must return logits [batch, ${classes ?? "classes"}], found ${
        show(logits)
      }.${remedy}`,
  );
}

/**
 * Returns the result of `run`, which runs a model on inputs.
 *
 * @throws {RangeError} If `run` fails and the model is built for images with another number of
 * channels. Otherwise rethrows the error of `run`.
 */
export function explainChannels<T>(
  action: string,
  model: AnyModule,
  inputs: Tensor,
  transform: InputTransform | undefined,
  run: () => T,
): T {
  try {
    return run();
  } catch (error) {
    if (inputs.rank !== 4) throw error;
    const expected = channelsOf(model, inputs), actual = inputs.shape[3];
    if (expected === undefined || expected === actual) throw error;
    throw new RangeError(
      `${action}: the images must have ${expected} channel${
        expected === 1 ? "" : "s"
      } for this model, found ${actual}${
        transform ? " after the transform" : ""
      }. Build the model for ${actual}, or pass a transform that makes ${expected} of them.`,
      { cause: error },
    );
  }
}

/** The number of channels that the first layer with a fixed number takes. */
function channelsOf(model: AnyModule, images: Tensor): number | undefined {
  let channels: number | undefined;
  try {
    tidy(() =>
      void withForwardHook(model, ({ module, input, forward }) => {
        const own = "inChannels" in module
          ? module.inChannels
          : "channels" in module
          ? module.channels
          : undefined;
        if (isTensor(input) && input.rank === 4 && typeof own === "number") channels ??= own;
        return forward(input);
      }, () => model.forward(images as never))
    );
  } catch {
    // The forward pass is known to fail.
  }
  return channels;
}
