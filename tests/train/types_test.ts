/** Trainings that must not compile. The functions are checked, never called. */
import assert from "node:assert/strict";
import {
  adam,
  adamW,
  augmentation,
  binaryCrossEntropy,
  type Classifier,
  compose,
  conv2d,
  crossEntropy,
  type Dataset,
  dropout,
  evaluate,
  type Examples,
  extractFeatures,
  type Features,
  findLearningRate,
  fit,
  type FitOptions,
  flatten,
  globalAveragePool,
  googlenet,
  type History,
  type ImageDataset,
  imageFolder,
  type Images,
  type Labels,
  lenet,
  linear,
  type Loss,
  lossSurface,
  meanSquaredError,
  type Module,
  normalize,
  type Objective,
  ops,
  type Optimizer,
  predict,
  type Schedule,
  sequential,
  sgd,
  type Tensor1D,
  type Tensor3D,
  type Tensor4D,
  type Transform,
} from "resnet-lab";
import { collectHistory } from "../../lib/train/internal.ts";
import { errorsOfCompiler } from "../_helpers.ts";

declare const grey: ImageDataset<1, 10>;
declare const colour: ImageDataset<3, 10>;
declare const pets: ImageDataset<3, 2>;
declare const unknown: ImageDataset;
declare const toGrey: Transform<3, 1>;
declare const optimizer: Optimizer;
declare const rest: { optimizer: Optimizer; epochs: number; batchSize: number };
const three = normalize({ mean: [0.5, 0.5, 0.5], standardDeviation: [0.2, 0.2, 0.2] });

export function fits() {
  const greyModel = lenet(), colourModel = lenet({ inChannels: 3 });
  const petsModel = lenet({ inChannels: 3, classes: 2 });
  fit(greyModel, grey, rest);
  fit(sequential(flatten(), linear(784, 10)), grey, rest);
  fit(petsModel, pets, {
    ...rest,
    transform: compose(augmentation.randomFlip(), three),
    augment: augmentation.randomFlip(),
  });
  fit(greyModel, colour, { ...rest, transform: toGrey, validation: colour });
  fit(greyModel, unknown, rest);
  // @ts-expect-error: this model takes images with 1 channel, but the data set has 3
  fit(greyModel, colour, rest);
  // @ts-expect-error: this model takes images with 3 channels, but the data set has 1
  fit(colourModel, grey, rest);
  // @ts-expect-error: this model has 10 classes, but the data set has 2
  fit(colourModel, pets, rest);
  // @ts-expect-error: this model has 2 classes, but the data set has 10
  fit(petsModel, colour, rest);
  // @ts-expect-error: this model takes images with 3 channels, but the transform returns 1
  fit(colourModel, colour, { ...rest, transform: toGrey });
  // @ts-expect-error: the transform takes three channels, the set has one
  fit(greyModel, grey, { ...rest, transform: three });
  // @ts-expect-error: augmentation keeps the channels
  fit(colourModel, colour, { ...rest, augment: toGrey });
  // @ts-expect-error: validation images have the channels of the training images
  fit(greyModel, grey, { ...rest, validation: colour });
  // @ts-expect-error: the validation set has the classes of the training set
  fit(colourModel, colour, { ...rest, validation: pets });
  // @ts-expect-error: this model returns images
  fit(sequential(dropout(0.1)), grey, rest);
  // @ts-expect-error: an optimizer is needed
  fit(greyModel, grey, { epochs: 1, batchSize: 1 });
  // @ts-expect-error: an optimizer is made first: sgd(model.parameters(), …)
  fit(greyModel, grey, { ...rest, optimizer: sgd });
  // @ts-expect-error: there is no option of this name; it is maxGradientNorm
  fit(greyModel, grey, { ...rest, clipNorm: 1 });
  // @ts-expect-error: a schedule is a function of the step
  fit(greyModel, grey, { ...rest, schedule: 0.1 });
  // @ts-expect-error: a loss is a scalar
  fit(greyModel, grey, { ...rest, loss: (logits: Features<10>) => ops.sum(logits, [1]) });
}

