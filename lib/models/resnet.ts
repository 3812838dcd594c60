/** The residual networks. */
import { type Features, type Images, ops, tidy } from "../tensor/mod.ts";
import {
  checkArguments,
  checkArray,
  checkInteger,
  checkOneOf,
  checkOptions,
  type OptionNames,
} from "../tensor/internal.ts";
import {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  type AnyModule,
  type BatchNorm,
  batchNorm,
  type Conv2d,
  conv2d,
  type Conv2dOptions,
  type Flatten,
  flatten,
  type ForwardOptions,
  type Linear,
  linear,
  maxPool,
  Module,
  type Pool,
  sequential,
} from "../nn/mod.ts";
import { checkLargeEnough, type WindowLayers } from "./image_size.ts";
import { type ClassifierOptions, scaleChannels } from "./options.ts";
import {
  checkBlockOptions,
  type Convolution,
  ResidualBlock,
  type ResNetBlock,
  type ResNetShortcut,
  type ResNetVersion,
} from "./residual_block.ts";

/**
 * The layers before the blocks. `"imagenet"`: a 7×7 convolution and max pooling, each with stride
 * 2. `"cifar"`: a 3×3 convolution that keeps the size, for small images. `"unpadded"`: a 3×3
 * convolution without padding, then 2×2 max pooling with stride 1, as in the Keras ResNet of the
 * book by Long Liangqu (dragen1860/Deep-Learning-with-TensorFlow-book, ch10/resnet.py) and in the
 * tutorials that follow it.
 */
export type ResNetStem = "imagenet" | "cifar" | "unpadded";

const STEM_CONVOLUTIONS = {
  imagenet: { kernelSize: 7, stride: 2, padding: 3, useBias: false },
  cifar: { kernelSize: 3, padding: 1, useBias: false },
  unpadded: { kernelSize: 3, useBias: false },
} as const satisfies Record<ResNetStem, Conv2dOptions>;

/** Returns the pooling of a stem, `undefined` where it has none. */
function stemPooling(stem: ResNetStem): Pool | undefined {
  switch (stem) {
    case "imagenet":
      return maxPool({ kernelSize: 3, stride: 2, padding: 1 });
    case "unpadded":
      return maxPool({ kernelSize: 2, stride: 1, padding: "same" });
    case "cifar":
      return undefined;
  }
}

const BLOCKS: readonly ResNetBlock[] = ["basic", "bottleneck"];

const BUILDING = "Building resnet";

/** The options of {@linkcode resnet} that its named variants leave open. */
export interface ResNetVariantOptions<
  InChannels extends number = number,
  Classes extends number = number,
> extends Omit<ClassifierOptions<InChannels, Classes>, "imageSize"> {
  /**
   * Channels of the images.
   *
   * @default 3
   */
  inChannels?: InChannels;
  /**
   * Number of classes.
   *
   * @default 1000, or 10 in cifarResnet
   */
  classes?: Classes;
  /**
   * The order of the layers in a block.
   *
   * @default "v1.5", or "v1" in cifarResnet
   */
  version?: ResNetVersion;
  /**
   * The shortcut of the blocks.
   *
   * @default "B", or "A" in cifarResnet
   */
  shortcut?: ResNetShortcut;
  /**
   * The layers before the blocks.
   *
   * @default "imagenet"
   */
  stem?: ResNetStem;
  /**
   * Height and width to which the last feature maps are averaged.
   *
   * @default [1, 1]
   */
  poolSize?: readonly [height: number, width: number];
  /** Units of a linear layer before the last one; without it there is no such layer. */
  embedding?: number;
  /**
   * Makes the 3×3 convolutions of the blocks.
   *
   * @default conv2d
   */
  convolution?: Convolution;
}

const VARIANT_OPTIONS: OptionNames<ResNetVariantOptions> = {
  inChannels: true,
  classes: true,
  version: true,
  shortcut: true,
  stem: true,
  width: true,
  poolSize: true,
  embedding: true,
  convolution: true,
};

/** The options of {@linkcode resnet}. */
export interface ResNetOptions<
  InChannels extends number = number,
  Classes extends number = number,
  Stages extends readonly number[] = readonly number[],
> extends ResNetVariantOptions<InChannels, Classes> {
  /** The kind of block. */
  block: ResNetBlock;
  /**
   * Number of blocks of each stage. Each stage after the first halves the image and doubles the
   * channels.
   */
  stages: StageDepths<Stages>;
  /**
   * Channels of the 3×3 convolutions of the first stage.
   *
   * @default 64
   */
  channels?: number;
}

