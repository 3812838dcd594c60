import { type Features, type Images, tidy } from "../tensor/mod.ts";
import { checkArguments, checkInteger, checkOneOf, checkOptions } from "../tensor/internal.ts";
import {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  conv2d,
  dropout,
  type Flatten,
  flatten,
  type ForwardOptions,
  linear,
  localResponseNorm,
  maxPool,
  Module,
  relu,
  sequential,
} from "../nn/mod.ts";
import {
  checkImageSize,
  checkLargeEnough,
  outputSide,
  type WindowLayers,
  windowLayers,
} from "./image_size.ts";
import { type ClassifierOptions, scaleChannels } from "./options.ts";

/**
 * The version of AlexNet. `"original"` is the paper's, with grouped convolutions (two groups) and
 * local response normalisation. `"torchvision"` is the narrower one that most pretrained weights
 * fit (Krizhevsky 2014, one column). `"d2l"` is the version of the book Dive into Deep Learning for
 * grey images, without groups and without normalisation.
 */
export type AlexNetVariant = "original" | "torchvision" | "d2l";

const DEFAULTS = {
  original: { inChannels: 3, classes: 1000, imageSize: 227 },
  torchvision: { inChannels: 3, classes: 1000, imageSize: 224 },
  d2l: { inChannels: 1, classes: 10, imageSize: 224 },
} as const satisfies Record<AlexNetVariant, Required<Omit<ClassifierOptions, "width">>>;

const BUILDING = "Building alexnet";

/** The options of {@linkcode alexnet}. */
export interface AlexNetOptions<
  Variant extends AlexNetVariant = AlexNetVariant,
  InChannels extends number = number,
  Classes extends number = number,
> extends ClassifierOptions<InChannels, Classes> {
  /** The version of AlexNet. */
  variant: Variant;
  /**
   * Channels of the images.
   *
   * @default 3, or 1 in the variant `"d2l"`
   */
  inChannels?: InChannels;
  /**
   * Number of classes.
   *
   * @default 1000, or 10 in the variant `"d2l"`
   */
  classes?: Classes;
  /**
   * Width multiplier: the factor on every number of channels and hidden units.
   *
   * @default 1
   */
  width?: number;
  /**
   * Height and width of the images that the linear layers are built for.
   *
   * @default 224, or 227 in the variant `"original"`
   */
  imageSize?: number;
}

/**
 * Returns a number of channels or hidden units at a width. In the original it is even, for the two
 * groups.
 */
function channels(variant: AlexNetVariant, count: number, width: number): number {
  return scaleChannels(BUILDING, count, width, variant === "original" ? 2 : 1);
}

/** Returns the five convolutions with pooling. */
function features<InChannels extends number>(
  variant: AlexNetVariant,
  inChannels: InChannels,
  width: number,
): Module<Images<InChannels>, Images> {
  const c = (count: number) => channels(variant, count, width);
  const groups = 2;
  const pool = () => maxPool({ kernelSize: 3, stride: 2 });
  switch (variant) {
    case "original":
      return sequential(
        conv2d(inChannels, c(96), { kernelSize: 11, stride: 4 }),
        relu(),
        localResponseNorm(),
        pool(),
        conv2d(c(96), c(256), { kernelSize: 5, padding: 2, groups }),
        relu(),
        localResponseNorm(),
        pool(),
        conv2d(c(256), c(384), { kernelSize: 3, padding: 1 }),
        relu(),
        conv2d(c(384), c(384), { kernelSize: 3, padding: 1, groups }),
        relu(),
        conv2d(c(384), c(256), { kernelSize: 3, padding: 1, groups }),
        relu(),
        pool(),
      );
    case "torchvision":
      return sequential(
        conv2d(inChannels, c(64), { kernelSize: 11, stride: 4, padding: 2 }),
        relu(),
        pool(),
        conv2d(c(64), c(192), { kernelSize: 5, padding: 2 }),
        relu(),
        pool(),
        conv2d(c(192), c(384), { kernelSize: 3, padding: 1 }),
        relu(),
        conv2d(c(384), c(256), { kernelSize: 3, padding: 1 }),
        relu(),
        conv2d(c(256), c(256), { kernelSize: 3, padding: 1 }),
        relu(),
        pool(),
      );
    case "d2l":
      return sequential(
        conv2d(inChannels, c(96), { kernelSize: 11, stride: 4, padding: 1 }),
        relu(),
        pool(),
        conv2d(c(96), c(256), { kernelSize: 5, padding: 2 }),
        relu(),
        pool(),
        conv2d(c(256), c(384), { kernelSize: 3, padding: 1 }),
        relu(),
        conv2d(c(384), c(384), { kernelSize: 3, padding: 1 }),
        relu(),
        conv2d(c(384), c(256), { kernelSize: 3, padding: 1 }),
        relu(),
        pool(),
      );
  }
}

