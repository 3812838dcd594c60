import {
  type Features,
  type Images,
  ops,
  type Same,
  type Tensor,
  type Tensor1D,
  tidy,
  variable,
  type Variable1D,
} from "../tensor/mod.ts";
import { checkInput, checkWhole, imageAxes } from "./checks.ts";
import { type ForwardOptions, Module, type shapeRule } from "./module.ts";

/** The options of {@linkcode batchNorm}. */
export interface BatchNormOptions {
  /** What is added to the variance under the root. */
  epsilon?: number;
  /** The weight of a new batch in the running statistics: 0.1 is PyTorch's default, and TensorFlow's momentum of 0.9. */
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

  /** See {@linkcode batchNorm}. */
  constructor(
    readonly channels: Channels,
    { epsilon = 1e-5, momentum = 0.1 }: BatchNormOptions = {},
  ) {
    super();
    checkWhole("batchNorm", "channels", channels);
    if (!(momentum >= 0 && momentum <= 1)) {
      throw new RangeError(`Building batchNorm: momentum must be from 0 to 1, found ${momentum}.`);
    }
    if (!(epsilon >= 0)) {
      throw new RangeError(`Building batchNorm: epsilon must not be negative, found ${epsilon}.`);
    }
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
  ): Same<T> {
    checkInput(
      "batchNorm",
      x,
      x.rank === 2 ? [["batch", null], ["features", this.channels]] : imageAxes(this.channels),
    );
    const { scale, offset, epsilon } = this;
    if (!training) {
      return ops.batchNormInference(x, {
        mean: this.runningMean,
        variance: this.runningVariance,
        scale,
        offset,
        epsilon,
      });
    }
    if (x.size === this.channels) {
      throw new RangeError(
        `batchNorm: training needs more than one value for each channel, found an input of [${x.shape}]. ` +
          "Use a larger batch, or dropLast where the last batch of an epoch has one image.",
      );
    }
    return tidy(() => {
      const { y, mean, variance } = ops.batchNormTraining(x, scale, offset, epsilon);
      this.#follow(this.runningMean, mean);
      this.#follow(this.runningVariance, variance);
      return y;
    });
  }

  #follow(running: Variable1D, batch: Tensor1D): void {
    running.assign(ops.add(ops.mul(running, 1 - this.momentum), ops.mul(batch, this.momentum)));
  }

  override describe(): string {
    return `batchNorm ${this.channels}`;
  }
}

/**
 * Batch normalisation, `y = (x − mean) / √(variance + epsilon) · scale + offset` for each channel: with the batch's statistics in
 * training, with running ones in inference (Ioffe and Szegedy 2015).
 *
 * After each training batch `running = (1 − momentum) · running + momentum · batch`, with the unbiased variance, as PyTorch does;
 * TensorFlow calls `1 − momentum` the momentum.
 *
 * @throws {RangeError} If in training there is one value for each channel, which has no variance.
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
  return new BatchNorm(channels, options);
}

/** Local response normalisation; made by {@linkcode localResponseNorm}. */
export class LocalResponseNorm extends Module<Images, Tensor> {
  declare readonly [shapeRule]: "same";

  /** See {@linkcode localResponseNorm}. */
  constructor(readonly options: Parameters<typeof ops.localResponseNorm>[1]) {
    super();
  }

  override forward<T extends Images>(x: T): Same<T> {
    checkInput("localResponseNorm", x, imageAxes(null));
    return ops.localResponseNorm(x, this.options);
  }

  override describe(): string {
    return "localResponseNorm";
  }
}

/**
 * Local response normalisation across neighbouring channels, `y_c = x_c / (bias + alpha · Σ x²_j)^beta` over `size` channels around c
 * (Krizhevsky et al. 2012, section 3.3, whose constants are the defaults).
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
export function localResponseNorm(
  options?: { size?: number; bias?: number; alpha?: number; beta?: number },
): LocalResponseNorm {
  return new LocalResponseNorm(options);
}
