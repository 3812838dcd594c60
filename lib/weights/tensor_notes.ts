/**
 * Notes about stored tensors: that the features of a tensor are in this library's order, and the
 * transform and the training data of the model that it comes from. Files carry all three.
 *
 * A note belongs to the tensor, not to the map that holds it, so that it survives when the map is
 * copied or filtered.
 */
import { bindTransform, transformOf } from "../data/model_transform.ts";
import { bindTrainingData, trainingDataFrom, trainingDataOf } from "../data/training_data.ts";
import { describeTransform, type InputTransform, transformFrom } from "../data/transforms.ts";
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

// The transform and the training data.

/** The names of the notes in a file's metadata. */
const TRANSFORM_KEY = "resnet-lab.transform";
const DATA_KEY = "resnet-lab.data";
/** The text in a file for a transform that is a function of the user. */
const CUSTOM = "custom";

/** The transform of the model that a tensor was taken from, or its text in the tensor's file. */
const transforms = new WeakMap<StoredTensor, InputTransform | string>();

/** The training data of the model that a tensor was taken from, as JSON. */
const trainingData = new WeakMap<StoredTensor, string>();

/** Notes what a model knows of its images with the tensors that were taken from it. */
export function noteModel(tensors: StateDict, model: AnyModule): void {
  const transform = transformOf(model), data = trainingDataOf(model);
  for (const tensor of tensors.values()) {
    if (transform) transforms.set(tensor, transform);
    if (data) trainingData.set(tensor, JSON.stringify(data));
  }
}

/** Notes what a file's metadata say of a model with the tensors that were read from the file. */
export function noteFromFile(
  tensors: StateDict,
  metadata: Readonly<Record<string, string>>,
): void {
  const transform = metadata[TRANSFORM_KEY], data = metadata[DATA_KEY];
  for (const tensor of tensors.values()) {
    if (transform !== undefined) transforms.set(tensor, transform);
    if (data !== undefined) trainingData.set(tensor, data);
  }
}

/** The transform as metadata of a graph model; undefined if the model has none. */
export function graphNotes(model: AnyModule): { readonly transform: string } | undefined {
  const transform = transformOf(model);
  return transform && { transform: describeTransform(transform) ?? CUSTOM };
}

/**
 * The metadata of a file, extended by the notes of its tensors.
 *
 * @throws {RangeError} If the tensors come from models with different notes.
 */
export function withNotes(
  action: string,
  tensors: StateDict,
  metadata: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const notes = {
    [TRANSFORM_KEY]: oneNote(action, "transform", tensors, (tensor) => {
      const transform = transforms.get(tensor);
      return typeof transform === "function" ? describeTransform(transform) ?? CUSTOM : transform;
    }),
    [DATA_KEY]: oneNote(action, "data set", tensors, (tensor) => trainingData.get(tensor)),
  };
  const entries = Object.entries(notes).filter((entry): entry is [string, string] =>
    entry[1] !== undefined
  );
  return { ...Object.fromEntries(entries), ...metadata };
}

/** Returns the note that all tensors with a note share. */
function oneNote(
  action: string,
  subject: string,
  tensors: StateDict,
  noteOf: (tensor: StoredTensor) => string | undefined,
): string | undefined {
  const texts = new Set([...tensors.values()].map(noteOf).filter((text) => text !== undefined));
  if (texts.size > 1) {
    throw new RangeError(
      `${action}: the tensors must be of models with one ${subject}, found ${
        [...texts].join(" and ")
      }. Write each model to a file of its own.`,
    );
  }
  return [...texts][0];
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
  option: InputTransform | undefined,
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

/**
 * Finds the training data for a model in the notes of the tensors.
 *
 * @returns A function that binds the data to the model, to call after all checks.
 * @throws {RangeError} If the file's text does not describe training data.
 */
export function trainingDataToBind(
  action: string,
  model: AnyModule,
  tensors: StateDict,
): () => void {
  const text = [...tensors.values()].map((tensor) => trainingData.get(tensor))
    .find((text) => text !== undefined);
  if (text === undefined) return () => {};
  const data = trainingDataFrom(action, text);
  return () => bindTrainingData(model, data);
}
