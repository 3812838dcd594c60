/**
 * The process of a sweep that loads its module: it lists the runs, or runs one.
 *
 *     deno run -A scripts/sweep_run.ts FILE              prints the runs as JSON
 *     deno run -A scripts/sweep_run.ts FILE FOLDER NAME  runs one, and writes its result
 */
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { writeTextAtomicallySync } from "../lib/data/files.ts";
import type { Sweep } from "../lib/parallel/mod.ts";
import { exists } from "./environment.ts";
import { type Run, runsOf, type Settings } from "./sweep_runs.ts";

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
