/**
 * State dicts, and reading and writing them: safetensors, PyTorch's .pth, and the networks of
 * torchvision and timm.
 */
export { writeGraphModel } from "./graph_model.ts";
export { pretrained, type PretrainedName, type PretrainedOptions } from "./pretrained.ts";
export { type PthOptions, readPth } from "./pth.ts";
export { readSafetensors, readSafetensorsMetadata, writeSafetensors } from "./safetensors.ts";
export {
  type StateDict,
  StoredTensor,
  type StoredType,
  type StoredValues,
} from "./stored_tensor.ts";
export { type LoadOptions, loadStateDict, stateDict, type StateDictOptions } from "./state.ts";
export { fromTimm, toTimm } from "./timm.ts";
