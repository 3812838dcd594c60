import {
  checkOptions,
  type Features,
  type Images,
  ops,
  type OptionNames,
  type Pair,
  tidy,
} from "../tensor/mod.ts";
import {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  type Add,
  type AnyModule,
  type BatchNorm,
  batchNorm,
  checkWhole,
  type Conv2d,
  conv2d,
  type Conv2dOptions,
  flatten,
  type ForwardOptions,
  type LessThan,
  type Linear,
  linear,
  maxPool,
  Module,
  type Pool,
  sequential,
} from "../nn/mod.ts";
import { checkArguments, checkModule } from "../nn/checks.ts";
import { checkOneOf } from "./one_of.ts";
import { widened } from "./width.ts";

const VERSIONS = ["v1", "v1.5", "v2"] as const;
const SHORTCUTS = ["A", "B", "C", "none"] as const;
const STEMS = ["imagenet", "cifar", "keras"] as const;
const BLOCKS = ["basic", "bottleneck"] as const;

/**
 * The order of things in a block. `"v1"`: convolution, batch norm, relu, and a last relu behind the
 * addition; a bottleneck's stride is in its first convolution (He et al. 2016a). `"v1.5"`: the
 * stride of a bottleneck is in its 3×3 convolution, as torchvision has it. `"v2"`: batch norm and
 * relu come before each convolution and nothing behind the addition (He et al. 2016b), stride as in
 * v1.5.
 */
export type ResNetVersion = typeof VERSIONS[number];

/**
 * What goes around the convolutions of a block (He et al. 2016a, section 4.1). `"A"`: the input,
 * every stride-th pixel of it, with channels of zeros where it has too few; no parameters. `"B"`:
 * the input, and where its shape changes a 1×1 convolution of it. `"C"`: always a 1×1 convolution.
 * `"none"`: nothing, which makes the plain twin.
 */
export type ResNetShortcut = typeof SHORTCUTS[number];

/**
 * What comes before the blocks. `"imagenet"`: a 7×7 convolution and a maximum pooling, each with
 * stride 2. `"cifar"`: a 3×3 convolution that keeps the size, for small images. `"keras"`: a 3×3
 * convolution without padding and a 2×2 maximum pooling with stride 1.
 */
export type ResNetStem = typeof STEMS[number];

/**
 * The two blocks of the paper (figure 5): two 3×3 convolutions, or 1×1, 3×3 and 1×1 with four times
 * as many channels at the end.
 */
export type ResNetBlock = typeof BLOCKS[number];

/** Makes the 3×3 convolutions of blocks, as {@linkcode conv2d} does. */
export type Convolution = (
  inChannels: number,
  outChannels: number,
  options: { kernelSize: Pair; stride: Pair; padding: number; useBias: false },
) => Module<Images, Images>;

/** The options of {@linkcode basicBlock} and {@linkcode bottleneck}. */
export interface ResidualBlockOptions<Shortcut extends ResNetShortcut = ResNetShortcut> {
  /**
   * Pixels from one window to the next in the convolution that has a stride; 1 unless said
   * otherwise.
   */
  stride?: number;
  /** The order of things; `"v1.5"` unless said otherwise. */
  version?: ResNetVersion;
  /** What goes around the convolutions; `"B"` unless said otherwise. */
  shortcut?: Shortcut;
  /** What makes the 3×3 convolutions; {@linkcode conv2d} unless said otherwise. */
  convolution?: Convolution;
}

const BLOCK_OPTIONS: OptionNames<ResidualBlockOptions> = {
  stride: true,
  version: true,
  shortcut: true,
  convolution: true,
};

/**
 * The channels out of a block as they are, or a message if option A cannot make them of those that
 * come in.
 */
type ForShortcut<Shortcut, InChannels extends number, OutChannels extends number, Given> =
  Shortcut extends "A"
    ? LessThan<OutChannels, InChannels> extends true
      ? `shortcut A adds channels of zeros, so a block of ${InChannels} channels cannot give ${OutChannels}; take B`
    : Given
    : Given;

type Times4<N extends number> = Add<Add<N, N>, Add<N, N>>;

/** A convolution of a block, and the batch norm that belongs to it. */
interface Unit {
  readonly conv: Module<Images, Images>;
  readonly bn: BatchNorm<number>;
}

