/** What is timed: the same for each system. */

/**
 * A step of training (forward, backward, optimizer, the loss read back), of inference, one epoch of
 * input, or one start.
 */
export type Task = "train" | "infer" | "epoch" | "start";

/** A piece of work, as every system is given it. */
export interface Work {
  /** What `--only` calls it. */
  readonly name: string;
  readonly title: string;
  /** Which network; not used by the input pipeline. */
  readonly network: string;
  /** Height, width and channels. There are 10 classes. */
  readonly image: readonly [height: number, width: number, channels: number];
  readonly batch: number;
  readonly learningRate: number;
  readonly tasks: readonly Task[];
  /**
   * Training steps in a round, as many as take about a second; three times as many of inference.
   */
  readonly steps: number;
  /** Whether it is timed in bfloat16 as well. */
  readonly bf16: boolean;
  /** Whether `--quick` times it. */
  readonly quick: boolean;
}

// So small a learning rate that no network without batch norm diverges on noise.
const network = {
  learningRate: 1e-3,
  tasks: ["train", "infer"],
  bf16: true,
  quick: false,
} as const;
const batchNormed = { ...network, learningRate: 0.1 } as const;
const lenet = { ...network, network: "lenet", image: [28, 28, 1], bf16: false } as const;
const grey = [224, 224, 1] as const;

/** In the order of the table. */
export const works: readonly Work[] = [
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
