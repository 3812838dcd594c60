/** Exports for tests that are not public. */
export { StoredTensor } from "./stored_tensor.ts";
