/** The gradient of relu, as one kernel. */
import * as tf from "@tensorflow/tfjs-core";
import { FALLBACK_BACKENDS, NATIVE } from "../backend/select.ts";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { replaceGradient } from "./gradient_overrides.ts";
import type { Tensor } from "../types.ts";

const RELU_BACKPROP = "ResnetLabReluBackprop";
tf.registerKernel({
  kernelName: RELU_BACKPROP,
  backendName: NATIVE,
  kernelFunc: ({ inputs }) =>
    runTensorFlowOp("ReluGrad", [inputs.dy!, inputs.y!], { T: { type: "float32" } }),
});
for (const backendName of FALLBACK_BACKENDS) {
  tf.registerKernel({
    kernelName: RELU_BACKPROP,
    backendName,
    kernelFunc: ({ inputs }) =>
      tf.tidy(() => tf.mul(inputs.dy as Tensor, tf.step(inputs.y as Tensor))),
  });
}
replaceGradient({
  kernelName: tf.Relu,
  // The output tells where the input was positive, and the next layer holds on to it anyway.
  outputsToSave: [true],
  gradFunc: (dy, [y]) => ({
    x: () => tf.engine().runKernel(RELU_BACKPROP, { dy: dy as Tensor, y: y! }),
  }),
});
