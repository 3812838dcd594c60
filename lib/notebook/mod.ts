/** What only makes sense in a notebook: live progress, checks, and how much to compute. */
import "./late_outputs.ts";
export { check, checkClose, checkEqual, type Numeric } from "./check.ts";
export { machine } from "./machine.ts";
export { showProgress } from "./progress.ts";
export { atScale, type Scale, scale } from "./scale.ts";
export { type KeptResult, type NetworkResult, resultsWith } from "./results.ts";
export { type Provenance, recorded } from "./recorded.ts";
