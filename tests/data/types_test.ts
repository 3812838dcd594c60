/** Compositions that must not compile. The functions are checked, never called. */
import {
  augmentation,
  batches,
  catsAndDogs,
  compose,
  fashionMnist,
  ImageDataset,
  imageFolder,
  type Images,
  normalize,
  resize,
  syntheticImages,
  type Transform,
} from "resnet-lab";

declare const colour: ImageDataset<3, 10>;
declare const toGrey: Transform<3, 1>;
const three = normalize({ mean: [0.5, 0.5, 0.5], standardDeviation: [0.2, 0.2, 0.2] });

export function datasets(names: string[]) {
  const parts = {
    name: "",
    pixels: new Uint8Array(),
    labels: new Uint8Array(),
    height: 1,
    width: 1,
    classNames: names,
  };
  const made: ImageDataset<3, 2> = new ImageDataset({ ...parts, channels: 3, classes: 2 });
  // @ts-expect-error: the set has three channels, not one
  const grey: ImageDataset<1, 2> = made;
  // @ts-expect-error: the set has two classes, not ten
  const ten: ImageDataset<3, 10> = made;
  const some: ImageDataset = made;
  const three: Images<3> = made.images([0]);
  // @ts-expect-error: the images have three channels
  const one: Images<1> = made.images([0]);
  // @ts-expect-error: split needs a seed
  made.split(0.5);
  // @ts-expect-error: parts of a set have its channels
  const [part]: ImageDataset<1, 2>[] = made.split(0.5, { seed: 1 });
  return [grey, ten, some, three, one, part];
}

export async function fashion() {
  const { train } = await fashionMnist({ subset: true });
  const fits: ImageDataset<1, 10> = train;
  // @ts-expect-error: Fashion-MNIST is grey
  const wrong: ImageDataset<3, 10> = train;
  return [fits, wrong];
}

export async function folders() {
  const size = [2, 2] as const;
  const two = await imageFolder("", { size, classes: ["cat", "dog"] });
  const fits: ImageDataset<3, 2> = two.dataset;
  // @ts-expect-error: two classes, not three
  const three: ImageDataset<3, 3> = two.dataset;
  const any = await imageFolder("", { size });
  const some: ImageDataset<3> = any.dataset;
  // @ts-expect-error: photographs are in colour
  const grey: ImageDataset<1> = any.dataset;
  const onlyGrey = (await imageFolder("", { size, channels: 1 })).dataset;
  const oneChannel: ImageDataset<1> = onlyGrey;
  // @ts-expect-error: grey was asked for
  const colours: ImageDataset<3> = onlyGrey;
  const both = (await imageFolder("", { size, channels: 1, classes: ["cat", "dog"] })).dataset;
  const greyPets: ImageDataset<1, 2> = both;
  // @ts-expect-error: images have one channel or three
  await imageFolder("", { size, channels: 2 });
  // @ts-expect-error: the size must be given
  await imageFolder("", {});
  const pets: ImageDataset<3, 2> = (await catsAndDogs({ size })).dataset;
  const drawn: ImageDataset<3, 2> = syntheticImages({ count: 1, seed: 1, classes: 2 });
  // @ts-expect-error: ten classes unless given
  const ten: ImageDataset<3, 2> = syntheticImages({ count: 1, seed: 1 });
  return [fits, three, some, grey, pets, drawn, ten, oneChannel, colours, greyPets];
}

export function augmentations() {
  const fits: Transform<3> = compose(
    augmentation.randomResizedCrop({ size: [8, 8] }),
    augmentation.colorJitter({ brightness: 0.4 }),
    normalize("imagenet"),
    augmentation.cutout({ size: 2 }),
  );
  const grey: Transform<1> = compose(
    augmentation.randomResizedCrop({ size: [8, 8] }),
    augmentation.cutout({ size: 2 }),
  );
  // @ts-expect-error: colours are changed of three channels
  const wrong: Transform<1> = augmentation.colorJitter({ brightness: 0.4 });
  return [fits, grey, wrong];
}

export function transforms() {
  const keeps: Transform<1> = compose(
    resize(4, 4),
    augmentation.randomCrop({ padding: 1 }),
    augmentation.randomFlip(),
  );
  const fits: Transform<3> = compose(augmentation.randomFlip(), three, resize(8, 8));
  // @ts-expect-error: a mean for each of three channels does not fit images with one
  const wrong: Transform<1> = three;
  // @ts-expect-error: one of the transforms takes three channels
  const alsoWrong: Transform<1> = compose(augmentation.randomFlip(), three);
  const turns: Transform<3, 1> = compose(augmentation.randomFlip(), three, toGrey, resize(8, 8));
  // @ts-expect-error: the last one that changes channels gives one
  const notThree: Transform<3, 3> = compose(three, toGrey);
  // @ts-expect-error: "this transform takes images with 3 channels, but the one before it gives
  // images with 1 channels"
  compose(toGrey, three);
  // @ts-expect-error: a standard deviation is missing
  normalize({ mean: [0.5, 0.5, 0.5], standardDeviation: [0.2, 0.2] });
  // @ts-expect-error: one number for the mean, but several for the standard deviation
  normalize({ mean: 0.5, standardDeviation: [0.2, 0.2] });
  return [keeps, fits, wrong, alsoWrong, turns, notThree];
}

export function inBatches(grey: ImageDataset<1, 10>) {
  for (using batch of batches(colour, { batchSize: 1 })) {
    const fits: Images<3> = batch.images;
    // @ts-expect-error: batches of a colour set have three channels
    const wrong: Images<1> = batch.images;
    return [fits, wrong];
  }
  for (using greyBatch of batches(colour, { batchSize: 1, transform: toGrey })) {
    const fits: Images<1> = greyBatch.images;
    // @ts-expect-error: the transform returns one channel
    const wrong: Images<3> = greyBatch.images;
    return [fits, wrong];
  }
  for (using smallBatch of batches(colour, { batchSize: 1, transform: resize(8, 8) })) {
    const fits: Images<3> = smallBatch.images;
    // @ts-expect-error: resizing keeps the three channels
    const wrong: Images<1> = smallBatch.images;
    return [fits, wrong];
  }
  // @ts-expect-error: the transform takes three channels, the set has one
  batches(grey, { batchSize: 1, transform: three });
  // @ts-expect-error: batchSize must be given
  batches(grey, {});
  // @ts-expect-error: shuffle is a Random, so that the order has a seed
  batches(grey, { batchSize: 1, shuffle: true });
}
