/**
 * Tensors: ops with shapes as types, gradients, memory, seeded random numbers, backends.
 *
 * The one room that imports TensorFlow.js. The ops are in the namespace `ops`; {@linkcode grad} and
 * {@linkcode valueAndGradients} differentiate functions of tensors, {@linkcode tidy} frees
 * intermediate tensors, and {@linkcode compile} runs a function as one TensorFlow graph.
 *
 * @module
 */
export { backend, useBackend } from "./backend/use.ts";
export type { BackendName } from "./backend/types.ts";
export { isTensor } from "./checks.ts";
export { checkOptions, type OptionNames } from "./checks.ts";
export { dependsOn, grad, UnusedInputError, valueAndGradients } from "./autograd/grad.ts";
export { isVariable, variable } from "./variable.ts";
export {
  type AdamUpdate,
  type MomentumUpdate,
  updateByAdam,
  updateByMomentum,
} from "./kernels/optimizer.ts";
export { squaredNorm, vectorNorm } from "./ops/norm.ts";
export { dispose, keep, memory, type TensorContainer, tidy } from "./memory.ts";
export { type Padding, type Pair, pair, windowGeometry, type WindowOptions } from "./ops/window.ts";
export { type Precision, withPrecision } from "./precision.ts";
export {
  compile,
  type Compiled,
  type CompiledInput,
  liveNumber,
  type Tensors,
} from "./compile.ts";
export { defaultRandom, Random, setSeed } from "./random.ts";
export * as ops from "./ops/mod.ts";
export type {
  Broadcast,
  BroadcastableTo,
  DataType,
  Features,
  Images,
  Labels,
  LastAxis,
  LastAxisOf,
  Rank,
  RankFor,
  SameShape,
  Scalar,
  Tensor,
  Tensor1D,
  Tensor2D,
  Tensor3D,
  Tensor4D,
  Tensor5D,
  Tensor6D,
  Variable,
  Variable1D,
  Variable2D,
  Variable4D,
  Variable5D,
} from "./types.ts";
export { interruptSignal } from "./interrupt.ts";
export {
  type KernelTrace,
  type TracedOutput,
  type TracedValue,
  traceKernels,
} from "./kernel_trace.ts";
