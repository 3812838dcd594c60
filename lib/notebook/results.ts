import { checkOptions } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { changeKept, isKeeping, readKept } from "./result_store.ts";
import { processorName } from "./processor_name.ts";
import { type RunScale, runScale } from "./run_scale.ts";

/** How well and how fast a network learnt, with what is needed to judge it. */
export interface NetworkResult {
  /** The network in a few words: `AlexNet, quarter width, 64×64`. */
  readonly network: string;
  /** The number of the notebook that trained it. */
  readonly notebook: number;
  /** The part of the test images that it names rightly, from 0 to 1. */
  readonly accuracy: number;
  /** Trainable numbers. */
  readonly parameters: number;
  /** Multiply-accumulate operations for one image. */
  readonly macs: number;
  /** Seconds of training, evaluation not counted. */
  readonly seconds: number;
  /** Training images. */
  readonly images: number;
  /** How often each was seen. */
  readonly epochs: number;
  /** The seed of weights and order. */
  readonly seed: number;
}

/** A result as it is kept: with the scale and the machine it comes from. */
export interface StoredResult extends NetworkResult {
  readonly scale: RunScale;
  readonly machine: string;
}

/** Where results are kept. */
const kept = new URL("../../data/results.json", import.meta.url);

/** What this notebook has measured so far. */
const measured: StoredResult[] = [];

/**
 * The table that grows from notebook to notebook: what the notebooks before this one measured at
 * this scale, and this result.
 *
 * The result is kept for later notebooks where the notebook is executed with
 * `deno task run --write` (which sets the environment variable RESNET_LAB_WRITE); else nothing is
 * written.
 *
 * @throws {TypeError} If the result has a property that does not exist, or one is of another kind.
 * @throws {RangeError} If the accuracy is not from 0 to 1, or another number is negative or not
 * finite.
 *
 * @returns The rows, by notebook, ready for `console.table`.
 *
 * @example
 * ```ts
 * import { addResult } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const table = addResult({
 *   network: "guessing",
 *   notebook: 0,
 *   accuracy: 0.1,
 *   parameters: 0,
 *   macs: 0,
 *   seconds: 1,
 *   images: 100,
 *   epochs: 1,
 *   seed: 0,
 * });
 * assert.equal(table[0]?.["test accuracy"], "10.00 %");
 * ```
 */
export function addResult(result: NetworkResult): Record<string, string | number>[] {
  checkResult(result);
  const own: StoredResult = { ...result, scale: runScale(), machine: processorName() };
  const withOwn = (before: readonly StoredResult[]) => {
    const all = [...before, ...measured, own].reduce(
      (rows, row) => rows.set([row.scale, row.notebook, row.network].join("/"), row),
      new Map<string, StoredResult>(),
    );
    return [...all.values()].sort((a, b) => a.notebook - b.notebook);
  };
  let rows: StoredResult[] = [];
  if (isKeeping()) changeKept<StoredResult[]>(kept, [], (before) => rows = withOwn(before), 2);
  else rows = withOwn(readKept<StoredResult[]>(kept, []));
  measured.push(own);
  return rows
    .filter((row) => row.scale === own.scale && row.notebook <= own.notebook)
    .map((row) => ({
      network: row.network,
      "test accuracy": `${(100 * row.accuracy).toFixed(2)} %`,
      parameters: row.parameters,
      MACs: row.macs,
      "images × epochs": `${row.images} × ${row.epochs}`,
      seconds: Math.round(row.seconds),
      "images/s": Math.round((row.images * row.epochs) / row.seconds),
    }));
}

function checkResult(result: NetworkResult): void {
  const doing = "Adding to the results";
  checkOptions<NetworkResult>(doing, result, '{ network: "LeNet", notebook: 4, … }', {
    network: true,
    notebook: true,
    accuracy: true,
    parameters: true,
    macs: true,
    seconds: true,
    images: true,
    epochs: true,
    seed: true,
  });
  const { network, accuracy, seconds, ...numbers } = result;
  if (typeof network !== "string") {
    throw new TypeError(`${doing}: network must be a string, found ${show(network)}.`);
  }
  for (const name of ["notebook", "parameters", "macs", "images", "epochs", "seed"] as const) {
    const value = numbers[name];
    if (typeof value !== "number") {
      throw new TypeError(`${doing}: ${name} must be a number, found ${show(value)}.`);
    }
    if (!(value >= 0 && value < Infinity)) {
      throw new RangeError(`${doing}: ${name} must be a number from 0 up, found ${value}.`);
    }
  }
  if (typeof accuracy !== "number" || !(accuracy >= 0 && accuracy <= 1)) {
    throw new RangeError(
      `${doing}: accuracy must be a share from 0 to 1, found ${show(accuracy)}.`,
    );
  }
  if (typeof seconds !== "number" || !(seconds > 0 && seconds < Infinity)) {
    throw new RangeError(`${doing}: seconds must be a number above 0, found ${show(seconds)}.`);
  }
}
