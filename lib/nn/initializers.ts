/** Initial values of parameters, drawn from the stream that `setSeed` starts. */
import {
  defaultRandom,
  isTensor,
  ops,
  type Random,
  type RankFor,
  type Tensor,
  tidy,
  variable,
} from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkArguments, checkNumber } from "./checks.ts";

/** The connections into and out of each unit: what the scale of initial weights depends on. */
export interface Fans {
  /** Inputs summed by one output. */
  readonly fanIn: number;
  /** Outputs that one input goes to. */
  readonly fanOut: number;
}

/** Makes the initial value of a parameter of a given shape. */
export type Initializer = <const S extends readonly number[]>(
  shape: S,
  fans: Fans,
  random?: Random,
) => Tensor<RankFor<S["length"]>>;

/**
 * The fans of a kernel `[height, width, in, out]` or a weight `[in, out]`: the window's area times
 * the channels.
 *
 * A grouped kernel is `[height, width, in / groups, out]`; its fans are counted as PyTorch does, as
 * if `in / groups` were all.
 *
 * @throws {RangeError} If the shape has fewer than two axes.
 *
 * @example
 * ```ts
 * import { fansOf } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert.deepEqual(fansOf([3, 3, 16, 32]), { fanIn: 144, fanOut: 288 });
 * ```
 */
export function fansOf(shape: readonly number[]): Fans {
  const [outputs, inputs] = Array.isArray(shape) ? shape.toReversed() : [];
  if (typeof inputs !== "number" || typeof outputs !== "number") {
    throw new RangeError(
      `Counting fans: the shape must end in inputs and outputs, found ${show(shape)}.`,
    );
  }
  const area = shape.slice(0, -2).reduce((product, axis) => product * axis, 1);
  return { fanIn: area * inputs, fanOut: area * outputs };
}

/**
 * A layer's parameter with its initial value.
 *
 * @throws {TypeError} If the initializer does not give a float32 tensor of the shape.
 */
export function initialize<const S extends readonly number[]>(
  doing: string,
  shape: S,
  initializer: Initializer,
) {
  const initial = tidy(() => {
    const value = typeof initializer === "function"
      ? initializer(shape, fansOf(shape))
      : initializer;
    if (!isTensor(value) || value.dtype !== "float32" || String(value.shape) !== String(shape)) {
      throw new TypeError(
        `${doing}: the initializer must give a tensor of float32 [${shape.join(", ")}], found ${
          show(value)
        }.`,
      );
    }
    return value;
  });
  return variable(initial);
}

/**
 * Checks the arguments of what makes an initializer; a shape is what {@linkcode initialize} gives
 * one that was not called.
 */
function checkCall(name: string, given: ArrayLike<unknown>, most: number): void {
  if (!Array.isArray(given[0])) checkArguments(`Building ${name}`, given, most);
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
 * Normal with standard deviation `√(2 / fanIn)`, which keeps the variance of a signal through
 * layers with relu (He et al. 2015, section 2.2).
 *
 * @example
 * ```ts
 * import { fansOf, heNormal, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const weights = heNormal()([200, 300], fansOf([200, 300]));
 * assert(Math.abs(ops.variance(weights).dataSync()[0]! - 2 / 200) < 0.001);
 * ```
 */
export function heNormal(): Initializer {
  checkCall("heNormal", arguments, 0);
  return scaledNormal(({ fanIn }) => Math.sqrt(2 / fanIn));
}

/**
 * Uniform within `±√(6 / fanIn)`: the variance of {@linkcode heNormal}, `2 / fanIn`.
 *
 * @example
 * ```ts
 * import { fansOf, heUniform, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const weights = heUniform()([6, 100], fansOf([6, 100]));
 * assert(ops.max(ops.abs(weights)).dataSync()[0]! <= 1);
 * ```
 */
export function heUniform(): Initializer {
  checkCall("heUniform", arguments, 0);
  return scaledUniform(({ fanIn }) => Math.sqrt(6 / fanIn));
}

/**
 * Normal with standard deviation `√(2 / (fanIn + fanOut))`, which keeps the variance through
 * symmetric activations such as tanh (Glorot and Bengio 2010, section 4.2.1).
 *
 * @example
 * ```ts
 * import { fansOf, ops, xavierNormal } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const weights = xavierNormal()([100, 300], fansOf([100, 300]));
 * assert(Math.abs(ops.variance(weights).dataSync()[0]! - 2 / 400) < 0.0005);
 * ```
 */
export function xavierNormal(): Initializer {
  checkCall("xavierNormal", arguments, 0);
  return scaledNormal(({ fanIn, fanOut }) => Math.sqrt(2 / (fanIn + fanOut)));
}

/**
 * Uniform within `±√(6 / (fanIn + fanOut))`: the variance of {@linkcode xavierNormal},
 * `2 / (fanIn + fanOut)`.
 *
 * @example
 * ```ts
 * import { fansOf, ops, xavierUniform } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const weights = xavierUniform()([2, 4], fansOf([2, 4]));
 * assert(ops.max(ops.abs(weights)).dataSync()[0]! <= 1);
 * ```
 */
export function xavierUniform(): Initializer {
  checkCall("xavierUniform", arguments, 0);
  return scaledUniform(({ fanIn, fanOut }) => Math.sqrt(6 / (fanIn + fanOut)));
}

/**
 * Normal with a fixed standard deviation, whatever the fans.
 *
 * @throws {RangeError} If the standard deviation is negative or not finite.
 *
 * @example
 * ```ts
 * import { linear, normalInitializer, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = linear(100, 100, { weightInitializer: normalInitializer(0.01) });
 * assert(Math.abs(ops.variance(layer.weight).dataSync()[0]! - 0.0001) < 0.00001);
 * ```
 */
export function normalInitializer(standardDeviation: number): Initializer {
  checkCall("normalInitializer", arguments, 1);
  checkNumber(
    "Building normalInitializer",
    "standardDeviation",
    standardDeviation,
    standardDeviation >= 0 && Number.isFinite(standardDeviation),
    "a finite number of at least 0",
  );
  return scaledNormal(() => standardDeviation);
}

/**
 * The same value everywhere.
 *
 * @throws {RangeError} If the value is not finite.
 *
 * @example
 * ```ts
 * import { constantInitializer, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = linear(2, 1, { weightInitializer: constantInitializer(3) });
 * assert.equal(layer.forward(ops.ones([1, 2])).dataSync()[0], 6);
 * ```
 */
export function constantInitializer(value: number): Initializer {
  checkCall("constant", arguments, 1);
  checkNumber("Building constant", "value", value, Number.isFinite(value), "a finite number");
  return (shape) => ops.full(shape, value);
}
