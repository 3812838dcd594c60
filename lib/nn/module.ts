import {
  dispose,
  type Features,
  isTensor,
  isVariable,
  type Tensor,
  type Variable,
} from "../tensor/mod.ts";
import { show, watchState } from "../tensor/internal.ts";
import { guardClass, guardForward } from "./forward_guard.ts";

/** How a forward pass runs. */
export interface ForwardOptions {
  /**
   * Whether this pass is part of training, which dropout and batch norm treat differently; false
   * unless said otherwise.
   */
  readonly training?: boolean;
}

declare const signature: unique symbol;
/** The key of {@linkcode ShapeRule}. */
export declare const shapeRule: unique symbol;

/**
 * How the output's type follows from the input's, for layers that fit many inputs: `"same"` keeps
 * it (relu, pooling), `"pooled"` makes features of images with as many channels. `undefined` where
 * the layer has one output type.
 */
export type ShapeRule = "same" | "pooled" | undefined;

/**
 * A part of a network with a forward pass, and parameters that are found by walking its fields.
 *
 * Fields that are variables, modules, or arrays and records of them to any depth, belong to it and
 * give the paths: `stage2.0.conv1.weight`. A subclass says what it takes and gives,
 * `Module<Images<3>, Features<10>>`, declares its parts as `readonly` fields, and writes `forward`,
 * in `tidy` if it makes more tensors than the one it returns.
 *
 * Modules and variables in a Map, a Set, or an object of another class are refused when the tree is
 * walked. Fields named with `#`, closures and static fields cannot be walked: the first forward
 * pass refuses to read a variable that is not in the tree. A model that shall stay apart, such as a
 * teacher whose outputs the loss compares with, runs outside `forward`; one that runs inside is
 * held in a field and frozen.
 *
 * @typeParam In What `forward` takes, such as `Images<64>`.
 * @typeParam Out What `forward` gives.
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
  #frozen = false;
  #disposed = false;

  constructor() {
    watchState(this);
    guardClass(new.target.prototype, Module.prototype);
  }

  /**
   * Computes the output for a batch.
   *
   * @throws {TypeError} If there is an option that does not exist, the module was disposed, or it
   * reads a variable that is not in its tree.
   */
  abstract forward(input: In, options?: ForwardOptions): Out;

  /** The layer in a few words, as {@linkcode summary} prints it. */
  describe(): string {
    return this.constructor.name;
  }

  /**
   * The multiply-accumulate operations of one forward pass over shapes without the batch axis,
   * children not counted.
   */
  macs(_inputShape: readonly number[], _outputShape: readonly number[]): number {
    return 0;
  }

  /** The modules directly below this one, by the name of the field. */
  children(): Map<string, AnyModule> {
    return new Map(
      parts(this).filter((part): part is [string, AnyModule] => part[1] instanceof Module),
    );
  }

  /** The variables directly in this module, by the name of the field. */
  variables(): Map<string, Variable> {
    return new Map(
      parts(this).filter((part): part is [string, Variable] => isVariable(part[1])),
    );
  }

  /**
   * This module under the empty path, and all below it, each once, parents first.
   *
   * @throws {TypeError} If a module or variable is where the tree does not reach, such as in a Map.
   */
  namedModules(): Map<string, AnyModule> {
    const found = modulesIn(this);
    checkReached(this, found);
    return found;
  }

  /**
   * Every parameter and running statistic in the tree by its path, each once.
   *
   * @throws {TypeError} As {@linkcode namedModules}.
   */
  namedVariables(): Map<string, Variable> {
    return variablesOf(this.namedModules());
  }

  /**
   * Every parameter in the tree that is trained, by its path: frozen ones and running statistics
   * are not among them.
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
    const still = new Set<Variable>();
    for (const module of this.namedModules().values()) {
      if (module.#frozen) {
        for (const variable of module.variables().values()) still.add(variable);
      }
    }
    return new Map(
      [...this.namedVariables()].filter(([, variable]) =>
        variable.trainable && !still.has(variable)
      ),
    );
  }

  /** Every parameter in the tree that is trained, in the order of {@linkcode namedParameters}. */
  parameters(): Variable[] {
    return [...this.namedParameters().values()];
  }

  /**
   * Whether the variables directly in this module stand still. A layer with running statistics
   * leaves them alone then.
   */
  get isFrozen(): boolean {
    return this.#frozen;
  }

  /**
   * Makes the modules at `paths` stand still with all below them, or the whole module where no path
   * is given.
   *
   * Their parameters are no longer among {@linkcode parameters}, so freeze before the optimizer is
   * made: {@linkcode fit} refuses to start with one that would change them. Their batch norms run
   * with the running statistics also in training, and keep them. Gradients flow through to what
   * comes before, and dropout goes on dropping.
   *
   * @throws {RangeError} If there is no module at a path, with the nearest that there are; nothing
   * is frozen then.
   *
   * @example
   * ```ts
   * import { ops, resnet } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const model = resnet({ block: "basic", stages: [1, 1], channels: 4, classes: 2 });
   * model.freeze(); // All of it…
   * model.unfreeze("layer2.0.conv2", "fc"); // … but these.
   * assert.deepEqual([...model.namedParameters().keys()], [
   *   "layer2.0.conv2.weight",
   *   "fc.weight",
   *   "fc.bias",
   * ]);
   * model.forward(ops.ones([2, 32, 32, 3]), { training: true });
   * assert.deepEqual(model.bn1?.runningMean.arraySync(), [0, 0, 0, 0]);
   *
   * assert.throws(() => model.freeze("layer"), /no module at "layer"; there are conv1, bn1, maxpool, layer1, layer2,/);
   * ```
   */
  freeze(...paths: string[]): void {
    this.#setFrozen(true, paths);
  }

  /**
   * Undoes {@linkcode freeze} for the modules at `paths` and all below them, or for the whole
   * module where no path is given. An optimizer made before does not train them; make it again.
   *
   * @throws {RangeError} If there is no module at a path, with the nearest that there are; nothing
   * is unfrozen then.
   */
  unfreeze(...paths: string[]): void {
    this.#setFrozen(false, paths);
  }

  #setFrozen(frozen: boolean, paths: readonly string[]): void {
    const modules = this.namedModules();
    const doing = `${frozen ? "Freezing" : "Unfreezing"} parts of ${this.describe()}`;
    const chosen = paths.length === 0
      ? [this]
      : paths.map((path) => moduleAt(doing, modules, path));
    for (const top of chosen) {
      for (const module of top.namedModules().values()) module.#frozen = frozen;
    }
  }

  /**
   * Frees the memory of all parameters and running statistics; the module cannot be used
   * afterwards.
   */
  dispose(): void {
    this.#disposed = true;
    dispose([...variablesOf(modulesIn(this)).values()]);
  }

  /** Whether {@linkcode dispose} was called. */
  get isDisposed(): boolean {
    return this.#disposed;
  }

  /** {@linkcode dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The tree of modules, one to a line. */
  toString(): string {
    return treeOf(this, []);
  }

  /** What `console.log` and a cell's last expression show: the tree, not the insides of tensors. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }
}

/** Any module, whatever it takes and gives. */
export interface AnyModule extends Module<never, unknown> {}

