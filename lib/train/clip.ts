import { ops, type Tensor, tidy } from "../tensor/mod.ts";
import { checkNumber, vectorNorm } from "../tensor/internal.ts";

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
 * @returns The clipped gradients as new tensors, which the caller disposes, and the
 * {@linkcode gradientNorm} before clipping.
 * @throws {RangeError} If `maxNorm` is not positive, or a gradient is not finite.
 * @throws {TypeError} If a gradient is not a float32 tensor, or was disposed.
 */
export function clipGradients(
  gradients: readonly Tensor[],
  maxNorm: number,
): { gradients: Tensor[]; norm: number } {
  const action = "Clipping gradients";
  checkNumber(action, "maxNorm", maxNorm, maxNorm > 0, "a positive number");
  const norm = gradientNorm(gradients);
  checkNumber(action, "the norm of the gradients", norm, Number.isFinite(norm), "finite");
  const clipped = norm > maxNorm
    ? scaleGradients(gradients, maxNorm / norm)
    : gradients.map((gradient): Tensor => ops.clone(gradient));
  return { gradients: clipped, norm };
}

/** Returns the gradients multiplied by a factor, as new tensors. */
export function scaleGradients(gradients: readonly Tensor[], factor: number): Tensor[] {
  // float32 stores a very small factor with few digits, so such a factor is applied in two parts.
  const part = factor < 1e-30 ? 2 ** -64 : 1;
  return gradients.map((gradient): Tensor =>
    part === 1
      ? ops.mul(gradient, factor)
      : tidy(() => ops.mul(ops.mul(gradient, part), factor / part))
  );
}
