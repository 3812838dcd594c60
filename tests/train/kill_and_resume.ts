/**
 * Kills trainings at random moments, a third of them during a save, and lets them continue until
 * they finish. The final checkpoints, the weights that the stages leave in the model, and the logs
 * must be those of trainings that were not interrupted.
 *
 *     deno run -A tests/train/kill_and_resume.ts --kills 200 --seed 1
 *
 * `--settings lenet,resnet-bf16` chooses among the trainings. Exit code 1 if anything differs.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type AnyModule, dropout, linear, relu, sequential } from "resnet-lab/nn";
import { augmentation, compose, fashionMnist } from "resnet-lab/data";
import { lenet, resnet } from "resnet-lab/models";
import { type Precision, Random, setSeed } from "resnet-lab/tensor";
import { adam, cosine, fit, sgd, stages } from "resnet-lab/train";
import { wallTimesOf } from "../../lib/train/stages/event_file.ts";
import { readSafetensors, stateDict, writeSafetensors } from "resnet-lab/weights";

/** The trainings: two epochs of 13 steps, the last one of each with a smaller batch. */
export const settings: Readonly<Record<string, Setting>> = {
  lenet: { network: "lenet" },
  "lenet-bf16": { network: "lenet", precision: "bf16" },
  "lenet-compiled": { network: "lenet", compile: true },
  resnet: { network: "resnet" },
  "resnet-bf16": { network: "resnet", precision: "bf16" },
  "resnet-compiled": { network: "resnet", compile: true },
  "resnet-bf16-compiled": { network: "resnet", precision: "bf16", compile: true },
};

interface Setting {
  readonly network: "lenet" | "resnet";
  readonly precision?: Precision;
  readonly compile?: boolean;
}

/** The number of steps of each training. */
const STEPS = 26;

/** Trains to the end in this process, and prints each step that is not restored. */
async function train(name: string, folder: string, seconds: number): Promise<void> {
  const { network, ...precisionAndCompile } = settings[name]!;
  const { train, test } = await fashionMnist({ subset: true });
  setSeed(1);
  const isLenet = network === "lenet";
  const shape = {
    block: "basic",
    stages: [1, 1],
    channels: 16,
    inChannels: 1,
    classes: 32,
  } as const;
  const model = isLenet ? lenet() : sequential(resnet(shape), relu(), dropout(0.3), linear(32, 10));
  const parameters = (model as AnyModule).parameters();
  const options = {
    epochs: 2,
    batchSize: 20,
    validation: test.take(90),
    checkpoint: { folder, seconds },
    ...precisionAndCompile,
  };
  const training = isLenet
    ? fit(model as ReturnType<typeof lenet>, train.take(250), {
      ...options,
      optimizer: adam(parameters, { learningRate: 1e-3 }),
    })
    : fit(model as ReturnType<typeof lenet>, train.take(250), {
      ...options,
      optimizer: sgd(parameters, { learningRate: 0.05, momentum: 0.9, weightDecay: 5e-4 }),
      schedule: cosine({ learningRate: 0.05, steps: 26 }),
      augment: compose(augmentation.randomCrop({ padding: 2 }), augmentation.randomFlip()),
      mixup: 0.4,
      maxGradientNorm: 5,
    });
  const averaged = stages.ema(stages.lookahead(training), { decay: 0.9, warmup: true });
  // The second epoch does not improve so much, so the first has the best weights.
  const stopped = stages.earlyStopping(averaged, { patience: 1, minDelta: 10 });
  const logged = stages.csv(stopped, join(folder, "log.csv"), { every: "step" });
  for await (const progress of stages.tensorBoard(logged, folder, { every: "step" })) {
    if (!progress.restored && progress.kind === "step") console.log(progress.step);
  }
  await writeSafetensors(`${folder}.final.safetensors`, stateDict(model as AnyModule));
}

/** The results of kills. */
export interface Kills {
  /** The number of processes that were killed in a training. */
  readonly kills: number;
  /** How many of them were writing a checkpoint, of which an unfinished file is left. */
  readonly duringSave: number;
  /** How many trainings finished after their kills. */
  readonly trainings: number;
  /** The trainings that ended in another state than one that was not interrupted. */
  readonly differences: readonly string[];
}

/**
 * Kills trainings until there were `count` kills, a third of them during a save, and compares each
 * training when it has finished. Where a busy machine is late to kill, it makes up to 3 · `count`.
 */
