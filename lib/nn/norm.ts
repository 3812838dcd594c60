import {
  checkOptions,
  dispose,
  type Features,
  type Images,
  isTensor,
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
import { checkArguments, checkInput, checkNumber, checkWhole, IMAGE_AXES } from "./checks.ts";
import { type ForwardOptions, Module, type shapeRule } from "./module.ts";

/** The options of {@linkcode batchNorm}. */
export interface BatchNormOptions {
  /** What is added to the variance under the root. */
  epsilon?: number;
  /**
   * The weight of a new batch in the running statistics: 0.1 is PyTorch's default, and TensorFlow's
   * momentum of 0.9.
   */
  momentum?: number;
}

/** Batch normalisation of images or features; made by {@linkcode batchNorm}. */
export class BatchNorm<Channels extends number>
  extends Module<Images<Channels> | Features<Channels>, Tensor> {
  declare readonly [shapeRule]: "same";
  /** The learned standard deviation of each channel (gamma in the paper). */
  readonly scale: Variable1D;
  /** The learned mean of each channel (beta in the paper). */
  readonly offset: Variable1D;
  /** The mean of each channel that inference uses. */
  readonly runningMean: Variable1D;
  /** The variance of each channel that inference uses. */
  readonly runningVariance: Variable1D;
  /** What is added to the variance under the root. */
  readonly epsilon: number;
  /** The weight of a new batch in the running statistics. */
  readonly momentum: number;
  #folded = false;

  /** See {@linkcode batchNorm}. */
  constructor(
    readonly channels: Channels,
    options: BatchNormOptions = {},
  ) {
    super();
    checkOptions<BatchNormOptions>("Building batchNorm", options, "{ momentum: 0.1 }", {
      epsilon: true,
      momentum: true,
    });
    const { epsilon = 1e-5, momentum = 0.1 } = options;
    checkWhole("Building batchNorm", "channels", channels);
    const small = epsilon >= 0 && Number.isFinite(epsilon);
    checkNumber("Building batchNorm", "epsilon", epsilon, small, "a finite number of at least 0");
    const part = momentum >= 0 && momentum <= 1;
    checkNumber("Building batchNorm", "momentum", momentum, part, "a number from 0 to 1");
    this.scale = variable(ops.ones([channels]));
    this.offset = variable(ops.zeros([channels]));
    this.runningMean = variable(ops.zeros([channels]), { trainable: false });
    this.runningVariance = variable(ops.ones([channels]), { trainable: false });
    this.epsilon = epsilon;
    this.momentum = momentum;
  }

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
    if (this.#folded) {
      if (!training) return ops.clone(x);
      throw new RangeError(
        `${this.describe()}: it is part of the convolution before it since foldBatchNorm, so there is nothing left to train. ` +
          "Train a model that is not folded, and fold it afterwards.",
      );
    }
    const { scale, offset, epsilon } = this;
    if (!training || this.isFrozen) {
      return ops.batchNormInference(x, {
        mean: this.runningMean,
        variance: this.runningVariance,
        weight: scale,
        bias: offset,
        epsilon,
      });
    }
    if (x.size === this.channels) {
      throw new RangeError(
        `${this.describe()}: training needs more than one value for each channel, found an input of [${
          x.shape.join(", ")
        }]. ` +
          "Use a larger batch, or dropLast where the last batch of an epoch has one image.",
      );
    }
    return tidy(() => {
      const { y, mean, variance } = ops.batchNormTraining(x, scale, offset, epsilon, {
        mean: this.runningMean,
        variance: this.runningVariance,
        momentum: this.momentum,
      });
      this.runningMean.assign(mean);
      this.runningVariance.assign(variance);
      return y;
    });
  }

  /** Whether it has handed over what it does; see {@linkcode foldBatchNorm}. */
  get isFolded(): boolean {
    return this.#folded;
  }

  /**
   * Hands over what it does in inference, `y = factor · x + offset`, and only passes on what it is
   * given from now on, without variables; {@linkcode foldBatchNorm} calls it.
   */
  fold(): { factor: Tensor1D; offset: Tensor1D } {
    const { scale, offset, runningMean, runningVariance, epsilon } = this;
    const factor = tidy(() => ops.div(scale, ops.sqrt(ops.add(runningVariance, epsilon))));
    const shift = tidy(() => ops.sub(offset, ops.mul(runningMean, factor)));
    dispose([...this.variables().values()]);
    this.#folded = true;
    return { factor, offset: shift };
  }

  override variables(): Map<string, Variable> {
    return this.#folded ? new Map() : super.variables();
  }

  override describe(): string {
    return `batchNorm ${this.channels}${this.#folded ? ", folded" : ""}`;
  }
}

