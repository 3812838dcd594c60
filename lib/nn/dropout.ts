import { defaultRandom, ops, type SameShape, type Tensor, tidy } from "../tensor/mod.ts";
import { checkArguments, checkInput, checkNumber } from "./checks.ts";
import { type ForwardOptions, Module, type shapeRule } from "./module.ts";

/** Dropout; made by {@linkcode dropout}. */
export class Dropout extends Module<Tensor, Tensor> {
  declare readonly [shapeRule]: "same";

  /** See {@linkcode dropout}. */
  constructor(readonly rate: number) {
    super();
    checkNumber(
      "Building dropout",
      "rate",
      rate,
      rate >= 0 && rate < 1,
      "a number of at least 0 and less than 1",
    );
  }

  override forward<T extends Tensor>(
    x: T,
    { training = false }: ForwardOptions = {},
  ): SameShape<T> {
    checkInput(this, x);
    if (!training || this.rate === 0) return ops.clone(x);
    return tidy(() => {
      const kept = ops.greaterEqual(defaultRandom().uniform(x.shape), this.rate);
      const mask = ops.mul(ops.cast(kept, "float32"), 1 / (1 - this.rate));
      return ops.mul(x as Tensor, mask) as Tensor as SameShape<T>;
    });
  }

  override describe(): string {
    return `dropout ${this.rate}`;
  }
}

/**
 * In training, each element is set to zero with probability `rate` and the others are multiplied by
 * `1 / (1 − rate)`; in inference nothing happens (Srivastava et al. 2014). Any shape.
 *
 * @throws {RangeError} If the rate is negative, or 1 or more.
 *
 * @example
 * ```ts
 * import { dropout, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = dropout(0.5);
 * assert.deepEqual([...layer.forward(ops.ones([3])).dataSync()], [1, 1, 1]);
 * const kept = layer.forward(ops.ones([100]), { training: true }).dataSync();
 * assert(kept.every((value) => value === 0 || value === 2));
 * ```
 */
export function dropout(rate: number): Dropout {
  checkArguments("Building dropout", arguments, 1);
  return new Dropout(rate);
}