/** Returns the three linear layers. */
function classifier<Classes extends number>(
  variant: AlexNetVariant,
  side: number,
  width: number,
  classes: Classes,
): Module<Features, Features<Classes>> {
  const inFeatures = side * side * channels(variant, 256, width);
  const hidden = channels(variant, 4096, width);
  // torchvision puts dropout before a linear layer, the others after its relu.
  return variant === "torchvision"
    ? sequential(
      dropout(0.5),
      linear(inFeatures, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, hidden),
      relu(),
      linear(hidden, classes),
    )
    : sequential(
      linear(inFeatures, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, hidden),
      relu(),
      dropout(0.5),
      linear(hidden, classes),
    );
}

/** AlexNet; made by {@linkcode alexnet}. */
export class AlexNet<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** Five convolutions with relu, three of them with pooling. */
  readonly features: Module<Images<InChannels>, Images>;
  /**
   * Averages the feature maps to the size that the classifier takes, in the variant of torchvision.
   */
  readonly avgpool: AdaptiveAveragePool | undefined;
  /** Flattens the feature maps. */
  readonly flatten: Flatten = flatten();
  /** Three linear layers with dropout. */
  readonly classifier: Module<Features, Features<Classes>>;
  /** Height and width of the images that the network is built for. */
  readonly imageSize: number;
  readonly #windowLayers: WindowLayers;

  /** See {@linkcode alexnet}. */
  constructor(options: AlexNetOptions<AlexNetVariant, InChannels, Classes>) {
    super();
    checkOptions<AlexNetOptions>(BUILDING, options, '{ variant: "original" }', {
      variant: true,
      inChannels: true,
      classes: true,
      width: true,
      imageSize: true,
    });
    const { variant } = options;
    checkOneOf(BUILDING, "variant", variant, Object.keys(DEFAULTS));
    const defaults = DEFAULTS[variant];
    const { inChannels = defaults.inChannels as number as InChannels } = options;
    const { classes = defaults.classes as number as Classes } = options;
    const { width = 1, imageSize = defaults.imageSize } = options;
    checkInteger(BUILDING, "inChannels", inChannels);
    checkInteger(BUILDING, "classes", classes);
    checkInteger(BUILDING, "imageSize", imageSize);
    this.imageSize = imageSize;
    this.features = features(variant, inChannels, width);
    this.#windowLayers = windowLayers(this);
    const side = outputSide(BUILDING, this, this.#windowLayers, imageSize);
    if (variant === "torchvision") this.avgpool = adaptiveAveragePool([side, side]);
    this.classifier = classifier(variant, side, width, classes);
  }

  /** Returns the logits `[batch, classes]`. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    const action = "Running alexnet";
    checkLargeEnough(action, this.#windowLayers, images);
    if (!this.avgpool) checkImageSize(action, this.imageSize, images);
    return tidy(() => {
      const maps = this.features.forward(images, options);
      const pooled = this.avgpool ? this.avgpool.forward(maps) : maps;
      return this.classifier.forward(this.flatten.forward(pooled), options);
    });
  }
}

/**
 * AlexNet, which won the ImageNet competition of 2012: five convolutions with relu and overlapping
 * pooling, then three linear layers with dropout (Krizhevsky et al. 2012, section 3).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. The sides of the
 * feature maps after each stage:
 *
 * | variant | images | conv 1 | pool 1 | pool 2 | pool 5 |
 * |---|---|---|---|---|---|
 * | `original` | 227×227×3 | 55 | 27 | 13 | 6 |
 * | `torchvision` | 224×224×3 | 55 | 27 | 13 | 6 |
 * | `d2l` | 224×224×1 | 54 | 26 | 12 | 5 |
 *
 * All weights are initialised by {@linkcode initializers.heNormal}, all biases with zero. The paper
 * draws weights with a standard deviation of 0.01 and sets the biases of convolutions 2, 4 and 5
 * and of the hidden layers to one (section 5). torchvision uses PyTorch's uniform default.
 *
 * @throws {RangeError} If there is no such variant, a number is out of range, or images of
 * `imageSize` are too small for the layers. In `forward`, if the images are too small, or are not
 * `imageSize` × `imageSize`; the variant of torchvision accepts larger ones and averages them.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { alexnet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const narrow = alexnet({ variant: "d2l", width: 1 / 16, imageSize: 95 });
 * const table = summary(narrow, [95, 95, 1]);
 * assert.deepEqual(table.rows[2]?.outputShape, [10, 10, 6]);
 * assert.deepEqual(table.rows.at(-1)?.outputShape, [10]);
 * assert.throws(() => summary(narrow, [32, 32, 1]), /must be at least 65×65, found 32×32/);
 * ```
 */
export function alexnet<
  const Variant extends AlexNetVariant,
  const InChannels extends number = Variant extends "d2l" ? 1 : 3,
  const Classes extends number = Variant extends "d2l" ? 10 : 1000,
>(
  options: AlexNetOptions<Variant, InChannels, Classes>,
): AlexNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function alexnet(options: AlexNetOptions): AlexNet<number, number> {
  checkArguments(BUILDING, arguments, 1);
  return new AlexNet(options);
}
