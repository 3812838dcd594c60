import { dispose, ops, Random, type Tensor, tidy, type Variable } from "../tensor/mod.ts";
import { dependsOn, isTensor, keep, watchVariables } from "../tensor/internal.ts";
import { checkInputShape, checkModule } from "./checks.ts";
import { Conv2d } from "./conv.ts";
import { innermostRunning } from "./forward_guard.ts";
import { onForward, withForwardHook } from "./hooks.ts";
import type { AnyModule } from "./module.ts";
import { BatchNorm } from "./norm.ts";

/** A convolution and the batch norm that takes its output. */
interface LayerPair {
  readonly conv: Conv2d<number, number>;
  readonly batchNorm: BatchNorm<number>;
  /** The path of the batch norm. */
  readonly path: string;
  /** The output of the convolution. */
  readonly maps: Tensor;
}

/**
 * Folds each batch norm that directly follows a convolution into it, for faster inference: with
 * `factor = γ / √(variance + epsilon)` for the batch norm's weight γ and bias β, the convolution
 * gets the weight `weight · factor` and the bias `(bias − mean) · factor + β` (Jacob et al. 2018,
 * section 3.2). That saves a pass over memory.
 *
 * The model is changed, and its outputs stay the same up to rounding. A folded batch norm returns
 * its input and has no variables, so the model cannot be trained. Its state dict fits no other
 * model; save the state dict of the model before folding.
 *
 * A batch norm is not folded if it follows another layer (as half of those in a ResNet v2), if it
 * or its convolution runs more than once, if another module uses the output of the convolution or
 * a variable of the two, or if either has its own `forward`. A convolution that another model
 * shares is changed there too.
 *
 * A dry run on one random input of `inputShape` (without the batch axis) finds which layer follows
 * which. So it works for every model whose forward pass takes the same path for all inputs. In
 * PyTorch this is `torch.fx.experimental.optimization.fuse`.
 *
 * @returns The paths of the batch norms that were folded.
 * @throws {RangeError} If a layer does not fit its input, or `inputShape` is not whole numbers of
 * at least 1.
 * @throws {TypeError} If the model is not a module, does not return a tensor, or uses an op without
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
  const action = "Folding batch norms";
  checkModule(action, "the model", model);
  checkInputShape(action, inputShape);
  const keptTensors: Tensor[] = [];
  try {
    return tidy(() => {
      const input = new Random(0).normal([1, ...inputShape]);
      const pairs = findPairs(model, input, keptTensors);
      const areUsedElsewhere = usedElsewhere(model, input, pairs, keptTensors);
      const foldable = pairs.filter((_, i) => !areUsedElsewhere[i]);
      for (const { conv, batchNorm } of foldable) {
        const { factor, offset } = batchNorm.fold();
        conv.rescale(factor, offset);
      }
      return foldable.map(({ path }) => path);
    });
  } finally {
    dispose(keptTensors);
  }
}

/**
 * Returns each convolution whose output a batch norm takes directly, where each runs once and
 * shares no variable.
 */
function findPairs(model: AnyModule, input: Tensor, keptTensors: Tensor[]): LayerPair[] {
  const modules = [...model.namedModules().values()];
  const plainLayers = new Set(
    modules.filter((module) =>
      hasForwardOf(module, Conv2d.prototype) || hasForwardOf(module, BatchNorm.prototype)
    ),
  );
  /** The modules that hold a variable, and the modules that read it when they run. */
  const users = new Map<Variable, Set<object | undefined>>();
  const addUser = (variable: Variable, user: object | undefined) =>
    users.set(variable, (users.get(variable) ?? new Set()).add(user));
  for (const module of modules) {
    for (const variable of module.variables().values()) addUser(variable, module);
  }
  const convOf = new Map<unknown, Conv2d<number, number>>();
  const runs = new Map<AnyModule, number>();
  const pairs: LayerPair[] = [];
  watchVariables(
    (variable) => addUser(variable, innermostRunning()),
    () =>
      onForward(model, input as never, ({ path, module, input, output }) => {
        runs.set(module, (runs.get(module) ?? 0) + 1);
        if (!plainLayers.has(module)) return;
        if (module instanceof Conv2d) convOf.set(output, module);
        const conv = convOf.get(input);
        if (!(module instanceof BatchNorm) || module.isFolded || !conv || !isTensor(input)) return;
        const maps = keep(ops.clone(input));
        keptTensors.push(maps);
        pairs.push({ conv, batchNorm: module, path, maps });
      }),
  );
  const runsOnceUnshared = (module: AnyModule) =>
    runs.get(module) === 1 &&
    [...module.variables().values()].every((variable) => users.get(variable)?.size === 1);
  return pairs.filter(({ conv, batchNorm }) =>
    runsOnceUnshared(conv) && runsOnceUnshared(batchNorm) &&
    pairs.filter((pair) => pair.conv === conv).length === 1
  );
}

/** Whether a module runs the `forward` of this layer, and not one of a subclass or its own. */
function hasForwardOf(module: AnyModule, layer: AnyModule): boolean {
  return module.forward === layer.forward;
}

/**
 * Whether anything except its batch norm uses the output of a pair's convolution. Everything except
 * the batch norm gets a copy; the output of the model must not depend on the copy.
 */
function usedElsewhere(
  model: AnyModule,
  input: Tensor,
  pairs: readonly LayerPair[],
  keptTensors: Tensor[],
): boolean[] {
  const pairOf = new Map<AnyModule, LayerPair>(pairs.map((pair) => [pair.conv, pair]));
  const originals = new Map<AnyModule, Tensor>();
  return dependsOn(
    () =>
      withForwardHook(model, ({ module, input, forward }) => {
        const output = forward(originals.get(module) ?? input);
        const pair = pairOf.get(module);
        if (!pair || !isTensor(output)) return output;
        keptTensors.push(keep(output));
        originals.set(pair.batchNorm, output);
        return pair.maps;
      }, () => model.forward(input as never)) as Tensor,
    pairs.map(({ maps }) => maps),
  );
}
