/** Compositions that must compile, and others that must not. The functions are never called. */
import assert from "node:assert/strict";
import {
  adaptiveAveragePool,
  avgPool,
  batchNorm,
  captureActivations,
  type Classifier,
  conv2d,
  dropout,
  type Features,
  flatten,
  gelu,
  globalAveragePool,
  type Images,
  initializers,
  type InputOf,
  leakyRelu,
  type LeNet,
  lenet,
  linear,
  localResponseNorm,
  lsuv,
  maxPool,
  Module,
  onForward,
  ops,
  type OutputOf,
  parallel,
  relu,
  residual,
  sequential,
  sigmoid,
  summary,
  tanh,
} from "resnet-lab";
import { errorsOfCompiler } from "../_helpers.ts";

const k3 = { kernelSize: 3, padding: 1 } as const;
declare const grey: Images<1>;
declare const colour: Images<3>;
declare const wide: Images<64>;
declare const anyImages: Images;
declare const ten: Features<10>;
declare const eight: Features<8>;

export function chains() {
  const right = sequential(
    conv2d(3, 64, k3),
    batchNorm(64),
    relu(),
    maxPool({ kernelSize: 2 }),
    dropout(0.1),
    localResponseNorm(),
    adaptiveAveragePool([7, 7]),
    conv2d(64, 8, k3),
    globalAveragePool(),
    batchNorm(8),
    tanh(),
    linear(8, 10),
  );
  const logits: Features<10> = right.forward(colour);
  right.forward(anyImages);
  sequential(flatten(), linear(400, 10));
  // @ts-expect-error: this layer takes images with 128 channels, but the layer before it returns
  // images with 64 channels
  sequential(conv2d(3, 64, k3), relu(), conv2d(128, 10, k3));
  // @ts-expect-error: this layer takes 32 channels or features, but the layer before it returns
  // images with 64 channels
  sequential(conv2d(3, 64, k3), batchNorm(32));
  // @ts-expect-error: this layer takes 64 features, but the layer before it returns images with 64
  // channels
  sequential(conv2d(3, 64, k3), linear(64, 10));
  // @ts-expect-error: this layer takes images with 8 channels, but the layer before it returns 8
  // features
  sequential(linear(4, 8), conv2d(8, 8, k3));
  // @ts-expect-error: this layer takes 16 features, but the layer before it returns 8 features
  sequential(linear(4, 8), linear(16, 10));
  // @ts-expect-error: this layer takes 16 features, but the layer before it returns 8 features
  // (dropout and relu keep them)
  sequential(linear(4, 8), dropout(0.5), relu(), linear(16, 10));
  // @ts-expect-error: this layer takes 10 channels or features, but the layer before it returns 8
  // features
  sequential(linear(4, 8), batchNorm(10));
  // @ts-expect-error: this layer takes images, but the layer before it returns features
  sequential(flatten(), maxPool({ kernelSize: 2 }));
  // @ts-expect-error: this layer takes images, but the layer before it returns 8 features
  sequential(linear(4, 8), avgPool({ kernelSize: 2 }));
  // @ts-expect-error: this layer takes images, but the layer before it returns 8 features
  sequential(linear(4, 8), adaptiveAveragePool([1, 1]));
  // @ts-expect-error: this layer takes images, but the layer before it returns 8 features
  sequential(linear(4, 8), localResponseNorm());
  // @ts-expect-error: this layer takes images, but the layer before it returns 8 features
  sequential(linear(4, 8), globalAveragePool());
  // @ts-expect-error: this layer takes images, but the layer before it returns 8 features
  sequential(linear(4, 8), flatten());
  // @ts-expect-error: this layer takes images, but the layer before it returns features with 64
  // channels pooled already
  sequential(conv2d(3, 64, k3), globalAveragePool(), globalAveragePool());
  // @ts-expect-error: this layer takes 512 features, but the layer before it returns 64 features
  sequential(conv2d(3, 64, k3), globalAveragePool(), linear(512, 10));
  // @ts-expect-error: this layer takes images with 3 channels, but the layer before it returns
  // images with 64 channels
  sequential(batchNorm(64), relu(), conv2d(3, 64, k3));
  // @ts-expect-error: the network returns 10 features
  const wrong: Features<5> = right.forward(colour);
  // @ts-expect-error: the network takes images with 3 channels
  right.forward(grey);
  // @ts-expect-error: the network takes images, not features
  right.forward(ten);
  return { logits, wrong };
}

