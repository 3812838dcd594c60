/**
 * Addition of a bias to each channel: alone, and together with a convolution. The gradient of the
 * bias is a kernel, too, because native TensorFlow has a fast op for it.
 */
import * as tf from "@tensorflow/tfjs-core";
import { nativeBackend } from "../backend/select.ts";
import { runOneDnnOp, runTensorFlowOp } from "../backend/tensorflow_op.ts";
import { defineKernel, type RunKernel } from "./define.ts";
import type { Tensor, Tensor1D, Tensor4D } from "../types.ts";

const channelsLast = { T: { type: "float32" }, data_format: { string: "NHWC" } } as const;

type BiasGradientInputs = { dy: Tensor };
/** The gradient of a bias: the sum of `dy` over all axes but the channels. */
const biasGradient: RunKernel<BiasGradientInputs, Tensor> = defineKernel(
  "ResnetLabBiasGradient",
  {
    native: ({ dy }: BiasGradientInputs): Tensor => {
      const sum = (x: Tensor) => runTensorFlowOp("BiasAddGrad", [x], channelsLast);
      const [batch, ...axes] = dy.shape, channels = axes.at(-1)!;
      if (axes.length === 1 || channels >= 16) return sum(dy);
      // Few channels do not fill a vector register, so each pixel is summed over the batch first.
      return tf.tidy(() => sum(tf.reshape(sum(tf.reshape(dy, [batch!, -1])), [-1, channels])));
    },
    fallback: ({ dy }) => tf.sum(dy, dy.shape.slice(1).map((_, axis) => axis)),
    gradient: {
      savedInputs: ["dy"],
      compute: (dBias, { dy }) => ({ dy: () => tf.add(tf.zerosLike(dy), dBias) }),
    },
  },
);

type BiasInputs = { x: Tensor; bias: Tensor1D };
/** `x + bias` with a number for each channel, the last axis. */
export const addBias: RunKernel<BiasInputs, Tensor> = defineKernel("ResnetLabBiasSum", {
  native: ({ x, bias }: BiasInputs): Tensor => runTensorFlowOp("BiasAdd", [x, bias], channelsLast),
  fallback: ({ x, bias }) => tf.add(x, bias),
  gradient: {
    compute: (dy) => ({ x: () => tf.clone(dy), bias: () => biasGradient({ dy }) }),
  },
});

type ConvolutionInputs = { x: Tensor4D; filter: Tensor4D; bias: Tensor1D };
type ConvolutionAttributes = {
  strides: [vertical: number, horizontal: number];
  pad: "same" | "valid";
  // The gradient of TensorFlow.js's Conv2D reads these two.
  dataFormat: "NHWC";
  dilations: number;
};
/** `conv2d(x, filter) + bias`, on oneDNN without a pass over memory for the bias. */
export const conv2dWithBias: RunKernel<ConvolutionInputs, Tensor4D, ConvolutionAttributes> =
  defineKernel("ResnetLabConv2DWithBias", {
    native: ({ x, filter, bias }: ConvolutionInputs, attributes: ConvolutionAttributes) => {
      const { strides, pad } = attributes;
      // In a graph TensorFlow fuses the two itself, and what follows them, too.
      const fused = nativeBackend()?.capture.isCapturing
        ? undefined
        : runOneDnnOp("_MklNativeConv2DWithBias", [x, filter, bias], {
          T: { type: "float32" },
          strides: { integers: [1, ...strides, 1] },
          padding: { string: pad.toUpperCase() },
        }, 1);
      if (fused) return fused[0] as Tensor4D;
      return tf.tidy(() => {
        const y = tf.conv2d(x, filter, strides, pad);
        return runTensorFlowOp("BiasAdd", [y, bias], channelsLast) as Tensor4D;
      });
    },
    fallback: ({ x, filter, bias }, { strides, pad }) =>
      tf.add(tf.conv2d(x, filter, strides, pad), bias),
    gradient: {
      savedInputs: ["x", "filter"],
      compute: (dy, { x, filter }, _outputs, attributes) => {
        const { gradFunc } = tf.getGradient(tf.Conv2D);
        const gradients = gradFunc(dy, [x, filter], attributes);
        return {
          x: gradients.x!,
          filter: gradients.filter!,
          bias: () => biasGradient({ dy }),
        };
      },
    },
  });
