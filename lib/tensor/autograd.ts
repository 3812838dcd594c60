import * as tf from "@tensorflow/tfjs-core";
import "./backend.ts";
import type { Rank, Scalar, Tensor, Variable } from "./types.ts";

/**
 * The gradient function of `f`: `grad(f)(x)` is `∂f(x)/∂x`, with the shape of `x`.
 *
 * Backward of a vector needs a vector: where `f(x)` has more than one element, `upstream` says with which weights its elements
 * are summed (the vector-Jacobian product `upstreamᵀ · ∂f/∂x`); without it there is no single gradient to give.
 *
 * @throws {RangeError} If `f(x)` has more than one element and `upstream` is missing or has another shape.
 *
 * @example
 * ```ts
 * import { grad, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const cube = (x: ReturnType<typeof ops.scalar>) => ops.pow(x, 3);
 * assert.equal(grad(cube)(ops.scalar(2)).dataSync()[0], 12);
 * ```
 */
export function grad<X extends Tensor, Y extends Tensor>(
  f: (x: X) => Y,
): (x: X, upstream?: Tensor) => X {
  return (x, upstream) => {
    const given = upstream;
    const weighted = (input: Tensor): Tensor => {
      const y = f(input as X);
      if (given === undefined && y.size !== 1) {
        throw new RangeError(
          `Taking a gradient: f(x) must be one number, but it has shape [${y.shape}]. ` +
            "Reduce it (sum or mean), or pass an upstream gradient of that shape as second argument.",
        );
      }
      if (given !== undefined && String(given.shape) !== String(y.shape)) {
        throw new RangeError(
          `Taking a gradient: the upstream gradient must have the shape of f(x), [${y.shape}], found [${given.shape}].`,
        );
      }
      return y;
    };
    return (given === undefined ? tf.grad(weighted)(x) : tf.grad(weighted)(x, given)) as X;
  };
}

/**
 * The value of a scalar function of `variables`, and its gradient with respect to each of them, in their order.
 *
 * @throws {RangeError} If `f` gives more than one number, or a variable has no part in it.
 *
 * @example
 * ```ts
 * import { ops, valueAndGradients, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.tensor([1, 2]));
 * const { value, gradients } = valueAndGradients(() => ops.sum(ops.square(w)), [w]);
 * assert.equal(value.dataSync()[0], 5);
 * assert.deepEqual([...gradients[0]!.dataSync()], [2, 4]);
 * ```
 */
export function valueAndGradients(
  f: () => Scalar,
  variables: readonly Variable[],
): { value: Scalar; gradients: Tensor[] } {
  let shape: number[] = [];
  const { value, grads } = tf.engine().gradients(
    () => {
      const y = f();
      shape = y.shape;
      if (y.size !== 1) {
        throw new RangeError(
          `Taking gradients: the function must give one number, but it gave shape [${shape}]. Reduce it (sum or mean) first.`,
        );
      }
      return y;
    },
    [...variables],
    undefined,
    true,
  );
  const missing = grads.findIndex((gradient) => gradient === null || gradient === undefined);
  if (missing >= 0) {
    tf.dispose([value, ...grads.filter((gradient) => gradient)]);
    throw new RangeError(
      `Taking gradients: variable ${missing} of ${variables.length}, of shape [${
        variables[missing]?.shape
      }], has no part in the value. Leave it out, or use it in the function.`,
    );
  }
  return { value: value as Scalar, gradients: grads };
}

/**
 * A tensor whose value can be replaced with `.assign(…)`: a parameter if `trainable`, else a running statistic.
 *
 * The tensor that is passed in is no longer needed afterwards; it is disposed.
 *
 * @example
 * ```ts
 * import { ops, variable } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const w = variable(ops.zeros([2]));
 * const next = ops.tensor([1, 2]);
 * w.assign(next);
 * assert.deepEqual([...w.dataSync()], [1, 2]);
 * ```
 */
export function variable<R extends Rank>(
  initial: Tensor<R>,
  { trainable = true }: { trainable?: boolean } = {},
): Variable<R> {
  const result = tf.variable(initial, trainable);
  initial.dispose();
  return result;
}

/** Whether a value is a {@linkcode variable}. */
export function isVariable(value: unknown): value is Variable {
  return value instanceof tf.Variable;
}
