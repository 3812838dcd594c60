import { ops, type Tensor, tidy } from "../tensor/mod.ts";
import { vectorNorm } from "../tensor/internal.ts";

/**
 * Returns the global norm of the gradients, `√(Σ g²)`: the L2 norm of all gradients as one vector.
 * It is finite if and only if every gradient is.
 *
 * @throws {RangeError} If `gradients` is empty.
 * @throws {TypeError} If a gradient is neither a float32 nor an int32 tensor, or was disposed.
 *
 * @example
 * ```ts
 * import { gradientNorm, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.equal(gradientNorm([ops.tensor([3]), ops.tensor([[0], [4]])]), 5);
 * ```
 */
export function gradientNorm(gradients: readonly Tensor[]): number {
  if (gradients.length === 0) {
    throw new RangeError("Measuring gradients: there must be at least one gradient, found none.");
  }
  return vectorNorm(gradients);
}

/**
 * Clips gradients by their global norm (Pascanu et al. 2013, algorithm 1): if the norm is larger
 * than `maxNorm`, every gradient is multiplied by `maxNorm / norm`, which keeps the direction.
 *
 * @param norm The {@linkcode gradientNorm} of the gradients.
 * @returns New tensors, or the gradients themselves if their norm is not larger.
 */
export function clipGradients(
  gradients: readonly Tensor[],
  norm: number,
  maxNorm: number,
): readonly Tensor[] {
  if (!(norm > maxNorm)) return gradients;
  const factor = maxNorm / norm;
  // float32 stores a very small factor with few digits, so such a factor is applied in two parts.
  const part = factor < 1e-30 ? 2 ** -64 : 1;
  return gradients.map((gradient): Tensor =>
    part === 1
      ? ops.mul(gradient, factor)
      : tidy(() => ops.mul(ops.mul(gradient, part), factor / part))
  );
}
