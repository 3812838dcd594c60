import {
  dependsOn,
  dispose,
  isTensor,
  keep,
  ops,
  Random,
  type Tensor,
  tidy,
  type Variable,
} from "../tensor/mod.ts";
import { watchVariables } from "../tensor/internal.ts";
import { checkInputShape, checkModule } from "./checks.ts";
import { Conv2d } from "./conv.ts";
import { innermostRunning } from "./forward_guard.ts";
import type { AnyModule } from "./module.ts";
import { BatchNorm } from "./norm.ts";
import { onForward, withForwardHook } from "./observe.ts";

/** A batch norm that takes what a convolution gives. */
interface Pair {
  readonly conv: Conv2d<number, number>;
  readonly batchNorm: BatchNorm<number>;
  /** Of the batch norm. */
  readonly path: string;
  /** What the convolution gave. */
  readonly maps: Tensor;
}

/**
 * Makes each batch norm that directly follows a convolution part of it, for faster inference: with
 * `factor = scale / √(variance + epsilon)`, `kernel′ = kernel · factor` and
 * `bias′ = (bias − mean) · factor + offset` (Jacob et al. 2018, section 3.2). The convolution adds
 * its bias on its way, so a pass over memory is saved.
 *
 * The model is changed, and gives what it gave before up to rounding. A batch norm that is folded
 * only passes on its input and has no variables, so the model cannot be trained, and its weights
 * fit no other; save those of the unfolded one. What is not folded stays as it is: a batch norm
 * behind something else than a convolution, as half of those in a ResNet v2, one whose convolution
 * feeds something else as well, one that runs more than once or whose convolution does, one with a
 * variable that another module holds or reads, and one where either has a `forward` of its own. A
 * convolution that another model holds as well is changed there, too.
 *
 * What follows what is found by running the model on one random input of `inputShape` (without the
 * batch axis), so it holds for models of any make whose forward pass takes one way for all inputs.
 * In PyTorch this is `torch.fx.experimental.optimization.fuse`.
 *
 * @returns The paths of the batch norms that were folded.
 * @throws {RangeError} If a layer does not fit its input, or `inputShape` are not whole numbers
 * above 0.
 * @throws {TypeError} If the model is not a module, gives no tensor, or goes through a step without
 * a gradient.
 *
 * @example
 * ```ts
 * import { foldBatchNorm, ops, resnet } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet({ block: "basic", stages: [1], stem: "cifar", channels: 4, classes: 10 });
 * const image = ops.ones([1, 8, 8, 3]);
 * const [before] = model.forward(image).dataSync();
 * assert.deepEqual(foldBatchNorm(model, [8, 8, 3]), ["bn1", "layer1.0.bn1", "layer1.0.bn2"]);
 * const [after] = model.forward(image).dataSync();
 * assert(Math.abs(after! - before!) < 1e-5);
 *
 * assert.throws(() => model.forward(image, { training: true }), /nothing left to train/);
 * ```
 */
export function foldBatchNorm(model: AnyModule, inputShape: readonly number[]): string[] {
  const doing = "Folding batch norms";
  checkModule(doing, "the model", model);
  checkInputShape(doing, inputShape);
  const kept: Tensor[] = [];
  try {
    return tidy(() => {
      const input = new Random(0).normal([1, ...inputShape]);
      const pairs = findPairs(model, input, kept);
      const seenElsewhere = usedElsewhere(model, input, pairs, kept);
      const alone = pairs.filter((_, i) => !seenElsewhere[i]);
      for (const { conv, batchNorm } of alone) {
        const { factor, offset } = batchNorm.fold();
        conv.rescale(factor, offset);
      }
      return alone.map(({ path }) => path);
    });
  } finally {
    dispose(kept);
  }
}

/**
 * Each convolution with a batch norm that takes what it gives as it is, where each runs once and
 * shares no variable.
 */
function findPairs(model: AnyModule, input: Tensor, kept: Tensor[]): Pair[] {
  const modules = [...model.namedModules().values()];
  const isPlain = new Set(
    modules.filter((module) =>
      hasForwardOf(module, Conv2d.prototype) || hasForwardOf(module, BatchNorm.prototype)
    ),
  );
  /** The modules that hold a variable, and those that read it as they run. */
  const users = new Map<Variable, Set<AnyModule | undefined>>();
  const use = (variable: Variable, user: AnyModule | undefined) =>
    users.set(variable, (users.get(variable) ?? new Set()).add(user));
  for (const module of modules) {
    for (const variable of module.variables().values()) use(variable, module);
  }
  const given = new Map<unknown, Conv2d<number, number>>();
  const runs = new Map<AnyModule, number>();
  const pairs: Pair[] = [];
  watchVariables(
    (variable) => use(variable, innermostRunning()),
    () =>
      onForward(model, input as never, ({ path, module, input, output }) => {
        runs.set(module, (runs.get(module) ?? 0) + 1);
        if (!isPlain.has(module)) return;
        if (module instanceof Conv2d) given.set(output, module);
        const conv = given.get(input);
        if (!(module instanceof BatchNorm) || module.isFolded || !conv || !isTensor(input)) return;
        const maps = keep(ops.clone(input));
        kept.push(maps);
        pairs.push({ conv, batchNorm: module, path, maps });
      }),
  );
  const isAlone = (module: AnyModule) =>
    runs.get(module) === 1 &&
    [...module.variables().values()].every((variable) => users.get(variable)?.size === 1);
  return pairs.filter(({ conv, batchNorm }) =>
    isAlone(conv) && isAlone(batchNorm) && pairs.filter((pair) => pair.conv === conv).length === 1
  );
}

/** Whether a module runs the forward of a layer, and not one of a subclass or of its own. */
function hasForwardOf(module: AnyModule, layer: AnyModule): boolean {
  return module.forward === layer.forward;
}

/**
 * Whether something else than its batch norm sees what the convolution of a pair gives: all but the
 * batch norm are given a copy, and then what the model gives must not depend on the copy.
 */
function usedElsewhere(
  model: AnyModule,
  input: Tensor,
  pairs: readonly Pair[],
  kept: Tensor[],
): boolean[] {
  const pairOf = new Map<AnyModule, Pair>(pairs.map((pair) => [pair.conv, pair]));
  const originals = new Map<AnyModule, Tensor>();
  return dependsOn(
    () =>
      withForwardHook(model, ({ module, input, forward }) => {
        const output = forward(originals.get(module) ?? input);
        const pair = pairOf.get(module);
        if (!pair || !isTensor(output)) return output;
        kept.push(keep(output));
        originals.set(pair.batchNorm, output);
        return pair.maps;
      }, () => model.forward(input as never)) as Tensor,
    pairs.map(({ maps }) => maps),
  );
}
