/** Trainings that must not compile. The functions are checked, never called. */
import {
  adam,
  adamW,
  compose,
  conv2d,
  crossEntropy,
  dropout,
  evaluate,
  extractFeatures,
  type Features,
  findLearningRate,
  fit,
  flatten,
  globalAveragePool,
  type ImageDataset,
  type Images,
  type Labels,
  lenet,
  linear,
  type Loss,
  meanSquaredError,
  type Module,
  normalize,
  ops,
  type Optimizer,
  randomCrop,
  randomFlip,
  type Schedule,
  sequential,
  sgd,
  type Tensor4D,
  type Transform,
} from "resnet-lab";

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
  fit(petsModel, pets, { ...rest, transform: compose(randomFlip(), three), augment: randomFlip() });
  fit(greyModel, colour, { ...rest, transform: toGrey, validation: colour });
  fit(greyModel, unknown, rest);
  // @ts-expect-error: the model takes one channel, the images have three
  fit(greyModel, colour, rest);
  // @ts-expect-error: the model takes three channels, the images have one
  fit(colourModel, grey, rest);
  // @ts-expect-error: the model tells ten classes apart, the set has two
  fit(colourModel, pets, rest);
  // @ts-expect-error: the model tells two classes apart, the set has ten
  fit(petsModel, colour, rest);
  // @ts-expect-error: the transform makes one channel of three, but the model takes three
  fit(colourModel, colour, { ...rest, transform: toGrey });
  // @ts-expect-error: the transform takes three channels, the set has one
  fit(greyModel, grey, { ...rest, transform: three });
  // @ts-expect-error: augmentation keeps the channels
  fit(colourModel, colour, { ...rest, augment: toGrey });
  // @ts-expect-error: validation images have the channels of the training images
  fit(greyModel, grey, { ...rest, validation: colour });
  // @ts-expect-error: the validation set has the classes of the training set
  fit(colourModel, colour, { ...rest, validation: pets });
  // @ts-expect-error: the model gives images, not logits
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
  evaluate(lenet(), grey, { augment: randomCrop({ padding: 2 }) });
  return [name, list];
}

export function finds() {
  findLearningRate(lenet(), grey, { optimizer: (p) => adam(p, { learningRate: 1 }), batchSize: 1 });
  // @ts-expect-error: it makes an optimizer of its own, so that the memory of yours is not spoilt
  findLearningRate(lenet(), grey, { optimizer, batchSize: 1 });
  // @ts-expect-error: the model takes one channel, the images have three
  findLearningRate(lenet(), colour, { optimizer: () => optimizer, batchSize: 1 });
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
  extractFeatures((images) => body.forward(images), grey, { augment: randomCrop({ padding: 2 }) });
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
  const loss: Loss<10> = crossEntropy;
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
