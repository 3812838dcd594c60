import {
  checkOptions,
  type Features,
  ops,
  tidy,
  variable,
  type Variable1D,
  type Variable2D,
} from "../tensor/mod.ts";
import { checkArguments, checkBoolean, checkInput, checkWhole } from "./checks.ts";
import { heNormal, initialize, type Initializer } from "./initializers.ts";
import { Module } from "./module.ts";

/** The options of {@linkcode linear}. */
export interface LinearOptions {
  /** Whether a number is added to each output. */
  useBias?: boolean;
  /** The initial weights. */
  weightInitializer?: Initializer;
}

/** A fully connected layer; made by {@linkcode linear}. */
export class Linear<InFeatures extends number, OutFeatures extends number>
  extends Module<Features<InFeatures>, Features<OutFeatures>> {
  /** The weights `[in, out]`. */
  readonly weight: Variable2D;
  /** What is added to each output `[out]`, if anything. */
  readonly bias: Variable1D | undefined;

  /** See {@linkcode linear}. */
  constructor(
    readonly inFeatures: InFeatures,
    readonly outFeatures: OutFeatures,
    options: LinearOptions = {},
  ) {
    super();
    checkOptions<LinearOptions>("Building linear", options, "{ useBias: false }", {
      useBias: true,
      weightInitializer: true,
    });
    const { useBias = true, weightInitializer = heNormal() } = options;
    checkWhole("Building linear", "inFeatures", inFeatures);
    checkWhole("Building linear", "outFeatures", outFeatures);
    checkBoolean("Building linear", "useBias", useBias);
    this.weight = initialize("Building linear", [inFeatures, outFeatures], weightInitializer);
    this.bias = useBias ? variable(ops.zeros([outFeatures])) : undefined;
  }

  override forward(features: Features<InFeatures>): Features<OutFeatures> {
    checkInput(this, features, ["batch", ["features", this.inFeatures]]);
    return tidy(() => {
      const y = ops.matMul(features, this.weight);
      return this.bias ? ops.add(y, this.bias) : y;
    });
  }

  override describe(): string {
    return `linear ${this.inFeatures} → ${this.outFeatures}`;
  }

  override macs(): number {
    return this.weight.size;
  }
}

/**
 * A fully connected layer, `y = x · weight + bias`: features `[batch, in]` to `[batch, out]`.
 *
 * The weights start as {@linkcode heNormal}, the bias at zero.
 *
 * @throws {RangeError} If a size is not a whole number of at least 1, or the input of `forward` has
 * another number of features.
 * @throws {TypeError} If the initializer does not give weights of the right shape, or the input is
 * not a float32 tensor.
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
