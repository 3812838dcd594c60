import { dispose, Random, type Tensor } from "../tensor/mod.ts";
import { checkArray, checkInteger, checkNumber, checkOptions } from "../tensor/internal.ts";
import { allocate, checkSize } from "./checks.ts";
import { ImageDataset } from "./dataset.ts";

const { abs, cos, hypot, max, min, sin } = Math;

/**
 * The signed distance of a point to the edge of each class's shape, roughly: positive inside,
 * negative outside. Shapes have a radius of about 1; patterns fill the plane.
 */
const SIGNED_DISTANCES: Record<string, (x: number, y: number) => number> = {
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
const CLASS_NAMES = Object.keys(SIGNED_DISTANCES);

/** The options of {@linkcode syntheticImages}. */
export interface SyntheticImagesOptions<Classes extends number = number> {
  /** Number of images. */
  count: number;
  /** The seed of the random numbers. */
  seed: number;
  /**
   * The size of the images in pixels; the default is the size of CIFAR-10.
   *
   * @default [32, 32]
   */
  size?: readonly [height: number, width: number];
  /**
   * Number of classes, from 1 to 10; the first ones of the ten are drawn.
   *
   * @default 10
   */
  classes?: Classes;
  /**
   * The radius of the shapes in pixels of a 32 × 32 image, from the smallest to the largest; a
   * pattern is as fine as a shape of that radius. Between them each ratio is equally likely, so
   * that `[3, 12]` has as many images below 6 as above.
   *
   * @default all radii from 7 to 12 are equally likely
   */
  radius?: readonly [smallest: number, largest: number];
}

/**
 * Images drawn at random, for use where photographs are not available: 32 × 32 in colour and ten
 * classes in place of CIFAR-10, or two classes of any size in place of cats and dogs.
 *
 * The classes are seven shapes and three patterns. Each image has a random position, radius, angle
 * and colours, uneven light, and noise. Colours and brightness say nothing about the class, so a
 * linear model is hardly better than guessing, while a convolutional network is. An accuracy on
 * these images says nothing about photographs.
 *
 * Image `i` has the class `i` mod `classes`. The same seed gives the same images, on every backend.
 *
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If `count` or a size is not a whole number of at least 1, `classes` not a
 * whole number from 1 to 10, a radius is not from 1 to 32, or the seed not a whole number of 32
 * bits.
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
/** {@linkcode syntheticImages} with a different number of classes. */
export function syntheticImages<const Classes extends number>(
  options: SyntheticImagesOptions<Classes> & { classes: Classes },
): ImageDataset<3, Classes>;
export function syntheticImages(options: SyntheticImagesOptions): ImageDataset<3> {
  const action = "Drawing images";
  checkOptions<SyntheticImagesOptions>(action, options, "{ count: 1000, seed: 1 }", {
    count: true,
    seed: true,
    size: true,
    classes: true,
    radius: true,
  });
  const { count, seed, size = [32, 32], classes = 10, radius: radii } = options;
  checkSize(action, size);
  if (radii) checkRadii(action, radii);
  const [height, width] = size;
  checkInteger(action, "count", count);
  checkInteger(action, "classes", classes, 1, CLASS_NAMES.length);
  checkInteger(action, "seed", seed, -0x7fffffff, 0x7fffffff);
  const imageSize = height * width * 3;
  const pixels = allocate(action, count, imageSize);
  // The size and the offset of the shapes follow the shorter side.
  const unit = min(height, width) / 32;
  const random = new Random(seed);
  const parameters = valuesOf(random.uniform([count, 13]));
  // All images share the noise; each starts at a random position in it.
  const noise = valuesOf(random.uniform([4 * imageSize]));
  const shapes = Object.values(SIGNED_DISTANCES);
  let next = 0, to = 0;
  const between = (low: number, high: number) => low + (high - low) * parameters[next++]!;
  for (let image = 0; image < count; image++) {
    const signedDistance = shapes[image % classes]!;
    const centreX = width / 2 + unit * between(-5, 5);
    const centreY = height / 2 + unit * between(-5, 5);
    const relative = radii ? between(0, 1) : between(7, 12);
    const radius = unit * (radii ? radii[0] * (radii[1] / radii[0]) ** relative : relative);
    const angle = between(0, 2 * Math.PI);
    const [across, down] = [cos(angle) / radius, sin(angle) / radius];
    const [lightX, lightY] = [between(-0.32, 0.32) / width, between(-0.32, 0.32) / height];
    const background = [between(0, 1), between(0, 1), between(0, 1)];
    // In each channel 0.3 to 0.7 brighter or darker than the background, and as bright on average.
    const foreground = background.map((value) => (value + between(0.3, 0.7)) % 1);
    let from = Math.floor(between(0, 3 * imageSize));
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [x, y] = [column + 0.5 - centreX, row + 0.5 - centreY];
        const distance = signedDistance(across * x + down * y, across * y - down * x);
        // The fraction of the pixel that is inside, roughly, for soft edges.
        const coverage = max(0, min(1, 0.5 + radius * distance));
        const light = lightX * x + lightY * y;
        for (let channel = 0; channel < 3; channel++) {
          const colour = background[channel]! +
            coverage * (foreground[channel]! - background[channel]!);
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
    classNames: CLASS_NAMES.slice(0, classes),
  });
}

/**
 * Checks the smallest and the largest radius.
 *
 * @throws {TypeError} If they are not two numbers.
 * @throws {RangeError} If they do not ascend from 1 to 32.
 */
function checkRadii(action: string, radii: readonly [number, number]): void {
  checkArray(action, "radius", radii);
  checkInteger(action, "the number of radii", radii.length, 2, 2);
  const [smallest, largest] = radii;
  checkNumber(action, "radius[0]", smallest, smallest >= 1 && smallest <= 32, "from 1 to 32");
  const fits = largest >= smallest && largest <= 32;
  checkNumber(action, "radius[1]", largest, fits, `from ${smallest} to 32`);
}

/** Returns the values of a tensor, and frees it. */
function valuesOf(tensor: Tensor): ArrayLike<number> {
  const values = tensor.dataSync();
  dispose(tensor);
  return values;
}
