import {
  type Images,
  type LastAxisOf,
  ops,
  type Random,
  type Tensor,
  type Tensor4D,
  tidy,
} from "../tensor/mod.ts";
import {
  checkArray,
  checkFunction,
  checkInteger,
  checkOneOf,
  checkOptions,
  isTensor,
  show,
} from "../tensor/internal.ts";
import { statistics } from "./statistics.ts";

/**
 * Turns a batch of images into another. Random numbers come from `random`.
 *
 * A transform does not dispose its input. The caller disposes the result.
 */
export type Transform<In extends number = number, Out extends number = In> = (
  images: Images<In>,
  random: Random,
) => Images<Out>;

/**
 * Turns a batch of inputs of any kind into another: a {@linkcode Transform}, where they are images.
 */
export type InputTransform<Inputs extends Tensor = Tensor, Out extends Tensor = Tensor> = (
  inputs: Inputs,
  random: Random,
) => Out;

/** A {@linkcode Transform} for images with any number of channels, which it does not change. */
export type AnyChannelsTransform = <Channels extends number>(
  images: Images<Channels>,
  random: Random,
) => Images<Channels>;

/**
 * Returns the transformed inputs.
 *
 * @throws {TypeError} If the result is not a tensor of as many inputs, or if images become others.
 */
export function applyTransform(
  action: string,
  transform: InputTransform,
  inputs: Tensor,
  random: Random,
): Tensor {
  const result: unknown = transform(inputs, random), count = inputs.shape[0];
  const areImages = inputs.rank === 4;
  const fits = isTensor(result) && (result.rank === 4 || !areImages) && result.shape[0] === count;
  if (fits) return result;
  throw new TypeError(
    `${action}: the result of the transform must be ${
      areImages ? `images [${count}, height, width, channels]` : `inputs [${count}, …]`
    }, found ${show(result)}.`,
  );
}

/** A step of a transform, as the file of a model stores it. */
type Step =
  | { readonly resize: readonly [height: number, width: number] }
  | {
    readonly normalize: {
      readonly mean: number | readonly number[];
      readonly standardDeviation: number | readonly number[];
    };
  };

/** The steps of each transform of the library. */
const transformSteps = new WeakMap<object, readonly Step[]>();

/** Stores the steps of a transform, and returns it. */
function withSteps<T extends Transform>(transform: T, steps: readonly Step[]): T {
  transformSteps.set(transform, steps);
  return transform;
}

/**
 * Returns a transform as JSON that {@linkcode transformFrom} reads, undefined for a transform that
 * is not the library's.
 */
export function describeTransform(transform: InputTransform<never, Tensor>): string | undefined {
  const steps = transformSteps.get(transform);
  return steps && JSON.stringify(steps);
}

/**
 * Returns the transform of a description by {@linkcode describeTransform}.
 *
 * @throws {RangeError} If the description is of something else.
 */
export function transformFrom(action: string, description: string): InputTransform {
  try {
    const steps: unknown = JSON.parse(description);
    checkArray(action, "the steps of the transform", steps);
    const transform = compose(...(steps as object[]).map((step): Transform => {
      const [[name, values] = [], ...rest] = Object.entries(step);
      if (name === "resize" && rest.length === 0) return resize(values[0], values[1]);
      if (name === "normalize" && rest.length === 0) return normalize(values);
      throw new RangeError(
        `${action}: each step must be resize or normalize, found ${show(name)}.`,
      );
    }));
    return transform as InputTransform;
  } catch (cause) {
    throw new RangeError(
      `${action}: the transform in the file must be made of resize and normalize, found ${
        show(description)
      }.`,
      { cause },
    );
  }
}

/**
 * Resizes images `[batch, height, width, channels]` by bilinear interpolation.
 *
 * Pixels are squares with their centres at half positions, so row `i` of the result reads the row
 * `(i + ½) · oldHeight / newHeight − ½`, as in PyTorch's `interpolate(mode="bilinear")`. There is
 * no smoothing where images get smaller.
 *
 * @throws {TypeError} If a size is not a number.
 * @throws {RangeError} If it is not a whole number of at least 1.
 *
 * @example
 * ```ts
 * import { ops, Random, resize } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 1], [1, 1, 2, 1]);
 * const wider = resize(1, 4)(image, new Random(0));
 * assert.deepEqual([...wider.dataSync()], [0, 0.25, 0.75, 1]);
 * ```
 */
export function resize(height: number, width: number): AnyChannelsTransform {
  const action = "Resizing images";
  checkInteger(action, "height", height);
  checkInteger(action, "width", width);
  const transform: AnyChannelsTransform = (images) => ops.resizeBilinear(images, [height, width]);
  return withSteps(transform, [{ resize: [height, width] }]);
}

/**
 * Shifts and scales pixels: `(x − mean) / standardDeviation`, with one number for all channels or
 * one for each, or with the numbers of a well-known data set by its name. Networks that were
 * pretrained on ImageNet expect `normalize("imagenet")`.
 *
 * | name             | mean                   | standard deviation     |
 * | ---------------- | ---------------------- | ---------------------- |
 * | `"cifar10"`      | 0.4914, 0.4822, 0.4465 | 0.2470, 0.2435, 0.2616 |
 * | `"fashionMnist"` | 0.2860                 | 0.3530                 |
 * | `"imagenet"`     | 0.485, 0.456, 0.406    | 0.229, 0.224, 0.225    |
 *
 * @throws {TypeError} If an option does not exist.
 * @throws {RangeError} If there is no such name, a standard deviation is not positive, a mean is
 * not finite, or the number of channels differs from the number of means or standard deviations.
 *
 * @example
 * ```ts
 * import { normalize, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 0.5, 1], [1, 1, 3, 1]);
 * const normalized = normalize({ mean: 0.5, standardDeviation: 0.25 })(image, new Random(0));
 * assert.deepEqual([...normalized.dataSync()], [-2, 0, 2]);
 *
 * const average = ops.tensor([0.485, 0.456, 0.406], [1, 1, 1, 3]);
 * assert.deepEqual([...normalize("imagenet")(average, new Random(0)).dataSync()], [0, 0, 0]);
 * ```
 */
