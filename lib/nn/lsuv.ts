import { checkOptions, isTensor, ops, tidy, type Variable } from "../tensor/mod.ts";
import { checkModule, checkNumber, checkWhole } from "./checks.ts";
import { Conv2d } from "./conv.ts";
import { Linear } from "./linear.ts";
import type { AnyModule, InputOf } from "./module.ts";
import { onForward } from "./observe.ts";

const DOING = "Scaling layers to unit variance";

/**
 * Layer-sequential unit-variance initialisation (Mishkin and Matas 2016): in the order of the
 * forward pass, divides the weights of each convolution and linear layer by the standard deviation
 * of what it gives for `input`, until that is 1 within `tolerance`.
 *
 * Frozen layers keep their weights. Weights that several layers share, or of a layer that runs
 * several times, are scaled for the first that runs.
 *
 * @returns The standard deviation of each layer's output before the change, by path.
 * @throws {RangeError} If a layer gives the same value everywhere, so that no scale makes its
 * variance 1, or an option is out of range; the model is as it was then.
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
  options: { tolerance?: number; maxPasses?: number } = {},
): Map<string, number> {
  checkModule(DOING, "the model", model);
  checkOptions<typeof options>(DOING, options, "{ tolerance: 0.01 }", {
    tolerance: true,
    maxPasses: true,
  });
  const { tolerance = 0.01, maxPasses = 10 } = options;
  checkNumber(DOING, "tolerance", tolerance, tolerance > 0, "a number above 0");
  checkWhole(DOING, "maxPasses", maxPasses);
  const trained = new Set(model.parameters());
  /** Each weight by the first layer that runs with it. */
  const layers = new Map<Variable, { path: string; layer: AnyModule }>();
  tidy(() => {
    onForward(model, input, ({ path, module }) => {
      const weights = weightsOf(module);
      if (!weights || !trained.has(weights) || layers.has(weights)) return;
      layers.set(weights, { path, layer: module });
    });
  });
  const before = new Map<string, number>();
  const originals = [...layers.keys()].map((weights) => ({ weights, value: ops.clone(weights) }));
  try {
    for (const [weights, { path, layer }] of layers) {
      for (let pass = 0; pass < maxPasses; pass++) {
        const deviation = outputDeviation(model, input, layer);
        if (!(deviation > 0 && Number.isFinite(deviation))) {
          throw new RangeError(
            `${DOING}: the output of ${path} (${layer.describe()}) must vary, but its standard deviation is ${deviation}.`,
          );
        }
        if (pass === 0) before.set(path, deviation);
        if (Math.abs(deviation - 1) < tolerance) break;
        tidy(() => weights.assign(ops.div(weights, deviation)));
      }
    }
  } catch (error) {
    for (const { weights, value } of originals) weights.assign(value);
    throw error;
  } finally {
    for (const { value } of originals) value.dispose();
  }
  return before;
}

/** The weights of a convolution or a linear layer. */
function weightsOf(module: AnyModule): Variable | undefined {
  if (module instanceof Conv2d) return module.weight;
  return module instanceof Linear ? module.weight : undefined;
}

/** The standard deviation of what one layer gives when it first runs. */
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
