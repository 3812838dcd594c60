/** Matrix products. */
import * as tf from "@tensorflow/tfjs-core";
import { checkBoolean, checkOptions, checkTensor, NUMERIC } from "../checks.ts";
import "../kernels/native_overrides.ts";
import type { Tensor2D, Tensor3D } from "../types.ts";

/**
 * Multiplies matrices, `[n, k] · [k, m] → [n, m]`. Either matrix may be transposed first.
 *
 * @default { transposeA: false, transposeB: false }
 *
 * @throws {RangeError} If the inner sizes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const a = ops.tensor([[1, 2], [3, 4]]);
 * assert.deepEqual(ops.matMul(a, ops.tensor([[1], [1]])).arraySync(), [[3], [7]]);
 * const row = ops.tensor([[1, 1]]);
 * assert.deepEqual(ops.matMul(a, row, { transposeB: true }).arraySync(), [[3], [7]]);
 * ```
 */
export function matMul(
  a: Tensor2D,
  b: Tensor2D,
  options: { transposeA?: boolean; transposeB?: boolean } = {},
): Tensor2D {
  const action = "Multiplying matrices";
  checkOptions<typeof options>(action, options, "{ transposeB: true }", {
    transposeA: true,
    transposeB: true,
  });
  const { transposeA = false, transposeB = false } = options;
  checkBoolean(action, "transposeA", transposeA);
  checkBoolean(action, "transposeB", transposeB);
  checkTensor(action, a, { name: "the left matrix", axes: ["n", "k"], dtype: NUMERIC });
  checkTensor(action, b, { name: "the right matrix", axes: ["k", "m"], dtype: NUMERIC });
  const inner = a.shape[transposeA ? 0 : 1];
  const other = b.shape[transposeB ? 1 : 0];
  if (inner !== other) {
    throw new RangeError(
      `${action} [${a.shape}]${transposeA ? "ᵀ" : ""} and [${b.shape}]${
        transposeB ? "ᵀ" : ""
      }: the inner sizes must be equal, found ${inner} and ${other}.`,
    );
  }
  return tf.matMul<Tensor2D>(a, b, transposeA, transposeB);
}

/**
 * Multiplies two stacks of matrices, `[b, n, k] · [b, k, m] → [b, n, m]`.
 *
 * @throws {RangeError} If the stacks or the inner sizes differ.
 *
 * @example
 * ```ts
 * import { ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const product = ops.batchMatMul(ops.ones([5, 2, 3]), ops.ones([5, 3, 4]));
 * assert.deepEqual(product.shape, [5, 2, 4]);
 * assert.equal(product.dataSync()[0], 3);
 * ```
 */
export function batchMatMul(a: Tensor3D, b: Tensor3D): Tensor3D {
  const action = "Multiplying stacks of matrices";
  checkTensor(action, a, { name: "the left stack", axes: ["b", "n", "k"], dtype: NUMERIC });
  checkTensor(action, b, { name: "the right stack", axes: ["b", "k", "m"], dtype: NUMERIC });
  if (a.shape[0] !== b.shape[0] || a.shape[2] !== b.shape[1]) {
    throw new RangeError(
      `${action}: the shapes must be [b, n, k] and [b, k, m], found [${a.shape}] and [${b.shape}].`,
    );
  }
  return tf.matMul<Tensor3D>(a, b);
}