export function whatIsNoLayer() {
  // @ts-expect-error: the function relu is no layer: call it, relu()
  sequential(relu);
  // @ts-expect-error: the function relu is no layer: call it, relu()
  sequential(conv2d(3, 8, k3), relu, conv2d(8, 8, k3));
  // @ts-expect-error: undefined is no layer
  sequential(conv2d(3, 8, k3), undefined);
  // @ts-expect-error: a string is no layer
  sequential("relu");
  // @ts-expect-error: a tensor is no layer
  sequential(ten);
  // @ts-expect-error: an array of layers must be spread
  sequential([conv2d(3, 8, k3), relu()]);
  // @ts-expect-error: a function of a tensor is no layer
  sequential(ops.relu);
  // @ts-expect-error: null is no body
  residual(null);
  // @ts-expect-error: the function gelu is no branch: call it, gelu()
  parallel(gelu, gelu);
}

export function nested() {
  const head = sequential(globalAveragePool(), dropout(0.2), linear(8, 10));
  const stage = sequential(
    sequential(conv2d(3, 8, k3), relu()),
    sequential(batchNorm(8), sigmoid()),
  );
  const both = sequential(stage, head);
  const logits: Features<10> = both.forward(colour);
  const activate = sequential(leakyRelu(), dropout(0.1));
  sequential(conv2d(3, 8, k3), activate, conv2d(8, 8, k3));
  const pooled = sequential(relu(), globalAveragePool());
  sequential(conv2d(3, 8, k3), pooled, linear(8, 10));
  // @ts-expect-error: this layer takes images with 8 channels, but the layer before it returns
  // images with 16 channels
  sequential(conv2d(3, 16, k3), head);
  // @ts-expect-error: this layer takes images with 3 channels, but the layer before it returns
  // images with 8 channels
  sequential(stage, stage);
  // @ts-expect-error: this layer takes images with 4 channels, but the layer before it returns
  // images with 8 channels
  sequential(conv2d(3, 8, k3), activate, conv2d(4, 8, k3));
  // @ts-expect-error: this layer takes 4 features, but the layer before it returns 8 features
  sequential(conv2d(3, 8, k3), pooled, linear(4, 10));
  // @ts-expect-error: this layer takes images, but the layer before it returns 4 features
  sequential(linear(3, 4), sequential(maxPool({ kernelSize: 2 }), relu()));
  return logits;
}

export function spread(depth: number) {
  const blocks = Array.from({ length: depth }, () => residual(conv2d(8, 8, k3)));
  const widening = Array.from({ length: depth }, () => conv2d(8, 16, k3));
  const stage = sequential(conv2d(3, 8, k3), ...blocks);
  const y: Images<8> = stage.forward(colour);
  const logits: Features<10> = sequential(
    conv2d(3, 8, k3),
    ...blocks,
    globalAveragePool(),
    linear(8, 10),
  ).forward(colour);
  // @ts-expect-error: this layer takes images with 8 channels, but the layer before it returns
  // images with 9 channels
  sequential(conv2d(3, 9, k3), ...blocks);
  // @ts-expect-error: this layer takes images with 8 channels, but the layer before it, one of the
  // same array, returns 16
  sequential(conv2d(3, 8, k3), ...widening);
  // @ts-expect-error: this layer takes images with 9 channels, but the layer before it returns
  // images with 8 channels
  sequential(conv2d(3, 8, k3), ...blocks, conv2d(9, 4, k3));
  // @ts-expect-error: this layer takes images with 9 channels, but the layer before it returns
  // images with 8 channels
  sequential(...blocks, conv2d(9, 4, k3));
  // @ts-expect-error: the blocks take images with 8 channels
  sequential(...blocks).forward(colour);
  // Stages of different widths share the type without channels; summary checks them.
  const stages: Module<Images, Images>[] = [];
  for (const width of [8, 16]) {
    stages.push(sequential(conv2d(width, 2 * width, k3), relu()), maxPool({ kernelSize: 2 }));
  }
  const staged: Features<10> = sequential(...stages, globalAveragePool(), linear(32, 10)).forward(
    colour,
  );
  // @ts-expect-error: a linear layer returns features, not images
  stages.push(linear(8, 8));
  // @ts-expect-error: this layer takes 8 features, but the layer before it returns images
  sequential(...stages, linear(8, 8));
  const branches = Array.from({ length: depth }, () => conv2d(3, 8, k3));
  const joined: Images = parallel(...branches).forward(colour);
  return { y, logits, joined, staged };
}

