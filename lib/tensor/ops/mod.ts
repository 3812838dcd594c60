/**
 * Operations on tensors, with result types that follow from the arguments.
 *
 * TensorFlow.js lets the caller choose the type of many results
 * (`const y: Tensor4D = tf.matMul(a, b)` compiles). Here a rank that is not true does not compile.
 *
 * Every operation throws a TypeError where an argument is no tensor, has been disposed, or has a
 * dtype that the operation does not take.
 */
export {
  cast,
  clone,
  eye,
  full,
  linspace,
  oneHot,
  ones,
  onesLike,
  range,
  scalar,
  tensor,
  zeros,
  zerosLike,
} from "./creation.ts";
export * from "./shape.ts";
export * from "./elementwise.ts";
export * from "./activation.ts";
export * from "./reduction.ts";
export * from "./matrix.ts";
export * from "./image.ts";
export { conv2d } from "./convolution.ts";
export { avgPool, maxPool } from "./pooling.ts";
export { batchNormInference, batchNormTraining, localResponseNorm } from "./normalization.ts";
export { labelCrossEntropy, softmaxCrossEntropy } from "./cross_entropy.ts";