/** A block of a ResNet; made by {@linkcode basicBlock} or {@linkcode bottleneck}. */
export class ResidualBlock<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  /** 3×3, or 1×1 in a bottleneck. */
  readonly conv1: Module<Images, Images>;
  /** After the first convolution, in v2 before it. */
  readonly bn1: BatchNorm<number>;
  /** 3×3. */
  readonly conv2: Module<Images, Images>;
  /** After the second convolution, in v2 before it. */
  readonly bn2: BatchNorm<number>;
  /** 1×1, in a bottleneck. */
  readonly conv3: Module<Images, Images> | undefined;
  /** After the third convolution, in v2 before it. */
  readonly bn3: BatchNorm<number> | undefined;
  /** The 1×1 convolution of the shortcut, with batch norm except in v2, where there is one. */
  readonly downsample: Module<Images, Images> | undefined;
  readonly #units: readonly Unit[];
  readonly #options: Required<ResidualBlockOptions>;

  /**
   * See {@linkcode basicBlock} and {@linkcode bottleneck}; `middle` is the number of channels
   * between the convolutions.
   */
  constructor(
    readonly kind: ResNetBlock,
    readonly inChannels: InChannels,
    middle: number,
    readonly outChannels: OutChannels,
    options: ResidualBlockOptions,
  ) {
    super();
    checkOneOf("Building a residual block", "kind", kind, BLOCKS);
    const doing = `Building ${kind === "basic" ? "basicBlock" : "bottleneck"}`;
    checkOptions<ResidualBlockOptions>(doing, options, "{ stride: 2 }", BLOCK_OPTIONS);
    const { stride = 1, version = "v1.5", shortcut = "B", convolution = conv2d } = options;
    for (const [name, value] of Object.entries({ inChannels, outChannels, middle, stride })) {
      checkWhole(doing, name, value);
    }
    checkBlockOptions(doing, version, shortcut, convolution);
    if (shortcut === "A" && (outChannels as number) < inChannels) {
      throw new RangeError(
        `${doing}: shortcut A adds channels of zeros, so outChannels must be at least the ${inChannels} that come in, ` +
          `found ${outChannels}. Take shortcut B.`,
      );
    }
    const unit = (kernelSize: 1 | 3, from: number, to: number, stride: number): Unit => {
      const conv = kernelSize === 1
        ? conv2d(from, to, { kernelSize, stride, useBias: false })
        : convolution(from, to, { kernelSize, stride, padding: 1, useBias: false });
      checkModule(doing, "what convolution gives", conv);
      return { conv, bn: batchNorm(version === "v2" ? from : to) };
    };
    const [first, second, third] = kind === "basic"
      ? [unit(3, inChannels, middle, stride), unit(3, middle, outChannels, 1)] as const
      : [
        unit(1, inChannels, middle, version === "v1" ? stride : 1),
        unit(3, middle, middle, version === "v1" ? 1 : stride),
        unit(1, middle, outChannels, 1),
      ] as const;
    ({ conv: this.conv1, bn: this.bn1 } = first);
    ({ conv: this.conv2, bn: this.bn2 } = second);
    ({ conv: this.conv3, bn: this.bn3 } = third ?? { conv: undefined, bn: undefined });
    this.#units = third ? [first, second, third] : [first, second];
    const changes = stride !== 1 || (inChannels as number) !== outChannels;
    if (shortcut === "C" || shortcut === "B" && changes) {
      const options = { kernelSize: 1, stride, useBias: false };
      const projection = conv2d<number, number>(inChannels, outChannels, options);
      this.downsample = version === "v2"
        ? projection
        : sequential(projection, batchNorm<number>(outChannels));
    }
    this.#options = { stride, version, shortcut, convolution };
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Images<OutChannels> {
    return tidy((): Images => {
      let y: Images = images;
      if (this.#options.version === "v2") {
        // A projection sees what the first convolution sees (He et al. 2016b, section 4.1).
        const activated = ops.relu(this.bn1.forward(y, options));
        this.#units.forEach(({ conv, bn }, i) => {
          y = conv.forward(i === 0 ? activated : ops.relu(bn.forward(y, options)), options);
        });
        return this.#add(y, images, activated, options);
      }
      this.#units.forEach(({ conv, bn }, i) => {
        y = bn.forward(conv.forward(i === 0 ? y : ops.relu(y), options), options);
      });
      return ops.relu(this.#add(y, images, images, options));
    });
  }

  /** Adds the shortcut, if there is one. */
  #add(y: Images, images: Images, projected: Images, options?: ForwardOptions): Images {
    const { shortcut, stride } = this.#options;
    if (shortcut === "none") return y;
    if (this.downsample) return ops.add(y, this.downsample.forward(projected, options));
    // A 1×1 pooling takes every stride-th pixel, and has a gradient, which a strided slice has not
    // in TensorFlow.js.
    const small = stride === 1 ? images : ops.avgPool(images, { kernelSize: 1, stride });
    const missing = this.outChannels - this.inChannels;
    return ops.add(
      y,
      missing === 0 ? small : ops.pad(small, [[0, 0], [0, 0], [0, 0], [0, missing]]),
    );
  }

  override describe(): string {
    const { stride, shortcut } = this.#options;
    return [
      `${this.kind} block ${this.inChannels} → ${this.outChannels}`,
      stride === 1 ? [] : `stride ${stride}`,
      shortcut === "none" ? "no shortcut" : [],
    ].flat().join(", ");
  }
}

