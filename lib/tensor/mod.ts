/**
 * Tensors: ops with shapes as types, gradients, memory, seeded random numbers, backends.
 *
 * The ops are in the namespace `ops`; {@linkcode grad} and
 * {@linkcode valueAndGradients} differentiate functions of tensors, {@linkcode tidy} frees
 * intermediate tensors, and {@linkcode compile} runs a function as one TensorFlow graph.
 *
 * @module
 */
export { backend, withBackend } from "./backend/use.ts";
export type { BackendName } from "./backend/types.ts";
export {
  grad,
  type GradientsOf,
  type UnusedInputError,
  valueAndGradients,
} from "./autograd/grad.ts";
export { variable } from "./variable.ts";
export { dispose, memory, type TensorContainer, tidy } from "./memory.ts";
export type { Padding, Pair, WindowOptions } from "./ops/window.ts";
export { type Precision, withPrecision } from "./precision.ts";
export { compile, type Compiled, type CompiledInput, type Tensors } from "./compile.ts";
export { Random, type RandomState, setSeed } from "./random.ts";
/** Operations on tensors. */
export * as ops from "./ops/mod.ts";
export type {
  Broadcast,
  BroadcastableTo,
  ClassCount,
  classCount,
  ClassesOf,
  DataType,
  Features,
  Images,
  IsLabels,
  Labels,
  LastAxis,
  lastAxis,
  LastAxisOf,
  Mismatch,
  Rank,
  RankFor,
  RankMax,
  RankMinus,
  RankOf,
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
