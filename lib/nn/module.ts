import { dispose, type Features, type Tensor, type Variable } from "../tensor/mod.ts";
import { isTensor, isVariable, show } from "../tensor/internal.ts";
import { type ForwardOptions, guardClass, guardForward } from "./forward_guard.ts";

export type { ForwardOptions } from "./forward_guard.ts";

/** The key under which a module has its types. */
export declare const signature: unique symbol;
/** The key under which a module has its {@linkcode ShapeRule}. */
export declare const shapeRule: unique symbol;

/**
 * The rule from the input type to the output type of a layer that fits many inputs. `"same"` keeps
 * the type (relu, pooling), `"pooled"` turns images into features with as many channels, and
 * `undefined` means that the layer has one output type.
 */
export type ShapeRule = "same" | "pooled" | undefined;

/**
 * A part of a network with a forward pass. Walking its fields finds its parameters.
 *
 * Fields that are variables, modules, or arrays and records of them to any depth, belong to the
 * module. Their names make the paths, such as `stage2.0.conv1.weight`. A subclass names its input
 * and output types, `Module<Images<3>, Features<10>>`, declares its parts as `readonly` fields, and
 * writes `forward`. It uses `tidy` there if it makes more tensors than the one that it returns.
 *
 * Walking the tree refuses modules and variables in a Map, a Set, or an object of any other class.
 * Fields named with `#`, closures and static fields cannot be walked: the first forward pass
 * refuses to read a variable that is not in the tree. A model that does not belong to this one,
 * such as a teacher in distillation, runs outside `forward`; or it is held in a field and frozen.
 *
 * @typeParam In The input of `forward`, such as `Images<64>`.
 * @typeParam Out The output of `forward`.
 *
 * @example
 * ```ts
 * import { type Features, linear, Module, ops, tidy } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * class TwoLayers extends Module<Features<4>, Features<2>> {
 *   readonly hidden = linear(4, 8);
 *   readonly output = linear(8, 2);
 *   override forward(x: Features<4>) {
 *     return tidy(() => this.output.forward(ops.relu(this.hidden.forward(x))));
 *   }
 * }
 * const model = new TwoLayers();
 * assert.deepEqual([...model.namedParameters().keys()], [
 *   "hidden.weight",
 *   "hidden.bias",
 *   "output.weight",
 *   "output.bias",
 * ]);
 * assert.deepEqual(model.forward(ops.ones([3, 4])).shape, [3, 2]);
 * ```
 */
export abstract class Module<In = never, Out = unknown> {
  /** For the compiler only. */
  declare readonly [signature]: (input: In) => Out;
  #isFrozen = false;
  #isDisposed = false;

  /** Subclasses call it as `super()`. */
  constructor() {
    guardClass(new.target.prototype, Module.prototype);
  }

  /**
   * Computes the output for a batch: inference, or a pass of training with `{ training: true }`.
   *
   * @throws {TypeError} If an option does not exist, the module was disposed, or it reads a
   * variable that is not in its tree.
   */
  abstract forward(input: In, options?: ForwardOptions): Out;

  /** Returns a short description, which {@linkcode summary} and error messages print. */
  describe(): string {
    return this.constructor.name;
  }

  /**
   * Returns the multiply-accumulates of one forward pass without those of the children. The shapes
   * have no batch axis.
   */
  macs(_inputShape: readonly number[], _outputShape: readonly number[]): number {
    return 0;
  }

  /** Returns the modules directly below this one, by the name of the field. */
  children(): Map<string, AnyModule> {
    return new Map(
      parts(this).filter((part): part is [string, AnyModule] => part[1] instanceof Module),
    );
  }

  /** Returns the variables directly in this module, by the name of the field. */
  variables(): Map<string, Variable> {
    return new Map(
      parts(this).filter((part): part is [string, Variable] => isVariable(part[1])),
    );
  }

