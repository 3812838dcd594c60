/** The entries of a state dict: each variable of a model with its name and layout in PyTorch. */
import { ops, type Tensor, type Variable } from "../tensor/mod.ts";
import { checkFunction, show } from "../tensor/internal.ts";
import { type AnyModule, BatchNorm, type InputOf } from "../nn/mod.ts";
import { checkInputShape, Conv2d, Linear } from "../nn/internal.ts";
import { type ModelOrders, type Order, ordersByRun, ordersByStructure } from "./feature_order.ts";

/** The options of {@linkcode stateDict}. */
export interface StateDictOptions<M extends AnyModule = AnyModule> {
  /**
   * The shape of one input without the batch axis, such as `[28, 28, 1]`. A model with its own
   * forward pass needs it to exchange weights with PyTorch if the pass flattens feature maps: the
   * model runs once on zeros of that shape, which shows the order of its features.
   */
  readonly inputShape?: readonly number[];
  /**
   * Runs the model on zeros of `inputShape`, for a model with layers that `forward` does not run,
   * such as auxiliary heads.
   *
   * @default (input) => model.forward(input)
   */
  readonly forward?: (input: InputOf<M>) => unknown;
}

/** The layout of a variable in PyTorch. */
interface Layout {
  /** The shape in PyTorch. */
  readonly shape: readonly number[];
  /** Converts a value from our layout to PyTorch's. */
  readonly toPyTorch: (value: Tensor) => Tensor;
  /** Converts a value from PyTorch's layout to ours. */
  readonly fromPyTorch: (value: Tensor) => Tensor;
  /** Converts a value from PyTorch's layout to ours, if its features are in our order already. */
  readonly fromOwnOrder: (value: Tensor) => Tensor;
  /** The orders of the features along our axes; "unknown" if they are not known. */
  readonly orders: readonly Order[] | "unknown";
  /** Whether the run that shows the orders left the layer out. */
  readonly isLeftOut?: boolean;
}

/**
 * A parameter or running statistic of a model under one of its names in PyTorch. A variable with
 * several paths has several entries.
 */
export interface Entry extends Layout {
  readonly name: string;
  readonly module: AnyModule;
  readonly variable: Variable;
  /**
   * The name of PyTorch's `num_batches_tracked`, which follows the statistics of a batch norm. No
   * computation uses it.
   */
  readonly batchCountName: string | undefined;
}

/** PyTorch's names of a batch norm's running statistics; all other names are the same. */
const STATISTICS: Readonly<Record<string, string>> = {
  runningMean: "running_mean",
  runningVariance: "running_var",
};

/** The entries of a model's state dict under all paths, in the order of its layers. */
export function entriesOf(
  action: string,
  model: AnyModule,
  options: StateDictOptions<never>,
): Entry[] {
  const { orders, ran } = ordersOf(action, model, options);
  const entries: Entry[] = [];
  const ancestors = new Set<AnyModule>();
  const visit = (path: string, module: AnyModule) => {
    if (ancestors.has(module)) return;
    ancestors.add(module);
    const at = (name: string) => path === "" ? name : `${path}.${name}`;
    const names = module instanceof BatchNorm ? STATISTICS : {};
    for (const [name, variable] of module.variables()) {
      entries.push({
        name: at(names[name] ?? name),
        module,
        variable,
        batchCountName: module instanceof BatchNorm && name === "runningVariance"
          ? at("num_batches_tracked")
          : undefined,
        ...layoutOf(module, name, variable, orders),
        isLeftOut: ran && !ran.has(module),
      });
    }
    for (const [name, child] of module.children()) visit(at(name), child);
    ancestors.delete(module);
  };
  visit("", model);
  return entries;
}

/** The orders of features, found from the structure or, with an input shape, by a run. */
function ordersOf(
  action: string,
  model: AnyModule,
  { inputShape, forward }: StateDictOptions<never>,
): { orders: ModelOrders; ran?: ReadonlySet<AnyModule> } {
  if (inputShape === undefined && forward === undefined) {
    return { orders: ordersByStructure(model) };
  }
  checkInputShape(action, inputShape!);
  if (forward !== undefined) checkFunction(action, "forward", forward);
  try {
    return ordersByRun(model, inputShape!, forward ?? ((input) => model.forward(input)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RangeError(
      `${action}: the model must run on an input of inputShape ${
        show(inputShape)
      }, found the error: ${reason.replace(/\.?$/, ".")}`,
      { cause: error },
    );
  }
}

function layoutOf(
  module: AnyModule,
  name: string,
  variable: Variable,
  orders: ModelOrders,
): Layout {
  const { shape } = variable;
  if (module instanceof Conv2d && name === "weight") {
    const [height, width, inChannels, outChannels] = module.weight.shape;
    return {
      shape: [outChannels, inChannels, height, width],
      toPyTorch: (value) => ops.transpose(value, [3, 2, 0, 1]),
      fromPyTorch: (value) => ops.transpose(value, [2, 3, 1, 0]),
      fromOwnOrder: (value) => ops.transpose(value, [2, 3, 1, 0]),
      orders: [],
    };
  }
  const isWeight = module instanceof Linear && name === "weight";
  if (isWeight || module instanceof Linear && name === "bias" || module instanceof BatchNorm) {
    const known = orders.get(module);
    const axes = known && (isWeight ? [known.input, known.output] : [known.output]);
    return {
      shape: shape.toReversed(),
      toPyTorch: (value) => ops.transpose(reorder(value, axes?.map(inverse) ?? [])),
      fromPyTorch: (value) => reorder(ops.transpose(value), axes ?? []),
      fromOwnOrder: (value) => ops.transpose(value),
      orders: axes ?? "unknown",
    };
  }
  const same = (value: Tensor) => value;
  return { shape, toPyTorch: same, fromPyTorch: same, fromOwnOrder: same, orders: [] };
}

/** Gathers the elements along each axis in an order. */
function reorder(value: Tensor, orders: readonly Order[]): Tensor {
  return orders.reduce(
    (value: Tensor, order, axis) =>
      order ? ops.gather(value, ops.tensor(order, [order.length], "int32"), axis) : value,
    value,
  );
}

function inverse(order: Order): Order {
  if (!order) return undefined;
  const result = new Int32Array(order.length);
  order.forEach((target, index) => result[target] = index);
  return result;
}

/** The entries of each variable. */
export function byVariable(entries: readonly Entry[]): Entry[][] {
  const groups = new Map<Entry["variable"], Entry[]>();
  for (const entry of entries) {
    const group = groups.get(entry.variable);
    if (group) group.push(entry);
    else groups.set(entry.variable, [entry]);
  }
  return [...groups.values()];
}
