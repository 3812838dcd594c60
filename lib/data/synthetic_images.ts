import { checkOptions, dispose, Random, type Tensor } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { allocate, checkPositive, checkSize } from "./checks.ts";
import { ImageDataset } from "./dataset.ts";

const { abs, cos, hypot, max, min, sin } = Math;

/**
 * For each class, how deep a point is inside its shape, negative outside; shapes reach about 1 from
 * their centre, patterns everywhere.
 */
const depths: Record<string, (x: number, y: number) => number> = {
  "disc": (x, y) => 0.8 - hypot(x, y),
  "ring": (x, y) => 0.25 - abs(hypot(x, y) - 0.7),
  "square": (x, y) => 0.75 - max(abs(x), abs(y)),
  "triangle": (x, y) => 0.5 - max(y, 0.866 * abs(x) - y / 2),
  "cross": (x, y) => min(0.95 - max(abs(x), abs(y)), 0.3 - min(abs(x), abs(y))),
  "crescent": (x, y) => min(0.95 - hypot(x, y), hypot(x - 0.5, y) - 0.7),
  "two discs": (x, y) => 0.45 - hypot(abs(x) - 0.55, y),
  "stripes": (x) => sin(5 * x) / 5,
  "checkerboard": (x, y) => (sin(5 * x) * sin(5 * y)) / 5,
  "dots": (x, y) => (cos(6 * x) + cos(6 * y) - 0.8) / 6,
};
const classNames = Object.keys(depths);

/** What {@linkcode syntheticImages} draws. */
export interface SyntheticImagesOptions<Classes extends number = number> {
  /** The number of images. */
  count: number;
  seed: number;
  /** The size of the images in pixels; 32 × 32, as CIFAR-10's, unless given. */
  size?: readonly [height: number, width: number];
  /** The number of classes, from 1 to 10: the first of them are drawn. All ten unless given. */
  classes?: Classes;
}

/**
 * Images drawn by a seed, to try out on them what cannot be tried on photographs where they cannot
 * be had: in place of CIFAR-10 32 × 32 in colour in ten classes; in place of cats and dogs, two
 * classes of the size asked for.
 *
 * The classes are seven shapes and three patterns, each image at a place, size, angle and in
 * colours of its own, unevenly lit, with noise. As neither colours nor light and dark say anything
 * of the class, a linear model hardly does better than guessing, and a convolutional network does.
 * An accuracy on these images says nothing about photographs.
 *
 * The image `i` is of class `i` mod `classes`. The same seed gives the same images, on every
 * backend.
 *
 * @throws {RangeError} If `count` or a size is not a positive integer, `classes` not an integer
 * from 1 to 10, or the seed not a whole number of 32 bits.
 *
 * @example
 * ```ts
 * import { syntheticImages } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const train = syntheticImages({ count: 500, seed: 1 });
 * const test = syntheticImages({ count: 100, seed: 2 });
 * assert.equal(train.name, "drawn images, not photographs");
 * assert.deepEqual(test.images([0]).shape, [1, 32, 32, 3]);
 * assert.equal(test.classNames[test.labels[3]!], "triangle");
 *
 * const two = syntheticImages({ count: 10, seed: 1, size: [64, 96], classes: 2 });
 * assert.deepEqual(two.classNames, ["disc", "ring"]);
 * assert.deepEqual(two.images([0]).shape, [1, 64, 96, 3]);
 * ```
 */
export function syntheticImages(
  options: Omit<SyntheticImagesOptions, "classes">,
): ImageDataset<3, 10>;
export function syntheticImages<const Classes extends number>(
  options: SyntheticImagesOptions<Classes> & { classes: Classes },
): ImageDataset<3, Classes>;
export function syntheticImages(options: SyntheticImagesOptions): ImageDataset<3> {
  const doing = "Drawing images";
  checkOptions<SyntheticImagesOptions>(doing, options, "{ count: 1000, seed: 1 }", {
    count: true,
    seed: true,
    size: true,
    classes: true,
  });
  const { count, seed, size = [32, 32], classes = 10 } = options;
  checkSize(doing, size);
  const [height, width] = size;
  checkPositive(doing, { count });
  if (!Number.isInteger(classes) || classes < 1 || classes > classNames.length) {
    throw new RangeError(
      `${doing}: classes must be an integer from 1 to ${classNames.length}, found ${
        show(classes)
      }.`,
    );
  }
  const imageSize = height * width * 3;
  const pixels = allocate(doing, count, imageSize);
  // Shapes are as large as fits the shorter side, and lie about the middle.
  const unit = min(height, width) / 32;
  const random = new Random(seed);
  const draws = numbers(random.uniform([count, 13]));
  // One stretch of noise for all images; each takes its part of it, from a place of its own.
  const noise = numbers(random.uniform([4 * imageSize]));
  const shapes = Object.values(depths);
  let next = 0, to = 0;
  const between = (low: number, high: number) => low + (high - low) * draws[next++]!;
  for (let image = 0; image < count; image++) {
    const depth = shapes[image % classes]!;
    const centreX = width / 2 + unit * between(-5, 5);
    const centreY = height / 2 + unit * between(-5, 5);
    const [radius, angle] = [unit * between(7, 12), between(0, 2 * Math.PI)];
    const [across, down] = [cos(angle) / radius, sin(angle) / radius];
    const [lightX, lightY] = [between(-0.32, 0.32) / width, between(-0.32, 0.32) / height];
    const ground = [between(0, 1), between(0, 1), between(0, 1)];
    // Brighter or darker than the ground by 0.3 to 0.7 in each channel, and on average over the
    // images no brighter.
    const ink = ground.map((value) => (value + between(0.3, 0.7)) % 1);
    let from = Math.floor(between(0, 3 * imageSize));
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [x, y] = [column + 0.5 - centreX, row + 0.5 - centreY];
        const inside = depth(across * x + down * y, across * y - down * x);
        // The share of the pixel that is inside, roughly, for soft edges.
        const share = max(0, min(1, 0.5 + radius * inside));
        const light = lightX * x + lightY * y;
        for (let channel = 0; channel < 3; channel++) {
          const colour = ground[channel]! + share * (ink[channel]! - ground[channel]!);
          const value = colour + light + 0.4 * (noise[from++]! - 0.5);
          pixels[to++] = max(0, min(255, Math.round(255 * value)));
        }
      }
    }
  }
  return new ImageDataset({
    name: "drawn images, not photographs",
    pixels,
    labels: Uint8Array.from({ length: count }, (_, image) => image % classes),
    height,
    width,
    channels: 3,
    classes,
    classNames: classNames.slice(0, classes),
  });
}

/** The numbers of a tensor, which is freed. */
function numbers(tensor: Tensor): ArrayLike<number> {
  const values = tensor.dataSync();
  dispose(tensor);
  return values;
}
