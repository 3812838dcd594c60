import { dispose, ops, Random, type Tensor, tidy } from "../tensor/mod.ts";
import { checkNumber, defaultRandom, linkInterrupt } from "../tensor/internal.ts";
import type { Dataset } from "../data/mod.ts";
import { checkDataset, transformOf } from "../data/internal.ts";
import { type EvaluateOptions, evaluator } from "./evaluate.ts";
import type { OutputsFor } from "./fit_options.ts";
import type { ModelFor } from "./model_type_checks.ts";
import { asModel, checkRunOptions } from "./run.ts";

/** The options of {@linkcode lossSurface}. */
export interface LossSurfaceOptions<
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
  Outputs extends Tensor = OutputsFor<Targets>,
> extends Omit<EvaluateOptions<Inputs, Targets, Out, Outputs>, "metrics"> {
  /**
   * The number of points along each direction: odd, so that the model itself is in the middle.
   *
   * @default 15
   */
  points?: number;
  /**
   * The largest distance from the model along each direction, in units of the norms of the filters.
   *
   * @default 1
   */
  radius?: number;
  /**
   * Seeds the directions.
   *
   * @default drawn from the generator of setSeed
   */
  seed?: number;
}

/** The loss on a grid around the parameters of a model, from {@linkcode lossSurface}. */
export interface LossSurface {
  /** The points along each direction, from `-radius` to `radius`. */
  readonly alphas: number[];
  /**
   * `losses[row][column]` at `alphas[column]` along the first direction and `alphas[row]` along the
   * second.
   */
  readonly losses: number[][];
}

/**
 * Computes the mean loss of a model around its parameters θ, `loss(θ + α·δ + β·η)`, over two random
 * directions δ and η in which each filter has the norm of the corresponding filter of θ (Li et al.
 * 2018, section 4).
 *
 * A filter is the part of a parameter that belongs to one output channel or unit, along the last
 * axis. Parameters with one axis, which are biases and the parameters of batch norms, do not move.
 * The model runs in inference, with its running statistics, `points²` times over the data set. The
 * parameters are restored to the bit, also after an error or Stop.
 *
 * @throws {RangeError} If `points` is not an odd number of at least 3, `radius` is not positive and
 * finite, the model has no filters, or a loss is not finite (try a smaller radius), and for the
 * reasons of {@linkcode evaluate}.
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws The reason of `signal`, if it is aborted; an `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { fashionMnist, flatten, linear, lossSurface, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const options = { points: 3, radius: 0.5, seed: 1 };
 * const { alphas, losses } = await lossSurface(model, test.take(100), options);
 * assert.deepEqual(alphas, [-0.5, 0, 0.5]);
 * assert.deepEqual(losses.map((row) => row.length), [3, 3, 3]);
 * ```
 */
export async function lossSurface<
  In,
  Result extends Tensor,
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
>(
  model: ModelFor<In, Result, NoInfer<Inputs>, NoInfer<Targets>, NoInfer<Out>>,
  dataset: Dataset<Inputs, Targets>,
  options: LossSurfaceOptions<NoInfer<Inputs>, NoInfer<Targets>, Out, NoInfer<Result>> = {},
): Promise<LossSurface> {
  const action = "Computing a loss surface";
  checkDataset(action, dataset);
  const classifier = asModel(action, model);
  const given = options as object as LossSurfaceOptions<Tensor, Tensor, Tensor, Tensor>;
  checkRunOptions(action, given, "{ points: 15 }", {
    loss: true,
    points: true,
    radius: true,
    seed: true,
  });
  const { points = 15, radius = 1, seed, transform = transformOf(classifier) } = given;
  const isOdd = Number.isInteger(points) && points >= 3 && points % 2 === 1;
  checkNumber(action, "points", points, isOdd, "an odd number of at least 3");
  checkNumber(action, "radius", radius, radius > 0 && radius < Infinity, "positive and finite");
  const filters = classifier.parameters().filter(({ rank }) => rank > 1);
  if (filters.length === 0) {
    throw new RangeError(
      `${action}: the model must have filters, parameters with two axes or more, found none.`,
    );
  }
  const random = seed === undefined ? defaultRandom().fork() : new Random(seed);
  const alphas = Array.from({ length: points }, (_, i) => radius * (2 * i / (points - 1) - 1));
  const losses: number[][] = [];
  using stop = linkInterrupt(given.signal);
  using run = evaluator(action, classifier, dataset, { ...given, transform });
  const before = filters.map((filter): Tensor => ops.clone(filter));
  const first = before.map((filter) => direction(filter, random));
  const second = before.map((filter) => direction(filter, random));
  try {
    for (const beta of alphas) {
      const row: number[] = [];
      for (const alpha of alphas) {
        tidy(() =>
          filters.forEach((filter, i) => {
            const step = ops.add(ops.mul(first[i]!, alpha), ops.mul(second[i]!, beta));
            filter.assign(ops.add(before[i]!, step));
          })
        );
        row.push((await run.evaluate(stop.signal)).loss);
      }
      losses.push(row);
    }
  } finally {
    filters.forEach((filter, i) => filter.assign(before[i]!));
    dispose([before, first, second]);
  }
  return { alphas, losses };
}

/**
 * Returns normal numbers in which each filter, along the last axis, has the norm of the parameter's
 * filter.
 */
function direction(parameter: Tensor, random: Random): Tensor {
  return tidy(() => {
    const noise = random.normal(parameter.shape);
    const axes = parameter.shape.slice(0, -1).map((_, axis) => axis);
    const lengths = (x: Tensor) => ops.sqrt(ops.sum(ops.square(x), axes));
    // A random filter of a single number can be zero.
    return ops.mul(noise, ops.div(lengths(parameter), ops.add(lengths(noise), 1e-10)));
  });
}
