/**
 * The process of a sweep that loads its module: it lists the runs, or runs one.
 *
 *     deno run -A scripts/sweep_run.ts FILE              prints the runs as JSON
 *     deno run -A scripts/sweep_run.ts FILE FOLDER NAME  runs one, and writes its result
 */
import { createHash } from "node:crypto";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { writeTextAtomicallySync } from "../lib/data/files.ts";
import type { Sweep } from "../lib/parallel/mod.ts";
import { exists } from "./environment.ts";

type Settings = Readonly<Record<string, string | number | boolean>>;

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

/** Runs one run, unless another process does so first, and writes its result. */
async function runOne(
  action: string,
  sweep: Sweep<Settings>,
  folder: string,
  { name, settings, seed }: Run,
) {
  const file = join(folder, `${name}.json`);
  // The process of a killed sweep may still compute this run.
  using lock = await Deno.open(join(folder, `${name}.lock`), { write: true, create: true });
  await lock.lock(true);
  if (exists(file)) return;
  const result = await sweep.run({
    settings,
    seed,
    checkpoint: join(folder, `${name}.checkpoint`),
  });
  const text = JSON.stringify({ settings, seed, result }, (key, value) => {
    if (typeof value !== "number" || Number.isFinite(value)) return value;
    throw new RangeError(
      `${action}: the result of ${name} must be finite numbers, found ${key} ${value}.`,
    );
  }, 2);
  if (result === undefined) {
    throw new TypeError(`${action}: run must return a result, found none for ${name}.`);
  }
  writeTextAtomicallySync(file, `${text}\n`);
}

/** Ends this process with the one that started it, which holds the other end of its input. */
async function endWithParent(): Promise<never> {
  while (await Deno.stdin.read(new Uint8Array(64)) !== null);
  Deno.exit(1);
}

if (import.meta.main) {
  const [path, folder, name] = Deno.args;
  const action = `Running the sweep ${path}`;
  if (folder !== undefined) endWithParent();
  const { default: sweep } = await import(pathToFileURL(resolve(path!)).href);
  const runs = runsOf(action, sweep);
  if (folder === undefined) console.log(`\n${JSON.stringify(runs)}`);
  else await runOne(action, sweep, folder, runs.find((run) => run.name === name)!);
  Deno.exit();
}