/** With an objective, the model may be any module. */
export function objectives(embed: Module<Images<1>, Images<4>>) {
  const withHeads = googlenet({ variant: "d2l", auxiliary: true });
  fit(withHeads, grey, {
    ...rest,
    objective: (model, { images, labels }) => {
      const { logits, auxiliary1 } = model.forwardWithAuxiliary(images, { training: true });
      const first = crossEntropy(auxiliary1, labels);
      return { loss: ops.add(crossEntropy(logits, labels), first), logits, metrics: { first } };
    },
  });
  fit(embed, grey, {
    ...rest,
    objective: (model, { images }) => ({ loss: ops.mean(model.forward(images)) }),
    validation: grey,
    validationLogits: (model, images) => flatten().forward(model.forward(images)) as Features<10>,
  });
  const objective: Objective<typeof embed, Images<1>, Labels<10>> = (model, { images }) => ({
    loss: ops.mean(model.forward(images)),
  });
  fit(embed, grey, { ...rest, objective });
  findLearningRate(embed, grey, { optimizer, batchSize: 1, objective });
  // @ts-expect-error: without an objective it must return logits
  fit(embed, grey, rest);
  fit(embed, grey, {
    ...rest,
    // @ts-expect-error: the loss is one number
    objective: (model, { images }) => ({ loss: model.forward(images) }),
  });
  // @ts-expect-error: an object with the loss
  fit(embed, grey, { ...rest, objective: (model, { images }) => ops.mean(model.forward(images)) });
  // @ts-expect-error: an objective is synchronous
  fit(embed, grey, { ...rest, objective: () => Promise.resolve({ loss: ops.scalar(1) }) });
  fit(embed, grey, {
    ...rest,
    // @ts-expect-error: metrics are numbers in tensors
    objective: (_, { images }) => ({ loss: ops.mean(images), metrics: { images } }),
  });
  fit(embed, grey, {
    ...rest,
    objective,
    // @ts-expect-error: the logits of ten classes
    validationLogits: (model, images) => model.forward(images),
  });
}

/** Numbers of channels and classes that are not known here. */
export function generics<Channels extends number, Classes extends number>(
  model: Classifier<Images<Channels>, Classes>,
  set: ImageDataset<Channels, Classes>,
  options: FitOptions<Images<Channels>, Labels<Classes>>,
  general: Module<Images, Features>,
) {
  fit(model, set, options);
  fit(model, set, { ...rest, validation: set });
  fit(general, unknown, rest);
  fit(general, grey, rest);
  evaluate(model, set);
  lossSurface(model, set);
  findLearningRate(model, set, { optimizer, batchSize: 1 });
}

/** A model of which only the kind is known. */
export async function kinds<M extends Module<Images<1>, Features<10>>>(model: M) {
  fit(model, grey, rest);
  await evaluate(model, grey, { compile: true });
  lossSurface(model, grey);
  // @ts-expect-error: this model takes images with 1 channel, but the data set has 3
  fit(model, colour, rest);
  const features: ImageDataset<10, 10> = await extractFeatures(model, grey);
  return features;
}

export async function awaits() {
  const training = fit(lenet(), grey, {
    ...rest,
    transform: (images) => ops.mul(images, 2),
    augment: (images, random) => ops.add(images, random.normal(images.shape)),
    loss: (logits, labels) => crossEntropy(logits, labels, { labelSmoothing: 0.1 }),
  });
  const history: History = await training;
  for await (const progress of training) {
    // @ts-expect-error: a step has a loss, an epoch has a trainLoss
    progress.loss;
  }
  // @ts-expect-error: a history is no training
  collectHistory(await training);
  return history;
}

const WRONG = `
import {
  cifarResnet, conv2d, dropout, evaluate, extractFeatures, findLearningRate, fit, type ImageDataset, lenet, linear, lossSurface,
  normalize, type Optimizer, resnet50, sequential, type Transform,
} from "resnet-lab";
declare const grey: ImageDataset<1, 10>, colour: ImageDataset<3, 10>, pets: ImageDataset<3, 2>;
declare const toGrey: Transform<3, 1>, optimizer: Optimizer;
const rest = { optimizer, epochs: 1, batchSize: 1 };
fit(cifarResnet({ depth: 20 }), grey, rest);
fit(resnet50(), colour, rest);
fit(cifarResnet({ depth: 56 }), colour, { ...rest, transform: toGrey });
fit(lenet(), grey, { ...rest, validation: colour });
fit(cifarResnet({ depth: 20 }), colour, { ...rest, validation: pets });
fit(sequential(dropout(0.1)), grey, rest);
fit(sequential(linear(784, 10)), grey, rest);
fit(lenet(), grey, { ...rest, transform: normalize({ mean: [0, 0, 0], standardDeviation: [1, 1, 1] }) });
evaluate(lenet(), colour);
evaluate(lenet({ classes: 7 }), grey);
findLearningRate(lenet({ inChannels: 2 }), grey, { optimizer, batchSize: 1 });
lossSurface(lenet({ inChannels: 4 }), grey);
extractFeatures(conv2d(5, 6, { kernelSize: 3 }), grey);
`;

