/** The networks. */
export { Alexnet, alexnet, type AlexnetOptions, type AlexnetVariant } from "./alexnet.ts";
export {
  Googlenet,
  googlenet,
  type GooglenetOptions,
  type GooglenetOutputs,
  type GooglenetVariant,
  GooglenetWithAuxiliary,
  Inception,
  inception,
} from "./googlenet.ts";
export { Lenet, lenet, type LenetActivation, type LenetOptions } from "./lenet.ts";
export { Nin, nin, ninBlock, type NinOptions } from "./nin.ts";
export {
  basicBlock,
  bottleneck,
  cifarResnet,
  type CifarResnetOptions,
  type Convolution,
  ResidualBlock,
  type ResidualBlockOptions,
  Resnet,
  resnet,
  resnet101,
  resnet152,
  resnet18,
  resnet34,
  resnet50,
  type ResnetBlock,
  type ResnetOptions,
  type ResnetShortcut,
  type ResnetStem,
  type ResnetVariantOptions,
  type ResnetVersion,
} from "./resnet.ts";
export { Vgg, vgg, type VggArchitecture, vggBlock, type VggDepth, type VggOptions } from "./vgg.ts";

import { takeForwardOptionsOnly } from "../nn/forward_guard.ts";
import { Alexnet } from "./alexnet.ts";
import { Googlenet, GooglenetWithAuxiliary, Inception } from "./googlenet.ts";
import { Lenet } from "./lenet.ts";
import { Nin } from "./nin.ts";
import { ResidualBlock, Resnet } from "./resnet.ts";
import { Vgg } from "./vgg.ts";

takeForwardOptionsOnly(
  ...[Alexnet, Googlenet, GooglenetWithAuxiliary, Inception, Lenet, Nin, ResidualBlock],
  ...[Resnet, Vgg],
);