/** What a module takes. */
export type InputOf<M> = M extends { readonly [signature]: (input: infer In) => unknown } ? In
  : never;

/** A module that takes `In` and gives features for `Classes` classes: a classifier. */
export type Classifier<In extends Tensor, Classes extends number> = Module<In, Features<Classes>>;

/** The path of a part of something with a path. */
export function joinPath(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

/**
 * The module at a path, of those of a model.
 *
 * @throws {RangeError} If there is none, with the nearest that there are.
 */
export function moduleAt(
  doing: string,
  modules: ReadonlyMap<string, AnyModule>,
  path: string,
): AnyModule {
  if (typeof path !== "string") {
    throw new TypeError(
      `${doing}: each path must be a string such as "layer1.0", found ${show(path)}.`,
    );
  }
  const module = path === "" ? modules.get("") : below(modules.get("")!, path);
  if (module) return module;
  throw new RangeError(
    `${doing}: there is no module at ${JSON.stringify(path)}; ${nearest(path, modules)}.`,
  );
}

/** The module at a path below another, also where it has other paths as well. */
function below(module: AnyModule, path: string): AnyModule | undefined {
  for (const [name, child] of module.children()) {
    if (path === name) return child;
    const found = path.startsWith(`${name}.`)
      ? below(child, path.slice(name.length + 1))
      : undefined;
    if (found) return found;
  }
}

/**
 * What there is instead of a module at `path`: the longest path on the way to it that leads to one,
 * and the parts of that.
 */
function nearest(path: string, modules: ReadonlyMap<string, AnyModule>): string {
  let above = path;
  do above = above.slice(0, Math.max(0, above.lastIndexOf("."))); while (!modules.has(above));
  const children = [...modules.get(above)!.children().keys()].map((name) => joinPath(above, name));
  const there = above === "" ? children : [above, ...children];
  return there.length === 0 ? "it has no parts" : `there are ${there.join(", ")}`;
}

/** The tree of a module as text; `above` are those that it is in. */
function treeOf(module: AnyModule, above: readonly AnyModule[]): string {
  if (above.includes(module)) return `${module.describe()}, which it is in`;
  const children = [...module.children()].map(([name, child]) =>
    `(${name}) ${treeOf(child, [...above, module])}`.replaceAll("\n", "\n  ")
  );
  return [module.describe(), ...children].join("\n  ");
}

/** A module under the empty path, and all below it, each once, parents first. */
function modulesIn(top: AnyModule): Map<string, AnyModule> {
  const found = new Map<string, AnyModule>();
  const seen = new Set<AnyModule>();
  const visit = (path: string, module: AnyModule) => {
    if (seen.has(module)) return;
    seen.add(module);
    found.set(path, module);
    guardForward(module);
    for (const [name, child] of module.children()) visit(joinPath(path, name), child);
  };
  visit("", top);
  return found;
}

/** The variables of modules by their path, each once. */
function variablesOf(modules: ReadonlyMap<string, AnyModule>): Map<string, Variable> {
  const found = new Map<string, Variable>();
  const seen = new Set<Variable>();
  for (const [path, module] of modules) {
    for (const [name, variable] of module.variables()) {
      if (!seen.has(variable)) found.set(joinPath(path, name), variable);
      seen.add(variable);
    }
  }
  return found;
}

/**
 * The modules and variables in the fields of an object, in arrays and plain records as `name.0`,
 * `name.key`…
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
 * Whether something is an array or a plain record, whose contents belong to the module that holds
 * it.
 */
function isWalked(value: unknown): value is object {
  return Array.isArray(value) || isRecord(value);
}

/**
 * Whether something was written as `{ … }`, or has no prototype, as the groups of `Object.groupBy`.
 */
function isRecord(value: unknown): value is object {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/**
 * Checks that each module and variable that modules hold is in the tree.
 *
 * @throws {TypeError} If one is not, with its place.
 */
function checkReached(top: AnyModule, modules: ReadonlyMap<string, AnyModule>): void {
  const hidden = [...modules].flatMap(([path, module]) => hiddenIn(module, path));
  if (hidden.length === 0) return;
  const reached = new Set<unknown>([...modules.values(), ...variablesOf(modules).values()]);
  for (const { part, place, container } of hidden) {
    if (reached.has(part)) continue;
    const found = part instanceof Module ? part.describe() : "a variable";
    throw new TypeError(
      `Walking ${top.describe()}: modules and variables must be in fields, arrays or plain objects, found ${found} in ${container}` +
        `${
          place === "" ? "" : ` at ${place}`
        }, where it is neither trained nor saved. Hold it in a field too.`,
    );
  }
}

function nameOfClass(value: object): string {
  return value.constructor?.name ?? "an object";
}

/** A module or variable in a container that the tree does not reach into. */
interface Hidden {
  readonly part: unknown;
  /** The path of the container. */
  readonly place: string;
  /** The container, in words. */
  readonly container: string;
}

/**
 * The modules and variables that a module holds in Maps, Sets, objects of other classes, and under
 * symbols.
 */
function hiddenIn(owner: AnyModule, path: string): Hidden[] {
  const found: Hidden[] = [];
  const seen = new Set<object>();
  const search = (value: unknown, place: string, container?: string): void => {
    if (typeof value !== "object" || value === null) return;
    if (value instanceof Module || isVariable(value)) {
      if (container) found.push({ part: value, place, container });
      return;
    }
    if (seen.has(value) || isTensor(value) || ArrayBuffer.isView(value)) return;
    seen.add(value);
    if (value instanceof Map || value instanceof Set) {
      for (const [key, item] of value.entries()) {
        for (const part of [key, item]) search(part, place, `a ${nameOfClass(value)}`);
      }
    }
    if (Array.isArray(value)) {
      value.forEach((item, i) => {
        if (typeof item === "object") {
          search(item, container ? place : joinPath(place, `${i}`), container);
        }
      });
    } else searchFields(value, place, isWalked(value) ? container : `a ${nameOfClass(value)}`);
  };
  const searchFields = (holder: object, place: string, container?: string): void => {
    for (const key of Reflect.ownKeys(holder)) {
      const field = Object.getOwnPropertyDescriptor(holder, key)!;
      const isField = typeof key === "string" && field.enumerable;
      const where = isField && !container ? joinPath(place, String(key)) : place;
      search(field.value, where, isField ? container : `the field ${String(key)}`);
    }
  };
  searchFields(owner, path);
  return found;
}
