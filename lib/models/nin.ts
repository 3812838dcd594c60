import { checkOptions, type Features, type Images, ops, tidy } from "../tensor/mod.ts";
import {
  checkWhole,
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
  sequential,
} from "../nn/mod.ts";
import { checkArguments } from "../nn/checks.ts";
import { checkLargeEnough, type Windows, windowsOf } from "./image_size.ts";
import { widened } from "./width.ts";

/**
 * A block of a network in network: a convolution and two 1×1 convolutions, each with relu, so that
 * each pixel's channels go through a small network of their own (Lin et al. 2014, section 3.1). The
 * sizes are those of {@linkcode conv2d} with the same options.
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
) {
  checkArguments("Building ninBlock", arguments, 3);
  checkOptions<typeof options>("Building ninBlock", options, "{ kernelSize: 3 }", {
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
 * Gives a convolution small weights and biases of one, so that the relu behind it lets every
 * channel through at first.
 */
function openAtFirst({ weight, bias }: Conv2d<number, number>): void {
  tidy(() => {
    weight.assign(ops.mul(weight, 0.1));
    bias?.assign(ops.ones(bias.shape));
  });
}

/** The options of {@linkcode nin}. */
export interface NiNOptions<InChannels extends number, Classes extends number> {
  /** Channels of the images; 1 unless said otherwise. */
  inChannels?: InChannels;
  /** Classes to tell apart; 10 unless said otherwise. */
  classes?: Classes;
  /**
   * What the numbers of channels are multiplied by, except that of the classes; 1 unless said
   * otherwise.
   */
  width?: number;
}

/** A network in network; made by {@linkcode nin}. */
export class NiN<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** Four blocks with pooling between them; the last gives a map for each class. */
  readonly features: Module<Images<InChannels>, Images<Classes>>;
  /** The mean of each class's map. */
  readonly avgpool: GlobalAveragePool = globalAveragePool();
  readonly #windows: Windows;

  /** See {@linkcode nin}. */
  constructor(options: NiNOptions<InChannels, Classes>) {
    super();
    const doing = "Building nin";
    checkOptions<NiNOptions<number, number>>(doing, options, "{ classes: 10 }", {
      inChannels: true,
      classes: true,
      width: true,
    });
    const { inChannels = 1 as number as InChannels, classes = 10 as number as Classes, width = 1 } =
      options;
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "classes", classes);
    const c = (channels: number) => widened(doing, channels, width);
    const pool = () => maxPool({ kernelSize: 3, stride: 2 });
    const last = ninBlock(c(384), classes, { kernelSize: 3, padding: 1 });
    openAtFirst(last.layers[4]);
    this.features = sequential(
      ninBlock(inChannels, c(96), { kernelSize: 11, stride: 4 }),
      pool(),
      ninBlock(c(96), c(256), { kernelSize: 5, padding: 2 }),
      pool(),
      ninBlock(c(256), c(384), { kernelSize: 3, padding: 1 }),
      pool(),
      dropout(0.5),
      last,
    );
    this.#windows = windowsOf(this);
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    checkLargeEnough("Running nin", this.#windows, images);
    return tidy(() => this.avgpool.forward(this.features.forward(images, options)));
  }
}

/**
 * A network in network: blocks with small networks for each pixel, and in place of linear layers
 * one map for each class, whose mean is the logit (Lin et al. 2014), in the sizes of AlexNet.
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. At 224×224 the sides of
 * the maps are 54, 26, 12 and 5. The last block ends in a relu as the others do, so that logits are
 * not negative.
 *
 * All weights start as {@linkcode heNormal} and all biases at zero, but for the last convolution's:
 * a tenth of that, and one. Else the relu behind the map of a class can be closed to all images
 * from the start, and the class never learns.
 *
 * @throws {RangeError} If a number is out of range; in `forward`, if the images are too small, with
 * the smallest that will do.
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
 * assert.throws(() => summary(narrow, [32, 32, 1]), /The smallest that will do are 67×67/);
 * ```
 */
export function nin<const InChannels extends number = 1, const Classes extends number = 10>(
  options?: NiNOptions<InChannels, Classes>,
): NiN<NoInfer<InChannels>, NoInfer<Classes>>;
export function nin(options: NiNOptions<number, number> = {}): NiN<number, number> {
  checkArguments("Building nin", arguments, 1);
  return new NiN(options);
}
