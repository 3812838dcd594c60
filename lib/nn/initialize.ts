/** Initial values of the parameters of layers. */
import {
  type Random,
  type RankFor,
  type Tensor,
  tidy,
  type Variable,
  variable,
} from "../tensor/mod.ts";
import { isTensor, show } from "../tensor/internal.ts";

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
  if (typeof initializer !== "function") {
    throw new TypeError(
      `${action}: the initializer must be a function such as initializers.heNormal(), found ${
        show(initializer)
      }.`,
    );
  }
  const initial = tidy(() => {
    const value = initializer(shape, fansOf(shape));
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
