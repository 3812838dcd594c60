/** The parts of the library that depend on where it runs, for Node and Bun. */
// Registers the gradient of each op.
// @ts-types="./backend/node_backend.d.ts"
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-cpu";
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

/** Only graphs of native TensorFlow need files. */
export function mayWrite(): boolean {
  return false;
}

/** The notebooks run on Deno. */
export function isInKernel(): boolean {
  return false;
}

/** Ctrl-C ends the process. */
export function onInterrupt(_listener: () => void): void {}

/** Returns what to say of a backend that does not start. */
export function remedyBy(_task: "setup" | "doctor"): string {
  return "Run it on Deno, which has native TensorFlow.";
}

/** Any program may load the .wasm files beside the bundle. */
export function mayLoadWasm(): boolean {
  return true;
}

/** Calls a function at the end of the program. */
export function onExit(listener: () => void): void {
  process.on("exit", listener);
}

/** Undoes {@linkcode onExit}. */
export function offExit(listener: () => void): void {
  process.off("exit", listener);
}
