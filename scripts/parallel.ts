import { parseArgs } from "node:util";
import { commandOf } from "../lib/tensor/installation.ts";
import { readCommandLine } from "./command_line.ts";
import { exists, projectPaths, thisEnvironment } from "./environment.ts";

const usage = `Runs a program in several processes, which share each batch of every fit.

  ${commandOf("parallel")} -n PROCESSES [--hosts A,B] [--threads THREADS] PROGRAM [ARGUMENTS]

  -n         the number of processes
  --hosts    the machines, reached by ssh; without it this one, or those of the Slurm job
  --threads  threads of each process: the processors of this machine ÷ processes, if not given
`;

const ACTION = "Running a program in several processes";

/** The options of the command line. */
export interface ParallelOptions {
  readonly processes: number;
  readonly hosts: string | undefined;
  readonly threads: number;
  /** The program and its arguments. */
  readonly program: readonly [string, ...string[]];
}

/**
 * Reads the command line. What follows the program are its arguments.
 *
 * @throws {RangeError} If a number is not whole and above 0, or there is no program.
 * @throws {TypeError} If an option does not exist.
 */
export function parseArguments(args: readonly string[]): ParallelOptions {
  const { tokens } = parseArgs({ args: [...args], options: OPTIONS, strict: false, tokens: true });
  const begin = tokens.find(({ kind }) => kind === "positional")?.index ?? args.length;
  const { values } = parseArgs({ args: args.slice(0, begin), options: OPTIONS });
  const [program, ...rest] = args.slice(begin);
  const processes = wholeNumber("-n", values.n);
  if (program === undefined) {
    throw new RangeError(`${ACTION}: there must be a program, such as train.ts, found none.`);
  }
  const threads = values.threads === undefined
    ? Math.max(1, Math.floor(navigator.hardwareConcurrency / processes))
    : wholeNumber("--threads", values.threads);
  return { processes, hosts: values.hosts, threads, program: [program, ...rest] };
}

const OPTIONS = {
  n: { type: "string", short: "n" },
  hosts: { type: "string" },
  threads: { type: "string" },
} as const;

function wholeNumber(name: string, text: string | undefined): number {
  const value = Number(text);
  if (text && Number.isInteger(value) && value > 0) return value;
  throw new RangeError(
    `${ACTION}: ${name} must be a whole number of at least 1, found ${text ?? "none"}.`,
  );
}

/**
 * Runs the program to its end, and shows what process 0 prints, and the errors of all.
 *
 * @returns Undefined if all processes ended well, else what happened.
 */
async function runAll(
  { processes, hosts, threads, program }: ParallelOptions,
  { root, deno, variables }: ReturnType<typeof thisEnvironment>,
): Promise<string | undefined> {
  const { mpi, mpiexec } = projectPaths(root);
  const child = new Deno.Command(mpiexec, {
    args: [
      ...["-prepend-rank", "-print-all-exitcodes", "-n", String(processes)],
      ...(hosts === undefined ? [] : ["-hosts", hosts]),
      ...[deno, "run", "--allow-all", ...program],
    ],
    // The folder in which the task was called.
    cwd: variables.INIT_CWD,
    env: {
      RESNET_LAB_MPI: mpi,
      TF_NUM_INTRAOP_THREADS: variables.TF_NUM_INTRAOP_THREADS ?? String(threads),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  // mpiexec ends all processes.
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, () => child.kill(signal));
  }
  const statuses: number[] = [], errors = new Set<string>(), own: string[] = [];
  const onLine = (line: string, print: (line: string) => void, isError: boolean) => {
    const [, rank, text = ""] = /^\[(\d+)\] (.*)$/.exec(line) ?? [];
    const [, codes] = /^\[mpiexec@.*?\] Exit codes: (.*)$/.exec(line) ?? [];
    if (codes !== undefined) {
      statuses.push(
        ...codes.split(/ ?\[[^\]]*\] /).slice(1).flatMap((host) => host.split(",").map(Number)),
      );
    } else if (rank === undefined) own.push(line);
    else if (rank === "0") print(text);
    else if (isError && !errors.has(text)) print(line);
    if (isError) errors.add(text);
  };
  await Promise.all([
    eachLine(child.stdout, (line) => onLine(line, console.log, false)),
    eachLine(child.stderr, (line) => onLine(line, console.error, true)),
  ]);
  const { success, code } = await child.status;
  const failed = statuses.findIndex((status) => status !== 0);
  if (success && failed < 0) return undefined;
  const signal = statuses[failed]! & 127;
  return failed < 0
    ? `exit code ${code} of mpiexec, which says:\n${own.join("\n").trim()}\n`
    : signal > 0
    ? `that process ${failed} was killed by signal ${signal}`
    : `that process ${failed} ended with exit code ${statuses[failed]! >> 8}`;
}

async function eachLine(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  onLine: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    lines.forEach(onLine);
  }
  if (rest) onLine(rest);
}

if (import.meta.main) {
  const options = readCommandLine(usage, () => parseArguments(Deno.args), Deno.args.slice(0, 1));
  const environment = thisEnvironment();
  if (!exists(projectPaths(environment.root).mpiexec)) {
    console.error(
      `${ACTION}: MPI must be installed, found none. Install it (13 MB) with "${
        commandOf("setup")
      } --parallel".`,
    );
    Deno.exit(1);
  }
  const failure = await runAll(options, environment);
  if (failure !== undefined) {
    console.error(
      `${ACTION}: all processes must run to their end, found ${failure}; the others were ended too. ` +
        "Where fit has the option checkpoint, the same command continues from the last save, also with another number of processes.",
    );
    Deno.exit(1);
  }
}
