/**
 * Lets `using x = …` dispose a tensor at the end of its block.
 *
 * The types are extended in a file that exports nothing, because `deno publish` allows this only
 * outside of the public API.
 */
import * as tf from "@tensorflow/tfjs-core";

declare module "@tensorflow/tfjs-core" {
  interface Tensor<R extends tf.Rank = tf.Rank> {
    /** Disposes the tensor at the end of the block that it was declared in with `using`. */
    [Symbol.dispose](): void;
  }
}
// Object.assign, because the compiler may read this file before it knows the property.
Object.assign(tf.Tensor.prototype, {
  [Symbol.dispose](this: tf.Tensor) {
    this.dispose();
  },
});