/**
 * Batch normalisation, `y = (x − mean) / √(variance + epsilon) · scale + offset` for each channel:
 * with the batch's statistics in training, with running ones in inference (Ioffe and Szegedy 2015).
 *
 * After each training batch `running = (1 − momentum) · running + momentum · batch`, with the
 * unbiased variance, as PyTorch does; TensorFlow calls `1 − momentum` the momentum. A frozen one
 * ({@linkcode Module.freeze}) runs with the running statistics in training, too, and keeps them, as
 * Keras has it; in PyTorch this takes `requires_grad_(False)` and `eval()`.
 *
 * Images `[batch, height, width, channels]` or features `[batch, channels]`; the output has the
 * input's shape.
 *
 * @throws {RangeError} If an option is out of range, the input of `forward` has other channels, or
 * in training there is one value for each channel, which has no variance.
 * @throws {TypeError} If an option is no number, or the input is not a float32 tensor.
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

/**
 * The options of {@linkcode localResponseNorm}, with the paper's constants where they are not
 * given.
 */
export interface LocalResponseNormOptions {
  /**
   * Channels that are summed: the channel and as many on each side, so an odd number; 5 unless said
   * otherwise.
   */
  size?: number;
  /** What is added to the sum (k in the paper); 2 unless said otherwise. */
  bias?: number;
  /**
   * The weight of the sum; 1e-4 unless said otherwise. PyTorch divides it by `size`, the paper does
   * not.
   */
  alpha?: number;
  /** The exponent; 0.75 unless said otherwise. */
  beta?: number;
}

/** Local response normalisation; made by {@linkcode localResponseNorm}. */
export class LocalResponseNorm extends Module<Tensor4D, Tensor4D> {
  declare readonly [shapeRule]: "same";
  readonly #options: Required<LocalResponseNormOptions>;

  /** See {@linkcode localResponseNorm}. */
  constructor(options: LocalResponseNormOptions = {}) {
    super();
    const doing = "Building localResponseNorm";
    checkOptions<LocalResponseNormOptions>(doing, options, "{ size: 5 }", {
      size: true,
      bias: true,
      alpha: true,
      beta: true,
    });
    const { size = 5, bias = 2, alpha = 1e-4, beta = 0.75 } = options;
    checkNumber(doing, "size", size, size >= 1 && size % 2 === 1, "an odd whole number");
    checkNumber(doing, "bias", bias, bias > 0 && Number.isFinite(bias), "a finite number above 0");
    const positive = alpha >= 0 && Number.isFinite(alpha);
    checkNumber(doing, "alpha", alpha, positive, "a finite number of at least 0");
    checkNumber(doing, "beta", beta, Number.isFinite(beta), "a finite number");
    this.#options = { size, bias, alpha, beta };
  }

  override forward<T extends Images>(x: T): SameShape<T> {
    checkInput(this, x, IMAGE_AXES);
    return ops.localResponseNorm(x, this.#options);
  }

  override describe(): string {
    return `localResponseNorm ${this.#options.size}`;
  }
}

/**
 * Local response normalisation across neighbouring channels,
 * `y_c = x_c / (bias + alpha · Σ x²_j)^beta` over the `size` channels j around c (Krizhevsky et al.
 * 2012, section 3.3, whose constants are the defaults). Images `[batch, height, width, channels]`;
 * the output has the input's shape.
 *
 * @throws {RangeError} If an option is out of range.
 * @throws {TypeError} If an option is no number, or the input of `forward` is not a float32 tensor.
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