/** Numbers of blocks, with a message in place of each zero. */
export type StageDepths<Stages extends readonly number[]> = {
  readonly [Stage in keyof Stages]: Stages[Stage] extends 0 ? "a stage has at least one block"
    : Stages[Stage];
};

/** A ResNet; made by {@linkcode resnet} and the functions named after its variants. */
export class ResNet<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** The first convolution. */
  readonly conv1: Conv2d<InChannels, number>;
  /** After the first convolution, except in v2, whose blocks begin with batch norm. */
  readonly bn1: BatchNorm<number> | undefined;
  /** The pooling of the stem, except in the stem `"cifar"`. */
  readonly maxpool: Pool | undefined;
  /** The blocks. Their paths are torchvision's: `layer1.0`, `layer1.1`, …, `layer2.0`, …. */
  readonly stages: readonly Module<Images, Images>[];
  /** After the last block, in v2. */
  readonly norm: BatchNorm<number> | undefined;
  /** Averages the last feature maps to `poolSize`. */
  readonly avgpool: AdaptiveAveragePool;
  /** Flattens the feature maps. */
  readonly flatten: Flatten = flatten();
  /** The linear layer before the last one, with the option `embedding`. */
  readonly embedding: Linear<number, number> | undefined;
  /** The logits. */
  readonly fc: Linear<number, Classes>;
  readonly #stemLayers: WindowLayers;

  /**
   * See {@linkcode resnet}.
   *
   * @param action What the caller is doing, for messages.
   */
  constructor(options: ResNetOptions<InChannels, Classes>, action = BUILDING) {
    super();
    checkOptions<ResNetOptions>(action, options, '{ block: "basic", stages: [2, 2, 2, 2] }', {
      block: true,
      stages: true,
      channels: true,
      ...VARIANT_OPTIONS,
    });
    const { inChannels = 3 as number as InChannels, classes = 1000 as number as Classes } = options;
    const { block, stages, version = "v1.5", shortcut = "B", convolution = conv2d } = options;
    const { stem = "imagenet", channels = 64, width = 1, poolSize = [1, 1], embedding } = options;
    checkOneOf(action, "block", block, BLOCKS);
    checkOneOf(action, "stem", stem, Object.keys(STEM_CONVOLUTIONS));
    checkBlockOptions(action, version, shortcut, convolution);
    checkInteger(action, "channels", channels);
    checkInteger(action, "inChannels", inChannels);
    checkInteger(action, "classes", classes);
    if (embedding !== undefined) checkInteger(action, "embedding", embedding);
    checkStages(action, stages);
    this.avgpool = adaptiveAveragePool(poolSize);
    let lastChannels = scaleChannels(action, channels, width);
    this.conv1 = conv2d(inChannels, lastChannels, STEM_CONVOLUTIONS[stem]);
    this.bn1 = version === "v2" ? undefined : batchNorm(lastChannels);
    this.maxpool = stemPooling(stem);
    this.stages = stages.map((count, stage) => {
      const stageWidth = scaleChannels(action, channels * 2 ** stage, width);
      const outChannels = block === "basic" ? stageWidth : 4 * stageWidth;
      const blocks = Array.from({ length: count }, (_, i) => {
        const inChannels = i === 0 ? lastChannels : outChannels;
        const stride = stage > 0 && i === 0 ? 2 : 1;
        return new ResidualBlock<number, number>(inChannels, outChannels, {
          ...{ block, width: stageWidth, stride, version, shortcut, convolution },
        });
      });
      lastChannels = outChannels;
      return sequential(...blocks);
    });
    this.norm = version === "v2" ? batchNorm(lastChannels) : undefined;
    const features = lastChannels * poolSize[0] * poolSize[1];
    this.embedding = embedding === undefined ? undefined : linear(features, embedding);
    this.fc = linear(embedding ?? features, classes);
    // The blocks are padded, so only the stem can be too large for an image.
    this.#stemLayers = this.maxpool
      ? [["conv1", this.conv1], ["maxpool", this.maxpool]]
      : [["conv1", this.conv1]];
  }

  /** Returns the logits `[batch, classes]`. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    return tidy(() => this.fc.forward(this.#embed(images, options)));
  }

  /**
   * Returns the logits `[batch, classes]` and the input of the last layer: the embedding
   * `[batch, embedding]`, or the flattened feature maps where there is no embedding layer.
   */
  forwardWithEmbedding(
    images: Images<InChannels>,
    options?: ForwardOptions,
  ): { logits: Features<Classes>; embedding: Features } {
    return tidy(() => {
      const embedding = this.#embed(images, options);
      return { logits: this.fc.forward(embedding), embedding };
    });
  }

  /** Returns the input of the last layer. */
  #embed(images: Images<InChannels>, options?: ForwardOptions): Features {
    checkLargeEnough("Running resnet", this.#stemLayers, images);
    let y: Images = this.conv1.forward(images);
    if (this.bn1) y = ops.relu(this.bn1.forward(y, options));
    if (this.maxpool) y = this.maxpool.forward(y);
    for (const stage of this.stages) y = stage.forward(y, options);
    if (this.norm) y = ops.relu(this.norm.forward(y, options));
    const features = this.flatten.forward(this.avgpool.forward(y));
    return this.embedding ? this.embedding.forward(features) : features;
  }

  /** Returns the parts by name; a stage has the name that torchvision gives it. */
  override children(): Map<string, AnyModule> {
    const children = [...super.children()].map(([name, child]): [string, AnyModule] => {
      const stage = /^stages\.(\d+)$/.exec(name)?.[1];
      return [stage === undefined ? name : `layer${Number(stage) + 1}`, child];
    });
    return new Map(children);
  }

  /** Returns the number of stages, as a summary shows it. */
  override describe(): string {
    return `ResNet, ${this.stages.length} stages`;
  }
}

