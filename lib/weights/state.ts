import { ops, type Tensor, tidy, type Variable } from "../tensor/mod.ts";
import {
  checkArray,
  checkFunction,
  checkInstance,
  checkOptions,
  checkString,
  show,
} from "../tensor/internal.ts";
import { type AnyModule, Module } from "../nn/mod.ts";
import type { InputTransform, Transform } from "../data/mod.ts";
import { byVariable, entriesOf, type Entry, type StateDictOptions } from "./entries.ts";
import { checkStateDict, type StateDict, StoredTensor } from "./stored_tensor.ts";
import {
  isInOwnOrder,
  markOwnOrder,
  noteModel,
  trainingDataToBind,
  transformToBind,
} from "./tensor_notes.ts";

/**
 * Checks that the order of the features of all entries is known, and that all entries of a variable
 * have the same order.
 */
function checkOrders(
  action: string,
  model: AnyModule,
  entries: readonly Entry[],
  isRun: boolean,
): void {
  const unknown = entries.filter(({ orders }) => orders === "unknown");
  if (unknown.length > 0) {
    const leftOut = unknown.filter(({ isLeftOut }) => isLeftOut);
    const named = leftOut.length > 0 ? leftOut : unknown;
    const paths = named.map(({ name }) => name.slice(0, Math.max(0, name.lastIndexOf("."))));
    const layers = [...new Set(paths)].join(", ");
    throw new RangeError(
      `${action}: the order of the features that ${
        layers || model.describe()
      } takes must be known, because ` +
        "PyTorch flattens feature maps by channel and this library by pixel, found " +
        (leftOut.length > 0
          ? "that it does not run in the forward pass. Pass a forward that runs it too, such as " +
            "{ inputShape, forward: (x) => model.forwardWithAuxiliary(x) }."
          : isRun
          ? "a forward pass in which it cannot be followed. Flatten feature maps with flatten() or ops.reshape directly before the layer, " +
            "or bring them into PyTorch's order first, with ops.transpose(maps, [0, 3, 1, 2])."
          : `that the fields of ${model.describe()} do not show it. Pass the shape of one input, without the batch axis, such as ` +
            "{ inputShape: [28, 28, 1] }."),
    );
  }
  for (const [first, ...others] of byVariable(entries)) {
    for (const other of others) {
      if (String(first!.orders) !== String(other.orders)) {
        throw new RangeError(
          `${action}: ${
            first!.name
          } and ${other.name} are one variable, so they must take features in one order, found two.`,
        );
      }
    }
  }
}

/**
 * Returns the state dict of a model: its parameters and running statistics by PyTorch's names and
 * in PyTorch's layout, ready for {@linkcode writeSafetensors}.
 *
 * Convolution weights become `[out, in, height, width]`, weights of linear layers `[out, in]`.
 * `runningMean` and `runningVariance` are called `running_mean` and `running_var`. Each batch norm
 * also has PyTorch's `num_batches_tracked`, which is 0. So torchvision loads the state dicts of
 * AlexNet (its variant `"torchvision"`), VGG, GoogLeNet and the ResNets with `strict=True`. A
 * variable with several paths appears under each of them, as in PyTorch. Variables of custom layers
 * keep their names and layout.
 *
 * PyTorch flattens feature maps by channel, row and column, this library by row, column and
 * channel. So the weights of a layer after a flatten must be reordered. For the networks of this
 * library, and for models made of `sequential`, `parallel` and `residual`, the structure shows
 * which layers these are. For a custom forward pass, a run on zeros of `inputShape` shows it; a
 * layer that `forward` does not run, such as an auxiliary head, needs the option `forward`.
 * Without `inputShape`, the features of such layers keep their order. {@linkcode loadStateDict}
 * accepts them, and {@linkcode writeSafetensors} marks them in their names, so that PyTorch refuses
 * them.
 *
 * @throws {TypeError} If the model is not a module, or was disposed.
 * @throws {RangeError} If the run on zeros of `inputShape` does not show the order of features.
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
 * @example A custom forward pass
 * ```ts
 * import { conv2d, type Images, linear, Module, ops, tidy } from "resnet-lab";
 * import { loadStateDict, stateDict } from "resnet-lab";
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
 * assert.throws(() => loadStateDict(new Net(), forPyTorch), /that fc takes must be known/);
 * loadStateDict(new Net(), forPyTorch, { inputShape: [5, 5, 1] });
 * ```
 */
