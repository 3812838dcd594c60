import { checkOptions, ops, type Tensor, tidy, type Variable } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { type AnyModule, BatchNorm, Module } from "../nn/mod.ts";
import { checkInputShape, Conv2d, Linear } from "../nn/internal.ts";
import type { Transform } from "../data/mod.ts";
import { type ModelOrders, type Order, ordersByRun, ordersByStructure } from "./feature_order.ts";
import { isInOwnOrder, markOwnOrder } from "./own_order.ts";
import { StoredTensor } from "./stored_tensor.ts";
import { noteTransform, transformToBind } from "./transform_note.ts";

/** The tensors of a model by PyTorch's names, in PyTorch's layout. */
export type StateDict = ReadonlyMap<string, StoredTensor>;

/** How PyTorch lays out a variable. */
interface Layout {
  /** PyTorch's shape. */
  readonly shape: readonly number[];
  /** PyTorch's layout of a value in ours. */
  readonly theirs: (value: Tensor) => Tensor;
  /** Our layout of a value in PyTorch's. */
  readonly ours: (value: Tensor) => Tensor;
  /** Our layout of a value in PyTorch's, but with features in our order. */
  readonly oursInOrder: (value: Tensor) => Tensor;
  /**
   * The orders of the features along our axes where they are not PyTorch's; "unknown" where they
   * cannot be told.
   */
  readonly orders: readonly Order[] | "unknown";
}

/**
 * A parameter or running statistic of a model under one of PyTorch's names; a variable with several
 * paths has several.
 */
interface Part extends Layout {
  readonly name: string;
  readonly module: AnyModule;
  readonly variable: Variable;
  /**
   * The name of PyTorch's count of batches, which it keeps after the statistics of a batch norm,
   * and nothing depends on.
   */
  readonly counter: string | undefined;
}

/** PyTorch's names of a batch norm's running statistics; all other names are the same. */
const STATISTICS: Readonly<Record<string, string>> = {
  runningMean: "running_mean",
  runningVariance: "running_var",
};

/**
 * The parameters and running statistics of a model by all of their paths, in the order of its
 * layers.
 */
function partsOf(doing: string, model: AnyModule, inputShape?: readonly number[]): Part[] {
  const orders = ordersOf(doing, model, inputShape);
  const parts: Part[] = [];
  const above = new Set<AnyModule>();
  const visit = (path: string, module: AnyModule) => {
    if (above.has(module)) return;
    above.add(module);
    const at = (name: string) => path === "" ? name : `${path}.${name}`;
    const names = module instanceof BatchNorm ? STATISTICS : {};
    for (const [name, variable] of module.variables()) {
      parts.push({
        name: at(names[name] ?? name),
        module,
        variable,
        counter: module instanceof BatchNorm && name === "runningVariance"
          ? at("num_batches_tracked")
          : undefined,
        ...layoutOf(module, name, variable, orders),
      });
    }
    for (const [name, child] of module.children()) visit(at(name), child);
    above.delete(module);
  };
  visit("", model);
  return parts;
}

/** The orders of features that the structure tells, or a run on an input of a shape. */
function ordersOf(doing: string, model: AnyModule, inputShape?: readonly number[]): ModelOrders {
  if (inputShape === undefined) return ordersByStructure(model);
  checkInputShape(doing, inputShape);
  try {
    return ordersByRun(model, inputShape);
  } catch (error) {
    const reason = error instanceof Error ? error.message : error;
    throw new RangeError(
      `${doing}: the model must run on an input of inputShape ${
        shown(inputShape)
      }, found: ${reason}`,
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
      theirs: (value) => ops.transpose(value, [3, 2, 0, 1]),
      ours: (value) => ops.transpose(value, [2, 3, 1, 0]),
      oursInOrder: (value) => ops.transpose(value, [2, 3, 1, 0]),
      orders: [],
    };
  }
  const isWeight = module instanceof Linear && name === "weight";
  if (isWeight || module instanceof Linear && name === "bias" || module instanceof BatchNorm) {
    const known = orders.get(module);
    const along = known && (isWeight ? [known.input, known.output] : [known.output]);
    return {
      shape: shape.toReversed(),
      theirs: (value) => ops.transpose(ordered(value, along?.map(inverse) ?? [])),
      ours: (value) => ordered(ops.transpose(value), along ?? []),
      oursInOrder: (value) => ops.transpose(value),
      orders: along ?? "unknown",
    };
  }
  const same = (value: Tensor) => value;
  return { shape, theirs: same, ours: same, oursInOrder: same, orders: [] };
}

