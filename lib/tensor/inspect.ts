/** Shows a tensor on the console, and as the last expression of a cell, by what it is: dtype, shape and values. */
import * as tf from "@tensorflow/tfjs-core";

Object.assign(tf.Tensor.prototype, {
  [Symbol.for("Deno.customInspect")](this: tf.Tensor): string {
    const kind = `Tensor ${this.dtype} [${this.shape.join(", ")}]`;
    // TensorFlow.js writes "Tensor", then the values on lines of their own, the middle of a long axis left out.
    return this.isDisposed ? `${kind}, disposed` : kind + this.toString().slice("Tensor".length);
  },
});
