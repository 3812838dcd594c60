/** The name of the backend that runs native TensorFlow. */
export const NATIVE = "tensorflow";
/** The name of TensorFlow.js's backend in WebAssembly, which loads when it is chosen. */
export const WASM = "wasm";
/** The name of TensorFlow.js's backend in plain JavaScript. */
export const CPU = "cpu";
/** The name of TensorFlow.js's backend for graphics processors in web pages. */
export const WEBGPU = "webgpu";
/** The backends on which our kernels are compositions of TensorFlow.js's ops. */
export const FALLBACK_BACKENDS: readonly string[] = [WASM, CPU, WEBGPU];