/** The elements along each axis in the order of the given positions. */
function ordered(value: Tensor, orders: readonly Order[]): Tensor {
  return orders.reduce(
    (value: Tensor, order, axis) =>
      order ? ops.gather(value, ops.tensor(order, [order.length], "int32"), axis) : value,
    value,
  );
}

function inverse(order: Order): Order {
  if (!order) return undefined;
  const result = new Int32Array(order.length);
  order.forEach((theirs, ours) => result[theirs] = ours);
  return result;
}

/**
 * Checks that the order of the features of all parts is known, and one for all paths of a variable.
 */
function checkOrders(
  doing: string,
  model: AnyModule,
  parts: readonly Part[],
  isRun: boolean,
): void {
  const unknown = [...new Set(parts.filter(({ orders }) => orders === "unknown"))];
  const [first] = unknown;
  if (first) {
    const names = unknown.map(({ name }) => name.slice(0, Math.max(0, name.lastIndexOf("."))));
    const layers = [...new Set(names)].join(", ");
    throw new RangeError(
      `${doing}: the order of the features that ${
        layers || model.describe()
      } takes must be known, because ` +
        "PyTorch flattens maps by channel and we by pixel, found " +
        (isRun
          ? "a forward pass in which it cannot be followed. Flatten maps with flatten() or ops.reshape directly before the layer, " +
            "or bring them into PyTorch's order first, with ops.transpose(maps, [0, 3, 1, 2])."
          : `that the fields of ${model.describe()} do not tell it. Give the shape of one input, without the batch axis, such as ` +
            "{ inputShape: [28, 28, 1] }."),
    );
  }
  for (const [one, ...others] of groups(parts)) {
    for (const other of others) {
      if (String(one!.orders) !== String(other.orders)) {
        throw new RangeError(
          `${doing}: ${
            one!.name
          } and ${other.name} are one variable, so they must take features in one order, found two.`,
        );
      }
    }
  }
}

/** The parts of each variable. */
function groups(parts: readonly Part[]): Part[][] {
  return [...Map.groupBy(parts, ({ variable }) => variable).values()];
}

/** The options of {@linkcode stateDict}. */
export interface StateDictOptions {
  /**
   * The shape of one input without the batch axis, such as `[28, 28, 1]`. A model with a forward
   * pass of its own needs it to exchange weights with PyTorch, where the order of features depends
   * on what that pass does with maps. The model runs once on zeros of that shape.
   */
  readonly inputShape?: readonly number[];
}

