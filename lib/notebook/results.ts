import { checkNumber, checkOptions, checkString } from "../tensor/internal.ts";
import { isWriting, processorName, readStore, updateStore } from "./result_store.ts";
import { type RunScale, runScale } from "./run_scale.ts";

/** The test accuracy and training time of a network, with its size and training conditions. */
export interface NetworkResult {
  /** The network in a few words: `AlexNet, quarter width, 64×64`. */
  readonly network: string;
  /** The number of the notebook that trained it. */
  readonly notebook: number;
  /** The test accuracy, from 0 to 1. */
  readonly accuracy: number;
  /** The number of trainable parameters. */
  readonly parameters: number;
  /** The multiply-accumulate operations for one image. */
  readonly macs: number;
  /** The training time in seconds, without evaluation. */
  readonly seconds: number;
  /** The number of training images. */
  readonly images: number;
  /** The number of epochs. */
  readonly epochs: number;
  /** The seed of the initial weights and of the order of the images. */
  readonly seed: number;
}

/** A stored result, with the scale and the machine of its run. */
export interface StoredResult extends NetworkResult {
  /** The scale of the run; see {@linkcode runScale}. */
  readonly scale: RunScale;
  /** The processors, such as `2 × Intel(R) Xeon(R) Processor`. */
  readonly machine: string;
}

/** The file of stored results. */
const STORE = new URL("../../data/results.json", import.meta.url);

/** The results of this notebook so far. */
const ownResults: StoredResult[] = [];

/**
 * Adds a result to the table that grows from notebook to notebook, and returns the table: the
 * results of earlier notebooks at this scale, and those of this notebook.
 *
 * With `deno task run --write`, which sets the environment variable RESNET_LAB_WRITE, the result is
 * stored for later notebooks.
 *
 * @throws {TypeError} If the result has an unknown property, or one of the wrong kind.
 * @throws {RangeError} If the accuracy is not from 0 to 1, or another number is negative or not
 * finite.
 *
 * @returns The rows, by notebook, ready for {@linkcode table}.
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
  const withOwn = (stored: readonly StoredResult[]) => {
    const all = [...stored, ...ownResults, own].reduce(
      (rows, row) => rows.set([row.scale, row.notebook, row.network].join("/"), row),
      new Map<string, StoredResult>(),
    );
    return [...all.values()].sort((a, b) => a.notebook - b.notebook);
  };
  let rows: StoredResult[] = [];
  if (isWriting()) updateStore<StoredResult[]>(STORE, [], (stored) => rows = withOwn(stored), 2);
  else rows = withOwn(readStore<StoredResult[]>(STORE, []));
  ownResults.push(own);
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
  const action = "Adding to the results";
  checkOptions<NetworkResult>(action, result, '{ network: "LeNet", notebook: 4, … }', {
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
  checkString(action, "network", network);
  for (const name of ["notebook", "parameters", "macs", "images", "epochs", "seed"] as const) {
    const value = numbers[name];
    const fits = value >= 0 && value < Infinity;
    checkNumber(action, name, value, fits, "a finite number of at least 0");
  }
  checkNumber(
    action,
    "accuracy",
    accuracy,
    accuracy >= 0 && accuracy <= 1,
    "a number from 0 to 1",
  );
  const isDuration = seconds > 0 && seconds < Infinity;
  checkNumber(action, "seconds", seconds, isDuration, "a finite number above 0");
}
