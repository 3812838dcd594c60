import * as tf from "@tensorflow/tfjs-core";
import { WEBGPU } from "./names.ts";
import type { FastestBackend } from "./types.ts";

/**
 * Starts WebGPU if the user has chosen it, or there is a graphics processor. Where there is none,
 * some browsers compute WebGPU on the processor, slower than WebAssembly.
 */
export async function prepareFastest(isChosen: boolean): Promise<FastestBackend> {
  const adapter = await navigator.gpu?.requestAdapter();
  const isWanted = adapter && (isChosen || !adapter.info.isFallbackAdapter);
  return isWanted && await tf.setBackend(WEBGPU) ? {} : { failure: {} };
}
