/** In which floating-point type networks compute. */
import { nativeBackend } from "./backend/select.ts";
import { checkFunction, checkSynchronous, show } from "./checks.ts";

/**
 * `"fp32"`: float32 throughout; `"bf16"`: convolutions and matrix products, and what lies between
 * them, in bfloat16.
 */
export type Precision = "fp32" | "bf16";

const what = "Choosing a precision";

/**
 * Runs `f` with its convolutions and matrix products in bfloat16, for which recent processors and
 * GPUs have instructions; what follows them (activations, pooling, additions, the images in batch
 * normalisation) stays in it, at half the memory.
 *
 * bfloat16 has the range of float32 (8 bits of exponent) and 8 significant bits where float32 has
 * 24, so it holds two to three decimal digits. Parameters, their gradients, running statistics,
 * reductions and losses stay float32. To whoever reads them, tensors in bfloat16 are float32
 * tensors.
 *
 * On a processor without such instructions it computes the same, slowly.
 *
 * @throws {RangeError} If the precision is unknown, or it is `"bf16"` and another backend than
 * native TensorFlow computes.
 * @throws {TypeError} If `f` is no function, or returns a promise: after its first `await` it would
 * compute in whatever precision is in force then.
 *
 * @example
 * ```ts
 * import { backend, ops, withPrecision } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const x = ops.tensor([[1 + 1 / 512]]); // Eight significant bits do not hold this.
 * assert.equal(ops.matMul(x, x).dataSync()[0], (1 + 1 / 512) ** 2);
 * if (backend() === "tensorflow") {
 *   assert.equal(withPrecision("bf16", () => ops.matMul(x, x)).dataSync()[0], 1);
 * }
 * ```
 */
export function withPrecision<T>(precision: Precision, f: () => T): T {
  checkPrecision(precision);
  checkFunction(what, "what to run", f);
  const run = () => {
    const result = f();
    checkSynchronous(what, result);
    return result;
  };
  const native = nativeBackend();
  if (!native) return run();
  return precision === "bf16" ? native.inBfloat16(run) : native.inFloat32(run);
}

/** Refuses a precision that is unknown, or that the backend does not have. */
export function checkPrecision(precision: Precision): void {
  if (precision !== "fp32" && precision !== "bf16") {
    throw new RangeError(`${what}: it must be "fp32" or "bf16", found ${show(precision)}.`);
  }
  if (precision === "bf16" && !nativeBackend()) {
    throw new RangeError(
      `${what}: "bf16" needs native TensorFlow, found another backend. In the resnet-lab folder run: npx --yes deno@2.9.6 task doctor`,
    );
  }
}