/**
 * The parameters and running statistics of a model by PyTorch's names and in PyTorch's layout,
 * ready for {@linkcode writeSafetensors}.
 *
 * Weights of convolutions become `[out, in, height, width]`, those of linear layers `[out, in]`.
 * `runningMean` and `runningVariance` are called `running_mean` and `running_var`, and each batch
 * norm has PyTorch's `num_batches_tracked`, which is 0. So what is written for AlexNet (its variant `"torchvision"`), VGG, GoogLeNet and the ResNets
 * loads in torchvision with `strict=True`. A variable that a model has at several paths is there
 * under all of them, as in PyTorch. Variables of layers of your own keep their names and layout.
 *
 * PyTorch flattens maps by channel, row and column, and this library by row, column and channel. So
 * the weights of a layer after a flatten are in another order there. The structure tells which
 * layers these are for the networks of this library and for what is made of `sequential`,
 * `parallel` and `residual`. For a forward pass of your own, a run on zeros of `inputShape` does.
 * Without it, the features of such layers keep their order: {@linkcode loadStateDict} takes them, and
 * {@linkcode writeSafetensors} puts that in their names, so that PyTorch does not take them for its
 * own.
 *
 * @throws {TypeError} If it is no model, or was disposed.
 * @throws {RangeError} If the run on zeros of `inputShape` does not tell the order of features.
 *
 * @example
 * ```ts
 * import { conv2d, stateDict } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const state = stateDict(conv2d(3, 8, { kernelSize: 5 }));
 * assert.deepEqual([...state.keys()], ["weight", "bias"]);
 * assert.deepEqual(state.get("weight")!.shape, [8, 3, 5, 5]);
 * ```
 *
 * @example A forward pass of your own
 * ```ts
 * import { conv2d, type Images, linear, loadStateDict, Module, ops, stateDict, tidy } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * class Net extends Module<Images<1>> {
 *   readonly conv = conv2d(1, 4, { kernelSize: 3 });
 *   readonly fc = linear(36, 10);
 *   override forward(x: Images<1>) {
 *     return tidy(() => this.fc.forward(ops.reshape(this.conv.forward(x), [-1, 36])));
 *   }
 * }
 * loadStateDict(new Net(), stateDict(new Net())); // within this library
 * const forPyTorch = stateDict(new Net(), { inputShape: [5, 5, 1] });
 * assert.equal(forPyTorch.size, 4);
 * assert.throws(() => loadStateDict(new Net(), forPyTorch), /the order of the features that fc takes must be known/);
 * loadStateDict(new Net(), forPyTorch, { inputShape: [5, 5, 1] });
 * ```
 */
export function stateDict(
  model: AnyModule,
  options: StateDictOptions = {},
): Map<string, StoredTensor> {
  const doing = "Taking the state of a model";
  checkModel(doing, model);
  checkOptions<StateDictOptions>(doing, options, "{ inputShape: [28, 28, 1] }", {
    inputShape: true,
  });
  const parts = partsOf(doing, model, options.inputShape);
  if (options.inputShape !== undefined) checkOrders(doing, model, parts, true);
  const state = new Map<string, StoredTensor>();
  for (const { name, variable, counter, theirs, orders } of parts) {
    tidy(() => void state.set(name, StoredTensor.of(theirs(variable))));
    if (orders === "unknown") markOwnOrder(state.get(name)!);
    if (counter) state.set(counter, new StoredTensor("I64", [], new Uint8Array(8)));
  }
  noteTransform(state, model);
  return state;
}

/** The options of {@linkcode loadStateDict}. */
export interface LoadOptions extends StateDictOptions {
  /**
   * Paths of what is left as it is, such as `["fc"]` for a new head; in the file it may be there,
   * missing, or of another shape.
   */
  readonly except?: readonly string[];
  /**
   * The start of the names in the file, such as `"module."`; other tensors are left out.
   * `nn.DataParallel`, `torch.compile` (`"_orig_mod."`) and training frameworks add it.
   */
  readonly prefix?: string;
  /**
   * The transform that the model needs, in place of the one in the file, which holds it unless it
   * is a function of the user's own. See {@linkcode transformOf}.
   */
  readonly transform?: Transform;
}

/**
 * Gives a model the parameters and running statistics of a file, by PyTorch's names and in
 * PyTorch's layout; {@linkcode stateDict} says which. Fractions of any width become float32;
 * PyTorch's counts of batches are ignored. Of a variable at several paths, one name is enough; if
 * the file has several, their numbers must be the same.
 *
 * The transform that the model of the file was trained with goes to this one: see
 * {@linkcode transformOf}. Without one in the file the model keeps its own.
 *
 * Everything is checked first: where anything is wrong, all of it is listed, and nothing in the
 * model is changed.
 *
 * @throws {RangeError} If tensors are missing, not in the model, of another shape, or hold what is
 * no finite fraction; if the transform in the file cannot be made; if `except` or `prefix` names
 * what is not there; or if the order of features is not known, as in {@linkcode stateDict}.
 * @throws {TypeError} If it is no model, it was disposed, or the tensors are no map of stored
 * tensors.
 *
 * @example
 * ```ts
 * import { loadStateDict, resnet18, stateDict } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const trained = resnet18({ width: 1 / 16, classes: 10 });
 * const cats = resnet18({ width: 1 / 16, classes: 2 });
 * assert.throws(
 *   () => loadStateDict(cats, stateDict(trained)),
 *   /Of another shape: fc.weight \(expected \[2, 32\], found \[10, 32\]\)/,
 * );
 * loadStateDict(cats, stateDict(trained), { except: ["fc"] });
 * assert.deepEqual(cats.conv1.weight.dataSync(), trained.conv1.weight.dataSync());
 * ```
 */
