import { join } from "node:path";
import { parseArgs } from "node:util";
import { processorName } from "../lib/notebook/result_store.ts";
import { readCommandLine } from "../scripts/command_line.ts";
import {
  type Environment,
  exists,
  loadAddon,
  projectPaths,
  run,
  SetupError,
} from "../scripts/environment.ts";
import { setUpOrExit } from "../scripts/setup.ts";
import { peersPython, setUpPeers } from "./peers.ts";
import type { Limit } from "./limit.ts";
import {
  limitTable,
  type Measurement,
  memoryTable,
  rowsOf,
  speedChart,
  speedTable,
} from "./report.ts";
import { Runner, type System, systemsHere } from "./systems.ts";
import { imagesOfEpoch, type Task, type Workload, workloads } from "./workloads.ts";

const usage =
  `Times this library, tfjs-layers, PyTorch and Keras at the same workload on this machine's processor.

  deno task bench [--setup] [--quick] [--only NAME]… [--rounds N] [--write]

  --setup   installs PyTorch and Keras first, into .venv/peers (6 GB); without them only tfjs-layers races
  --quick   two minutes: ${
    workloads.filter(({ quick }) => quick).map(({ name }) => name).join(" and ")
  } in 3 rounds, without torch.compile
  --only    one of ${workloads.map(({ name }) => name).join(", ")}; may be repeated
  --rounds  turns of each system, 11 if not given
  --write   writes results.json, results.png and the tables of README.md in bench/; without it the
            first two go to .cache/bench

bench/README.md describes the method.
`;

interface CliOptions {
  readonly setup: boolean;
  readonly write: boolean;
  readonly quick: boolean;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
}

/**
 * Reads the command line.
 *
 * @throws {RangeError} If a workload does not exist, or the number of rounds is wrong.
 * @throws {TypeError} If an option does not exist.
 */
export function parseArguments(args: readonly string[]): CliOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      setup: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true },
      rounds: { type: "string" },
      write: { type: "boolean", default: false },
    },
  });
  const { setup, quick, only, write } = values;
  const rounds = Number(values.rounds ?? (quick ? 3 : 11));
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new RangeError(
      `The rounds must be a whole number of at least 1, found "${values.rounds}".`,
    );
  }
  const unknown = only?.find((name) => !workloads.some((workload) => workload.name === name));
  if (unknown !== undefined) {
    throw new RangeError(
      `There is no workload "${unknown}". There are: ${
        workloads.map(({ name }) => name).join(", ")
      }.`,
    );
  }
  const chosen = workloads.filter((workload) =>
    only ? only.includes(workload.name) : workload.quick || !quick
  );
  return { setup, write, quick, workloads: chosen, rounds };
}

/** Times the systems at one workload. A system that fails is left out, and `log` says so. */
async function race(
  workload: Workload,
  systems: readonly System[],
  rounds: number,
  { log, status }: Pick<Environment, "log" | "status">,
): Promise<{ measurements: Measurement[]; versions: string[] }> {
  const runners = new Map<System, Runner>();
  const failed = new Set<System>();
  const versions = new Set<string>();
  const parameters = new Map<number, string>();

  /**
   * Returns the seconds for a step. Starts a system at its first turn; for "start", at every turn.
   */
  async function takeTurn(system: System, task: Task, steps: number): Promise<number> {
    const running = runners.get(system);
    if (task === "start") running?.[Symbol.dispose]();
    const runner = running && task !== "start" ? running : new Runner(system, workload);
    runners.set(system, runner);
    const reply = await runner.run(task, steps);
    versions.add(reply.version);
    parameters.set(reply.parameters, nameOf(system));
    if (parameters.size > 1) {
      const found = [...parameters].map(([count, name]) => `${count} in ${name}`).join(", ");
      throw new RangeError(`The networks differ in parameters: ${found}.`);
    }
    return reply.seconds / steps;
  }

  try {
    const measurements: Measurement[] = [];
    for (const task of workload.tasks) {
      const steps = task === "infer" ? 3 * workload.steps : workload.steps;
      const capable = systems.filter(({ precision, tasks }) =>
        tasks.includes(task) && (precision === "fp32" || workload.bf16)
      );
      const times = new Map(capable.map((system): [System, number[]] => [system, []]));
      // Round 0 warms up and does not count.
      for (let round = 0; round <= rounds; round++) {
        for (const system of round % 2 ? capable : capable.toReversed()) {
          if (failed.has(system)) continue;
          status(`${workload.name}, ${task}, round ${round} of ${rounds}: ${nameOf(system)}`);
          try {
            const warmup = task === "start" || task === "epoch" ? 1 : Math.max(3, steps);
            const seconds = await takeTurn(system, task, round === 0 ? warmup : steps);
            if (round > 0) times.get(system)!.push(seconds);
          } catch (error) {
            log(`${nameOf(system)} is left out of ${workload.name}: ${messageOf(error)}`);
            failed.add(system);
          }
        }
      }
      for (const [system, seconds] of times) {
        if (failed.has(system)) continue;
        measurements.push({
          ...{ workload: workload.name, title: workload.title, task },
          ...{ column: system.column, precision: system.precision, mode: system.mode },
          images:
            { train: workload.batch, infer: workload.batch, epoch: imagesOfEpoch, start: 1 }[task],
          seconds,
          peakMemory: runners.get(system)!.peakMemory(),
        });
      }
    }
    return { measurements, versions: [...versions] };
  } finally {
    for (const runner of runners.values()) runner[Symbol.dispose]();
    status("");
  }
}

