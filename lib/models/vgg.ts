import { checkOptions, type Features, type Images, tidy } from "../tensor/mod.ts";
import {
  type Activation,
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  type BatchNorm,
  batchNorm as batchNormLayer,
  checkWhole,
  type Conv2d,
  conv2d,
  dropout,
  flatten,
  type ForwardOptions,
  linear,
  maxPool,
  Module,
  type Pool,
  relu,
  Sequential,
  sequential,
} from "../nn/mod.ts";
import { checkArguments, checkBoolean } from "../nn/checks.ts";
import { checkLargeEnough, sideLeft, type Windows, windowsOf } from "./image_size.ts";
import { widened } from "./width.ts";

/** The blocks of a VGG: how many convolutions each has, and with how many channels. */
export type VGGArchitecture = readonly (readonly [convolutions: number, channels: number])[];

const ARCHITECTURES = {
  11: [[1, 64], [1, 128], [2, 256], [2, 512], [2, 512]],
  13: [[2, 64], [2, 128], [2, 256], [2, 512], [2, 512]],
  16: [[2, 64], [2, 128], [3, 256], [3, 512], [3, 512]],
  19: [[2, 64], [2, 128], [4, 256], [4, 512], [4, 512]],
} as const satisfies Record<number, VGGArchitecture>;

/** The layers with weights of the VGGs of the paper (its configurations A, B, D and E). */
export type VGGDepth = keyof typeof ARCHITECTURES;

/** The options of {@linkcode vgg}. */
export interface VGGOptions<InChannels extends number, Classes extends number> {
  /** One of the paper's by its depth, or the blocks of another. */
  architecture: VGGDepth | VGGArchitecture;
  /** Whether each convolution is followed by batch norm; false unless said otherwise. */
  batchNorm?: boolean;
  /** Channels of the images; 3 unless said otherwise. */
  inChannels?: InChannels;
  /** Classes to tell apart; 1000 unless said otherwise. */
  classes?: Classes;
  /** What the numbers of channels are multiplied by; 1 unless said otherwise. */
  width?: number;
  /** Units of each of the two hidden linear layers; 4096 · `width` unless said otherwise. */
  hidden?: number;
  /**
   * Height and width of the images that the linear layers are made for; 224 unless said otherwise.
   */
  imageSize?: number;
}

type Layer = Conv2d<number, number> | BatchNorm<number> | Activation | Pool;

/** The layers of a block. */
function blockLayers(
  convolutions: number,
  inChannels: number,
  outChannels: number,
  batchNorm: boolean,
): Layer[] {
  const doing = "Building vggBlock";
  checkWhole(doing, "convolutions", convolutions);
  checkWhole(doing, "inChannels", inChannels);
  checkWhole(doing, "outChannels", outChannels);
  const layers = Array.from({ length: convolutions }, (_, i): Layer[] => [
    conv2d(i === 0 ? inChannels : outChannels, outChannels, { kernelSize: 3, padding: 1 }),
    ...(batchNorm ? [batchNormLayer(outChannels)] : []),
    relu(),
  ]);
  return [...layers.flat(), maxPool({ kernelSize: 2 })];
}

/**
 * A block of a VGG: 3×3 convolutions that keep height and width, each with relu, then a maximum
 * pooling that halves them (Simonyan and Zisserman 2015, section 2.1). Images
 * `[batch, height, width, inChannels]` to `[batch, ⌊height / 2⌋, ⌊width / 2⌋, outChannels]`.
 *
 * @throws {RangeError} If a number is not a whole one of at least 1; in `forward`, if the image has
 * less than 2×2 pixels.
 * @throws {TypeError} If a number is of the wrong kind.
 *
 * @example
 * ```ts
 * import { ops, vggBlock } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = vggBlock(2, 3, 8);
 * assert.deepEqual(block.forward(ops.zeros([1, 8, 8, 3])).shape, [1, 4, 4, 8]);
 * ```
 */
export function vggBlock<const InChannels extends number, const OutChannels extends number>(
  convolutions: number,
  inChannels: InChannels,
  outChannels: OutChannels,
  options: { batchNorm?: boolean } = {},
): Sequential<Layer[], Images<InChannels>, Images<OutChannels>> {
  checkArguments("Building vggBlock", arguments, 4);
  const doing = "Building vggBlock";
  checkOptions<typeof options>(doing, options, "{ batchNorm: true }", { batchNorm: true });
  const { batchNorm = false } = options;
  checkBoolean(doing, "batchNorm", batchNorm);
  // An array has no order that types could follow: the channels are as they are passed to
  // blockLayers.
  return new Sequential<Layer[], Images<InChannels>, Images<OutChannels>>(
    blockLayers(convolutions, inChannels, outChannels, batchNorm),
  );
}