export function stateDict<M extends AnyModule>(
  model: M,
  options: StateDictOptions<M> = {},
): Map<string, StoredTensor> {
  const action = "Taking the state dict of a model";
  checkModel(action, model);
  checkOptions<StateDictOptions<M>>(action, options, "{ inputShape: [28, 28, 1] }", {
    inputShape: true,
    forward: true,
  });
  return stateDictOf(action, model, options, (variable) => variable);
}

/** Returns the state dict of a model whose variables have other values. */
export function stateDictOf(
  action: string,
  model: AnyModule,
  options: StateDictOptions<never>,
  valueOf: (variable: Variable) => Tensor,
): Map<string, StoredTensor> {
  const entries = entriesOf(action, model, options);
  if (options.inputShape !== undefined) checkOrders(action, model, entries, true);
  const state = new Map<string, StoredTensor>();
  for (const { name, variable, batchCountName, toPyTorch, orders } of entries) {
    tidy(() => void state.set(name, StoredTensor.of(toPyTorch(valueOf(variable)))));
    if (orders === "unknown") markOwnOrder(state.get(name)!);
    if (batchCountName) state.set(batchCountName, new StoredTensor("I64", [], new Uint8Array(8)));
  }
  noteModel(state, model);
  return state;
}

/** The options of {@linkcode loadStateDict}. */
export interface LoadOptions<M extends AnyModule = AnyModule> extends StateDictOptions<M> {
  /**
   * Paths to leave unchanged in the model, such as `["fc"]` for a new head. Their tensors in the
   * state dict are ignored.
   */
  readonly except?: readonly string[];
  /**
   * The prefix of the names in the state dict, such as `"module."`, which is removed. Tensors
   * without it are ignored. `nn.DataParallel`, `torch.compile` (`"_orig_mod."`) and training
   * frameworks add one.
   */
  readonly prefix?: string;
  /**
   * The transform that the model needs, instead of the one in the state dict. A state dict holds
   * the transform unless it is a custom function.
   */
  readonly transform?: Transform;
}

/**
 * Loads a state dict, as {@linkcode stateDict} describes it, into a model. Floating-point numbers
 * of any width become float32, and `num_batches_tracked` is ignored. For a variable with several
 * paths, one name is enough; if the state dict has several, their numbers must be equal.
 *
 * The model also gets the transform that the state dict's model was trained with. If the state dict
 * has none, the model keeps its own. Unless layers are left out, it also gets the class names and
 * the image size of that training, for {@linkcode predict} and {@linkcode readImage}.
 *
 * Everything is checked first. If anything is wrong, the error lists all of it, and the model stays
 * unchanged.
 *
 * @throws {RangeError} If tensors are missing, not in the model, of a different shape, not
 * floating-point, or not finite; if the transform in the state dict cannot be made; if `except` or
 * `prefix` matches no name; or if the order of features is not known, as in {@linkcode stateDict}.
 * @throws {TypeError} If the model is not a module or was disposed, or the tensors are not a map of
 * stored tensors.
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
 *   /Of another shape: fc.weight \(must be \[2, 32\], found \[10, 32\]\)/,
 * );
 * loadStateDict(cats, stateDict(trained), { except: ["fc"] });
 * assert.deepEqual(cats.conv1.weight.dataSync(), trained.conv1.weight.dataSync());
 * ```
 */
