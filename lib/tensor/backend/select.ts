/**
 * Chooses the backend: native TensorFlow where set-up has compiled its addon, else TensorFlow.js's
 * own backend in WebAssembly, else the one in JavaScript. The choice is made once, when the room is
 * imported.
 *
 * `native.ts` and its collaborators must not import this file: it waits for them.
 */
import util from "node:util";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
// Registers the gradient of each op, and the plain JavaScript backend.
// @ts-types="./node_backend.d.ts"
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import { environmentVariable, mayUse } from "./environment.ts";
import { CPU, FALLBACK_BACKENDS, NATIVE, WASM } from "./names.ts";
import { withoutGreeting } from "./quiet_load.ts";
import type { BackendName, Binding, NativeBackend } from "./types.ts";

export { CPU, FALLBACK_BACKENDS, NATIVE, WASM };

const ACTION = "Choosing a backend";

let native: NativeBackend | undefined;

/** Sets an environment variable that TensorFlow reads, unless it is already set. */
function setDefault(name: string, value: string): void {
  if (mayUse(name) && Deno.env.get(name) === undefined) Deno.env.set(name, value);
}

const inFolder = (task: string) =>
  `In the resnet-lab folder run: npx --yes deno@2.9.6 task ${task}`;

/** Registers native TensorFlow, or returns the reason why it cannot, with a remedy. */
async function loadNative(): Promise<{ problem: string; remedy: string } | undefined> {
  const addon = new URL("../../../.venv/tfjs_binding.node", import.meta.url);
  const allow = "Start Deno with --allow-read --allow-env --allow-ffi";
  try {
    if (addon.protocol !== "file:" || !existsSync(addon)) {
      return { problem: "is not set up", remedy: inFolder("setup") };
    }
  } catch (error) { // Deno does not let this process look.
    return { problem: `did not load (${reasonOf(error)})`, remedy: allow };
  }
  // TensorFlow prints its version and the processor's features at start; errors still show.
  setDefault("TF_CPP_MIN_LOG_LEVEL", "2");
  // Otherwise oneDNN prepares each convolution anew at each call, which costs 60 to 140 µs. To
  // cache that costs no measurable memory.
  setDefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false");
  // Otherwise cuDNN's max pooling loses NaN.
  setDefault("TF_ENABLE_MAXPOOL_NANPROP", "true");
  // tfjs-node calls two functions that newer runtimes dropped from node:util.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  try {
    const require = createRequire(import.meta.url);
    const binding: Binding = withoutGreeting(() => require(fileURLToPath(addon)));
    // The package's own entry would look for the addon in its install folder, where our set-up does
    // not put it.
    const { NativeBackend } = await import("./native.ts");
    const backend = new NativeBackend(binding);
    tf.registerBackend(NATIVE, () => backend, 3);
    native = backend;
  } catch (error) {
    return error instanceof Deno.errors.NotCapable
      ? { problem: `did not load (${reasonOf(error)})`, remedy: allow }
      : { problem: `is set up but did not load (${reasonOf(error)})`, remedy: inFolder("doctor") };
  }
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/**
 * Returns whether Deno lets this process read the file of WebAssembly. If it does not,
 * TensorFlow.js would print a long message.
 */
function mayLoadWasm(): boolean {
  try {
    const module = import.meta.resolve("@tensorflow/tfjs-backend-wasm");
    return !module.startsWith("file:") || existsSync(fileURLToPath(module));
  } catch (error) {
    return !(error instanceof Deno.errors.NotCapable);
  }
}

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
        inFolder("setup")
      }`,
    );
  }
  if (!await tf.setBackend(name)) {
    throw new RangeError(
      `${ACTION}: the backend "${name}" must start, found a failure. ${inFolder("doctor")}`,
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
  const variable = "RESNET_LAB_BACKEND";
  const choice = environmentVariable(variable) ?? NATIVE;
  if (choice !== NATIVE && choice !== WASM && choice !== CPU) {
    throw new RangeError(
      `${ACTION}: ${variable} must be "${NATIVE}", "${WASM}" or "${CPU}", found "${choice}".`,
    );
  }
  const failure = choice === NATIVE ? await loadNative() : undefined;
  if (!failure) return await setBackend(choice);
  await setBackend(mayLoadWasm() ? WASM : CPU).catch(() => setBackend(CPU));
  console.warn(
    `Native TensorFlow ${failure.problem}, so this runs on the ${
      tf.getBackend() === WASM ? "WebAssembly" : "plain JavaScript"
    } backend, slower. ${failure.remedy}`,
  );
}
await start();

/** Returns the native backend, if it is in use. */
export function nativeBackend(): NativeBackend | undefined {
  return tf.getBackend() === NATIVE ? native : undefined;
}

/** Returns the native backend, if it is in use and computes on a CPU. */
export function nativeCpuBackend(): NativeBackend | undefined {
  const backend = nativeBackend();
  return backend?.isUsingGpuDevice === false ? backend : undefined;
}
