/**
 * Lines that must not compile, next to lines that must. The functions are checked, never called.
 */
import {
  type AlexNet,
  alexnet,
  type AlexNetVariant,
  type Classifier,
  conv2d,
  crossEntropy,
  type Features,
  globalAveragePool,
  type GoogLeNet,
  googlenet,
  type GoogLeNetWithAuxiliary,
  type Images,
  inception,
  type Labels,
  lenet,
  linear,
  type NiN,
  nin,
  ninBlock,
  relu,
  sequential,
  type VGG,
  vgg,
  type VGGArchitecture,
  vggBlock,
  type VGGDepth,
} from "resnet-lab";

declare const grey: Images<1>;
declare const colour: Images<3>;
declare const labels: Labels;

export function whatTheyTakeAndGive() {
  const original: AlexNet<3, 1000> = alexnet({ variant: "original" });
  const simplified: Classifier<Images<1>, 10> = alexnet({ variant: "d2l" });
  const deep: VGG<3, 1000> = vgg({ architecture: 16, batchNorm: true });
  const own: Classifier<Images<1>, 7> = vgg({
    architecture: [[1, 8], [2, 16]],
    inChannels: 1,
    classes: 7,
  });
  const network: NiN<1, 10> = nin();
  const five: Classifier<Images<1>, 5> = nin({ classes: 5 });
  const colourful: GoogLeNet<3, 10> = googlenet({ variant: "d2l", inChannels: 3 });
  const pretrained: Classifier<Images<3>, 1000> = googlenet({ variant: "torchvision" });
  const logits: Features<10> = simplified.forward(grey);

  // @ts-expect-error: the original AlexNet takes images with 3 channels
  alexnet({ variant: "original" }).forward(grey);
  // @ts-expect-error: the simplified AlexNet takes images with 1 channel
  alexnet({ variant: "d2l" }).forward(colour);
  // @ts-expect-error: it takes images with 3 channels, whatever is asked of it
  const three: Classifier<Images<1>, 1000> = alexnet({ variant: "torchvision" });
  // @ts-expect-error: it tells 10 classes apart, whatever is asked of it
  const more: Classifier<Images<3>, 1000> = alexnet({ variant: "d2l", inChannels: 3 });
  // @ts-expect-error: VGG takes images with 3 channels unless told otherwise
  const wrongVgg: Classifier<Images<1>, 1000> = vgg({ architecture: 11 });
  // @ts-expect-error: these logits are for 7 classes, not 10
  const wrongLogits: Features<10> = own.forward(grey);
  // @ts-expect-error: NiN takes images with 1 channel unless told otherwise
  nin({ classes: 5 }).forward(colour);
  // @ts-expect-error: NiN tells 10 classes apart unless told otherwise
  const wrongNin: Classifier<Images<3>, 5> = nin({ inChannels: 3 });
  // @ts-expect-error: LeNet takes images with 1 channel unless told otherwise
  const wrongLenet: Classifier<Images<3>, 5> = lenet({ classes: 5 });
  // @ts-expect-error: torchvision's GoogLeNet tells 1000 classes apart
  const wrongGooglenet: Classifier<Images<3>, 10> = googlenet({ variant: "torchvision" });
  return [
    ...[original, deep, network, five, colourful, pretrained, logits],
    ...[three, more, wrongVgg, wrongLogits, wrongNin, wrongLenet, wrongGooglenet],
  ];
}

export function options(variant: AlexNetVariant, depth: VGGDepth, blocks: VGGArchitecture) {
  const any: AlexNet<3, 5> = alexnet({ variant, inChannels: 3, classes: 5 });
  vgg({ architecture: depth });
  vgg({ architecture: blocks });
  // @ts-expect-error: there is no such variant
  alexnet({ variant: "larger" });
  // @ts-expect-error: a variant is needed
  alexnet({ classes: 10 });
  // @ts-expect-error: no option is called clases
  alexnet({ variant: "original", clases: 10 });
  // @ts-expect-error: the paper has no VGG of 12 layers
  vgg({ architecture: 12 });
  // @ts-expect-error: a block is two numbers
  vgg({ architecture: [[1, 64, 3]] });
  // @ts-expect-error: NiN has no hidden linear layers
  nin({ hidden: 100 });
  // @ts-expect-error: torchvision's GoogLeNet is called "torchvision"
  googlenet({ variant: "batchNorm" });
  return any;
}

