/**
 * Trains on a large image folder that stays on the disk, and compares the speed with the same
 * pictures in memory.
 *
 *     deno run -A --v8-flags=--expose-gc bench/lazy_images.ts
 *     deno run -A --v8-flags=--expose-gc bench/lazy_images.ts --images 25000 --batch 16
 *     deno run -A --v8-flags=--expose-gc bench/lazy_images.ts --only memory
 *
 * `--folder` names a folder to make the pictures in and keep them; those that are there are used.
 * `--only` takes one part: folder, memory, speed or pytorch.
 *
 * 1. It makes JPEGs of 1,000 classes: 2,000 different pictures of 80 × 80, under 100,000 names.
 * 2. A small network sees each picture once. It prints the resident memory every 100 steps, and
 *    fails if the memory at the end is more than 10 % above that after 1,000 steps.
 * 3. ResNet-18 at 64 × 64 trains on some of the pictures, from the disk and in memory in turns. It
 *    fails if the first is slower than 0.9 of the second.
 * 4. PyTorch does the same with ImageFolder and DataLoader, if it is installed (bench/README.md)
 *    or `--python` names a Python that has it.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import {
  adam,
  backend,
  conv2d,
  type Dataset,
  fit,
  globalAveragePool,
  imageFolder,
  type Images,
  type Labels,
  linear,
  memory,
  Random,
  relu,
  resnet18,
  sequential,
  type StepProgress,
  tidy,
} from "resnet-lab";
import { peersPython } from "./peers.ts";

const { values } = parseArgs({
  options: {
    images: { type: "string", default: "100000" },
    classes: { type: "string", default: "1000" },
    steps: { type: "string", default: "200" },
    batch: { type: "string", default: "64" },
    folder: { type: "string" },
    python: { type: "string" },
    only: { type: "string" },
  },
});
const count = Number(values.images), classes = Number(values.classes), steps = Number(values.steps);
const DIFFERENT = Math.min(2000, count), SOURCE = 80, SIZE = 64, BATCH = Number(values.batch);
/** The steps of a turn of one data set, of which the first ones are not timed. */
const TURN = 20, UNTIMED = 4;

const root = join(import.meta.dirname!, "..");
const folder = values.folder ?? await Deno.makeTempDir({ prefix: "lazy-images-" });
const seconds = (since: number) => ((performance.now() - since) / 1000).toFixed(1);

declare const gc: (() => void) | undefined;
if (typeof gc === "undefined") {
  throw new Error(
    "Measuring memory needs the garbage collector: deno run -A --v8-flags=--expose-gc bench/lazy_images.ts",
  );
}
const collectGarbage = gc;

/** Makes a picture with soft spots, so that its JPEG has the size of a photograph's. */
async function makePicture(random: Random): Promise<Uint8Array> {
  const coarse = tidy(() => random.uniform([10 * 10 * 3], { max: 256 }).dataSync());
  const raw = { width: 10, height: 10, channels: 3 } as const;
  return await sharp(Uint8Array.from(coarse), { raw }).resize(SOURCE, SOURCE, { kernel: "cubic" })
    .jpeg({ quality: 90 }).toBuffer();
}

async function makeFolder(): Promise<void> {
  if (await Deno.stat(join(folder, "class 0000")).catch(() => undefined)) return;
  const start = performance.now(), random = new Random(1);
  const pictures: Uint8Array[] = [];
  for (let i = 0; i < DIFFERENT; i++) pictures.push(await makePicture(random));
  for (let label = 0; label < classes; label++) {
    const path = join(folder, `class ${String(label).padStart(4, "0")}`);
    await Deno.mkdir(path, { recursive: true });
    const writes: Promise<void>[] = [];
    for (let i = label; i < count; i += classes) {
      writes.push(Deno.writeFile(join(path, `${i}.jpg`), pictures[i % DIFFERENT]!));
    }
    await Promise.all(writes);
  }
  const bytes = pictures.reduce((sum, { length }) => sum + length, 0) / DIFFERENT;
  console.log(
    `${count} JPEGs of ${SOURCE} × ${SOURCE}, ${bytes.toFixed(0)} bytes each, in ${
      seconds(start)
    } s`,
  );
}

