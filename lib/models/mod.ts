/**
 * Models: LeNet, AlexNet, VGG, NiN, GoogLeNet, the ResNets, and the blocks they are built from.
 *
 * The paths of their layers are the paths in torchvision, so that weights load by name.
 *
 * @module
 */
export { alexnet, type AlexNetOptions, type AlexNetVariant } from "./alexnet.ts";
export {
  googlenet,
  type GoogLeNetOptions,
  type GoogLeNetOutputs,
  type GoogLeNetSettings,
} from "./googlenet.ts";
export {
  type GoogLeNetVariant,
  inception,
  type InceptionChannels,
  type InceptionOptions,
} from "./inception.ts";
export {
  lenet,
  type LeNetActivation,
  type LeNetClassifier,
  type LeNetFeatures,
  type LeNetOptions,
} from "./lenet.ts";
export { nin, ninBlock, type NiNOptions } from "./nin.ts";
export type { ClassifierOptions } from "./options.ts";
export {
  basicBlock,
  bottleneck,
  type Convolution,
  type ForShortcut,
  type ResidualBlockInit,
  type ResidualBlockOptions,
  type ResNetBlock,
  type ResNetShortcut,
  type ResNetVersion,
  type Times4,
} from "./residual_block.ts";
export {
  type CifarDepth,
  cifarResnet,
  type CifarResNetOptions,
  type ForDepth,
  resnet,
  resnet101,
  resnet152,
  resnet18,
  resnet34,
  resnet50,
  type ResNetFunction,
  type ResNetOptions,
  type ResNetStem,
  type ResNetVariantOptions,
  type StageDepths,
} from "./resnet.ts";
export {
  vgg,
  type VGGArchitecture,
  vggBlock,
  type VGGBlockOptions,
  type VGGDepth,
  type VGGLayer,
  type VGGOptions,
} from "./vgg.ts";
export type {
  AlexNet,
  GoogLeNet,
  GoogLeNetWithAuxiliary,
  Inception,
  LeNet,
  NiN,
  ResidualBlock,
  ResNet,
  VGG,
} from "./internal.ts";

import { takeForwardOptionsOnly } from "../nn/forward_guard.ts";
import * as classes from "./internal.ts";

takeForwardOptionsOnly(...Object.values(classes));