export async function killAndResume(
  count: number,
  seed: number,
  names: readonly string[],
  log: (line: string) => void = () => {},
): Promise<Kills> {
  const random = new Random(seed);
  const root = await Deno.makeTempDir({ prefix: "kill_and_resume_" });
  const uninterrupted = new Map<string, ReadonlyMap<string, string>>();
  let kills = 0, duringSave = 0, trainings = 0;
  const differences: string[] = [];
  const areEnough = () => kills >= count && (3 * duringSave >= count || kills >= 3 * count);
  try {
    while (!areEnough()) {
      const name = names[trainings % names.length]!;
      if (!uninterrupted.has(name)) {
        const folder = join(root, name);
        await runAndKill(name, folder, 60, () => Promise.resolve());
        uninterrupted.set(name, await finalState(folder));
      }
      const state = uninterrupted.get(name)!;
      const folder = join(root, `killed_${trainings}`);
      const seconds = [0, 0, 0.1, Infinity][random.integer(4)]!;
      let own = 0;
      for (let left = 4; left > 0 && !areEnough(); left--) {
        const duringASave = 3 * duringSave <= kills;
        const died = await runAndKill(name, folder, duringASave ? 0 : seconds, async (child) => {
          // A random step of those to come, and a random moment of it or of the save after it.
          const first = await child.reaches(1), before = performance.now();
          const step = first + random.integer(Math.max(1, STEPS - first));
          const steps = await child.reaches(step) - first;
          const time = steps > 0 ? (performance.now() - before) / steps : 20;
          await pause(time * random.integer(1_000_000) / 1e6);
          if (duringASave) await partAppears(folder, child.process);
          try {
            child.process.kill("SIGKILL");
          } catch { /* It has ended. */ }
          return (await child.process.status).signal === "SIGKILL";
        });
        if (!died) break;
        kills++;
        own++;
        if (parts(folder).length > 0) duringSave++;
      }
      await runAndKill(name, folder, seconds, () => Promise.resolve());
      trainings++;
      const found = await finalState(folder);
      const other = [...new Set([...state.keys(), ...found.keys()])]
        .find((part) => state.get(part) !== found.get(part));
      if (other !== undefined) differences.push(`${name}, training ${trainings}: ${other} differs`);
      log(
        `${kills} kills, ${duringSave} during a save; ${trainings} trainings finished, ` +
          `${differences.length} differ; the last one, ${name}, was killed ${own} times`,
      );
      if (other === undefined) await Deno.remove(folder, { recursive: true });
    }
  } finally {
    if (differences.length === 0) await Deno.remove(root, { recursive: true });
    else log(`The folders are in ${root}`);
  }
  return { kills, duringSave, trainings, differences };
}

/** A process that trains. */
interface Child {
  readonly process: Deno.ChildProcess;
  /** Waits until a step is done or the process has ended, and returns the last step. */
  reaches(step: number): Promise<number>;
}

/** Starts a training in a process, calls `act`, and waits for the end of the process. */
async function runAndKill<T>(
  name: string,
  folder: string,
  seconds: number,
  act: (child: Child) => Promise<T>,
): Promise<T> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", import.meta.filename!, "train", name, folder, `${seconds}`],
    cwd: new URL("../..", import.meta.url),
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(process.stderr).text();
  let output = "", hasEnded = false;
  const reading = (async () => {
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) output += text;
    hasEnded = true;
  })();
  const lastStep = () => Number(output.match(/\d+(?=\n)/g)?.at(-1) ?? 0);
  const reaches = async (step: number) => {
    while (!hasEnded && lastStep() < step) await pause(1);
    return lastStep();
  };
  const result = await act({ process, reaches });
  const { success, signal } = await process.status;
  await reading;
  const text = await errors;
  if (!success && signal !== "SIGKILL") throw new Error(`A training of ${name} failed:\n${text}`);
  return result;
}

/** The unfinished files in a folder. */
function parts(folder: string): string[] {
  return Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".part"));
}

/**
 * Waits until a process writes a checkpoint, or has ended. It looks without a pause for 50 ms at a
 * time, since a file is written in less time than a timer takes on a busy machine.
 */
async function partAppears(folder: string, child: Deno.ChildProcess): Promise<void> {
  let hasEnded = false;
  child.status.then(() => hasEnded = true);
  while (!hasEnded) {
    for (const until = performance.now() + 50; performance.now() < until;) {
      if (parts(folder).length > 0) return;
    }
    await pause(0);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Everything in the last checkpoint of a folder except times, by name. */
async function finalState(folder: string): Promise<ReadonlyMap<string, string>> {
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => /^checkpoint-\d+\.safetensors$/.test(name)).sort();
  const file = join(folder, names.at(-1)!);
  const state = new Map<string, string>();
  for (const [name, tensor] of await readSafetensors(file)) {
    if (/imagesPerSecond$|seconds$/.test(name)) continue;
    state.set(name, `${tensor.dtype} [${tensor.shape}] ${tensor.bytes().toHex()}`);
  }
  const { "resnet-lab.checkpoint": json } = (await readSafetensors(file)).metadata;
  for (const [name, value] of Object.entries(JSON.parse(json!))) {
    state.set(name, JSON.stringify(value, (key, value) => key === "seconds" ? undefined : value));
  }
  for (const [name, tensor] of await readSafetensors(`${folder}.final.safetensors`)) {
    state.set(`final ${name}`, tensor.bytes().toHex());
  }
  const lines = (await Deno.readTextFile(join(folder, "log.csv"))).split("\n");
  state.set("log.csv", lines.map((line) => line.replace(/[^,]*$/, "")).join("\n"));
  for (const run of ["train", "validation"]) {
    const events = await Deno.readFile(join(folder, run, "events.out.tfevents.resnet-lab"));
    state.set(`the records of ${run}`, String(wallTimesOf(events).length));
    state.set(`the size of ${run}`, String(events.length));
  }
  return state;
}

if (import.meta.main) {
  const [mode, name, folder, seconds] = Deno.args;
  if (mode === "train") await train(name!, folder!, Number(seconds));
  else {
    const { values } = parseArgs({
      args: Deno.args,
      options: {
        kills: { type: "string", default: "200" },
        seed: { type: "string", default: "1" },
        settings: { type: "string", default: Object.keys(settings).join() },
      },
    });
    const names = values.settings.split(",");
    const result = await killAndResume(
      Number(values.kills),
      Number(values.seed),
      names,
      (line) => console.log(line),
    );
    console.log(result);
    if (result.differences.length > 0) Deno.exit(1);
  }
}