/** A VGG; made by {@linkcode vgg}. */
export class VGG<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** The layers of all blocks, one after the other. */
  readonly features: Sequential<Layer[], Images<InChannels>, Images>;
  /** Brings images of any size to the grid that the classifier takes. */
  readonly avgpool: AdaptiveAveragePool;
  /** Makes features of the grid. */
  readonly flatten = flatten();
  /** Three linear layers with dropout. */
  readonly classifier: Module<Features, Features<Classes>>;
  readonly #windows: Windows;

  /** See {@linkcode vgg}. */
  constructor(options: VGGOptions<InChannels, Classes>) {
    super();
    const doing = "Building vgg";
    checkOptions<VGGOptions<number, number>>(doing, options, "{ architecture: 16 }", {
      architecture: true,
      batchNorm: true,
      inChannels: true,
      classes: true,
      width: true,
      hidden: true,
      imageSize: true,
    });
    const { batchNorm = false, inChannels = 3 as number as InChannels, width = 1 } = options;
    const { classes = 1000 as number as Classes, imageSize = 224 } = options;
    const { hidden = widened(doing, 4096, width) } = options;
    const architecture = blocksOf(options.architecture);
    checkBoolean(doing, "batchNorm", batchNorm);
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "classes", classes);
    checkWhole(doing, "hidden", hidden);
    checkWhole(doing, "imageSize", imageSize);
    let channels: number = inChannels;
    const layers = architecture.flatMap(([convolutions, count]) => {
      const before = channels;
      channels = widened(doing, count, width);
      return blockLayers(convolutions, before, channels, batchNorm);
    });
    this.features = new Sequential<Layer[], Images<InChannels>, Images>(layers);
    this.#windows = windowsOf(this);
    const side = sideLeft(doing, this, this.#windows, imageSize);
    this.avgpool = adaptiveAveragePool([side, side]);
    this.classifier = sequential(
      linear(side * side * channels, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, classes),
    );
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    checkLargeEnough("Running vgg", this.#windows, images);
    return tidy(() => {
      const grid = this.avgpool.forward(this.features.forward(images, options));
      return this.classifier.forward(this.flatten.forward(grid), options);
    });
  }
}

/**
 * A VGG network: blocks of 3×3 convolutions, each of which halves the image and most of which
 * double the channels, then three linear layers with dropout (Simonyan and Zisserman 2015, section
 * 2).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. At 224×224 the maps
 * behind the five blocks of the paper's networks have sides of 112, 56, 28, 14 and 7. Images of
 * another size than `imageSize` are averaged to the grid that it leaves, as torchvision does.
 *
 * All weights start as {@linkcode heNormal}, with which also the deep ones train from scratch. The
 * paper draws them with a standard deviation of 0.01 and takes the first and last layers of the
 * deeper networks from the trained shallowest (section 3.1); torchvision has He's for the fan-out,
 * and 0.01 in linear layers. Batch norm is torchvision's addition.
 *
 * @throws {RangeError} If there is no such architecture, a number is out of range, or images of
 * `imageSize` are too small for the layers, with the smallest that will do; in `forward`, if the
 * images are too small.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { summary, vgg } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const narrow = vgg({ architecture: 11, width: 1 / 16, classes: 10, imageSize: 32 });
 * assert.deepEqual(summary(narrow, [32, 32, 3]).rows.at(-1)?.outputShape, [10]);
 *
 * const own = vgg({ architecture: [[1, 8], [2, 16]], inChannels: 1, hidden: 32, imageSize: 28 });
 * assert.deepEqual(summary(own, [28, 28, 1], { depth: 1 }).rows[0]?.outputShape, [7, 7, 16]);
 *
 * assert.throws(() => summary(narrow, [16, 16, 3]), /The smallest that will do are 32×32/);
 * ```
 */
export function vgg<const InChannels extends number = 3, const Classes extends number = 1000>(
  options: VGGOptions<InChannels, Classes>,
): VGG<NoInfer<InChannels>, NoInfer<Classes>>;
export function vgg(options: VGGOptions<number, number>): VGG<number, number> {
  checkArguments("Building vgg", arguments, 1);
  return new VGG(options);
}

function blocksOf(architecture: VGGDepth | VGGArchitecture): VGGArchitecture {
  const doing = "Building vgg";
  if (typeof architecture === "number" && Object.hasOwn(ARCHITECTURES, architecture)) {
    return ARCHITECTURES[architecture];
  }
  const pairs = Array.isArray(architecture) && architecture.length > 0 &&
    architecture.every((block) => Array.isArray(block) && block.length === 2);
  if (!pairs) {
    const Kind = typeof architecture === "number" ? RangeError : TypeError;
    throw new Kind(
      `${doing}: architecture must be one of ${
        Object.keys(ARCHITECTURES).join(", ")
      } or blocks such as [[1, 64], [2, 128]], found ${JSON.stringify(architecture)}.`,
    );
  }
  architecture.forEach(([convolutions, channels], i) => {
    checkWhole(doing, `the number of convolutions of block ${i}`, convolutions);
    checkWhole(doing, `the number of channels of block ${i}`, channels);
  });
  return architecture;
}