/** Checks the options that blocks and whole networks have. */
function checkBlockOptions(
  doing: string,
  version: string,
  shortcut: string,
  convolution: unknown,
): void {
  checkOneOf(doing, "version", version, VERSIONS);
  checkOneOf(doing, "shortcut", shortcut, SHORTCUTS);
  if (typeof convolution !== "function") {
    throw new TypeError(
      `${doing}: convolution must be a function such as conv2d, found ${convolution}.`,
    );
  }
}

/**
 * The residual block of ResNet-18 and 34, `y = relu(F(x) + x)` with two 3×3 convolutions and batch
 * norms in F (He et al. 2016a, section 3.3 and figure 5 left). Images
 * `[batch, height, width, inChannels]` to
 * `[batch, ⌈height / stride⌉, ⌈width / stride⌉, outChannels]`.
 *
 * @throws {RangeError} If a number is not a whole one of at least 1, an option is none of the named
 * ones, or shortcut A would have to give fewer channels than come in.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { basicBlock, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = basicBlock(8, 16, { stride: 2 });
 * assert.deepEqual(block.forward(ops.zeros([1, 14, 14, 8])).shape, [1, 7, 7, 16]);
 *
 * // @ts-expect-error: shortcut A adds channels of zeros, so a block of 8 channels cannot give 4; take B
 * assert.throws(() => basicBlock(8, 4, { shortcut: "A" }), RangeError);
 * ```
 */
export function basicBlock<
  const InChannels extends number,
  const OutChannels extends number,
  const Shortcut extends ResNetShortcut = "B",
>(
  inChannels: InChannels,
  outChannels: ForShortcut<Shortcut, InChannels, OutChannels, OutChannels>,
  options?: ResidualBlockOptions<Shortcut>,
): ResidualBlock<InChannels, OutChannels>;
export function basicBlock(
  inChannels: number,
  outChannels: number,
  options: ResidualBlockOptions = {},
): ResidualBlock<number, number> {
  checkArguments("Building basicBlock", arguments, 3);
  return new ResidualBlock("basic", inChannels, outChannels, outChannels, options);
}

/**
 * The residual block of ResNet-50 and deeper: a 1×1 convolution to few channels, a 3×3, and a 1×1
 * to four times as many (He et al. 2016a, figure 5 right). Images
 * `[batch, height, width, inChannels]` to
 * `[batch, ⌈height / stride⌉, ⌈width / stride⌉, 4 · channels]`.
 *
 * @throws {RangeError} As {@linkcode basicBlock}.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { bottleneck, type Images, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = bottleneck(64, 16);
 * const y: Images<64> = block.forward(ops.zeros([1, 7, 7, 64]));
 * assert.deepEqual(y.shape, [1, 7, 7, 64]);
 * assert.equal(block.downsample, undefined);
 * ```
 */
export function bottleneck<
  const InChannels extends number,
  const Channels extends number,
  const Shortcut extends ResNetShortcut = "B",
>(
  inChannels: InChannels,
  channels: ForShortcut<Shortcut, InChannels, Times4<Channels>, Channels>,
  options?: ResidualBlockOptions<Shortcut>,
): ResidualBlock<InChannels, Times4<Channels>>;
export function bottleneck(
  inChannels: number,
  channels: number,
  options: ResidualBlockOptions = {},
): ResidualBlock<number, number> {
  checkArguments("Building bottleneck", arguments, 3);
  checkWhole("Building bottleneck", "channels", channels);
  return new ResidualBlock("bottleneck", inChannels, channels, 4 * channels, options);
}

