/**
 * Configurations of ResNets that must not compile, next to ones that must. The functions are
 * checked, never called.
 */
import assert from "node:assert/strict";
import {
  basicBlock,
  bottleneck,
  cifarResnet,
  type Classifier,
  conv2d,
  type Convolution,
  type Features,
  globalAveragePool,
  type Images,
  type LessThan,
  linear,
  relu,
  type ResNet,
  resnet,
  resnet101,
  resnet18,
  resnet50,
  type ResNetBlock,
  type ResNetShortcut,
  type ResNetVersion,
  sequential,
} from "resnet-lab";
import { errorsOfCompiler } from "../_helpers.ts";

declare const grey: Images<1>;
declare const colour: Images<3>;
declare const wide: Images<64>;

export function depths(depth: number, either: 20 | 32) {
  // The depths of the paper, and the smallest.
  cifarResnet({ depth: 8 });
  cifarResnet({ depth: 20 });
  cifarResnet({ depth: 56, shortcut: "none" });
  cifarResnet({ depth: 110, version: "v2" });
  cifarResnet({ depth: 1202 });
  cifarResnet({ depth });
  cifarResnet({ depth: either });
  // @ts-expect-error: the depth must be 6n + 2, such as 20, 32, 44, 56 or 110
  cifarResnet({ depth: 21 });
  // @ts-expect-error: the depth must be 6n + 2, such as 20, 32, 44, 56 or 110
  cifarResnet({ depth: 18, classes: 5 });
  // @ts-expect-error: two layers leave none for the three stages
  cifarResnet({ depth: 2 });
  // @ts-expect-error: the depth must be 6n + 2, such as 20, 32, 44, 56 or 110
  cifarResnet({ depth: 20.5 });
  // @ts-expect-error: a depth is a number
  cifarResnet({ depth: "20" });
  // @ts-expect-error: a depth is needed
  cifarResnet({ classes: 10 });
  // @ts-expect-error: the stem of the family is its own
  cifarResnet({ depth: 20, stem: "imagenet" });
}

export function shortcuts(
  inChannels: number,
  outChannels: number,
  shortcut: ResNetShortcut,
  version: ResNetVersion,
) {
  basicBlock(64, 64, { shortcut: "A" });
  basicBlock(64, 128, { shortcut: "A", stride: 2 });
  bottleneck(256, 64, { shortcut: "A" });
  bottleneck(256, 128, { shortcut: "A" });
  // Only shortcut A cannot.
  basicBlock(64, 32);
  basicBlock(64, 32, { stride: 2 });
  basicBlock(64, 32, { shortcut: "C" });
  basicBlock(64, 32, { shortcut: "none" });
  bottleneck(256, 32, { version: "v2" });
  // Unknown numbers are checked at run time.
  basicBlock(64, 32, { shortcut });
  basicBlock(inChannels, outChannels, { shortcut: "A" });
  basicBlock(64, outChannels, { shortcut: "A", version });
  bottleneck(inChannels, 16, { shortcut: "A" });
  // @ts-expect-error: shortcut A adds channels of zeros, so a block of 64 channels cannot give 32;
  // take B
  basicBlock(64, 32, { shortcut: "A" });
  // @ts-expect-error: shortcut A adds channels of zeros, so a block of 100 channels cannot give 99;
  // take B
  basicBlock(100, 99, { shortcut: "A", stride: 2 });
  // @ts-expect-error: shortcut A adds channels of zeros, so a block of 256 channels cannot give
  // 128; take B
  bottleneck(256, 32, { shortcut: "A" });
  // @ts-expect-error: there is no option D
  basicBlock(64, 64, { shortcut: "D" });
  // @ts-expect-error: there is no third version
  bottleneck(64, 16, { version: "v3" });
  // @ts-expect-error: a stride is one number
  basicBlock(64, 64, { stride: [2, 2] });
}

export function blocks(channels: number) {
  const same: Images<64> = basicBlock(64, 64).forward(wide);
  const wider: Images<256> = bottleneck(64, 64).forward(wide);
  const any: Images = bottleneck(64, channels).forward(wide);
  const chain = sequential(
    conv2d(3, 64, { kernelSize: 3, padding: 1 }),
    relu(),
    basicBlock(64, 64),
    basicBlock(64, 128, { stride: 2, shortcut: "A" }),
    bottleneck(128, 64),
    globalAveragePool(),
    linear(256, 10),
  );
  const logits: Features<10> = chain.forward(colour);
  // @ts-expect-error: this block takes images with 64 channels, and those have 3
  basicBlock(64, 64).forward(colour);
  // @ts-expect-error: a bottleneck gives four times as many, 256
  const wrong: Images<64> = bottleneck(64, 64).forward(wide);
  sequential(
    bottleneck(64, 64),
    // @ts-expect-error: this layer takes images with 64 channels, but the layer before it returns
    // images with 256 channels
    basicBlock(64, 64),
  );
  return { same, wider, any, logits, wrong };
}

