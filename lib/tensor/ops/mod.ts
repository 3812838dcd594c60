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
// Only `export *` keeps the doc comments in the reference: `deno doc` loses those of names that a
// list in a namespace exports. So each of these files exports public names only.
export * from "./creation.ts";
export * from "./shape.ts";
export * from "./elementwise.ts";
export * from "./activation.ts";
export * from "./reduction.ts";
export * from "./matrix.ts";
export * from "./image.ts";
export * from "./convolution.ts";
export * from "./pooling.ts";
export * from "./normalization.ts";
export * from "./cross_entropy.ts";
