import { ops, type Tensor, tidy, vectorNorm } from "../tensor/mod.ts";

/**
 * The length of all gradients seen as one vector, `√(Σ g²)`. It is finite exactly where all
 * gradients are.
 *
 * @throws {RangeError} If there is no gradient.
 * @throws {TypeError} If one is no tensor of numbers, or was disposed.
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
  return vectorNorm(gradients);
}

/**
 * The gradients, all multiplied by `maxNorm / norm` where their common norm is larger than
 * `maxNorm` (Pascanu et al. 2013, algorithm 1): the direction stays, the length is limited.
 *
 * @returns New tensors, which the caller disposes, and the {@linkcode gradientNorm} before.
 * @throws {RangeError} If `maxNorm` is not positive, or a gradient not finite, so that no factor
 * would mend it.
 * @throws {TypeError} If one is no float32 tensor, or was disposed.
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
  if (!(typeof maxNorm === "number" && maxNorm > 0)) {
    throw new RangeError(`Clipping gradients: maxNorm must be positive, found ${maxNorm}.`);
  }
  const norm = gradientNorm(gradients);
  if (!Number.isFinite(norm)) {
    throw new RangeError(`Clipping gradients: their norm must be finite, found ${norm}.`);
  }
  // A factor so small that float32 would hold few of its digits is applied in two parts.
  const factor = maxNorm / norm, part = factor < 1e-30 ? 2 ** -64 : 1;
  const shortened = (gradient: Tensor): Tensor =>
    part === 1
      ? ops.mul(gradient, factor)
      : tidy(() => ops.mul(ops.mul(gradient, part), factor / part));
  const clipped = gradients.map((gradient): Tensor =>
    norm > maxNorm ? shortened(gradient) : ops.clone(gradient)
  );
  return { gradients: clipped, norm };
}
