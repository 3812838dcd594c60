/**
 * What is compared: this library and its peers, each a process of its own that answers `train 3`
 * with the time it took.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Precision } from "resnet-lab";
import { type Environment, exists } from "../scripts/environment.ts";
import { peersPython } from "./peers.ts";
import type { Task, Work } from "./works.ts";

/**
 * A column of the tables; "not compiled" is this library without `compile`. PyTorch's two have
 * several systems, of which the fastest counts.
 */
export type Column =
  | "ResNet Lab"
  | "not compiled"
  | "PyTorch eager"
  | "torch.compile"
  | "Keras"
  | "tfjs-layers";

/** One way to do the work. */
export interface System {
  readonly column: Column;
  readonly precision: Precision;
  /** What tells it from the others of its column. */
  readonly mode: string;
  readonly tasks: readonly Task[];
  /** Its program; the work and `words` come behind. */
  readonly program: readonly [string, ...string[]];
  readonly words: readonly string[];
}

/**
 * Everything that can be run here: without PyTorch and Keras where they are not set up, without
 * torch.compile if it is to be quick.
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
    words: string[] = [],
    ...more: Task[]
  ): System => ({
    ...of,
    precision,
    mode: words.join(" "),
    tasks: ["train", "infer", ...more],
    words: precision === "bf16" ? [...words, "bf16"] : words,
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

/** What a system says after some steps. */
export interface Reply {
  readonly seconds: number;
  /** How many numbers are trained. */
  readonly parameters: number;
  readonly version: string;
}

/**
 * A system that is running; it waits, and takes no time of the processor, until it is told what to
 * do.
 */
export class Runner implements Disposable {
  readonly #process: ChildProcess;
  readonly #replies: AsyncIterator<string>;
  readonly #started = performance.now();
  /** The end of what it said on standard error, mostly TensorFlow's greetings. */
  #said = "";

  constructor(readonly system: System, work: Work) {
    const [program, ...args] = system.program;
    this.#process = spawn(program, [...args, JSON.stringify(work), ...system.words], {
      stdio: ["pipe", "pipe", "pipe"],
      // All compute on the processor.
      env: { ...Deno.env.toObject(), CUDA_VISIBLE_DEVICES: "-1" },
    });
    this.#process.stderr!.on("data", (text) => this.#said = `${this.#said}${text}`.slice(-1000));
    this.#replies = createInterface({ input: this.#process.stdout! })[Symbol.asyncIterator]();
  }

  /** Has `steps` steps of a task done. */
  async run(task: Task, steps: number): Promise<Reply> {
    // A system is started by the first step that it trains.
    this.#process.stdin!.write(`${task === "start" ? "train" : task} ${steps}\n`);
    const { value, done } = await this.#replies.next();
    if (done) throw new Error(`it ended, saying:\n${this.#said}`);
    const reply: Reply = JSON.parse(value);
    return task === "start"
      ? { ...reply, seconds: (performance.now() - this.#started) / 1000 }
      : reply;
  }

  /** The most memory that it ever held, in MiB; only Linux tells. */
  peakMemory(): number | undefined {
    if (Deno.build.os !== "linux") return undefined;
    const status = readFileSync(`/proc/${this.#process.pid}/status`, "utf8");
    return Number(/VmHWM:\s*(\d+) kB/.exec(status)![1]) / 1024;
  }

  [Symbol.dispose](): void {
    this.#process.kill();
  }
}