  /**
   * Returns this module under the empty path and all modules below it, each once, parents first.
   *
   * @throws {TypeError} If a module or variable is where the walk does not reach, such as in a Map.
   */
  namedModules(): Map<string, AnyModule> {
    const modules = modulesIn(this);
    checkReached(this, modules);
    return modules;
  }

  /**
   * Returns every parameter and running statistic in the tree by its path, each once.
   *
   * @throws {TypeError} As {@linkcode namedModules}.
   */
  namedVariables(): Map<string, Variable> {
    return variablesOf(this.namedModules());
  }

  /**
   * Returns every parameter in the tree that is trained, by its path. Frozen parameters and running
   * statistics are not among them.
   *
   * @throws {TypeError} If one of them was disposed, or as {@linkcode namedModules}.
   */
  namedParameters(): Map<string, Variable> {
    for (const [path, variable] of this.namedVariables()) {
      if (!variable.isDisposed) continue;
      throw new TypeError(
        `Listing the parameters of ${this.describe()}: ${path} must be alive, found it disposed. Make the model again.`,
      );
    }
    const frozen = new Set<Variable>();
    for (const module of this.namedModules().values()) {
      if (module.#isFrozen) {
        for (const variable of module.variables().values()) frozen.add(variable);
      }
    }
    return new Map(
      [...this.namedVariables()].filter(([, variable]) =>
        variable.trainable && !frozen.has(variable)
      ),
    );
  }

  /** Returns every parameter that is trained, in the order of {@linkcode namedParameters}. */
  parameters(): Variable[] {
    return [...this.namedParameters().values()];
  }

  /**
   * Whether the variables directly in this module are frozen. A frozen layer also keeps its running
   * statistics.
   */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /**
   * Freezes the modules at `paths` with all modules below them, or the whole module if there is no
   * path.
   *
   * {@linkcode parameters} no longer returns their parameters, so make the optimizer after
   * freezing: {@linkcode fit} refuses an optimizer that would change them. Frozen batch norms use
   * and keep their running statistics in training. Gradients still flow to the layers before, and
   * dropout stays active.
   *
   * @throws {RangeError} If there is no module at a path; the message lists the nearest paths.
   * Nothing is frozen then.
   *
   * @example
   * ```ts
   * import { ops, resnet } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const model = resnet({ block: "basic", stages: [1, 1], channels: 4, classes: 2 });
   * model.freeze(); // All layers …
   * model.unfreeze("layer2.0.conv2", "fc"); // … except these.
   * assert.deepEqual([...model.namedParameters().keys()], [
   *   "layer2.0.conv2.weight",
   *   "fc.weight",
   *   "fc.bias",
   * ]);
   * model.forward(ops.ones([2, 32, 32, 3]), { training: true });
   * assert.deepEqual(model.bn1?.runningMean.arraySync(), [0, 0, 0, 0]);
   *
   * const none = /found "layer"\. The nearest paths are conv1, bn1, maxpool,/;
   * assert.throws(() => model.freeze("layer"), none);
   * ```
   */
  freeze(...paths: string[]): void {
    this.#setFrozen(true, paths);
  }

  /**
   * Undoes {@linkcode freeze} for the modules at `paths` and all modules below them, or for the
   * whole module if there is no path. An optimizer made before does not train them; make it again.
   *
   * @throws {RangeError} If there is no module at a path; the message lists the nearest paths.
   * Nothing is unfrozen then.
   */
  unfreeze(...paths: string[]): void {
    this.#setFrozen(false, paths);
  }

