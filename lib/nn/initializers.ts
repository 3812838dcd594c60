/**
 * Initial values of parameters, drawn from the random stream that `setSeed` starts.
 *
 * Each function makes an {@linkcode Initializer}, for the option `weightInitializer` of layers.
 *
 * @module
 */
import { ops } from "../tensor/mod.ts";
import { checkArguments, checkFinite, checkNumber, defaultRandom } from "../tensor/internal.ts";
import type { Fans, Initializer } from "./initialize.ts";

/**
 * Checks the arguments of a function that makes an initializer. A shape passes: where a user wrote
 * `heNormal` for `heNormal()`, {@linkcode initialize} calls it with a shape and says so itself.
 */
function checkCall(name: string, values: ArrayLike<unknown>, most: number): void {
  if (!Array.isArray(values[0])) checkArguments(`Building ${name}`, values, most);
}

function scaledNormal(deviation: (fans: Fans) => number): Initializer {
  return (shape, fans, random = defaultRandom()) =>
    random.normal(shape, { standardDeviation: deviation(fans) });
}
function scaledUniform(bound: (fans: Fans) => number): Initializer {
  return (shape, fans, random = defaultRandom()) =>
    random.uniform(shape, { min: -bound(fans), max: bound(fans) });
}

/**
 * Makes an initializer: normal with standard deviation `√(2 / fanIn)`, which keeps the variance of
 * a signal through layers with relu (He et al. 2015, section 2.2).
 *
 * @example
 * ```ts
 * import { initializers, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(200, 300, { weightInitializer: initializers.heNormal() });
 * assert(Math.abs(ops.variance(weight).dataSync()[0]! - 2 / 200) < 0.001);
 * ```
 */
export function heNormal(): Initializer {
  checkCall("initializers.heNormal", arguments, 0);
  return scaledNormal(({ fanIn }) => Math.sqrt(2 / fanIn));
}

/**
 * Makes an initializer: uniform within `±√(6 / fanIn)`, with the variance of
 * {@linkcode heNormal}, `2 / fanIn`.
 *
 * @example
 * ```ts
 * import { initializers, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(6, 100, { weightInitializer: initializers.heUniform() });
 * assert(ops.max(ops.abs(weight)).dataSync()[0]! <= 1);
 * ```
 */
export function heUniform(): Initializer {
  checkCall("initializers.heUniform", arguments, 0);
  return scaledUniform(({ fanIn }) => Math.sqrt(6 / fanIn));
}

/**
 * Makes an initializer: normal with standard deviation `√(2 / (fanIn + fanOut))`, which keeps the
 * variance of a signal through symmetric activations such as tanh (Glorot and Bengio 2010, section
 * 4.2.1).
 *
 * @example
 * ```ts
 * import { initializers, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(100, 300, { weightInitializer: initializers.xavierNormal() });
 * assert(Math.abs(ops.variance(weight).dataSync()[0]! - 2 / 400) < 0.0005);
 * ```
 */
export function xavierNormal(): Initializer {
  checkCall("initializers.xavierNormal", arguments, 0);
  return scaledNormal(({ fanIn, fanOut }) => Math.sqrt(2 / (fanIn + fanOut)));
}

/**
 * Makes an initializer: uniform within `±√(6 / (fanIn + fanOut))`, with the variance of
 * {@linkcode xavierNormal}, `2 / (fanIn + fanOut)`.
 *
 * @example
 * ```ts
 * import { initializers, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(2, 4, { weightInitializer: initializers.xavierUniform() });
 * assert(ops.max(ops.abs(weight)).dataSync()[0]! <= 1);
 * ```
 */
export function xavierUniform(): Initializer {
  checkCall("initializers.xavierUniform", arguments, 0);
  return scaledUniform(({ fanIn, fanOut }) => Math.sqrt(6 / (fanIn + fanOut)));
}

/**
 * Makes an initializer: normal with a fixed standard deviation, independent of the fans.
 *
 * @throws {RangeError} If the standard deviation is less than 0 or not finite.
 *
 * @example
 * ```ts
 * import { initializers, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = linear(100, 100, { weightInitializer: initializers.normal(0.01) });
 * assert(Math.abs(ops.variance(layer.weight).dataSync()[0]! - 0.0001) < 0.00001);
 * ```
 */
export function normal(standardDeviation: number): Initializer {
  checkCall("initializers.normal", arguments, 1);
  checkNumber(
    "Building initializers.normal",
    "standardDeviation",
    standardDeviation,
    standardDeviation >= 0 && Number.isFinite(standardDeviation),
    "a finite number of at least 0",
  );
  return scaledNormal(() => standardDeviation);
}

/**
 * Makes an initializer: the same value everywhere.
 *
 * @throws {RangeError} If the value is not finite.
 *
 * @example
 * ```ts
 * import { initializers, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = linear(2, 1, { weightInitializer: initializers.constant(3) });
 * assert.equal(layer.forward(ops.ones([1, 2])).dataSync()[0], 6);
 * ```
 */
export function constant(value: number): Initializer {
  checkCall("initializers.constant", arguments, 1);
  checkFinite("Building initializers.constant", "value", value);
  return (shape) => ops.full(shape, value);
}
