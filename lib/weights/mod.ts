/**
 * Weights: state dicts, safetensors and `.pth` files, pretrained weights, and graph models.
 *
 * Names and layout of the tensors in a file are those of PyTorch.
 *
 * @module
 */
export { type GraphModelOptions, writeGraphModel } from "./graph_model.ts";
export { pretrained, type PretrainedName, type PretrainedOptions } from "./pretrained.ts";
export { type PthOptions, readPth } from "./pth.ts";
export { readSafetensors, type SafetensorsFile, writeSafetensors } from "./safetensors.ts";
export {
  type StateDict,
  type StoredTensor,
  type StoredType,
  type StoredValues,
} from "./stored_tensor.ts";
export { type LoadOptions, loadStateDict, stateDict } from "./state.ts";
export type { StateDictOptions } from "./entries.ts";
/** The names of tensors in pre-activation ResNets of timm. */
export * as timm from "./timm.ts";
