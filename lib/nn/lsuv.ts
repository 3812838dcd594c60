import { ops, tidy, type Variable } from "../tensor/mod.ts";
import { checkInteger, checkNumber, checkOptions, isTensor } from "../tensor/internal.ts";
import { checkModule } from "./checks.ts";
import { Conv2d } from "./conv.ts";
import { onForward } from "./hooks.ts";
import { Linear } from "./linear.ts";
import type { AnyModule, InputOf } from "./module.ts";

const ACTION = "Scaling layers to unit variance";

/** The options of {@linkcode lsuv}. */
export interface LsuvOptions {
  /**
   * The largest distance of a standard deviation from 1.
   *
   * @default 0.01
   */
  tolerance?: number;
  /**
   * Maximum number of forward passes for one layer.
   *
   * @default 10
   */
  maxPasses?: number;
}

/**
 * Initialises weights by layer-sequential unit variance (Mishkin and Matas 2016): in the order of
 * the forward pass, divides the weights of each convolution and linear layer by the standard
 * deviation of the layer's output for `input`, until that is 1 within `tolerance`.
 *
 * Frozen layers keep their weights. Weights that are used more than once are scaled for their first
 * use.
 *
 * @returns The standard deviation of each layer's output before the change, by path.
 * @throws {RangeError} If an option is out of range, or the output of a layer is constant, so that
 * no factor makes its variance 1. The model is unchanged then.
 * @throws {TypeError} If the model is not a module.
 *
 * @example
 * ```ts
 * import { linear, lsuv, ops, Random, relu, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = sequential(linear(16, 32), relu(), linear(32, 8));
 * const input = new Random(1).normal([64, 16]);
 * lsuv(model, input);
 * const variance = ops.variance(model.forward(input)).dataSync()[0];
 * assert(Math.abs(variance! - 1) < 0.05);
 * ```
 */
export function lsuv<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  options: LsuvOptions = {},
): Map<string, number> {
  checkModule(ACTION, "the model", model);
  checkOptions<LsuvOptions>(ACTION, options, "{ tolerance: 0.01 }", {
    tolerance: true,
    maxPasses: true,
  });
  const { tolerance = 0.01, maxPasses = 10 } = options;
  checkNumber(ACTION, "tolerance", tolerance, tolerance > 0, "a number above 0");
  checkInteger(ACTION, "maxPasses", maxPasses);
  const trained = new Set(model.parameters());
  /** The first layer that runs with each weight. */
  const layers = new Map<Variable, { path: string; layer: AnyModule }>();
  tidy(() => {
    onForward(model, input, ({ path, module }) => {
      const weight = module instanceof Conv2d || module instanceof Linear
        ? module.weight
        : undefined;
      if (!weight || !trained.has(weight) || layers.has(weight)) return;
      layers.set(weight, { path, layer: module });
    });
  });
  const before = new Map<string, number>();
  const originals = [...layers.keys()].map((weight) => ({ weight, value: ops.clone(weight) }));
  try {
    for (const [weight, { path, layer }] of layers) {
      for (let pass = 0; pass < maxPasses; pass++) {
        const deviation = outputDeviation(model, input, layer);
        if (!(deviation > 0 && Number.isFinite(deviation))) {
          throw new RangeError(
            `${ACTION}: the output of ${path} (${layer.describe()}) must have a finite standard deviation above 0, found ${deviation}.`,
          );
        }
        if (pass === 0) before.set(path, deviation);
        if (Math.abs(deviation - 1) < tolerance) break;
        tidy(() => weight.assign(ops.div(weight, deviation)));
      }
    }
  } catch (error) {
    for (const { weight, value } of originals) weight.assign(value);
    throw error;
  } finally {
    for (const { value } of originals) value.dispose();
  }
  return before;
}

/** Returns the standard deviation of a layer's output when it first runs. */
function outputDeviation<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  layer: AnyModule,
): number {
  let deviation: number | undefined;
  tidy(() => {
    onForward(model, input, ({ module, output }) => {
      if (module !== layer || !isTensor(output) || deviation !== undefined) return;
      deviation = ops.sqrt(ops.variance(output)).dataSync()[0];
    });
  });
  return deviation ?? NaN;
}
