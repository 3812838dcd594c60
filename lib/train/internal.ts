/** Exports for tests that are not public. */
export { confusionMatrix } from "./metrics.ts";
export { collectHistory } from "./training.ts";
