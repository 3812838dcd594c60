/** Exports that other rooms of lib share, and that are not public. */
export { encodeSafetensors, parseSafetensors } from "./safetensors.ts";
export { restoreStateDict, stateDictOf } from "./state.ts";
export { StoredTensor } from "./stored_tensor.ts";
