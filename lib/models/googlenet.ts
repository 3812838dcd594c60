import { checkOptions, type Features, type Images, ops, tidy } from "../tensor/mod.ts";
import {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  type Add,
  avgPool,
  type BatchNorm,
  batchNorm,
  checkWhole,
  type Conv2d,
  conv2d,
  type Conv2dOptions,
  type Dropout,
  dropout,
  flatten,
  type ForwardOptions,
  type GlobalAveragePool,
  globalAveragePool,
  type Linear,
  linear,
  maxPool,
  Module,
  type Pool,
  sequential,
} from "../nn/mod.ts";
import { checkArguments, checkBoolean } from "../nn/checks.ts";
import {
  checkBuiltFor,
  checkLargeEnough,
  sideLeft,
  type Windows,
  windowsOf,
} from "./image_size.ts";
import { checkOneOf } from "./one_of.ts";
import { widened } from "./width.ts";

const VARIANTS = {
  d2l: { inChannels: 1, classes: 10 },
  torchvision: { inChannels: 3, classes: 1000 },
} as const;

/**
 * Which GoogLeNet: `"d2l"` is the textbook one for grey images, the paper's without local
 * response normalisation and without dropout before the last layer; `"torchvision"` has batch norm
 * in place of biases, poolings in ceil mode, dropout, and 3×3 in place of 5×5 convolutions, which
 * pretrained weights are for.
 */
export type GoogLeNetVariant = keyof typeof VARIANTS;

type Size = Pick<Conv2dOptions, "kernelSize" | "stride" | "padding">;

