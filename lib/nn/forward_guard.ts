/**
 * Wraps each `forward` of a module: checks the options, and that all variables that it reads belong
 * to the model. An error names the path of the innermost module that failed.
 */
import type { Variable } from "../tensor/mod.ts";
import {
  checkBoolean,
  checkOptions,
  isTensor,
  noteForward,
  watchVariables,
} from "../tensor/internal.ts";

/** The options of a forward pass. */
export interface ForwardOptions {
  /**
   * Whether this pass is part of training. Dropout and batch norm behave differently then.
   *
   * @default false
   */
  readonly training?: boolean;
}

/** The part of a module that the guard uses. module.ts imports this file, so not the class. */
interface GuardedModule {
  readonly isDisposed: boolean;
  describe(): string;
  namedModules(): Map<string, GuardedModule>;
  namedVariables(): Map<string, Variable>;
}

type Forward = (this: GuardedModule, input: never, options?: ForwardOptions) => unknown;

/** The modules whose forward pass runs now, the outermost first. */
const running: GuardedModule[] = [];
/** The functions that {@linkcode guarded} returned. */
const guards = new WeakSet<object>();
/**
 * Modules that are known, with all modules below them, to read only their own variables. Each mode
 * is checked once.
 */
const verified = {
  inference: new WeakSet<GuardedModule>(),
  training: new WeakSet<GuardedModule>(),
};
/** The options that were checked last: a model passes the same object to each of its parts. */
let lastOptions: ForwardOptions | undefined;

/** Guards the methods named `forward` of a class and of the classes that it extends. */
export function guardClass(prototype: object, base: object): void {
  for (let at = prototype; at !== base; at = Object.getPrototypeOf(at)) guardForward(at);
}

/** Guards the `forward` that is a property of this object itself, if there is one. */
export function guardForward(owner: object): void {
  const forward = Object.getOwnPropertyDescriptor(owner, "forward");
  if (typeof forward?.value !== "function" || guards.has(forward.value)) return;
  if (!forward.configurable && !forward.writable) return;
  Object.defineProperty(owner, "forward", { ...forward, value: guarded(forward.value, owner) });
}

/** Returns the innermost module whose forward pass runs now. */
export function innermostRunning(): object | undefined {
  return running.at(-1);
}

/** The error of a forward pass that is being thrown, and the innermost module that it ends. */
let failure: { readonly error: unknown; readonly module: GuardedModule } | undefined;
/** The errors that name a path. */
const withPath = new WeakSet<object>();

/** Whether an error names the path of a module. */
export function namesPath(error: unknown): boolean {
  return typeof error === "object" && error !== null && withPath.has(error);
}

/** Marks an error as one that names the path of a module. */
export function markPath<E extends Error>(error: E): E {
  withPath.add(error);
  return error;
}

/**
 * Returns a message of an error that names the module's path. The description with which a layer
 * opens its messages moves after the path.
 */
export function messageAt(path: string, module: GuardedModule, { message }: Error): string {
  const layer = module.describe();
  const rest = message.startsWith(`${layer}: `) ? message.slice(layer.length + 2) : message;
  return `At ${path} (${layer}): ${rest}`;
}

/**
 * Names the path of the innermost module that failed, in the message of the error itself: so its
 * class and its stack stay.
 */
function namePath(model: GuardedModule): void {
  const { error, module } = failure!;
  failure = undefined;
  if (!(error instanceof Error) || withPath.has(error)) return;
  // The message of a DOMException cannot be changed.
  if (!Object.getOwnPropertyDescriptor(error, "message")?.writable) return;
  for (const [path, candidate] of model.namedModules()) {
    if (candidate !== module || path === "") continue;
    error.message = messageAt(path, module, markPath(error));
    return;
  }
}

/** The prototypes of this library's layers and networks. */
const libraryPrototypes = new WeakSet<object>();