/** The options of {@linkcode resnet} that its named variants leave open. */
export interface ResNetVariantOptions<
  InChannels extends number = number,
  Classes extends number = number,
> {
  /** The order of things in a block; `"v1.5"` unless said otherwise. */
  version?: ResNetVersion;
  /** What goes around the convolutions of a block; `"B"` unless said otherwise. */
  shortcut?: ResNetShortcut;
  /** What comes before the blocks; `"imagenet"` unless said otherwise. */
  stem?: ResNetStem;
  /** What the numbers of channels are multiplied by; 1 unless said otherwise. */
  width?: number;
  /** The grid to which the last maps are averaged; `[1, 1]`, their means, unless said otherwise. */
  grid?: readonly [height: number, width: number];
  /** Units of a linear layer before that of the classes; no such layer unless given. */
  embedding?: number;
  /** What makes the 3×3 convolutions of the blocks; {@linkcode conv2d} unless said otherwise. */
  convolution?: Convolution;
  /** Channels of the images; 3 unless said otherwise. */
  inChannels?: InChannels;
  /** Classes to tell apart; 1000 unless said otherwise. */
  classes?: Classes;
}

const VARIANT_OPTIONS: OptionNames<ResNetVariantOptions> = {
  version: true,
  shortcut: true,
  stem: true,
  width: true,
  grid: true,
  embedding: true,
  convolution: true,
  inChannels: true,
  classes: true,
};

/** The options of {@linkcode resnet}. */
export interface ResNetOptions<
  InChannels extends number = number,
  Classes extends number = number,
  Stages extends readonly number[] = readonly number[],
> extends ResNetVariantOptions<InChannels, Classes> {
  /** Which block. */
  block: ResNetBlock;
  /**
   * How many blocks each stage has; each stage after the first halves the image and doubles the
   * channels.
   */
  stages: Depths<Stages>;
  /** Channels of the 3×3 convolutions of the first stage; 64 unless said otherwise. */
  channels?: number;
}

/** The numbers of blocks as they are, with a message in place of each that is none. */
type Depths<Stages extends readonly number[]> = {
  readonly [Stage in keyof Stages]: Stages[Stage] extends 0 ? "a stage has at least one block"
    : Stages[Stage];
};

