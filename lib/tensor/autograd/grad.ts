/** Gradients of functions. */
import * as tf from "@tensorflow/tfjs-core";
import { gradientsWherePresent } from "./tape.ts";
import { checkArray, checkFunction, checkSynchronous, checkTensor } from "../checks.ts";
import type { SameShape, Scalar, Tensor, Variable } from "../types.ts";

/**
 * Returns the value of `f` and its gradients with respect to `inputs`. The value must depend on
 * each of them.
 */
function differentiate(
  f: () => Tensor,
  inputs: readonly Tensor[],
  upstream?: Tensor,
): { value: Tensor; gradients: Tensor[] } {
  return tf.tidy(() => {
    const { value, gradients } = gradientsWherePresent(f, inputs, upstream);
    const unused = gradients.flatMap((gradient, index) => gradient ? [] : [index]);
    if (unused.length > 0) throw new UnusedInputError(inputs, unused);
    return { value, gradients: gradients as Tensor[] };
  });
}

/**
 * Error of {@linkcode grad} and {@linkcode valueAndGradients}: the value does not depend on some of
 * its inputs.
 *
 * @example
 * ```ts
 * import { ops, valueAndGradients, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const used = variable(ops.ones([2])), unused = variable(ops.ones([3]));
 * const compute = () => valueAndGradients(() => ops.sum(used), [used, unused]);
 * assert.throws(compute, { name: "RangeError", inputs: [1] });
 * ```
 */
export class UnusedInputError extends RangeError {
  /** The positions, from 0, of all inputs that the value does not depend on. */
  readonly inputs: readonly number[];

  /**
   * Builds the error message.
   *
   * @param all All inputs.
   * @param unused The positions of the inputs that the value does not depend on.
   */
  constructor(all: readonly Tensor[], unused: readonly number[]) {
    const [first = 0] = unused, moreCount = unused.length - 3;
    const them = unused.length === 1 ? "it" : "them";
    super(
      `Taking a gradient: the value must depend on each input, found no dependence on ${
        all.length === 1
          ? `the input, of shape [${all[0]?.shape}]`
          : unused.length === 1
          ? `input ${first} (the first is 0), of shape [${all[first]?.shape}]`
          : `the inputs ${unused.slice(0, 3).join(", ")}${
            moreCount > 0 ? ` and ${moreCount} more` : ""
          } of ${all.length} (the first is 0)`
      }. Leave ${them} out, or use ${them} in the function.`,
    );
    this.inputs = unused;
  }
}

/**
 * Returns for each input whether the value of `f` depends on it, by the steps on the tape and not
 * by the numbers: `0 · x` depends on x.
 *
 * @throws {TypeError} If `f` returns no float32 tensor, or goes through a step that has no
 * gradient.
 */
export function dependsOn(f: () => Tensor, inputs: readonly Tensor[]): boolean[] {
  const action = "Finding what a value depends on";
  checkFunction(action, "f", f);
  checkArray(action, "the inputs", inputs);
  for (const x of inputs) checkTensor(action, x, { name: "an input" });
  let result: boolean[] = [];
  if (inputs.length === 0) return result;
  tf.tidy(() => {
    const { gradients } = gradientsWherePresent(() => {
      const y = f();
      checkSynchronous(action, y);
      checkTensor(action, y, { name: "the value of the function", dtype: "float32" });
      return y;
    }, inputs);
    result = gradients.map((gradient) => gradient !== undefined);
  });
  return result;
}

/**
 * Returns the gradient function of `f`: `grad(f)(x)` is `∂f(x)/∂x`, with the shape of `x`.
 *
 * Where `f(x)` has more than one element, `upstream` has a weight for each of them, and the result
 * is the vector-Jacobian product `upstreamᵀ · ∂f/∂x`.
 *
 * Gradients of gradients work through element-wise operations, reductions, matrix products and the
 * input of a convolution. They are errors through pooling, batch normalisation, relu, cross-entropy
 * and the weight of a convolution.
 *
 * @throws {RangeError} If `f(x)` has more than one element and `upstream` is missing or has a
 * different shape, or if `f(x)` does not depend on `x`.
 * @throws {TypeError} If `x`, `f(x)` or `upstream` is not float32, or `f` goes through a step that
 * has no gradient.
 *
 * @example
 * ```ts
 * import { grad, ops, type Scalar } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const cube = (x: Scalar) => ops.pow(x, 3);
 * assert.equal(grad(cube)(ops.scalar(2)).dataSync()[0], 12);
 * assert.equal(grad(grad(cube))(ops.scalar(2)).dataSync()[0], 12);
 * ```
 */
export function grad<X extends Tensor>(
  f: (x: X) => Tensor,
): (x: X, upstream?: Tensor) => SameShape<X> {
  const action = "Taking a gradient";
  checkFunction(action, "f", f);
  return (x, upstream) => {
    checkTensor(action, x, { name: "x", dtype: "float32" });
    if (upstream) {
      checkTensor(action, upstream, { name: "the upstream gradient", dtype: "float32" });
    }
    return tf.tidy(() => {
      const { gradients } = differentiate(
        () => {
          const y = f(x);
          checkSynchronous(action, y);
          checkTensor(action, y, { name: "f(x)", dtype: "float32" });
          if (!upstream && y.size !== 1) {
            throw new RangeError(
              `${action}: f(x) must be one number, found the shape [${y.shape}]. ` +
                "Reduce it (sum or mean), or pass an upstream gradient of that shape as second argument.",
            );
          }
          if (upstream && String(upstream.shape) !== String(y.shape)) {
            throw new RangeError(
              `${action}: the upstream gradient must have the shape of f(x), [${y.shape}], found [${upstream.shape}].`,
            );
          }
          return y;
        },
        [x],
        upstream,
      );
      return gradients[0] as SameShape<X>;
    });
  };
}

/** Tensors of the ranks of variables. */
export type GradientsOf<V extends readonly Variable[]> = {
  -readonly [K in keyof V]: SameShape<V[K]>;
};

/**
 * Returns the value of a scalar function of `variables`, and its gradient with respect to each of
 * them, in their order.
 *
 * @throws {RangeError} If there are no variables, `f` returns more than one number, or its value
 * does not depend on a variable.
 * @throws {TypeError} If `f` returns no float32 tensor (but a promise, for example), or goes
 * through a step that has no gradient.
 *
 * @example
 * ```ts
 * import { ops, valueAndGradients, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1, 2]));
 * const { value, gradients: [dw] } = valueAndGradients(() => ops.sum(ops.square(w)), [w]);
 * assert.equal(value.dataSync()[0], 5);
 * assert.deepEqual([...dw.dataSync()], [2, 4]);
 * ```
 */
export function valueAndGradients<const V extends readonly Variable[]>(
  f: () => Scalar,
  variables: V,
): { value: Scalar; gradients: GradientsOf<V> } {
  const action = "Taking gradients";
  checkFunction(action, "f", f);
  checkArray(action, "the variables", variables);
  if (variables.length === 0) {
    throw new RangeError(`${action}: there must be at least one variable, found none.`);
  }
  for (const x of variables) checkTensor(action, x, { name: "a variable", dtype: "float32" });
  const { value, gradients } = differentiate(() => {
    const y = f();
    checkSynchronous(action, y);
    checkTensor(action, y, { name: "the value of the function", dtype: "float32" });
    if (y.rank !== 0) {
      throw new RangeError(
        `${action}: the value of the function must be one number, found the shape [${y.shape}]. Reduce it (sum or mean) first.`,
      );
    }
    return y;
  }, variables);
  return { value: value as Scalar, gradients: gradients as GradientsOf<V> };
}
