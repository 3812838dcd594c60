import { linkInterrupt, show } from "../tensor/internal.ts";
import { offExit, onExit } from "../tensor/platform.ts";
import { emptyHistory } from "./history.ts";
import type { History, Progress } from "./progress.ts";

/**
 * Takes a training over, so that only the caller iterates it.
 *
 * @throws {TypeError} If it has begun, or is taken over.
 */
export let takeOver: (action: string, training: Training) => void;

/**
 * A training that {@linkcode fit} made. It starts at the first request for progress. Awaited, it
 * trains to the end and resolves to the {@linkcode History}. Iterated, it yields each
 * {@linkcode Progress} as it comes.
 *
 * An `async` function that returns a training awaits it, as it does with any promise.
 *
 * @throws {TypeError} If it is both iterated and awaited.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * const options = { optimizer, epochs: 1, batchSize: 100 };
 * const { steps } = await fit(model, test, options);
 * assert.equal(steps.length, 10);
 * for await (const progress of fit(model, test, options)) {
 *   if (progress.kind === "step" && progress.step === 3) break;
 * }
 * ```
 */
export class Training implements AsyncGenerator<Progress, void, void>, Promise<History> {
  static {
    takeOver = (action, training) => {
      if (training.#isIterated || training.#history) {
        throw new TypeError(
          `${action}: the training must not have begun, found one that is iterated, awaited, or within another stage. ` +
            'Put the stages around each other: stages.csv(stages.ema(fit(…)), "log.csv").',
        );
      }
      training.#iterate();
    };
  }

  /** The name of the class. */
  readonly [Symbol.toStringTag] = "Training";
  readonly #name: string;
  readonly #progress: AsyncGenerator<Progress, void, void>;
  readonly #stop: ReturnType<typeof linkInterrupt>;
  #isIterated = false;
  #history: Promise<History> | undefined;

  /**
   * Makes a training; see {@linkcode fit}.
   *
   * @param name The name of the training, for messages.
   * @param signal Ends the training.
   * @param start Returns the progress of the training; the first request starts it.
   */
  constructor(
    name: string,
    signal: AbortSignal | undefined,
    start: (signal: AbortSignal | undefined) => AsyncGenerator<Progress, void, void>,
  ) {
    this.#name = name;
    this.#stop = linkInterrupt(signal);
    this.#stop.rest();
    this.#progress = start(this.#stop.signal);
    expectStart(this, name);
  }

  /** Trains until the next progress. */
  async next(): Promise<IteratorResult<Progress, void>> {
    return await this.#ask(() => this.#progress.next());
  }

  /** Ends the training. The model stays as trained so far. */
  async return(): Promise<IteratorResult<Progress, void>> {
    return await this.#ask(() => this.#progress.return());
  }

  /** Ends the training with an error. */
  async throw(error: unknown): Promise<IteratorResult<Progress, void>> {
    return await this.#ask(() => this.#progress.throw(error));
  }

  /** {@linkcode Training.return}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** This training, for `for await`. */
  [Symbol.asyncIterator](): this {
    this.#iterate();
    return this;
  }

  /** Trains to the end, and resolves to the history. */
  then<Value = History, Other = never>(
    onDone?: ((history: History) => Value | PromiseLike<Value>) | null,
    onFailed?: ((error: unknown) => Other | PromiseLike<Other>) | null,
  ): Promise<Value | Other> {
    return this.#toTheEnd().then(onDone, onFailed);
  }

  /** Trains to the end, and handles an error. */
  catch<Other = never>(
    onFailed?: ((error: unknown) => Other | PromiseLike<Other>) | null,
  ): Promise<History | Other> {
    return this.then(null, onFailed);
  }

  /** Trains to the end, and calls `onEnd` then. */
  finally(onEnd?: (() => void) | null): Promise<History> {
    return this.#toTheEnd().finally(onEnd);
  }

  /** The text that a cell shows. */
  [Symbol.for("Deno.customInspect")](): string {
    const state = this.#history
      ? "awaited"
      : this.#isIterated
      ? "iterated"
      : `not started: ${REMEDY}`;
    return `${this.#name}, ${state}`;
  }

  #toTheEnd(): Promise<History> {
    if (this.#isIterated) {
      return Promise.reject(
        new TypeError(
          `${this.#name}: a training must be awaited or iterated, not both, found one that has been iterated. ` +
            "Call fit again, which continues with the model as it is.",
        ),
      );
    }
    started(this);
    return this.#history ??= this.#run(() => collectHistory(this.#progress));
  }

  #iterate(): void {
    started(this);
    if (this.#history) {
      throw new TypeError(
        `${this.#name}: a training must be awaited or iterated, not both, found one that has been awaited. ` +
          "Iterate fit(…) itself, without await, or call it again.",
      );
    }
    this.#isIterated = true;
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    this.#iterate();
    return await this.#run(work);
  }

  /** Listens for Stop during a request only: between two, nobody may be waiting. */
  async #run<T>(work: () => Promise<T>): Promise<T> {
    this.#stop.wake();
    try {
      return await work();
    } finally {
      this.#stop.rest();
    }
  }
}

const REMEDY = "await fit(…), or iterate it with for await (const progress of fit(…)).";

/** The warning about a training that has not started. */
interface Warning {
  readonly message: string;
}

const pending = new Set<Warning>();
const warnings = new WeakMap<Training, Warning>();
const collected = new FinalizationRegistry<Warning>(warn);

function warn(warning: Warning): void {
  if (pending.delete(warning)) console.warn(warning.message);
}

/**
 * Warns if a training has not started when it is garbage-collected, or at the end of the program.
 */
function expectStart(training: Training, name: string): void {
  if (pending.size === 0) onExit(warnAll);
  const warning = { message: `${name} has not started, so nothing was trained: ${REMEDY}` };
  pending.add(warning);
  warnings.set(training, warning);
  collected.register(training, warning, training);
}

function warnAll(): void {
  for (const warning of pending) warn(warning);
}

function started(training: Training): void {
  const warning = warnings.get(training);
  if (!warning || !pending.delete(warning)) return;
  warnings.delete(training);
  collected.unregister(training);
  if (pending.size === 0) offExit(warnAll);
}

/**
 * Goes through the progress of a training, or of a generator around it, to its end and returns it.
 *
 * @throws {TypeError} If it is neither.
 */
export async function collectHistory(training: AsyncIterable<Progress>): Promise<History> {
  checkTraining("Collecting the progress of a training", training);
  const history = emptyHistory();
  for await (const progress of training) {
    if (progress.kind === "step") history.steps.push(progress);
    else history.epochs.push(progress);
  }
  return history;
}

/**
 * Checks that a value is a training, or a generator of its progress.
 *
 * @throws {TypeError} If it is neither.
 */
export function checkTraining(action: string, training: unknown): void {
  if (typeof training === "object" && training !== null && Symbol.asyncIterator in training) return;
  throw new TypeError(
    `${action}: the training must be fit(…) itself, without await, or a generator of progress, found ${
      show(training)
    }.`,
  );
}
