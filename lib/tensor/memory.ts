import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "./types.ts";

/** What {@linkcode tidy} can hand out: a tensor, nothing, or tensors in an array or a record. */
export type TensorContainer = tf.TensorContainer;

/**
 * Runs `work` and disposes every tensor it made except those it returns. `work` must be synchronous.
 *
 * Return tensors or nothing: a large JavaScript array that is returned costs a walk over each of its elements.
 *
 * @example
 * ```ts
 * import { memory, ops, tidy } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const before = memory().tensors;
 * const sum = tidy(() => ops.sum(ops.square(ops.tensor([3, 4]))));
 * assert.equal(sum.dataSync()[0], 25);
 * assert.equal(memory().tensors, before + 1);
 * ```
 */
export function tidy<T extends TensorContainer | void>(work: () => T): T {
  return tf.tidy(work as () => TensorContainer) as T;
}

/** Keeps a tensor from being disposed at the end of the {@linkcode tidy} around it; the caller disposes it later. */
export function keep<T extends Tensor>(tensor: T): T {
  return tf.keep(tensor);
}

/** Frees the memory of every tensor found in `tensors`, an array or record of any depth. */
export function dispose(tensors: TensorContainer): void {
  tf.dispose(tensors);
}

/**
 * The number of tensors that are alive and the bytes they hold.
 *
 * @example
 * ```ts
 * import { memory, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const before = memory();
 * const x = ops.zeros([256]);
 * assert.equal(memory().tensors - before.tensors, 1);
 * assert.equal(memory().bytes - before.bytes, 1024);
 * x.dispose();
 * assert.deepEqual(memory(), before);
 * ```
 */
export function memory(): { tensors: number; bytes: number } {
  const { numTensors, numBytes } = tf.memory();
  return { tensors: numTensors, bytes: numBytes };
}
