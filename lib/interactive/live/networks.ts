/** The trained networks of the book's page "Live networks". */
import {
  conv2d,
  dropout,
  globalAveragePool,
  maxPool,
  type Module,
  sequential,
} from "../../nn/mod.ts";
import { cifarResnet, lenet, ninBlock, vgg } from "../../models/mod.ts";
import type { Features, Images } from "../../tensor/mod.ts";

/** A network for grey images of 28×28 pixels and ten classes. */
export type LiveModel = Module<Images<1>, Features<10>>;

/** How a network is built, and how it is called. */
export interface LiveNetwork {
  readonly title: string;
  /** The path of the module whose maps Grad-CAM weighs: the last that has rows and columns. */
  readonly gradCamPath: string;
  /** Builds the network with initial weights. */
  readonly build: () => LiveModel;
}

/** A ResNet-20 of half the paper's channels, with shortcuts or without. */
const resnet20 = (shortcut: "A" | "none") => () =>
  cifarResnet({ depth: 20, inChannels: 1, width: 1 / 2, shortcut });

/** The networks by the name of their file of weights. */
export const liveNetworks = {
  lenet: { title: "LeNet", gradCamPath: "features.4", build: () => lenet() },
  nin: {
    title: "Network in network",
    gradCamPath: "4",
    build: () =>
      sequential(
        ninBlock(1, 24, { kernelSize: 5, padding: 2 }),
        maxPool({ kernelSize: 3, stride: 2 }),
        ninBlock(24, 48, { kernelSize: 3, padding: 1 }),
        maxPool({ kernelSize: 3, stride: 2 }),
        ninBlock(48, 64, { kernelSize: 3, padding: 1 }),
        dropout(0.5),
        conv2d(64, 10, { kernelSize: 1 }),
        globalAveragePool(),
      ),
  },
  vgg: {
    title: "VGG, narrow",
    gradCamPath: "features.16",
    build: () =>
      vgg({
        ...{ architecture: [[1, 16], [2, 32], [2, 64]], batchNorm: true, hidden: 64 },
        ...{ inChannels: 1, classes: 10, imageSize: 28 },
      }),
  },
  plain20: { title: "Plain network, 20 layers", gradCamPath: "layer3", build: resnet20("none") },
  resnet20: { title: "ResNet-20", gradCamPath: "layer3", build: resnet20("A") },
} as const satisfies Readonly<Record<string, LiveNetwork>>;

/** The name of a network. */
export type LiveName = keyof typeof liveNetworks;