export function normalize(name: "cifar10" | "imagenet"): Transform<3>;
/** {@linkcode normalize} for grey images. */
export function normalize(name: "fashionMnist"): Transform<1>;
/** {@linkcode normalize} with one number for all channels. */
export function normalize(
  options: { mean: number; standardDeviation: number },
): AnyChannelsTransform;
/** {@linkcode normalize} with one number for each channel. */
export function normalize<const Mean extends readonly number[]>(
  options: { mean: Mean; standardDeviation: { readonly [channel in keyof Mean]: number } },
): Transform<Mean["length"]>;
export function normalize(
  nameOrOptions: keyof typeof statistics | Statistics,
): AnyChannelsTransform {
  const action = "Normalizing images";
  if (typeof nameOrOptions === "string") {
    checkOneOf(action, "the data set", nameOrOptions, Object.keys(statistics));
  }
  const options = typeof nameOrOptions === "string" ? statistics[nameOrOptions] : nameOrOptions;
  const example = "{ mean: 0.5, standardDeviation: 0.25 }";
  checkOptions<Statistics>(action, options, example, { mean: true, standardDeviation: true });
  const mean = [options.mean].flat();
  const standardDeviation = [options.standardDeviation].flat();
  if (
    mean.length === 0 || mean.length !== standardDeviation.length || !mean.every(Number.isFinite) ||
    !standardDeviation.every((s) => s > 0 && s < Infinity)
  ) {
    throw new RangeError(
      `${action}: there must be as many positive standard deviations as finite means, found ` +
        `means [${mean}] and standard deviations [${standardDeviation}].`,
    );
  }
  const transform = <Channels extends number>(images: Images<Channels>): Images<Channels> => {
    const channels = images.shape[3];
    if (mean.length !== 1 && mean.length !== channels) {
      throw new RangeError(
        `Normalizing images [${images.shape}]: there must be a mean for each of ${channels} channels, found ${mean.length}.`,
      );
    }
    return tidy((): Tensor4D =>
      ops.div(ops.sub(images, ops.tensor(mean)), ops.tensor(standardDeviation))
    );
  };
  return withSteps(transform, [{ normalize: { mean, standardDeviation } }]);
}

/** The options of {@linkcode normalize}. */
interface Statistics {
  mean: number | readonly number[];
  standardDeviation: number | readonly number[];
}

/**
 * Returns a transform that applies transforms one after the other. Without transforms it returns
 * its input unchanged.
 *
 * @throws {TypeError} If a transform is not a function.
 *
 * @example
 * ```ts
 * import { compose, normalize, ops, Random, resize } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const prepare = compose(resize(4, 4), normalize({ mean: 0.5, standardDeviation: 0.5 }));
 * const images = prepare(ops.ones([2, 2, 2, 1]), new Random(0));
 * assert.deepEqual(images.shape, [2, 4, 4, 1]);
 * assert.equal(images.dataSync()[0], 1);
 * ```
 */
export function compose<const T extends readonly SomeTransform[]>(
  ...transforms: TransformChain<T> extends T ? T : TransformChain<T>
): T[number] extends AnyChannelsTransform ? AnyChannelsTransform
  : Transform<FirstChannels<T>, LastChannels<T>>;
export function compose(...transforms: Transform[]): Transform {
  transforms.forEach((transform, i) =>
    checkFunction("Composing transforms", `transform ${i}`, transform)
  );
  const transform: Transform = (images, random) =>
    tidy(() => transforms.reduce((batch, transform) => transform(batch, random), images));
  const steps = transforms.map((transform) => transformSteps.get(transform));
  return steps.every((step) => step !== undefined) ? withSteps(transform, steps.flat()) : transform;
}

/** A transform for images with any fixed number of channels. */
export type SomeTransform = (images: never, random: Random) => Images;

/**
 * The number of input channels of a chain of transforms: the channels of the first transform that
 * has a fixed number.
 */
export type FirstChannels<T extends readonly unknown[]> = T extends
  readonly [infer F, ...infer Rest] ? F extends AnyChannelsTransform ? FirstChannels<Rest>
  : F extends (images: infer X, random: Random) => Images ? LastAxisOf<X>
  : never
  : number;

/**
 * The number of output channels of a chain of transforms: the channels of the last transform that
 * has a fixed number.
 */
export type LastChannels<T extends readonly unknown[]> = T extends readonly [...infer Rest, infer F]
  ? F extends AnyChannelsTransform ? LastChannels<Rest>
  : F extends (images: never, random: Random) => infer Y ? LastAxisOf<Y>
  : never
  : number;

/**
 * The transforms themselves, with a message in place of each one that does not accept the images of
 * the one before it.
 */
export type TransformChain<
  T extends readonly unknown[],
  Before extends readonly unknown[] = [],
> = T extends readonly [infer F, ...infer Rest] ? [
    LastChannels<Before> extends FirstChannels<[F]> ? F
      : number extends FirstChannels<[F]> | LastChannels<Before> ? F
      : `this transform takes images with ${FirstChannels<
        [F]
      >} channels, but the one before it returns images with ${LastChannels<
        Before
      >} channels`,
    ...TransformChain<Rest, [...Before, F]>,
  ]
  : [];
