/**
 * Trains LeNet at batch 32 and prints the resident memory on the way; it fails if that grows over
 * 1,000 steps.
 *
 *     deno run -A --v8-flags=--expose-gc bench/memory.ts
 *
 * It collects garbage before it looks, because V8 lets 60 MiB of it lie around before it does. 500
 * steps before the 1,000 fill TensorFlow's pools.
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
const found: { step: number; rss: number; tensors: number }[] = [];
const look = (step: number) => {
  collectGarbage();
  const { tensors } = memory();
  const rss = Deno.memoryUsage().rss / 2 ** 20;
  found.push({ step, rss, tensors });
  console.log(`step ${String(step).padStart(4)}: ${rss.toFixed(1)} MiB, ${tensors} tensors`);
};

console.log(`LeNet, batch 32, backend ${backend()}`);
look(0);
for await (const progress of fit(model, train, { optimizer, epochs: 8, batchSize: 32 })) {
  if (progress.kind === "epoch") continue;
  if (progress.step % 100 === 0) look(progress.step);
  if (progress.step === warmup + 1000) break;
}
const counted = found.filter(({ step }) => step >= warmup);
const growth = counted.at(-1)!.rss - counted[0]!.rss;
const flat = growth <= allowed && counted.every(({ tensors }) => tensors === counted[0]!.tensors);
console.log(
  `${flat ? "flat" : "NOT FLAT"}: ${growth.toFixed(1)} MiB over 1,000 steps (allowed ${allowed})`,
);
if (!flat) Deno.exit(1);