Deno.test("fit() and its siblings refuse a wrong model in words when they are compiled", async () => {
  const said = await errorsOfCompiler(WRONG);
  const messages = [
    "this model takes images with 3 channels, but the data set has 1",
    "this model has 1000 classes, but the data set has 10",
    "this model takes images with 3 channels, but the transform returns 1",
    "the validation set has images with 3 channels, but the training set has 1",
    "the validation set has 2 classes, but the training set has 10",
    "this model returns another kind of tensor, not logits [batch, classes]",
    "this model takes 784 features, but the data set has images",
    "this model takes images with 1 channel, but the transform returns 3",
    "this model takes images with 1 channel, but the data set has 3",
    "this model has 7 classes, but the data set has 10",
    "this model takes images with 2 channels, but the data set has 1",
    "this model takes images with 4 channels, but the data set has 1",
    "this model takes images with 5 channels, but the data set has 1",
  ];
  for (const message of messages) {
    const line = said.split("\n").find((text) => text.includes(`'"${message}"'`));
    assert(line?.includes("is not assignable to"), `${message}\n${said}`);
  }
  assert(said.includes(`Found ${messages.length} errors`), said);
  // The compiler says nothing else, except about extractFeatures, which also takes functions.
  const [plain] = said.split("No overload matches");
  assert(!/size: |would have succeeded/.test(plain!), said);
});

/** Data sets of other inputs and targets. */
export async function targets(
  prices: Dataset<Features<4>, Features<1>>,
  tags: Dataset<Images<3>, Features<7>>,
  single: Dataset<Features<4>, Tensor1D>,
  irises: Dataset<Features<4>, Labels<3>>,
  songs: Dataset<Tensor3D, Features<1>>,
  stream: AsyncIterable<Examples<Features<4>, Features<1>>>,
  listens: Module<Tensor3D, Features<1>>,
) {
  const toOne = linear(4, 1), toThree = linear(4, 3), loss = meanSquaredError;
  fit(toOne, prices, { ...rest, loss });
  fit(toOne, prices, { ...rest, loss, validation: prices });
  fit(toOne, prices, { ...rest, loss: (outputs, targets) => meanSquaredError(outputs, targets) });
  fit(toThree, prices, {
    ...rest,
    loss: (quantiles: Features<3>, targets: Features<1>) =>
      ops.mean(ops.abs(ops.sub(quantiles, targets))),
  });
  fit(lenet({ inChannels: 3, classes: 7 }), tags, { ...rest, loss: binaryCrossEntropy });
  fit(toThree, irises, rest);
  fit(toThree, irises, { ...rest, validation: irises });
  fit(listens, songs, { ...rest, loss });
  fit(toOne, stream, { optimizer, epochs: 1, stepsPerEpoch: 10, loss });
  fit(toOne, prices, {
    ...rest,
    objective: (model, { inputs, targets }) => ({ loss: loss(model.forward(inputs), targets) }),
  });
  const { loss: error, metrics } = await evaluate(toOne, prices, {
    loss,
    metrics: { largest: (outputs, targets) => ops.max(ops.sub(outputs, targets)).dataSync()[0]! },
  });
  const { accuracy } = await evaluate(toThree, irises);
  // @ts-expect-error: targets that are not class numbers have no accuracy
  (await evaluate(toOne, prices, { loss })).accuracy;
  findLearningRate(toOne, prices, { optimizer, batchSize: 1, loss });
  await predict(toThree, irises);
  await predict(toThree, ops.zeros([2, 4]) as Features<4>);
  const lazy = await imageFolder("pictures", {
    size: [8, 8],
    classes: ["cat", "dog"],
    lazy: true,
  });
  fit(lenet({ inChannels: 3, classes: 2 }), lazy.dataset, rest);
  const features: ImageDataset<8, 2> = await extractFeatures(
    (images) => conv2d(3, 8, { kernelSize: 3 }).forward(images),
    lazy.dataset,
  );
  // @ts-expect-error: this model has 10 classes, but the data set has 2
  fit(lenet({ inChannels: 3 }), lazy.dataset, rest);
  // @ts-expect-error: the images stay in their files
  lazy.dataset.pixels;
  // @ts-expect-error: a generator needs stepsPerEpoch
  fit(toOne, stream, { optimizer, epochs: 1, loss });
  // @ts-expect-error: a generator decides how many examples are in a batch
  fit(toOne, stream, { ...rest, stepsPerEpoch: 1, loss });
  // @ts-expect-error: the count of the data set decides how many steps are in an epoch
  fit(toOne, prices, { ...rest, stepsPerEpoch: 1, loss });
  // @ts-expect-error: predictions of single numbers are [batch], not [batch, 1]
  fit(toOne, single, { ...rest, loss });
  return [error, metrics.largest, accuracy, features];
}

