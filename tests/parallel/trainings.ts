/** Trainings that the tests run in one process and in several. */
import {
  cifarResnet,
  type Classifier,
  dropout,
  fashionMnist,
  fit,
  flatten,
  type Images,
  type Labels,
} from "resnet-lab";
import { augmentation, compose, lenet, linear, ops, relu, sequential, setSeed } from "resnet-lab";
import { type FitOptions, type Progress, sgd, type Training } from "resnet-lab";

/** The result of a training. */
export interface Trained {
  /** The trained parameters. */
  readonly weights: readonly number[];
  /** A hash of all variables after each step. */
  readonly hashes: readonly string[];
  readonly losses: readonly number[];
  readonly validation: readonly number[];
  /** The images of each step after augmentation, as hashes of each. */
  readonly pictures: readonly (readonly string[])[];
}

type Model = Classifier<Images<1>, 10>;
type Options = Partial<FitOptions<Images<1>, Labels<10>>>;

/** The trainings by name: 20 steps or fewer, the last batch of an epoch smaller than the others. */
export const TRAININGS = {
  lenet: (options: Options) => start(lenet(), 94, { epochs: 5, ...options }),
  /**
   * Larger steps amplify rounding. Here initial weights that differ by one part in a million end
   * 3e-5 apart on one process; on 12×12 images at a learning rate of 0.01 3.5e-3.
   */
  resnet: (options: Options) => {
    const model = cifarResnet({ depth: 20, inChannels: 1 });
    const optimizer = sgd(model.parameters(), { learningRate: 0.001 });
    return start(model, 75, { optimizer, epochs: 4, batchSize: 16, ...options });
  },
  /** Random numbers of all kinds. */
  random: (options: Options) =>
    start(sequential(flatten(), linear(784, 16), relu(), dropout(0.5), linear(16, 10)), 94, {
      epochs: 2,
      mixup: 0.4,
      maxGradientNorm: 1,
      batchSize: 24,
      microBatchSize: 14,
      ...options,
    }),
} as const;

const augment = compose(augmentation.randomCrop({ padding: 2 }), augmentation.randomFlip());

async function start(model: Model, count: number, options: Options): Promise<[Model, Training]> {
  const { train, test } = await fashionMnist({ subset: true });
  const optimizer = sgd(model.parameters(), { learningRate: 0.01, momentum: 0.9 });
  const all = {
    optimizer,
    epochs: 1,
    batchSize: 25,
    seed: 1,
    validation: test.take(33),
    ...options,
  };
  return [model, fit(model, train.take(count), all)];
}

/** Runs one of {@linkcode TRAININGS}. */
export async function train(
  name: keyof typeof TRAININGS,
  options: Options = {},
  onStep: (progress: Progress) => void = () => {},
): Promise<Trained> {
  setSeed(1);
  const hashes: string[] = [], losses: number[] = [], validation: number[] = [];
  const pictures: string[][] = [];
  const [model, training] = await TRAININGS[name]({
    augment: name !== "random" ? undefined : (images, random) => {
      const augmented = augment(images, random) as Images<1>;
      pictures.push(ops.unstack(augmented).map((image) => hash(image.dataSync())));
      return augmented;
    },
    ...options,
  });
  // The check at the call runs one image.
  pictures.length = 0;
  for await (const progress of training) {
    onStep(progress);
    if (progress.kind === "epoch") {
      validation.push(progress.validation!.loss, progress.validation!.accuracy);
      continue;
    }
    losses.push(progress.loss);
    const variables = [...model.namedVariables().values()];
    hashes.push(hash(variables.flatMap((variable) => Array.from(variable.dataSync()))));
  }
  const weights = model.parameters().flatMap((parameter) => Array.from(parameter.dataSync()));
  return { weights, hashes, losses, validation, pictures };
}

/** FNV-1a of the bits of numbers. */
function hash(numbers: ArrayLike<number>): string {
  let result = 0x811c9dc5;
  for (const byte of new Uint8Array(Float32Array.from(numbers).buffer)) {
    result = Math.imul(result ^ byte, 0x01000193);
  }
  return (result >>> 0).toString(16);
}
