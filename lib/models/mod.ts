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
export { Vgg, vgg, type VggArchitecture, vggBlock, type VggDepth, type VggOptions } from "./vgg.ts";
