/** The parts of the library that depend on where it runs, for a web page. */
// First, because it registers gradients and a backend.
export { isInKernel, mayLoadWasm, onInterrupt } from "./platform_bundle.ts";
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

/** Calls a function at the end of the page. */
export function onExit(listener: () => void): void {
  addEventListener("unload", listener);
}

/** Undoes {@linkcode onExit}. */
export function offExit(listener: () => void): void {
  removeEventListener("unload", listener);
}
