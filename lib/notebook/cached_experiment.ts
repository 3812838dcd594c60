import { checkFunction, checkString, show } from "../tensor/internal.ts";
import { isWriting, processorName, readStore, storeOf, updateStore } from "./result_store.ts";
import { type RunScale, runScale } from "./run_scale.ts";

/** The origin of a stored measurement. */
export interface Provenance {
  /** The scale of the run; see {@linkcode runScale}. */
  readonly scale: RunScale;
  /** The processors, such as `2 × Intel(R) Xeon(R) Processor`. */
  readonly machine: string;
  /** The day, as `2026-11-22`. */
  readonly date: string;
}

/** The measurements of an experiment by the name of the run. */
type Runs<Value> = Record<string, Value & Provenance>;

/**
 * Returns the measurement of a long run: from `data/<experiment>.json` if the run is stored there
 * for this {@linkcode runScale}, else from `measure`.
 *
 * With `deno task run --write`, or in a program with the environment variable
 * `RESNET_LAB_WRITE=1`, each run is stored as soon as it is measured, so that a stopped experiment
 * can continue. Otherwise, and at the scale smoke, nothing is stored. To measure a run again,
 * remove it from the file. The folder `data` is that of the project of the library.
 *
 * @param experiment The name of the file: letters, digits, `_` and `-`.
 * @param run The name of the run, with everything that differs from other runs: network, depth,
 * seed. The name alone identifies a run: a change of `measure` does not invalidate stored runs.
 * @param measure Measures the run. The result must be a plain object of numbers, strings and
 * arrays, without the names of {@linkcode Provenance}.
 * @throws {TypeError} If an argument is of the wrong kind, or the result holds a value that JSON
 * cannot store, such as NaN or a typed array.
 * @throws {RangeError} If the experiment is not the name of a file, or the file is damaged.
 *
 * @example
 * ```ts
 * import { cachedExperiment } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const measure = () => Promise.resolve({ sum: 1 + 1 });
 * const { sum, machine } = await cachedExperiment("nothing_yet", "1 + 1", measure);
 * assert.equal(sum, 2);
 * assert(machine.length > 0);
 * ```
 */
export async function cachedExperiment<Value extends object>(
  experiment: string,
  run: string,
  measure: () => Promise<Value>,
): Promise<Value & Provenance> {
  const action = `Running the experiment "${run}"`;
  checkString(action, "the experiment", experiment);
  if (!/^[\w-]+$/.test(experiment)) {
    throw new RangeError(
      `${action}: the experiment must be a name of letters, digits, _ and -, found ${
        show(experiment)
      }.`,
    );
  }
  checkString(action, "the run", run);
  checkFunction(action, "measure", measure);
  const file = storeOf(experiment);
  const name = `${runScale()}: ${run}`;
  const stored = readStore<Runs<Value>>(file, {})[name];
  if (stored) return stored;
  const provenance = {
    scale: runScale(),
    machine: processorName(),
    date: new Date().toISOString().slice(0, 10),
  };
  const result = await measure();
  if (typeof result !== "object" || result === null) {
    throw new TypeError(`${action}: the result must be an object, found ${show(result)}.`);
  }
  const reserved = Object.keys(provenance).find((key) => Object.hasOwn(result, key));
  if (reserved !== undefined) {
    throw new TypeError(
      `${action}: the result must have names other than ${
        Object.keys(provenance).join(", ")
      }, found ${reserved}.`,
    );
  }
  const value = { ...result, ...provenance };
  if (isWriting() && runScale() !== "smoke") {
    checkJson(`${action}, whose result is not stored`, "the result", result);
    updateStore<Runs<Value>>(file, {}, (runs) => ({ ...runs, [name]: value }));
  }
  return value;
}

/** Checks that JSON keeps a value unchanged. Undefined properties may get lost. */
export function checkJson(action: string, path: string, value: unknown): void {
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value === "number" && Number.isFinite(value)) return;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      checkJson(action, `${path}[${index}]`, value[index]);
    }
    return;
  }
  const prototype = typeof value === "object" ? Object.getPrototypeOf(value) : undefined;
  if (prototype === Object.prototype || prototype === null) {
    for (const [key, part] of Object.entries(value as object)) {
      if (part !== undefined) checkJson(action, `${path}.${key}`, part);
    }
    return;
  }
  throw new TypeError(
    `${action}: ${path} must be a value that JSON can store, found ${
      ArrayBuffer.isView(value)
        ? `${value.constructor.name} (convert it with Array.from)`
        : show(value)
    }.`,
  );
}
