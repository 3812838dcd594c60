/**
 * Prints the limits of this machine and the work of the networks, a {@linkcode Limit} as JSON.
 * A program of its own, so that it frees its memory before systems are timed.
 */
import { compile, ops, summary, tidy, withPrecision } from "resnet-lab";
import { networks } from "./networks.ts";
import { type Task, type Workload, workloads } from "./workloads.ts";

/** The limits of a machine. */
export interface Limit {
  /** Multiplications and additions a second in a large matrix product. */
  readonly flops: Readonly<Record<"fp32" | "bf16", number>>;
  /** Bytes a second that a pass over a large array reads and writes. */
  readonly bandwidth: number;
  /** The work for one image, by the name of the workload. */
  readonly work: Readonly<Record<string, Work>>;
}

/** The work of a network. */
interface Work {
  /** The multiplications of a forward pass over one image. */
  readonly macs: number;
  /** The numbers that its convolutions and linear layers return for one image. */
  readonly outputs: number;
  readonly parameters: number;
}

/** A lower bound of the time for a step, in seconds. */
export interface Bound {
  /** The time of its multiplications at the speed of a large matrix product. */
  readonly compute: number;
  /** The time of reading and writing what must be, at the speed of a pass over a large array. */
  readonly memory: number;
}

/**
 * Returns the bounds of a step. In training the gradients of inputs and weights take as many
 * multiplications each as the forward pass. In inference the output of each convolution and linear
 * layer is written and read. In training it is read once more, and its gradient is written and
 * read. Each parameter is read; in training also its gradient and its velocity, and both are
 * written with the parameter. All other layers could be fused with these.
 */
export function boundOf(
  { flops, bandwidth, work }: Limit,
  { name, batch }: Pick<Workload, "name" | "batch">,
  task: Task,
  precision: "fp32" | "bf16",
): Bound | undefined {
  const own = work[name];
  if (!own || (task !== "train" && task !== "infer")) return undefined;
  const { macs, outputs, parameters } = own, isTraining = task === "train";
  const bytes = precision === "bf16" ? 2 : 4;
  const numbers = batch * outputs * (isTraining ? 5 : 2);
  return {
    compute: 2 * macs * batch * (isTraining ? 3 : 1) / flops[precision],
    memory: (numbers * bytes + parameters * 4 * (isTraining ? 6 : 1)) / bandwidth,
  };
}

const ROUNDS = 8;

function bestOf(run: () => void): number {
  const times = Array.from({ length: ROUNDS }, () => {
    const start = performance.now();
    run();
    return (performance.now() - start) / 1000;
  });
  return Math.min(...times);
}

function measureFlops(precision: "fp32" | "bf16"): number {
  const size = 2048;
  using a = ops.ones([size, size]);
  // As a graph, in which TensorFlow uses oneDNN.
  using product = compile(() => withPrecision(precision, () => ops.sum(ops.matMul(a, a))));
  return 2 * size ** 3 / bestOf(() => tidy(() => void product().dataSync()));
}

function measureBandwidth(): number {
  const count = 2 ** 26;
  using x = ops.ones([count]);
  return 2 * 4 * count / bestOf(() => tidy(() => void ops.add(x, 1)));
}

function workOf({ network, image }: Workload): Work {
  const { rows, macs, parameters } = summary(networks[network]!(), image);
  const outputs = rows.filter((row) => row.macs > 0)
    .reduce((sum, { outputShape }) => sum + outputShape.reduce((a, b) => a * b), 0);
  return { macs, outputs, parameters };
}

if (import.meta.main) {
  const limit: Limit = {
    flops: { fp32: measureFlops("fp32"), bf16: measureFlops("bf16") },
    bandwidth: measureBandwidth(),
    work: Object.fromEntries(workloads.map((workload) => [workload.name, workOf(workload)])),
  };
  console.log(JSON.stringify(limit));
}
