/** Exports that the other rooms of lib share, and that are not public. */
export {
  checkArray,
  checkFunction,
  checkOptions,
  checkSynchronous,
  checkTensor,
  show,
} from "./checks.ts";
export { valuesToCheck } from "./ops/indices.ts";
export { linkInterrupt } from "./interrupt.ts";
export { observeKernels, watchVariables } from "./kernel_trace.ts";
export { checkPrecision } from "./precision.ts";
export { watchState } from "./watched_state.ts";
