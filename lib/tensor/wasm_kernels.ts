/**
 * TensorFlow.js's WebAssembly backend, and what it lacks to train: the gradient of a convolution's kernel. Its gradient of the images
 * and its products with a transposed matrix are plain loops, ten times slower than its convolution and its product as they stand, so
 * they are put together from these.
 */
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-wasm";
import type { Tensor, Tensor2D, Tensor4D } from "./types.ts";

const WASM = "wasm";

function replaceKernel(config: tf.KernelConfig): void {
  if (tf.getKernel(config.kernelName, WASM)) tf.unregisterKernel(config.kernelName, WASM);
  tf.registerKernel(config);
}

/** Matrices with rows and columns changed. */
function turn(matrices: Tensor): Tensor {
  const axes = matrices.shape.map((_size, axis) => axis);
  return tf.transpose(matrices, [...axes.slice(0, -2), ...axes.slice(-2).reverse()]);
}

/** The first rows and columns of images. */
function crop(images: Tensor4D, height: number, width: number): Tensor4D {
  const [batch, rows, columns, channels] = images.shape;
  // A copy of everything is slow here.
  if (rows === height && columns === width) return images;
  return tf.slice(images, [0, 0, 0, 0], [batch, height, width, channels]);
}

/** Images with `vertical − 1` rows of zeros after each row, and `horizontal − 1` columns after each column. */
function spread(images: Tensor4D, vertical: number, horizontal: number): Tensor4D {
  if (vertical * horizontal === 1) return images;
  const [batch, rows, columns, channels] = images.shape;
  const pixels = tf.reshape(images, [batch * rows, 1, columns, channels]);
  const zeros: [number, number][] = [[0, 0], [0, vertical - 1], [0, 0], [
    0,
    (horizontal - 1) * channels,
  ]];
  return tf.reshape(tf.pad(pixels, zeros), [
    batch,
    rows * vertical,
    columns * horizontal,
    channels,
  ]);
}

/** The strides of a convolution, and its rows and columns of padding. */
function geometry(x: Tensor4D["shape"], kernel: Tensor4D["shape"], attributes: tf.NamedAttrMap) {
  const { strides, pad, dimRoundingMode } = attributes as unknown as tf.Conv2DAttrs;
  return tf.backend_util.computeConv2DInfo(x, kernel, strides, 1, pad, dimRoundingMode);
}

const product = tf.getKernel(tf.BatchMatMul, WASM);
replaceKernel({
  ...product,
  kernelFunc: (call) => {
    const { transposeA, transposeB } = call.attrs!;
    if (!transposeA && !transposeB) return product.kernelFunc(call);
    const a = call.inputs.a as Tensor, b = call.inputs.b as Tensor;
    return tf.tidy(() => tf.matMul(transposeA ? turn(a) : a, transposeB ? turn(b) : b));
  },
});

// TensorFlow.js's own writes whole numbers, also where it says that they are float32.
const oneHot = tf.getKernel(tf.OneHot, WASM);
replaceKernel({
  ...oneHot,
  kernelFunc: (call) => {
    const { depth, onValue, offValue, dtype } = call.attrs as unknown as tf.OneHotAttrs;
    if (dtype === "int32") return oneHot.kernelFunc(call);
    const indices = call.inputs.indices as Tensor;
    return tf.tidy(() => tf.cast(tf.oneHot(indices, depth, onValue, offValue, "int32"), dtype));
  },
});

// ∂L/∂x: the gradients of the outputs, with zeros where the stride skipped, convolved with the kernel turned by 180°.
replaceKernel({
  kernelName: tf.Conv2DBackpropInput,
  backendName: WASM,
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const kernel = inputs.filter as Tensor4D;
      const [kernelHeight, kernelWidth] = kernel.shape;
      const inputShape = attrs!.inputShape as Tensor4D["shape"];
      const [, height, width] = inputShape;
      const { strideHeight, strideWidth, padInfo } = geometry(inputShape, kernel.shape, attrs!);
      const dy = spread(inputs.dy as Tensor4D, strideHeight, strideWidth);
      const turned: Tensor4D = tf.transpose(tf.reverse(kernel, [0, 1]), [0, 1, 3, 2]);
      const sums = tf.conv2d(dy, turned, 1, [
        [0, 0],
        [kernelHeight - 1 - padInfo.top, Math.max(0, height + padInfo.top - dy.shape[1])],
        [kernelWidth - 1 - padInfo.left, Math.max(0, width + padInfo.left - dy.shape[2])],
        [0, 0],
      ]);
      return crop(sums, height, width);
    }),
});

// ∂L/∂kernel: the images convolved with the gradients of the outputs, summed over the batch where else it is over the channels, and at
// a distance of the stride.
replaceKernel({
  kernelName: tf.Conv2DBackpropFilter,
  backendName: WASM,
  kernelFunc: ({ inputs, attrs }) =>
    tf.tidy(() => {
      const x = inputs.x as Tensor4D, dy = inputs.dy as Tensor4D;
      const shape = attrs!.filterShape as Tensor4D["shape"];
      const [kernelHeight, kernelWidth, inChannels, outChannels] = shape;
      const { strideHeight, strideWidth, padInfo } = geometry(x.shape, shape, attrs!);
      if (kernelHeight * kernelWidth * strideHeight * strideWidth === 1) {
        const pixels: Tensor2D = tf.reshape(x, [-1, inChannels]);
        return tf.reshape(tf.matMul(pixels, tf.reshape(dy, [-1, outChannels]), true), shape);
      }
      const sums = tf.conv2d(
        tf.transpose(x, [3, 1, 2, 0]),
        tf.transpose(dy, [1, 2, 0, 3]),
        1,
        [[0, 0], [padInfo.top, padInfo.bottom], [padInfo.left, padInfo.right], [0, 0]],
        "NHWC",
        [strideHeight, strideWidth],
      );
      // Where the stride leaves the last rows out, there are sums too many.
      return tf.transpose(crop(sums, kernelHeight, kernelWidth), [1, 2, 0, 3]);
    }),
});
