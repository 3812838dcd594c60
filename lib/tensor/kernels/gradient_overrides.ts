/**
 * Gradients that TensorFlow.js lacks or has wrong: comparisons, absolute values at 0, conversion to
 * whole numbers, tied maxima, and resizing.
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor } from "../types.ts";

export function replaceGradient(config: tf.GradConfig): void {
  if (tf.getGradient(config.kernelName)) tf.unregisterGradient(config.kernelName);
  tf.registerGradient(config);
}

// A comparison is constant between its jumps. With no gradient at all, `where(greater(x, 0), x, 0)`
// could not be differentiated.
for (const kernelName of [tf.Equal, tf.Greater, tf.GreaterEqual, tf.Less]) {
  replaceGradient({
    kernelName,
    inputsToSave: ["a", "b"],
    gradFunc: (_dy, [a, b]) => ({ a: () => tf.zeros(a!.shape), b: () => tf.zeros(b!.shape) }),
  });
}

// TensorFlow.js converts it to float32, which it is: a pass over memory.
replaceGradient({
  kernelName: tf.Identity,
  gradFunc: (dy) => ({ x: () => tf.clone(dy as Tensor) }),
});

// So is a conversion to whole numbers; TensorFlow.js passes the gradient on as if nothing were
// rounded.
replaceGradient({
  kernelName: tf.Cast,
  gradFunc: (dy, _saved, { dtype }) => ({
    x: () => dtype === "float32" ? tf.clone(dy as Tensor) : tf.zerosLike(dy as Tensor),
  }),
});

// TensorFlow.js's is −1 at 0, to where an L1 penalty drives weights; PyTorch's, as here, is 0.
replaceGradient({
  kernelName: tf.Abs,
  inputsToSave: ["x"],
  gradFunc: (dy, [x]) => ({ x: () => tf.mul(dy as Tensor, tf.sign(x!)) }),
});

// Equal largest (or smallest) elements share the gradient; TensorFlow.js gives each of them all of
// it.
for (const kernelName of [tf.Max, tf.Min]) {
  replaceGradient({
    kernelName,
    inputsToSave: ["x"],
    outputsToSave: [true],
    gradFunc: (dy, [x, y], { reductionIndices, axis }) => ({
      x: () => {
        // The one kernel calls its axes by the first name, the other by the second.
        const axes = tf.util.parseAxisParam((reductionIndices ?? axis) as number[], x!.shape);
        const kept = x!.shape.map((size, axis) => axes.includes(axis) ? 1 : size);
        const chosen = tf.cast(tf.equal(x!, tf.reshape(y!, kept)), "float32");
        const share = tf.div(tf.reshape(dy as Tensor, kept), tf.sum(chosen, axes, true));
        return tf.mul(chosen, share);
      },
    }),
  });
}

// It counts from the corners of pixels where the operation counts from their centres. No network
// here needs it.
tf.unregisterGradient(tf.ResizeBilinear);
