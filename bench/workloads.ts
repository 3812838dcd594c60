/** The workloads, equal for all systems. */

/**
 * A step of training (forward, backward, optimizer, reading the loss), a step of inference, an
 * epoch of the input pipeline, or a start of the process.
 */
export type Task = "train" | "infer" | "epoch" | "start";

/** A workload, as every system receives it. */
export interface Workload {
  /** The name for `--only`. */
  readonly name: string;
  readonly title: string;
  /** The name of the network; not used by the input pipeline. */
  readonly network: string;
  /** Height, width and channels. There are 10 classes. */
  readonly image: readonly [height: number, width: number, channels: number];
  readonly batch: number;
  readonly learningRate: number;
  readonly tasks: readonly Task[];
  /**
   * Training steps in a round, which take about a second. Inference runs three times as many.
   */
  readonly steps: number;
  /** Whether it is also timed in bfloat16. */
  readonly bf16: boolean;
  /** Whether `--quick` times it. */
  readonly quick: boolean;
}

// The learning rate is so small that no network without batch norm diverges on noise.
const network = {
  learningRate: 1e-3,
  tasks: ["train", "infer"],
  bf16: true,
  quick: false,
} as const;
const batchNormed = { ...network, learningRate: 0.1 } as const;
const lenet = { ...network, network: "lenet", image: [28, 28, 1], bf16: false } as const;
const grey = [224, 224, 1] as const;

/** The workloads in the order of the table. */
export const workloads: readonly Workload[] = [
  {
    ...batchNormed,
    ...{ name: "resnet18", title: "ResNet-18, 32×32×3, batch 64", network: "resnet18" },
    ...{ image: [32, 32, 3], batch: 64, steps: 1, quick: true },
  },
  {
    ...batchNormed,
    ...{ name: "resnet20", title: "ResNet-20, 28×28×1, batch 128", network: "resnet20" },
    ...{ image: [28, 28, 1], batch: 128, steps: 4 },
  },
  {
    ...batchNormed,
    ...{ name: "resnet50", title: "ResNet-50, 224×224×3, batch 8", network: "resnet50" },
    ...{ image: [224, 224, 3], batch: 8, steps: 1 },
  },
  {
    ...network,
    ...{ name: "alexnet", title: "AlexNet, 224×224×1, batch 32", network: "alexnet" },
    ...{ image: grey, batch: 32, steps: 1 },
  },
  {
    ...network,
    ...{ name: "vgg11", title: "VGG-11 of half width, 224×224×1, batch 16", network: "vgg11" },
    ...{ image: grey, batch: 16, steps: 1 },
  },
  {
    ...batchNormed,
    ...{ name: "lesson15", title: "Network of lesson 15, 28×28×1, batch 64", network: "lesson15" },
    ...{ image: [28, 28, 1], batch: 64, steps: 15 },
  },
  {
    ...lenet,
    name: "lenet256",
    title: "LeNet, 28×28×1, batch 256",
    batch: 256,
    steps: 40,
  },
  { ...lenet, name: "lenet32", title: "LeNet, 28×28×1, batch 32", batch: 32, steps: 150 },
  {
    ...lenet,
    ...{ name: "input", title: "Crop, flip and normalise 60,000 images 28×28, batch 128" },
    ...{ batch: 128, steps: 1, tasks: ["epoch"] },
  },
  {
    ...lenet,
    ...{ name: "startup", title: "From process start to LeNet's first step" },
    ...{ batch: 32, steps: 1, tasks: ["start"] },
  },
];

/** The images of an epoch of the input pipeline. */
export const imagesOfEpoch = 60_000;
