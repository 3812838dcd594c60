import { type Features, type Labels, ops, type Tensor, withPrecision } from "../tensor/mod.ts";
import {
  checkArray,
  checkInteger,
  checkTensor,
  isTensor,
  linkInterrupt,
  precisionOf,
  show,
} from "../tensor/internal.ts";
import type { Dataset } from "../data/mod.ts";
import { checkDataset, trainingDataOf, transformOf } from "../data/internal.ts";
import { explainChannels } from "./checks.ts";
import type { ModelFor } from "./model_type_checks.ts";
import {
  asModel,
  checkRunOptions,
  compiledIf,
  compilesModel,
  forEachBatch,
  rows,
  type RunOptions,
} from "./run.ts";

/** A class that a model holds possible for an image. */
export interface Prediction {
  /** The class number. */
  readonly label: number;
  /** The name of the class; its number as text, if the model has no names. */
  readonly className: string;
  /** The probability of the class according to the model, from 0 to 1. */
  readonly probability: number;
}

/** The options of {@linkcode predict}. */
export interface PredictOptions<Inputs extends Tensor, Out extends Tensor = Inputs>
  extends RunOptions<Inputs, Out> {
  /**
   * The number of classes to return for each image, the most probable first.
   *
   * @default 1
   */
  top?: number;
  /**
   * The names of the classes by class number.
   *
   * @default the names of the data set that the model was trained on
   */
  classNames?: readonly string[];
}

/**
 * Predicts the classes of images: those of {@linkcode readImage}, of a tensor `[batch, height,
 * width, channels]` with pixels as in training (0 to 1), or of a data set. The inputs may also be
 * of another kind, such as features. Sequences must be in a data set, because their tensor could be
 * mistaken for an image.
 *
 * Without `transform`, the images are transformed as in training. The class names are those of the
 * data set that the model was trained on. Both are saved and loaded with its state dict. The
 * probabilities are the softmax of the logits. So a model of several labels, or of numbers, needs
 * another call: `ops.sigmoid(model.forward(inputs))`, or `model.forward(inputs)`.
 *
 * @returns For each image the `top` most probable classes.
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or the images are
 * neither a tensor nor a data set.
 * @throws {RangeError} If a layer does not fit, the model does not return logits, a logit is not
 * finite, `top` is larger than the number of classes, or there is not a name for each class.
 * @throws The reason of `signal`, if it is aborted; an `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { fashionMnist, fit, flatten, linear, predict, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { train, test } = await fashionMnist({ subset: true });
 * const model = sequential(flatten(), linear(784, 10));
 * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
 * await fit(model, train, { optimizer, epochs: 1, batchSize: 100, seed: 1 });
 *
 * const [first] = await predict(model, test.images([0]), { top: 3 });
 * assert.equal(first!.length, 3);
 * assert(first![0]!.probability >= first![1]!.probability);
 * assert.equal(first![0]!.className, test.classNames[first![0]!.label]);
 * ```
 */
export async function predict<In, Result, Inputs extends Tensor, Out extends Tensor = Inputs>(
  model: ModelFor<In, Result, NoInfer<Inputs>, Labels, NoInfer<Out>>,
  images: Inputs | Dataset<Inputs>,
  options: PredictOptions<NoInfer<Inputs>, Out> = {},
): Promise<Prediction[][]> {
  const action = "Predicting";
  const classifier = asModel(action, model);
  const given = options as object as PredictOptions<Tensor, Tensor>;
  checkRunOptions(action, given, "{ top: 3 }", { top: true, classNames: true });
  const { top = 1, transform = transformOf(classifier) } = given;
  const precision = precisionOf(given.precision);
  checkInteger(action, "top", top);
  const { classNames = trainingDataOf(classifier)?.classNames } = given;
  if (classNames !== undefined) checkArray(action, "classNames", classNames);
  const dataset = datasetOf(action, images);
  using stop = linkInterrupt(given.signal);
  using infer = compiledIf(
    compilesModel(given, classifier, dataset),
    (inputs: Tensor): Features => {
      const logits = withPrecision(precision, () => classifier.forward(inputs));
      checkClasses(action, logits, top, classNames);
      return ops.softmax(logits as Features);
    },
  );
  const predictions: Prediction[][] = [];
  const { batchSize } = given, { signal } = stop;
  await forEachBatch(dataset, { batchSize, transform, signal }, ({ inputs, size }, first) => {
    const run = () => infer(inputs);
    const probabilities = explainChannels(action, classifier, inputs, transform, run);
    const values = probabilities.dataSync(), classes = probabilities.shape[1];
    for (let i = 0; i < size; i++) {
      const row = values.subarray(i * classes, (i + 1) * classes);
      predictions.push(mostProbable(action, row, top, classNames, first + i));
    }
  });
  return predictions;
}

/** A data set of the inputs in a tensor, without targets; or the data set itself. */
function datasetOf(action: string, images: unknown): Dataset {
  if (!isTensor(images)) {
    if (typeof Object(images).batch !== "function") {
      throw new TypeError(
        `${action}: the images must be a tensor or a data set, found ${show(images)}. ` +
          "Read a file by readImage().",
      );
    }
    checkDataset(action, images, "the images");
    return images;
  }
  checkInputs(action, images);
  const [count] = images.shape;
  return {
    name: "a tensor",
    count: count!,
    batch: (indices) => ({
      inputs: rows(images, indices[0]!, indices.length),
      targets: ops.zeros([indices.length]),
    }),
  };
}

function checkInputs(action: string, inputs: Tensor): void {
  // Three axes are most likely one image without its batch. A data set can have sequences.
  const areImages = inputs.rank === 3 || inputs.rank === 4;
  const axes = ["batch", "height", "width", "channels"];
  checkTensor(action, inputs, {
    name: "the images",
    ...(areImages && { axes, dtype: "float32" }),
  });
}

function checkClasses(
  action: string,
  logits: unknown,
  top: number,
  classNames: readonly string[] | undefined,
): void {
  if (!isTensor(logits) || logits.rank !== 2) {
    throw new RangeError(
      `${action}: the model must return logits [batch, classes], found ${show(logits)}.`,
    );
  }
  const classes = logits.shape[1]!;
  checkInteger(action, "top", top, 1, classes);
  if (classNames !== undefined && classNames.length !== classes) {
    throw new RangeError(
      `${action}: there must be a name for each of the ${classes} classes of the model, found ${classNames.length} names.`,
    );
  }
}

function mostProbable(
  action: string,
  probabilities: ArrayLike<number>,
  top: number,
  classNames: readonly string[] | undefined,
  image: number,
): Prediction[] {
  const predictions = Array.from(probabilities, (probability, label) => ({
    label,
    className: classNames?.[label] ?? String(label),
    probability,
  })).sort((a, b) => b.probability - a.probability);
  if (!predictions.every(({ probability }) => probability >= 0)) {
    throw new RangeError(
      `${action}: the logits must be finite, found others for image ${image}.`,
    );
  }
  return predictions.slice(0, top);
}
