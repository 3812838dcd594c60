/**
 * Stands before each `forward` of a module: it checks the options, and that what runs belongs to
 * the model.
 */
import { checkOptions, isTensor } from "../tensor/mod.ts";
import { watchVariables } from "../tensor/internal.ts";
import type { AnyModule, ForwardOptions } from "./module.ts";

type Forward = (this: AnyModule, input: never, options?: ForwardOptions) => unknown;

/** The forward passes that run now, the outermost first. */
const running: AnyModule[] = [];
/** The functions that {@linkcode guarded} made. */
const made = new WeakSet<object>();
/**
 * Whether a module and all below it were found to read no other variables than their own, in
 * inference and in training.
 */
const passed = { inference: new WeakSet<AnyModule>(), training: new WeakSet<AnyModule>() };
/** The options of the last call: the same object comes to each part of a model. */
let checked: ForwardOptions | undefined;

/** Guards the methods named `forward` of a class and of those that it extends. */
export function guardClass(prototype: object, base: object): void {
  for (let at = prototype; at !== base; at = Object.getPrototypeOf(at)) guardForward(at);
}

/** Guards the `forward` that an object has of its own, if it has one. */
export function guardForward(owner: object): void {
  const forward = Object.getOwnPropertyDescriptor(owner, "forward");
  if (typeof forward?.value !== "function" || made.has(forward.value)) return;
  if (!forward.configurable && !forward.writable) return;
  Object.defineProperty(owner, "forward", { ...forward, value: guarded(forward.value, owner) });
}

/** The module whose forward pass runs, the innermost. */
export function innermostRunning(): AnyModule | undefined {
  return running.at(-1);
}

/** The prototypes of this library's layers and networks. */
const ofLibrary = new WeakSet<object>();

/**
 * Has these classes take no other options in `forward` than those of {@linkcode ForwardOptions}.
 */
export function takeForwardOptionsOnly(...classes: readonly { prototype: object }[]): void {
  for (const { prototype } of classes) ofLibrary.add(prototype);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !isTensor(value);
}

/** Runs what a look at a forward pass does, such as a probe on its features, as if no pass ran. */
export function aside<T>(work: () => T): T {
  const suspended = running.splice(0);
  try {
    return work();
  } finally {
    running.push(...suspended);
  }
}

function guarded(forward: Forward, owner: object): Forward {
  const run = function (this: AnyModule, ...given: Parameters<Forward>): unknown {
    const [, options] = given;
    if (options !== undefined && options !== checked) {
      checkForwardOptions(this, options, ofLibrary.has(owner));
    }
    if (this.isDisposed) {
      throw new TypeError(`${this.describe()}: it was disposed and cannot run.`);
    }
    const isOutermost = running.length === 0;
    running.push(this);
    try {
      const mode = options?.training ? passed.training : passed.inference;
      if (!isOutermost || mode.has(this)) return forward.apply(this, given);
      const result = ownVariablesOnly(this, () => forward.apply(this, given));
      for (const module of this.namedModules().values()) mode.add(module);
      return result;
    } finally {
      running.pop();
    }
  };
  made.add(run);
  return run;
}

/**
 * Checks the options of a forward pass.
 *
 * @throws {TypeError} If they are no object, or have an option that does not exist or is of the
 * wrong kind.
 */
function checkForwardOptions(
  module: AnyModule,
  options: ForwardOptions,
  isOfLibrary: boolean,
): void {
  const doing = `Running ${module.describe()}`;
  // A forward pass of the user's own may take more, and other things.
  if (!isOfLibrary) {
    const misspelt = isObject(options) &&
      Object.keys(options).find((name) => name !== "training" && /^(is_?)?trai/i.test(name));
    if (misspelt) {
      throw new TypeError(`${doing}: there is no option ${misspelt}. Did you mean training?`);
    }
    return;
  }
  checkOptions<ForwardOptions>(doing, options, "{ training: true }", { training: true });
  const { training } = options;
  if (training !== undefined && typeof training !== "boolean") {
    throw new TypeError(`${doing}: training must be true or false, found ${training}.`);
  }
  checked = options;
}

/**
 * Runs a module's forward pass, which may read no variable that is not in its tree: it would be
 * neither trained nor saved nor counted.
 *
 * @throws {TypeError} If it reads another one.
 */
function ownVariablesOnly<T>(module: AnyModule, forward: () => T): T {
  let own = new Set(module.namedVariables().values());
  return watchVariables((variable) => {
    if (running[0] !== module || own.has(variable)) return;
    // The tree is walked again, since a module may make a part when it first runs.
    own = new Set(module.namedVariables().values());
    if (own.has(variable)) return;
    const part = running.at(-1)!;
    const found = part === module
      ? `one of [${variable.shape.join(", ")}]`
      : `that of ${part.describe()}`;
    throw new TypeError(
      `Running ${module.describe()}: each variable that it reads must be in its tree, found ${found}, which is not, ` +
        "so it is neither trained nor saved. Fields named with #, Maps, Sets, closures and static fields are not walked: " +
        "hold it in a field, an array or a plain object, and freeze it if it shall not be trained.",
    );
  }, forward);
}
