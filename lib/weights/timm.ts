import { checkTensors, type StateDict } from "./state.ts";
import { StoredTensor } from "./stored_tensor.ts";

/**
 * The tensors of one of timm's pre-activation ResNets (`resnetv2_18`, 34, 50, 101, 152) under the
 * names of ResNets here, ready for {@linkcode loadStateDict} into a `resnet50({ version: "v2" })`; its
 * head, a 1×1 convolution, becomes a linear layer. {@linkcode toTimm} is the way back.
 *
 * @example
 * ```ts
 * import { fromTimm, loadStateDict, resnet18, stateDict, toTimm } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const model = resnet18({ version: "v2", width: 1 / 16 });
 * const theirs = toTimm(stateDict(model));
 * assert(theirs.has("stages.0.blocks.0.norm1.running_mean"));
 * assert.deepEqual(theirs.get("head.fc.weight")!.shape, [1000, 32, 1, 1]);
 * loadStateDict(model, fromTimm(theirs));
 * ```
 */
export function fromTimm(tensors: StateDict): Map<string, StoredTensor> {
  return renamed(
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
 * The tensors of a ResNet of version `"v2"`, as {@linkcode stateDict} gives them, under the names of
 * timm's `resnetv2_18` to `resnetv2_152`, which load them with `strict=True`. {@linkcode fromTimm}
 * is the way back, and has an example.
 */
export function toTimm(tensors: StateDict): Map<string, StoredTensor> {
  return renamed(
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

/** The tensors under new names and, with the same elements, in new shapes. */
function renamed(
  doing: string,
  tensors: StateDict,
  rename: (name: string) => string,
  reshape: (name: string, shape: readonly number[]) => readonly number[],
): Map<string, StoredTensor> {
  checkTensors(doing, tensors);
  const result = new Map<string, StoredTensor>(), origins = new Map<string, string>();
  for (const [name, tensor] of tensors) {
    const other = rename(name), shape = reshape(other, tensor.shape);
    const origin = origins.get(other);
    if (origin !== undefined) {
      throw new RangeError(
        `${doing}: each must get a name of its own, found ${other} for ${origin} and ${name}.`,
      );
    }
    origins.set(other, name);
    const isSame = shape === tensor.shape;
    result.set(other, isSame ? tensor : new StoredTensor(tensor.dtype, shape, tensor.bytes()));
  }
  return result;
}
