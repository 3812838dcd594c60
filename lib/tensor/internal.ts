/** Exports that the other rooms of lib share, and that are not public. */
export {
  checkArray,
  checkBoolean,
  checkFinite,
  checkFunction,
  checkInstance,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkPair,
  checkSignal,
  checkString,
  checkSynchronous,
  checkTensor,
  type OptionNames,
  show,
} from "./checks.ts";
export { valuesToCheck } from "./compile.ts";
export { linkInterrupt } from "./interrupt.ts";
export { updateByAdam, updateByMomentum } from "./kernels/optimizer.ts";
export { observeKernels, watchVariables } from "./kernel_trace.ts";
export { squaredNorm, vectorNorm } from "./ops/norm.ts";
export { checkPrecision } from "./precision.ts";
export { defaultRandom } from "./random.ts";
export { isVariable } from "./variable.ts";
export { watchState } from "./watched_state.ts";
