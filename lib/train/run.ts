/** The one way in which training, evaluation and feature extraction run a model over images. */
import {
  compile,
  type Compiled,
  type CompiledInput,
  type Images,
  type Precision,
  type Tensors,
  tidy,
} from "../tensor/mod.ts";
import { checkOptions, type OptionNames } from "../tensor/internal.ts";
import { setImmediate } from "../tensor/platform.ts";
import { checkModule } from "../nn/checks.ts";
import type { Classifier } from "../nn/mod.ts";
import { type Batch, batches, type ImageDataset, type Transform } from "../data/mod.ts";
import { checkOptionValues } from "./checks.ts";

/** Options for running a model over a data set. */
export interface RunOptions<Channels extends number, Out extends number> {
  /**
   * The number of images in a batch.
   *
   * @default 256, or all images if there are fewer
   */
  batchSize?: number;
  /**
   * Applied to the images before the model. `compose()` changes nothing.
   *
   * @default the transform that the model was trained with
   */
  transform?: Transform<Channels, Out>;
  /**
   * The floating-point type in which the model computes. `"bf16"` is about twice as fast on
   * processors and GPUs that support it. See {@linkcode withPrecision}.
   *
   * @default "fp32"
   */
  precision?: Precision;
  /**
   * Whether TensorFlow runs the model as one graph from the second batch of a size on, which is
   * faster. The numbers agree to rounding. See {@linkcode compile} for the requirements.
   *
   * @default false
   */
  compile?: boolean;
  /** Ends the run between two batches. In a notebook the Stop button does so too. */
  signal?: AbortSignal;
}

/** {@linkcode RunOptions} for any number of channels. */
export type AnyRunOptions = RunOptions<number, number>;

/** A classifier for any number of channels and classes. */
export type AnyClassifier = Classifier<Images, number>;

const RUN_OPTIONS: OptionNames<AnyRunOptions> = {
  batchSize: true,
  transform: true,
  precision: true,
  compile: true,
  signal: true,
};

/**
 * Checks the options of a function that runs a model: their names, and the kinds of their values.
 *
 * @param example An example of the options, as in code.
 * @param own The options that the function has besides {@linkcode RunOptions}.
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If a value is out of range.
 */
export function checkRunOptions<Options extends AnyRunOptions>(
  action: string,
  options: Options,
  example: string,
  own: OptionNames<Omit<Options, keyof AnyRunOptions>>,
): void {
  checkOptions(action, options, example, { ...own, ...RUN_OPTIONS } as OptionNames<object>);
  checkOptionValues(action, options);
}

/**
 * Checks that a value is a module, and returns it as a classifier of any images: the types have
 * compared it with the data set, and so does the first run.
 *
 * @throws {TypeError} If it is not a module.
 */
export function asClassifier(action: string, model: unknown): AnyClassifier {
  checkModule(action, "the model", model);
  return model as unknown as AnyClassifier;
}

/** The function `f` itself, or compiled. */
export function compiledIf<const Inputs extends readonly CompiledInput[], Output extends Tensors>(
  isCompiled: boolean | undefined,
  f: (...inputs: Inputs) => Output,
): Compiled<Inputs, Output> {
  if (isCompiled) return compile(f);
  return Object.assign((...inputs: Inputs) => f(...inputs), { [Symbol.dispose]() {} });
}

/**
 * Calls `onBatch` with each batch of a data set, in order, and with the index of its first image.
 * It yields to the event loop before each batch. Tensors of `onBatch` are disposed after each
 * batch.
 *
 * @throws The reason of `signal`, if it is aborted.
 */
export async function forEachBatch(
  dataset: ImageDataset,
  { batchSize = Math.min(256, dataset.count), transform, signal }: AnyRunOptions,
  onBatch: (batch: Batch, first: number) => void,
): Promise<void> {
  let first = 0;
  for (using batch of batches(dataset, { batchSize, transform })) {
    if (await isStopped(signal)) signal?.throwIfAborted();
    tidy(() => onBatch(batch, first));
    first += batch.labels.size;
  }
}

/**
 * Returns whether a signal is aborted, after yielding to the event loop so that pending work can
 * abort it.
 */
export async function isStopped(signal: AbortSignal | undefined): Promise<boolean> {
  await yieldToEventLoop();
  return signal?.aborted ?? false;
}

/**
 * Yields to the event loop, so that pending signals, timers and socket messages are handled.
 *
 * A resolved promise lets only other promises run. A timer of 0 ms costs 2 ms in Deno. A turn of
 * `setImmediate` costs 1 µs, but a busy event loop looks at signals and sockets only on every 61st
 * turn. So this makes 64 turns, which cost 0.08 ms.
 */
export function yieldToEventLoop(turns = 64): Promise<void> {
  return new Promise((resolve) => {
    const turn = () => turns-- > 0 ? setImmediate(turn) : resolve();
    turn();
  });
}
