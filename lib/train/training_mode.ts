/** The check that batch norms and dropouts run in training mode while a model is trained. */
import { BatchNorm } from "../nn/mod.ts";
import type { AnyModule, ForwardOptions } from "../nn/mod.ts";
import { Dropout, withForwardHook } from "../nn/internal.ts";

/**
 * Runs the forward pass of a training step, and checks that it says of each batch norm and dropout
 * whether it runs in training. A module whose `forward` does not pass its options on would
 * otherwise train with layers in inference, without a sign of it.
 *
 * Frozen layers need no options. A layer that also runs with options, such as in an objective that
 * runs the model twice, passes.
 *
 * @throws {RangeError} If such a layer runs without options; the message names its path.
 */
export function checkTrainingMode<T>(action: string, model: AnyModule, run: () => T): T {
  const withOptions = new Set<AnyModule>();
  const without = new Map<AnyModule, string>();
  /** The modules that run now, the outermost first, with the options that each received. */
  const running: { module: AnyModule; options: ForwardOptions | undefined }[] = [];
  const result = withForwardHook(model, ({ path, module, input, options, forward }) => {
    if (options?.training !== undefined) withOptions.add(module);
    else if (dependsOnTraining(module)) {
      const caller = running.findLast(({ options }) => options?.training !== undefined)?.module;
      without.set(
        module,
        `${path || "the model"} (${module.describe()}) without options ${
          caller
            ? `in the forward pass of ${caller.describe()}. Pass options on, as forward(x, options)`
            : "in the objective. Run the model as model.forward(images, { training: true })"
        }, or { training: false } to keep a layer in inference.`,
      );
    }
    running.push({ module, options });
    try {
      return forward(input);
    } finally {
      running.pop();
    }
  }, run);
  for (const [module, found] of without) {
    if (withOptions.has(module)) continue;
    throw new RangeError(
      `${action}: each batch norm and dropout must receive { training: true }, found ${found}`,
    );
  }
  return result;
}

function dependsOnTraining(module: AnyModule): boolean {
  if (module.isFrozen) return false;
  return module instanceof BatchNorm
    ? !module.isFolded
    : module instanceof Dropout && module.rate > 0;
}
