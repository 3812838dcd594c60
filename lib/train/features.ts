import {
  checkOptions,
  compile,
  type Features,
  type Images,
  isTensor,
  type LastAxisOf,
  Random,
  tidy,
  withPrecision,
} from "../tensor/mod.ts";
import { checkSynchronous, linkInterrupt, show } from "../tensor/internal.ts";
import { onForward, withForwardHook } from "../nn/hooks.ts";
import { type AnyModule, Module } from "../nn/mod.ts";
import { batches, ImageDataset, type Transform, transformOf } from "../data/mod.ts";
import { modelsWithTransform } from "../data/model_transform.ts";
import { checkDataset } from "../data/dataset.ts";
import { checkKinds, explained } from "./checks.ts";
import { yieldToEventLoop } from "./event_loop.ts";
import { type InferenceOptions, inferenceOptions } from "./metrics.ts";
import type { Taking } from "./suits.ts";

/**
 * Runs a part of a model over a whole set, once, and gives what it makes of the images as a set of
 * its own: a head trained on that with {@linkcode fit} does not run the frozen body again in every
 * epoch.
 *
 * Features `[batch, features]` become images of 1×1 pixel with as many channels, so a head begins
 * with {@linkcode flatten}; maps `[batch, height, width, channels]` stay as they are. Labels and
 * order are those of the set. It can be stopped between two batches.
 *
 * Where no transform is given and the images go into a model, or into the first layer of one, that
 * was trained with a transform, they are transformed as in its training.
 *
 * @param body What is done with each batch: a module, or a function such as
 * `(images) => body.forward(images)`, in inference as `forward` is.
 * @throws {RangeError} If a layer does not fit, or the features are not finite, or of another shape
 * from batch to batch.
 * @throws {TypeError} If `body` gives neither features nor images, there is no such option, or one
 * is of the wrong kind.
 * @throws The reason of `signal`, if it is aborted; an `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { extractFeatures, fashionMnist, fit, flatten, resnet, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const few = test.take(50);
 * const model = resnet({ block: "basic", stages: [1, 1], channels: 4, inChannels: 1, classes: 10 });
 *
 * const features = await extractFeatures((images) => model.forwardWithEmbedding(images).embedding, few);
 * assert.deepEqual(features.images([0]).shape, [1, 1, 1, 8]);
 *
 * // The last layer of the model itself learns, from features in place of images.
 * const optimizer = sgd(model.fc.parameters(), { learningRate: 0.1 });
 * await fit(sequential(flatten(), model.fc), features, { optimizer, epochs: 2, batchSize: 10 });
 * ```
 */
export async function extractFeatures<
  Channels extends number,
  Classes extends number,
  Made extends Features | Images,
  Out extends number = Channels,
>(
  body: (images: Images<NoInfer<Out>>) => Made,
  dataset: ImageDataset<Channels, Classes>,
  options?: InferenceOptions<NoInfer<Channels>, Out>,
): Promise<ImageDataset<LastAxisOf<Made>, Classes>>;
export async function extractFeatures<
  In,
  Made,
  Channels extends number,
  Classes extends number,
  Out extends number = Channels,
>(
  body: Taking<In, Made, NoInfer<Channels>, NoInfer<Out>>,
  dataset: ImageDataset<Channels, Classes>,
  options?: InferenceOptions<NoInfer<Channels>, Out>,
): Promise<ImageDataset<LastAxisOf<Made>, Classes>>;
export async function extractFeatures(
  body: Body,
  dataset: ImageDataset,
  options: InferenceOptions<number, number> = {},
): Promise<ImageDataset> {
  checkDataset("Extracting features", dataset);
  const doing = `Extracting features of "${dataset.name}"`;
  const forward = body instanceof Module ? (images: Images) => body.forward(images) : body;
  if (typeof forward !== "function") {
    throw new TypeError(
      `${doing}: expected a module or a function of images, found ${show(body)}.`,
    );
  }
  checkOptions<typeof options>(doing, options, "{ batchSize: 100 }", inferenceOptions);
  checkKinds(doing, options);
  const { batchSize = Math.min(256, dataset.count), precision = "fp32" } = options;
  const transform = options.transform ?? transformFor(forward, dataset);
  using stop = linkInterrupt(options.signal);
  using compiled = options.compile ? compile(forward) : undefined;
  let shape: readonly number[] = [];
  let values = new Float32Array();
  let seen = 0;
  for (using batch of batches(dataset, { batchSize, transform })) {
    await yieldToEventLoop();
    stop.signal?.throwIfAborted();
    const count = batch.labels.size;
    tidy(() => {
      const run = () =>
        withPrecision(precision, () => {
          const made = (compiled ?? forward)(batch.images);
          checkSynchronous(doing, made);
          return made;
        });
      const made = body instanceof Module
        ? explained(doing, body, batch.images, transform, run)
        : run();
      if (!isTensor(made) || made.dtype !== "float32" || made.rank !== 2 && made.rank !== 4) {
        throw new TypeError(
          `${doing}: expected float32 features [batch, features] or maps [batch, height, width, channels], found ${
            isTensor(made) ? `${made.dtype} [${made.shape}]` : "no tensor"
          }.`,
        );
      }
      if (seen === 0) {
        shape = made.shape.slice(1);
        values = new Float32Array(shape.reduce((size, axis) => size * axis, dataset.count));
      }
      if (String(made.shape) !== String([count, ...shape])) {
        throw new RangeError(
          `${doing}: expected features of each image, [${[
            count,
            ...shape,
          ]}], found [${made.shape}].`,
        );
      }
      values.set(made.dataSync(), seen * (made.size / count));
    });
    seen += count;
  }
  const [channels = 0, width = 1, height = 1] = shape.toReversed();
  const name = `features of ${dataset.name}`;
  const { labels, classes, classNames } = dataset;
  return new ImageDataset({
    name,
    pixels: values,
    labels,
    height,
    width,
    channels,
    classes,
    classNames,
  });
}

type Body = ((images: Images) => Features | Images) | Module<Images, Features | Images>;

/**
 * The transform of a model that a function feeds with images as they are, into the model or its
 * first layer.
 */
function transformFor(
  forward: (images: Images) => unknown,
  dataset: ImageDataset,
): Transform | undefined {
  let found: Transform | undefined;
  tidy(() => {
    const image = dataset.images([0]);
    const models = modelsWithTransform();
    if (models.length === 0) return;
    const run = models.reduce<() => unknown>((work, model) => {
      const transform = transformOf(model)!, first = firstModules(model, transform, image);
      return () =>
        withForwardHook(model, ({ module, input, forward }) => {
          if (input === image && first.has(module)) found = transform;
          return forward(input);
        }, work);
    }, () => forward(image));
    ignoringErrors(run);
  });
  return found;
}

/** A model and those of its parts that its images go into. */
function firstModules(model: AnyModule, transform: Transform, image: Images): Set<AnyModule> {
  const found = new Set([model]);
  ignoringErrors(() => {
    const images = transform(image, new Random(0));
    onForward(model, images as never, ({ module, input }) => {
      if (input === images) found.add(module);
    });
  });
  return found;
}

/**
 * An image that has not been transformed may not fit; where that is a fault, it shows in the run
 * itself.
 */
function ignoringErrors(work: () => void): void {
  try {
    work();
  } catch {
    // As said above.
  }
}
