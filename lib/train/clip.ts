import { ops, squaredLength, type Tensor } from "../tensor/mod.ts";

/**
 * The length of all gradients seen as one vector, `√(Σ g²)`.
 *
 * @throws {RangeError} If there is no gradient.
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
    throw new RangeError("Measuring gradients: expected at least one, found none.");
  }
  using square = squaredLength(gradients);
  return Math.sqrt(square.dataSync()[0]!);
}

/**
 * The gradients, all multiplied by `maxNorm / norm` where their common norm is larger than `maxNorm` (Pascanu et al. 2013, algorithm
 * 1): the direction stays, the length is limited.
 *
 * @returns New tensors, which the caller disposes, and the {@linkcode gradientNorm} before.
 * @throws {RangeError} If `maxNorm` is not positive, or the norm not finite, so that no factor would mend it.
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
  if (!(maxNorm > 0)) {
    throw new RangeError(`Clipping gradients: maxNorm must be positive, found ${maxNorm}.`);
  }
  const norm = gradientNorm(gradients);
  if (!Number.isFinite(norm)) {
    throw new RangeError(`Clipping gradients: their norm must be finite, found ${norm}.`);
  }
  const clipped = gradients.map((gradient): Tensor =>
    norm > maxNorm ? ops.mul(gradient, maxNorm / norm) : ops.clone(gradient)
  );
  return { gradients: clipped, norm };
}
