import { ops, tidy, type Variable } from "../tensor/mod.ts";
import { checkModule, checkNumber, checkWhole, isTensor } from "./checks.ts";
import { Conv2d } from "./conv.ts";
import { Linear } from "./linear.ts";
import type { AnyModule, InputOf } from "./module.ts";
import { observeForward } from "./observe.ts";

/**
 * Layer-sequential unit-variance initialisation (Mishkin and Matas 2016): in the order of the forward pass, divides the weights of
 * each convolution and linear layer by the standard deviation of what it gives for `input`, until that is 1 within `tolerance`.
 *
 * @returns The standard deviation of each layer's output before the change, by path.
 * @throws {RangeError} If a layer gives the same value everywhere, so that no scale makes its variance 1.
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
  { tolerance = 0.01, maxPasses = 10 }: { tolerance?: number; maxPasses?: number } = {},
): Map<string, number> {
  checkModule("Scaling layers to unit variance", "the model", model);
  checkNumber("lsuv", "tolerance", tolerance, tolerance > 0, "a number above 0");
  checkWhole("lsuv", "maxPasses", maxPasses);
  const before = new Map<string, number>();
  for (const [path, layer] of model.namedModules()) {
    if (!(layer instanceof Conv2d || layer instanceof Linear)) continue;
    const weights: Variable = layer instanceof Conv2d ? layer.kernel : layer.weight;
    for (let pass = 0; pass < maxPasses; pass++) {
      const deviation = outputDeviation(model, input, layer);
      if (deviation === undefined) break;
      if (!(deviation > 0 && Number.isFinite(deviation))) {
        throw new RangeError(
          `Scaling ${path} (${layer.describe()}) to unit variance: its output must vary, but its standard deviation is ${deviation}.`,
        );
      }
      if (!before.has(path)) before.set(path, deviation);
      if (Math.abs(deviation - 1) < tolerance) break;
      tidy(() => weights.assign(ops.div(weights, deviation)));
    }
  }
  return before;
}

/** The standard deviation of one layer's output, undefined if the forward pass does not reach it. */
function outputDeviation<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  layer: AnyModule,
): number | undefined {
  let deviation: number | undefined;
  tidy(() => {
    observeForward(model, input, ({ module, output }) => {
      if (module !== layer || !isTensor(output)) return;
      deviation = Math.sqrt(ops.variance(output).dataSync()[0]!);
    });
  });
  return deviation;
}