export function loadStateDict(
  model: AnyModule,
  tensors: StateDict,
  options: LoadOptions = {},
): void {
  const doing = "Loading the state of a model";
  checkModel(doing, model);
  checkOptions<LoadOptions>(doing, options, '{ except: ["fc"] }', {
    except: true,
    prefix: true,
    inputShape: true,
    transform: true,
  });
  checkTensors(doing, tensors);
  const { except = [], prefix, inputShape, transform } = options;
  if (transform !== undefined && typeof transform !== "function") {
    throw new TypeError(`${doing}: transform must be a function, found ${show(transform)}.`);
  }
  const given = prefix === undefined ? tensors : withoutPrefix(doing, tensors, prefix);
  const all = partsOf(doing, model, inputShape);
  const excepted = exceptions(doing, except, [...all.map(({ name }) => name), ...given.keys()]);
  const parts = all.filter(({ name }) => !excepted(name));
  for (const group of groups(all)) {
    const [left, loaded] = [true, false].map((is) =>
      group.find(({ name }) => excepted(name) === is)
    );
    if (left && loaded) {
      throw new RangeError(
        `${doing}: except must name all paths of a variable or none, found ${left.name} without ${loaded.name}, ` +
          "which is the same variable.",
      );
    }
  }
  const isOwn = (name: string) => given.has(name) && isInOwnOrder(given.get(name)!);
  checkOrders(doing, model, parts.filter(({ name }) => !isOwn(name)), inputShape !== undefined);
  const known = new Set(all.flatMap(({ name, counter }) => counter ? [name, counter] : [name]));
  const wanted = groups(parts);
  const found = parts.filter(({ name }) => given.has(name));
  const problems = [
    problem(
      "Missing",
      wanted.filter((group) => !group.some(({ name }) => given.has(name)))
        .map(([part]) => named(part!)),
    ),
    problem(
      "Not in the model",
      [...given].filter(([name]) => !known.has(name) && !excepted(name))
        .map(([name, { shape }]) => named({ name, shape })),
    ),
    problem(
      "Of another shape",
      found.filter(({ name, shape }) => String(given.get(name)!.shape) !== String(shape))
        .map(({ name, shape }) =>
          `${name} (expected ${shown(shape)}, found ${shown(given.get(name)!.shape)})`
        ),
    ),
    problem(
      "Of another type",
      found.filter(({ name }) => !given.get(name)!.isFloat)
        .map(({ name }) => `${name} (expected fractions, found ${given.get(name)!.dtype})`),
    ),
  ].flat();
  if (problems.length === 0) {
    problems.push(
      ...problem(
        "With numbers that are not finite",
        found.filter(({ name }) => !isAllFinite(given.get(name)!)).map(named),
      ),
      ...problem(
        "One variable with two values",
        wanted.flatMap((group) => {
          const [one, ...others] = group.filter(({ name }) => given.has(name));
          return others.filter((other) => !haveSameValues(one!, other, given))
            .map((other) => `${one!.name} and ${other.name}`);
        }),
      ),
    );
  }
  if (problems.length > 0) {
    const likely = likelyPrefix(tensors, wanted);
    throw new RangeError(
      [
        `${doing}: expected the ${parts.length} tensors of ${model.describe()}, found others. ` +
        "Nothing was loaded; except: [paths] leaves parts out.",
        ...likely === undefined || prefix !== undefined ? [] : [
          `Names in the file begin with ${show(likely)}; prefix: ${show(likely)} takes that away.`,
        ],
        ...problems,
      ].join("\n"),
    );
  }
  const bind = transformToBind(doing, model, given, transform);
  for (const group of wanted) {
    const { name, variable, ours, oursInOrder } = group.find(({ name }) => given.has(name))!;
    const layout = isOwn(name) ? oursInOrder : ours;
    tidy(() => variable.assign(layout(given.get(name)!.tensor())));
  }
  bind();
}

