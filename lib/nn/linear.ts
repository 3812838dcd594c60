import {
  type Features,
  ops,
  tidy,
  variable,
  type Variable1D,
  type Variable2D,
} from "../tensor/mod.ts";
import { checkArguments, checkBoolean, checkInteger, checkOptions } from "../tensor/internal.ts";
import { checkInput } from "./checks.ts";
import { initialize, type Initializer } from "./initialize.ts";
import { heNormal } from "./initializers.ts";
import { Module } from "./module.ts";

/** The options of {@linkcode linear}. */
export interface LinearOptions {
  /**
   * Whether each output has a bias.
   *
   * @default true
   */
  useBias?: boolean;
  /**
   * The initial weights.
   *
   * @default heNormal()
   */
  weightInitializer?: Initializer;
}

/** A fully connected layer; made by {@linkcode linear}. */
export class Linear<InFeatures extends number, OutFeatures extends number>
  extends Module<Features<InFeatures>, Features<OutFeatures>> {
  /** The weights `[in, out]`. */
  readonly weight: Variable2D;
  /** The bias of each output `[out]`; undefined with `useBias: false`. */
  readonly bias: Variable1D | undefined;

  /** See {@linkcode linear}. */
  constructor(
    /** The number of features in. */
    readonly inFeatures: InFeatures,
    /** The number of features out. */
    readonly outFeatures: OutFeatures,
    options: LinearOptions = {},
  ) {
    super();
    const action = "Building linear";
    checkOptions<LinearOptions>(action, options, "{ useBias: false }", {
      useBias: true,
      weightInitializer: true,
    });
    const { useBias = true, weightInitializer = heNormal() } = options;
    checkInteger(action, "inFeatures", inFeatures);
    checkInteger(action, "outFeatures", outFeatures);
    checkBoolean(action, "useBias", useBias);
    this.weight = initialize(action, [inFeatures, outFeatures], weightInitializer);
    this.bias = useBias ? variable(ops.zeros([outFeatures])) : undefined;
  }

  /** Multiplies a batch of features by the weights, and adds the bias. */
  override forward(features: Features<InFeatures>): Features<OutFeatures> {
    checkInput(this, features, ["batch", ["features", this.inFeatures]]);
    return tidy(() => {
      const y = ops.matMul(features, this.weight);
      return this.bias ? ops.add(y, this.bias) : y;
    });
  }

  /** Returns the numbers of features in and out. */
  override describe(): string {
    return `linear ${this.inFeatures} → ${this.outFeatures}`;
  }

  /** Returns one multiply-accumulate for each weight. */
  override macs(): number {
    return this.weight.size;
  }
}

/**
 * Makes a fully connected layer, `y = x · weight + bias`: features `[batch, in]` to `[batch, out]`.
 *
 * The bias starts at zero.
 *
 * @throws {RangeError} If a size is not a whole number of at least 1, or the input of `forward` has
 * a different number of features.
 * @throws {TypeError} If the initializer returns weights of a different shape or dtype, or the
 * input is not a float32 tensor.
 *
 * @example
 * ```ts
 * import { linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = linear(3, 2);
 * assert.deepEqual(layer.forward(ops.zeros([5, 3])).shape, [5, 2]);
 * ```
 */
export function linear<const InFeatures extends number, const OutFeatures extends number>(
  inFeatures: InFeatures,
  outFeatures: OutFeatures,
  options?: LinearOptions,
): Linear<InFeatures, OutFeatures> {
  checkArguments("Building linear", arguments, 3);
  return new Linear(inFeatures, outFeatures, options);
}
