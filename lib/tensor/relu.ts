/** The gradient of relu as one op on the native backend; TensorFlow.js's own makes a step, a cast and a product of it. */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, runTensorFlowOp } from "./backend.ts";
import type { Tensor } from "./types.ts";

const RELU_BACKPROP = "ResnetLabReluBackprop";

tf.registerKernel({
  kernelName: RELU_BACKPROP,
  backendName: NATIVE,
  kernelFunc: ({ inputs }) =>
    runTensorFlowOp("ReluGrad", [inputs.dy!, inputs.y!], { T: { type: "float32" } }),
});
tf.unregisterGradient(tf.Relu);
tf.registerGradient({
  kernelName: tf.Relu,
  // The output tells where the input was positive, and the next layer holds on to it anyway.
  outputsToSave: [true],
  gradFunc: (dy, [y]) => ({
    x: () =>
      tf.getBackend() === NATIVE
        ? tf.engine().runKernel(RELU_BACKPROP, { dy: dy as Tensor, y: y! })
        : tf.mul(dy as Tensor, tf.step(y!)),
  }),
});
