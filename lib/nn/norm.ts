import {
  dispose,
  type Features,
  type Images,
  ops,
  type SameShape,
  type Tensor,
  type Tensor1D,
  type Tensor4D,
  tidy,
  type Variable,
  variable,
  type Variable1D,
} from "../tensor/mod.ts";
import {
  batchPart,
  checkArguments,
  checkFinite,
  checkInteger,
  checkNumber,
  checkOptions,
  isTensor,
} from "../tensor/internal.ts";
import { checkInput, IMAGE_AXES } from "./checks.ts";
import { type ForwardOptions, Module, type shapeRule } from "./module.ts";

/** The options of {@linkcode batchNorm}. */
export interface BatchNormOptions {
  /**
   * The number added to the variance under the root.
   *
   * @default 1e-5
   */
  epsilon?: number;
  /**
   * The weight of a new batch in the running statistics, as in PyTorch. TensorFlow's momentum is
   * `1 − momentum`.
   *
   * @default 0.1
   */
  momentum?: number;
}

/** Batch normalisation of images or features; made by {@linkcode batchNorm}. */
export class BatchNorm<Channels extends number>
  extends Module<Images<Channels> | Features<Channels>, Tensor> {
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "same";
  /** The learned standard deviation of each channel (gamma in the paper). */
  readonly weight: Variable1D;
  /** The learned mean of each channel (beta in the paper). */
  readonly bias: Variable1D;
  /** The mean of each channel that inference uses. */
  readonly runningMean: Variable1D;
  /** The variance of each channel that inference uses. */
  readonly runningVariance: Variable1D;
  /** The number added to the variance under the root. */
  readonly epsilon: number;
  /** The weight of a new batch in the running statistics. */
  readonly momentum: number;
  #isFolded = false;

  /** See {@linkcode batchNorm}. */
  constructor(
    /** The number of channels. */
    readonly channels: Channels,
    options: BatchNormOptions = {},
  ) {
    super();
    const action = "Building batchNorm";
    checkOptions<BatchNormOptions>(action, options, "{ momentum: 0.1 }", {
      epsilon: true,
      momentum: true,
    });
    const { epsilon = 1e-5, momentum = 0.1 } = options;
    checkInteger(action, "channels", channels);
    const isEpsilon = epsilon >= 0 && Number.isFinite(epsilon);
    checkNumber(action, "epsilon", epsilon, isEpsilon, "a finite number of at least 0");
    const isShare = momentum >= 0 && momentum <= 1;
    checkNumber(action, "momentum", momentum, isShare, "a number from 0 to 1");
    this.weight = variable(ops.ones([channels]));
    this.bias = variable(ops.zeros([channels]));
    this.runningMean = variable(ops.zeros([channels]), { trainable: false });
    this.runningVariance = variable(ops.ones([channels]), { trainable: false });
    this.epsilon = epsilon;
    this.momentum = momentum;
  }

  /**
   * Normalises a batch, and in training updates the running statistics.
   *
   * @throws {RangeError} If the input has a different number of channels or, in training, only one
   * value for each channel.
   */
  override forward<T extends Images<Channels> | Features<Channels>>(
    x: T,
    { training = false }: ForwardOptions = {},
  ): SameShape<T> {
    const channels = ["channels", this.channels] as const;
    checkInput(
      this,
      x,
      isTensor(x) && x.rank === 2 ? ["batch", channels] : ["batch", "height", "width", channels],
    );
    if (this.#isFolded) {
      if (!training) return ops.clone(x);
      throw new RangeError(
        `${this.describe()}: the layer must not be folded for training, found it folded, with nothing left to train. ` +
          "Train a model that is not folded, and fold it afterwards.",
      );
    }
    const { weight, bias, epsilon } = this;
    if (!training || this.isFrozen) {
      return ops.batchNormInference(x, {
        mean: this.runningMean,
        variance: this.runningVariance,
        weight,
        bias,
        epsilon,
      });
    }
    if (x.size === this.channels && !batchPart()?.sum) {
      throw new RangeError(
        `${this.describe()}: the input must have more than one value for each channel in training, found [${
          x.shape.join(", ")
        }]. ` +
          "Use a larger batch, or dropLast where the last batch of an epoch has one image.",
      );
    }
    return tidy(() => {
      const { y, mean, variance } = ops.batchNormTraining(x, weight, bias, epsilon, {
        mean: this.runningMean,
        variance: this.runningVariance,
        momentum: this.momentum,
      });
      this.runningMean.assign(mean);
      this.runningVariance.assign(variance);
      return y;
    });
  }

  /** Whether {@linkcode foldBatchNorm} made this layer part of the convolution before it. */
  get isFolded(): boolean {
    return this.#isFolded;
  }

  /**
   * Returns the factor and the offset of inference, `y = factor · x + offset`. From then on the
   * layer has no variables and returns its input. {@linkcode foldBatchNorm} calls it.
   */
  fold(): { factor: Tensor1D; offset: Tensor1D } {
    const { weight, bias, runningMean, runningVariance, epsilon } = this;
    const factor = tidy(() => ops.div(weight, ops.sqrt(ops.add(runningVariance, epsilon))));
    const offset = tidy(() => ops.sub(bias, ops.mul(runningMean, factor)));
    dispose([...this.variables().values()]);
    this.#isFolded = true;
    return { factor, offset };
  }

  /** Returns the parameters and running statistics; none after {@linkcode BatchNorm.fold}. */
  override variables(): Map<string, Variable> {
    return this.#isFolded ? new Map() : super.variables();
  }

  /** Returns the number of channels. */
  override describe(): string {
    return `batchNorm ${this.channels}${this.#isFolded ? ", folded" : ""}`;
  }
}

