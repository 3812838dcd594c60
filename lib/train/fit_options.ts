import type { ClassesOf, Features, IsLabels, Scalar, Tensor } from "../tensor/mod.ts";
import type { AnyModule } from "../nn/mod.ts";
import type { Dataset, InputTransform } from "../data/mod.ts";
import type { CheckpointOptions } from "./checkpoint_options.ts";
import type { Loss } from "./losses.ts";
import type { Optimizer } from "./rule_optimizer.ts";
import type { RunOptions } from "./run.ts";
import type { Schedule } from "./schedules.ts";

/**
 * The options of {@linkcode fit}.
 *
 * `Inputs` and `Targets` are those of the data set, such as `Images<3>` and `Labels<10>`. `Out` are
 * the inputs after `transform`.
 */
export interface FitOptions<
  Inputs extends Tensor,
  Targets extends Tensor,
  Out extends Tensor = Inputs,
  Model = AnyModule,
> extends RunOptions<Inputs, Out> {
  /** Changes the parameters it was made for. All other parameters of the model stay as they are. */
  optimizer: Optimizer;
  /** The number of times each example is seen. */
  epochs: number;
  /** The number of examples in a step. For a generator see {@linkcode GeneratorPace}. */
  batchSize: number;
  /**
   * The number of images that the model runs on at once (gradient accumulation). With 32, a step of
   * `batchSize` 128 computes the gradients of four parts one after the other, and needs the memory
   * of 32 images. The step uses the mean gradient, weighted by the images of each part, so that
   * learning rate, schedule, progress and result are those of the whole batch, up to rounding.
   * Only a batch norm sees a difference: it normalises each part by itself, and dropout draws
   * other numbers. The loss must be a mean over the images. `validation` runs in such parts too.
   *
   * @default batchSize
   *
   * @example
   * ```ts
   * import { fashionMnist, fit, flatten, linear, sequential, setSeed, sgd } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * const train = async (microBatchSize?: number) => {
   *   setSeed(1);
   *   const model = sequential(flatten(), linear(784, 10));
   *   const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
   *   const options = { optimizer, epochs: 1, batchSize: 100, microBatchSize };
   *   return (await fit(model, test, options)).epochs[0]!.trainLoss;
   * };
   * assert(Math.abs(await train(32) - await train()) < 1e-5);
   * ```
   */
  microBatchSize?: number;
  /**
   * Loss to minimise, and the loss of `validation`: a mean over the batch. With `objective` it is
   * the loss of `validation` only. Targets that are not class numbers need another loss than the
   * default: {@linkcode meanSquaredError}, {@linkcode binaryCrossEntropy}, or your own.
   *
   * @default crossEntropy
   */
  loss?: Loss<OutputsFor<Targets>, Targets>;
  /**
   * Computes the loss to minimise from the model and a batch, instead of
   * `loss(model.forward(images, { training: true }), labels)`: for losses of several outputs, of
   * embeddings, or of another model's logits. The model may then be any module. It first runs in
   * the first step, so that a layer that does not fit is reported there.
   *
   * @example
   * ```ts
   * import { adam, crossEntropy, fashionMnist, fit, googlenet, ops, resize } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * const size = { width: 1 / 16, imageSize: 65 } as const;
   * const model = googlenet({ variant: "d2l", auxiliary: true, ...size });
   * const { steps } = await fit(model, test.take(20), {
   *   optimizer: adam(model.parameters(), { learningRate: 1e-3 }),
   *   epochs: 1,
   *   batchSize: 10,
   *   transform: resize(65, 65),
   *   objective: (model, { images, labels }) => {
   *     const outputs = model.forwardWithAuxiliary(images, { training: true });
   *     const main = crossEntropy(outputs.logits, labels);
   *     const first = crossEntropy(outputs.auxiliary1, labels);
   *     const second = crossEntropy(outputs.auxiliary2, labels);
   *     const loss = ops.add(main, ops.mul(ops.add(first, second), 0.3));
   *     return { loss, logits: outputs.logits, metrics: { main } };
   *   },
   * });
   * assert(steps[0]!.metrics!.main! < steps[0]!.loss);
   * ```
   */
  objective?: Objective<Model, Out, Targets>;
  /**
   * Returns the logits of `validation` images, for a model whose `forward` returns something else.
   *
   * @default (model, images) => model.forward(images)
   */
  validationLogits?: (model: Model, inputs: Out) => Features<ClassesOf<Targets>>;
  /**
   * The learning rate of each step: a function of the step, from 0, and of the number of all steps.
   * `cosine({ learningRate: 0.1 })` ends with the training.
   *
   * @default the learning rate of the optimizer
   */
  schedule?: Schedule;
  /**
   * Applied to all inputs before the model sees them, also to those of `validation`: resizing,
   * normalizing. It stays with the model and is saved with it, so that {@linkcode evaluate} and
   * another `fit` apply it too.
   */
  transform?: InputTransform<Inputs, Out>;
  /** Applied to the training inputs before `transform`: random crops, flips. */
  augment?: InputTransform<Inputs, Inputs>;
  /**
   * The α of mixup. Each training batch is mixed, after `transform`, with a permutation of itself:
   * `λ · x + (1 − λ) · x′`, with the loss `λ · loss(logits, y) + (1 − λ) · loss(logits, y′)`, where
   * λ is drawn from Beta(α, α) once for a batch (Zhang et al. 2018, arXiv:1710.09412, who take 0.2
   * for ImageNet and 1 for CIFAR-10). The training accuracy compares with the label of the image
   * with the larger part. It cannot be combined with `objective`.
   *
   * @example
   * ```ts
   * import { fashionMnist, fit, flatten, linear, sequential, setSeed, sgd } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * setSeed(1);
   * const model = sequential(flatten(), linear(784, 10));
   * const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
   * const options = { optimizer, epochs: 1, batchSize: 100, mixup: 0.2, validation: test };
   * const { epochs } = await fit(model, test, options);
   * // Mixed images are harder than the images of the evaluation.
   * assert(epochs[0]!.trainAccuracy < epochs[0]!.validation!.accuracy);
   * ```
   */
  mixup?: number;
  /** A set on which the model is evaluated after each epoch. */
  validation?: Dataset<Inputs, Targets>;
  /**
   * Maximum global norm of the gradients (Pascanu et al. 2013, algorithm 1). If the norm is larger,
   * every gradient is multiplied by `maxGradientNorm / norm`, which keeps the direction.
   */
  maxGradientNorm?: number;
  /**
   * Leaves out the last batch of an epoch if it is smaller than the others.
   *
   * @default false
   */
  dropLast?: boolean;
  /**
   * Seeds the order of the images, the augmentation and mixup. Dropout and the initial weights
   * depend on {@linkcode setSeed} alone.
   *
   * @default drawn from the generator of setSeed
   */
  seed?: number;
  /** Ends the training after the current step. In a notebook the Stop button does so too. */
  signal?: AbortSignal;
  /**
   * The folder in which the training is saved, at the end of each epoch, every minute, and when it
   * is stopped. The same call with the same folder continues there: if the process ends at any
   * moment, killed too, and the program runs again, the final weights, the state of the optimizer
   * and the history (except its times) are to the last bit those of a training that was not
   * interrupted, on the same machine. An object sets another time between two saves.
   *
   * The earlier progress comes first, as `restored`, so that a chart shows the whole history, and
   * a loop around the training can do again what it did. See {@linkcode CheckpointOptions}.
   *
   * @example
   * ```ts
   * import { fashionMnist, fit, flatten, linear, sequential, setSeed, sgd } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const { test } = await fashionMnist({ subset: true });
   * const checkpoint = `${await Deno.makeTempDir()}/first`;
   * const training = (checkpoint?: string) => {
   *   setSeed(1);
   *   const model = sequential(flatten(), linear(784, 10));
   *   const optimizer = sgd(model.parameters(), { learningRate: 0.1 });
   *   return fit(model, test, { optimizer, epochs: 2, batchSize: 100, checkpoint });
   * };
   * for await (const progress of training(checkpoint)) {
   *   if (progress.kind === "step" && progress.step === 7) break;
   * }
   * const { steps } = await training(checkpoint); // It continues after step 7.
   * const uninterrupted = await training();
   * assert.deepEqual(steps.map(({ loss }) => loss), uninterrupted.steps.map(({ loss }) => loss));
   * ```
   */
  checkpoint?: string | CheckpointOptions;
}