/**
 * Checks the numbers of blocks of the stages.
 *
 * @throws {TypeError} If they are not an array of numbers.
 * @throws {RangeError} If there is no stage, or a number is not a whole number of at least 1.
 */
function checkStages(action: string, stages: readonly number[]): void {
  checkArray(action, "stages", stages);
  if (stages.length === 0) {
    throw new RangeError(
      `${action}: stages must be numbers of blocks such as [2, 2, 2, 2], found [].`,
    );
  }
  stages.forEach((count, i) =>
    checkInteger(action, `the number of blocks of stage ${i + 1}`, count)
  );
}

/**
 * A residual network: a stem, stages of residual blocks, the mean of the last feature maps, and a
 * linear layer (He et al. 2016a, section 3.3; He et al. 2016b for v2).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. With the stem
 * `"imagenet"` and images of 224×224 the feature maps after the four stages have sides of 56, 28,
 * 14 and 7. `shortcut: "none"` makes the plain twin: the same convolutions without shortcuts.
 *
 * All weights are initialised by {@linkcode initializers.heNormal}, and batch norms start as the
 * identity.
 *
 * @throws {RangeError} If a number is out of range, or there is no such block, version, shortcut or
 * stem. In `forward`, if the images are too small for the stem.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { ops, resnet, resnet18, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet({ block: "basic", stages: [1, 1], stem: "cifar", channels: 8 });
 * assert.deepEqual(summary(model, [28, 28, 3]).rows.at(-1)?.outputShape, [1000]);
 *
 * // An embedding of 256 features, then 9 classes.
 * const speech = resnet18({
 *   ...{ width: 1 / 8, inChannels: 1, classes: 9, stem: "cifar" },
 *   ...{ poolSize: [4, 1], embedding: 256 },
 * });
 * const { logits, embedding } = speech.forwardWithEmbedding(ops.zeros([1, 32, 16, 1]));
 * assert.deepEqual([logits.shape, embedding.shape], [[1, 9], [1, 256]]);
 * ```
 */
export function resnet<
  const Stages extends readonly number[],
  const InChannels extends number = 3,
  const Classes extends number = 1000,
>(
  options: ResNetOptions<InChannels, Classes, Stages>,
): ResNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function resnet(options: ResNetOptions): ResNet<number, number> {
  checkArguments(BUILDING, arguments, 1);
  return new ResNet(options);
}

/** The variants of the paper's table 1. */
const VARIANTS = {
  18: { block: "basic", stages: [2, 2, 2, 2] },
  34: { block: "basic", stages: [3, 4, 6, 3] },
  50: { block: "bottleneck", stages: [3, 4, 6, 3] },
  101: { block: "bottleneck", stages: [3, 4, 23, 3] },
  152: { block: "bottleneck", stages: [3, 8, 36, 3] },
} as const;

/** Builds a ResNet of one depth. */
export interface ResNetFunction {
  /** Returns the network; {@linkcode resnet} documents the options. */
  <const InChannels extends number = 3, const Classes extends number = 1000>(
    options?: ResNetVariantOptions<InChannels, Classes>,
  ): ResNet<NoInfer<InChannels>, NoInfer<Classes>>;
}

