/** The one way in which training, evaluation and feature extraction run a model over images. */
import {
  compile,
  type Compiled,
  type CompiledInput,
  ops,
  type Precision,
  type Tensor,
  type Tensors,
  tidy,
} from "../tensor/mod.ts";
import { checkOptions, nativeCpuBackend, type OptionNames } from "../tensor/internal.ts";
import { setImmediate } from "../tensor/platform.ts";
import { checkModule } from "../nn/checks.ts";
import { runsLibraryCode } from "../nn/internal.ts";
import type { Module } from "../nn/mod.ts";
import type { Batch, Dataset, InputTransform } from "../data/mod.ts";
import { batchMaker, unlessAborted } from "../data/internal.ts";
import { checkOptionValues } from "./checks.ts";

/** Options for running a model over a data set. */
export interface RunOptions<Inputs extends Tensor = Tensor, Out extends Tensor = Tensor> {
  /**
   * The number of examples in a batch.
   *
   * @default 256, or all examples if there are fewer
   */
  batchSize?: number;
  /**
   * Applied to the inputs before the model. `compose()` changes nothing.
   *
   * @default the transform that the model was trained with
   */
  transform?: InputTransform<Inputs, Out>;
  /**
   * The floating-point type in which the model computes. `"bf16"` is about twice as fast on
   * processors and GPUs that support it. `"auto"` is `"bf16"` on a processor with instructions for
   * bfloat16 (Linux tells Deno only with `--allow-all`) and else `"fp32"`, and says so once. See
   * {@linkcode withPrecision}.
   *
   * @default "fp32"
   */
  precision?: Precision | "auto";
  /**
   * Whether TensorFlow runs the model as one graph from the third batch of a size on, which is
   * faster. The numbers agree to rounding. See {@linkcode compile} for the requirements.
   *
   * @default true for a model of this library's layers and networks on at least 20 batches; it
   * meets the requirements
   */
  compile?: boolean;
  /** Ends the run between two batches. In a notebook the Stop button does so too. */
  signal?: AbortSignal;
}

/** The number of examples in a batch, if the options do not say. */
const DEFAULT_BATCH = 256;

/** The share of this process in the batches of an evaluation on several processes. */
export interface EvaluationShare {
  /** Returns the places of this process in a batch. */
  rows(count: number): Int32Array;
  /** Waits for all processes, and returns whether one of them wants to stop. */
  meet(place: "an evaluation", wantsToStop: boolean): boolean;
}

/** A model of which the types are checked: any of one input and one output. */
export type AnyModel = Module<Tensor, Tensor>;

const RUN_OPTIONS: OptionNames<RunOptions> = {
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
export function checkRunOptions<Options extends RunOptions<never, Tensor>>(
  action: string,
  options: Options,
  example: string,
  own: OptionNames<Omit<Options, keyof RunOptions>>,
): void {
  checkOptions(action, options, example, { ...own, ...RUN_OPTIONS } as OptionNames<object>);
  checkOptionValues(action, options);
}

/**
 * Checks that a value is a module, and returns it as a model of any inputs: the types have compared
 * it with the data set, and so does the first run.
 *
 * @throws {TypeError} If it is not a module.
 */
export function asModel(action: string, model: unknown): AnyModel {
  checkModule(action, "the model", model);
  return model as unknown as AnyModel;
}

/** The function `f` itself, or compiled. */
export function compiledIf<const Inputs extends readonly CompiledInput[], Output extends Tensors>(
  isCompiled: boolean | undefined,
  f: (...inputs: Inputs) => Output,
): Compiled<Inputs, Output> {
  if (isCompiled) return compile(f);
  return Object.assign((...inputs: Inputs) => f(...inputs), { [Symbol.dispose]() {} });
}

/** Fewer batches are run faster without a graph, which TensorFlow must load first. */
const MIN_BATCHES = 20;

/**
 * Returns the option `compile`, or its default. A graph of a model that runs code of the user could
 * leave out what that code does besides computing, such as counting.
 */
export function compilesModel(
  { compile, batchSize = DEFAULT_BATCH }: RunOptions,
  model: AnyModel,
  { count }: Dataset,
): boolean {
  return compile ?? (
    count >= MIN_BATCHES * batchSize && nativeCpuBackend()?.mayLoadGraphs === true &&
    runsLibraryCode(model)
  );
}

/** Some examples of a tensor `[batch, …]`. */
export function rows(x: Tensor, first: number, count: number): Tensor {
  return ops.slice(
    x,
    x.shape.map((_, axis) => axis === 0 ? first : 0),
    x.shape.map((_, axis) => axis === 0 ? count : -1),
  );
}

/**
 * Calls `onBatch` with each batch of a data set, in order, and with the index of its first example.
 * It yields to the event loop before each batch. Tensors of `onBatch` are disposed after each
 * batch.
 *
 * @param share The share of this process in each batch.
 * @throws The reason of `signal`, if it is aborted.
 */
export async function forEachBatch(
  dataset: Dataset,
  { batchSize = Math.min(DEFAULT_BATCH, dataset.count), transform, signal }: RunOptions,
  onBatch: (batch: Batch<Tensor, Tensor>, first: number) => void,
  share?: EvaluationShare,
): Promise<void> {
  const { length, begin, size, load, prepare } = batchMaker(dataset, { batchSize, transform });
  const order = begin();
  using _ahead = order.ahead;
  for (let index = 0; index < length; index++) {
    const count = size!(index), own = share?.rows(count);
    // Without a share in this batch it makes one image, so that all draw the same random numbers.
    const rows = own?.length === 0 ? Int32Array.of(0) : own;
    const loading = load(order, index, rows);
    const examples = loading instanceof Promise
      ? await unlessAborted(loading, share ? undefined : signal)
      : loading;
    if (!examples) return signal?.throwIfAborted();
    using batch = prepare(order, examples, rows && { count, rows });
    const wantsToStop = await isStopped(signal);
    if (share?.meet("an evaluation", wantsToStop) ?? wantsToStop) {
      signal?.throwIfAborted();
      throw new DOMException("Another process was stopped", "AbortError");
    }
    if (own?.length !== 0) tidy(() => onBatch(batch, index * batchSize + (own?.[0] ?? 0)));
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