/**
 * Makes the `forward` of these classes refuse options other than {@linkcode ForwardOptions}. A
 * class of the user may take more.
 */
export function takeForwardOptionsOnly(...classes: readonly { prototype: object }[]): void {
  for (const { prototype } of classes) libraryPrototypes.add(prototype);
}

/** Whether the `forward` of a module is one of this library's, without a hook around it. */
export function hasLibraryForward(module: object): boolean {
  return libraryPrototypes.has(Object.getPrototypeOf(module)) && !Object.hasOwn(module, "forward");
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !isTensor(value);
}

/**
 * Runs a hook as if no forward pass ran. A hook may read variables of other modules, such as those
 * of a probe on the features.
 */
export function outsideForward<T>(hook: () => T): T {
  const suspended = running.splice(0);
  try {
    return hook();
  } finally {
    running.push(...suspended);
  }
}

function guarded(forward: Forward, owner: object): Forward {
  const guard = function (this: GuardedModule, ...parameters: Parameters<Forward>): unknown {
    const [, options] = parameters;
    if (options !== undefined && options !== lastOptions) {
      checkForwardOptions(this, options, libraryPrototypes.has(owner));
    }
    if (this.isDisposed) {
      throw new TypeError(
        `${this.describe()}: the module must be alive, found it disposed. Make it again.`,
      );
    }
    noteForward(this);
    const isOutermost = running.length === 0;
    running.push(this);
    try {
      const modules = options?.training ? verified.training : verified.inference;
      if (!isOutermost || modules.has(this)) return forward.apply(this, parameters);
      const result = refuseOtherVariables(this, () => forward.apply(this, parameters));
      for (const module of this.namedModules().values()) modules.add(module);
      return result;
    } catch (error) {
      if (error !== failure?.error) failure = { error, module: this };
      if (isOutermost) namePath(this);
      throw error;
    } finally {
      running.pop();
    }
  };
  guards.add(guard);
  return guard;
}

/**
 * Checks the options of a forward pass.
 *
 * @throws {TypeError} If they are not an object, or there is an option that does not exist or is of
 * the wrong kind.
 */
function checkForwardOptions(
  module: GuardedModule,
  options: ForwardOptions,
  isOfLibrary: boolean,
): void {
  const action = `Running ${module.describe()}`;
  // The forward pass of a user's class may take other options, or no object at all.
  if (!isOfLibrary) {
    const misspelt = isObject(options) &&
      Object.keys(options).find((name) => name !== "training" && /^(is_?)?trai/i.test(name));
    if (misspelt) {
      throw new TypeError(`${action}: there is no option ${misspelt}. Did you mean training?`);
    }
    return;
  }
  checkOptions<ForwardOptions>(action, options, "{ training: true }", { training: true });
  if (options.training !== undefined) checkBoolean(action, "training", options.training);
  lastOptions = options;
}

/**
 * Runs a module's forward pass and refuses to read a variable that is not in its tree: the variable
 * would be neither trained nor saved nor counted.
 *
 * @throws {TypeError} If the pass reads such a variable.
 */
function refuseOtherVariables<T>(module: GuardedModule, forward: () => T): T {
  let own = new Set(module.namedVariables().values());
  return watchVariables((variable) => {
    if (running[0] !== module || own.has(variable)) return;
    // A module may make a part when it first runs, so the tree is walked again.
    own = new Set(module.namedVariables().values());
    if (own.has(variable)) return;
    const reader = running.at(-1)!;
    const origin = reader === module
      ? `with the shape [${variable.shape.join(", ")}]`
      : `of ${reader.describe()}`;
    throw new TypeError(
      `Running ${module.describe()}: each variable that it reads must be in its tree, found one ${origin} outside it. ` +
        "It would be neither trained nor saved. Fields named with #, Maps, Sets, closures and static fields are not walked: " +
        "hold it in a field, an array or a plain object, and freeze it to keep its value.",
    );
  }, forward);
}
