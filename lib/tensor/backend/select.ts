/**
 * Chooses the backend: on Deno native TensorFlow where set-up has compiled its addon, in a page
 * WebGPU where there is a graphics processor, else TensorFlow.js's own backend in WebAssembly, else
 * the one in JavaScript. The choice is made once, when the room is imported.
 *
 * `native.ts` and its collaborators must not import this file: it waits for them.
 */
// First, because it registers TensorFlow.js's gradients, which other files of ours replace.
import { BACKENDS, environmentVariable, mayLoadWasm } from "../platform.ts";
import { remedyBy } from "../installation.ts";
import * as tf from "@tensorflow/tfjs-core";
import { CPU, FALLBACK_BACKENDS, NATIVE, WASM } from "./names.ts";
import type { BackendName, NativeBackend } from "./types.ts";

export { CPU, FALLBACK_BACKENDS, NATIVE, WASM };

const ACTION = "Choosing a backend";

let native: NativeBackend | undefined;

/**
 * Switches to a backend, and loads it if necessary.
 *
 * @throws {RangeError} If it is not set up, or does not start.
 */
export async function setBackend(name: BackendName): Promise<void> {
  if (name === WASM) await import("../kernels/wasm_overrides.ts");
  if (tf.findBackendFactory(name) === null) {
    throw new RangeError(
      `${ACTION}: the backend "${name}" must be set up, found no such backend. ${
        remedyBy("setup")
      }`,
    );
  }
  if (!await tf.setBackend(name)) {
    throw new RangeError(
      `${ACTION}: the backend "${name}" must start, found a failure. ${remedyBy("doctor")}`,
    );
  }
}

/**
 * Starts the backend that RESNET_LAB_BACKEND names, or the fastest one; if that is not native,
 * prints a line with the reason and the remedy.
 */
async function start(): Promise<void> {
  // At its first use the backend prints advice that does not apply here; our own line replaces it.
  Object.assign(tf.findBackend(CPU), { firstUse: false });
  const variable = "RESNET_LAB_BACKEND", fastest = BACKENDS[0]!;
  const chosen = environmentVariable(variable), choice = chosen ?? fastest;
  if (!isBackend(choice)) {
    const names = BACKENDS.map((name) => `"${name}"`);
    throw new RangeError(
      `${ACTION}: ${variable} must be ${names.slice(0, -1).join(", ")} or ${
        names.at(-1)
      }, found "${choice}".`,
    );
  }
  if (choice !== fastest) return await setBackend(choice);
  const { prepareFastest } = await import("./fastest.ts");
  const prepared = await prepareFastest(chosen !== undefined);
  native = prepared.native;
  if (!prepared.failure) return await setBackend(fastest);
  await setBackend(mayLoadWasm() ? WASM : CPU).catch(() => setBackend(CPU));
  const other = tf.getBackend() === WASM ? "WebAssembly" : "plain JavaScript";
  const notice = prepared.failure.notice?.(other);
  if (notice !== undefined) console.warn(notice);
}
await start();

function isBackend(name: string): name is BackendName {
  return (BACKENDS as readonly string[]).includes(name);
}

/** Returns the native backend, if it is in use. */
export function nativeBackend(): NativeBackend | undefined {
  return tf.getBackend() === NATIVE ? native : undefined;
}

/** Returns the native backend, if it is in use and computes on a CPU. */
export function nativeCpuBackend(): NativeBackend | undefined {
  const backend = nativeBackend();
  return backend?.isUsingGpuDevice === false ? backend : undefined;
}
