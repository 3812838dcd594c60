/** The parts of the platform that the bundles for web pages and for Node have in common. */
// Registers the gradient of each op.
// @ts-types="./backend/node_backend.d.ts"
import "@tensorflow/tfjs-core/dist/register_all_gradients.js";
import "@tensorflow/tfjs-backend-cpu";

/** A bundle runs outside of notebooks. */
export function isInKernel(): boolean {
  return false;
}

/** A page has no Stop, and Ctrl-C ends a program of Node. */
export function onInterrupt(_listener: () => void): void {}

/** A bundle may load the .wasm files beside it. */
export function mayLoadWasm(): boolean {
  return true;
}
