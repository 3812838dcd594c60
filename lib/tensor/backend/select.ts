/**
 * Chooses what computes: native TensorFlow where set-up has compiled its addon, else
 * TensorFlow.js's own backend in WebAssembly, else the one in JavaScript. Importing this file
 * (every file of the room does) makes the choice once.
 */
import util from "node:util";
import { AsyncLocalStorage } from "node:async_hooks";
import { createRequire } from "node:module";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
// Registers the gradient of each op, and the backend in JavaScript.
// @ts-types="./binding.d.ts"
import "@tensorflow/tfjs";
import * as tf from "@tensorflow/tfjs-core";
import type { Binding } from "./binding.d.ts";
import type { FusingBackend } from "./deferred_batch_norm.ts";
import { checkFunction, show } from "../checks.ts";
import { CPU, FALLBACK_BACKENDS, NATIVE, WASM } from "./names.ts";

export { CPU, FALLBACK_BACKENDS, NATIVE, WASM };

let native: FusingBackend | undefined;

/** Whether Deno lets this process use an environment variable, without asking the user. */
function mayUse(variable: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted";
}

/** Sets an environment variable that TensorFlow reads, unless it is set. */
function setDefault(name: string, value: string): void {
  if (mayUse(name) && Deno.env.get(name) === undefined) Deno.env.set(name, value);
}

const inFolder = (task: string) =>
  `In the resnet-lab folder run: npx --yes deno@2.9.6 task ${task}`;

/** Registers native TensorFlow, or says why it cannot and what to do. */
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
  // By default oneDNN's preparations for a convolution are made anew at each call, 60 to 140 µs;
  // keeping them costs no measurable memory.
  setDefault("TF_MKL_OPTIMIZE_PRIMITIVE_MEMUSE", "false");
  // By default cuDNN's max pooling loses NaN.
  setDefault("TF_ENABLE_MAXPOOL_NANPROP", "true");
  // tfjs-node calls two functions that newer runtimes dropped from node:util.
  Object.assign(util, {
    isNullOrUndefined: (value: unknown) => value === null || value === undefined,
    isArray: Array.isArray,
  });
  try {
    const require = createRequire(import.meta.url);
    const binding: Binding = require(fileURLToPath(addon));
    // The package's own entry would look for the addon in its install folder, where our set-up does
    // not put it.
    const { FusingBackend } = await import("./deferred_batch_norm.ts");
    const backend = new FusingBackend(binding, "@tensorflow/tfjs-node-gpu");
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
 * Whether Deno lets this process read WebAssembly's file; TensorFlow.js would say at length that it
 * does not.
 */
function mayLoadWasm(): boolean {
  try {
    const module = import.meta.resolve("@tensorflow/tfjs-backend-wasm");
    return !module.startsWith("file:") || existsSync(fileURLToPath(module));
  } catch (error) {
    return !(error instanceof Deno.errors.NotCapable);
  }
}

/** Makes a backend the present one, and loads it if need be. */
async function setBackend(name: string): Promise<void> {
  if (name === WASM) await import("../kernels/wasm_overrides.ts");
  if (tf.findBackendFactory(name) === null) {
    throw new RangeError(`Choosing a backend: there is none called "${name}" here.`);
  }
  if (!await tf.setBackend(name)) {
    throw new TypeError(`Choosing a backend: "${name}" does not start here.`);
  }
}

/**
 * Starts the backend that RESNET_LAB_BACKEND asks for, or the fastest that is there; says in one
 * line what to do if it is not native.
 */
async function start(): Promise<void> {
  // Our own line says what to do; the backend's greeting at its first use would say it again,
  // wrongly for us.
  Object.assign(tf.findBackend(CPU), { firstUse: false });
  const choice = "RESNET_LAB_BACKEND";
  const wanted = (mayUse(choice) ? Deno.env.get(choice) : undefined) ?? NATIVE;
  if (![NATIVE, ...FALLBACK_BACKENDS].includes(wanted)) {
    throw new RangeError(
      `Choosing a backend: RESNET_LAB_BACKEND must be "${NATIVE}", "${WASM}" or "${CPU}", found "${wanted}".`,
    );
  }
  const missing = wanted === NATIVE ? await loadNative() : undefined;
  if (!missing) return await setBackend(wanted);
  await setBackend(mayLoadWasm() ? WASM : CPU).catch(() => setBackend(CPU));
  console.warn(
    `Native TensorFlow ${missing.problem}, so this runs on the ${
      tf.getBackend() === WASM ? "WebAssembly" : "plain JavaScript"
    } backend, slower. ${missing.remedy}`,
  );
}
await start();

/**
 * The name of the backend that computes: `"tensorflow"` for native TensorFlow, `"wasm"` for
 * WebAssembly, `"cpu"` for plain JavaScript.
 *
 * @example
 * ```ts
 * import { backend } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * assert(["tensorflow", "wasm", "cpu"].includes(backend()));
 * ```
 */
export function backend(): string {
  return tf.getBackend();
}

/** A call of useBackend. */
interface Use {
  readonly name: string;
  /** The backend to go back to. */
  readonly from: string;
  /** The call that this one is within. */
  readonly outer: Use | undefined;
  hasEnded: boolean;
}
const callers = new AsyncLocalStorage<Use>();
let innermost: Use | undefined;

/**
 * Runs `work` on another backend, and comes back to the present one afterwards. `work` should make
 * the tensors it uses: TensorFlow.js moves those of another backend as they are read, and loses
 * them where an operation only renames them (reshape, clone).
 *
 * @throws {RangeError} If there is no such backend, or another call has not ended, unless this one
 * is within its `work`: they would compute on each other's backends. Await one call before the
 * next.
 * @throws {TypeError} If the name is no string, or `work` no function.
 *
 * @example
 * ```ts
 * import { backend, ops, CPU, useBackend } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const before = backend();
 * const total = await useBackend(CPU, () => {
 *   assert.equal(backend(), "cpu");
 *   return ops.sum(ops.ones([3])).dataSync()[0];
 * });
 * assert.equal(total, 3);
 * assert.equal(backend(), before);
 * ```
 */
export async function useBackend<T>(name: string, work: () => T | Promise<T>): Promise<T> {
  const doing = "Choosing a backend";
  if (typeof name !== "string") {
    throw new TypeError(`${doing}: its name must be a string, found ${show(name)}.`);
  }
  checkFunction(doing, "what to run", work);
  const mustHaveEnded = (other: Use | undefined) =>
    new RangeError(
      `${doing}: the work on "${other?.name}" must have ended, but is still under way. Await it.`,
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
    let back = use.from;
    for (innermost = use.outer; innermost?.hasEnded; innermost = innermost.outer) {
      back = innermost.from;
    }
    await tf.setBackend(back);
  }
}

/** Whether the native backend computes on a processor, for kernels that are only there. */
export function onNativeCpu(): boolean {
  return nativeBackend()?.isUsingGpuDevice === false;
}

/** The native backend, if it is the one that computes. */
export function nativeBackend(): FusingBackend | undefined {
  return tf.getBackend() === NATIVE ? native : undefined;
}