const WRONG_TARGETS = `
import {
  binaryCrossEntropy, crossEntropy, type Dataset, evaluate, type Features, findLearningRate, fit, type ImageDataset, type Images,
  type Labels, lenet, linear, meanSquaredError, type Optimizer, type Tensor1D,
} from "resnet-lab";
declare const prices: Dataset<Features<4>, Features<1>>, single: Dataset<Features<4>, Tensor1D>;
declare const irises: Dataset<Features<4>, Labels<3>>, grey: ImageDataset<1, 10>, optimizer: Optimizer;
const rest = { optimizer, epochs: 1, batchSize: 1 };
fit(linear(4, 1), prices, rest);
evaluate(linear(4, 1), prices);
findLearningRate(linear(4, 1), prices, { optimizer, batchSize: 1 });
fit(linear(4, 1), prices, { ...rest, loss: crossEntropy });
fit(linear(4, 1), single, { ...rest, loss: crossEntropy });
evaluate(linear(4, 1), prices, { loss: crossEntropy });
fit(linear(4, 3), prices, { ...rest, loss: meanSquaredError });
fit(lenet(), grey, { ...rest, loss: binaryCrossEntropy });
fit(linear(5, 1), prices, { ...rest, loss: meanSquaredError });
fit(linear(4, 2), irises, rest);
fit(lenet(), prices, { ...rest, loss: meanSquaredError });
fit(linear(4, 1), prices, { ...rest, loss: meanSquaredError, validation: single });
fit(linear(4, 3), irises, { ...rest, validation: prices });
`;

Deno.test("fit() and evaluate() refuse a loss that does not fit the targets in words when they are compiled", async () => {
  const said = await errorsOfCompiler(WRONG_TARGETS);
  const missing =
    "the targets of the data set are not class numbers, so the option loss is needed, such as meanSquaredError";
  const messages = [
    missing,
    missing,
    missing,
    "this loss takes class numbers, but the targets of the data set are 1 feature",
    "this loss takes class numbers, but the targets of the data set are single numbers",
    "this loss takes class numbers, but the targets of the data set are 1 feature",
    "this loss does not compare 3 features of the model with 1 feature of the data set",
    "this loss does not compare 10 features of the model with class numbers of the data set",
    "this model takes 5 features, but the data set has 4 features",
    "this model has 2 classes, but the data set has 3",
    "this model takes images with 1 channel, but the data set has 4 features",
    "the targets of the validation set are single numbers, but those of the training set are 1 feature",
    "the targets of the validation set are 1 feature, but those of the training set are class numbers",
  ];
  for (const message of messages) {
    const wanted = messages.filter((other) => other === message).length;
    const found = said.split("\n").filter((line) =>
      line.includes(`'"${message}"'`) && line.includes("is not assignable to")
    );
    assert(found.length >= wanted, `${message}\n${said}`);
  }
  assert(said.includes(`Found ${messages.length} errors`), said);
});

export async function evaluates() {
  const { confusion, predictions } = await evaluate(lenet(), grey);
  // @ts-expect-error: the matrix has numbers, not names
  const name: string | undefined = confusion[0]?.[0];
  // @ts-expect-error: predictions are numbers of classes, in a typed array
  const list: number[] = predictions;
  evaluate(lenet(), colour, { transform: toGrey });
  // @ts-expect-error: the model takes one channel, the images have three
  evaluate(lenet(), colour);
  // @ts-expect-error: the model tells ten classes apart, the set has two
  evaluate(lenet({ inChannels: 3 }), pets);
  // @ts-expect-error: the transform takes three channels, the set has one
  evaluate(lenet(), grey, { transform: three });
  // @ts-expect-error: random crops are for training; evaluation has no augment
  evaluate(lenet(), grey, { augment: augmentation.randomCrop({ padding: 2 }) });
  return [name, list];
}

