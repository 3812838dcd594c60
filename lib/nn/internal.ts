/** Exports that the other rooms of lib share, and that are not public. */
export { checkInputShape, checkModule } from "./checks.ts";
export { Parallel, Residual } from "./containers.ts";
export { Conv2d } from "./conv.ts";
export { Dropout } from "./dropout.ts";
export { DynamicConv2d, KernelAttention } from "./dynamic_conv.ts";
export { takeForwardOptionsOnly } from "./forward_guard.ts";
export { heatMaps } from "./grad_cam.ts";
export { type PendingForward, withForwardHook } from "./hooks.ts";
export { fansOf } from "./initialize.ts";
export { runsLibraryCode } from "./library_code.ts";
export { Linear } from "./linear.ts";
export { LocalResponseNorm } from "./norm.ts";
export { AdaptiveAveragePool, Flatten, GlobalAveragePool, Pool } from "./pool.ts";
export type { Describe, Fits } from "./shapes.ts";
export {
  escapeHtml,
  type TableBundle,
  tableBundle,
  tableHtml,
  tableText,
  type TableView,
} from "./table_view.ts";
