/**
 * The parts of the library that depend on where it runs: on Deno, or in a web page, where
 * `platform.page.ts` stands in for this file.
 */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
// Registers the gradient of each op, and the plain JavaScript backend.
// @ts-types="./backend/node_backend.d.ts"
import "@tensorflow/tfjs";
import type { BackendName } from "./backend/types.ts";

export { AsyncLocalStorage } from "node:async_hooks";
export { setImmediate } from "node:timers";

/** The backends, the fastest first. */
export const BACKENDS: readonly BackendName[] = ["tensorflow", "wasm", "cpu"];

/**
 * Returns whether Deno lets this process read the file of WebAssembly. If it does not,
 * TensorFlow.js would print a long message.
 */
export function mayLoadWasm(): boolean {
  try {
    const module = import.meta.resolve("npm:@tensorflow/tfjs-backend-wasm@4.22.0");
    return !module.startsWith("file:") || existsSync(fileURLToPath(module));
  } catch (error) {
    return !(error instanceof Deno.errors.NotCapable);
  }
}

/** Returns the value of an environment variable, or undefined if Deno does not let it be read. */
export function environmentVariable(variable: string): string | undefined {
  return mayUse(variable) ? Deno.env.get(variable) : undefined;
}

/** Returns whether Deno lets this process use an environment variable, without asking the user. */
export function mayUse(variable: string): boolean {
  return Deno.permissions.querySync({ name: "env", variable }).state === "granted";
}

/** Returns whether this process is a Jupyter kernel. */
export function isInKernel(): boolean {
  try {
    return Deno.jupyter !== undefined;
  } catch { // Outside a kernel, reading Deno.jupyter throws.
    return false;
  }
}

/** Calls a function at each Stop of Jupyter or Ctrl-C, which then does not end the process. */
export function onInterrupt(listener: () => void): void {
  Deno.addSignalListener("SIGINT", listener);
}

/** Calls a function at the end of the program. */
export function onExit(listener: () => void): void {
  addEventListener("unload", listener);
}

/** Undoes {@linkcode onExit}. */
export function offExit(listener: () => void): void {
  removeEventListener("unload", listener);
}
