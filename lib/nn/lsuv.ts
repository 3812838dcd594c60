import { checkOptions, isTensor, ops, tidy, type Variable } from "../tensor/mod.ts";
import { checkModule, checkNumber, checkWhole } from "./checks.ts";
import { Conv2d } from "./conv.ts";
import { Linear } from "./linear.ts";
import type { AnyModule, InputOf } from "./module.ts";
import { observeForward } from "./observe.ts";

const DOING = "Scaling layers to unit variance";

/**
 * Layer-sequential unit-variance initialisation (Mishkin and Matas 2016): in the order of the forward pass, divides the weights of
 * each convolution and linear layer by the standard deviation of what it gives for `input`, until that is 1 within `tolerance`.
 *
 * @returns The standard deviation of each layer's output before the change, by path.
 * @throws {RangeError} If a layer gives the same value everywhere, so that no scale makes its variance 1, or an option is out of
 * range.
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
  const layers = new Map<AnyModule, { path: string; weights: Variable }>();
  tidy(() => {
    observeForward(model, input, ({ path, module }) => {
      if (layers.has(module)) return;
      if (module instanceof Conv2d) layers.set(module, { path, weights: module.kernel });
      if (module instanceof Linear) layers.set(module, { path, weights: module.weight });
    });
  });
  const before = new Map<string, number>();
  for (const [layer, { path, weights }] of layers) {
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
  return before;
}

/** The standard deviation of what one layer gives. */
function outputDeviation<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  layer: AnyModule,
): number {
  let deviation = NaN;
  tidy(() => {
    observeForward(model, input, ({ module, output }) => {
      if (module !== layer || !isTensor(output)) return;
      deviation = ops.sqrt(ops.variance(output)).dataSync()[0] ?? NaN;
    });
  });
  return deviation;
}
