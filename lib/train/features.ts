import {
  dispose,
  type Features,
  type Images,
  type Labels,
  type LastAxisOf,
  Random,
  type Tensor,
  tidy,
  withPrecision,
} from "../tensor/mod.ts";
import {
  checkSynchronous,
  isTensor,
  linkInterrupt,
  precisionOf,
  show,
} from "../tensor/internal.ts";
import { withForwardHook } from "../nn/hooks.ts";
import { type AnyModule, Module, onForward } from "../nn/mod.ts";
import { type Dataset, ImageDataset, type InputTransform } from "../data/mod.ts";
import {
  areLabels,
  checkDataset,
  checkExamples,
  modelsWithTransform,
  transformOf,
} from "../data/internal.ts";
import { explainChannels } from "./checks.ts";
import { firstOf, inputAtHand } from "./fit_checks.ts";
import type { ModuleFor } from "./model_type_checks.ts";
import {
  asModel,
  checkRunOptions,
  compiledIf,
  compilesModel,
  forEachBatch,
  type RunOptions,
} from "./run.ts";

/**
 * Runs the body of a model once over a data set, and returns its outputs as a data set. Training a
 * head on it with {@linkcode fit} does not run the frozen body again in every epoch.
 *
 * Features `[batch, features]` become 1×1 images with one channel for each feature, so a head
 * begins with {@linkcode flatten}. Feature maps `[batch, height, width, channels]` stay feature
 * maps. The labels and the order of the images do not change.
 *
 * Without `transform`, the images get the transform that a model was trained with, if `body` passes
 * them unchanged to that model or to its first layer.
 *
 * @param body A module, or a function such as `(images) => body.forward(images)`. It runs in
 * inference mode.
 * @throws {RangeError} If a layer does not fit its input, a feature is not finite, or the shape of
 * the features changes from batch to batch.
 * @throws {TypeError} If `body` returns neither features nor images, or an option does not exist or
 * is of the wrong kind.
 * @throws The reason of `signal`, if it is aborted; an `AbortError` at Stop in a notebook.
 *
 * @example
 * ```ts
 * import { extractFeatures, fashionMnist, fit, flatten } from "resnet-lab";
 * import { type Images, resnet, sequential, sgd } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { test } = await fashionMnist({ subset: true });
 * const few = test.take(50);
 * const size = { channels: 4, inChannels: 1, classes: 10 } as const;
 * const model = resnet({ block: "basic", stages: [1, 1], ...size });
 *
 * const body = (images: Images<1>) => model.forwardWithEmbedding(images).embedding;
 * const features = await extractFeatures(body, few);
 * assert.deepEqual(features.images([0]).shape, [1, 1, 1, 8]);
 *
 * // Trains the last layer of the model on features instead of images.
 * const optimizer = sgd(model.fc.parameters(), { learningRate: 0.1 });
 * await fit(sequential(flatten(), model.fc), features, { optimizer, epochs: 2, batchSize: 10 });
 * ```
 */
export function extractFeatures<
  Inputs extends Tensor,
  Classes extends number,
  Output extends Features | Images,
  Out extends Tensor = Inputs,
>(
  body: (images: NoInfer<Out>) => Output,
  dataset: Dataset<Inputs, Labels<Classes>>,
  options?: RunOptions<NoInfer<Inputs>, Out>,
): Promise<ImageDataset<LastAxisOf<Output>, Classes>>;
/** {@linkcode extractFeatures} for a module instead of a function. */
export function extractFeatures<
  In,
  Output extends Features | Images,
  Inputs extends Tensor,
  Classes extends number,
  Out extends Tensor = Inputs,
