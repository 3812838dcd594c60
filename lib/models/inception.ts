/** The Inception block of GoogLeNet. */
import { type Images, ops, tidy } from "../tensor/mod.ts";
import {
  checkArguments,
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  show,
} from "../tensor/internal.ts";
import {
  type Add,
  type BatchNorm,
  batchNorm,
  type Conv2d,
  conv2d,
  type Conv2dOptions,
  type ForwardOptions,
  maxPool,
  Module,
  sequential,
} from "../nn/mod.ts";

/**
 * The version of GoogLeNet. `"d2l"` is the version of the book Dive into Deep Learning for grey
 * images: the paper's without local response normalisation and without dropout before the last
 * layer. `"torchvision"` has batch norm instead of biases, pooling in ceil mode, dropout, and 3×3
 * instead of 5×5 convolutions. Pretrained weights fit this version.
 */
export type GoogLeNetVariant = "d2l" | "torchvision";

const VARIANTS: readonly GoogLeNetVariant[] = ["d2l", "torchvision"];

/** The options of {@linkcode ConvRelu}. */
interface ConvReluOptions extends Pick<Conv2dOptions, "kernelSize" | "stride" | "padding"> {
  batchNorm: boolean;
}

/** A convolution with relu, with or without batch norm between them. */
export class ConvRelu<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  readonly conv: Conv2d<InChannels, OutChannels>;
  readonly bn: BatchNorm<OutChannels> | undefined;

  constructor(
    inChannels: InChannels,
    outChannels: OutChannels,
    { batchNorm: normalize, ...options }: ConvReluOptions,
  ) {
    super();
    this.conv = conv2d(inChannels, outChannels, { ...options, useBias: !normalize });
    this.bn = normalize ? batchNorm(outChannels, { epsilon: 1e-3 }) : undefined;
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Images<OutChannels> {
    return tidy(() => {
      const y = this.conv.forward(images);
      return ops.relu(this.bn ? this.bn.forward(y, options) : y);
    });
  }

  override describe(): string {
    return [this.conv.describe(), this.bn ? "batchNorm" : [], "relu"].flat().join(", ");
  }
}

/**
 * Checks that there is such a version of GoogLeNet.
 *
 * @throws {TypeError} If it is not a string.
 * @throws {RangeError} If there is none of that name.
 */
export function checkVariant(action: string, variant: GoogLeNetVariant): void {
  checkOneOf(action, "variant", variant, VARIANTS);
}

/**
 * The channels of the four branches of an {@linkcode inception} block: 1×1; 1×1 then 3×3; 1×1 then
 * 5×5; and 1×1 after the pooling. `reduced` are the channels of a 1×1 convolution before a larger
 * one.
 */
export type InceptionChannels<
  C1 extends number = number,
  C2 extends number = number,
  C3 extends number = number,
  C4 extends number = number,
> = readonly [
  branch1: C1,
  branch2: readonly [reduced: number, channels: C2],
  branch3: readonly [reduced: number, channels: C3],
  branch4: C4,
];

/** The options of {@linkcode inception}. */
export interface InceptionOptions {
  /**
   * The version of GoogLeNet that the block is for.
   *
   * @default "d2l"
   */
  variant?: GoogLeNetVariant;
  /**
   * Whether there is batch norm after each convolution, in place of its bias.
   *
   * @default true in torchvision's variant, false in the variant `"d2l"`
   */
  batchNorm?: boolean;
}

