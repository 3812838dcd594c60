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
  checkString,
  checkSynchronous,
  checkTensor,
  show,
} from "./checks.ts";
export { valuesToCheck } from "./compile.ts";
export { linkInterrupt } from "./interrupt.ts";
export { observeKernels, watchVariables } from "./kernel_trace.ts";
export { checkPrecision } from "./precision.ts";
export { watchState } from "./watched_state.ts";
