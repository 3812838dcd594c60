/** Exports that the other rooms of lib and the tests share, and that are not public. */
export { dependsOn, UnusedInputError } from "./autograd/grad.ts";
export {
  type Attributes,
  type AttrValue,
  DT_FLOAT,
  DT_INT32,
  GraphDef,
} from "./backend/graph_def.ts";
export { nativeCpuBackend } from "./backend/select.ts";
export { type BatchPart, batchPart, withBatchPart } from "./batch_part.ts";
export {
  checkArguments,
  checkArray,
  checkAxes,
  checkAxis,
  checkBoolean,
  checkFinite,
  checkFunction,
  checkInstance,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPadding,
  checkPair,
  checkPath,
  checkSameDtype,
  checkShape,
  checkSignal,
  checkString,
  checkSynchronous,
  checkTensor,
  IMAGE_AXES,
  isTensor,
  NUMERIC,
  type OptionNames,
  show,
} from "./checks.ts";
export { callsState, type GraphCalls, loadCalls } from "./compile.ts";
export { linkInterrupt } from "./interrupt.ts";
export {
  type KernelTrace,
  observeKernels,
  type TracedOutput,
  type TracedValue,
  traceKernels,
  watchVariables,
} from "./kernel_trace.ts";
export {
  type AdamUpdate,
  type MomentumUpdate,
  updateByAdam,
  updateByMomentum,
} from "./kernels/optimizer.ts";
export { argMaxWithoutNaN } from "./ops/arg_max.ts";
export { valuesToCheck } from "./ops/indices.ts";
export { likelyName } from "./option_hints.ts";
export { squaredNorm, vectorNorm } from "./ops/norm.ts";
export { pair, type WindowGeometry, windowGeometry } from "./ops/window.ts";
export { keep } from "./memory.ts";
export { environmentVariable } from "./platform.ts";
export { checkPrecision, precisionOf } from "./precision.ts";
export { defaultRandom, recordDraws, streamsUntilNow, watchDraws } from "./random.ts";
export { isVariable } from "./variable.ts";
export { noteForward } from "./watched_state.ts";
