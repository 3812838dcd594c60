/** Classes that the other rooms of lib share; users have their types and the functions. */
export { AlexNet } from "./alexnet.ts";
export { AuxiliaryHead, GoogLeNet, GoogLeNetWithAuxiliary } from "./googlenet.ts";
export { ConvRelu, Inception } from "./inception.ts";
export { LeNet } from "./lenet.ts";
export { NiN } from "./nin.ts";
export { ResidualBlock } from "./residual_block.ts";
export { ResNet } from "./resnet.ts";
export { VGG } from "./vgg.ts";
