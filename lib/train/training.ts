import { linkInterrupt } from "../tensor/internal.ts";
import { collectHistory, type History } from "./history.ts";
import type { Progress } from "./fit.ts";

/**
 * A training that {@linkcode fit} made, which starts when it is asked for its first progress. It is
 * either awaited, which trains to the end and gives the {@linkcode History}, or iterated, which
 * gives each {@linkcode Progress} as it comes.
 *
 * As anything that can be awaited, it is also awaited where an `async` function returns it.
 *
 * @throws {TypeError} If it is iterated and awaited.
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
  readonly [Symbol.toStringTag] = "Training";
  readonly #name: string;
  readonly #progress: AsyncGenerator<Progress, void, void>;
  readonly #stop: ReturnType<typeof linkInterrupt>;
  #isIterated = false;
  #history: Promise<History> | undefined;

  /**
   * @param name What is trained on what, for messages.
   * @param signal Ends it.
   * @param start Trains; called at once, it does nothing before it is asked for progress.
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

  /** Ends it; the model stays as trained so far. */
  async return(): Promise<IteratorResult<Progress, void>> {
    return await this.#ask(() => this.#progress.return());
  }

  /** Ends it with an error. */
  async throw(error: unknown): Promise<IteratorResult<Progress, void>> {
    return await this.#ask(() => this.#progress.throw(error));
  }

  /** {@linkcode Training.return}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  [Symbol.asyncIterator](): this {
    this.#iterate();
    return this;
  }

  /** Trains to the end, and gives what was reported on the way. */
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

  /** Trains to the end, and does something then. */
  finally(onEnd?: (() => void) | null): Promise<History> {
    return this.#toTheEnd().finally(onEnd);
  }

  /** The text that a cell shows. */
  [Symbol.for("Deno.customInspect")](): string {
    const how = this.#history
      ? "awaited"
      : this.#isIterated
      ? "iterated"
      : `not started: ${REMEDY}`;
    return `${this.#name}, ${how}`;
  }

  #toTheEnd(): Promise<History> {
    if (this.#isIterated) {
      return Promise.reject(
        new TypeError(
          `${this.#name}: a training must be awaited or iterated, not both, and this one has been iterated. ` +
            "Call fit again; it goes on with the model as it is.",
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
        `${this.#name}: a training must be awaited or iterated, not both, and this one has been awaited. ` +
          "Iterate fit(…) itself, without await, or call it again.",
      );
    }
    this.#isIterated = true;
  }

  async #ask<T>(work: () => Promise<T>): Promise<T> {
    this.#iterate();
    return await this.#run(work);
  }

  /** Between two requests nobody may be waiting for it, so it does not listen for Stop then. */
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

/** The messages about trainings that have not started. */
const pending = new Set<{ readonly message: string }>();
const tickets = new WeakMap<Training, { readonly message: string }>();
const forgotten = new FinalizationRegistry<{ readonly message: string }>(tell);

function tell(ticket: { readonly message: string }): void {
  if (pending.delete(ticket)) console.warn(ticket.message);
}

/**
 * Has a word said about a training that is let go, or there at the end of the program, without
 * having started.
 */
function expectStart(training: Training, name: string): void {
  if (pending.size === 0) addEventListener("unload", tellAll);
  const ticket = {
    message: `${name} has not started, so nothing was trained: ${REMEDY}`,
  };
  pending.add(ticket);
  tickets.set(training, ticket);
  forgotten.register(training, ticket, training);
}

function tellAll(): void {
  for (const ticket of pending) tell(ticket);
}

function started(training: Training): void {
  const ticket = tickets.get(training);
  if (!ticket || !pending.delete(ticket)) return;
  tickets.delete(training);
  forgotten.unregister(training);
  if (pending.size === 0) removeEventListener("unload", tellAll);
}
