import { type Features, type Images, ops, tidy } from "../tensor/mod.ts";
import { checkArguments, checkInteger, checkOptions } from "../tensor/internal.ts";
import {
  type Activation,
  type Conv2d,
  conv2d,
  type Conv2dOptions,
  dropout,
  type ForwardOptions,
  type GlobalAveragePool,
  globalAveragePool,
  maxPool,
  Module,
  relu,
  type Sequential,
  sequential,
} from "../nn/mod.ts";
import { checkLargeEnough, type WindowLayers, windowLayers } from "./image_size.ts";
import { type ClassifierOptions, scaleChannels } from "./options.ts";

/**
 * A block of a network in network: a convolution and two 1×1 convolutions, each with relu. The 1×1
 * convolutions are a small network on the channels of each pixel (Lin et al. 2014, section 3.1).
 * The output size is the size of {@linkcode conv2d} with the same options.
 *
 * @throws {RangeError} If an option is not a whole number that is large enough.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { ninBlock, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = ninBlock(1, 8, { kernelSize: 11, stride: 4 });
 * assert.deepEqual(block.forward(ops.zeros([1, 35, 35, 1])).shape, [1, 7, 7, 8]);
 * ```
 */
export function ninBlock<const InChannels extends number, const OutChannels extends number>(
  inChannels: InChannels,
  outChannels: OutChannels,
  options: Pick<Conv2dOptions, "kernelSize" | "stride" | "padding">,
): Sequential<
  readonly [
    Conv2d<InChannels, OutChannels>,
    Activation,
    Conv2d<OutChannels, OutChannels>,
    Activation,
    Conv2d<OutChannels, OutChannels>,
    Activation,
  ]
> {
  const action = "Building ninBlock";
  checkArguments(action, arguments, 3);
  checkOptions<typeof options>(action, options, "{ kernelSize: 3 }", {
    kernelSize: true,
    stride: true,
    padding: true,
  });
  return sequential(
    conv2d(inChannels, outChannels, options),
    relu(),
    conv2d(outChannels, outChannels, { kernelSize: 1 }),
    relu(),
    conv2d(outChannels, outChannels, { kernelSize: 1 }),
    relu(),
  );
}

/**
 * Gives the last convolution small weights and biases of one, so that the relu after it passes
 * every channel at the start.
 */
function initializeLastBlock({ weight, bias }: Conv2d<number, number>): void {
  tidy(() => {
    weight.assign(ops.mul(weight, 0.1));
    bias?.assign(ops.ones(bias.shape));
  });
}

const BUILDING = "Building nin";

/** The options of {@linkcode nin}. */
export interface NiNOptions<InChannels extends number = number, Classes extends number = number>
  extends Omit<ClassifierOptions<InChannels, Classes>, "imageSize"> {
  /**
   * Channels of the images.
   *
   * @default 1
   */
  inChannels?: InChannels;
  /**
   * Number of classes.
   *
   * @default 10
   */
  classes?: Classes;
  /**
   * Width multiplier: the factor on every number of channels, except for the last, the number of
   * classes.
   *
   * @default 1
   */
  width?: number;
}

/** A network in network; made by {@linkcode nin}. */
export class NiN<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** Four blocks with pooling between them; the last one has a feature map for each class. */
  readonly features: Module<Images<InChannels>, Images<Classes>>;
  /** The mean of each class's feature map. */
  readonly avgpool: GlobalAveragePool = globalAveragePool();
  readonly #windowLayers: WindowLayers;

  /** See {@linkcode nin}. */
  constructor(options: NiNOptions<InChannels, Classes>) {
    super();
    checkOptions<NiNOptions>(BUILDING, options, "{ classes: 10 }", {
      inChannels: true,
      classes: true,
      width: true,
    });
    const { inChannels = 1 as number as InChannels, classes = 10 as number as Classes } = options;
    const { width = 1 } = options;
    checkInteger(BUILDING, "inChannels", inChannels);
    checkInteger(BUILDING, "classes", classes);
    const c = (channels: number) => scaleChannels(BUILDING, channels, width);
    const pool = () => maxPool({ kernelSize: 3, stride: 2 });
    const lastBlock = ninBlock(c(384), classes, { kernelSize: 3, padding: 1 });
    initializeLastBlock(lastBlock.layers[4]);
    this.features = sequential(
      ninBlock(inChannels, c(96), { kernelSize: 11, stride: 4 }),
      pool(),
      ninBlock(c(96), c(256), { kernelSize: 5, padding: 2 }),
      pool(),
      ninBlock(c(256), c(384), { kernelSize: 3, padding: 1 }),
      pool(),
      dropout(0.5),
      lastBlock,
    );
    this.#windowLayers = windowLayers(this);
  }

  /** Returns the logits `[batch, classes]`. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    checkLargeEnough("Running nin", this.#windowLayers, images);
    return tidy(() => this.avgpool.forward(this.features.forward(images, options)));
  }
}

/**
 * A network in network with the layer sizes of AlexNet: blocks with a small network on each pixel,
 * and in place of linear layers one feature map for each class, whose mean is the logit (Lin et al.
 * 2014).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. At 224×224 the feature
 * maps have sides of 54, 26, 12 and 5. The last block ends in a relu like the others, so the logits
 * are never negative.
 *
 * All weights are initialised by {@linkcode initializers.heNormal}, all biases with zero, except
 * for the last convolution: its weights start a tenth as large, its biases at one. Otherwise the
 * relu after the feature map of a class can be zero for all images from the start, and the class
 * never learns.
 *
 * @throws {RangeError} If a number is out of range. In `forward`, if the images are too small.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { nin, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const narrow = nin({ width: 1 / 8, classes: 7 });
 * const table = summary(narrow, [96, 96, 1], { depth: 2 });
 * assert.deepEqual(table.rows[0]?.outputShape, [22, 22, 12]);
 * assert.deepEqual(table.rows.at(-1)?.outputShape, [7]);
 * assert.throws(() => summary(narrow, [32, 32, 1]), /must be at least 67×67, found 32×32/);
 * ```
 */
export function nin<const InChannels extends number = 1, const Classes extends number = 10>(
  options?: NiNOptions<InChannels, Classes>,
): NiN<NoInfer<InChannels>, NoInfer<Classes>>;
export function nin(options: NiNOptions = {}): NiN<number, number> {
  checkArguments(BUILDING, arguments, 1);
  return new NiN(options);
}