export function loadStateDict<M extends AnyModule>(
  model: M,
  tensors: StateDict,
  options: LoadOptions<M> = {},
): void {
  const action = "Loading a state dict";
  checkModel(action, model);
  checkOptions<LoadOptions<M>>(action, options, '{ except: ["fc"] }', {
    except: true,
    prefix: true,
    inputShape: true,
    forward: true,
    transform: true,
  });
  checkStateDict(action, tensors);
  const { except = [], prefix, inputShape, transform } = options;
  if (transform !== undefined) checkFunction(action, "transform", transform);
  const state = prefix === undefined ? tensors : withoutPrefix(action, tensors, prefix);
  const all = entriesOf(action, model, options);
  const isExcepted = pathMatcher(action, except, [...all.map(({ name }) => name), ...state.keys()]);
  checkExceptedVariables(action, all, isExcepted);
  const entries = all.filter(({ name }) => !isExcepted(name));
  const isOwn = (name: string) => state.has(name) && isInOwnOrder(state.get(name)!);
  const variables = byVariable(entries);
  const problems = problemsOf(state, all, entries, variables, isExcepted);
  if (problems.length === 0) {
    checkOrders(
      action,
      model,
      entries.filter(({ name }) => !isOwn(name)),
      inputShape !== undefined,
    );
    problems.push(...valueProblemsOf(state, entries, variables));
  }
  if (problems.length > 0) {
    const likely = prefix === undefined ? likelyPrefix(tensors, variables) : undefined;
    throw new RangeError(
      [
        `${action}: the state dict must have the ${entries.length} tensors of ${model.describe()}, found others. ` +
        "Nothing was loaded; except: [paths] leaves layers out.",
        ...likely === undefined ? [] : [
          `Names in the state dict begin with ${show(likely)}; prefix: ${show(likely)} removes it.`,
        ],
        ...problems,
      ].join("\n"),
    );
  }
  const bindTransform = transformToBind(
    action,
    model,
    state,
    transform as InputTransform | undefined,
  );
  // With layers left out, such as the head, the model is for other classes.
  const bindData = except.length === 0 ? trainingDataToBind(action, model, state) : () => {};
  for (const group of variables) {
    const { name, variable, fromPyTorch, fromOwnOrder } = group.find(({ name }) =>
      state.has(name)
    )!;
    const convert = isOwn(name) ? fromOwnOrder : fromPyTorch;
    tidy(() => variable.assign(convert(state.get(name)!.tensor())));
  }
  bindTransform();
  bindData();
}

/**
 * Loads a state dict that was taken from the same model: also numbers that are not finite, and
 * variables of any dtype. The caller has compared names and shapes.
 *
 * @param targetOf Returns the variable that receives the value of a variable of the model.
 */
export function restoreStateDict(
  action: string,
  model: AnyModule,
  state: StateDict,
  targetOf: (variable: Variable) => Variable | undefined = (variable) => variable,
): void {
  for (const [entry] of byVariable(entriesOf(action, model, {}))) {
    const { name, variable, fromPyTorch, fromOwnOrder } = entry!, stored = state.get(name)!;
    const convert = isInOwnOrder(stored) ? fromOwnOrder : fromPyTorch;
    tidy(() => targetOf(variable)?.assign(convert(stored.tensor())));
  }
}

/** Checks that all paths of a variable are excepted, or none. */
function checkExceptedVariables(
  action: string,
  entries: readonly Entry[],
  isExcepted: (name: string) => boolean,
): void {
  for (const group of byVariable(entries)) {
    const excepted = group.find(({ name }) => isExcepted(name));
    const loaded = group.find(({ name }) => !isExcepted(name));
    if (excepted && loaded) {
      throw new RangeError(
        `${action}: except must name all paths of a variable or none, found ${excepted.name} without ${loaded.name}, ` +
          "which is the same variable.",
      );
    }
  }
}

/** The names, shapes and types of a state dict that do not fit the entries of a model, as text. */
function problemsOf(
  state: StateDict,
  all: readonly Entry[],
  entries: readonly Entry[],
  variables: readonly Entry[][],
  isExcepted: (name: string) => boolean,
): string[] {
  const known = new Set(
    all.flatMap(({ name, batchCountName }) => batchCountName ? [name, batchCountName] : [name]),
  );
  const present = entries.filter(({ name }) => state.has(name));
  return [
    problem(
      "Missing",
      variables.filter((group) => !group.some(({ name }) => state.has(name)))
        .map(([entry]) => withShape(entry!)),
    ),
    problem(
      "Not in the model",
      [...state].filter(([name]) => !known.has(name) && !isExcepted(name))
        .map(([name, { shape }]) => withShape({ name, shape })),
    ),
    problem(
      "Of another shape",
      present.filter(({ name, shape }) => String(state.get(name)!.shape) !== String(shape))
        .map(({ name, shape }) =>
          `${name} (must be ${show(shape)}, found ${show(state.get(name)!.shape)})`
        ),
    ),
    problem(
      "Of another type",
      present.filter(({ name }) => !state.get(name)!.isFloat)
        .map(({ name }) => `${name} (must be floating-point, found ${state.get(name)!.dtype})`),
    ),
  ].flat();
}