/** A ResNet; made by {@linkcode resnet} and the functions named after its variants. */
export class ResNet<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** The first convolution. */
  readonly conv1: Conv2d<InChannels, number>;
  /** After the first convolution; the blocks of v2 begin with theirs. */
  readonly bn1: BatchNorm<number> | undefined;
  /** The pooling before the blocks, except in the stem `"cifar"`. */
  readonly maxpool: Pool | undefined;
  /** The blocks. Their paths are torchvision's: `layer1.0`, `layer1.1`, …, `layer2.0`, …. */
  readonly stages: readonly Module<Images, Images>[];
  /** After the last block, in v2. */
  readonly norm: BatchNorm<number> | undefined;
  /** Brings the last maps to the grid. */
  readonly avgpool: AdaptiveAveragePool;
  /** Makes features of the grid. */
  readonly flatten = flatten();
  /** Before the layer of the classes, if asked for. */
  readonly embedding: Linear<number, number> | undefined;
  /** The logits. */
  readonly fc: Linear<number, Classes>;

  /** See {@linkcode resnet}. */
  constructor(
    options: ResNetOptions<InChannels, Classes>,
    inChannels: InChannels,
    classes: Classes,
  ) {
    super();
    const doing = "Building resnet";
    checkOptions<ResNetOptions>(doing, options, '{ block: "basic", stages: [2, 2, 2, 2] }', {
      ...VARIANT_OPTIONS,
      block: true,
      stages: true,
      channels: true,
    });
    const { block, stages, version = "v1.5", shortcut = "B", convolution = conv2d } = options;
    const { stem = "imagenet", channels = 64, width = 1, grid = [1, 1], embedding } = options;
    checkOneOf(doing, "block", block, BLOCKS);
    checkOneOf(doing, "stem", stem, STEMS);
    checkBlockOptions(doing, version, shortcut, convolution);
    checkWhole(doing, "channels", channels);
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "classes", classes);
    if (embedding !== undefined) checkWhole(doing, "embedding", embedding);
    if (!Array.isArray(stages) || stages.length === 0) {
      throw new TypeError(
        `${doing}: stages must be the numbers of blocks, such as [2, 2, 2, 2], found ${
          JSON.stringify(stages)
        }.`,
      );
    }
    stages.forEach((count, i) =>
      checkWhole(doing, `the number of blocks of stage ${i + 1}`, count)
    );
    this.avgpool = adaptiveAveragePool(grid);
    let before = widened(doing, channels, width);
    this.conv1 = conv2d(inChannels, before, STEM_CONVOLUTIONS[stem]);
    this.bn1 = version === "v2" ? undefined : batchNorm(before);
    this.maxpool = stem === "imagenet"
      ? maxPool({ kernelSize: 3, stride: 2, padding: 1 })
      : stem === "keras"
      ? maxPool({ kernelSize: 2, stride: 1, padding: "same" })
      : undefined;
    this.stages = stages.map((count, stage) => {
      const middle = widened(doing, channels * 2 ** stage, width);
      const after = block === "basic" ? middle : 4 * middle;
      const blocks = Array.from({ length: count }, (_, i) => {
        const stride = stage > 0 && i === 0 ? 2 : 1;
        const options = { stride, version, shortcut, convolution };
        return new ResidualBlock<number, number>(
          block,
          i === 0 ? before : after,
          middle,
          after,
          options,
        );
      });
      before = after;
      return sequential(...blocks);
    });
    this.norm = version === "v2" ? batchNorm(before) : undefined;
    const features = before * grid[0] * grid[1];
    this.embedding = embedding === undefined ? undefined : linear(features, embedding);
    this.fc = linear(embedding ?? features, classes);
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    return tidy(() => this.fc.forward(this.#embed(images, options)));
  }

  /**
   * The logits `[batch, classes]` together with what the last layer makes them of: the embedding
   * `[batch, embedding]`, or the features of the grid where there is no embedding layer.
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

  /** What the last layer takes. */
  #embed(images: Images<InChannels>, options?: ForwardOptions): Features {
    let y: Images = this.conv1.forward(images);
    if (this.bn1) y = ops.relu(this.bn1.forward(y, options));
    if (this.maxpool) y = this.maxpool.forward(y);
    for (const stage of this.stages) y = stage.forward(y, options);
    if (this.norm) y = ops.relu(this.norm.forward(y, options));
    const features = this.flatten.forward(this.avgpool.forward(y));
    return this.embedding ? this.embedding.forward(features) : features;
  }

  override children(): Map<string, AnyModule> {
    const children = [...super.children()].map(([name, child]): [string, AnyModule] => {
      const stage = /^stages\.(\d+)$/.exec(name)?.[1];
      return [stage === undefined ? name : `layer${Number(stage) + 1}`, child];
    });
    return new Map(children);
  }

  override describe(): string {
    return `resnet, ${this.stages.length} stages`;
  }
}

const STEM_CONVOLUTIONS = {
  imagenet: { kernelSize: 7, stride: 2, padding: 3, useBias: false },
  cifar: { kernelSize: 3, padding: 1, useBias: false },
  keras: { kernelSize: 3, useBias: false },
} as const satisfies Record<ResNetStem, Conv2dOptions>;

/**
 * A residual network: a stem, stages of residual blocks, the mean of the last maps, and a linear
 * layer (He et al. 2016a, section 3.3; He et al. 2016b for v2).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. With the stem
 * `"imagenet"` and four stages the sides of the maps behind them are 56, 28, 14 and 7 at 224×224.
 * `shortcut: "none"` makes the plain twin: the same convolutions, nothing added.
 *
 * All weights start as {@linkcode heNormal}, batch norms as the identity.
 *
 * @throws {RangeError} If a number is out of range or an option is none of the named ones; in
 * `forward`, if the image is smaller than the window of the stem.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { ops, resnet, resnet18, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet({ block: "basic", stages: [1, 1], stem: "cifar", channels: 8, classes: 10 });
 * assert.deepEqual(summary(model, [28, 28, 3]).rows.at(-1)?.outputShape, [10]);
 *
 * // An embedding of 256 features, then 9 classes: both come back.
 * const speech = resnet18({ width: 1 / 8, inChannels: 1, classes: 9, stem: "cifar", grid: [4, 1], embedding: 256 });
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
  checkArguments("Building resnet", arguments, 1);
  const { inChannels, classes } = options ?? {}; // The constructor checks them.
  return new ResNet(
    options,
    inChannels === undefined ? 3 : inChannels,
    classes === undefined ? 1000 : classes,
  );
}

/** The variants of the paper's table 1. */
const VARIANTS = {
  18: { block: "basic", stages: [2, 2, 2, 2] },
  34: { block: "basic", stages: [3, 4, 6, 3] },
  50: { block: "bottleneck", stages: [3, 4, 6, 3] },
  101: { block: "bottleneck", stages: [3, 4, 23, 3] },
  152: { block: "bottleneck", stages: [3, 8, 36, 3] },
} as const;