/** Returns the function that builds the variant of a depth. */
function variant(depth: keyof typeof VARIANTS): ResNetFunction {
  return function <const InChannels extends number = 3, const Classes extends number = 1000>(
    options: ResNetVariantOptions<InChannels, Classes> = {},
  ): ResNet<NoInfer<InChannels>, NoInfer<Classes>> {
    const action = `Building resnet${depth}`;
    checkArguments(action, arguments, 1);
    checkOptions<ResNetVariantOptions>(action, options, "{ classes: 10 }", VARIANT_OPTIONS);
    return new ResNet<NoInfer<InChannels>, NoInfer<Classes>>(
      { ...options, ...VARIANTS[depth] },
      action,
    );
  };
}

/**
 * ResNet-18: 18 layers with weights between image and logits (He et al. 2016a, table 1).
 * {@linkcode resnet} documents the shapes, options and errors.
 *
 * @throws {RangeError} If an option is out of range.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { resnet18, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet18({ inChannels: 1, classes: 10 });
 * const { rows } = summary(model, [224, 224, 1], { depth: 1 });
 * const stages = rows.filter(({ path }) => path.startsWith("layer"));
 * assert.deepEqual(stages.map(({ outputShape }) => outputShape[0]), [56, 28, 14, 7]);
 * ```
 */
export const resnet18: ResNetFunction = variant(18);
/** ResNet-34 (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet34: ResNetFunction = variant(34);
/** ResNet-50, with bottlenecks (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet50: ResNetFunction = variant(50);
/** ResNet-101, with bottlenecks (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet101: ResNetFunction = variant(101);
/** ResNet-152, with bottlenecks (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet152: ResNetFunction = variant(152);

/** The depths 6n + 2 from 8 to the paper's deepest, 1202. */
export type CifarDepth<Length extends 0[] = [0, 0, 0, 0, 0, 0, 0, 0], Depths = never> =
  Length["length"] extends 1208 ? Depths
    : CifarDepth<[...Length, 0, 0, 0, 0, 0, 0], Depths | Length["length"]>;

/** `Depth`, or a message if it is not 6n + 2. */
export type ForDepth<Depth extends number> = number extends Depth ? number
  : Depth extends CifarDepth ? Depth
  : "the depth must be 6n + 2, such as 20, 32, 44, 56 or 110";

/** The options of {@linkcode cifarResnet}; its stem is always `"cifar"`. */
export interface CifarResNetOptions<
  InChannels extends number = number,
  Classes extends number = number,
  Depth extends number = number,
> extends Omit<ResNetVariantOptions<InChannels, Classes>, "stem"> {
  /** Number of layers with weights, 6n + 2. */
  depth: ForDepth<Depth>;
}

/**
 * A residual network for small images: a 3×3 convolution, three stages of n basic blocks with 16,
 * 32 and 64 channels, the mean of the feature maps and a linear layer, together 6n + 2 layers with
 * weights (He et al. 2016a, section 4.2). The paper's networks have 20, 32, 44, 56, 110 and 1202
 * layers, and shortcut A, so that the plain twin (`shortcut: "none"`) has exactly as many
 * parameters.
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`.
 *
 * @throws {RangeError} If the depth is not 6n + 2, or another option is out of range.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { cifarResnet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(summary(cifarResnet({ depth: 20 }), [32, 32, 3]).parameters, 269_722);
 *
 * assert.throws(() =>
 *   cifarResnet({
 *     // @ts-expect-error: the depth must be 6n + 2, such as 20, 32, 44, 56 or 110
 *     depth: 21,
 *   }), /depth must be 6n \+ 2/);
 * ```
 */
export function cifarResnet<
  const Depth extends number,
  const InChannels extends number = 3,
  const Classes extends number = 10,
>(
  options: CifarResNetOptions<InChannels, Classes, Depth>,
): ResNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function cifarResnet(options: CifarResNetOptions): ResNet<number, number> {
  const action = "Building cifarResnet";
  checkArguments(action, arguments, 1);
  const { stem: _, ...names } = VARIANT_OPTIONS;
  checkOptions<CifarResNetOptions>(action, options, "{ depth: 20 }", { depth: true, ...names });
  const { depth, version = "v1", shortcut = "A", classes = 10, ...rest } = options;
  checkInteger(action, "depth", depth, 8);
  if (depth % 6 !== 2) {
    throw new RangeError(
      `${action}: depth must be 6n + 2, such as 20, 32, 44, 56 or 110, found ${depth}. The nearest are ${
        depth - (depth + 4) % 6
      } and ${depth + 6 - (depth + 4) % 6}.`,
    );
  }
  const stage = (depth - 2) / 6;
  return new ResNet({
    ...rest,
    ...{ version, shortcut, classes, stem: "cifar" },
    ...{ block: "basic", stages: [stage, stage, stage], channels: 16 },
  }, action);
}
