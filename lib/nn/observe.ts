/**
 * Watching a forward pass from outside: what each module took and gave, and which module failed.
 */
import { dispose, isTensor, keep, type Tensor, tidy } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { checkModule } from "./checks.ts";
import { aside } from "./forward_guard.ts";
import type { AnyModule, ForwardOptions, InputOf } from "./module.ts";

/** One module's part in a forward pass. */
export interface ForwardCall {
  /** The module's path; empty for the whole model. */
  readonly path: string;
  readonly module: AnyModule;
  readonly input: unknown;
  readonly output: unknown;
}

/**
 * Runs `model.forward` and calls `see` after each module's forward pass, the inner before the
 * outer. What `see` is given lives as long as the forward pass lets it: read or clone it there.
 *
 * The forward methods are wrapped for the time of the call only.
 *
 * @returns What the forward pass gives.
 * @throws What a module throws, with the path of the innermost module that failed before the
 * message.
 *
 * @example
 * ```ts
 * import { linear, onForward, ops, relu, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const seen: string[] = [];
 * const model = sequential(linear(4, 3), relu());
 * onForward(model, ops.ones([2, 4]), ({ path, module }) => {
 *   seen.push(`${path || "model"}: ${module.describe()}`);
 * });
 * assert.deepEqual(seen, ["0: linear 4 → 3", "1: relu", "model: sequential"]);
 * ```
 */
export function onForward<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  see: (observation: ForwardCall) => void,
  options?: ForwardOptions,
): unknown {
  checkModule("Observing a forward pass", "the model", model);
  if (typeof see !== "function") {
    throw new TypeError(
      `Observing a forward pass: it must be given a function that sees, found ${show(see)}.`,
    );
  }
  let placed: unknown;
  return withForwardHook(model, ({ path, module, input, forward }) => {
    let output: unknown;
    try {
      output = forward(input);
    } catch (error) {
      if (error === placed || path === "") throw error;
      throw placed = atPath(path, module, error);
    }
    try {
      aside(() => see({ path, module, input, output }));
    } catch (error) {
      throw placed = error; // not the module's fault
    }
    return output;
  }, () => model.forward(input as never, options));
}

/** One module's forward pass that is about to run. */
export interface Call extends Omit<ForwardCall, "output"> {
  /** Runs it, on this input or another. */
  readonly forward: (input: unknown) => unknown;
}

/**
 * Runs `work` while `around` stands in for the forward methods of the model and of all modules
 * below it: what `around` gives is what the module gives.
 */
export function withForwardHook<T>(
  model: AnyModule,
  around: (call: Call) => unknown,
  work: () => T,
): T {
  const restore: (() => void)[] = [];
  const wrap = (path: string, module: AnyModule) => {
    const forward = module.forward;
    const own = Object.getOwnPropertyDescriptor(module, "forward");
    const value = (input: unknown, options?: ForwardOptions): unknown =>
      around({
        path,
        module,
        input,
        forward: (input) => forward.call(module, input as never, options),
      });
    Object.defineProperty(module, "forward", { value, configurable: true });
    restore.push(() => {
      if (own) Object.defineProperty(module, "forward", own);
      else Reflect.deleteProperty(module, "forward");
    });
  };
  try {
    for (const [path, module] of model.namedModules()) wrap(path, module);
    return work();
  } finally {
    for (const undo of restore) undo();
  }
}

/**
 * An error with the place in the model before its message, which a layer begins with its own
 * description.
 */
function atPath(path: string, module: AnyModule, error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const Kind = [RangeError, TypeError].find((kind) => error instanceof kind) ?? Error;
  const layer = module.describe();
  const message = error.message.startsWith(`${layer}: `)
    ? error.message.slice(layer.length + 2)
    : error.message;
  return new Kind(`At ${path} (${layer}): ${message}`, { cause: error });
}

/**
 * What each module below the model gives for an input, by path, in the order of the forward pass;
 * of a module that runs more than once, the last. The caller disposes the tensors.
 *
 * @throws {RangeError} If a layer does not fit its input, with the layer's path.
 *
 * @example
 * ```ts
 * import { captureActivations, dispose, linear, ops, relu, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = sequential(linear(4, 3), relu());
 * const activations = captureActivations(model, ops.ones([2, 4]));
 * assert.deepEqual([...activations.keys()], ["0", "1"]);
 * assert.deepEqual(activations.get("1")?.shape, [2, 3]);
 * dispose([...activations.values()]);
 * ```
 */
export function captureActivations<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  options?: ForwardOptions,
): Map<string, Tensor> {
  checkModule("Capturing activations", "the model", model);
  const activations = new Map<string, Tensor>();
  try {
    tidy(() => {
      onForward(model, input, ({ path, output }) => {
        if (path === "" || !isTensor(output)) return;
        activations.get(path)?.dispose();
        activations.set(path, keep(output.clone()));
      }, options);
    });
  } catch (error) {
    dispose([...activations.values()]);
    throw error;
  }
  return activations;
}