/** An Inception block; made by {@linkcode inception}. */
export class Inception<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  /** 1×1. */
  readonly branch1: Module<Images<InChannels>, Images>;
  /** 1×1, then 3×3. */
  readonly branch2: Module<Images<InChannels>, Images>;
  /** 1×1, then 5×5, or 3×3 in torchvision's variant. */
  readonly branch3: Module<Images<InChannels>, Images>;
  /** Max pooling, then 1×1. */
  readonly branch4: Module<Images<InChannels>, Images>;
  /** The sum of the channels of all branches. */
  readonly outChannels: number;

  /**
   * See {@linkcode inception}.
   *
   * @param inChannels Channels of the images.
   */
  constructor(
    readonly inChannels: InChannels,
    outChannels: InceptionChannels,
    options: InceptionOptions,
  ) {
    super();
    const action = "Building inception";
    checkOptions<InceptionOptions>(action, options, '{ variant: "d2l" }', {
      variant: true,
      batchNorm: true,
    });
    const { variant = "d2l", batchNorm = variant === "torchvision" } = options;
    checkVariant(action, variant);
    checkBoolean(action, "batchNorm", batchNorm);
    checkInteger(action, "inChannels", inChannels);
    checkInceptionChannels(action, outChannels);
    const [channels1, [reduced2, channels2], [reduced3, channels3], channels4] = outChannels;
    const conv = <const In extends number>(inChannels: In, channels: number, kernelSize: number) =>
      new ConvRelu(inChannels, channels, { batchNorm, kernelSize, padding: (kernelSize - 1) / 2 });
    this.branch1 = conv(inChannels, channels1, 1);
    this.branch2 = sequential(conv(inChannels, reduced2, 1), conv(reduced2, channels2, 3));
    this.branch3 = sequential(
      conv(inChannels, reduced3, 1),
      conv(reduced3, channels3, variant === "torchvision" ? 3 : 5),
    );
    this.branch4 = sequential(
      maxPool({ kernelSize: 3, stride: 1, padding: 1 }),
      conv(inChannels, channels4, 1),
    );
    this.outChannels = channels1 + channels2 + channels3 + channels4;
  }

  /** Returns the outputs of all branches, joined along the channels. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Images<OutChannels> {
    return tidy(() =>
      ops.concat(
        [
          this.branch1.forward(images, options),
          this.branch2.forward(images, options),
          this.branch3.forward(images, options),
          this.branch4.forward(images, options),
        ],
        3,
      )
    );
  }

  /** Returns the block and its channels, as a summary shows them. */
  override describe(): string {
    return `inception ${this.inChannels} → ${this.outChannels}`;
  }
}

/**
 * Checks the channels of the four branches of a block.
 *
 * @throws {TypeError} If they are not four branches, or one is of the wrong kind.
 * @throws {RangeError} If a number is not a whole number of at least 1.
 */
function checkInceptionChannels(action: string, outChannels: InceptionChannels): void {
  if (!Array.isArray(outChannels) || outChannels.length !== 4) {
    throw new TypeError(
      `${action}: outChannels must be four branches such as [64, [96, 128], [16, 32], 32], found ${
        show(outChannels)
      }.`,
    );
  }
  outChannels.forEach((branch: unknown, i) => {
    const subject = `branch ${i + 1}`;
    if (i === 0 || i === 3) return checkInteger(action, subject, branch);
    if (!Array.isArray(branch) || branch.length !== 2) {
      throw new TypeError(
        `${action}: ${subject} must be two numbers of channels such as [96, 128], found ${
          show(branch)
        }.`,
      );
    }
    for (const channels of branch) checkInteger(action, subject, channels);
  });
}

/**
 * An Inception block: four branches over the same images with windows of different sizes, joined
 * along the channels (Szegedy et al. 2015, section 4, figure 2b). The 1×1 convolutions before the
 * larger ones keep the cost low.
 *
 * Images `[batch, height, width, inChannels]` to `[batch, height, width, channels]`, where
 * `channels` is the sum of the channels of the branches, in the type as well.
 *
 * @throws {RangeError} If a number is not a whole number of at least 1, or there is no such
 * variant.
 * @throws {TypeError} If an argument or option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { type Images, inception, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = inception(192, [64, [96, 128], [16, 32], 32]);
 * const y: Images<256> = block.forward(ops.zeros([1, 7, 7, 192]));
 * assert.deepEqual(y.shape, [1, 7, 7, 256]);
 * ```
 */
export function inception<
  const InChannels extends number,
  const C1 extends number,
  const C2 extends number,
  const C3 extends number,
  const C4 extends number,
>(
  inChannels: InChannels,
  outChannels: InceptionChannels<C1, C2, C3, C4>,
  options: InceptionOptions = {},
): Inception<InChannels, Add<Add<C1, C2>, Add<C3, C4>>> {
  checkArguments("Building inception", arguments, 3);
  return new Inception(inChannels, outChannels, options);
}
