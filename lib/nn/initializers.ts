/** Initial values of parameters, drawn from the stream that `setSeed` starts. */
import { defaultRandom, ops, type Random, type RankFor, type Tensor } from "../tensor/mod.ts";

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
 * The fans of a kernel `[height, width, in, out]` or a weight `[in, out]`: the window's area times the channels.
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
  const area = shape.slice(0, -2).reduce((product, axis) => product * axis, 1);
  return { fanIn: area * (shape.at(-2) ?? 1), fanOut: area * (shape.at(-1) ?? 1) };
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
 * Normal with standard deviation `√(2 / fanIn)`, which keeps the variance of a signal through layers with relu (He et al. 2015,
 * section 2.2).
 */
export function heNormal(): Initializer {
  return scaledNormal(({ fanIn }) => Math.sqrt(2 / fanIn));
}

/** Uniform within `±√(6 / fanIn)`: the variance of {@linkcode heNormal}. */
export function heUniform(): Initializer {
  return scaledUniform(({ fanIn }) => Math.sqrt(6 / fanIn));
}

/**
 * Normal with standard deviation `√(2 / (fanIn + fanOut))`, which keeps the variance through symmetric activations such as tanh
 * (Glorot and Bengio 2010, section 4.2.1).
 */
export function xavierNormal(): Initializer {
  return scaledNormal(({ fanIn, fanOut }) => Math.sqrt(2 / (fanIn + fanOut)));
}

/** Uniform within `±√(6 / (fanIn + fanOut))`: the variance of {@linkcode xavierNormal}. */
export function xavierUniform(): Initializer {
  return scaledUniform(({ fanIn, fanOut }) => Math.sqrt(6 / (fanIn + fanOut)));
}

/** Normal with a fixed standard deviation, whatever the fans. */
export function normalInitializer(standardDeviation: number): Initializer {
  return scaledNormal(() => standardDeviation);
}

/**
 * The same value everywhere.
 *
 * @example
 * ```ts
 * import { constant, linear, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const layer = linear(2, 1, { weightInitializer: constant(3) });
 * assert.equal(layer.forward(ops.ones([1, 2])).dataSync()[0], 6);
 * ```
 */
export function constant(value: number): Initializer {
  return (shape) => ops.full(shape, value);
}
