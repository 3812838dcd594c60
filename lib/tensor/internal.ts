/** Exports for the other rooms of lib and for tests that are not public. */
export { dependsOn } from "./autograd/grad.ts";
export {
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
  checkSameDtype,
  checkShape,
  checkSignal,
  checkString,
  checkSynchronous,
  checkTensor,
  IMAGE_AXES,
  NUMERIC,
  type OptionNames,
  show,
} from "./checks.ts";
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
export { valuesToCheck } from "./ops/indices.ts";
export { squaredNorm, vectorNorm } from "./ops/norm.ts";
export { pair, windowGeometry } from "./ops/window.ts";
export { checkPrecision } from "./precision.ts";
export { defaultRandom } from "./random.ts";
export { isVariable } from "./variable.ts";
export { watchState } from "./watched_state.ts";
