import { type Features, type Images, tidy } from "../tensor/mod.ts";
import { checkArguments, checkInteger, checkOneOf, checkOptions } from "../tensor/internal.ts";
import {
  type Activation,
  avgPool,
  type Conv2d,
  conv2d,
  type Flatten,
  flatten,
  type ForwardOptions,
  initializers,
  type Linear,
  linear,
  maxPool,
  Module,
  type Pool,
  relu,
  type Sequential,
  sequential,
  sigmoid,
  tanh,
} from "../nn/mod.ts";
import type { ClassifierOptions } from "./options.ts";

/** The activation of a LeNet, after each layer but the last. */
export type LeNetActivation = "relu" | "sigmoid" | "tanh";

const ACTIVATIONS = { relu, sigmoid, tanh } satisfies Record<LeNetActivation, () => Activation>;

const BUILDING = "Building lenet";

/** The options of {@linkcode lenet}. */
export interface LeNetOptions<InChannels extends number = number, Classes extends number = number>
  extends Pick<ClassifierOptions<InChannels, Classes>, "inChannels" | "classes"> {
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
   * The activation after each layer but the last. It also selects the pooling and the initial
   * weights: max pooling and {@linkcode initializers.heNormal} for `"relu"`, average pooling (as in
   * 1998) and {@linkcode initializers.xavierUniform} for the others.
   *
   * @default "relu"
   */
  activation?: LeNetActivation;
}

/** Two convolutions, each followed by an activation and pooling. */
export type LeNetFeatures<InChannels extends number> = Sequential<
  readonly [Conv2d<InChannels, 6>, Activation, Pool, Conv2d<6, 16>, Activation, Pool]
>;

/** Returns the two convolutions, each followed by an activation and pooling. */
function features<InChannels extends number>(
  inChannels: InChannels,
  activation: LeNetActivation,
): LeNetFeatures<InChannels> {
  const activate = ACTIVATIONS[activation];
  const pool = activation === "relu" ? maxPool : avgPool;
  const initial = activation === "relu" ? {} : { weightInitializer: initializers.xavierUniform() };
  return sequential(
    conv2d(inChannels, 6, { kernelSize: 5, padding: 2, ...initial }),
    activate(),
    pool({ kernelSize: 2 }),
    conv2d(6, 16, { kernelSize: 5, ...initial }),
    activate(),
    pool({ kernelSize: 2 }),
  );
}

/** Three linear layers on the flattened feature maps, with activations between them. */
export type LeNetClassifier<Classes extends number> = Sequential<
  readonly [
    Flatten,
    Linear<400, 120>,
    Activation,
    Linear<120, 84>,
    Activation,
    Linear<84, Classes>,
  ]
>;

/** Returns the three linear layers. Their input is 16 feature maps of 5×5 pixels. */
function classifier<Classes extends number>(
  classes: Classes,
  activation: LeNetActivation,
): LeNetClassifier<Classes> {
  const activate = ACTIVATIONS[activation];
  const initial = activation === "relu" ? {} : { weightInitializer: initializers.xavierUniform() };
  return sequential(
    flatten(),
    linear(400, 120, initial),
    activate(),
    linear(120, 84, initial),
    activate(),
    linear(84, classes, initial),
  );
}

/** LeNet-5; made by {@linkcode lenet}. */
export class LeNet<InChannels extends number, Classes extends number>
  extends Module<Images<InChannels>, Features<Classes>> {
  /** Two convolutions, each followed by an activation and pooling. */
  readonly features: LeNetFeatures<InChannels>;
  /** Three linear layers. */
  readonly classifier: LeNetClassifier<Classes>;

  /** See {@linkcode lenet}. */
  constructor(options: LeNetOptions<InChannels, Classes>) {
    super();
    checkOptions<LeNetOptions>(BUILDING, options, "{ classes: 10 }", {
      inChannels: true,
      classes: true,
      activation: true,
    });
    const { inChannels = 1 as number as InChannels, classes = 10 as number as Classes } = options;
    const { activation = "relu" } = options;
    checkInteger(BUILDING, "inChannels", inChannels);
    checkInteger(BUILDING, "classes", classes);
    checkOneOf(BUILDING, "activation", activation, Object.keys(ACTIVATIONS));
    this.features = features<InChannels>(inChannels, activation);
    this.classifier = classifier<Classes>(classes, activation);
  }

  /** Returns the logits `[batch, classes]`. */
  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    return tidy(() => {
      const maps = this.features.forward(images, options);
      const [, height, width] = maps.shape;
      if (height !== 5 || width !== 5) {
        throw new RangeError(
          `Running lenet: the images must be 28×28, found ${images.shape[1]}×${
            images.shape[2]
          }. Pass the transform resize(28, 28).`,
        );
      }
      return this.classifier.forward(maps, options);
    });
  }
}

/**
 * LeNet-5 for images of 28×28 pixels: two convolutions with pooling, then three linear layers
 * (LeCun et al. 1998, section II.B). Unlike in the paper, the second convolution connects every
 * input channel to every output channel, and the last layer returns logits instead of radial basis
 * functions.
 *
 * Images `[batch, 28, 28, inChannels]` to logits `[batch, classes]`.
 *
 * @throws {RangeError} If `inChannels` or `classes` is not a whole number of at least 1, or the
 * activation does not exist. In `forward`, if the images are not 28×28.
 * @throws {TypeError} If an option is of the wrong kind.
 *
 * @example
 * ```ts
 * import { lenet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(summary(lenet(), [28, 28, 1]).parameters, 61_706);
 * ```
 */
export function lenet<const InChannels extends number = 1, const Classes extends number = 10>(
  options?: LeNetOptions<InChannels, Classes>,
): LeNet<NoInfer<InChannels>, NoInfer<Classes>>;
export function lenet(options: LeNetOptions = {}): LeNet<number, number> {
  checkArguments(BUILDING, arguments, 1);
  return new LeNet(options);
}
