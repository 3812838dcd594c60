/**
 * Pooling and its gradients, where they differ from TensorFlow.js's: kernels of native TensorFlow,
 * and max pooling of numbers that are not finite. `wasm_overrides.ts` has the kernels for
 * WebAssembly; plain JavaScript uses TensorFlow.js's own.
 */
import * as tf from "@tensorflow/tfjs-core";
import { NATIVE, nativeBackend } from "../backend/select.ts";
import { runOneDnnOp } from "../backend/tensorflow_op.ts";
import { overrideKernel } from "./define.ts";
import { insertZeros, type Pair, pair } from "./geometry.ts";
import type { Tensor, Tensor4D } from "../types.ts";

function oneDnnAttributes({ filterSize, strides, pad }: tf.MaxPoolAttrs) {
  return {
    T: { type: "float32" },
    ksize: { integers: [1, ...pair(filterSize), 1] },
    strides: { integers: [1, ...pair(strides), 1] },
    padding: { string: String(pad).toUpperCase() },
    workspace_enabled: { bool: true },
  } as const;
}

// In the backward pass TensorFlow searches each window for its largest element again, on one
// thread. oneDNN's max pooling also returns a workspace with the positions of these elements.
overrideKernel(
  tf.MaxPool,
  NATIVE,
  (inputs: { x: Tensor }, attributes: tf.MaxPoolAttrs, original) => {
    const { x } = inputs;
    if (typeof attributes.pad !== "string" || x.dtype !== "float32") {
      return original(inputs, attributes);
    }
    const outputs = runOneDnnOp("_MklNativeMaxPool", [x], oneDnnAttributes(attributes), 2);
    if (!outputs) return original(inputs, attributes);
    const [y, workspace] = outputs;
    if (tf.engine().state.gradientDepth > 0) nativeBackend()!.attachWorkspace(y!, workspace!);
    else workspace!.dispose();
    return y!;
  },
);
overrideKernel(
  tf.MaxPoolGrad,
  NATIVE,
  (
    inputs: { input: Tensor; output: Tensor; dy: Tensor },
    attributes: tf.MaxPoolGradAttrs,
    original,
  ) => {
    const { input, output, dy } = inputs;
    const workspace = nativeBackend()?.workspaceOf(output);
    const outputs = workspace && runOneDnnOp(
      "_MklNativeMaxPoolGrad",
      [input, output, dy, workspace],
      oneDnnAttributes(attributes),
      1,
    );
    return outputs ? outputs[0]! : original(inputs, attributes);
  },
);

// Average pooling of 1×1 windows only skips pixels. Its gradient puts zeros in their places, which
// TensorFlow's op does far more slowly.
overrideKernel(
  tf.AvgPoolGrad,
  NATIVE,
  (
    inputs: { dy: Tensor4D; input: Tensor4D },
    attributes: tf.AvgPoolGradAttrs,
    original,
  ) => {
    const [batch, rows, columns, channels] = inputs.dy.shape;
    const strides = pair(attributes.strides), [vertical, horizontal] = strides;
    const shape = [batch, rows * vertical, columns * horizontal, channels];
    const onlySkips = String(pair(attributes.filterSize)) === "1,1" && vertical * horizontal > 1;
    if (!onlySkips || String(shape) !== String(inputs.input.shape)) {
      return original(inputs, attributes);
    }
    return tf.tidy(() => insertZeros(inputs.dy, strides));
  },
);

/** Options of {@linkcode maxPoolNonFinite}. */
export interface NonFinitePooling {
  readonly kernelSize: Pair;
  readonly stride: Pair;
  /** Rows of padding at the top. */
  readonly top: number;
  /** Columns of padding on the left. */
  readonly left: number;
  /** Height and width of the result. */
  readonly output: readonly [height: number, width: number];
}

/**
 * Max pooling of numbers that are not all finite, and its gradient, as in PyTorch: NaN counts as
 * the largest number, and the last NaN of a window receives the gradient. It runs in JavaScript,
 * because no backend does this.
 */
export function maxPoolNonFinite(
  x: Tensor4D,
  { kernelSize, stride, top, left, output: [rows, columns] }: NonFinitePooling,
): Tensor4D {
  const [batch, height, width, channels] = x.shape;
  const [kernelHeight, kernelWidth] = pair(kernelSize), [vertical, horizontal] = pair(stride);
  const values = x.dataSync(), largest = new Float32Array(batch * rows * columns * channels);
  const positions = new Int32Array(largest.length);
  for (let i = 0; i < largest.length; i++) {
    const channel = i % channels, column = Math.floor(i / channels) % columns;
    const row = Math.floor(i / channels / columns) % rows;
    const image = Math.floor(i / channels / columns / rows);
    let best = -1;
    for (let u = 0; u < kernelHeight; u++) {
      const y = row * vertical - top + u;
      if (y < 0 || y >= height) continue;
      for (let v = 0; v < kernelWidth; v++) {
        const x = column * horizontal - left + v;
        if (x < 0 || x >= width) continue;
        const position = ((image * height + y) * width + x) * channels + channel;
        const value = values[position]!;
        if (best < 0 || value > values[best]! || Number.isNaN(value)) best = position;
      }
    }
    positions[i] = best;
    largest[i] = values[best]!;
  }
  const shape = x.shape;
  return tf.customGrad((_x) => ({
    value: tf.tensor4d(largest, [batch, rows, columns, channels]),
    gradFunc: (dy: Tensor) => {
      const dx = new Float32Array(values.length);
      dy.dataSync().forEach((gradient, i) => dx[positions[i]!]! += gradient);
      return tf.tensor4d(dx, shape);
    },
  }))(x) as Tensor4D;
}