>(
  body: ModuleFor<In, Output, NoInfer<Inputs>, NoInfer<Out>>,
  dataset: Dataset<Inputs, Labels<Classes>>,
  options?: RunOptions<NoInfer<Inputs>, Out>,
): Promise<ImageDataset<LastAxisOf<Output>, Classes>>;
export async function extractFeatures(
  body: unknown,
  dataset: Dataset,
  given: RunOptions<never, Tensor> = {},
): Promise<ImageDataset> {
  checkDataset("Extracting features", dataset);
  const action = `Extracting features of "${dataset.name}"`;
  const options = given as RunOptions;
  if (!isBody(body)) {
    throw new TypeError(
      `${action}: the body must be a module or a function of images, found ${show(body)}.`,
    );
  }
  checkRunOptions(action, options, "{ batchSize: 100 }", {});
  const { classNames } = dataset;
  if (!classNames) {
    throw new TypeError(
      `${action}: the data set must have classNames, because its features become a data set of classes, found none.`,
    );
  }
  const forward = body instanceof Module ? (inputs: Tensor) => body.forward(inputs) : body;
  const { batchSize } = options, precision = precisionOf(options.precision);
  const transform = options.transform ?? await transformFor(action, forward, dataset);
  using stop = linkInterrupt(options.signal);
  const isCompiled = options.compile ??
    (body instanceof Module && compilesModel(options, asModel(action, body), dataset));
  using run = compiledIf(isCompiled, (inputs: Tensor): Features | Images => {
    const output = withPrecision(precision, () => {
      const output = forward(inputs);
      checkSynchronous(action, output);
      return output;
    });
    checkFeatures(action, output);
    return output;
  });
  let shape: readonly number[] = [];
  let values = new Float32Array();
  const labels = new Int32Array(dataset.count);
  const { signal } = stop;
  await forEachBatch(dataset, { batchSize, transform, signal }, (batch, first) => {
    const { inputs, targets, size } = batch;
    if (!areLabels(targets)) {
      throw new TypeError(
        `${action}: the targets must be class numbers, int32 [batch], found ${targets.dtype} [${targets.shape}].`,
      );
    }
    labels.set(targets.dataSync(), first);
    const output: Tensor = body instanceof Module
      ? explainChannels(action, body, inputs, transform, () => run(inputs))
      : run(inputs);
    if (first === 0) {
      shape = output.shape.slice(1);
      values = new Float32Array(shape.reduce((size, axis) => size * axis, dataset.count));
    }
    const expected = [size, ...shape];
    if (String(output.shape) !== String(expected)) {
      throw new RangeError(
        `${action}: the features of the images must be [${expected}], found [${output.shape}].`,
      );
    }
    values.set(output.dataSync(), first * (output.size / size));
  });
  const [channels = 0, width = 1, height = 1] = shape.toReversed();
  const name = `features of ${dataset.name}`;
  return new ImageDataset({
    name,
    pixels: values,
    labels,
    height,
    width,
    channels,
    classes: classNames.length,
    classNames,
  });
}

type Body = ((inputs: Tensor) => Features | Images) | Module<Tensor, Features | Images>;

function isBody(body: unknown): body is Body {
  return typeof body === "function" || body instanceof Module;
}

function checkFeatures(action: string, output: unknown): void {
  const isOfRank = (rank: number) => isTensor(output) && output.rank === rank;
  if (isTensor(output) && output.dtype === "float32" && (isOfRank(2) || isOfRank(4))) return;
  throw new TypeError(
    `${action}: the body must return float32 features [batch, features] or feature maps [batch, height, width, channels], found ${
      show(output)
    }.`,
  );
}

/**
 * Returns the transform of the trained model to which `forward` passes its images unchanged,
 * directly or through the model's first layer. A trial run on one image finds that model.
 */
async function transformFor(
  action: string,
  forward: (inputs: Tensor) => unknown,
  dataset: Dataset,
): Promise<InputTransform | undefined> {
  const models = modelsWithTransform();
  if (models.length === 0) return undefined;
  const atHand = inputAtHand(dataset);
  const examples = atHand
    ? undefined
    : checkExamples(action, await dataset.batch(Int32Array.of(0)), 1);
  let result: InputTransform | undefined;
  tidy(() => {
    const input = atHand ?? firstOf(examples!).input;
    const run = models.reduce<() => unknown>((work, model) => {
      const transform = transformOf(model)!, first = firstModules(model, transform, input);
      return () =>
        withForwardHook(model, ({ module, input: own, forward }) => {
          if (own === input && first.has(module)) result = transform;
          return forward(own);
        }, work);
    }, () => forward(input));
    dryRun(run);
  });
  dispose(atHand ?? [examples!.inputs, examples!.targets]);
  return result;
}

/** Returns a model and those of its modules that receive the model's inputs unchanged. */
function firstModules(model: AnyModule, transform: InputTransform, input: Tensor): Set<AnyModule> {
  const modules = new Set([model]);
  dryRun(() => {
    const inputs = transform(input, new Random(0));
    onForward(model, inputs as never, ({ module, input }) => {
      if (input === inputs) modules.add(module);
    });
  });
  return modules;
}

/**
 * Makes a dry run and ignores its error: the input may not fit, because it is not transformed yet.
 * If the caller made a mistake, the real run reports it.
 */
function dryRun(run: () => void): void {
  try {
    run();
  } catch {
    // The real run reports it.
  }
}
