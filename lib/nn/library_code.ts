/** Tells models of the library's own layers from models that run code of a user. */
import { Activation } from "./activation.ts";
import { hasLibraryForward } from "./forward_guard.ts";
import type { AnyModule } from "./module.ts";

/**
 * Returns whether a forward pass of a model runs code of this library only. The result then depends
 * on nothing in JavaScript but the fields of the modules. Hooks and the function of an
 * {@linkcode Activation} are a user's code.
 */
export function runsLibraryCode(model: AnyModule): boolean {
  return [...model.namedModules().values()].every((module) =>
    hasLibraryForward(module) && Object.getPrototypeOf(module) !== Activation.prototype
  );
}
