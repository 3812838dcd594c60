import { type Features, type Images, ops, tidy } from "../tensor/mod.ts";
import { checkArguments, checkBoolean, checkInteger, checkOptions } from "../tensor/internal.ts";
import {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  avgPool,
  type Dropout,
  dropout,
  type Flatten,
  flatten,
  type ForwardOptions,
  type GlobalAveragePool,
  globalAveragePool,
  type Linear,
  linear,
  maxPool,
  Module,
  type Pool,
} from "../nn/mod.ts";
import {
  checkImageSize,
  checkLargeEnough,
  outputSide,
  type WindowLayers,
  windowLayers,
} from "./image_size.ts";
import {
  checkVariant,
  ConvRelu,
  type GoogLeNetVariant,
  Inception,
  type InceptionChannels,
} from "./inception.ts";
import { type ClassifierOptions, scaleChannels } from "./options.ts";

const DEFAULTS = {
  d2l: { inChannels: 1, classes: 10 },
  torchvision: { inChannels: 3, classes: 1000 },
} as const satisfies Record<
  GoogLeNetVariant,
  Required<Pick<ClassifierOptions, "inChannels" | "classes">>
>;

const BUILDING = "Building googlenet";

/** The options of {@linkcode googlenet}. */
export interface GoogLeNetOptions<
  Variant extends GoogLeNetVariant = GoogLeNetVariant,
  InChannels extends number = number,
  Classes extends number = number,
> extends ClassifierOptions<InChannels, Classes> {
  /** The version of GoogLeNet. */
  variant: Variant;
  /**
   * Channels of the images.
   *
   * @default 1 in the variant `"d2l"`, 3 in torchvision's
   */
  inChannels?: InChannels;
  /**
   * Number of classes.
   *
   * @default 10 in the variant `"d2l"`, 1000 in torchvision's
   */
  classes?: Classes;
  /**
   * Width multiplier: the factor on every number of channels, and on the hidden units of auxiliary
   * heads.
   *
   * @default 1
   */
  width?: number;
  /**
   * Whether there is batch norm after each convolution, in place of its bias.
   *
   * @default true in torchvision's variant, false in the variant `"d2l"`
   */
  batchNorm?: boolean;
  /**
   * Whether there are two auxiliary heads for training.
   *
   * @default false
   */
  auxiliary?: boolean;
  /**
   * Height and width of the images. The linear layers of the auxiliary heads of the d2l variant
   * are built for it.
   *
   * @default 224
   */
  imageSize?: number;
}

/** The options of a GoogLeNet with all defaults filled in. */
export type GoogLeNetSettings<InChannels extends number, Classes extends number> = Required<
  GoogLeNetOptions<GoogLeNetVariant, InChannels, Classes>
>;

/**
 * Checks the options, and fills in the defaults.
 *
 * @throws {RangeError} If there is no such variant or a number is out of range.
 * @throws {TypeError} If an option is of the wrong kind.
 */
function settingsOf(options: GoogLeNetOptions): GoogLeNetSettings<number, number> {
  checkOptions<GoogLeNetOptions>(BUILDING, options, '{ variant: "d2l" }', {
    variant: true,
    inChannels: true,
    classes: true,
    width: true,
    batchNorm: true,
    auxiliary: true,
    imageSize: true,
  });
  const { variant, width = 1, auxiliary = false, imageSize = 224 } = options;
  checkVariant(BUILDING, variant);
  const { batchNorm = variant === "torchvision" } = options;
  checkBoolean(BUILDING, "batchNorm", batchNorm);
  checkBoolean(BUILDING, "auxiliary", auxiliary);
  const { inChannels = DEFAULTS[variant].inChannels, classes = DEFAULTS[variant].classes } =
    options;
  checkInteger(BUILDING, "inChannels", inChannels);
  checkInteger(BUILDING, "classes", classes);
  checkInteger(BUILDING, "imageSize", imageSize);
  return { variant, inChannels, classes, width, batchNorm, auxiliary, imageSize };
}