  #setFrozen(frozen: boolean, paths: readonly string[]): void {
    const modules = this.namedModules();
    const action = `${frozen ? "Freezing" : "Unfreezing"} parts of ${this.describe()}`;
    const tops = paths.length === 0 ? [this] : paths.map((path) => moduleAt(action, modules, path));
    for (const top of tops) {
      for (const module of top.namedModules().values()) module.#isFrozen = frozen;
    }
  }

  /**
   * Frees the memory of all parameters and running statistics. Afterwards neither this module nor
   * the modules below it can run.
   */
  dispose(): void {
    const modules = modulesIn(this);
    for (const module of modules.values()) module.#isDisposed = true;
    dispose([...variablesOf(modules).values()]);
  }

  /** Whether {@linkcode dispose} was called for this module or a module above it. */
  get isDisposed(): boolean {
    return this.#isDisposed;
  }

  /** Calls {@linkcode dispose} at the end of a scope with `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Returns the tree of modules, one on each line. */
  toString(): string {
    return treeOf(this, []);
  }

  /** Returns the tree, which `console.log` and a notebook cell show in place of the fields. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}

/** A module of any input and output type. */
export interface AnyModule extends Module<never, unknown> {}

/** The input type of a module. */
export type InputOf<M> = M extends { readonly [signature]: (input: infer In) => unknown } ? In
  : never;

/** A module from `In` to one feature, the logit, for each of `Classes` classes. */
export type Classifier<In extends Tensor, Classes extends number> = Module<In, Features<Classes>>;

/** Returns the path of a part below a path. */
export function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/**
 * Returns the module at a path of a model.
 *
 * @throws {RangeError} If there is none; the message lists the nearest paths.
 */
export function moduleAt(
  action: string,
  modules: ReadonlyMap<string, AnyModule>,
  path: string,
): AnyModule {
  if (typeof path !== "string") {
    throw new TypeError(
      `${action}: each path must be a string such as "layer1.0", found ${show(path)}.`,
    );
  }
  const module = path === "" ? modules.get("") : below(modules.get("")!, path);
  if (module) return module;
  throw new RangeError(
    `${action}: each path must lead to a module, found ${show(path)}. ${
      nearestPaths(path, modules)
    }.`,
  );
}

/** Returns the module at a path below another. A module may have several paths. */
function below(top: AnyModule, path: string): AnyModule | undefined {
  for (const [name, child] of top.children()) {
    if (path === name) return child;
    const module = path.startsWith(`${name}.`)
      ? below(child, path.slice(name.length + 1))
      : undefined;
    if (module) return module;
  }
}

/**
 * Returns the paths nearest to one without a module: its longest prefix that has a module, and the
 * parts of that module.
 */
function nearestPaths(path: string, modules: ReadonlyMap<string, AnyModule>): string {
  let above = path;
  do above = above.slice(0, Math.max(0, above.lastIndexOf("."))); while (!modules.has(above));
  const children = [...modules.get(above)!.children().keys()].map((name) => joinPath(above, name));
  const paths = above === "" ? children : [above, ...children];
  return paths.length === 0
    ? "The model has no parts"
    : `The nearest paths are ${paths.join(", ")}`;
}

/** Returns the tree of a module as text; `above` are the modules that contain it. */
function treeOf(module: AnyModule, above: readonly AnyModule[]): string {
  if (above.includes(module)) return `${module.describe()}, which contains itself`;
  const children = [...module.children()].map(([name, child]) =>
    `(${name}) ${treeOf(child, [...above, module])}`.replaceAll("\n", "\n  ")
  );
  return [module.describe(), ...children].join("\n  ");
}

/** Returns a module under the empty path and all modules below it, each once, parents first. */
function modulesIn(top: AnyModule): Map<string, AnyModule> {
  const modules = new Map<string, AnyModule>();
  const seen = new Set<AnyModule>();
  const visit = (path: string, module: AnyModule) => {
    if (seen.has(module)) return;
    seen.add(module);
    modules.set(path, module);
    guardForward(module);
    for (const [name, child] of module.children()) visit(joinPath(path, name), child);
  };
  visit("", top);
  return modules;
}

