import { checkOptions, type Features, type Images, tidy } from "../tensor/mod.ts";
import {
  type AdaptiveAveragePool,
  adaptiveAveragePool,
  checkWhole,
  conv2d,
  dropout,
  flatten,
  type ForwardOptions,
  linear,
  localResponseNorm,
  maxPool,
  Module,
  relu,
  sequential,
} from "../nn/mod.ts";
import { checkArguments } from "../nn/checks.ts";
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
  original: { inChannels: 3, classes: 1000, imageSize: 227 },
  torchvision: { inChannels: 3, classes: 1000, imageSize: 224 },
  d2l: { inChannels: 1, classes: 10, imageSize: 224 },
} as const;

/**
 * Which AlexNet: `"original"` is the paper's, in two groups and with local response normalisation;
 * `"torchvision"` the narrower one that most pretrained weights are for (Krizhevsky 2014, one
 * column); `"d2l"` the textbook one for grey images, in one group and without normalisation.
 */
export type AlexNetVariant = keyof typeof VARIANTS;

/** The options of {@linkcode alexnet}. */
export interface AlexNetOptions<
  Variant extends AlexNetVariant,
  InChannels extends number,
  Classes extends number,
> {
  /** Which AlexNet. */
  variant: Variant;
  /** Channels of the images; 3 unless said otherwise, 1 of the d2l variant. */
  inChannels?: InChannels;
  /** Classes to tell apart; 1000 unless said otherwise, 10 of the d2l variant. */
  classes?: Classes;
  /** What the numbers of channels and hidden units are multiplied by; 1 unless said otherwise. */
  width?: number;
  /**
   * Height and width of the images that the linear layers are made for; 224 unless said otherwise,
   * 227 of the original.
   */
  imageSize?: number;
}

/**
 * A number of channels or hidden units at a width; the two groups of the original need as many
 * each.
 */
function channels(variant: AlexNetVariant, count: number, width: number): number {
  return widened("Building alexnet", count, width, variant === "original" ? 2 : 1);
}

/** Five convolutions with pooling. */
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

/** Three linear layers. */
function classifier<Classes extends number>(
  variant: AlexNetVariant,
  side: number,
  width: number,
  classes: Classes,
): Module<Features, Features<Classes>> {
  const inFeatures = side * side * channels(variant, 256, width);
  const hidden = channels(variant, 4096, width);
  // torchvision drops before a linear layer, the others after its relu.
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
   * Brings images of any size to the grid that the classifier takes, in the variant of torchvision.
   */
  readonly avgpool: AdaptiveAveragePool | undefined;
  /** Makes features of the grid. */
  readonly flatten = flatten();
  /** Three linear layers with dropout. */
  readonly classifier: Module<Features, Features<Classes>>;
  /** Height and width of the images that it was built for. */
  readonly imageSize: number;
  readonly #windows: Windows;

  /** See {@linkcode alexnet}. */
  constructor(options: AlexNetOptions<AlexNetVariant, InChannels, Classes>) {
    super();
    const doing = "Building alexnet";
    checkOptions<AlexNetOptions<AlexNetVariant, number, number>>(
      doing,
      options,
      '{ variant: "original" }',
      { variant: true, inChannels: true, classes: true, width: true, imageSize: true },
    );
    const { variant } = options;
    checkOneOf(doing, "variant", variant, Object.keys(VARIANTS));
    const usual = VARIANTS[variant];
    const { inChannels = usual.inChannels as number as InChannels } = options;
    const { classes = usual.classes as number as Classes } = options;
    const { width = 1, imageSize = usual.imageSize } = options;
    checkWhole(doing, "inChannels", inChannels);
    checkWhole(doing, "classes", classes);
    checkWhole(doing, "imageSize", imageSize);
    this.imageSize = imageSize;
    this.features = features(variant, inChannels, width);
    this.#windows = windowsOf(this);
    const side = sideLeft(doing, this, this.#windows, imageSize);
    if (variant === "torchvision") this.avgpool = adaptiveAveragePool([side, side]);
    this.classifier = classifier(variant, side, width, classes);
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    const doing = "Running alexnet";
    checkLargeEnough(doing, this.#windows, images);
    if (!this.avgpool) checkBuiltFor(doing, this.imageSize, images);
    return tidy(() => {
      const map = this.features.forward(images, options);
      const grid = this.avgpool ? this.avgpool.forward(map) : map;
      return this.classifier.forward(this.flatten.forward(grid), options);
    });
  }
}

/**
 * AlexNet, which won the ImageNet competition of 2012: five convolutions with relu and overlapping
 * pooling, then three linear layers with dropout (Krizhevsky et al. 2012, section 3).
 *
 * Images `[batch, height, width, inChannels]` to logits `[batch, classes]`. The sides of the maps
 * behind the stages:
 *
 * | variant | images | conv 1 | pool 1 | pool 2 | pool 5 |
 * |---|---|---|---|---|---|
 * | `original` | 227×227×3 | 55 | 27 | 13 | 6 |
 * | `torchvision` | 224×224×3 | 55 | 27 | 13 | 6 |
 * | `d2l` | 224×224×1 | 54 | 26 | 12 | 5 |
 *
 * All weights start as {@linkcode heNormal} and all biases at zero. The paper draws weights with a
 * standard deviation of 0.01 and sets the biases of convolutions 2, 4 and 5 and of the hidden
 * layers to one (section 5); torchvision leaves PyTorch's uniform default.
 *
 * @throws {RangeError} If there is no such variant, a number is out of range, or images of
 * `imageSize` are too small for the layers, with the smallest that will do; in `forward`, if the
 * images are too small, or not those that it was built for (the variant of torchvision averages
 * larger ones).
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
 * assert.throws(() => summary(narrow, [32, 32, 1]), /The smallest that will do are 65×65/);
 * ```
 */
export function alexnet<
  const Variant extends AlexNetVariant,
  const InChannels extends number = (typeof VARIANTS)[Variant]["inChannels"],
  const Classes extends number = (typeof VARIANTS)[Variant]["classes"],
>(
  options: AlexNetOptions<Variant, InChannels, Classes>,
): AlexNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function alexnet(
  options: AlexNetOptions<AlexNetVariant, number, number>,
): AlexNet<number, number> {
  checkArguments("Building alexnet", arguments, 1);
  return new AlexNet(options);
}
