import { isKeeping, readKept, writeKept } from "./kept.ts";
import { machine } from "./machine.ts";
import { type Scale, scale } from "./scale.ts";

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
export interface KeptResult extends NetworkResult {
  readonly scale: Scale;
  readonly machine: string;
}

/** Where results are kept. */
const kept = new URL("../../data/results.json", import.meta.url);

/** What this notebook has measured so far. */
const measured: KeptResult[] = [];

/**
 * The table that grows from notebook to notebook: what the notebooks before this one measured at this scale, and this result.
 *
 * The result is kept for later notebooks where the notebook is executed with `deno task run --write` (which sets the environment
 * variable RESNET_LAB_WRITE); else nothing is written.
 *
 * @returns The rows, by notebook, ready for `console.table`.
 *
 * @example
 * ```ts
 * import { resultsWith } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const table = resultsWith({
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
export function resultsWith(result: NetworkResult): Record<string, string | number>[] {
  const own: KeptResult = { ...result, scale: scale(), machine: machine() };
  const before = readKept<KeptResult[]>(kept, []);
  const all = [...before, ...measured, own].reduce(
    (rows, row) => rows.set([row.scale, row.notebook, row.network].join("/"), row),
    new Map<string, KeptResult>(),
  );
  measured.push(own);
  const rows = [...all.values()].sort((a, b) => a.notebook - b.notebook);
  if (isKeeping()) writeKept(kept, JSON.stringify(rows, null, 2));
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
