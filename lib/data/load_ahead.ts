/** Loads batches before they are needed, so that reading and training overlap. */
import { dispose } from "../tensor/mod.ts";
import type { Examples } from "./examples.ts";

/** The number of batches that are loaded ahead. More would need more memory. */
const AHEAD = 2;

/** Loads examples by the index of their batch. */
type Load = (index: number) => Examples | Promise<Examples>;

/**
 * The batches of an epoch, loaded ahead if the data set returns promises. Disposing it frees what
 * nobody took.
 */
export class LoadAhead implements Disposable {
  readonly #load: Load;
  readonly #length: number;
  readonly #pending = new Map<number, Promise<Examples>>();

  /** @param length The number of batches. */
  constructor(length: number, load: Load) {
    this.#length = length;
    this.#load = load;
  }

  /** Returns the examples of a batch, and starts to load the next ones. */
  take(index: number): Examples | Promise<Examples> {
    const examples = this.#pending.get(index) ?? this.#load(index);
    this.#pending.delete(index);
    if (!(examples instanceof Promise)) return examples;
    for (let next = index + 1; next <= index + AHEAD && next < this.#length; next++) {
      if (this.#pending.has(next)) continue;
      const loading = (async () => await this.#load(next))();
      loading.catch(() => {}); // Whoever takes the batch gets the error.
      this.#pending.set(next, loading);
    }
    return examples;
  }

  [Symbol.dispose](): void {
    for (const loading of this.#pending.values()) disposeLater(loading);
    this.#pending.clear();
  }
}

/** Frees examples that are not needed any more, when they are loaded. */
function disposeLater(loading: Promise<Examples>): void {
  loading.then(({ inputs, targets }) => dispose([inputs, targets]), () => {});
}

/**
 * Waits for examples, or for the signal: then the result is undefined, and the examples are freed
 * when they come.
 *
 * @throws The error of loading them.
 */
export async function unlessAborted(
  loading: Promise<Examples>,
  signal: AbortSignal | undefined,
): Promise<Examples | undefined> {
  if (!signal) return await loading;
  let onAbort = () => {};
  const aborted = new Promise<undefined>((resolve) => onAbort = () => resolve(undefined));
  signal.addEventListener("abort", onAbort);
  if (signal.aborted) onAbort();
  try {
    const examples = await Promise.race([loading, aborted]);
    if (!examples) disposeLater(loading);
    return examples;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
