/** Watching a forward pass from outside: what each module took and gave, and which module failed. */
import { keep, type Tensor, tidy } from "../tensor/mod.ts";
import { type AnyModule, type ForwardOptions, type InputOf, Module } from "./module.ts";

/** One module's part in a forward pass. */
export interface Observation {
  /** The module's path; empty for the whole model. */
  readonly path: string;
  readonly module: AnyModule;
  readonly input: unknown;
  readonly output: unknown;
}

/**
 * Runs `model.forward` and calls `see` after each module's forward pass, the inner before the outer. An error names the innermost
 * module that failed.
 *
 * The forward methods are wrapped for the time of the call only.
 */
export function observeForward<M extends AnyModule>(
  model: M,
  input: InputOf<M>,
  see: (observation: Observation) => void,
  options?: ForwardOptions,
): unknown {
  const modules = model.namedModules();
  let failed: unknown;
  for (const [path, module] of modules) {
    const forward = module.forward;
    const watched = (value: never, forwardOptions?: ForwardOptions): unknown => {
      let output: unknown;
      try {
        output = forward.call(module, value, forwardOptions);
      } catch (error) {
        if (error === failed || !(error instanceof Error) || path === "") throw error;
        const place = error instanceof TypeError ? TypeError : RangeError;
        failed = new place(`At ${path} (${module.describe()}): ${error.message}`, { cause: error });
        throw failed;
      }
      see({ path, module, input: value, output });
      return output;
    };
    Object.defineProperty(module, "forward", {
      value: watched,
      configurable: true,
      enumerable: false,
    });
  }
  try {
    return model.forward(input as never, options);
  } finally {
    for (const module of modules.values()) Reflect.deleteProperty(module, "forward");
  }
}

/**
 * What each module below the model gives for an input, by path, in the order of the forward pass. The caller disposes the tensors.
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
  const activations = new Map<string, Tensor>();
  tidy(() => {
    observeForward(model, input, ({ path, output }) => {
      if (path !== "" && isTensor(output)) activations.set(path, keep(output.clone()));
    }, options);
  });
  return activations;
}

/** Whether an output is one tensor, and not a record of several. */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === "object" && value !== null && "dataId" in value;
}

/** Whether a module has no modules below it. */
export function isLeaf(module: unknown): boolean {
  return module instanceof Module && module.children().size === 0;
}
