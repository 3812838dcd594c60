/**
 * Models: LeNet, AlexNet, VGG, NiN, GoogLeNet, the ResNets, and the blocks they are built from.
 *
 * The paths of their layers are the paths in torchvision, so that weights load by name.
 *
 * @module
 */
export { AlexNet, alexnet, type AlexNetOptions, type AlexNetVariant } from "./alexnet.ts";
export {
  GoogLeNet,
  googlenet,
  type GoogLeNetOptions,
  type GoogLeNetOutputs,
  type GoogLeNetVariant,
  GoogLeNetWithAuxiliary,
  Inception,
  inception,
} from "./googlenet.ts";
export { LeNet, lenet, type LeNetActivation, type LeNetOptions } from "./lenet.ts";
export { NiN, nin, ninBlock, type NiNOptions } from "./nin.ts";
export {
  basicBlock,
  bottleneck,
  cifarResnet,
  type CifarResNetOptions,
  type Convolution,
  ResidualBlock,
  type ResidualBlockOptions,
  ResNet,
  resnet,
  resnet101,
  resnet152,
  resnet18,
  resnet34,
  resnet50,
  type ResNetBlock,
  type ResNetOptions,
  type ResNetShortcut,
  type ResNetStem,
  type ResNetVariantOptions,
  type ResNetVersion,
} from "./resnet.ts";
export { VGG, vgg, type VGGArchitecture, vggBlock, type VGGDepth, type VGGOptions } from "./vgg.ts";

import { takeForwardOptionsOnly } from "../nn/forward_guard.ts";
import { AlexNet } from "./alexnet.ts";
import { GoogLeNet, GoogLeNetWithAuxiliary, Inception } from "./googlenet.ts";
import { LeNet } from "./lenet.ts";
import { NiN } from "./nin.ts";
import { ResidualBlock, ResNet } from "./resnet.ts";
import { VGG } from "./vgg.ts";

takeForwardOptionsOnly(
  ...[AlexNet, GoogLeNet, GoogLeNetWithAuxiliary, Inception, LeNet, NiN, ResidualBlock],
  ...[ResNet, VGG],
);
