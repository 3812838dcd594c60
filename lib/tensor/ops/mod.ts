/**
 * Operations on tensors, with result types that follow from the arguments.
 *
 * TensorFlow.js lets the caller choose the type of many results
 * (`const y: Tensor4D = tf.matMul(a, b)` compiles). Here a wrong rank does not compile.
 *
 * Every operation throws a TypeError if an argument is not a tensor, has been disposed, or has a
 * dtype that the operation does not accept.
 *
 * @module
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
export {
  all,
  any,
  argMax,
  max,
  mean,
  min,
  type Reduction,
  sum,
  topK,
  variance,
} from "./reduction.ts";
export * from "./matrix.ts";
export * from "./image.ts";
export { conv2d, type ConvolutionOptions } from "./convolution.ts";
export { avgPool, maxPool, type Pooled, type PoolOptions } from "./pooling.ts";
export {
  batchNormInference,
  type BatchNormResult,
  batchNormTraining,
  localResponseNorm,
  type ResponseNormOptions,
  type RunningStatistics,
} from "./normalization.ts";
export { labelCrossEntropy, softmaxCrossEntropy } from "./cross_entropy.ts";
