/**
 * Checks of options. Cells and plain `deno run` are not type-checked, so the running library
 * refuses what the types refuse.
 */
import { isTensor } from "./check.ts";

/**
 * The names of all options of a type. A name that is missing or wrong is a compile error.
 */
export type OptionNames<T> = { readonly [Name in keyof T]-?: true };

/**
 * Checks that options are an object and that each one exists.
 *
 * @param doing What the caller is doing, such as `"Building myBlock"`.
 * @param such An example of the options, as it stands in code.
 * @param names Every option that exists.
 * @throws {TypeError} If `options` is not an object or has an option that is not in `names`.
 *
 * @example
 * ```ts
 * import { checkOptions } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * function myBlock(options: { stride?: number }) {
 *   checkOptions<typeof options>("Building myBlock", options, "{ stride: 2 }", { stride: true });
 * }
 * myBlock({ stride: 2 });
 * const misspelt = { strides: 2 };
 * assert.throws(
 *   () => myBlock(misspelt as { stride?: number }),
 *   /Building myBlock: there is no option strides. Did you mean stride\?/,
 * );
 * ```
 */
export function checkOptions<T extends object>(
  doing: string,
  options: unknown,
  such: string,
  names: OptionNames<NoInfer<T>>,
): void {
  if (!isPlainObject(options)) {
    throw new TypeError(
      `${doing}: the options must be an object such as ${such}, found ${show(options)}.`,
    );
  }
  const known = Object.keys(names);
  const unknown = Object.keys(options).filter((name) => !Object.hasOwn(names, name));
  if (unknown.length === 0) return;
  const none = `${doing}: there ${unknown.length === 1 ? "is no option" : "are no options"} ${
    unknown.join(", ")
  }.`;
  throw new TypeError(
    known.length === 0
      ? `${none} It takes none.`
      : `${none} Did you mean ${
        unknown.map((name) => nearest(name, known)).join(", ")
      }? The options are ${known.join(", ")}.`,
  );
}

/**
 * Whether a value was written as `{ … }`; the constructor's name also knows objects of another
 * realm.
 */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || prototype.constructor?.name === "Object";
}

/** The known name that someone who wrote `name` most likely meant. */
function nearest(name: string, known: readonly string[]): string {
  const plain = (text: string) => text.toLowerCase().replaceAll(/[^a-z0-9]/g, "");
  const initials = (text: string) => text.replaceAll(/(?<=.)[a-z0-9]/g, "").toLowerCase();
  const wanted = plain(name);
  const distance = (other: string) => {
    const candidate = plain(other);
    if (candidate === wanted || initials(other) === wanted) return 0;
    if (candidate.includes(wanted) || wanted.includes(candidate)) return 0.5;
    return editDistance(wanted, candidate);
  };
  return known.reduce((best, other) => distance(other) < distance(best) ? other : best);
}

/** Levenshtein's distance: how many letters must be inserted, deleted or replaced. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(
        next[j - 1]! + 1,
        row[j]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      ));
    }
    row = next;
  }
  return row[b.length]!;
}

/** A value as an error message shows it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "function") {
    return value.name === ""
      ? "a function (was it meant to be called?)"
      : `the function ${value.name} (call it: ${value.name}())`;
  }
  if (Array.isArray(value)) return `[${value.map(show).join(", ")}]`;
  if (isTensor(value)) return `a tensor of ${value.dtype} [${value.shape.join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    // The layers and models of lib/nn, which imports this file.
    return "describe" in value && typeof value.describe === "function"
      ? `the module ${value.describe()}`
      : "an object of another kind";
  }
  return String(value);
}
