import { createHash } from "node:crypto";
import type { Sweep } from "../lib/parallel/mod.ts";

/** The settings of a run. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** A run: its name, which its files have, its settings and its seed. */
export interface Run {
  readonly name: string;
  readonly settings: Settings;
  readonly seed: number;
}

/**
 * Returns the runs of a sweep: each combination of settings with each seed.
 *
 * @throws {TypeError} If it is no sweep.
 * @throws {RangeError} If it has no runs, or one twice.
 */
export function runsOf(action: string, sweep: unknown): Run[] {
  const { settings, seeds, run } = Object(sweep) as Partial<Sweep<Settings>>;
  const isSweep = typeof run === "function" && Array.isArray(seeds) &&
    seeds.every(Number.isInteger) &&
    typeof settings === "object" && settings !== null &&
    Object.values(settings).every(Array.isArray);
  if (!isSweep) {
    throw new TypeError(
      `${action}: the default export must be { settings: { name: [values] }, seeds: [numbers], run }, found another one. ` +
        "See the type Sweep of resnet-lab.",
    );
  }
  const combinations = Object.entries(settings).reduce<Settings[]>(
    (some, [name, values]) =>
      some.flatMap((others) => values.map((value) => ({ ...others, [name]: value }))),
    [{}],
  );
  const runs = combinations.flatMap((settings) =>
    seeds.map((seed): Run => ({ name: nameOf({ ...settings, seed }), settings, seed }))
  );
  const names = runs.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) < i);
  if (runs.length === 0 || twice !== undefined) {
    throw new RangeError(
      `${action}: there must be runs, each once, found ${
        twice === undefined ? "none" : `${twice} twice`
      }.`,
    );
  }
  return runs;
}

/** Returns a name for files: the settings, with a hash in place of what would be too long. */
function nameOf(settings: Settings): string {
  const text = Object.entries(settings)
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join(",");
  if (text.length <= 150) return text;
  return `${text.slice(0, 130)}-${createHash("sha256").update(text).digest("hex").slice(0, 16)}`;
}
