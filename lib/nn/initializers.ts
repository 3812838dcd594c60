/** Initial values of parameters, drawn from the random stream that `setSeed` starts. */
import {
  ops,
  type Random,
  type RankFor,
  type Tensor,
  tidy,
  type Variable,
  variable,
} from "../tensor/mod.ts";
import {
  checkArguments,
  checkFinite,
  checkNumber,
  defaultRandom,
  isTensor,
  show,
} from "../tensor/internal.ts";

/** The connections into and out of each unit, which set the size of the initial weights. */
export interface Fans {
  /** Inputs that one output sums. */
  readonly fanIn: number;
  /** Outputs that use one input. */
  readonly fanOut: number;
}

/** A function that returns the initial value of a parameter of a given shape. */
export type Initializer = <const S extends readonly number[]>(
  shape: S,
  fans: Fans,
  random?: Random,
) => Tensor<RankFor<S["length"]>>;

/**
 * Returns the fans of a weight `[height, width, in, out]` or `[in, out]`: the window's area times
 * the channels.
 *
 * The weight of a grouped convolution is `[height, width, in / groups, out]`. Its fans are counted
 * as in PyTorch, as if there were `in / groups` input channels.
 *
 * @throws {RangeError} If the shape has fewer than two axes.
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
 * Makes a layer's parameter with its initial value.
 *
 * @throws {TypeError} If the initializer does not return a float32 tensor of the shape.
 */
export function initialize<const S extends readonly number[]>(
  action: string,
  shape: S,
  initializer: Initializer,
): Variable<RankFor<S["length"]>> {
  const initial = tidy(() => {
    const value = typeof initializer === "function"
      ? initializer(shape, fansOf(shape))
      : initializer;
    if (!isTensor(value) || value.dtype !== "float32" || String(value.shape) !== String(shape)) {
      throw new TypeError(
        `${action}: the initializer must return a tensor of float32 [${shape.join(", ")}], found ${
          show(value)
        }.`,
      );
    }
    return value;
  });
  return variable(initial);
}

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
 * import { heNormal, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(200, 300, { weightInitializer: heNormal() });
 * assert(Math.abs(ops.variance(weight).dataSync()[0]! - 2 / 200) < 0.001);
 * ```
 */
export function heNormal(): Initializer {
  checkCall("heNormal", arguments, 0);
  return scaledNormal(({ fanIn }) => Math.sqrt(2 / fanIn));
}

/**
 * Makes an initializer: uniform within `±√(6 / fanIn)`, with the variance of
 * {@linkcode heNormal}, `2 / fanIn`.
 *
 * @example
 * ```ts
 * import { heUniform, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(6, 100, { weightInitializer: heUniform() });
 * assert(ops.max(ops.abs(weight)).dataSync()[0]! <= 1);
 * ```
 */
export function heUniform(): Initializer {
  checkCall("heUniform", arguments, 0);
  return scaledUniform(({ fanIn }) => Math.sqrt(6 / fanIn));
}

/**
 * Makes an initializer: normal with standard deviation `√(2 / (fanIn + fanOut))`, which keeps the
 * variance of a signal through symmetric activations such as tanh (Glorot and Bengio 2010, section
 * 4.2.1).
 *
 * @example
 * ```ts
 * import { linear, ops, xavierNormal } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(100, 300, { weightInitializer: xavierNormal() });
 * assert(Math.abs(ops.variance(weight).dataSync()[0]! - 2 / 400) < 0.0005);
 * ```
 */
export function xavierNormal(): Initializer {
  checkCall("xavierNormal", arguments, 0);
  return scaledNormal(({ fanIn, fanOut }) => Math.sqrt(2 / (fanIn + fanOut)));
}

/**
 * Makes an initializer: uniform within `±√(6 / (fanIn + fanOut))`, with the variance of
 * {@linkcode xavierNormal}, `2 / (fanIn + fanOut)`.
 *
 * @example
 * ```ts
 * import { linear, ops, xavierUniform } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { weight } = linear(2, 4, { weightInitializer: xavierUniform() });
 * assert(ops.max(ops.abs(weight)).dataSync()[0]! <= 1);
 * ```
 */
export function xavierUniform(): Initializer {
  checkCall("xavierUniform", arguments, 0);
  return scaledUniform(({ fanIn, fanOut }) => Math.sqrt(6 / (fanIn + fanOut)));
}

/**
 * Makes an initializer: normal with a fixed standard deviation, independent of the fans.
 *
 * @throws {RangeError} If the standard deviation is less than 0 or not finite.
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
 * Makes an initializer: the same value everywhere.
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
  checkCall("constantInitializer", arguments, 1);
  checkFinite("Building constantInitializer", "value", value);
  return (shape) => ops.full(shape, value);
}