/** Returns the variables of modules by their path, each once. */
function variablesOf(modules: ReadonlyMap<string, AnyModule>): Map<string, Variable> {
  const variables = new Map<string, Variable>();
  const seen = new Set<Variable>();
  for (const [path, module] of modules) {
    for (const [name, variable] of module.variables()) {
      if (!seen.has(variable)) variables.set(joinPath(path, name), variable);
      seen.add(variable);
    }
  }
  return variables;
}

/**
 * Returns the modules and variables in the fields of an object. Parts of arrays and plain records
 * are named `name.0` and `name.key`.
 */
function parts(owner: object, above: readonly object[] = []): [string, unknown][] {
  return Object.entries(owner).flatMap(([name, value]) => {
    if (value instanceof Module || isVariable(value)) return [[name, value]];
    if (!isWalked(value) || above.includes(value)) return [];
    return parts(value, [...above, value])
      .map(([rest, part]): [string, unknown] => [joinPath(name, rest), part]);
  });
}

/**
 * Whether a value is an array or a plain record, whose contents belong to the module that holds
 * it.
 */
function isWalked(value: unknown): value is object {
  return Array.isArray(value) || isRecord(value);
}

/**
 * Whether a value was written as `{ … }`, or has no prototype, as the result of `Object.groupBy`.
 */
function isRecord(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Checks that each module and variable that modules hold is in the tree.
 *
 * @throws {TypeError} If one is not; the message names its path.
 */
function checkReached(top: AnyModule, modules: ReadonlyMap<string, AnyModule>): void {
  const hidden = [...modules].flatMap(([path, module]) => hiddenIn(module, path));
  if (hidden.length === 0) return;
  const reached = new Set<unknown>([...modules.values(), ...variablesOf(modules).values()]);
  for (const { part, path, container } of hidden) {
    if (reached.has(part)) continue;
    const found = part instanceof Module ? part.describe() : "a variable";
    throw new TypeError(
      `Walking ${top.describe()}: modules and variables must be in fields, arrays or plain objects, found ${found} in ${container}` +
        `${
          path === "" ? "" : ` at ${path}`
        }, where it is neither trained nor saved. Hold it in a field too.`,
    );
  }
}

function nameOfClass(value: object): string {
  return value.constructor?.name ?? "an object";
}

/** A module or variable in a container that the walk does not enter. */
interface HiddenPart {
  readonly part: unknown;
  /** The path of the container. */
  readonly path: string;
  /** The container, in words. */
  readonly container: string;
}

/**
 * Returns the modules and variables that a module holds in Maps, Sets, objects of other classes,
 * and under symbols.
 */
function hiddenIn(owner: AnyModule, ownerPath: string): HiddenPart[] {
  const hidden: HiddenPart[] = [];
  const seen = new Set<object>();
  const search = (value: unknown, path: string, container?: string): void => {
    if (typeof value !== "object" || value === null) return;
    if (value instanceof Module || isVariable(value)) {
      if (container) hidden.push({ part: value, path, container });
      return;
    }
    if (seen.has(value) || isTensor(value) || ArrayBuffer.isView(value)) return;
    seen.add(value);
    if (value instanceof Map || value instanceof Set) {
      for (const [key, item] of value.entries()) {
        for (const part of [key, item]) search(part, path, `a ${nameOfClass(value)}`);
      }
    }
    if (Array.isArray(value)) {
      value.forEach((item, i) => {
        if (typeof item === "object") {
          search(item, container ? path : joinPath(path, `${i}`), container);
        }
      });
    } else searchFields(value, path, isWalked(value) ? container : `a ${nameOfClass(value)}`);
  };
  const searchFields = (holder: object, path: string, container?: string): void => {
    for (const key of Reflect.ownKeys(holder)) {
      const field = Object.getOwnPropertyDescriptor(holder, key)!;
      const isField = typeof key === "string" && field.enumerable;
      const fieldPath = isField && !container ? joinPath(path, String(key)) : path;
      search(field.value, fieldPath, isField ? container : `the field ${String(key)}`);
    }
  };
  searchFields(owner, ownerPath);
  return hidden;
}
