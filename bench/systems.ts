/**
 * The compared systems: this library and its peers. Each is a process that answers `train 3` with
 * the time for three steps.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Precision } from "resnet-lab";
import { type Environment, exists } from "../scripts/environment.ts";
import { peersPython } from "./peers.ts";
import type { Task, Workload } from "./workloads.ts";

/**
 * A column of the tables; "not compiled" is this library without `compile`. PyTorch's two columns
 * have several systems, of which the fastest counts.
 */
export type Column =
  | "ResNet Lab"
  | "not compiled"
  | "PyTorch eager"
  | "torch.compile"
  | "Keras"
  | "tfjs-layers";

/** A program that runs workloads. */
export interface System {
  readonly column: Column;
  readonly precision: Precision;
  /** Distinguishes it from the other systems of its column. */
  readonly mode: string;
  readonly tasks: readonly Task[];
  /** The command; the workload and `flags` follow it. */
  readonly program: readonly [string, ...string[]];
  readonly flags: readonly string[];
}

/**
 * Returns the systems that can run here: without PyTorch and Keras if they are not installed, and
 * without torch.compile if `quick`.
 */
export function systemsHere(
  { root, deno }: Pick<Environment, "root" | "deno">,
  { quick }: { quick: boolean },
): System[] {
  const peers = join(root, "bench", "peers");
  const python = peersPython(root);
  const lab = {
    column: "ResNet Lab",
    program: [deno, "run", "-A", join(root, "bench", "resnet_lab.ts")],
  } as const;
  const plain = { ...lab, column: "not compiled" } as const;
  const layers = {
    column: "tfjs-layers",
    program: [deno, "run", "-A", join(peers, "tfjs_layers.js")],
  } as const;
  const pytorch = {
    column: "PyTorch eager",
    program: [python, join(peers, "pytorch.py")],
  } as const;
  const compile = { ...pytorch, column: "torch.compile" } as const;
  const keras = { column: "Keras", program: [python, join(peers, "with_keras.py")] } as const;
  const system = (
    of: Pick<System, "column" | "program">,
    precision: Precision,
    flags: string[] = [],
    ...more: Task[]
  ): System => ({
    ...of,
    precision,
    mode: flags.join(" "),
    tasks: ["train", "infer", ...more],
    flags: precision === "bf16" ? [...flags, "bf16"] : flags,
  });
  const ours = [
    system(lab, "fp32", ["compile"], "epoch", "start"),
    system(lab, "bf16", ["compile"]),
    system(plain, "fp32"),
    system(plain, "bf16"),
    system(layers, "fp32", [], "start"),
  ];
  if (!exists(python)) return ours;
  const slowToStart = [
    system(compile, "fp32", ["channels_last", "compile"]),
    system(compile, "fp32", ["compile"]),
    system(compile, "bf16", ["channels_last", "compile"]),
  ];
  return [
    ...ours,
    system(pytorch, "fp32", ["channels_last"], "epoch", "start"),
    system(pytorch, "fp32"),
    system(pytorch, "bf16", ["channels_last"]),
    ...(quick ? [] : slowToStart),
    system(keras, "fp32", [], "epoch", "start"),
    system(keras, "bf16"),
  ];
}

/** The answer of a system after some steps. */
export interface Reply {
  readonly seconds: number;
  /** The number of trainable values. */
  readonly parameters: number;
  readonly version: string;
}

/**
 * A running system. It waits, without using the processor, for a request.
 */
export class Runner implements Disposable {
  readonly #process: ChildProcess;
  readonly #replies: AsyncIterator<string>;
  readonly #started = performance.now();
  /** The last text on standard error, mostly log lines of TensorFlow. */
  #errorOutput = "";

  constructor(readonly system: System, workload: Workload) {
    const [program, ...args] = system.program;
    this.#process = spawn(program, [...args, JSON.stringify(workload), ...system.flags], {
      stdio: ["pipe", "pipe", "pipe"],
      // All systems compute on the processor.
      env: { ...Deno.env.toObject(), CUDA_VISIBLE_DEVICES: "-1" },
    });
    this.#process.stderr!.on(
      "data",
      (text) => this.#errorOutput = `${this.#errorOutput}${text}`.slice(-1000),
    );
    this.#replies = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  /** Runs `steps` steps of a task. */
  async run(task: Task, steps: number): Promise<Reply> {
    // The first training step ends the start.
    this.#process.stdin!.write(`${task === "start" ? "train" : task} ${steps}\n`);
    const { value, done } = await this.#replies.next();
    if (done) throw new Error(`it ended with this output:\n${this.#errorOutput}`);
    const reply: Reply = JSON.parse(value);
    return task === "start"
      ? { ...reply, seconds: (performance.now() - this.#started) / 1000 }
      : reply;
  }

  /** Returns the peak memory in MiB; known on Linux only. */
  peakMemory(): number | undefined {
    if (Deno.build.os !== "linux") return undefined;
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]) / 1024;
  }

  [Symbol.dispose](): void {
    this.#process.kill();
  }
}
