/** The parts of the library that depend on where it runs, for Node and Bun. */
// First, because it registers gradients and a backend.
export { isInKernel, mayLoadWasm, onInterrupt } from "./platform_bundle.ts";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { BackendName } from "./backend/types.ts";

export { AsyncLocalStorage } from "node:async_hooks";
export { setImmediate } from "node:timers";

// The .wasm files lie beside the bundle.
setWasmPaths(fileURLToPath(new URL(".", import.meta.url)));

/** The backends, the fastest first. */
export const BACKENDS: readonly BackendName[] = ["wasm", "cpu"];

/** Returns the value of an environment variable. */
export function environmentVariable(variable: string): string | undefined {
  return process.env[variable];
}

/** Calls a function at the end of the program. */
export function onExit(listener: () => void): void {
  process.on("exit", listener);
}

/** Undoes {@linkcode onExit}. */
export function offExit(listener: () => void): void {
  process.off("exit", listener);
}
