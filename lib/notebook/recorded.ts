import { isKeeping, readKept, writeKept } from "./kept.ts";
import { machine } from "./machine.ts";
import { type Scale, scale } from "./scale.ts";

/** Where and when a recorded value was measured. */
export interface Provenance {
  readonly scale: Scale;
  readonly machine: string;
  /** The day, as `2026-11-22`. */
  readonly date: string;
}

/** What an experiment measured, by the name of the run. */
type Runs<Value> = Record<string, Value & Provenance>;

/**
 * The result of a run that takes long: read from `data/<experiment>.json` where that run is kept at this {@linkcode scale}, else
 * measured now.
 *
 * What is measured is kept where the notebook is executed with `deno task run --write`, run by run, so that an experiment that was
 * stopped goes on where it was; miniatures, at smoke, are not. To measure a run again, take it out of the file.
 *
 * @param experiment The name of the file.
 * @param run The name of the run, with all that makes it differ from the others: network, depth, seed.
 * @param measure Measures it. What it gives must be a plain object of numbers, strings and arrays.
 *
 * @example
 * ```ts
 * import { recorded } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { sum, machine } = await recorded("nothing_yet", "1 + 1", () => Promise.resolve({ sum: 2 }));
 * assert.equal(sum, 2);
 * assert(machine.length > 0);
 * ```
 */
export async function recorded<Value extends object>(
  experiment: string,
  run: string,
  measure: () => Promise<Value>,
): Promise<Value & Provenance> {
  const file = new URL(`../../data/${experiment}.json`, import.meta.url);
  const name = `${scale()}: ${run}`;
  const read = () => readKept<Runs<Value>>(file, {});
  const kept = read()[name];
  if (kept) return kept;
  const date = new Date().toISOString().slice(0, 10);
  const value = { ...await measure(), scale: scale(), machine: machine(), date };
  if (isKeeping() && scale() !== "smoke") {
    // Read again: other runs may have been kept in the meantime.
    writeKept(file, JSON.stringify({ ...read(), [name]: value }));
  }
  return value;
}