/**
 * Makes batch normalisation, `y = (x − mean) / √(variance + epsilon) · weight + bias` for each
 * channel. Training uses the statistics of the batch, inference the running statistics (Ioffe and
 * Szegedy 2015).
 *
 * After each training batch `running = (1 − momentum) · running + momentum · batch`, with the
 * unbiased variance, as in PyTorch. A frozen layer ({@linkcode Module.freeze}) uses and keeps its
 * running statistics in training too, as in Keras; PyTorch needs `requires_grad_(False)` and
 * `eval()` for that.
 *
 * The input is images `[batch, height, width, channels]` or features `[batch, channels]`; the
 * output has the same shape.
 *
 * @throws {RangeError} If an option is out of range, the input of `forward` has a different number
 * of channels or, in training, only one value for each channel, which has no variance.
 * @throws {TypeError} If an option is not a number, or the input is not a float32 tensor.
 *
 * @example
 * ```ts
 * import { batchNorm, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = batchNorm(1, { epsilon: 0 });
 * const x = ops.tensor([[1], [3]]);
 * assert.deepEqual([...layer.forward(x, { training: true }).dataSync()], [-1, 1]);
 * assert(Math.abs(layer.runningMean.dataSync()[0]! - 0.2) < 1e-6);
 * ```
 */
export function batchNorm<const Channels extends number>(
  channels: Channels,
  options?: BatchNormOptions,
): BatchNorm<Channels> {
  checkArguments("Building batchNorm", arguments, 2);
  return new BatchNorm(channels, options);
}

/** The options of {@linkcode localResponseNorm}; the defaults are the paper's constants. */
export interface LocalResponseNormOptions {
  /**
   * Channels that are summed: the channel itself and as many on each side, so an odd number.
   *
   * @default 5
   */
  size?: number;
  /**
   * The number added to the sum (k in the paper).
   *
   * @default 2
   */
  bias?: number;
  /**
   * The factor of the sum. PyTorch divides it by `size`, the paper does not.
   *
   * @default 1e-4
   */
  alpha?: number;
  /**
   * The exponent.
   *
   * @default 0.75
   */
  beta?: number;
}

/** Local response normalisation; made by {@linkcode localResponseNorm}. */
export class LocalResponseNorm extends Module<Tensor4D, Tensor4D> {
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "same";
  /** Channels that are summed. */
  readonly size: number;
  /** The number added to the sum. */
  readonly bias: number;
  /** The factor of the sum. */
  readonly alpha: number;
  /** The exponent. */
  readonly beta: number;

  /** See {@linkcode localResponseNorm}. */
  constructor(options: LocalResponseNormOptions = {}) {
    super();
    const action = "Building localResponseNorm";
    checkOptions<LocalResponseNormOptions>(action, options, "{ size: 5 }", {
      size: true,
      bias: true,
      alpha: true,
      beta: true,
    });
    const { size = 5, bias = 2, alpha = 1e-4, beta = 0.75 } = options;
    checkNumber(action, "size", size, size >= 1 && size % 2 === 1, "an odd whole number");
    checkNumber(action, "bias", bias, bias > 0 && Number.isFinite(bias), "a finite number above 0");
    const isFactor = alpha >= 0 && Number.isFinite(alpha);
    checkNumber(action, "alpha", alpha, isFactor, "a finite number of at least 0");
    checkFinite(action, "beta", beta);
    this.size = size;
    this.bias = bias;
    this.alpha = alpha;
    this.beta = beta;
  }

  /** Normalises a batch of images. */
  override forward<T extends Images>(x: T): SameShape<T> {
    checkInput(this, x, IMAGE_AXES);
    const { size, bias, alpha, beta } = this;
    return ops.localResponseNorm(x, { size, bias, alpha, beta });
  }

  /** Returns the number of channels that are summed. */
  override describe(): string {
    return `localResponseNorm ${this.size}`;
  }
}

/**
 * Makes local response normalisation across neighbouring channels,
 * `y_c = x_c / (bias + alpha · Σ x²_j)^beta` over the `size` channels j around c (Krizhevsky et al.
 * 2012, section 3.3). Images `[batch, height, width, channels]`; the output has the same shape.
 *
 * @throws {RangeError} If an option is out of range.
 * @throws {TypeError} If an option is not a number, or the input of `forward` is not a float32
 * tensor.
 *
 * @example
 * ```ts
 * import { localResponseNorm, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = localResponseNorm({ size: 1, bias: 1, alpha: 1, beta: 1 });
 * assert.equal(layer.forward(ops.ones([1, 1, 1, 4])).dataSync()[0], 0.5);
 * ```
 */
export function localResponseNorm(options?: LocalResponseNormOptions): LocalResponseNorm {
  checkArguments("Building localResponseNorm", arguments, 1);
  return new LocalResponseNorm(options);
}
