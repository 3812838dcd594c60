import type { Tensor } from "@tensorflow/tfjs-core";
import { nativeBackend } from "./select.ts";
import type { Values } from "./types.ts";

/**
 * Returns the values of a tensor that an op is about to check itself, so that the error is in our
 * words. While a function is compiled, values cannot be read in another way. A run of the graph has
 * only the check of the op.
 */
export function valuesToCheck(tensor: Tensor): Values {
  const native = nativeBackend();
  return native?.capture.isCapturing ? native.capture.eagerValues(tensor) : tensor.dataSync();
}
