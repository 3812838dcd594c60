/**
 * Sum of two tensors of the same shape. TensorFlow.js saves both terms for the gradient, which
 * needs only their shapes. In a residual network that would keep one more feature map in memory for
 * each block.
 */
import * as tf from "@tensorflow/tfjs-core";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { defineKernel, type RunKernel } from "./define.ts";
import type { Tensor } from "../types.ts";

type Terms = { a: Tensor; b: Tensor };

/** `a + b` for float32 tensors of the same shape. */
export const addSameShape: RunKernel<Terms, Tensor> = defineKernel("ResnetLabSum", {
  // AddN instead of Add, because AddN does not broadcast: in a graph, TensorFlow fuses a
  // convolution with a sum only if it knows that the shapes are equal.
  native: ({ a, b }: Terms): Tensor =>
    runTensorFlowOp("AddN", [a, b], { T: { type: "float32" }, N: { integer: 2 } }),
  fallback: ({ a, b }) => tf.add(a, b),
  gradient: { compute: (dy) => ({ a: () => tf.clone(dy), b: () => tf.clone(dy) }) },
});
