/** The residual blocks of ResNets. */
import { type Images, ops, type Pair, tidy } from "../tensor/mod.ts";
import {
  checkArguments,
  checkFunction,
  checkInteger,
  checkOneOf,
  checkOptions,
  type OptionNames,
} from "../tensor/internal.ts";
import {
  type Add,
  type BatchNorm,
  batchNorm,
  conv2d,
  type ForwardOptions,
  type LessThan,
  Module,
  sequential,
} from "../nn/mod.ts";
import { checkModule } from "../nn/checks.ts";

/**
 * The order of the layers in a block. `"v1"`: convolution, batch norm, relu, and a last relu after
 * the addition; the first convolution of a bottleneck has the stride (He et al. 2016a). `"v1.5"`:
 * as v1, but the 3×3 convolution of a bottleneck has the stride, as in torchvision. `"v2"`: batch
 * norm and relu come before each convolution, and nothing after the addition (He et al. 2016b); the
 * stride is as in v1.5.
 */
export type ResNetVersion = "v1" | "v1.5" | "v2";
const VERSIONS: readonly ResNetVersion[] = ["v1", "v1.5", "v2"];

/**
 * The shortcut of a block (He et al. 2016a, section 4.1). `"A"`: the input without parameters;
 * with a stride every stride-th pixel, and channels of zeros where the block adds channels. `"B"`:
 * the input, or a 1×1 convolution of it where the shape changes. `"C"`: always a 1×1 convolution.
 * `"none"`: no shortcut, which makes the plain twin.
 */
export type ResNetShortcut = "A" | "B" | "C" | "none";
const SHORTCUTS: readonly ResNetShortcut[] = ["A", "B", "C", "none"];

/**
 * The two blocks of the paper (figure 5). `"basic"`: two 3×3 convolutions. `"bottleneck"`: 1×1, 3×3
 * and 1×1, the last with four times as many channels.
 */
export type ResNetBlock = "basic" | "bottleneck";
const BUILDING: Readonly<Record<ResNetBlock, string>> = {
  basic: "Building basicBlock",
  bottleneck: "Building bottleneck",
};

/** Makes the 3×3 convolutions of blocks, as {@linkcode conv2d} does. */
export type Convolution = (
  inChannels: number,
  outChannels: number,
  options: { kernelSize: Pair; stride: Pair; padding: number; useBias: false },
) => Module<Images, Images>;

/** The options of {@linkcode basicBlock} and {@linkcode bottleneck}. */
export interface ResidualBlockOptions<Shortcut extends ResNetShortcut = ResNetShortcut> {
  /**
   * The stride of the convolution that has one.
   *
   * @default 1
   */
  stride?: number;
  /**
   * The order of the layers.
   *
   * @default "v1.5"
   */
  version?: ResNetVersion;
  /**
   * The shortcut.
   *
   * @default "B"
   */
  shortcut?: Shortcut;
  /**
   * Makes the 3×3 convolutions.
   *
   * @default conv2d
   */
  convolution?: Convolution;
}

const BLOCK_OPTIONS: OptionNames<ResidualBlockOptions> = {
  stride: true,
  version: true,
  shortcut: true,
  convolution: true,
};

/** `Value`, or a message if shortcut A cannot make `OutChannels` of `InChannels`. */
export type ForShortcut<
  Shortcut,
  InChannels extends number,
  OutChannels extends number,
  Value,
> = Shortcut extends "A"
  ? LessThan<OutChannels, InChannels> extends true
    ? `shortcut A adds channels of zeros, so a block of ${InChannels} channels cannot give ${OutChannels}; take B`
  : Value
  : Value;

/** Four times a number. */
export type Times4<N extends number> = Add<Add<N, N>, Add<N, N>>;

/** A convolution of a block with its batch norm. */
interface Unit {
  readonly conv: Module<Images, Images>;
  readonly bn: BatchNorm<number>;
}

/** The options of the class {@linkcode ResidualBlock}. */
export interface ResidualBlockInit extends ResidualBlockOptions {
  /** The kind of block. */
  block: ResNetBlock;
  /** Channels between the convolutions. */
  width: number;
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
  /** The 1×1 convolution of the shortcut, where there is one, with batch norm except in v2. */
  readonly downsample: Module<Images, Images> | undefined;
  /** The kind of block. */
  readonly block: ResNetBlock;
  readonly #units: readonly Unit[];
  readonly #options: Required<ResidualBlockOptions>;

