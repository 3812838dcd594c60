import { show } from "../tensor/internal.ts";
import { changeKept, isKeeping, readKept } from "./result_store.ts";
import { processorName } from "./processor_name.ts";
import { type RunScale, runScale } from "./run_scale.ts";

/** Where and when a recorded value was measured. */
export interface Provenance {
  readonly scale: RunScale;
  readonly machine: string;
  /** The day, as `2026-11-22`. */
  readonly date: string;
}

/** What an experiment measured, by the name of the run. */
type Runs<Value> = Record<string, Value & Provenance>;

/**
 * The result of a run that takes long: read from `data/<experiment>.json` where that run is kept at
 * this {@linkcode runScale}, else measured now.
 *
 * What is measured is kept where the notebook is executed with `deno task run --write`, run by run,
 * so that an experiment that was stopped goes on where it was; miniatures, at smoke, are not. To
 * measure a run again, take it out of the file.
 *
 * @param experiment The name of the file: letters, digits, `_` and `-`.
 * @param run The name of the run, with all that makes it differ from the others: network, depth,
 * seed. A run is known by its name alone: change `measure`, and what the old one measured is read.
 * @param measure Measures it. What it gives must be a plain object of numbers, strings and arrays,
 * without the names of {@linkcode Provenance}.
 * @throws {TypeError} If an argument is of another kind, or what was measured holds something that
 * JSON cannot keep, such as NaN or a typed array, and is to be kept.
 * @throws {RangeError} If the experiment is no name of a file, or the file is damaged.
 *
 * @example
 * ```ts
 * import { cachedExperiment } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { sum, machine } = await cachedExperiment("nothing_yet", "1 + 1", () => Promise.resolve({ sum: 2 }));
 * assert.equal(sum, 2);
 * assert(machine.length > 0);
 * ```
 */
export async function cachedExperiment<Value extends object>(
  experiment: string,
  run: string,
  measure: () => Promise<Value>,
): Promise<Value & Provenance> {
  const doing = `Recording "${run}"`;
  if (typeof experiment !== "string" || !/^[\w-]+$/.test(experiment)) {
    throw new RangeError(
      `${doing}: the experiment must be a name of letters, digits, _ and -, found ${
        show(experiment)
      }.`,
    );
  }
  if (typeof run !== "string" || typeof measure !== "function") {
    throw new TypeError(
      `${doing}: the run must be a string and measure a function, found ${show(run)} and ${
        show(measure)
      }.`,
    );
  }
  const file = new URL(`../../data/${experiment}.json`, import.meta.url);
  const name = `${runScale()}: ${run}`;
  const kept = readKept<Runs<Value>>(file, {})[name];
  if (kept) return kept;
  const provenance = {
    scale: runScale(),
    machine: processorName(),
    date: new Date().toISOString().slice(0, 10),
  };
  const measured = await measure();
  if (typeof measured !== "object" || measured === null) {
    throw new TypeError(`${doing}: measure must give an object, found ${show(measured)}.`);
  }
  const taken = Object.keys(provenance).find((key) => Object.hasOwn(measured, key));
  if (taken !== undefined) {
    throw new TypeError(
      `${doing}: what is measured must have another name than ${taken}, which says where it is from.`,
    );
  }
  const value = { ...measured, ...provenance };
  if (isKeeping() && runScale() !== "smoke") {
    requireJson(doing, "the result", measured);
    changeKept<Runs<Value>>(file, {}, (runs) => ({ ...runs, [name]: value }));
  }
  return value;
}

/**
 * Checks that JSON keeps a value as it is; it drops properties without a value, which is as good.
 */
function requireJson(doing: string, path: string, value: unknown): void {
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      requireJson(doing, `${path}[${index}]`, value[index]);
    }
    return;
  }
  const prototype = typeof value === "object" ? Object.getPrototypeOf(value) : undefined;
  if (prototype === Object.prototype || prototype === null) {
    for (const [key, part] of Object.entries(value as object)) {
      if (part !== undefined) requireJson(doing, `${path}.${key}`, part);
    }
    return;
  }
  throw new TypeError(
    `${doing}: ${path} must be something that JSON keeps, found ${
      ArrayBuffer.isView(value) ? `${value.constructor.name} (make it an array)` : show(value)
    }. It was not kept.`,
  );
}
