import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { commandOf } from "../lib/tensor/installation.ts";
import { readCommandLine } from "./command_line.ts";
import { exists, jupyterVariables, projectPaths, scaleNames } from "./environment.ts";
import { findSolutions } from "./exercises.ts";
import { setUpOrExit } from "./setup.ts";

const usage = `Executes notebooks from top to bottom, without a browser, and reports every cell.
Then it runs the folded solution of each exercise, which must solve it.

  ${commandOf("run")} [NN…] [--scale smoke|cpu|gpu] [--write] [--timeout SECONDS]

  NN         notebooks by number (01, 03b) or path; all of notebooks/ if there are none
  --scale    how much to compute: smoke (about a minute each), cpu (the default, minutes each), gpu
  --write    write the outputs to the notebooks and the table of results; without it no file changes
  --timeout  seconds that one cell may take, 3600 if not given
`;

const ACTION = "Running notebooks";

/** The options of the command line. */
export interface CliOptions {
  readonly notebooks: readonly string[];
  readonly scale: string;
  readonly write: boolean;
  readonly timeout: number;
}

/**
 * Reads the command line.
 *
 * @throws {RangeError} If a notebook does not exist, or the scale or the time limit is wrong.
 * @throws {TypeError} If an option does not exist.
 */
export function parseArguments(args: readonly string[], folder: string): CliOptions {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      scale: { type: "string", default: "cpu" },
      write: { type: "boolean", default: false },
      timeout: { type: "string", default: "3600" },
    },
  });
  const { scale, write } = values;
  if (!scaleNames.includes(scale)) {
    throw new RangeError(`${ACTION}: --scale must be smoke, cpu or gpu, found "${scale}".`);
  }
  const timeout = Number(values.timeout);
  if (!(timeout > 0)) {
    throw new RangeError(
      `${ACTION}: --timeout must be a number of seconds above 0, found "${values.timeout}".`,
    );
  }
  const all = notebooksIn(folder);
  const notebooks = positionals.length === 0 ? all : positionals.map((name) => {
    if (exists(name)) return Deno.realPathSync(name);
    const match = all.find((path) => basename(path).startsWith(`${name.padStart(2, "0")}_`));
    if (match) return match;
    throw new RangeError(
      `${ACTION}: each notebook must be a path or one of ${
        all.map((path) => basename(path).split("_")[0]).join(", ") || "none"
      }, found ${name}.`,
    );
  });
  if (notebooks.length === 0) {
    throw new RangeError(`${ACTION}: there must be notebooks in ${folder}, found none.`);
  }
  return { notebooks, scale, write, timeout };
}

/** Returns the paths of the notebooks in a folder, in order. */
export function notebooksIn(folder: string): string[] {
  if (!exists(folder)) return [];
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".ipynb"))
    .sort()
    .map((name) => join(folder, name));
}

if (import.meta.main) {
  const options = readCommandLine(
    usage,
    () => parseArguments(Deno.args, join(import.meta.dirname!, "..", "notebooks")),
  );
  const environment = await setUpOrExit({ orContinue: true });
  // The child gets Ctrl-C as well, and ends the kernel.
  Deno.addSignalListener("SIGINT", () => {});
  const { typescript } = Deno.version;
  const notebooks = options.notebooks.map((path) => {
    const { cells } = JSON.parse(Deno.readTextFileSync(path));
    return { path, solutions: findSolutions(cells).solutions };
  });
  const child = new Deno.Command(projectPaths(environment.root).python, {
    args: ["-I", join(import.meta.dirname!, "run_notebooks.py")],
    stdin: "piped",
    env: {
      ...jupyterVariables(environment),
      RESNET_LAB_SCALE: options.scale,
      RESNET_LAB_WRITE: options.write ? "1" : "0",
      // run_notebooks.py checks all cells of a notebook together, which is faster.
      RESNET_LAB_CHECK: "off",
      NO_COLOR: "1",
    },
  }).spawn();
  // Not an argument, because the solutions may be longer than an argument can be.
  await new Blob([JSON.stringify({ ...options, notebooks, typescript })])
    .stream().pipeTo(child.stdin);
  const { code } = await child.status;
  Deno.exit(code);
}
