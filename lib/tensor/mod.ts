/**
 * The one door to TensorFlow.js: choice of the backend, ops with true types, gradients, memory,
 * seeded random numbers.
 */
export { backend, CPU, NATIVE, useBackend, WASM } from "./backend/select.ts";
export { isTensor } from "./checks.ts";
export { checkOptions, type OptionNames } from "./checks.ts";
export {
  dependsOn,
  grad,
  type GradientsOf,
  UnusedInputError,
  valueAndGradients,
} from "./autograd/grad.ts";
export { isVariable, variable } from "./variable.ts";
export {
  type AdamUpdate,
  type MomentumUpdate,
  updateByAdam,
  updateByMomentum,
} from "./kernels/optimizer.ts";
export { squaredNorm, vectorNorm } from "./ops/norm.ts";
export { dispose, keep, memory, type TensorContainer, tidy } from "./memory.ts";
export {
  type Padding,
  type Pair,
  pair,
  type WindowGeometry,
  windowGeometry,
  type WindowOptions,
} from "./ops/window.ts";
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
export { interruptSignal } from "./interrupt.ts";
export {
  type KernelTrace,
  type TracedOutput,
  type TracedValue,
  traceKernels,
} from "./kernel_trace.ts";
