/** Gradient of relu as one op; TensorFlow.js's takes three. */
import * as tf from "@tensorflow/tfjs-core";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { defineKernel, overrideGradient, type RunKernel } from "./define.ts";
import type { Tensor } from "../types.ts";

type ReluBackpropInputs = { dy: Tensor; y: Tensor };
const reluBackprop: RunKernel<ReluBackpropInputs, Tensor> = defineKernel(
  "ResnetLabReluBackprop",
  {
    native: ({ dy, y }: ReluBackpropInputs): Tensor =>
      runTensorFlowOp("ReluGrad", [dy, y], { T: { type: "float32" } }),
    fallback: ({ dy, y }) => tf.mul(dy, tf.step(y)),
  },
);

overrideGradient<{ x: Tensor }>(tf.Relu, {
  // The output tells where the input was positive, and the next layer saves it anyway.
  savedOutputs: [0],
  compute: (dy, _inputs, [y]) => ({ x: () => reluBackprop({ dy, y: y! }) }),
});
