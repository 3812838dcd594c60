/**
 * Gradients of TensorFlow.js that are missing, wrong or slow. `relu.ts` has the gradient of relu,
 * `pooling.ts` the kernels of the gradient of pooling.
 */
import * as tf from "@tensorflow/tfjs-core";
// TensorFlow.js registers its gradients there.
import "../backend/select.ts";
import { overrideGradient } from "./define.ts";
import type { Tensor } from "../types.ts";

// TensorFlow.js has no gradient of a comparison, so `where(greater(x, 0), x, 0)` could not be
// differentiated. It is zero, because a comparison is constant between its jumps.
for (const kernelName of [tf.Equal, tf.Greater, tf.GreaterEqual, tf.Less]) {
  overrideGradient<{ a: Tensor; b: Tensor }, unknown, "a" | "b">(kernelName, {
    savedInputs: ["a", "b"],
    compute: (_dy, { a, b }) => ({ a: () => tf.zeros(a.shape), b: () => tf.zeros(b.shape) }),
  });
}

// TensorFlow.js converts the gradient to float32, although it is float32 already, which costs a
// pass over memory.
overrideGradient<{ x: Tensor }>(tf.Identity, { compute: (dy) => ({ x: () => tf.clone(dy) }) });

// TensorFlow.js passes the gradient through a conversion to integers, as if nothing were rounded. A
// rounded number is constant between its jumps, so the gradient is zero.
overrideGradient<{ x: Tensor }, tf.CastAttrs>(tf.Cast, {
  compute: (dy, _inputs, _outputs, { dtype }) => ({
    x: () => dtype === "float32" ? tf.clone(dy) : tf.zerosLike(dy),
  }),
});

// TensorFlow.js's gradient at 0 is −1, so an L1 penalty pushes weights away from 0. PyTorch's is 0.
overrideGradient<{ x: Tensor }, unknown, "x">(tf.Abs, {
  savedInputs: ["x"],
  compute: (dy, { x }) => ({ x: () => tf.mul(dy, tf.sign(x)) }),
});

// TensorFlow.js gives the whole gradient to each of several equal maxima or minima. Here they share
// it.
for (const kernelName of [tf.Max, tf.Min]) {
  overrideGradient<
    { x: Tensor },
    // Max calls its axes by the first name, Min by the second.
    Partial<tf.MaxAttrs & tf.MinAttrs>,
    "x"
  >(kernelName, {
    savedInputs: ["x"],
    savedOutputs: [0],
    compute: (dy, { x }, [y], { reductionIndices, axis }) => ({
      x: () => {
        const axes = tf.util.parseAxisParam(reductionIndices ?? axis!, x.shape);
        const reducedShape = x.shape.map((size, axis) => axes.includes(axis) ? 1 : size);
        const isExtreme = tf.cast(tf.equal(x, tf.reshape(y!, reducedShape)), "float32");
        const share = tf.div(tf.reshape(dy, reducedShape), tf.sum(isExtreme, axes, true));
        return tf.mul(isExtreme, share);
      },
    }),
  });
}

// TensorFlow.js's gradient measures positions from the corners of pixels, but resizing measures
// them from the centres. No network here needs the gradient, so there is none.
tf.unregisterGradient(tf.ResizeBilinear);
