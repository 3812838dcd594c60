import { type Features, type Images, tidy } from "../tensor/mod.ts";
import {
  checkArguments,
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOptions,
  show,
} from "../tensor/internal.ts";
import {
  type Activation,
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  type BatchNorm,
  batchNorm as batchNormLayer,
  type Conv2d,
  conv2d,
  dropout,
  type Flatten,
  flatten,
  type ForwardOptions,
  initializers,
  linear,
  maxPool,
  Module,
  type Pool,
  relu,
  Sequential,
  sequential,
} from "../nn/mod.ts";
import { checkLargeEnough, outputSide, type WindowLayers, windowLayers } from "./image_size.ts";
import { type ClassifierOptions, scaleChannels } from "./options.ts";

/** The blocks of a VGG, each as its number of convolutions and their number of output channels. */
export type VGGArchitecture = readonly (readonly [convolutions: number, channels: number])[];

/**
 * The depth of a VGG of the paper, in layers with weights: its configurations A, B, D and E.
 */
export type VGGDepth = 11 | 13 | 16 | 19;

const ARCHITECTURES: Readonly<Record<VGGDepth, VGGArchitecture>> = {
  11: [[1, 64], [1, 128], [2, 256], [2, 512], [2, 512]],
  13: [[2, 64], [2, 128], [2, 256], [2, 512], [2, 512]],
  16: [[2, 64], [2, 128], [3, 256], [3, 512], [3, 512]],
  19: [[2, 64], [2, 128], [4, 256], [4, 512], [4, 512]],
};

const BUILDING = "Building vgg";

/** The options of {@linkcode vggBlock}. */
export interface VGGBlockOptions {
  /** Number of convolutions. */
  convolutions: number;
  /**
   * Side of the kernels, an odd number.
   *
   * @default 3
   */
  kernelSize?: number;
  /**
   * Whether batch norm follows each convolution.
   *
   * @default false
   */
  batchNorm?: boolean;
}

/** The options of {@linkcode vgg}. */
export interface VGGOptions<InChannels extends number = number, Classes extends number = number>
  extends ClassifierOptions<InChannels, Classes> {
  /** The depth of a network of the paper, or the blocks of a network of your own. */
  architecture: VGGDepth | VGGArchitecture;
  /**
   * Side of the kernels, an odd number. The paper compares its configuration B with a network of
   * five 5×5 convolutions (section 4.1).
   *
   * @default 3
   */
  kernelSize?: number;
  /**
   * Whether batch norm follows each convolution.
   *
   * @default false
   */
  batchNorm?: boolean;
  /**
   * Channels of the images.
   *
   * @default 3
   */
  inChannels?: InChannels;
  /**
   * Number of classes.
   *
   * @default 1000
   */
  classes?: Classes;
  /**
   * Units of each of the two hidden linear layers.
   *
   * @default 4096 · width
   */
  hidden?: number;
}

/** A layer of a VGG block. */
export type VGGLayer = Conv2d<number, number> | BatchNorm<number> | Activation | Pool;

/** Returns the layers of a block. */
function blockLayers(
  inChannels: number,
  outChannels: number,
  { convolutions, kernelSize, batchNorm }: Required<VGGBlockOptions>,
): VGGLayer[] {
  const sameSize = { kernelSize, padding: (kernelSize - 1) / 2 };
  const layers = Array.from({ length: convolutions }, (_, i): VGGLayer[] => [
    conv2d(i === 0 ? inChannels : outChannels, outChannels, sameSize),
    ...(batchNorm ? [batchNormLayer(outChannels)] : []),
    relu(),
  ]);
  return [...layers.flat(), maxPool({ kernelSize: 2 })];
}

/**
 * A VGG block: 3×3 convolutions with relu, which keep height and width, then 2×2 max pooling, which
 * halves both (Simonyan and Zisserman 2015, section 2.1). Images
 * `[batch, height, width, inChannels]` to `[batch, ⌊height / 2⌋, ⌊width / 2⌋, outChannels]`.
 *
 * @throws {RangeError} If a number is not a whole number of at least 1. In `forward`, if the images
 * are smaller than 2×2.
 * @throws {TypeError} If an argument or option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { ops, vggBlock } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = vggBlock(3, 8, { convolutions: 2 });
 * assert.deepEqual(block.forward(ops.zeros([1, 8, 8, 3])).shape, [1, 4, 4, 8]);
 * ```
 */
export function vggBlock<const InChannels extends number, const OutChannels extends number>(
  inChannels: InChannels,
  outChannels: OutChannels,
  options: VGGBlockOptions,
): Sequential<VGGLayer[], Images<InChannels>, Images<OutChannels>> {
  const action = "Building vggBlock";
  checkArguments(action, arguments, 3);
  checkOptions<VGGBlockOptions>(action, options, "{ convolutions: 2 }", {
    convolutions: true,
    kernelSize: true,
    batchNorm: true,
  });
  const { convolutions, kernelSize = 3, batchNorm = false } = options;
  checkInteger(action, "inChannels", inChannels);
  checkInteger(action, "outChannels", outChannels);
  checkInteger(action, "convolutions", convolutions);
  checkKernelSize(action, kernelSize);
  checkBoolean(action, "batchNorm", batchNorm);
  // The type of an array does not tell which of its layers is the first or the last, so TypeScript
  // cannot infer the channels from it.
  return new Sequential<VGGLayer[], Images<InChannels>, Images<OutChannels>>(
    blockLayers(inChannels, outChannels, { convolutions, kernelSize, batchNorm }),
  );
}

