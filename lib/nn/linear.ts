import { type Features, ops, variable, type Variable1D, type Variable2D } from "../tensor/mod.ts";
import { checkInput, checkWhole } from "./checks.ts";
import { fansOf, heNormal, type Initializer } from "./initializers.ts";
import { Module } from "./module.ts";

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
    { useBias = true, weightInitializer = heNormal() }: LinearOptions = {},
  ) {
    super();
    checkWhole("linear", "inFeatures", inFeatures);
    checkWhole("linear", "outFeatures", outFeatures);
    const shape = [inFeatures, outFeatures] as const;
    this.weight = variable(weightInitializer(shape, fansOf(shape)));
    this.bias = useBias ? variable(ops.zeros([outFeatures])) : undefined;
  }

  override forward(features: Features<InFeatures>): Features<OutFeatures> {
    checkInput("linear", features, [["batch", null], ["features", this.inFeatures]]);
    const y = ops.matMul(features, this.weight);
    return this.bias ? ops.add(y, this.bias) : y;
  }

  override describe(): string {
    return `linear ${this.inFeatures} → ${this.outFeatures}`;
  }

  override macs(): number {
    return this.weight.size;
  }
}

/** The options of {@linkcode linear}. */
export interface LinearOptions {
  /** Whether a number is added to each output. */
  useBias?: boolean;
  /** The initial weights. */
  weightInitializer?: Initializer;
}

/**
 * A fully connected layer, `y = x · weight + bias`: features `[batch, in]` to `[batch, out]`.
 *
 * The weights start as {@linkcode heNormal}, the bias at zero.
 *
 * @throws {RangeError} If a size is not a whole number of at least 1.
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
  return new Linear(inFeatures, outFeatures, options);
}
