/** Kernels of TensorFlow.js's WebGPU backend that fail. Only the bundle for web pages has it. */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import { WEBGPU } from "../backend/names.ts";
import { overrideKernel } from "./define.ts";
import type { Tensor } from "../types.ts";

/** The buffers that a WebGPU program of every browser can read, besides the one that it writes. */
const MOST_INPUTS = 7;

// The backend's own kernel reads all tensors in one program.
overrideKernel<Record<string, Tensor>>(tf.AddN, WEBGPU, (inputs, attributes, original) => {
  const tensors = Object.values(inputs);
  if (tensors.length <= MOST_INPUTS) return original(inputs, attributes);
  return tf.tidy(() => {
    const first = tf.addN(tensors.slice(0, MOST_INPUTS));
    return tf.addN([first, ...tensors.slice(MOST_INPUTS)]);
  });
});