/** The values of a state dict that cannot be loaded, as text. */
function valueProblemsOf(
  state: StateDict,
  entries: readonly Entry[],
  variables: readonly Entry[][],
): string[] {
  const present = entries.filter(({ name }) => state.has(name));
  return [
    problem(
      "With numbers that are not finite",
      present.filter(({ name }) => !isAllFinite(state.get(name)!)).map(withShape),
    ),
    problem(
      "One variable with two values",
      variables.flatMap((group) => {
        const [first, ...others] = group.filter(({ name }) => state.has(name));
        return others.filter((other) => !haveSameValues(first!, other, state))
          .map((other) => `${first!.name} and ${other.name}`);
      }),
    ),
  ].flat();
}

/** The tensors whose names begin with a prefix, under the rest of their names. */
function withoutPrefix(action: string, tensors: StateDict, prefix: string): StateDict {
  checkString(action, "prefix", prefix);
  const matches = [...tensors].filter(([name]) => name.startsWith(prefix));
  if (matches.length === 0) {
    const first = tensors.keys().next().value;
    throw new RangeError(
      `${action}: prefix must begin names in the state dict, found ${show(prefix)}. ` +
        (first === undefined ? "There are no tensors." : `The first name is ${first}.`),
    );
  }
  return new Map(matches.map(([name, tensor]) => [name.slice(prefix.length), tensor]));
}

/** The prefix of the model's names in a state dict, if removing it matches more variables. */
function likelyPrefix(tensors: StateDict, variables: readonly Entry[][]): string | undefined {
  const countMatches = (prefix: string) =>
    variables.filter((group) => group.some(({ name }) => tensors.has(prefix + name))).length;
  const [first] = variables[0] ?? [];
  const prefixes = [...tensors.keys()].filter((name) => first && name.endsWith(`.${first.name}`))
    .slice(0, 20).map((name) => name.slice(0, -first!.name.length));
  const counts = prefixes.map(countMatches), most = Math.max(...counts);
  return most > countMatches("") ? prefixes[counts.indexOf(most)] : undefined;
}

/** Whether the tensors of two entries of a variable hold the same values. */
function haveSameValues(one: Entry, other: Entry, state: StateDict): boolean {
  return tidy(() => {
    const [a, b] = [one, other].map(({ name, fromPyTorch }) =>
      fromPyTorch(state.get(name)!.tensor())
    );
    return ops.all(ops.equal(a!, b!)).dataSync()[0] === 1;
  });
}

/**
 * Returns a function that tells whether a name is at or below one of some paths.
 *
 * @throws {TypeError} If the paths are not an array.
 * @throws {RangeError} If no name is at or below one of the paths.
 */
export function pathMatcher(
  action: string,
  paths: readonly string[],
  names: readonly string[],
): (name: string) => boolean {
  checkArray(action, "except", paths);
  const isBelow = (path: string, name: string) => name === path || name.startsWith(`${path}.`);
  for (const path of paths) {
    if (!names.some((name) => isBelow(path, name))) {
      const first = new Set(names.map((name) => name.split(".")[0]));
      throw new RangeError(
        `${action}: except must name paths of the model or the file, found ${
          show(path)
        }. The first parts of the paths are ${[...first].join(", ")}.`,
      );
    }
  }
  return (name) => paths.some((path) => isBelow(path, name));
}

/** Maximum number of tensors that one line of a message lists. */
const MAX_LISTED = 20;

function problem(title: string, items: readonly string[]): string[] {
  if (items.length === 0) return [];
  const more = items.length > MAX_LISTED ? ` and ${items.length - MAX_LISTED} more` : "";
  return [`${title}: ${items.slice(0, MAX_LISTED).join(", ")}${more}.`];
}

function withShape(
  { name, shape }: { readonly name: string; readonly shape: readonly number[] },
): string {
  return `${name} ${show(shape)}`;
}

function isAllFinite(stored: StoredTensor): boolean {
  using finite = tidy(() => ops.all(ops.isFinite(stored.tensor())));
  return finite.dataSync()[0] === 1;
}

function checkModel(action: string, model: unknown): void {
  checkInstance(action, "the model", model, Module, "a module");
  for (const [path, variable] of model.namedVariables()) {
    if (variable.isDisposed) {
      throw new TypeError(`${action}: the model must be alive, found ${path} disposed.`);
    }
  }
}
