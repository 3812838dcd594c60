/** Exports that the other rooms of lib share, and that are not public. */
export { checkRange } from "./checks.ts";
export { downsampleLine } from "./downsample.ts";
export { formatColumn, formatInterval } from "./format.ts";
export { colors, titleLines } from "./style.ts";
export { jointExtent } from "./numbers.ts";
export { type Search, searchChart } from "./search_chart.ts";
