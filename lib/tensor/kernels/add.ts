/**
 * Sum of two tensors of one shape. TensorFlow.js saves both terms of a sum for its gradient, which
 * needs their shapes only. In a residual network that is one more feature map for each block.
 */
import * as tf from "@tensorflow/tfjs-core";
import { runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { defineKernel, type RunKernel } from "./define.ts";
import type { Tensor } from "../types.ts";

type Terms = { a: Tensor; b: Tensor };

/** `a + b` for float32 tensors of one shape. */
export const addSameShape: RunKernel<Terms, Tensor> = defineKernel("ResnetLabSum", {
  // AddN and not Add: in a graph TensorFlow fuses a convolution with a sum only where it knows that
  // the shapes are equal.
  native: ({ a, b }: Terms): Tensor =>
    runTensorFlowOp("AddN", [a, b], { T: { type: "float32" }, N: { integer: 2 } }),
  fallback: ({ a, b }) => tf.add(a, b),
  gradient: { compute: (dy) => ({ a: () => tf.clone(dy), b: () => tf.clone(dy) }) },
});
