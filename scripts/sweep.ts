import { basename, dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { commandOf } from "../lib/tensor/installation.ts";
import { readCommandLine } from "./command_line.ts";
import { exists } from "./environment.ts";
import type { Run } from "./sweep_runs.ts";

const usage =
  `Runs each combination of the settings and seeds of a file, each in a process of its own.

  ${commandOf("sweep")} FILE [--results FOLDER] [--jobs N] [--threads N] [--shard I/N]

  FILE       a module whose default export is a Sweep (help: the type Sweep of resnet-lab)
  --results  the folder of the results; runs/ and the name of the file, if not given
  --jobs     the runs at a time: the processors ÷ threads, if not given
  --threads  the threads of each run, 1 if not given; results may differ in their last bits by it
  --shard    one of N shares of the runs, from 1/N to N/N, for several machines

A run whose result is there is skipped, and one that was killed continues from its checkpoint, so
the same command brings an interrupted sweep to its end. To begin again, delete the folder.
`;

const ACTION = "Running a sweep";

/** The options of the command line. */
export interface SweepOptions {
  readonly file: string;
  readonly results: string;
  readonly jobs: number;
  readonly threads: number;
  /** The share of the runs that run here. */
  readonly shard: { readonly index: number; readonly count: number };
}

/**
 * Reads the command line.
 *
 * @param folder The folder that paths are relative to.
 * @throws {RangeError} If a number is not whole and above 0, or there is not one file.
 * @throws {TypeError} If an option does not exist.
 */
export function parseArguments(args: readonly string[], folder: string): SweepOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      results: { type: "string" },
      jobs: { type: "string" },
      threads: { type: "string", default: "1" },
      shard: { type: "string", default: "1/1" },
    },
  });
  const [file, ...others] = positionals;
  if (file === undefined || others.length > 0) {
    throw new RangeError(
      `${ACTION}: there must be one file, found ${positionals.join(", ") || "none"}.`,
    );
  }
  const path = resolve(folder, file);
  if (!exists(path)) throw new RangeError(`${ACTION}: the file must exist, found no ${file}.`);
  const threads = wholeNumber("--threads", values.threads);
  const jobs = values.jobs === undefined
    ? Math.max(1, Math.floor(navigator.hardwareConcurrency / threads))
    : wholeNumber("--jobs", values.jobs);
  const [, index, count] = /^(\d+)\/(\d+)$/.exec(values.shard) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  if (!(shard.index >= 1 && shard.index <= shard.count)) {
    throw new RangeError(`${ACTION}: --shard must be from 1/N to N/N, found ${values.shard}.`);
  }
  const name = basename(path).replace(/\.\w+$/, "");
  return {
    file: path,
    results: resolve(folder, values.results ?? join("runs", name)),
    jobs,
    threads,
    shard,
  };
}

function wholeNumber(name: string, text: string): number {
  const value = Number(text);
  if (text && Number.isInteger(value) && value > 0) return value;
  throw new RangeError(`${ACTION}: ${name} must be a whole number of at least 1, found ${text}.`);
}

/**
 * Runs what is missing of a sweep.
 *
 * @returns The names of the runs that failed.
 */
async function sweep({ file, results, jobs, threads, shard }: SweepOptions): Promise<string[]> {
  const listed = await child(file, threads, []).output();
  const output = new TextDecoder().decode(listed.stdout);
  if (!listed.success) throw new Error(new TextDecoder().decode(listed.stderr).trim());
  const all: Run[] = JSON.parse(output.trim().split("\n").at(-1)!);
  const own = all.filter((_, i) => i % shard.count === shard.index - 1);
  const missing = own.filter(({ name }) => !exists(join(results, `${name}.json`)));
  console.log(
    `${own.length} runs, ${own.length - missing.length} of them done, results in ${results}`,
  );
  await Deno.mkdir(results, { recursive: true });
  const queue = missing.values(), failed: string[] = [];
  let done = own.length - missing.length;
  await Promise.all(Array.from({ length: jobs }, async () => {
    for (const { name } of queue) {
      const start = performance.now();
      const isDone = await runOne(file, threads, results, name);
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      if (isDone) {
        const { result } = JSON.parse(await Deno.readTextFile(join(results, `${name}.json`)));
        console.log(`${++done} of ${own.length}: ${name}, ${seconds} s: ${JSON.stringify(result)}`);
      } else {
        failed.push(name);
        console.error(
          `${name} failed after ${seconds} s; the end of ${join(results, `${name}.log`)}:`,
        );
        const log = await Deno.readTextFile(join(results, `${name}.log`));
        console.error(log.trim().split("\n").slice(-12).map((line) => `  ${line}`).join("\n"));
      }
    }
  }));
  return failed;
}

/** Runs one run with its output in a file; returns whether its result is there. */
async function runOne(
  file: string,
  threads: number,
  results: string,
  name: string,
): Promise<boolean> {
  using log = await Deno.open(join(results, `${name}.log`), { append: true, create: true });
  const process = child(file, threads, [results, name]).spawn();
  const copy = async (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
    for await (const bytes of stream) log.writeSync(bytes);
  };
  const [{ success }] = await Promise.all([
    process.status,
    copy(process.stdout),
    copy(process.stderr),
  ]);
  await process.stdin.close().catch(() => {});
  return success && exists(join(results, `${name}.json`));
}

/** The command that loads the file. Its input stays open, so that it ends with this process. */
function child(file: string, threads: number, args: readonly string[]): Deno.Command {
  const config = configOf(dirname(file));
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--allow-all", ...(config === undefined ? [] : ["--config", config])],
      ...[join(import.meta.dirname!, "sweep_run.ts"), file, ...args],
    ],
    cwd: dirname(file),
    env: { TF_NUM_INTRAOP_THREADS: String(threads), NO_COLOR: "1" },
    stdin: args.length > 0 ? "piped" : "null",
    stdout: "piped",
    stderr: "piped",
  });
}

/** Returns the deno.json that belongs to a folder. */
function configOf(folder: string): string | undefined {
  for (const name of ["deno.json", "deno.jsonc"]) {
    if (exists(join(folder, name))) return join(folder, name);
  }
  return dirname(folder) === folder ? undefined : configOf(dirname(folder));
}

if (import.meta.main) {
  const options = readCommandLine(
    usage,
    () => parseArguments(Deno.args, Deno.env.get("INIT_CWD") ?? Deno.cwd()),
  );
  try {
    const failed = await sweep(options);
    if (failed.length > 0) {
      console.error(`${ACTION}: all runs must succeed, found that ${failed.length} failed.`);
    }
    Deno.exit(failed.length > 0 ? 1 : 0);
  } catch (error) {
    console.error(`${ACTION}: ${error instanceof Error ? error.message : error}`);
    Deno.exit(1);
  }
}
