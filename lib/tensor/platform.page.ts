/** The parts of the library that depend on where it runs, for a web page. */
// Registers the gradient of each op.
// @ts-types="./backend/node_backend.d.ts"
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-cpu";
import "./kernels/webgpu_overrides.ts";
import { setWasmPaths } from "@tensorflow/tfjs-backend-wasm";
import type { BackendName } from "./backend/types.ts";

// The .wasm files lie beside the bundle.
setWasmPaths(new URL(".", import.meta.url).href);

/** The backends, the fastest first. */
export const BACKENDS: readonly BackendName[] = ["webgpu", "wasm", "cpu"];

/**
 * Returns the value of a variable in the query of the bundle's address:
 * `import "./resnet_lab.js?RESNET_LAB_BACKEND=wasm"`.
 */
export function environmentVariable(variable: string): string | undefined {
  return new URL(import.meta.url).searchParams.get(variable) ?? undefined;
}

/** A page cannot follow a call through its promises. */
export class AsyncLocalStorage<T> {
  #store: T | undefined;

  getStore(): T | undefined {
    return this.#store;
  }

  async run<R>(store: T, work: () => R): Promise<Awaited<R>> {
    const before = this.#store;
    this.#store = store;
    try {
      return await work();
    } finally {
      this.#store = before;
    }
  }
}

const turns: (() => void)[] = [];
const channel = new MessageChannel();
channel.port1.onmessage = () => turns.shift()?.();

/** Calls a function after pending events; a timer of 0 ms would wait for 4 ms. */
export function setImmediate(turn: () => void): void {
  turns.push(turn);
  channel.port2.postMessage(undefined);
}

/** A page has no files. */
export function mayWrite(): boolean {
  return false;
}

/** A page is no Jupyter kernel. */
export function isInKernel(): boolean {
  return false;
}

/** A page has no Stop. */
export function onInterrupt(_listener: () => void): void {}

/** Returns what to say of a backend that does not start. */
export function remedyBy(_task: "setup" | "doctor"): string {
  return "This browser does not offer it.";
}

/** Any page may load the .wasm files beside the bundle. */
export function mayLoadWasm(): boolean {
  return true;
}

/** Calls a function at the end of the page. */
export function onExit(listener: () => void): void {
  addEventListener("unload", listener);
}

/** Undoes {@linkcode onExit}. */
export function offExit(listener: () => void): void {
  removeEventListener("unload", listener);
}
