/**
 * The names of tensors in pre-activation ResNets of timm.
 *
 * @module
 */
import { checkStateDict, type StateDict, StoredTensor } from "./stored_tensor.ts";

/**
 * Converts a state dict with the names of timm to those of this library.
 *
 * It is that of a pre-activation ResNet (`resnetv2_18`, 34, 50, 101, 152), ready for
 * {@linkcode loadStateDict} into a `resnet50({ version: "v2" })`. timm's head, a 1×1 convolution,
 * becomes a linear layer. {@linkcode exportNames} is the inverse.
 *
 * @throws {TypeError} If the argument is not a map of stored tensors.
 * @throws {RangeError} If two tensors get the same name.
 *
 * @example
 * ```ts
 * import { loadStateDict, resnet18, stateDict, timm } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet18({ version: "v2", width: 1 / 16 });
 * const theirs = timm.exportNames(stateDict(model));
 * assert(theirs.has("stages.0.blocks.0.norm1.running_mean"));
 * assert.deepEqual(theirs.get("head.fc.weight")!.shape, [1000, 32, 1, 1]);
 * loadStateDict(model, timm.importNames(theirs));
 * ```
 */
export function importNames(tensors: StateDict): Map<string, StoredTensor> {
  return rename(
    "Renaming tensors from timm",
    tensors,
    (name) =>
      name
        .replace(/^stem\.conv\./, "conv1.")
        .replace(/^head\.fc\./, "fc.")
        .replace(/^stages\.(\d+)\.blocks\./, (_, stage) => `layer${Number(stage) + 1}.`)
        .replace(/\.norm(\d+)\./, ".bn$1.")
        .replace(".downsample.conv.", ".downsample."),
    (name, shape) => name === "fc.weight" && shape.length === 4 ? shape.slice(0, 2) : shape,
  );
}

/**
 * Converts a state dict with the names of this library to those of timm.
 *
 * It is that of a ResNet of version `"v2"`; timm's `resnetv2_18` to `resnetv2_152` load it with
 * `strict=True`. {@linkcode importNames} is the inverse, and has
 * an example.
 *
 * @throws {TypeError} If the argument is not a map of stored tensors.
 * @throws {RangeError} If two tensors get the same name.
 */
export function exportNames(tensors: StateDict): Map<string, StoredTensor> {
  return rename(
    "Renaming tensors for timm",
    tensors,
    (name) =>
      name
        .replace(/^conv1\./, "stem.conv.")
        .replace(/^fc\./, "head.fc.")
        .replace(/^layer(\d+)\./, (_, stage) => `stages.${Number(stage) - 1}.blocks.`)
        .replace(/\.bn(\d+)\./, ".norm$1.")
        .replace(".downsample.", ".downsample.conv."),
    (name, shape) => name === "head.fc.weight" && shape.length === 2 ? [...shape, 1, 1] : shape,
  );
}

/** Renames tensors, and changes their shapes where the elements stay the same. */
function rename(
  action: string,
  tensors: StateDict,
  nameOf: (name: string) => string,
  shapeOf: (name: string, shape: readonly number[]) => readonly number[],
): Map<string, StoredTensor> {
  checkStateDict(action, tensors);
  const result = new Map<string, StoredTensor>(), oldNames = new Map<string, string>();
  for (const [oldName, tensor] of tensors) {
    const name = nameOf(oldName), shape = shapeOf(name, tensor.shape);
    const other = oldNames.get(name);
    if (other !== undefined) {
      throw new RangeError(
        `${action}: the new names must differ, found ${name} for ${other} and ${oldName}.`,
      );
    }
    oldNames.set(name, oldName);
    const isSame = shape === tensor.shape;
    result.set(name, isSame ? tensor : new StoredTensor(tensor.dtype, shape, tensor.bytes()));
  }
  return result;
}
