import { checkOptions, type Features, type Images, tidy } from "../tensor/mod.ts";
import {
  avgPool,
  checkWhole,
  conv2d,
  flatten,
  type ForwardOptions,
  linear,
  maxPool,
  Module,
  relu,
  sequential,
  sigmoid,
  tanh,
  xavierUniform,
} from "../nn/mod.ts";
import { checkArguments } from "../nn/checks.ts";
import { checkOneOf } from "./one_of.ts";

const ACTIVATIONS = { relu, sigmoid, tanh };

/** What follows each layer of a LeNet. */
export type LeNetActivation = keyof typeof ACTIVATIONS;

/** The options of {@linkcode lenet}. */
export interface LeNetOptions<InChannels extends number, Classes extends number> {
  /** Channels of the images; 1 unless said otherwise. */
  inChannels?: InChannels;
  /** Classes to tell apart; 10 unless said otherwise. */
  classes?: Classes;
  /**
   * What follows each layer: relu with maximum pooling as today, or sigmoid or tanh with average
   * pooling as in 1998.
   */
  activation?: LeNetActivation;
}

/** Two convolutions with pooling. */
function features<InChannels extends number>(
  inChannels: InChannels,
  activation: LeNetActivation,
) {
  const activate = ACTIVATIONS[activation];
  const pool = activation === "relu" ? maxPool : avgPool;
  const initial = activation === "relu" ? {} : { weightInitializer: xavierUniform() };
  return sequential(
    conv2d(inChannels, 6, { kernelSize: 5, padding: 2, ...initial }),
    activate(),
    pool({ kernelSize: 2 }),
    conv2d(6, 16, { kernelSize: 5, ...initial }),
    activate(),
    pool({ kernelSize: 2 }),
  );
}

/** Three linear layers over what is left of the image, 5×5 pixels. */
function classifier<Classes extends number>(classes: Classes, activation: LeNetActivation) {
  const activate = ACTIVATIONS[activation];
  const initial = activation === "relu" ? {} : { weightInitializer: xavierUniform() };
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
  /** Two convolutions, each with an activation and pooling. */
  readonly features: ReturnType<typeof features<InChannels>>;
  /** Three linear layers. */
  readonly classifier: ReturnType<typeof classifier<Classes>>;

  /** See {@linkcode lenet}. */
  constructor(inChannels: InChannels, classes: Classes, activation: LeNetActivation) {
    super();
    checkWhole("Building lenet", "inChannels", inChannels);
    checkWhole("Building lenet", "classes", classes);
    checkOneOf("Building lenet", "activation", activation, Object.keys(ACTIVATIONS));
    this.features = features(inChannels, activation);
    this.classifier = classifier(classes, activation);
  }

  override forward(images: Images<InChannels>, options?: ForwardOptions): Features<Classes> {
    return tidy(() => this.classifier.forward(this.features.forward(images, options), options));
  }
}

/**
 * LeNet-5 for images of 28×28 pixels: two convolutions with pooling, then three linear layers
 * (LeCun et al. 1998, section II.B, with every map connected to every map, and logits in place of
 * the radial-basis output).
 *
 * Images `[batch, 28, 28, inChannels]` to logits `[batch, classes]`.
 *
 * @throws {RangeError} If a number is not a whole one of at least 1, or there is no such
 * activation; in `forward`, if the images are of another size.
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
export function lenet(
  options: LeNetOptions<number, number> = {},
): LeNet<number, number> {
  checkArguments("Building lenet", arguments, 1);
  checkOptions<LeNetOptions<number, number>>("Building lenet", options, "{ classes: 10 }", {
    inChannels: true,
    classes: true,
    activation: true,
  });
  const { inChannels = 1, classes = 10, activation = "relu" } = options;
  return new LeNet(inChannels, classes, activation);
}