export function networks(
  stages: readonly number[],
  block: ResNetBlock,
  shortcut: ResNetShortcut,
  count: number,
) {
  const usual: ResNet<3, 1000> = resnet({ block: "basic", stages: [2, 2, 2, 2] });
  const known: Classifier<Images<1>, 9> = resnet({
    ...{ block, stages, shortcut, width: 1 / 2, version: "v2", stem: "unpadded" },
    ...{ inChannels: 1, classes: 9, poolSize: [4, 1], embedding: 256 },
  });
  resnet({ block, stages: [count, 2, count] });
  resnet({ block, stages: [1] });
  const logits: Features<5> = resnet18({ classes: 5 }).forward(colour);
  const { logits: nine, embedding } = resnet50({ inChannels: 1, classes: 9, embedding: 256 })
    .forwardWithEmbedding(grey, { training: true });
  const features: [Features<9>, Features] = [nine, embedding];
  const small: ResNet<1, 10> = cifarResnet({ depth: 20, inChannels: 1 });
  const convolution: Convolution = (from, to, options) => conv2d<number, number>(from, to, options);
  resnet101({ convolution, shortcut: "C" });
  // @ts-expect-error: a stage has at least one block
  resnet({ block: "basic", stages: [2, 0, 2] });
  // @ts-expect-error: stages are numbers of blocks
  resnet({ block: "basic", stages: ["2"] });
  // @ts-expect-error: stages are needed
  resnet({ block: "basic" });
  // @ts-expect-error: there is no third block
  resnet({ block: "wide", stages: [1] });
  // @ts-expect-error: there is no such stem
  resnet18({ stem: "small" });
  // @ts-expect-error: no option is called clases
  resnet18({ clases: 10 });
  // @ts-expect-error: how many blocks the stages have is what the name says
  resnet18({ stages: [2, 2] });
  // @ts-expect-error: a pool size has a height and a width
  resnet18({ poolSize: [4] });
  // @ts-expect-error: a convolution is a function that makes layers, not a layer
  resnet18({ convolution: conv2d(8, 8, { kernelSize: 3 }) });
  // @ts-expect-error: it takes images with 3 channels unless told otherwise
  resnet18({ classes: 5 }).forward(grey);
  // @ts-expect-error: it takes images with 1 channel
  small.forward(colour);
  // @ts-expect-error: it takes images with 3 channels, whatever is asked of it
  const wrongChannels: Classifier<Images<1>, 1000> = resnet18();
  // @ts-expect-error: it tells 10 classes apart, whatever is asked of it
  const wrongClasses: Classifier<Images<3>, 100> = cifarResnet({ depth: 20 });
  // @ts-expect-error: these logits are for 1000 classes, not 10
  const wrongLogits: Features<10> = usual.forward(colour);
  // @ts-expect-error: the logits of an embedding are for 9 classes, not 256
  const wrongEmbedding: Features<256> = nine;
  return [
    ...[usual, known, logits, features, small],
    ...[wrongChannels, wrongClasses, wrongLogits, wrongEmbedding],
  ];
}

/** Type parameters are accepted as numbers. */
export function generic<In extends number, Classes extends number>(
  inChannels: In,
  classes: Classes,
): Classifier<Images<In>, Classes>[] {
  return [
    resnet({ block: "basic", stages: [1], inChannels, classes }),
    resnet18({ inChannels, classes }),
    cifarResnet({ depth: 20, inChannels, classes }),
  ];
}

/** Digit by digit, from the left; shorter numbers are less. */
export function less() {
  const right: [
    ...[
      LessThan<1, 2>,
      LessThan<9, 10>,
      LessThan<99, 100>,
      LessThan<128, 129>,
      LessThan<64, 256>,
      LessThan<0, 1>,
    ],
    ...[LessThan<199, 200>, LessThan<1023, 1024>],
  ] = [true, true, true, true, true, true, true, true];
  const wrong: [
    ...[
      LessThan<2, 1>,
      LessThan<10, 9>,
      LessThan<100, 99>,
      LessThan<64, 64>,
      LessThan<256, 64>,
      LessThan<1, 0>,
    ],
    ...[LessThan<200, 199>, LessThan<0, 0>],
  ] = [false, false, false, false, false, false, false, false];
  const unknown: [boolean, boolean] = [true, true] satisfies [
    LessThan<number, 2>,
    LessThan<2, number>,
  ];
  // @ts-expect-error: 3 is less than 4
  const no: LessThan<3, 4> = false;
  // @ts-expect-error: 30 is not less than 4
  const yes: LessThan<30, 4> = true;
  return [...right, ...wrong, ...unknown, no, yes];
}

const WRONG = `
import { basicBlock, bottleneck, cifarResnet, resnet } from "resnet-lab";
cifarResnet({ depth: 21 });
basicBlock(64, 32, { shortcut: "A" });
bottleneck(256, 32, { shortcut: "A" });
resnet({ block: "basic", stages: [2, 0, 2] });
`;

Deno.test("resnet() and its blocks: compile errors in words", async () => {
  const said = await errorsOfCompiler(WRONG);
  const cannot = (from: number, to: number) =>
    `shortcut A adds channels of zeros, so a block of ${from} channels cannot give ${to}; take B`;
  for (
    const [found, message] of [
      ["number", "the depth must be 6n + 2, such as 20, 32, 44, 56 or 110"],
      ["32", cannot(64, 32)],
      ["32", cannot(256, 128)],
      ["number", "a stage has at least one block"],
    ] as const
  ) {
    const line = said.split("\n").find((text) => text.includes(`'"${message}"'`));
    assert(line?.includes(`ype '${found}'`), `${found}: ${message}\n${said}`);
  }
});
