/** Checks of indices, in ops that would otherwise return zeros for indices that do not exist. */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import type { Tensor, Tensor1D } from "../types.ts";

/**
 * Returns the values of a tensor for a check. While `compile` captures a graph, values cannot be
 * read in any other way. A run of the graph does not repeat the check.
 */
export function valuesToCheck(tensor: Tensor): Float32Array | Int32Array | Uint8Array {
  const native = nativeBackend();
  return native?.capture.isCapturing ? native.capture.eagerValues(tensor) : tensor.dataSync();
}

/**
 * Checks that indices are from 0 to `count − 1`. Returns the indices to use: in a compiled function
 * each run of the graph checks them.
 *
 * @throws {RangeError} If an index is outside.
 */
export function checkIndices(
  action: string,
  subject: string,
  indices: Tensor1D,
  count: number,
): Tensor1D {
  const outside = valuesToCheck(indices).find((index) => index < 0 || index >= count);
  if (outside !== undefined) {
    throw new RangeError(`${action}: ${subject} must be from 0 to ${count - 1}, found ${outside}.`);
  }
  const native = nativeBackend();
  return native?.capture.isCapturing
    ? native.capture.checkInGraph(`${action}: ${subject}`, tf.range(0, count, 1, "int32"), indices)
    : indices;
}
