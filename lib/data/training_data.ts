/** The description of a training set that stays with a model, to read and name new pictures. */
import { checkInteger, show } from "../tensor/internal.ts";
import type { AnyModule } from "../nn/mod.ts";
import { checkClassNames } from "./checks.ts";
import { ImageDataset, type ImageForm, shorterSideOf } from "./dataset.ts";
import type { Dataset } from "./examples.ts";
import { LazyImageDataset } from "./lazy_images.ts";
import { bindTransform } from "./model_transform.ts";
import type { InputTransform } from "./transforms.ts";

/** The classes of a data set, and the form of its images. */
export interface TrainingData {
  /** The names of the classes by class number. */
  readonly classNames: readonly string[];
  /** Height of the images in pixels, before the transform. */
  readonly height: number;
  /** Width of the images in pixels, before the transform. */
  readonly width: number;
  /** Number of channels, before the transform. */
  readonly channels: number;
  /** The option `shorterSide` with which the images were read, if it was given. */
  readonly shorterSide?: number;
}

const trainingData = new WeakMap<AnyModule, TrainingData>();

/** Gives a model what it knows of a data set, in place of what it knew. */
export function bindTrainingData(model: AnyModule, data: TrainingData): void {
  trainingData.set(model, data);
}

/** Returns what a model knows of the data set that it was trained on. */
export function trainingDataOf(model: AnyModule): TrainingData | undefined {
  return trainingData.get(model);
}

/** Returns the form of the images of a data set, undefined if it is not a set of images. */
export function imageFormOf(dataset: Dataset): ImageForm | undefined {
  return dataset instanceof ImageDataset || dataset instanceof LazyImageDataset
    ? dataset
    : undefined;
}

/**
 * Gives a model the transform and the description of the data that it is trained on. Data that is
 * not a set of images has no description.
 */
export function bindDataset(
  model: AnyModule,
  dataset: Dataset | undefined,
  transform: InputTransform | undefined,
): void {
  bindTransform(model, transform);
  const images = dataset && imageFormOf(dataset);
  if (!images) {
    trainingData.delete(model);
    return;
  }
  const { classNames, height, width, channels } = images, shorterSide = shorterSideOf(images);
  const form = { classNames, height, width, channels };
  bindTrainingData(model, shorterSide === undefined ? form : { ...form, shorterSide });
}

/**
 * Returns training data from JSON.
 *
 * @throws {RangeError} If the text is of something else.
 */
export function trainingDataFrom(action: string, text: string): TrainingData {
  try {
    const data: TrainingData = JSON.parse(text);
    checkClassNames(action, "classNames", data.classNames);
    const { classNames, height, width, channels, shorterSide } = data;
    for (const [name, value] of Object.entries({ height, width, channels })) {
      checkInteger(action, name, value);
    }
    const form = { classNames, height, width, channels };
    if (shorterSide === undefined) return form;
    checkInteger(action, "shorterSide", shorterSide);
    return { ...form, shorterSide };
  } catch (cause) {
    throw new RangeError(
      `${action}: the data in the file must be class names, height, width and channels, found ${
        show(text)
      }.`,
      { cause },
    );
  }
}