/** The tensors whose names begin with a prefix, by the rest of their names. */
function withoutPrefix(doing: string, tensors: StateDict, prefix: string): StateDict {
  if (typeof prefix !== "string") {
    throw new TypeError(
      `${doing}: prefix must be the start of names such as "module.", found ${show(prefix)}.`,
    );
  }
  const named = [...tensors].filter(([name]) => name.startsWith(prefix));
  if (named.length === 0) {
    const first = tensors.keys().next().value;
    throw new RangeError(
      `${doing}: prefix must be the start of names in the file, found ${show(prefix)}. ` +
        (first === undefined ? "The file has no tensors." : `The first name there is ${first}.`),
    );
  }
  return new Map(named.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The prefix of the model's names in a file, if removing it finds more of them. */
function likelyPrefix(tensors: StateDict, wanted: readonly Part[][]): string | undefined {
  const withPrefix = (prefix: string) =>
    wanted.filter((group) => group.some(({ name }) => tensors.has(prefix + name))).length;
  const [first] = wanted[0] ?? [];
  const prefixes = [...tensors.keys()].filter((name) => first && name.endsWith(`.${first.name}`))
    .slice(0, 20).map((name) => name.slice(0, -first!.name.length));
  const counts = prefixes.map(withPrefix), most = Math.max(...counts);
  return most > withPrefix("") ? prefixes[counts.indexOf(most)] : undefined;
}

/**
 * Whether two tensors of a file give a variable the same numbers, each in the layout of its part.
 */
function haveSameValues(one: Part, other: Part, tensors: StateDict): boolean {
  return tidy(() => {
    const [a, b] = [one, other].map(({ name, ours }) => ours(tensors.get(name)!.tensor()));
    return ops.all(ops.equal(a!, b!)).dataSync()[0] === 1;
  });
}

/** Whether a name is at or below one of the paths, of which each must lead somewhere. */
export function exceptions(
  doing: string,
  paths: readonly string[],
  names: readonly string[],
): (name: string) => boolean {
  if (!Array.isArray(paths)) {
    throw new TypeError(`${doing}: except must be paths such as ["fc"], found ${paths}.`);
  }
  const below = (path: string, name: string) => name === path || name.startsWith(`${path}.`);
  for (const path of paths) {
    if (!names.some((name) => below(path, name))) {
      const first = new Set(names.map((name) => name.split(".")[0]));
      throw new RangeError(
        `${doing}: except must name parts of the model or the file, found ${
          JSON.stringify(path)
        }. The first parts of the paths there are ${[...first].join(", ")}.`,
      );
    }
  }
  return (name) => paths.some((path) => below(path, name));
}

/** How many tensors of a kind a message lists. */
const MOST_LISTED = 20;

function problem(what: string, found: readonly string[]): string[] {
  if (found.length === 0) return [];
  const more = found.length > MOST_LISTED ? ` and ${found.length - MOST_LISTED} more` : "";
  return [`${what}: ${found.slice(0, MOST_LISTED).join(", ")}${more}.`];
}

function named({ name, shape }: { readonly name: string; readonly shape: readonly number[] }) {
  return `${name} ${shown(shape)}`;
}

function shown(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

function isAllFinite(stored: StoredTensor): boolean {
  using finite = tidy(() => ops.all(ops.isFinite(stored.tensor())));
  return finite.dataSync()[0] === 1;
}

/** Checks that a value is a map of stored tensors. */
export function checkTensors(doing: string, tensors: unknown): void {
  if (!(tensors instanceof Map) || ![...tensors.values()].every((x) => x instanceof StoredTensor)) {
    throw new TypeError(
      `${doing}: expected stored tensors by name, as readSafetensors and readPth give them, found something else.`,
    );
  }
}

function checkModel(doing: string, model: unknown): void {
  if (!(model instanceof Module)) {
    throw new TypeError(`${doing}: expected a model, found ${typeof model}.`);
  }
  for (const [path, variable] of model.namedVariables()) {
    if (variable.isDisposed) {
      throw new TypeError(`${doing}: the model must not be disposed, found ${path} disposed.`);
    }
  }
}
