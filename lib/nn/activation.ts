import { ops, type Same, type Tensor } from "../tensor/mod.ts";
import { Module, type shapeRule } from "./module.ts";

/** A function of each element, as a layer; made by {@linkcode relu} and its like. */
export class Activation extends Module<Tensor, Tensor> {
  declare readonly [shapeRule]: "same";
  readonly #f: <T extends Tensor>(x: T) => Same<T>;

  /**
   * @param name What `summary` prints.
   * @param f The function; it must keep the shape.
   */
  constructor(readonly name: string, f: <T extends Tensor>(x: T) => Same<T>) {
    super();
    this.#f = f;
  }

  override forward<T extends Tensor>(x: T): Same<T> {
    return this.#f(x);
  }

  override describe(): string {
    return this.name;
  }
}

/**
 * `max(x, 0)` (Nair and Hinton 2010).
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
  return new Activation("relu", ops.relu);
}

/** `x` where positive, `slope · x` elsewhere. */
export function leakyRelu(slope = 0.01): Activation {
  return new Activation(`leakyRelu ${slope}`, (x) => ops.leakyRelu(x, slope));
}

/** `1 / (1 + e⁻ˣ)` */
export function sigmoid(): Activation {
  return new Activation("sigmoid", ops.sigmoid);
}

/** `tanh x` */
export function tanh(): Activation {
  return new Activation("tanh", ops.tanh);
}

/** `x · Φ(x)` with Φ the normal distribution function (Hendrycks and Gimpel 2016). */
export function gelu(): Activation {
  return new Activation("gelu", ops.gelu);
}
