/** Public functions that return or change the backend. */
import * as tf from "@tensorflow/tfjs-core";
import { checkFunction, checkOneOf } from "../checks.ts";
import { AsyncLocalStorage, BACKENDS } from "../platform.ts";
import { setBackend } from "./select.ts";
import type { BackendName } from "./types.ts";

/**
 * Returns the name of the backend in use: `"tensorflow"` for native TensorFlow, `"wasm"` for
 * WebAssembly, `"cpu"` for plain JavaScript, `"webgpu"` for a graphics processor in a web page.
 *
 * @example
 * ```ts
 * import { backend } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert(["tensorflow", "wasm", "cpu"].includes(backend()));
 * ```
 */
export function backend(): BackendName {
  return tf.getBackend() as BackendName;
}

/** A call of withBackend. */
interface Use {
  readonly name: string;
  /** The backend to return to. */
  readonly from: string;
  /** The call around this one. */
  readonly outer: Use | undefined;
  hasEnded: boolean;
}
const callers = new AsyncLocalStorage<Use>();
let innermost: Use | undefined;

/**
 * Runs `work` on another backend, and returns to the current one afterwards. `work` should make the
 * tensors that it uses: TensorFlow.js moves those of another backend when they are read, and loses
 * them where an operation only renames them (reshape, clone).
 *
 * @throws {RangeError} If there is no such backend, or another call has not ended, except for one
 * around this call: they would compute on each other's backends. Await one call before the next.
 * @throws {TypeError} If the name is not a string, or `work` is not a function.
 *
 * @example
 * ```ts
 * import { backend, ops, withBackend } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const before = backend();
 * const total = await withBackend("cpu", () => {
 *   assert.equal(backend(), "cpu");
 *   return ops.sum(ops.ones([3])).dataSync()[0];
 * });
 * assert.equal(total, 3);
 * assert.equal(backend(), before);
 * ```
 */
export async function withBackend<T>(name: BackendName, work: () => T | Promise<T>): Promise<T> {
  const action = "Choosing a backend";
  checkOneOf(action, "the name", name, BACKENDS);
  checkFunction(action, "the work", work);
  const mustHaveEnded = (other: Use | undefined) =>
    new RangeError(
      `${action}: the work on "${other?.name}" must have ended, found it running. Await it.`,
    );
  if (callers.getStore() !== innermost) throw mustHaveEnded(innermost);
  const use = { name, from: tf.getBackend(), outer: innermost, hasEnded: false };
  innermost = use;
  try {
    await setBackend(name);
    return await callers.run(use, work);
  } finally {
    use.hasEnded = true;
    // deno-lint-ignore no-unsafe-finally
    if (innermost !== use) throw mustHaveEnded(innermost);
    let next = use.from;
    for (innermost = use.outer; innermost?.hasEnded; innermost = innermost.outer) {
      next = innermost.from;
    }
    await tf.setBackend(next);
  }
}
