/**
 * Compares a training step on native TensorFlow with one on WebAssembly, both in this process:
 *
 *     TF_NUM_INTRAOP_THREADS=1 deno run -A bench/backends.ts
 *
 * The backends take turns, and a ratio compares neighbouring turns. WebAssembly has one thread
 * here. Times are of the processor, so that other programs on the machine count little.
 */
import process from "node:process";
import {
  backend,
  cifarResnet,
  fashionMnist,
  type Features,
  fit,
  type Images,
  lenet,
  type Module,
  sgd,
  withBackend,
} from "resnet-lab";

const ROUNDS = 5, BATCH = 32;

const { train } = await fashionMnist({ subset: true });

const networks: readonly [
  name: string,
  make: () => Module<Images<1>, Features<10>>,
  steps: number,
][] = [
  ["LeNet, 28×28×1", () => lenet({ activation: "relu" }), 10],
  ["ResNet-20, 28×28×1", () => cifarResnet({ depth: 20, inChannels: 1 }), 2],
];

/** Returns the processor seconds of a training step on the current backend. */
async function secondsOfStep(
  make: () => Module<Images<1>, Features<10>>,
  steps: number,
): Promise<number> {
  const model = make();
  using optimizer = sgd(model.parameters(), { learningRate: 0.01, momentum: 0.9 });
  let start: NodeJS.CpuUsage | undefined;
  const data = train.take(BATCH * (steps + 1));
  for await (const progress of fit(model, data, { optimizer, epochs: 1, batchSize: BATCH })) {
    if (progress.kind === "step") start ??= process.cpuUsage();
  }
  const { user, system } = process.cpuUsage(start);
  model.dispose();
  return (user + system) / 1e6 / steps;
}

/** Writes the median of numbers with their quartiles. */
function quartiles(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.round(part * (sorted.length - 1))]!.toPrecision(3);
  return `${at(0.5)} (${at(0.25)} to ${at(0.75)})`;
}

console.log(`Training steps, batch ${BATCH}, in milliseconds: ${backend()}, then WebAssembly`);
for (const [name, make, steps] of networks) {
  const native: number[] = [], wasm: number[] = [], ratios: number[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const fast = await secondsOfStep(make, steps);
    const slow = await withBackend("wasm", () => secondsOfStep(make, steps));
    // The first round warms both up.
    if (round === 0) continue;
    native.push(1000 * fast);
    wasm.push(1000 * slow);
    ratios.push(slow / fast);
  }
  console.log(`${name}: ${quartiles(native)}, ${quartiles(wasm)}, ratio ${quartiles(ratios)}`);
}