export function residuals() {
  const y: Images<8> = residual(conv2d(8, 8, k3)).forward(anyImages);
  const z: Images<8> = residual(conv2d(3, 8, k3), conv2d(3, 8, { kernelSize: 1 })).forward(colour);
  residual(sequential(linear(4, 4), relu()));
  residual(conv2d(8, 8, k3), undefined);
  // @ts-expect-error: the body takes images with 4 channels and returns images with 8 channels;
  // pass a shortcut
  residual(conv2d(4, 8, k3));
  // @ts-expect-error: the body takes 4 features and returns 8 features; pass a shortcut
  residual(linear(4, 8));
  // @ts-expect-error: the body takes images with 4 channels and returns 4 features
  residual(sequential(conv2d(4, 4, k3), globalAveragePool()));
  // @ts-expect-error: the shortcut takes images with 3 channels, but the body takes images with 4
  // channels
  residual(conv2d(4, 8, k3), conv2d(3, 8, { kernelSize: 1 }));
  // @ts-expect-error: the shortcut returns images with 16 channels, but the body returns images
  // with 8 channels
  residual(conv2d(4, 8, k3), conv2d(4, 16, { kernelSize: 1 }));
  // @ts-expect-error: the shortcut returns images with 4 channels, but the body returns images with
  // 8 channels
  residual(conv2d(4, 8, k3), avgPool({ kernelSize: 1 }));
  // @ts-expect-error: the shortcut takes 4 features, but the body takes images with 4 channels
  residual(conv2d(4, 8, k3), linear(4, 8));
  // @ts-expect-error: this layer takes images with 16 channels, but the layer before it returns
  // images with 8 channels
  sequential(residual(conv2d(8, 8, k3)), conv2d(16, 8, k3));
  // @ts-expect-error: the block takes images with 8 channels
  residual(conv2d(8, 8, k3)).forward(colour);
  return { y, z };
}

export function branches() {
  const block = parallel(
    conv2d(3, 60, k3),
    conv2d(3, 64, { kernelSize: 1 }),
    maxPool({ kernelSize: 1 }),
  );
  const y: Images<127> = block.forward(colour);
  const large: Images<1999> = parallel(conv2d(3, 999, k3), conv2d(3, 1000, k3)).forward(colour);
  // @ts-expect-error: this branch takes images with 4 channels, but another takes images with 3
  // channels
  parallel(conv2d(3, 8, k3), conv2d(4, 8, k3));
  // @ts-expect-error: this branch takes 3 features, but another takes images with 3 channels
  parallel(conv2d(3, 8, k3), linear(3, 8));
  // @ts-expect-error: a branch must return images, but this one returns 8 features
  parallel(conv2d(3, 8, k3), sequential(conv2d(3, 8, k3), globalAveragePool()));
  // @ts-expect-error: a branch must return images, but this one returns 8 features
  parallel(linear(3, 8), linear(3, 8));
  // @ts-expect-error: this layer takes images with 128 channels, but the layer before it returns
  // images with 127 channels
  sequential(block, conv2d(128, 8, k3));
  // @ts-expect-error: the channels of the branches add up to 127
  const wrong: Images<124> = block.forward(colour);
  // @ts-expect-error: the branches take images with 3 channels
  block.forward(grey);
  return { y, large, wrong };
}

export function forward() {
  const same: Images<64> = relu().forward(wide);
  const kept: Features<10> = dropout(0.5).forward(ten);
  const normal: Images<3> = batchNorm(3).forward(colour);
  const pooled: Features<64> = globalAveragePool().forward(wide);
  // @ts-expect-error: the layer takes images with 3 channels
  conv2d(3, 8, k3).forward(grey);
  // @ts-expect-error: the layer takes images, not features
  conv2d(3, 8, k3).forward(ten);
  // @ts-expect-error: the layer takes features, not images
  linear(3, 8).forward(colour);
  // @ts-expect-error: the layer takes 10 features
  linear(10, 8).forward(eight);
  // @ts-expect-error: the layer takes images, not features
  maxPool({ kernelSize: 2 }).forward(ten);
  // @ts-expect-error: the layer takes images with 64 channels
  batchNorm(64).forward(colour);
  // @ts-expect-error: relu keeps 64 channels
  const wrong: Images<3> = relu().forward(wide);
  // @ts-expect-error: an array is no tensor
  relu().forward([1, 2]);
  // @ts-expect-error: the option is called training
  dropout(0.5).forward(ten, { train: true });
  // @ts-expect-error: there is one argument more than the layer takes
  relu().forward(ten, true);
  return { same, kept, normal, pooled, wrong };
}