/** GoogLeNet; made by {@linkcode googlenet}. */
export class GoogLeNet<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** Output 112×112×64 for images of 224×224, as in the comments below. */
  readonly conv1: Module<Images<InChannels>, Images>;
  /** 56×56×64, the end of stage b1 in Dive into Deep Learning. */
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
  /** The mean of each feature map, the end of b5. */
  readonly avgpool: GlobalAveragePool = globalAveragePool();
  /** Dropout before the last layer, in torchvision's variant. */
  readonly dropout: Dropout | undefined;
  /** The logits. */
  readonly fc: Linear<number, Classes>;
  readonly #windowLayers: WindowLayers;

  /**
   * See {@linkcode googlenet}.
   *
   * @param settings Options that are checked and complete.
   */
  constructor(settings: GoogLeNetSettings<InChannels, Classes>) {
    super();
    const { variant, inChannels, classes, width, batchNorm, imageSize } = settings;
    const c = (channels: number) => scaleChannels(BUILDING, channels, width);
    const pool = (kernelSize: number) =>
      variant === "torchvision"
        ? maxPool({ kernelSize, stride: 2, ceilMode: true })
        : maxPool({ kernelSize: 3, stride: 2, padding: 1 });
    const block = (inChannels: number, [c1, [r2, c2], [r3, c3], c4]: InceptionChannels) =>
      new Inception<number, number>(
        inChannels,
        [c(c1), [c(r2), c(c2)], [c(r3), c(c3)], c(c4)],
        { variant, batchNorm },
      );
    const stem = { batchNorm, kernelSize: 7, stride: 2, padding: 3 };
    this.conv1 = new ConvRelu(inChannels, c(64), stem);
    this.maxpool1 = pool(3);
    this.conv2 = new ConvRelu(c(64), c(64), { batchNorm, kernelSize: 1 });
    this.conv3 = new ConvRelu(c(64), c(192), { batchNorm, kernelSize: 3, padding: 1 });
    this.maxpool2 = pool(3);
    this.inception3a = block(c(192), [64, [96, 128], [16, 32], 32]);
    this.inception3b = block(this.inception3a.outChannels, [128, [128, 192], [32, 96], 64]);
    this.maxpool3 = pool(3);
    this.inception4a = block(this.inception3b.outChannels, [192, [96, 208], [16, 48], 64]);
    this.inception4b = block(this.inception4a.outChannels, [160, [112, 224], [24, 64], 64]);
    this.inception4c = block(this.inception4b.outChannels, [128, [128, 256], [24, 64], 64]);
    this.inception4d = block(this.inception4c.outChannels, [112, [144, 288], [32, 64], 64]);
    this.inception4e = block(this.inception4d.outChannels, [256, [160, 320], [32, 128], 128]);
    this.maxpool4 = pool(2);
    this.inception5a = block(this.inception4e.outChannels, [256, [160, 320], [32, 128], 128]);
    this.inception5b = block(this.inception5a.outChannels, [384, [192, 384], [48, 128], 128]);
    this.dropout = variant === "torchvision" ? dropout(0.2) : undefined;
    this.fc = linear(this.inception5b.outChannels, classes);
    this.#windowLayers = windowLayers(this);
    outputSide(BUILDING, this, this.#windowLayers, imageSize);
  }

  /** Returns the logits `[batch, classes]`. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    return tidy(() => this.run(images, options).logits);
  }

  /**
   * Returns the logits, and the feature maps that the auxiliary heads start from. The caller wraps
   * the call in `tidy`.
   */
  protected run(
    images: Images<InChannels>,
    options?: ForwardOptions,
  ): { logits: Features<Classes>; maps4a: Images; maps4d: Images } {
    checkLargeEnough("Running googlenet", this.#windowLayers, images);
    let x = this.maxpool1.forward(this.conv1.forward(images, options));
    x = this.conv3.forward(this.conv2.forward(x, options), options);
    x = this.maxpool2.forward(x);
    x = this.inception3b.forward(this.inception3a.forward(x, options), options);
    x = this.maxpool3.forward(x);
    const maps4a = this.inception4a.forward(x, options);
    x = this.inception4c.forward(this.inception4b.forward(maps4a, options), options);
    const maps4d = this.inception4d.forward(x, options);
    x = this.maxpool4.forward(this.inception4e.forward(maps4d, options));
    x = this.inception5b.forward(this.inception5a.forward(x, options), options);
    const features = this.avgpool.forward(x);
    const dropped = this.dropout ? this.dropout.forward(features, options) : features;
    return { logits: this.fc.forward(dropped), maps4a, maps4d };
  }
}

/** The options of {@linkcode AuxiliaryHead}. */
interface AuxiliaryHeadOptions
  extends Pick<GoogLeNetSettings<number, number>, "batchNorm" | "width"> {
  /** The pooling before the convolution. */
  pool: Pool | AdaptiveAveragePool;
  /** Height and width of the feature maps after the pooling. */
  side: number;
}

/** A small classifier on feature maps from the middle of the network. */
export class AuxiliaryHead<Classes extends number> extends Module<Images, Features<Classes>> {
  readonly pool: Pool | AdaptiveAveragePool;
  readonly conv: ConvRelu<number, number>;
  readonly flatten: Flatten = flatten();
  readonly fc1: Linear<number, number>;
  readonly dropout: Dropout = dropout(0.7);
  readonly fc2: Linear<number, Classes>;

  constructor(
    inChannels: number,
    classes: Classes,
    { batchNorm, width, pool, side }: AuxiliaryHeadOptions,
  ) {
    super();
    this.pool = pool;
    const channels = scaleChannels(BUILDING, 128, width);
    const hidden = scaleChannels(BUILDING, 1024, width);
    this.conv = new ConvRelu(inChannels, channels, { batchNorm, kernelSize: 1 });
    this.fc1 = linear(side * side * channels, hidden);
    this.fc2 = linear(hidden, classes);
  }

  override forward(images: Images, options?: ForwardOptions): Features<Classes> {
    return tidy(() => {
      const maps = this.conv.forward(this.pool.forward(images), options);
      const hidden = ops.relu(this.fc1.forward(this.flatten.forward(maps)));
      return this.fc2.forward(this.dropout.forward(hidden, options));
    });
  }

  override describe(): string {
    return "auxiliary head";
  }
}

/** The logits of a GoogLeNet and of its auxiliary heads, each `[batch, classes]`. */
export interface GoogLeNetOutputs<Classes extends number> {
  /** The logits of the network. */
  readonly logits: Features<Classes>;
  /** The logits of the head after inception4a. */
  readonly auxiliary1: Features<Classes>;
  /** The logits of the head after inception4d. */
  readonly auxiliary2: Features<Classes>;
}

/** GoogLeNet with two auxiliary heads; made by {@linkcode googlenet}. */
export class GoogLeNetWithAuxiliary<InChannels extends number, Classes extends number>
  extends GoogLeNet<InChannels, Classes> {
  /** The head after inception4a. */
  readonly aux1: Module<Images, Features<Classes>>;
  /** The head after inception4d. */
  readonly aux2: Module<Images, Features<Classes>>;
  readonly #imageSize: number | undefined;

  /**
   * See {@linkcode googlenet}.
   *
   * @param settings Options that are checked and complete.
   */
  constructor(settings: GoogLeNetSettings<InChannels, Classes>) {
    super(settings);
    const { variant, classes, width, batchNorm, imageSize } = settings;
    const layers = windowLayers(this);
    const until4a = layers.slice(0, layers.findIndex(([path]) => path.startsWith("inception4b")));
    const head = (path: string, inChannels: number) => {
      if (variant === "torchvision") {
        const pool = adaptiveAveragePool([4, 4]);
        return new AuxiliaryHead(inChannels, classes, { batchNorm, width, pool, side: 4 });
      }
      const pool = avgPool({ kernelSize: 5, stride: 3 });
      const side = outputSide(BUILDING, this, [...until4a, [path, pool]], imageSize);
      return new AuxiliaryHead(inChannels, classes, { batchNorm, width, pool, side });
    };
    this.aux1 = head("aux1.pool", this.inception4a.outChannels);
    this.aux2 = head("aux2.pool", this.inception4d.outChannels);
    this.#imageSize = variant === "torchvision" ? undefined : imageSize;
  }

  /**
   * Returns the logits of the network and of its heads. The paper's loss is the loss of the network
   * plus 0.3 times the loss of each head (section 5). `forward` returns the network's logits alone.
   *
   * @throws {RangeError} If the images are too small, or in the d2l variant are not
   * `imageSize` × `imageSize`.
   *
   * @example
   * ```ts
   * import { crossEntropy, dispose, googlenet, ops } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const sizes = { width: 1 / 16, classes: 5 };
   * const options = { variant: "torchvision", auxiliary: true, ...sizes } as const;
   * const model = googlenet(options);
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
      const { logits, maps4a, maps4d } = this.run(images, options);
      if (this.#imageSize) checkImageSize("Running googlenet", this.#imageSize, images);
      return {
        logits,
        auxiliary1: this.aux1.forward(maps4a, options),
        auxiliary2: this.aux2.forward(maps4d, options),
      };
    });
  }
}

/**
 * GoogLeNet, which won the ImageNet competition of 2014: nine {@linkcode inception} blocks, and the
 * mean of each feature map in place of large linear layers (Szegedy et al. 2015, section 5).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`, for images of any size
 * that is large enough for the pooling layers. At 224×224 the outputs of the five stages b1 to b5
 * of Dive into Deep Learning are 56×56×64, 28×28×192, 14×14×480, 7×7×832, and 1024 features.
 *
 * With `auxiliary` there are two more classifiers in the middle, `aux1` and `aux2`, which help the
 * first layers to learn; see {@linkcode GoogLeNetWithAuxiliary.forwardWithAuxiliary}. They start
 * with an average pooling of 5×5 with stride 3, or in torchvision's variant to 4×4.
 *
 * All weights are initialised by {@linkcode initializers.heNormal}, all biases with zero.
 * torchvision draws weights with a standard deviation of 0.01.
 *
 * @throws {RangeError} If there is no such variant, a number is out of range, or images of
 * `imageSize` are too small for the layers. In `forward`, if the images are too small.
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
  const InChannels extends number = Variant extends "d2l" ? 1 : 3,
  const Classes extends number = Variant extends "d2l" ? 10 : 1000,
>(
  options: GoogLeNetOptions<Variant, InChannels, Classes> & { auxiliary: true },
): GoogLeNetWithAuxiliary<NoInfer<InChannels>, NoInfer<Classes>>;
/** {@linkcode googlenet} without auxiliary heads. */
export function googlenet<
  const Variant extends GoogLeNetVariant,
  const InChannels extends number = Variant extends "d2l" ? 1 : 3,
  const Classes extends number = Variant extends "d2l" ? 10 : 1000,
>(
  options: GoogLeNetOptions<Variant, InChannels, Classes>,
): GoogLeNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function googlenet(options: GoogLeNetOptions): GoogLeNet<number, number> {
  checkArguments(BUILDING, arguments, 1);
  const settings = settingsOf(options);
  return settings.auxiliary ? new GoogLeNetWithAuxiliary(settings) : new GoogLeNet(settings);
}
