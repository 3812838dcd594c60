/** Exports that the other rooms of lib share, and that are not public. */
export { downsampleLine } from "./downsample.ts";
export { formatColumn, formatInterval } from "./format.ts";
export { jointExtent } from "./numbers.ts";

export { colors } from "./style.ts";
