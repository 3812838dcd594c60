/**
 * The cost of the exchange in a step of training on several processes: the sum of the gradients, as
 * many as ResNet-18 for 32×32 images has, and the sums of one batch norm.
 *
 *     deno task parallel -n 2 bench/exchange.ts
 */
import { ops, processes } from "resnet-lab";
import { group } from "../lib/parallel/internal.ts";

/** The parameters of ResNet-18 with 10 classes and a 3×3 stem. */
const PARAMETERS = 11_173_962;
/** The numbers that a batch norm of 64 channels sums forward. */
const STATISTICS = 129;

const { rank, count } = processes();
const processesTogether = group();

/** Prints the quartiles of the times of some work in milliseconds. */
function time(name: string, repetitions: number, work: () => void): void {
  const times = Array.from({ length: repetitions }, () => {
    const start = performance.now();
    work();
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(share * (repetitions - 1))]!.toPrecision(3);
  if (rank > 0) return;
  console.log(
    `${name}, ${count} processes: ${at(0.5)} ms (${at(0.25)} to ${at(0.75)}), least ${at(0)}`,
  );
}

const gradients = new Float32Array(PARAMETERS);
const statistics = new Float64Array(STATISTICS);
time("sum of 11 million gradients", 31, () => processesTogether?.sum(gradients));
time("sums of a batch norm", 301, () => processesTogether?.sum(statistics));
const tensor = ops.tensor(gradients, [PARAMETERS]);
time("gradients out of TensorFlow and back", 11, () => {
  gradients.set(tensor.dataSync());
  const copy = ops.add(ops.tensor(gradients.slice(), [PARAMETERS]), 0);
  copy.dispose();
});
