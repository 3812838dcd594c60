/** The history of a training, and what a notebook shows of it. */
import type { History } from "./progress.ts";

/**
 * Makes a history without progress.
 *
 * As the result of a cell it is one line: many cells end with `await showProgress(…)`, whose
 * chart says more than the lists.
 */
export function emptyHistory(): History {
  const history: History = { steps: [], epochs: [] };
  const display = () => ({ "text/plain": lengthsOf(history) });
  // Not enumerable, so that a history compares, copies and prints as its two lists.
  return Object.defineProperty(history, Symbol.for("Jupyter.display"), { value: display });
}

function lengthsOf({ steps, epochs }: History): string {
  const count = ({ length }: readonly unknown[], one: string) =>
    `${length.toLocaleString("en")} ${length === 1 ? one : `${one}s`}`;
  return `History: ${count(steps, "step")}, ${count(epochs, "epoch")}`;
}