/** The outputs that a loss compares with targets: logits of the classes, or of the same shape. */
export type OutputsFor<Targets extends Tensor> = IsLabels<Targets> extends true
  ? Features<ClassesOf<Targets>>
  : Targets;

/** How many batches of a generator make an epoch, in place of {@linkcode FitOptions.batchSize}. */
export interface GeneratorPace {
  /** The number of batches in an epoch. The generator must yield that many for each epoch. */
  stepsPerEpoch: number;
  /** Left out: the generator decides how many examples are in a batch. */
  batchSize?: "a generator decides how many examples are in a batch";
}

/** How many examples of a data set are in a step. */
export interface DatasetPace {
  /** The number of examples in a step. */
  batchSize: number;
  /** Left out: the count of the data set decides it. */
  stepsPerEpoch?: "the count of the data set decides how many steps are in an epoch";
}

/** {@linkcode FitOptions} for any model and any data. */
export type AnyFitOptions =
  & Omit<FitOptions<Tensor, Tensor, Tensor, never>, "objective" | "validationLogits" | "batchSize">
  & {
    /** Left out for a generator of batches. */
    readonly batchSize?: number;
    /** Given for a generator of batches. */
    readonly stepsPerEpoch?: number;
    readonly objective?: (
      model: never,
      batch: ObjectiveBatch<Tensor, Tensor>,
    ) => ObjectiveResult<number>;
    readonly validationLogits?: (model: never, inputs: Tensor) => Tensor;
  };

/**
 * Computes the loss to minimise from the model and a batch. It runs the model itself, as
 * `model.forward(images, { training: true })`, and must be synchronous. With the option `compile`
 * it must meet the requirements of {@linkcode compile}.
 */
export type Objective<Model, Inputs extends Tensor, Targets extends Tensor> = (
  model: Model,
  batch: ObjectiveBatch<Inputs, Targets>,
) => ObjectiveResult<ClassesOf<Targets>>;

/** The batch that an {@linkcode Objective} receives. */
export interface ObjectiveBatch<Inputs extends Tensor, Targets extends Tensor> {
  /** The inputs after augmentation and transform. */
  readonly inputs: Inputs;
  /** The targets. */
  readonly targets: Targets;
  /** The inputs, where they are images. */
  readonly images: Inputs;
  /** The targets, where they are class numbers. */
  readonly labels: Targets;
}

/** The result of an {@linkcode Objective}. */
export interface ObjectiveResult<Classes extends number> {
  /** The number to minimise. It must depend on each parameter of the optimizer. */
  readonly loss: Scalar;
  /** The logits from which the training accuracy is counted. */
  readonly logits?: Features<Classes>;
  /** Further numbers that appear as `metrics` in the progress of the training. */
  readonly metrics?: Readonly<Record<string, Scalar>>;
}
