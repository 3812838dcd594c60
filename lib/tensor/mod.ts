/**
 * The one door to TensorFlow.js: backend choice, honestly typed ops, gradients, memory, seeded
 * random numbers.
 */
import "./inspect.ts";
export { backend, NATIVE, PORTABLE, useBackend, WASM } from "./backend.ts";
export { isTensor } from "./check.ts";
export { checkOptions, type OptionNames } from "./options.ts";
export {
  dependsOn,
  grad,
  isVariable,
  UnusedInputError,
  valueAndGradients,
  variable,
} from "./autograd.ts";
export {
  type AdamUpdate,
  type MomentumUpdate,
  updateByAdam,
  updateByMomentum,
} from "./optimizer_updates.ts";
export { squaredLength, vectorLength } from "./squared_length.ts";
export { dispose, keep, memory, type TensorContainer, tidy } from "./memory.ts";
export {
  type Padding,
  type Pair,
  pair,
  windowGeometry,
  type WindowOptions,
} from "./convolution.ts";
export { type Precision, withPrecision } from "./precision.ts";
export {
  compile,
  type Compiled,
  type CompiledInput,
  isCompiling,
  liveNumber,
  type Tensors,
} from "./compile.ts";
export { defaultRandom, Random, setSeed } from "./random.ts";
export * as ops from "./ops.ts";
export type {
  Broadcast,
  DataType,
  Features,
  Fitting,
  Images,
  Labels,
  LastAxis,
  LastAxisOf,
  Rank,
  RankFor,
  Same,
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
export { stopSignal } from "./stop.ts";
export { type KernelTrace, type TracedOutput, type TracedValue, traceKernels } from "./trace.ts";