  /**
   * See {@linkcode basicBlock} and {@linkcode bottleneck}.
   *
   * @param inChannels Channels of the images.
   * @param outChannels Channels of the output.
   */
  constructor(
    readonly inChannels: InChannels,
    readonly outChannels: OutChannels,
    init: ResidualBlockInit,
  ) {
    super();
    const { block, width, stride = 1, version = "v1.5", shortcut = "B", convolution = conv2d } =
      init;
    this.block = block;
    const action = BUILDING[block];
    for (const [name, value] of Object.entries({ inChannels, outChannels, stride })) {
      checkInteger(action, name, value);
    }
    checkBlockOptions(action, version, shortcut, convolution);
    if (shortcut === "A" && (outChannels as number) < inChannels) {
      throw new RangeError(
        `${action}: outChannels must be at least inChannels with shortcut A, which adds channels of zeros, ` +
          `found ${outChannels} for ${inChannels}. Take shortcut B.`,
      );
    }
    const unit = (
      kernelSize: 1 | 3,
      inChannels: number,
      outChannels: number,
      stride: number,
    ): Unit => {
      const conv = kernelSize === 1
        ? conv2d(inChannels, outChannels, { kernelSize, stride, useBias: false })
        : convolution(inChannels, outChannels, { kernelSize, stride, padding: 1, useBias: false });
      checkModule(action, "the result of convolution", conv);
      return { conv, bn: batchNorm(version === "v2" ? inChannels : outChannels) };
    };
    const [first, second, third] = block === "basic"
      ? [unit(3, inChannels, width, stride), unit(3, width, outChannels, 1)] as const
      : [
        unit(1, inChannels, width, version === "v1" ? stride : 1),
        unit(3, width, width, version === "v1" ? 1 : stride),
        unit(1, width, outChannels, 1),
      ] as const;
    ({ conv: this.conv1, bn: this.bn1 } = first);
    ({ conv: this.conv2, bn: this.bn2 } = second);
    ({ conv: this.conv3, bn: this.bn3 } = third ?? { conv: undefined, bn: undefined });
    this.#units = third ? [first, second, third] : [first, second];
    const changesShape = stride !== 1 || (inChannels as number) !== outChannels;
    if (shortcut === "C" || shortcut === "B" && changesShape) {
      const options = { kernelSize: 1, stride, useBias: false };
      const projection = conv2d<number, number>(inChannels, outChannels, options);
      this.downsample = version === "v2"
        ? projection
        : sequential(projection, batchNorm<number>(outChannels));
    }
    this.#options = { stride, version, shortcut, convolution };
  }

  /** Returns the sum of the convolutions and the shortcut. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Images<OutChannels> {
    return tidy((): Images => {
      let y: Images = images;
      if (this.#options.version === "v2") {
        // A projection has the same input as the first convolution (He et al. 2016b, section 4.1).
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

  /** Returns `y` plus the shortcut, if there is one. */
  #add(y: Images, images: Images, projectionInput: Images, options?: ForwardOptions): Images {
    const { shortcut, stride } = this.#options;
    if (shortcut === "none") return y;
    if (this.downsample) return ops.add(y, this.downsample.forward(projectionInput, options));
    // A 1×1 pooling takes every stride-th pixel. A strided slice has no gradient in TensorFlow.js.
    const subsampled = stride === 1 ? images : ops.avgPool(images, { kernelSize: 1, stride });
    const missing = this.outChannels - this.inChannels;
    return ops.add(
      y,
      missing === 0 ? subsampled : ops.pad(subsampled, [[0, 0], [0, 0], [0, 0], [0, missing]]),
    );
  }

  /** Returns the block, its channels and its options, as a summary shows them. */
  override describe(): string {
    const { stride, shortcut } = this.#options;
    return [
      `${this.block} block ${this.inChannels} → ${this.outChannels}`,
      stride === 1 ? [] : `stride ${stride}`,
      shortcut === "none" ? "no shortcut" : [],
    ].flat().join(", ");
  }
}

/**
 * Checks the options that blocks and whole networks share.
 *
 * @throws {TypeError} If one is of the wrong kind.
 * @throws {RangeError} If there is no such version or shortcut.
 */
export function checkBlockOptions(
  action: string,
  version: string,
  shortcut: string,
  convolution: unknown,
): void {
  checkOneOf(action, "version", version, VERSIONS);
  checkOneOf(action, "shortcut", shortcut, SHORTCUTS);
  checkFunction(action, "convolution", convolution);
}

/**
 * The residual block of ResNet-18 and 34, `y = relu(F(x) + x)` with two 3×3 convolutions and batch
 * norms in F (He et al. 2016a, section 3.3 and figure 5 left). Images
 * `[batch, height, width, inChannels]` to
 * `[batch, ⌈height / stride⌉, ⌈width / stride⌉, outChannels]`.
 *
 * @throws {RangeError} If a number is not a whole number of at least 1, there is no such version or
 * shortcut, or `outChannels` is less than `inChannels` with shortcut A.
 * @throws {TypeError} If an argument or option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { basicBlock, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = basicBlock(8, 16, { stride: 2 });
 * assert.deepEqual(block.forward(ops.zeros([1, 14, 14, 8])).shape, [1, 7, 7, 16]);
 *
 * // @ts-expect-error: shortcut A adds channels of zeros, so a block of 8 channels cannot give 4;
 * // take B
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
  checkArguments(BUILDING.basic, arguments, 3);
  checkOptions<ResidualBlockOptions>(BUILDING.basic, options, "{ stride: 2 }", BLOCK_OPTIONS);
  return new ResidualBlock(inChannels, outChannels, {
    ...options,
    block: "basic",
    width: outChannels,
  });
}

/**
 * The residual block of ResNet-50 and deeper: a 1×1 convolution to few channels, a 3×3, and a 1×1
 * to four times as many (He et al. 2016a, figure 5 right). Images
 * `[batch, height, width, inChannels]` to
 * `[batch, ⌈height / stride⌉, ⌈width / stride⌉, 4 · channels]`.
 *
 * @throws {RangeError} As {@linkcode basicBlock}.
 * @throws {TypeError} If an argument or option is of the wrong kind.
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
  checkArguments(BUILDING.bottleneck, arguments, 3);
  checkOptions<ResidualBlockOptions>(BUILDING.bottleneck, options, "{ stride: 2 }", BLOCK_OPTIONS);
  checkInteger(BUILDING.bottleneck, "channels", channels);
  return new ResidualBlock(inChannels, 4 * channels, {
    ...options,
    block: "bottleneck",
    width: channels,
  });
}
