/** Lifetime of tensors: `tidy`, `keep`, `dispose`; and how a tensor prints. */
import * as tf from "@tensorflow/tfjs-core";
import { checkFunction, checkSynchronous, checkTensor } from "./checks.ts";
import "./disposable.ts";
import "./reclaim.ts";
import type { Tensor } from "./types.ts";

/** Result of {@linkcode tidy}: a tensor, nothing, or tensors in an array or a record. */
export type TensorContainer = tf.TensorContainer;

// A tensor prints as its dtype, shape and values, on the console and as the result of a cell.
Object.assign(tf.Tensor.prototype, {
  [Symbol.for("Deno.customInspect")](this: tf.Tensor): string {
    const kind = `Tensor ${this.dtype} [${this.shape.join(", ")}]`;
    // TensorFlow.js writes "Tensor", then the values on the next lines, without the middle of a
    // long axis.
    return this.isDisposed ? `${kind}, disposed` : kind + this.toString().slice("Tensor".length);
  },
});

/**
 * Runs `work` and disposes every tensor that it made, except those that it returns. `work` must be
 * synchronous.
 *
 * Return tensors or nothing: a large JavaScript array is slow, because each of its elements is
 * visited.
 *
 * @throws {TypeError} If `work` is not a function, or returns a promise: tensors that it makes
 * after its first `await` would not be disposed.
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
export function tidy<T extends TensorContainer>(work: () => T): T {
  checkFunction("Tidying", "work", work);
  return tf.tidy(() => {
    const result = work();
    checkSynchronous("Tidying", result);
    return result;
  });
}

/**
 * Keeps a tensor from being disposed at the end of the {@linkcode tidy} around it; the caller
 * disposes it later.
 *
 * @throws {TypeError} If it is not a tensor, or was disposed.
 */
export function keep<T extends Tensor>(tensor: T): T {
  checkTensor("Keeping a tensor", tensor);
  return tf.keep(tensor);
}

/**
 * Frees the memory of every tensor in `tensors`, an array or record of any depth. A single
 * tensor can also be declared with `using`, which frees it at the end of its block.
 *
 * @example
 * ```ts
 * import { dispose, memory, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const before = memory().tensors;
 * {
 *   using x = ops.ones([2]);
 *   const parts = { sum: ops.sum(x), rest: [ops.neg(x), ops.exp(x)] };
 *   assert.equal(memory().tensors, before + 4);
 *   dispose(parts);
 * }
 * assert.equal(memory().tensors, before);
 * ```
 */
export function dispose(tensors: TensorContainer): void {
  tf.dispose(tensors);
}

/**
 * Returns the number of tensors that are alive and their bytes. Data that several tensors share
 * counts for each of them. Tensors and variables that nothing can reach any more are freed when
 * JavaScript next collects garbage and the program awaits something; until then they count.
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
