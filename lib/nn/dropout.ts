import { ops, type SameShape, type Tensor, tidy } from "../tensor/mod.ts";
import { checkArguments, checkNumber, defaultRandom } from "../tensor/internal.ts";
import { checkInput } from "./checks.ts";
import { type ForwardOptions, Module, type shapeRule } from "./module.ts";

/** Dropout; made by {@linkcode dropout}. */
export class Dropout extends Module<Tensor, Tensor> {
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "same";

  /** See {@linkcode dropout}. */
  constructor(
    /** The probability with which an element is set to zero. */
    readonly rate: number,
  ) {
    super();
    const fits = rate >= 0 && rate < 1;
    const condition = "a number of at least 0 and less than 1";
    checkNumber("Building dropout", "rate", rate, fits, condition);
  }

  /** Drops elements in training; copies the input in inference. */
  override forward<T extends Tensor>(
    x: T,
    { training = false }: ForwardOptions = {},
  ): SameShape<T> {
    checkInput(this, x);
    if (!training || this.rate === 0) return ops.clone(x);
    return tidy(() => {
      const isKept = ops.greaterEqual(defaultRandom().uniform(x.shape), this.rate);
      const mask = ops.mul(ops.cast(isKept, "float32"), 1 / (1 - this.rate));
      return ops.mul(x as Tensor, mask) as Tensor as SameShape<T>;
    });
  }

  /** Returns the rate. */
  override describe(): string {
    return `dropout ${this.rate}`;
  }
}

/**
 * Makes a dropout layer. In training it sets each element to zero with probability `rate` and
 * multiplies the others by `1 / (1 − rate)`; in inference it does nothing (Srivastava et al. 2014).
 * The input has any shape.
 *
 * @throws {RangeError} If the rate is less than 0 or at least 1.
 *
 * @example
 * ```ts
 * import { dropout, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = dropout(0.5);
 * assert.deepEqual([...layer.forward(ops.ones([3])).dataSync()], [1, 1, 1]);
 * const y = layer.forward(ops.ones([100]), { training: true }).dataSync();
 * assert(y.every((value) => value === 0 || value === 2));
 * ```
 */
export function dropout(rate: number): Dropout {
  checkArguments("Building dropout", arguments, 1);
  return new Dropout(rate);
}