/**
 * Makes one of {@linkcode VARIANTS}; the same function for all, so that each keeps the types of its
 * options.
 */
function variant(depth: keyof typeof VARIANTS) {
  return function <const InChannels extends number = 3, const Classes extends number = 1000>(
    options: ResNetVariantOptions<InChannels, Classes> = {},
  ): ResNet<NoInfer<InChannels>, NoInfer<Classes>> {
    checkArguments(`Building resnet${depth}`, arguments, 1);
    checkOptions<ResNetVariantOptions>(
      `Building resnet${depth}`,
      options,
      "{ classes: 10 }",
      VARIANT_OPTIONS,
    );
    return resnet<readonly number[], InChannels, Classes>({ ...options, ...VARIANTS[depth] });
  };
}

/**
 * ResNet-18: 18 layers with weights on the way from image to logits (He et al. 2016a, table 1). The
 * shapes, and what {@linkcode resnet} says of options and errors, hold for all variants.
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
 * const stages = summary(model, [224, 224, 1], { depth: 1 }).rows.filter(({ path }) => path.startsWith("layer"));
 * assert.deepEqual(stages.map(({ outputShape }) => outputShape[0]), [56, 28, 14, 7]);
 * ```
 */
export const resnet18 = variant(18);
/** ResNet-34 (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet34 = variant(34);
/** ResNet-50, with bottlenecks (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet50 = variant(50);
/** ResNet-101, with bottlenecks (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet101 = variant(101);
/** ResNet-152, with bottlenecks (He et al. 2016a, table 1); see {@linkcode resnet18}. */
export const resnet152 = variant(152);

/** The depths 6n + 2 from 8 to the paper's deepest, 1202. */
type CifarDepth<Length extends 0[] = [0, 0, 0, 0, 0, 0, 0, 0], Found = never> =
  Length["length"] extends 1208 ? Found
    : CifarDepth<[...Length, 0, 0, 0, 0, 0, 0], Found | Length["length"]>;

/** A depth as it is, or a message if it is not 6n + 2. */
type ForDepth<Depth extends number> = number extends Depth ? number
  : Depth extends CifarDepth ? Depth
  : "the depth must be 6n + 2, such as 20, 32, 44, 56 or 110";

/**
 * The options of {@linkcode cifarResnet}: its stem is `"cifar"`, and unless said otherwise its
 * version v1, its shortcut A.
 */
export interface CifarResNetOptions<
  InChannels extends number = number,
  Classes extends number = number,
  Depth extends number = number,
> extends Omit<ResNetVariantOptions<InChannels, Classes>, "stem"> {
  /** Layers with weights, 6n + 2. */
  depth: ForDepth<Depth>;
}

/**
 * The residual networks for small images: a 3×3 convolution, three stages of n basic blocks with
 * 16, 32 and 64 channels, the mean of the maps and a linear layer: 6n + 2 layers with weights (He
 * et al. 2016a, section 4.2). The paper's are 20, 32, 44, 56, 110 and 1202 deep, with shortcut A,
 * so that the plain twin (`shortcut: "none"`) has exactly as many parameters.
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`, 3 channels and 10
 * classes unless said otherwise.
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
  const doing = "Building cifarResnet";
  checkArguments("Building cifarResnet", arguments, 1);
  const { stem: _, ...names } = VARIANT_OPTIONS;
  checkOptions<CifarResNetOptions>(doing, options, "{ depth: 20 }", { ...names, depth: true });
  const { depth, inChannels = 3, classes = 10, ...rest } = options;
  checkWhole(doing, "depth", depth, 8);
  if (depth % 6 !== 2) {
    throw new RangeError(
      `${doing}: depth must be 6n + 2, such as 20, 32, 44, 56 or 110, found ${depth}. The nearest are ${
        depth - (depth + 4) % 6
      } and ${depth + 6 - (depth + 4) % 6}.`,
    );
  }
  const stage = (depth - 2) / 6;
  return new ResNet(
    {
      block: "basic",
      stages: [stage, stage, stage],
      version: "v1",
      shortcut: "A",
      channels: 16,
      ...rest,
      stem: "cifar",
    },
    inChannels,
    classes,
  );
}