export function options() {
  // @ts-expect-error: a convolution needs a kernel size
  conv2d(3, 8);
  // @ts-expect-error: the options are an object, { kernelSize: 3 }
  conv2d(3, 8, 3);
  // @ts-expect-error: the option is called stride
  conv2d(3, 8, { kernelSize: 3, strides: 2 });
  // @ts-expect-error: padding is "same", "valid" or a number
  conv2d(3, 8, { kernelSize: 3, padding: "SAME" });
  // @ts-expect-error: a window has two sides
  conv2d(3, 8, { kernelSize: [3, 3, 3] });
  // @ts-expect-error: channels are a number
  conv2d("3", 8, k3);
  // @ts-expect-error: initializers.heNormal makes an initializer when it is called
  conv2d(3, 8, { kernelSize: 3, weightInitializer: initializers.heNormal });
  // @ts-expect-error: an initializer is not a number; initializers.constant(0) makes one
  linear(3, 8, { weightInitializer: 0 });
  // @ts-expect-error: a linear layer needs the number of its outputs
  linear(3);
  // @ts-expect-error: the options are an object, { kernelSize: 2 }
  maxPool(2);
  // @ts-expect-error: pooling has no dilation here
  maxPool({ kernelSize: 2, dilation: 2 });
  // @ts-expect-error: the size has two sides
  adaptiveAveragePool(1);
  // @ts-expect-error: batch norm needs the number of channels
  batchNorm();
  // @ts-expect-error: a rate is a number
  dropout("0.5");
  // @ts-expect-error: there is no such activation
  lenet({ activation: "swish" });
  initializers.constant(0);
}

export function modules() {
  class Embed extends Module<Images<3>, Features<16>> {
    readonly body = sequential(conv2d(3, 16, k3), relu(), globalAveragePool());
    override forward(images: Images<3>) {
      return this.body.forward(images);
    }
  }
  const model = sequential(new Embed(), linear(16, 10));
  const logits: Features<10> = model.forward(colour);
  // @ts-expect-error: this layer takes 32 features, but the layer before it returns 16 features
  sequential(new Embed(), linear(32, 10));
  // @ts-expect-error: this layer takes images with 3 channels, but the layer before it returns
  // images with 8 channels
  sequential(conv2d(3, 8, k3), new Embed());
  // @ts-expect-error: the module takes images with 3 channels
  new Embed().forward(grey);
  // @ts-expect-error: parts of a module are readonly
  new Embed().body = sequential(conv2d(3, 16, k3), relu(), globalAveragePool());
  // @ts-expect-error: the kernel of a layer is assigned to, not replaced
  conv2d(3, 8, k3).weight = conv2d(3, 8, k3).weight;

  // @ts-expect-error: a module must say what its forward pass is
  class Empty extends Module<Images<3>, Features<16>> {}
  class WrongOutput extends Module<Images<3>, Features<16>> {
    // @ts-expect-error: the class promises 16 features, but forward returns images with 3 channels
    override forward(images: Images<3>) {
      return relu().forward(images);
    }
  }
  class WrongInside extends Module<Images<3>, Features<16>> {
    readonly body = linear(8, 16);
    override forward(images: Images<3>) {
      // @ts-expect-error: the body takes features, not images
      return this.body.forward(images);
    }
  }
  return { logits, Empty, WrongOutput, WrongInside };
}

export function classifiers() {
  const right: Classifier<Images<1>, 10> = lenet();
  const built: Classifier<Images<3>, 10> = sequential(
    conv2d(3, 8, k3),
    globalAveragePool(),
    linear(8, 10),
  );
  const five: LeNet<3, 5> = lenet({ inChannels: 3, classes: 5 });
  // @ts-expect-error: LeNet takes images with 1 channel
  const colourful: Classifier<Images<3>, 10> = lenet();
  // @ts-expect-error: LeNet tells 10 classes apart, not 5
  const fewer: Classifier<Images<1>, 5> = lenet();
  // @ts-expect-error: this LeNet tells 5 classes apart, not 10
  const more: Classifier<Images<3>, 10> = five;
  // @ts-expect-error: a convolution returns images, not features
  const images: Classifier<Images<3>, 10> = conv2d(3, 10, k3);
  // @ts-expect-error: this layer takes images with 1 channel, but the layer before it returns
  // images with 3 channels
  sequential(conv2d(1, 3, k3), lenet());
  return { right, built, colourful, fewer, more, images };
}

