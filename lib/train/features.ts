import {
  compile,
  type Features,
  type Images,
  isTensor,
  type LastAxisOf,
  tidy,
  withPrecision,
} from "../tensor/mod.ts";
import { batches, ImageDataset } from "../data/mod.ts";
import { turnEventLoop } from "./event_loop.ts";
import type { EvaluateOptions } from "./metrics.ts";
import { orStop } from "../tensor/stop.ts";

/**
 * Runs a part of a model over a whole set, once, and gives what it makes of the images as a set of its own: a head trained on that
 * with {@linkcode fit} does not run the frozen body again in every epoch.
 *
 * Features `[batch, features]` become images of 1×1 pixel with as many channels, so a head begins with {@linkcode flatten}; maps
 * `[batch, height, width, channels]` stay as they are. Labels and order are those of the set. It can be stopped between two batches.
 *
 * @param forward What is done with each batch, such as `(images) => body.forward(images)`, in inference as `forward` is.
 * @throws {RangeError} If a layer does not fit, or the features are not finite, or of another shape from batch to batch.
 * @throws {TypeError} If `forward` gives neither features nor images.
 * @throws The reason of `signal`, if it is aborted; an `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { collect, extractFeatures, fashionMnist, fit, flatten, resnet, sequential, sgd } from "resnet-lab";
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
 * await collect(fit(sequential(flatten(), model.fc), features, { optimizer, epochs: 2, batchSize: 10 }));
 * ```
 */
export async function extractFeatures<
  Channels extends number,
  Classes extends number,
  Made extends Features | Images,
  Out extends number = Channels,
>(
  forward: (images: Images<NoInfer<Out>>) => Made,
  dataset: ImageDataset<Channels, Classes>,
  options?: EvaluateOptions<NoInfer<Channels>, Out>,
): Promise<ImageDataset<LastAxisOf<Made>, Classes>>;
export async function extractFeatures(
  forward: (images: Images) => Features | Images,
  dataset: ImageDataset,
  options: EvaluateOptions<number, number> = {},
): Promise<ImageDataset> {
  const { batchSize = Math.min(256, dataset.count), transform, precision = "fp32" } = options;
  const doing = `Extracting features of "${dataset.name}"`;
  using stop = orStop(options.signal);
  using compiled = options.compile ? compile(forward) : undefined;
  let shape: readonly number[] = [];
  let values = new Float32Array();
  let seen = 0;
  for (using batch of batches(dataset, { batchSize, transform })) {
    await turnEventLoop();
    stop.signal?.throwIfAborted();
    const count = batch.labels.size;
    tidy(() => {
      const made = withPrecision(precision, () => (compiled ?? forward)(batch.images));
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
  return new ImageDataset({ ...dataset, name, pixels: values, height, width, channels });
}
