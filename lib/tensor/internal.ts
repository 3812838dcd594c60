/** Exports that the other rooms of lib share, and that are not public. */
export {
  dependsOn,
} from "./autograd/grad.ts";
export {
  checkArguments,
  checkArray,
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
  checkSignal,
  checkString,
  checkSynchronous,
  checkTensor,
  type OptionNames,
  show,
} from "./checks.ts";
export {
  valuesToCheck,
} from "./backend/values_to_check.ts";
export {
  type Attributes,
  type AttrValue,
  DT_FLOAT,
  DT_INT32,
  GraphDef,
} from "./backend/graph_def.ts";
export {
  linkInterrupt,
} from "./interrupt.ts";
export {
  observeKernels,
  watchVariables,
} from "./kernel_trace.ts";
export {
  checkPrecision,
} from "./precision.ts";
export {
  noteForward,
  watchState,
} from "./watched_state.ts";
export {
  valuesToCheck,
} from "./compile.ts";
export {
  pair,
  type WindowGeometry,
  windowGeometry,
} from "./ops/window.ts";
export {
  defaultRandom,
} from "./random.ts";
export {
  isVariable,
} from "./variable.ts";
