/**
 * Trains LeNet at batch 32, prints the resident memory, and fails if it grows over 1,000 steps.
 *
 *     deno run -A --v8-flags=--expose-gc bench/memory.ts
 *
 * Each measurement collects garbage first, because V8 itself waits for 60 MiB. The 500 steps before
 * the 1,000 fill TensorFlow's pools.
 */
import { adam, backend, fashionMnist, fit, lenet, memory } from "resnet-lab";

const warmup = 500;
const allowed = 16; // MiB; a leak of one batch of images per step would be 96.
declare const gc: (() => void) | undefined;
if (typeof gc === "undefined") {
  throw new Error(
    "Measuring memory needs the garbage collector: deno run -A --v8-flags=--expose-gc bench/memory.ts",
  );
}
const collectGarbage = gc;

const { train } = await fashionMnist({ subset: true });
const model = lenet();
using optimizer = adam(model.parameters(), { learningRate: 1e-3 });
const measurements: { step: number; rss: number; tensors: number }[] = [];
const measure = (step: number) => {
  collectGarbage();
  const { tensors } = memory();
  const rss = Deno.memoryUsage().rss / 2 ** 20;
  measurements.push({ step, rss, tensors });
  console.log(`step ${String(step).padStart(4)}: ${rss.toFixed(1)} MiB, ${tensors} tensors`);
};

console.log(`LeNet, batch 32, backend ${backend()}`);
measure(0);
for await (const progress of fit(model, train, { optimizer, epochs: 8, batchSize: 32 })) {
  if (progress.kind === "epoch") continue;
  if (progress.step % 100 === 0) measure(progress.step);
  if (progress.step === warmup + 1000) break;
}
const counted = measurements.filter(({ step }) => step >= warmup);
const growth = counted.at(-1)!.rss - counted[0]!.rss;
const flat = growth <= allowed && counted.every(({ tensors }) => tensors === counted[0]!.tensors);
console.log(
  `${flat ? "flat" : "NOT FLAT"}: ${growth.toFixed(1)} MiB over 1,000 steps (allowed ${allowed})`,
);
if (!flat) Deno.exit(1);
