import {
  dispose,
  type Features,
  isVariable,
  type Tensor,
  type Variable,
  watchState,
} from "../tensor/mod.ts";

/** How a forward pass runs. */
export interface ForwardOptions {
  /** Whether this pass is part of training, which dropout and batch norm treat differently; false unless said otherwise. */
  readonly training?: boolean;
}

declare const signature: unique symbol;
/** The key of {@linkcode ShapeRule}. */
export declare const shapeRule: unique symbol;

/**
 * How the output's type follows from the input's, for layers that fit many inputs: `"same"` keeps it (relu, pooling), `"pooled"`
 * makes features of images with as many channels. `undefined` where the layer has one output type.
 */
export type ShapeRule = "same" | "pooled" | undefined;

/**
 * A part of a network with a forward pass, and parameters that are found by walking its fields.
 *
 * Fields that are variables, modules, or arrays and records of them to any depth, belong to it and give the paths:
 * `stage2.0.conv1.kernel`. (A field named with `#` cannot be walked.) A subclass says what it takes and gives,
 * `Module<Images<3>, Features<10>>`, declares its parts as `readonly` fields, and writes `forward`, in `tidy` if it makes more
 * tensors than the one it returns.
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

  constructor() {
    watchState(this);
  }

  /** Computes the output for a batch. */
  abstract forward(input: In, options?: ForwardOptions): Out;

  /** The layer in a few words, as {@linkcode summary} prints it. */
  describe(): string {
    return this.constructor.name;
  }

  /** The multiply-accumulate operations of one forward pass over shapes without the batch axis, children not counted. */
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

  /** This module under the empty path, and all below it, each once, parents first. */
  namedModules(): Map<string, AnyModule> {
    const found = new Map<string, AnyModule>();
    const seen = new Set<AnyModule>();
    const visit = (path: string, module: AnyModule) => {
      if (seen.has(module)) return;
      seen.add(module);
      found.set(path, module);
      for (const [name, child] of module.children()) visit(joinPath(path, name), child);
    };
    visit("", this);
    return found;
  }

  /** Every parameter and running statistic in the tree by its path, each once. */
  namedVariables(): Map<string, Variable> {
    const found = new Map<string, Variable>();
    const seen = new Set<Variable>();
    for (const [path, module] of this.namedModules()) {
      for (const [name, variable] of module.variables()) {
        if (!seen.has(variable)) found.set(joinPath(path, name), variable);
        seen.add(variable);
      }
    }
    return found;
  }

  /** Every parameter in the tree that is trained, by its path: frozen ones and running statistics are not among them. */
  namedParameters(): Map<string, Variable> {
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

  /** Whether the variables directly in this module stand still. A layer with running statistics leaves them alone then. */
  get isFrozen(): boolean {
    return this.#frozen;
  }

  /**
   * Makes the modules at `paths` stand still with all below them, or the whole module where no path is given.
   *
   * Their parameters are no longer among {@linkcode parameters}, so freeze before the optimizer is made: {@linkcode fit} refuses to start
   * with one that would change them. Their batch norms run with the running statistics also in training, and keep them. Gradients flow through to
   * what comes before, and dropout goes on dropping.
   *
   * @throws {RangeError} If there is no module at a path, with the nearest that there are; nothing is frozen then.
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
   *   "layer2.0.conv2.kernel",
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
   * Undoes {@linkcode freeze} for the modules at `paths` and all below them, or for the whole module where no path is given. An
   * optimizer made before does not train them; make it again.
   *
   * @throws {RangeError} If there is no module at a path, with the nearest that there are; nothing is unfrozen then.
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

  /** Frees the memory of all parameters and running statistics; the module cannot be used afterwards. */
  dispose(): void {
    dispose([...this.namedVariables().values()]);
  }

  /** {@linkcode dispose}, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** The tree of modules, one to a line. */
  toString(): string {
    const children = [...this.children()].map(([name, child]) =>
      `(${name}) ${child.toString()}`.replaceAll("\n", "\n  ")
    );
    return [this.describe(), ...children].join("\n  ");
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
  const module = modules.get(path);
  if (module) return module;
  throw new RangeError(
    `${doing}: there is no module at ${JSON.stringify(path)}; ${nearest(path, modules)}.`,
  );
}

/** What there is instead of a module at `path`: the longest path on the way to it that leads to one, and the parts of that. */
function nearest(path: string, modules: ReadonlyMap<string, AnyModule>): string {
  let above = path;
  do above = above.slice(0, Math.max(0, above.lastIndexOf("."))); while (!modules.has(above));
  const children = [...modules.get(above)!.children().keys()].map((name) => joinPath(above, name));
  const there = above === "" ? children : [above, ...children];
  return there.length === 0 ? "it has no parts" : `there are ${there.join(", ")}`;
}

/** The modules and variables in the fields of an object, in arrays and plain records as `name.0`, `name.key`… */
function parts(owner: object): [string, unknown][] {
  return Object.entries(owner).flatMap(([name, value]) => {
    if (value instanceof Module || isVariable(value)) return [[name, value]];
    if (!Array.isArray(value) && !isRecord(value)) return [];
    return parts(value).map(([rest, part]): [string, unknown] => [joinPath(name, rest), part]);
  });
}

function isRecord(value: unknown): value is object {
  return typeof value === "object" && value !== null &&
    Object.getPrototypeOf(value) === Object.prototype;
}
