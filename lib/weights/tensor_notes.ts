/**
 * Notes about stored tensors: that the features of a tensor are in this library's order, and the
 * transform of the model that it comes from. Files carry both.
 *
 * A note belongs to the tensor, not to the map that holds it, so that it survives when the map is
 * copied or filtered.
 */
import { bindTransform, transformOf } from "../data/model_transform.ts";
import { describeTransform, type Transform, transformFrom } from "../data/transforms.ts";
import type { AnyModule } from "../nn/mod.ts";
import type { StateDict, StoredTensor } from "./stored_tensor.ts";

// The order of features.

const inOwnOrder = new WeakSet<StoredTensor>();

/** Ends the names of such tensors in a file, so that PyTorch reports them as unexpected. */
const OWN_ORDER_SUFFIX = " (features by row, column, channel)";

/** Notes that the features of a tensor are in this library's order, as PyTorch's is not known. */
export function markOwnOrder(tensor: StoredTensor): void {
  inOwnOrder.add(tensor);
}

/** Whether {@linkcode markOwnOrder} marked a tensor. */
export function isInOwnOrder(tensor: StoredTensor): boolean {
  return inOwnOrder.has(tensor);
}

/** The tensors under the names that they have in a file. */
export function namesForFile(tensors: StateDict): Map<string, StoredTensor> {
  return new Map(
    Array.from(
      tensors,
      ([name, tensor]) => [isInOwnOrder(tensor) ? name + OWN_ORDER_SUFFIX : name, tensor],
    ),
  );
}

/** The tensors of a file under their names in a state dict. */
export function namesFromFile(file: StateDict): Map<string, StoredTensor> {
  return new Map(
    Array.from(file, ([name, tensor]) => {
      if (!name.endsWith(OWN_ORDER_SUFFIX)) return [name, tensor];
      markOwnOrder(tensor);
      return [name.slice(0, -OWN_ORDER_SUFFIX.length), tensor];
    }),
  );
}

// The transform.

/** The name of the transform in a file's metadata. */
const TRANSFORM_KEY = "resnet-lab.transform";
/** The text in a file for a transform that is a function of the user. */
const CUSTOM = "custom";

/** The transform of the model that a tensor was taken from, or its text in the tensor's file. */
const transforms = new WeakMap<StoredTensor, Transform | string>();

/** Notes the transform of a model with the tensors that were taken from it. */
export function noteTransform(tensors: StateDict, model: AnyModule): void {
  const transform = transformOf(model);
  if (!transform) return;
  for (const tensor of tensors.values()) transforms.set(tensor, transform);
}

/** Notes the transform in a file's metadata with the tensors that were read from the file. */
export function noteFromFile(
  tensors: StateDict,
  metadata: Readonly<Record<string, string>>,
): void {
  const text = metadata[TRANSFORM_KEY];
  if (text === undefined) return;
  for (const tensor of tensors.values()) transforms.set(tensor, text);
}

/** The transform as metadata of a graph model; undefined if the model has none. */
export function graphNotes(model: AnyModule): { readonly transform: string } | undefined {
  const transform = transformOf(model);
  return transform && { transform: describeTransform(transform) ?? CUSTOM };
}

/**
 * The metadata of a file, extended by the transform of its tensors.
 *
 * @throws {RangeError} If the tensors come from models with different transforms.
 */
export function withTransformNote(
  action: string,
  tensors: StateDict,
  metadata: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  if (Object.hasOwn(metadata, TRANSFORM_KEY)) return metadata;
  const texts = new Set(
    [...tensors.values()].flatMap((tensor) => {
      const transform = transforms.get(tensor);
      if (transform === undefined) return [];
      return typeof transform === "string" ? [transform] : describeTransform(transform) ?? CUSTOM;
    }),
  );
  if (texts.size > 1) {
    throw new RangeError(
      `${action}: the tensors must be of models with one transform, found ${
        [...texts].join(" and ")
      }. Write each model to a file of its own.`,
    );
  }
  const [text] = texts;
  return text === undefined ? metadata : { ...metadata, [TRANSFORM_KEY]: text };
}

/**
 * Finds the transform for a model: the option, else the note of the tensors.
 *
 * @returns A function that binds the transform to the model, to call after all checks.
 * @throws {RangeError} If the file's text does not describe a transform.
 */
export function transformToBind(
  action: string,
  model: AnyModule,
  tensors: StateDict,
  option: Transform | undefined,
): () => void {
  const note = [...tensors.values()].map((tensor) => transforms.get(tensor))
    .find((transform) => transform !== undefined);
  const transform = option ?? note;
  if (transform === undefined) return () => {};
  if (transform === CUSTOM) {
    if (transformOf(model)) return () => {};
    throw new RangeError(
      `${action}: the transform in the file must be one that a file can hold, found a function of the user. ` +
        "Pass it as { transform }, or { transform: compose() } for none.",
    );
  }
  const bound = typeof transform === "string" ? transformFrom(action, transform) : transform;
  return () => bindTransform(model, bound);
}