function nameOf({ column, mode, precision }: System): string {
  return [column, mode, precision].filter(Boolean).join(" ");
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Measures the limits of this machine in a process of its own. */
async function measureLimit({ root, deno }: Environment): Promise<Limit> {
  const { success, stdout, stderr } = await new Deno.Command(deno, {
    args: ["run", "-A", join(root, "bench", "limit.ts")],
  }).output();
  const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
  if (!success) throw new Error(`Measuring the limits of this machine failed:\n${text(stderr)}`);
  return JSON.parse(text(stdout));
}

function giga(perSecond: number): string {
  return (perSecond / 1e9).toFixed(0);
}

/** Times the workloads one after the other. After each it prints and writes the results so far. */
async function bench({ workloads, quick, rounds, write }: CliOptions, environment: Environment) {
  const { root } = environment;
  const systems = systemsHere(environment, { quick });
  const { tensorFlow } = await loadAddon(environment, projectPaths(root).addon);
  const versions = new Set([`Deno ${Deno.version.deno}`, `TensorFlow ${tensorFlow}`]);
  const measurements: Measurement[] = [];
  const folder = write ? join(root, "bench") : join(root, ".cache", "bench");
  await Deno.mkdir(folder, { recursive: true });
  environment.status("measuring the limits of this machine");
  const limit = await measureLimit(environment);
  let text = "";
  for (const workload of workloads) {
    const found = await race(workload, systems, rounds, environment);
    measurements.push(...found.measurements);
    for (const version of found.versions) versions.add(version);
    const date = new Date().toISOString().slice(0, 10);
    const rows = rowsOf(measurements);
    text = [
      speedTable(rows),
      ...(rows.some(({ ours }) => ours.task === "train") ? [memoryTable(rows)] : []),
      limitTable(rows, limit),
      `This machine multiplies at ${giga(limit.flops.fp32)} GFLOPS in float32 and at ${
        giga(limit.flops.bf16)
      } in bfloat16, and moves ${giga(limit.bandwidth)} GB/s.`,
      `${date}, ${processorName()}; ${
        [...versions].join(", ")
      }; medians and quartiles of ${rounds} rounds.`,
    ].join("\n\n");
    const results = {
      date,
      machine: processorName(),
      versions: [...versions],
      rounds,
      limit,
      measurements,
    };
    await Deno.writeTextFile(join(folder, "results.json"), JSON.stringify(results, null, 2) + "\n");
    environment.log(speedTable(rowsOf(found.measurements)));
  }
  console.log(text);
  const chart = speedChart(rowsOf(measurements));
  if (chart) await Deno.writeFile(join(folder, "results.png"), await chart.toPng());
  if (write) {
    const readme = join(root, "bench", "README.md");
    const place = /(?<=<!-- bench -->\n)[^]*(?=<!-- end of bench -->)/;
    await Deno.writeTextFile(
      readme,
      (await Deno.readTextFile(readme)).replace(place, () => `\n${text}\n\n`),
    );
    await run(environment, [environment.deno, "fmt", "--quiet", readme]);
  }
  console.log(`\nAll times, and the picture, are in ${folder}.`);
}

if (import.meta.main) {
  const options = readCommandLine(usage, () => parseArguments(Deno.args));
  const environment = await setUpOrExit();
  try {
    if (options.setup) await setUpPeers(environment);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
  if (!exists(peersPython(environment.root))) {
    environment.log("PyTorch and Keras are left out; deno task bench --setup installs them.");
  }
  await bench(options, environment);
}