export function finds() {
  findLearningRate(lenet(), grey, { optimizer, batchSize: 1, precision: "bf16", mixup: 1 });
  // @ts-expect-error: the optimizer itself, as fit takes it
  findLearningRate(lenet(), grey, { optimizer: () => optimizer, batchSize: 1 });
  // @ts-expect-error: the sweep sets the learning rates itself
  findLearningRate(lenet(), grey, { optimizer, batchSize: 1, schedule: () => 1 });
  // @ts-expect-error: the model takes one channel, the images have three
  findLearningRate(lenet(), colour, { optimizer, batchSize: 1 });
}

export function optimizes(model: Module<Images<1>, Features<10>>) {
  // @ts-expect-error: parameters of a model, not the model
  sgd(model, { learningRate: 0.1 });
  // @ts-expect-error: there is no learning rate that fits all
  adam(model.parameters(), {});
  // @ts-expect-error: Adam has betas, not a momentum
  adam(model.parameters(), { learningRate: 0.1, momentum: 0.9 });
  // @ts-expect-error: two betas
  adam(model.parameters(), { learningRate: 0.1, betas: [0.9] });
  // @ts-expect-error: parameters are fixed when the optimizer is made
  sgd(model.parameters(), { learningRate: 0.1 }).parameters = [];
}

export async function extracts(body: Module<Images<1>, Features<8>>) {
  const features = await extractFeatures((images) => body.forward(images), grey);
  const set: ImageDataset<8, 10> = features;
  const maps: ImageDataset<6, 10> = await extractFeatures(
    (images) => conv2d(1, 6, { kernelSize: 3 }).forward(images),
    colour,
    { transform: toGrey },
  );
  fit(sequential(globalAveragePool(), linear(8, 10)), set, rest);
  fit(sequential(flatten(), linear(8, 10)), set, rest);
  // @ts-expect-error: the head takes 9 features, the body gives 8
  fit(sequential(globalAveragePool(), linear(9, 10)), set, rest);
  // @ts-expect-error: the body takes one channel, the images have three
  extractFeatures((images) => body.forward(images), colour);
  // @ts-expect-error: one number is no features
  extractFeatures((images) => ops.mean(images), grey);
  // @ts-expect-error: random crops are for training; features are extracted once
  extractFeatures((images) => body.forward(images), grey, {
    augment: augmentation.randomCrop({ padding: 2 }),
  });
  return maps;
}

export function freezes(model: Module<Images<1>, Features<10>>) {
  model.freeze("0", "1.conv1");
  // @ts-expect-error: paths, not modules: model.layer1.freeze() freezes one
  model.freeze(linear(1, 1));
  // @ts-expect-error: what is frozen is changed by freeze and unfreeze, for all below
  model.isFrozen = true;
  const groups = [{ parameters: model.parameters(), learningRateFactor: 0.1 }];
  adamW(groups, { learningRate: 0.1 });
  // @ts-expect-error: a factor of the one learning rate, so that schedules set it
  sgd([{ parameters: model.parameters(), learningRate: 0.1 }], { learningRate: 0.1 });
  // @ts-expect-error: a group has parameters of a model, not the model
  sgd([{ parameters: model }], { learningRate: 0.1 });
}

export function losses(logits: Features<10>, labels: Labels, images: Tensor4D) {
  const loss: Loss<Features<10>> = crossEntropy;
  // @ts-expect-error: logits are [batch, classes], not images
  crossEntropy(images, labels);
  // @ts-expect-error: labels are class numbers, not rows of zeros and ones
  crossEntropy(logits, logits);
  // @ts-expect-error: the option is labelSmoothing
  crossEntropy(logits, labels, { smoothing: 0.1 });
  // @ts-expect-error: predictions and targets of different ranks
  meanSquaredError(logits, labels);
  // @ts-expect-error: a schedule gives a number
  const schedule: Schedule = () => ops.scalar(0.1);
  return [loss, schedule];
}