/** A convolution with relu, and in torchvision's variant with batch norm between them. */
export class ConvRelu<InChannels extends number, OutChannels extends number>
  extends Module<Images<InChannels>, Images<OutChannels>> {
  readonly conv: Conv2d<InChannels, OutChannels>;
  readonly bn: BatchNorm<OutChannels> | undefined;

  constructor(
    variant: GoogLeNetVariant,
    inChannels: InChannels,
    outChannels: OutChannels,
    size: Size,
  ) {
    super();
    const normalize = variant === "torchvision";
    this.conv = conv2d(inChannels, outChannels, { ...size, useBias: !normalize });
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

function checkVariant(doing: string, variant: GoogLeNetVariant): void {
  checkOneOf(doing, "variant", variant, Object.keys(VARIANTS));
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
  /** Maximum pooling, then 1×1. */
  readonly branch4: Module<Images<InChannels>, Images>;
  /** The channels of all branches together. */
  readonly outChannels: number;

  /** See {@linkcode inception}. */
  constructor(
    variant: GoogLeNetVariant,
    readonly inChannels: InChannels,
    c1: number,
    c2: readonly [reduced: number, channels: number],
    c3: readonly [reduced: number, channels: number],
    c4: number,
  ) {
    super();
    const doing = "Building inception";
    checkVariant(doing, variant);
    for (const [name, value] of Object.entries({ c2, c3 })) {
      if (!Array.isArray(value) || value.length !== 2) {
        throw new TypeError(`${doing}: ${name} must be two numbers of channels, found ${value}.`);
      }
      for (const channels of value) checkWhole(doing, name, channels);
    }
    for (const [name, value] of Object.entries({ inChannels, c1, c4 })) {
      checkWhole(doing, name, value);
    }
    const [reduced2, channels2] = c2, [reduced3, channels3] = c3;
    const conv = <const In extends number>(from: In, to: number, kernelSize: number) =>
      new ConvRelu(variant, from, to, { kernelSize, padding: (kernelSize - 1) / 2 });
    this.branch1 = conv(inChannels, c1, 1);
    this.branch2 = sequential(conv(inChannels, reduced2, 1), conv(reduced2, channels2, 3));
    this.branch3 = sequential(
      conv(inChannels, reduced3, 1),
      conv(reduced3, channels3, variant === "torchvision" ? 3 : 5),
    );
    this.branch4 = sequential(
      maxPool({ kernelSize: 3, stride: 1, padding: 1 }),
      conv(inChannels, c4, 1),
    );
    this.outChannels = c1 + channels2 + channels3 + c4;
  }

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

  override describe(): string {
    return `inception ${this.inChannels} → ${this.outChannels}`;
  }
}

/**
 * An Inception block: four branches over the same images that see windows of different sizes,
 * joined along the channels (Szegedy et al. 2015, section 4, figure 2b). The 1×1 convolutions
 * before the larger ones keep the cost down.
 *
 * Images `[batch, height, width, inChannels]` to `[batch, height, width, c1 + c2[1] + c3[1] + c4]`,
 * the sum in the type as well.
 *
 * @param c1 Channels of the 1×1 convolution.
 * @param c2 Channels of the 1×1 convolution and of the 3×3 after it.
 * @param c3 Channels of the 1×1 convolution and of the 5×5 after it.
 * @param c4 Channels of the 1×1 convolution after the pooling.
 *
 * @throws {RangeError} If a number is not a whole one of at least 1, or there is no such variant.
 * @throws {TypeError} If a number is of the wrong kind.
 *
 * @example
 * ```ts
 * import { type Images, inception, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const block = inception(192, 64, [96, 128], [16, 32], 32);
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
  c1: C1,
  c2: readonly [reduced: number, channels: C2],
  c3: readonly [reduced: number, channels: C3],
  c4: C4,
  options: { variant?: GoogLeNetVariant } = {},
): Inception<InChannels, Add<Add<C1, C2>, Add<C3, C4>>> {
  checkArguments("Building inception", arguments, 6);
  const doing = "Building inception";
  checkOptions<typeof options>(doing, options, '{ variant: "d2l" }', { variant: true });
  const { variant = "d2l" } = options;
  return new Inception(variant, inChannels, c1, c2, c3, c4);
}

/** The options of {@linkcode googlenet}. */
export interface GoogLeNetOptions<
  Variant extends GoogLeNetVariant,
  InChannels extends number,
  Classes extends number,
> {
  /** Which GoogLeNet. */
  variant: Variant;
  /**
   * Channels of the images; 1 of the d2l variant and 3 of torchvision's unless said otherwise.
   */
  inChannels?: InChannels;
  /**
   * Classes to tell apart; 10 of the d2l variant and 1000 of torchvision's unless said
   * otherwise.
   */
  classes?: Classes;
  /**
   * What the numbers of channels, and of hidden units of auxiliary heads, are multiplied by; 1
   * unless said otherwise.
   */
  width?: number;
  /** Whether there are two auxiliary heads for training; false unless said otherwise. */
  auxiliary?: boolean;
  /**
   * Height and width of the images; 224 unless said otherwise. The linear layers of the simplified
   * one's auxiliary heads depend on it.
   */
  imageSize?: number;
}

type Settings<InChannels extends number, Classes extends number> = Required<
  Omit<GoogLeNetOptions<GoogLeNetVariant, InChannels, Classes>, "auxiliary">
>;

/** The options with what they are where they were not given. */
function settingsOf<InChannels extends number, Classes extends number>(
  options: GoogLeNetOptions<GoogLeNetVariant, InChannels, Classes>,
): Settings<InChannels, Classes> {
  const doing = "Building googlenet";
  checkOptions<GoogLeNetOptions<GoogLeNetVariant, number, number>>(
    doing,
    options,
    '{ variant: "d2l" }',
    {
      variant: true,
      inChannels: true,
      classes: true,
      width: true,
      auxiliary: true,
      imageSize: true,
    },
  );
  const { variant, width = 1, auxiliary = false, imageSize = 224 } = options;
  checkVariant(doing, variant);
  checkBoolean(doing, "auxiliary", auxiliary);
  const { inChannels = VARIANTS[variant].inChannels as number as InChannels } = options;
  const { classes = VARIANTS[variant].classes as number as Classes } = options;
  checkWhole(doing, "inChannels", inChannels);
  checkWhole(doing, "classes", classes);
  checkWhole(doing, "imageSize", imageSize);
  return { variant, inChannels, classes, width, imageSize };
}

/** GoogLeNet; made by {@linkcode googlenet}. */
export class GoogLeNet<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** Gives 112×112×64 at 224×224. */
  readonly conv1: Module<Images<InChannels>, Images>;
  /** 56×56×64, the end of the part that textbooks call b1. */
  readonly maxpool1: Pool;
  /** 56×56×64. */
  readonly conv2: Module<Images, Images>;
  /** 56×56×192. */
  readonly conv3: Module<Images, Images>;
  /** 28×28×192, the end of b2. */
  readonly maxpool2: Pool;
  /** 28×28×256. */
  readonly inception3a: Inception<number, number>;
  /** 28×28×480. */
  readonly inception3b: Inception<number, number>;
  /** 14×14×480, the end of b3. */
  readonly maxpool3: Pool;
  /** 14×14×512. */
  readonly inception4a: Inception<number, number>;
  /** 14×14×512. */
  readonly inception4b: Inception<number, number>;
  /** 14×14×512. */
  readonly inception4c: Inception<number, number>;
  /** 14×14×528. */
  readonly inception4d: Inception<number, number>;
  /** 14×14×832. */
  readonly inception4e: Inception<number, number>;
  /** 7×7×832, the end of b4. */
  readonly maxpool4: Pool;
  /** 7×7×832. */
  readonly inception5a: Inception<number, number>;
  /** 7×7×1024. */
  readonly inception5b: Inception<number, number>;
  /** The mean of each map, the end of b5. */
  readonly avgpool: GlobalAveragePool = globalAveragePool();
  /** Dropout before the last layer, in torchvision's variant. */
  readonly dropout: Dropout | undefined;
  /** The logits. */
  readonly fc: Linear<number, Classes>;
  readonly #windows: Windows;

  /** See {@linkcode googlenet}. */
  constructor(options: GoogLeNetOptions<GoogLeNetVariant, InChannels, Classes>) {
    super();
    const doing = "Building googlenet";
    const { variant, inChannels, classes, width, imageSize } = settingsOf(options);
    const c = (channels: number) => widened(doing, channels, width);
    const pool = (kernelSize: number) =>
      variant === "torchvision"
        ? maxPool({ kernelSize, stride: 2, ceilMode: true })
        : maxPool({ kernelSize: 3, stride: 2, padding: 1 });
    const block = (
      before: { readonly outChannels: number },
      c1: number,
      c2: readonly [number, number],
      c3: readonly [number, number],
      c4: number,
    ) =>
      new Inception(
        variant,
        before.outChannels,
        c(c1),
        [c(c2[0]), c(c2[1])],
        [c(c3[0]), c(c3[1])],
        c(c4),
      );
    this.conv1 = new ConvRelu(variant, inChannels, c(64), { kernelSize: 7, stride: 2, padding: 3 });
    this.maxpool1 = pool(3);
    this.conv2 = new ConvRelu(variant, c(64), c(64), { kernelSize: 1 });
    this.conv3 = new ConvRelu(variant, c(64), c(192), { kernelSize: 3, padding: 1 });
    this.maxpool2 = pool(3);
    this.inception3a = block({ outChannels: c(192) }, 64, [96, 128], [16, 32], 32);
    this.inception3b = block(this.inception3a, 128, [128, 192], [32, 96], 64);
    this.maxpool3 = pool(3);
    this.inception4a = block(this.inception3b, 192, [96, 208], [16, 48], 64);
    this.inception4b = block(this.inception4a, 160, [112, 224], [24, 64], 64);
    this.inception4c = block(this.inception4b, 128, [128, 256], [24, 64], 64);
    this.inception4d = block(this.inception4c, 112, [144, 288], [32, 64], 64);
    this.inception4e = block(this.inception4d, 256, [160, 320], [32, 128], 128);
    this.maxpool4 = pool(2);
    this.inception5a = block(this.inception4e, 256, [160, 320], [32, 128], 128);
    this.inception5b = block(this.inception5a, 384, [192, 384], [48, 128], 128);
    this.dropout = variant === "torchvision" ? dropout(0.2) : undefined;
    this.fc = linear(this.inception5b.outChannels, classes);
    this.#windows = windowsOf(this);
    sideLeft(doing, this, this.#windows, imageSize);
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    return tidy(() => this.pass(images, options).logits);
  }

  /** The logits, and the maps that auxiliary heads start from; to be called in `tidy`. */
  protected pass(images: Images<InChannels>, options?: ForwardOptions) {
    checkLargeEnough("Running googlenet", this.#windows, images);
    let x = this.maxpool1.forward(this.conv1.forward(images, options));
    x = this.conv3.forward(this.conv2.forward(x, options), options);
    x = this.maxpool2.forward(x);
    x = this.inception3b.forward(this.inception3a.forward(x, options), options);
    x = this.maxpool3.forward(x);
    const at4a = this.inception4a.forward(x, options);
    x = this.inception4c.forward(this.inception4b.forward(at4a, options), options);
    const at4d = this.inception4d.forward(x, options);
    x = this.maxpool4.forward(this.inception4e.forward(at4d, options));
    x = this.inception5b.forward(this.inception5a.forward(x, options), options);
    const features = this.avgpool.forward(x);
    const kept = this.dropout ? this.dropout.forward(features, options) : features;
    return { logits: this.fc.forward(kept), at4a, at4d };
  }
}

/** A small classifier on maps from the middle of the network. */
export class AuxiliaryHead<Classes extends number> extends Module<Images, Features<Classes>> {
  readonly conv: ConvRelu<number, number>;
  readonly flatten = flatten();
  readonly fc1: Linear<number, number>;
  readonly dropout = dropout(0.7);
  readonly fc2: Linear<number, Classes>;

  constructor(
    readonly pool: Pool | AdaptiveAveragePool,
    side: number,
    inChannels: number,
    { variant, width, classes }: Settings<number, Classes>,
  ) {
    super();
    const doing = "Building googlenet";
    const channels = widened(doing, 128, width), hidden = widened(doing, 1024, width);
    this.conv = new ConvRelu(variant, inChannels, channels, { kernelSize: 1 });
    this.fc1 = linear(side * side * channels, hidden);
    this.fc2 = linear(hidden, classes);
  }

  override forward(images: Images, options?: ForwardOptions): Features<Classes> {
    return tidy(() => {
      const map = this.conv.forward(this.pool.forward(images), options);
      const hidden = ops.relu(this.fc1.forward(this.flatten.forward(map)));
      return this.fc2.forward(this.dropout.forward(hidden, options));
    });
  }

  override describe(): string {
    return "auxiliary head";
  }
}

/** The logits of a GoogLeNet and of its auxiliary heads, each `[batch, classes]`. */
export interface GoogLeNetOutputs<Classes extends number> {
  /** The network's own. */
  readonly logits: Features<Classes>;
  /** From the maps behind inception4a. */
  readonly auxiliary1: Features<Classes>;
  /** From the maps behind inception4d. */
  readonly auxiliary2: Features<Classes>;
}

/** GoogLeNet with two auxiliary heads; made by {@linkcode googlenet}. */
export class GoogLeNetWithAuxiliary<InChannels extends number, Classes extends number>
  extends GoogLeNet<InChannels, Classes> {
  /** The head behind inception4a. */
  readonly aux1: Module<Images, Features<Classes>>;
  /** The head behind inception4d. */
  readonly aux2: Module<Images, Features<Classes>>;
  readonly #imageSize: number | undefined;

  /** See {@linkcode googlenet}. */
  constructor(options: GoogLeNetOptions<GoogLeNetVariant, InChannels, Classes>) {
    super(options);
    const settings = settingsOf(options);
    const windows = windowsOf(this);
    const until4a = windows.slice(0, windows.findIndex(([path]) => path.startsWith("inception4b")));
    const { variant, imageSize } = settings;
    const head = (path: string, { outChannels }: { readonly outChannels: number }) => {
      if (variant === "torchvision") {
        return new AuxiliaryHead(adaptiveAveragePool([4, 4]), 4, outChannels, settings);
      }
      const pool = avgPool({ kernelSize: 5, stride: 3 });
      const side = sideLeft("Building googlenet", this, [...until4a, [path, pool]], imageSize);
      return new AuxiliaryHead(pool, side, outChannels, settings);
    };
    this.aux1 = head("aux1.pool", this.inception4a);
    this.aux2 = head("aux2.pool", this.inception4d);
    this.#imageSize = variant === "torchvision" ? undefined : imageSize;
  }

  /**
   * The logits of the network and of its heads, for a loss such as that of the paper: the network's
   * plus 0.3 times that of each head (section 5). `forward` gives the network's alone.
   *
   * @throws {RangeError} If the images are too small, or those of the d2l variant are not of the
   * size that it was built for.
   *
   * @example
   * ```ts
   * import { crossEntropy, dispose, googlenet, ops } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const model = googlenet({ variant: "torchvision", width: 1 / 16, classes: 5, auxiliary: true });
   * const labels = ops.tensor([0, 1], [2], "int32");
   * const outputs = model.forwardWithAuxiliary(ops.ones([2, 32, 32, 3]), { training: true });
   * const { logits, auxiliary1, auxiliary2 } = outputs;
   * const heads = ops.add(crossEntropy(auxiliary1, labels), crossEntropy(auxiliary2, labels));
   * const loss = ops.add(crossEntropy(logits, labels), ops.mul(heads, 0.3));
   * assert.equal(loss.rank, 0);
   * ```
   */
  forwardWithAuxiliary(
    images: Images<InChannels>,
    options?: ForwardOptions,
  ): GoogLeNetOutputs<Classes> {
    return tidy(() => {
      const { logits, at4a, at4d } = this.pass(images, options);
      if (this.#imageSize) checkBuiltFor("Running googlenet", this.#imageSize, images);
      return {
        logits,
        auxiliary1: this.aux1.forward(at4a, options),
        auxiliary2: this.aux2.forward(at4d, options),
      };
    });
  }
}

/**
 * GoogLeNet, which won the ImageNet competition of 2014: nine {@linkcode inception} blocks, and the
 * mean of each map in place of large linear layers (Szegedy et al. 2015, section 5).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`, of any size that the
 * poolings leave something of. At 224×224 the maps behind the five parts b1 to b5 that textbooks
 * divide it into are 56×56×64, 28×28×192, 14×14×480, 7×7×832, and 1024 features.
 *
 * With `auxiliary` there are two more classifiers in the middle, `aux1` and `aux2`, which help the
 * first layers to learn; see {@linkcode GoogLeNetWithAuxiliary.forwardWithAuxiliary}. They see
 * means of windows of 5×5 with stride 3, or in torchvision's variant of a grid of 4×4.
 *
 * All weights start as {@linkcode heNormal} and all biases at zero; torchvision draws weights with
 * a standard deviation of 0.01.
 *
 * @throws {RangeError} If there is no such variant, a number is out of range, or images of
 * `imageSize` are too small for the layers, with the smallest that will do; in `forward`, if the
 * images are too small.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { googlenet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const narrow = googlenet({ variant: "d2l", width: 1 / 8 });
 * const table = summary(narrow, [96, 96, 1], { depth: 1 });
 * assert.deepEqual(table.rows[1]?.outputShape, [24, 24, 8]);
 * assert.deepEqual(table.rows.at(-1)?.outputShape, [10]);
 * ```
 */
export function googlenet<
  const Variant extends GoogLeNetVariant,
  const InChannels extends number = (typeof VARIANTS)[Variant]["inChannels"],
  const Classes extends number = (typeof VARIANTS)[Variant]["classes"],
>(
  options: GoogLeNetOptions<Variant, InChannels, Classes> & { auxiliary: true },
): GoogLeNetWithAuxiliary<NoInfer<InChannels>, NoInfer<Classes>>;
export function googlenet<
  const Variant extends GoogLeNetVariant,
  const InChannels extends number = (typeof VARIANTS)[Variant]["inChannels"],
  const Classes extends number = (typeof VARIANTS)[Variant]["classes"],
>(
  options: GoogLeNetOptions<Variant, InChannels, Classes>,
): GoogLeNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function googlenet(
  options: GoogLeNetOptions<GoogLeNetVariant, number, number>,
): GoogLeNet<number, number> {
  checkArguments("Building googlenet", arguments, 1);
  const isAuxiliary = options?.auxiliary === true; // The rest is checked by the constructor.
  return isAuxiliary ? new GoogLeNetWithAuxiliary(options) : new GoogLeNet(options);
}
