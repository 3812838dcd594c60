import { ops, type SameShape, type Tensor, tidy } from "../tensor/mod.ts";
import {
  checkArguments,
  checkFinite,
  checkFunction,
  checkString,
  isTensor,
  show,
} from "../tensor/internal.ts";
import { checkInput } from "./checks.ts";
import { Module, type shapeRule } from "./module.ts";

/** A layer that applies a function to each element, such as {@linkcode relu}. */
export class Activation extends Module<Tensor, Tensor> {
  /** For the compiler only: see {@linkcode ShapeRule}. */
  declare readonly [shapeRule]: "same";
  readonly #function: (x: Tensor) => Tensor;

  /**
   * Makes a layer of a function that keeps the shape.
   *
   * @example An activation of your own
   * ```ts
   * import { Activation, ops } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const swish = () => new Activation("swish", (x) => ops.mul(x, ops.sigmoid(x)));
   * const y = swish().forward(ops.tensor([Math.log(3)])).dataSync()[0]!;
   * assert(Math.abs(y - 0.75 * Math.log(3)) < 1e-6);
   * ```
   */
  constructor(
    /** The name that {@linkcode summary} prints. */
    readonly name: string,
    f: (x: Tensor) => Tensor,
  ) {
    super();
    checkString("Building an activation", "the name", name);
    checkFunction("Building an activation", "the function", f);
    this.#function = f;
  }

  /**
   * Applies the function.
   *
   * @throws {RangeError} If the function does not keep the shape.
   */
  override forward<T extends Tensor>(x: T): SameShape<T> {
    checkInput(this, x);
    return tidy(() => {
      const y = this.#function(x);
      if (!isTensor(y) || String(y.shape) !== String(x.shape)) {
        throw new RangeError(
          `${this.name}: the output must have the shape of the input, found ${show(y)} for ${
            show(x)
          }.`,
        );
      }
      return y;
    }) as SameShape<T>;
  }

  /** Returns the name. */
  override describe(): string {
    return this.name;
  }
}

/** An activation whose function is an op of the library. */
export class OpActivation extends Activation {}

/**
 * Makes the layer `y = max(x, 0)` for each element, in any shape (Nair and Hinton 2010).
 *
 * @example
 * ```ts
 * import { ops, relu } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...relu().forward(ops.tensor([-1, 2])).dataSync()], [0, 2]);
 * ```
 */
export function relu(): Activation {
  checkArguments("Building relu", arguments, 0);
  return new OpActivation("relu", ops.relu);
}

/**
 * Makes the layer `y = x` where x is positive and `y = slope · x` elsewhere, for each element, in
 * any shape (Maas et al. 2013).
 *
 * @throws {RangeError} If the slope is not finite.
 *
 * @example
 * ```ts
 * import { leakyRelu, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...leakyRelu(0.5).forward(ops.tensor([-4, 2])).dataSync()], [-2, 2]);
 * ```
 */
export function leakyRelu(slope = 0.01): Activation {
  checkArguments("Building leakyRelu", arguments, 1);
  checkFinite("Building leakyRelu", "slope", slope);
  return new OpActivation(`leakyRelu ${slope}`, (x) => ops.leakyRelu(x, slope));
}

/**
 * Makes the layer `y = 1 / (1 + e⁻ˣ)` for each element, in any shape.
 *
 * @example
 * ```ts
 * import { ops, sigmoid } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(sigmoid().forward(ops.tensor([0])).dataSync()[0], 0.5);
 * ```
 */
export function sigmoid(): Activation {
  checkArguments("Building sigmoid", arguments, 0);
  return new OpActivation("sigmoid", ops.sigmoid);
}

/**
 * Makes the layer `y = tanh x` for each element, in any shape.
 *
 * @example
 * ```ts
 * import { ops, tanh } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual([...tanh().forward(ops.tensor([0, 100])).dataSync()], [0, 1]);
 * ```
 */
export function tanh(): Activation {
  checkArguments("Building tanh", arguments, 0);
  return new OpActivation("tanh", ops.tanh);
}

/**
 * Makes the layer `y = x · Φ(x)` for each element, in any shape, with Φ the normal distribution
 * function (Hendrycks and Gimpel 2016).
 *
 * @example
 * ```ts
 * import { gelu, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const y = gelu().forward(ops.tensor([0, 1])).dataSync();
 * assert.equal(y[0], 0);
 * assert(Math.abs(y[1]! - 0.8413447) < 1e-5);
 * ```
 */
export function gelu(): Activation {
  checkArguments("Building gelu", arguments, 0);
  return new OpActivation("gelu", ops.gelu);
}

/**
 * Makes the layer `y = x · min(max(x + 3, 0), 6) / 6` for each element, in any shape (Howard et al.
 * 2019).
 *
 * @example
 * ```ts
 * import { hardSwish, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const y = hardSwish().forward(ops.tensor([-1.5, 1.5, 5])).dataSync();
 * assert.deepEqual([...y], [-0.375, 1.125, 5]);
 * ```
 */
export function hardSwish(): Activation {
  checkArguments("Building hardSwish", arguments, 0);
  return new OpActivation("hardSwish", ops.hardSwish);
}
