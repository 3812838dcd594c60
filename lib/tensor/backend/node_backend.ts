/** What TensorFlow.js's package for native TensorFlow loads, without the types that it brings (see native_backend.d.ts). */
// @ts-types="./binding.d.ts"
export { NodeJSKernelBackend } from "@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js";
// @ts-types="./binding.d.ts"
import "@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js";
