/** The floating-point type in which networks compute. */
import { nativeBackend, nativeCpuBackend } from "./backend/select.ts";
import { remedyBy } from "./installation.ts";
import { checkFunction, checkOneOf, checkSynchronous } from "./checks.ts";

/**
 * `"fp32"`: float32 throughout; `"bf16"`: bfloat16 for convolutions and matrix products, and for
 * the ops between them.
 */
export type Precision = "fp32" | "bf16";

const ACTION = "Choosing a precision";

/**
 * Runs `f` in a precision. With `"bf16"`, convolutions and matrix products compute in bfloat16, for
 * which recent processors and GPUs have instructions. The ops that follow them (activations,
 * pooling, additions, the feature maps in batch normalisation) stay in bfloat16, at half the
 * memory.
 *
 * bfloat16 has the range of float32 (8 bits of exponent) and 8 significant bits where float32 has
 * 24, so it holds two to three decimal digits. Parameters, their gradients, running statistics,
 * reductions and losses stay float32. Tensors in bfloat16 are read as float32 tensors.
 *
 * A processor without such instructions computes the same, slowly.
 *
 * @throws {RangeError} If the precision is unknown, or it is `"bf16"` and a backend other than
 * native TensorFlow is in use.
 * @throws {TypeError} If the precision is not a string, `f` is not a function, or `f` returns a
 * promise: after its first `await` it would compute in the precision that is in force then.
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
  checkFunction(ACTION, "the work", f);
  const run = () => {
    const result = f();
    checkSynchronous(ACTION, result);
    return result;
  };
  const native = nativeBackend();
  if (!native) return run();
  return precision === "bf16" ? native.autocast.inBfloat16(run) : native.autocast.inFloat32(run);
}

/**
 * Returns the precision in which networks run faster here, and says so once: bfloat16 on processors
 * with instructions for it. On others bfloat16 takes several times as long as float32.
 */
function fastestPrecision(): Precision {
  const native = nativeCpuBackend();
  if (!native) return "fp32";
  if (fastest) return fastest;
  const features = native.processorFeatures;
  const [instructions] = /amx_bf16|avx512_bf16/.exec(features ?? "") ?? [];
  fastest = instructions === undefined ? "fp32" : "bf16";
  const reason = instructions !== undefined
    ? `this processor has instructions for bfloat16 (${instructions})`
    : features !== undefined
    ? "this processor has no instructions for bfloat16"
    : "the features of the processor are known only on Linux, with --allow-all";
  console.info(`The precision "auto" is "${fastest}": ${reason}.`);
  return fastest;
}

let fastest: Precision | undefined;

/** Returns the precision that an option means. */
export function precisionOf(option: Precision | "auto" = "fp32"): Precision {
  return option === "auto" ? fastestPrecision() : option;
}

/** Checks that a precision exists and that the backend supports it. */
export function checkPrecision(
  precision: Precision | "auto",
  allowed: readonly string[] = ["fp32", "bf16"],
): void {
  checkOneOf(ACTION, "the precision", precision, allowed);
  if (precision === "bf16" && !nativeBackend()) {
    throw new RangeError(
      `${ACTION}: the backend must be native TensorFlow for "bf16", found another one. ${
        remedyBy("doctor")
      }`,
    );
  }
}