/** Trains a small network for an epoch, and returns how much the memory grew after 1,000 steps. */
async function measureMemory(): Promise<number> {
  const start = performance.now();
  const options = { size: [SIZE, SIZE], imagesPerClass: count / classes } as const;
  const { dataset } = await imageFolder(folder, { ...options, lazy: true });
  console.log(`imageFolder() with lazy: ${dataset.count} pictures checked in ${seconds(start)} s`);
  const model = sequential(
    conv2d(3, 8, { kernelSize: 4, stride: 4 }),
    relu(),
    globalAveragePool(),
    linear(8, classes),
  );
  using optimizer = adam(model.parameters(), { learningRate: 1e-3 });
  const measurements = new Map<number, number>();
  const training = fit(model, dataset, { optimizer, epochs: 1, batchSize: BATCH, seed: 1 });
  const begin = performance.now();
  let last = 0;
  for await (const progress of training) {
    if (progress.kind === "epoch") continue;
    last = progress.step;
    if (last % 100 !== 0 && last !== progress.totalSteps) continue;
    collectGarbage();
    const rss = Deno.memoryUsage().rss / 2 ** 20;
    measurements.set(last, rss);
    console.log(`step ${last}: ${rss.toFixed(0)} MiB, ${memory().tensors} tensors`);
  }
  const speed = last * BATCH / ((performance.now() - begin) / 1000);
  console.log(`the small network: ${speed.toFixed(0)} pictures a second`);
  const [first] = measurements.values();
  return measurements.get(last)! / (measurements.get(1000) ?? first!);
}

/** A training that takes some steps when it is asked to. */
function trainingOn(dataset: Dataset<Images<3>, Labels>) {
  const model = resnet18({ classes });
  const optimizer = adam(model.parameters(), { learningRate: 1e-3 });
  const options = { optimizer, epochs: 1000, batchSize: BATCH, dropLast: true, seed: 1 };
  const training = fit(model, dataset, { ...options, compile: true });
  return async (steps: number): Promise<number[]> => {
    const rates: number[] = [];
    while (rates.length < steps) {
      const { value } = await training.next();
      if (value?.kind === "step") rates.push((value as StepProgress).imagesPerSecond);
    }
    return rates;
  };
}

const meanRate = (rates: readonly number[]) =>
  rates.length / rates.reduce((sum, rate) => sum + 1 / rate, 0);

/** Returns the speed from the disk, in units of the speed in memory. */
async function measureSpeed(): Promise<number> {
  const some = { size: [SIZE, SIZE], imagesPerClass: Math.min(6, count / classes) } as const;
  const { dataset } = await imageFolder(folder, some);
  const lazy = await imageFolder(folder, { ...some, lazy: true });
  const sets = [trainingOn(lazy.dataset), trainingOn(dataset)] as const;
  for (const train of sets) await train(3); // Compiles.
  const ratios: number[] = [], rates: [number[], number[]] = [[], []];
  for (let turn = 0; turn < steps / TURN; turn++) {
    const speeds: number[] = [];
    for (const [i, train] of sets.entries()) {
      const timed = (await train(TURN)).slice(UNTIMED);
      rates[i as 0 | 1].push(...timed);
      speeds.push(meanRate(timed));
    }
    ratios.push(speeds[0]! / speeds[1]!);
  }
  ratios.sort((a, b) => a - b);
  const ratio = ratios[Math.floor(ratios.length / 2)]!;
  console.log(
    `ResNet-18 at ${SIZE} × ${SIZE}: ${
      meanRate(rates[0]).toFixed(1)
    } pictures a second from the disk, ` +
      `${
        meanRate(rates[1]).toFixed(1)
      } in memory; median ratio of ${ratios.length} pairs of turns ` +
      `${ratio.toFixed(3)} (${ratios[0]!.toFixed(3)} to ${ratios.at(-1)!.toFixed(3)})`,
  );
  return ratio;
}

async function measurePyTorch(): Promise<void> {
  const command = new Deno.Command(values.python ?? peersPython(root), {
    args: [join(root, "bench", "peers", "image_folder.py"), folder, String(steps), String(BATCH)],
    stdout: "inherit",
    stderr: "inherit",
  });
  try {
    await command.output();
  } catch {
    console.log("PyTorch is not installed.");
  }
}

console.log(`backend ${backend()}, ${navigator.hardwareConcurrency} processors`);
const problems: string[] = [];
const wants = (part: string) => values.only === undefined || values.only === part;
try {
  await makeFolder();
  if (wants("memory")) {
    const growth = await measureMemory();
    console.log(`memory at the end: ${growth.toFixed(3)} of that after 1,000 steps`);
    if (growth > 1.1) problems.push(`the memory grew by the factor ${growth.toFixed(3)}`);
  }
  if (wants("speed")) {
    const ratio = await measureSpeed();
    if (ratio < 0.9) problems.push(`from the disk at ${ratio.toFixed(3)} of the speed in memory`);
  }
  if (wants("pytorch")) await measurePyTorch();
} finally {
  if (values.folder === undefined) await Deno.remove(folder, { recursive: true });
}
if (problems.length > 0) throw new Error(problems.join("; "));