export function blocks() {
  const joined: Images<256> = inception(192, [64, [96, 128], [16, 32], 32]).forward(
    vggBlock(3, 192, { convolutions: 1 }).forward(colour),
  );
  const chain = sequential(
    ninBlock(1, 96, { kernelSize: 11, stride: 4 }),
    vggBlock(96, 192, { convolutions: 2 }),
    inception(192, [64, [96, 128], [16, 32], 32]),
    inception(256, [128, [128, 192], [32, 96], 64]),
    globalAveragePool(),
    linear(480, 10),
  );
  const logits: Features<10> = chain.forward(grey);
  // @ts-expect-error: 64 + 128 + 32 + 32 channels are 256
  const wrongSum: Images<288> = joined;
  // @ts-expect-error: this block takes images with 192 channels, and those have 3
  inception(192, [64, [96, 128], [16, 32], 32]).forward(colour);
  // @ts-expect-error: a branch of two convolutions has two numbers of channels
  inception(192, [64, 128, [16, 32], 32]);
  sequential(
    inception(192, [64, [96, 128], [16, 32], 32]),
    // @ts-expect-error: this layer takes images with 480 channels, but the layer before it returns
    // images with 256 channels
    inception(480, [192, [96, 208], [16, 48], 64]),
  );
  // @ts-expect-error: this layer takes images with 64 channels, but the layer before it returns
  // images with 128 channels
  sequential(vggBlock(3, 128, { convolutions: 2 }), relu(), vggBlock(64, 256, { convolutions: 2 }));
  // @ts-expect-error: this layer takes images with 3 channels, but the layer before it returns
  // images with 96 channels
  sequential(ninBlock(1, 96, { kernelSize: 11 }), conv2d(3, 8, { kernelSize: 1 }));
  // @ts-expect-error: a block of a NiN has a window
  ninBlock(1, 96, { stride: 4 });
  return { joined, logits, wrongSum };
}

export function heads(auxiliary: boolean) {
  const model: GoogLeNetWithAuxiliary<1, 10> = googlenet({
    variant: "d2l",
    auxiliary: true,
  });
  const { logits, auxiliary1, auxiliary2 } = model.forwardWithAuxiliary(grey, { training: true });
  const all: Features<10>[] = [logits, auxiliary1, auxiliary2];
  const classifier: Classifier<Images<1>, 10> = model;
  crossEntropy(auxiliary1, labels);
  // @ts-expect-error: the heads of this one are left out
  googlenet({ variant: "d2l" }).forwardWithAuxiliary(grey);
  // @ts-expect-error: whether this one has heads is not known
  googlenet({ variant: "d2l", auxiliary }).forwardWithAuxiliary(grey);
  // @ts-expect-error: forward gives the logits alone
  const { auxiliary1: none } = model.forward(grey, { training: true });
  // @ts-expect-error: there are two heads
  const { auxiliary3 } = model.forwardWithAuxiliary(grey);
  // @ts-expect-error: the heads take what the network takes, images with 1 channel
  model.forwardWithAuxiliary(colour);
  return { all, classifier, none, auxiliary3 };
}

/** Type parameters are accepted as numbers. */
export function generic<In extends number, Classes extends number>(
  inChannels: In,
  classes: Classes,
): Classifier<Images<In>, Classes>[] {
  return [
    alexnet({ variant: "original", inChannels, classes }),
    vgg({ architecture: 11, inChannels, classes }),
    nin({ inChannels, classes }),
    googlenet({ variant: "torchvision", inChannels, classes }),
  ];
}