export function lookingAt() {
  const model = sequential(conv2d(3, 8, k3), globalAveragePool());
  const input: InputOf<typeof model> = colour;
  const output: OutputOf<typeof model> = eight;
  // @ts-expect-error: the model takes images with 3 channels
  const wrongInput: InputOf<typeof model> = grey;
  // @ts-expect-error: the model returns 8 features
  const wrongOutput: OutputOf<typeof model> = ten;
  // @ts-expect-error: a shape is an array of numbers
  summary(model, 28);
  // @ts-expect-error: the function lenet is no model: call it, lenet()
  summary(lenet, [28, 28, 1]);
  // @ts-expect-error: the model takes images with 3 channels
  lsuv(model, grey);
  // @ts-expect-error: the model takes images, not features
  captureActivations(model, ten);
  // @ts-expect-error: the model takes images with 3 channels
  onForward(model, wide, () => {});
  return { input, output, wrongInput, wrongOutput };
}

/** Sizes that are type parameters are followed through a chain as well. */
export function generic<In extends number, Width extends number, Classes extends number>(
  inChannels: In,
  width: Width,
  classes: Classes,
) {
  const block = residual(sequential(batchNorm(width), relu(), conv2d(width, width, k3)));
  const model = sequential(
    conv2d(inChannels, width, k3),
    block,
    maxPool({ kernelSize: 2 }),
    globalAveragePool(),
    linear(width, classes),
  );
  const classifier: Classifier<Images<In>, Classes> = model;
  // @ts-expect-error: this layer takes images with 8 channels, but the layer before it returns any
  // number of them
  sequential(conv2d(inChannels, width, k3), conv2d(8, 8, k3));
  return classifier;
}

/** Sixty layers are not too deep for the compiler. */
export function deep() {
  const c = conv2d(8, 8, k3), b = batchNorm(8), r = relu();
  const stem = conv2d(3, 8, k3);
  // deno-fmt-ignore
  const model = sequential(stem, b, r,
    c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r,
    c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, globalAveragePool(), linear(8, 10));
  const logits: Features<10> = model.forward(colour);
  // deno-fmt-ignore
  sequential(stem, b, r,
    c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r,
    // @ts-expect-error: this layer takes 9 features, but the layer before it returns 8 features
    c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, c, b, r, globalAveragePool(), linear(9, 10));
  return logits;
}

const WRONG = `
import { batchNorm, conv2d, globalAveragePool, linear, maxPool, parallel, relu, residual, sequential } from "resnet-lab";
const k3 = { kernelSize: 3, padding: 1 };
sequential(conv2d(3, 64, k3), relu(), conv2d(128, 10, k3));
sequential(linear(4, 8), linear(16, 10));
sequential(conv2d(3, 64, k3), batchNorm(32));
sequential(linear(4, 8), maxPool({ kernelSize: 2 }));
residual(conv2d(4, 8, k3));
residual(conv2d(4, 8, k3), conv2d(3, 8, k3));
residual(conv2d(4, 8, k3), conv2d(4, 16, k3));
parallel(conv2d(3, 8, k3), conv2d(4, 8, k3));
parallel(conv2d(3, 8, k3), sequential(conv2d(3, 8, k3), globalAveragePool()));
`;

Deno.test("sequential(), residual() and parallel() have compile errors that name what does not fit", async () => {
  const said = await errorsOfCompiler(WRONG);
  for (
    const [argument, message] of [
      [
        "Conv2d<128, 10>",
        "this layer takes images with 128 channels, but the layer before it returns images with 64 channels",
      ],
      [
        "Linear<16, 10>",
        "this layer takes 16 features, but the layer before it returns 8 features",
      ],
      [
        "BatchNorm<32>",
        "this layer takes 32 channels or features, but the layer before it returns images with 64 channels",
      ],
      ["Pool", "this layer takes images, but the layer before it returns 8 features"],
      [
        "Conv2d<4, 8>",
        "the body takes images with 4 channels and returns images with 8 channels, which cannot be added; pass a shortcut that makes the same change",
      ],
      [
        "Conv2d<3, 8>",
        "the shortcut takes images with 3 channels, but the body takes images with 4 channels",
      ],
      [
        "Conv2d<4, 16>",
        "the shortcut returns images with 16 channels, but the body returns images with 8 channels",
      ],
      [
        "Conv2d<4, 8>",
        "this branch takes images with 4 channels, but another takes images with 3 channels",
      ],
      ["Sequential<", "a branch must return images, but this one returns 8 features"],
    ] as const
  ) {
    const line = said.split("\n").find((text) => text.includes(`'"${message}"'`));
    assert(line?.includes(`Argument of type '${argument}`), `${argument}: ${message}\n${said}`);
  }
});
