/**
 * The transform of a model in the state that was taken of it, and in a safetensors file.
 *
 * It goes with the tensors, not with their map, so that it is not lost where the map is copied or
 * filtered.
 */
import { type Transform, transformOf } from "../data/mod.ts";
import { bindTransform, describeTransform, transformFrom } from "../data/internal.ts";
import type { AnyModule } from "../nn/mod.ts";
import type { StateDict } from "./state.ts";
import type { StoredTensor } from "./stored_tensor.ts";

/** The key in a file's notes. */
const KEY = "resnet-lab.transform";
/** In a file, in place of a transform that cannot be written down. */
const CUSTOM = "custom";

/**
 * The transform of the model that a tensor is of, or its note in the file that it was read from.
 */
const transforms = new WeakMap<StoredTensor, Transform | string>();

/** Notes the transform of a model with the tensors that were taken of it. */
export function noteTransform(state: StateDict, model: AnyModule): void {
  const transform = transformOf(model);
  if (!transform) return;
  for (const tensor of state.values()) transforms.set(tensor, transform);
}

/** The note about the transform in a graph model; undefined if there is none. */
export function graphNotes(model: AnyModule): { readonly transform: string } | undefined {
  const transform = transformOf(model);
  return transform && { transform: describeTransform(transform) ?? CUSTOM };
}

/** Notes what a file says of the transform with the tensors that were read from it. */
export function noteFromFile(state: StateDict, metadata: Readonly<Record<string, string>>): void {
  const note = metadata[KEY];
  if (note === undefined) return;
  for (const tensor of state.values()) transforms.set(tensor, note);
}

/**
 * The notes of a file with that about the transform of its tensors.
 *
 * @throws {RangeError} If they are of models with different transforms.
 */
export function withTransformNote(
  doing: string,
  state: StateDict,
  metadata: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (Object.hasOwn(metadata, KEY)) return metadata;
  const found = new Set(
    [...state.values()].flatMap((tensor) => {
      const transform = transforms.get(tensor);
      if (transform === undefined) return [];
      return typeof transform === "string" ? [transform] : describeTransform(transform) ?? CUSTOM;
    }),
  );
  if (found.size > 1) {
    throw new RangeError(
      `${doing}: the tensors must be of models with one transform, found ${
        [...found].join(" and ")
      }. Write each model to a file of its own.`,
    );
  }
  const [note] = found;
  return note === undefined ? metadata : { ...metadata, [KEY]: note };
}

/**
 * Finds the transform that goes with tensors: that which is given, else their own.
 *
 * @returns What binds it to the model, to be called when all else is checked.
 * @throws {RangeError} If it is in the file, but cannot be made from that.
 */
export function transformToBind(
  doing: string,
  model: AnyModule,
  state: StateDict,
  given: Transform | undefined,
): () => void {
  const noted = [...state.values()].map((tensor) => transforms.get(tensor))
    .find((transform) => transform !== undefined);
  const transform = given ?? noted;
  if (transform === undefined) return () => {};
  if (transform === CUSTOM) {
    if (transformOf(model)) return () => {};
    throw new RangeError(
      `${doing}: the model in the file was trained with a transform of the user's own, which a file cannot hold. ` +
        "Give it: { transform }, or { transform: compose() } for none.",
    );
  }
  const bound = typeof transform === "string" ? transformFrom(doing, transform) : transform;
  return () => bindTransform(model, bound);
}