/** Checks that a kernel can be padded equally on both sides so that height and width stay. */
function checkKernelSize(action: string, kernelSize: number): void {
  checkInteger(action, "kernelSize", kernelSize);
  checkNumber(action, "kernelSize", kernelSize, kernelSize % 2 === 1, "an odd number");
}

/** A VGG; made by {@linkcode vgg}. */
export class VGG<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** The layers of all blocks, one after the other. */
  readonly features: Sequential<VGGLayer[], Images<InChannels>, Images>;
  /** Averages the feature maps down to the size that the classifier expects. */
  readonly avgpool: AdaptiveAveragePool;
  /** Flattens the feature maps. */
  readonly flatten: Flatten = flatten();
  /** Three linear layers with dropout. */
  readonly classifier: Module<Features, Features<Classes>>;
  readonly #windowLayers: WindowLayers;

  /** See {@linkcode vgg}. */
  constructor(options: VGGOptions<InChannels, Classes>) {
    super();
    checkOptions<VGGOptions>(BUILDING, options, "{ architecture: 16 }", {
      architecture: true,
      kernelSize: true,
      batchNorm: true,
      inChannels: true,
      classes: true,
      width: true,
      hidden: true,
      imageSize: true,
    });
    const { batchNorm = false, inChannels = 3 as number as InChannels, width = 1 } = options;
    const { kernelSize = 3 } = options;
    const { classes = 1000 as number as Classes, imageSize = 224 } = options;
    const { hidden = scaleChannels(BUILDING, 4096, width) } = options;
    const architecture = blocksOf(options.architecture);
    checkKernelSize(BUILDING, kernelSize);
    checkBoolean(BUILDING, "batchNorm", batchNorm);
    checkInteger(BUILDING, "inChannels", inChannels);
    checkInteger(BUILDING, "classes", classes);
    checkInteger(BUILDING, "hidden", hidden);
    checkInteger(BUILDING, "imageSize", imageSize);
    let channels: number = inChannels;
    const layers = architecture.flatMap(([convolutions, count]) => {
      const blockInChannels = channels;
      channels = scaleChannels(BUILDING, count, width);
      return blockLayers(blockInChannels, channels, { convolutions, kernelSize, batchNorm });
    });
    this.features = new Sequential<VGGLayer[], Images<InChannels>, Images>(layers);
    this.#windowLayers = windowLayers(this);
    const side = outputSide(BUILDING, this, this.#windowLayers, imageSize);
    this.avgpool = adaptiveAveragePool([side, side]);
    this.classifier = sequential(
      linear(side * side * channels, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, classes, { weightInitializer: initializers.normal(0.01) }),
    );
  }

  /** Returns the logits `[batch, classes]`. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    checkLargeEnough("Running vgg", this.#windowLayers, images);
    return tidy(() => {
      const pooled = this.avgpool.forward(this.features.forward(images, options));
      return this.classifier.forward(this.flatten.forward(pooled), options);
    });
  }
}

/**
 * A VGG network: blocks of 3×3 convolutions, then three linear layers with dropout (Simonyan and
 * Zisserman 2015, section 2). Each block halves height and width, and most blocks double the
 * channels.
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. For 224×224 images, the
 * five blocks of the paper's networks return feature maps of 112×112, 56×56, 28×28, 14×14 and 7×7
 * pixels. Images of other sizes than `imageSize` also fit: adaptive average pooling brings their
 * feature maps to the size that the classifier expects, as in torchvision.
 *
 * The weights are initialised by {@linkcode initializers.heNormal}, with which the deep networks
 * also train from scratch; those of the last layer with a standard deviation of 0.01, so that the
 * first loss is near `Math.log(classes)`. The paper gives a variance of 10⁻², and initialises the
 * deeper networks with layers of the trained shallowest network (section 3.1). torchvision uses He
 * initialisation by fan-out for convolutions, and a standard deviation of 0.01 for linear layers.
 * Batch norm is not in the paper; torchvision added it.
 *
 * @throws {RangeError} If the architecture does not exist, a number is out of range, or images of
 * `imageSize` are too small for the layers. In `forward`, if the images are too small.
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
 * assert.throws(() => summary(narrow, [16, 16, 3]), /must be at least 32×32, found 16×16/);
 * ```
 */
export function vgg<const InChannels extends number = 3, const Classes extends number = 1000>(
  options: VGGOptions<InChannels, Classes>,
): VGG<NoInfer<InChannels>, NoInfer<Classes>>;
export function vgg(options: VGGOptions): VGG<number, number> {
  checkArguments(BUILDING, arguments, 1);
  return new VGG(options);
}

/**
 * Returns the blocks of an architecture.
 *
 * @throws {TypeError} If it is neither a depth nor an array of blocks.
 * @throws {RangeError} If there is no such depth, or a number of a block is out of range.
 */
function blocksOf(architecture: VGGDepth | VGGArchitecture): VGGArchitecture {
  if (typeof architecture === "number" && Object.hasOwn(ARCHITECTURES, architecture)) {
    return ARCHITECTURES[architecture];
  }
  const isBlocks = Array.isArray(architecture) && architecture.length > 0 &&
    architecture.every((block) => Array.isArray(block) && block.length === 2);
  if (!isBlocks) {
    throw new (typeof architecture === "number" ? RangeError : TypeError)(
      `${BUILDING}: architecture must be one of ${
        Object.keys(ARCHITECTURES).join(", ")
      } or blocks such as [[1, 64], [2, 128]], found ${show(architecture)}.`,
    );
  }
  architecture.forEach(([convolutions, channels], i) => {
    checkInteger(BUILDING, `the number of convolutions of block ${i}`, convolutions);
    checkInteger(BUILDING, `the number of channels of block ${i}`, channels);
  });
  return architecture;
}
