import { ops, type Tensor, tidy } from "../tensor/mod.ts";
import { checkNumber, vectorNorm } from "../tensor/internal.ts";

/**
 * The length of all gradients as one vector, `√(Σ g²)`. It is finite exactly if all gradients are.
 *
 * @throws {RangeError} If there is no gradient.
 * @throws {TypeError} If a gradient is no tensor of numbers, or was disposed.
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
 * The gradients, all multiplied by `maxNorm / norm` if their common norm is larger than `maxNorm`
 * (Pascanu et al. 2013, algorithm 1): the direction stays, the length is limited.
 *
 * @returns New tensors, which the caller disposes, and the {@linkcode gradientNorm} before.
 * @throws {RangeError} If `maxNorm` is not positive, or a gradient is not finite.
 * @throws {TypeError} If a gradient is no float32 tensor, or was disposed.
 *
 * @example
 * ```ts
 * import { clipGradients, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { gradients, norm } = clipGradients([ops.tensor([3]), ops.tensor([4])], 1);
 * assert.equal(norm, 5);
 * assert.deepEqual(gradients.map((g) => g.dataSync()[0]!.toFixed(4)), ["0.6000", "0.8000"]);
 * ```
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

/** The gradients multiplied by a factor, in new tensors. */
export function scaleGradients(gradients: readonly Tensor[], factor: number): Tensor[] {
  // A factor so small that float32 would hold few of its digits is applied in two parts.
  const part = factor < 1e-30 ? 2 ** -64 : 1;
  return gradients.map((gradient): Tensor =>
    part === 1
      ? ops.mul(gradient, factor)
      : tidy(() => ops.mul(ops.mul(gradient, part), factor / part))
  );
}
