/** Forward hooks: functions that run at each module's forward pass. */
import { dispose, type Tensor, tidy } from "../tensor/mod.ts";
import { checkFunction, isTensor, keep } from "../tensor/internal.ts";
import { checkModule } from "./checks.ts";
import { markPath, messageAt, namesPath, outsideForward } from "./forward_guard.ts";
import type { AnyModule, ForwardOptions, InputOf } from "./module.ts";
import type { OutputOf } from "./shapes.ts";

/** The forward pass of one module. */
export interface ForwardCall {
  /** The module's path, which is empty for the whole model. */
  readonly path: string;
  /** The module that ran. */
  readonly module: AnyModule;
  /** The input of the module. */
  readonly input: unknown;
  /** The output of the module. */
  readonly output: unknown;
}

/**
 * Runs `model.forward` and calls `hook` after each module's forward pass, inner modules first. The
 * forward pass disposes its intermediate tensors, so `hook` reads or clones them. If `hook` returns
 * a tensor, that takes the place of the module's output, so it must have the same shape.
 *
 * The forward methods are wrapped only during the call.
 *
 * @returns The output of the model.
 * @throws The error of a module, with the path of the innermost module that failed before its
 * message.
 *
 * @example
 * ```ts
 * import { linear, onForward, ops, relu, sequential } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const lines: string[] = [];
 * const model = sequential(linear(4, 3), relu());
 * onForward(model, ops.ones([2, 4]), ({ path, module }) => {
 *   lines.push(`${path || "model"}: ${module.describe()}`);
 * });
 * assert.deepEqual(lines, ["0: linear 4 → 3", "1: relu", "model: sequential"]);
 *
 * const silenced = onForward(model, ops.ones([2, 4]), ({ path }) => {
 *   if (path === "0") return ops.zeros([2, 3]);
 * });
 * assert.deepEqual([...silenced.dataSync()], [0, 0, 0, 0, 0, 0]);
 * ```
 */
export function onForward<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  hook: (call: ForwardCall) => unknown,
  options?: ForwardOptions,
): OutputOf<M> {
  const action = "Running a model with a hook";
  checkModule(action, "the model", model);
  checkFunction(action, "the hook", hook);
  return withForwardHook(model, ({ path, module, input, forward }) => {
    const output = forward(input);
    const replacement = outsideForward(() => hook({ path, module, input, output }));
    return isTensor(replacement) ? replacement : output;
  }, () => model.forward(input as never, options)) as OutputOf<M>;
}

/** The forward pass of one module before it runs. */
export interface PendingForward extends Omit<ForwardCall, "output"> {
  /** The options of the forward pass. */
  readonly options: ForwardOptions | undefined;
  /** Runs the forward pass on this input or another. */
  readonly forward: (input: unknown) => unknown;
}

/**
 * Runs `work` while `hook` replaces the forward methods of the model and of all modules below it.
 * The result of `hook` is the output of the module.
 *
 * @throws The error of a module, with the path of the innermost module that failed before its
 * message; the error of `hook` as it is.
 */
export function withForwardHook<T>(
  model: AnyModule,
  hook: (pending: PendingForward) => unknown,
  work: () => T,
): T {
  const restorers: (() => void)[] = [];
  /** The error that is being thrown. Outer modules rethrow it unchanged. */
  let thrown: unknown;
  const wrap = (path: string, module: AnyModule) => {
    const forward = module.forward;
    const own = Object.getOwnPropertyDescriptor(module, "forward");
    const run = (input: unknown, options?: ForwardOptions): unknown => {
      try {
        return forward.call(module, input as never, options);
      } catch (error) {
        throw error === thrown || path === "" ? error : withPath(path, module, error);
      }
    };
    const value = (input: unknown, options?: ForwardOptions): unknown => {
      try {
        return hook({ path, module, input, options, forward: (input) => run(input, options) });
      } catch (error) {
        thrown = error;
        // An error of the hook is not the module's, so no path is put before its message.
        throw error instanceof Error ? markPath(error) : error;
      }
    };
    Object.defineProperty(module, "forward", { value, configurable: true });
    restorers.push(() => {
      if (own) Object.defineProperty(module, "forward", own);
      else Reflect.deleteProperty(module, "forward");
    });
  };
  try {
    for (const [path, module] of model.namedModules()) wrap(path, module);
    return work();
  } finally {
    for (const restore of restorers) restore();
  }
}

/** Returns an error whose message names the module's path. */
function withPath(path: string, module: AnyModule, error: unknown): unknown {
  if (!(error instanceof Error) || namesPath(error)) return error;
  const ErrorClass = [RangeError, TypeError].find((type) => error instanceof type) ?? Error;
  return markPath(new ErrorClass(messageAt(path, module, error), { cause: error }));
}

/**
 * Returns the output of each module below the model, by path, in the order of the forward pass. For
 * a module that runs more than once it is the last output. The caller disposes the tensors.
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
