import {
  checkOptions,
  type Images,
  isTensor,
  type LastAxisOf,
  ops,
  type Random,
  type Tensor4D,
  tidy,
} from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";

/**
 * Turns a batch of images into another, as a whole; what is drawn at random comes from `random`.
 *
 * The images given are not disposed; the caller disposes those returned.
 */
export type Transform<In extends number = number, Out extends number = In> = (
  images: Images<In>,
  random: Random,
) => Images<Out>;

/** A {@linkcode Transform} for images of any channel count, which it keeps. */
export type AnyChannelsTransform = <Channels extends number>(
  images: Images<Channels>,
  random: Random,
) => Images<Channels>;

/**
 * The images that a transform makes of a batch.
 *
 * @throws {TypeError} If they are no images, or not as many.
 */
export function applyTransform(
  doing: string,
  transform: Transform,
  images: Images,
  random: Random,
): Images {
  const made: unknown = transform(images, random);
  if (isTensor(made) && made.rank === 4 && made.shape[0] === images.shape[0]) return made as Images;
  throw new TypeError(
    `${doing}: the transform must give images [${
      images.shape[0]
    }, height, width, channels], found ${show(made)}.`,
  );
}

/** A step of a transform as it is saved with the weights of a model. */
type Step =
  | { readonly resize: readonly [height: number, width: number] }
  | {
    readonly normalize: {
      readonly mean: number | readonly number[];
      readonly standardDeviation: number | readonly number[];
    };
  };

/** The steps of each transform that was made here. */
const stepsOf = new WeakMap<Transform, readonly Step[]>();

/** A transform with its steps, which do not change from now on. */
function described<T extends Transform>(transform: T, steps: readonly Step[]): T {
  stepsOf.set(transform, steps);
  return transform;
}

/**
 * A transform as JSON that {@linkcode transformFrom} reads; undefined for a function of the user's
 * own.
 */
export function describeTransform(transform: Transform): string | undefined {
  const steps = stepsOf.get(transform);
  return steps && JSON.stringify(steps);
}

/**
 * The transform that {@linkcode describeTransform} wrote down.
 *
 * @throws {RangeError} If it did not.
 */
export function transformFrom(doing: string, description: string): Transform {
  try {
    const steps: unknown = JSON.parse(description);
    if (!Array.isArray(steps)) throw new RangeError("The steps must be an array.");
    return compose(...steps.map((step: object): Transform => {
      const [[name, values] = [], ...more] = Object.entries(step);
      if (name === "resize" && more.length === 0) return resize(values[0], values[1]);
      if (name === "normalize" && more.length === 0) return normalize(values);
      throw new RangeError(`There is no step ${show(name)}.`);
    }));
  } catch (cause) {
    throw new RangeError(
      `${doing}: the transform in the file must be one that the library can make, found ${
        show(description)
      }.`,
      { cause },
    );
  }
}

/**
 * Resizes images `[batch, height, width, channels]` by bilinear interpolation.
 *
 * Pixels are squares with their centres at half positions, so that row `i` of the result reads the
 * row `(i + ½) · oldHeight / newHeight − ½`: PyTorch's `interpolate(mode="bilinear")`. Nothing is
 * smoothed before making smaller.
 *
 * @throws {RangeError} If a size is not a positive integer.
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
  for (const size of [height, width]) {
    if (!Number.isInteger(size) || size < 1) {
      throw new RangeError(
        `Resizing images: expected a height and width of positive integers, found ${
          show(height)
        } × ${show(width)}.`,
      );
    }
  }
  const transform: AnyChannelsTransform = (images) => ops.resizeBilinear(images, [height, width]);
  return described(transform, [{ resize: [height, width] }]);
}

/**
 * Shifts and scales pixels: `(x − mean) / standardDeviation`, with one number for all channels or
 * one for each.
 *
 * @throws {RangeError} If a standard deviation is not positive or a mean not finite, or, when
 * applied, there are not as many numbers as channels.
 *
 * @example
 * ```ts
 * import { normalize, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const image = ops.tensor([0, 0.5, 1], [1, 1, 3, 1]);
 * const normalized = normalize({ mean: 0.5, standardDeviation: 0.25 })(image, new Random(0));
 * assert.deepEqual([...normalized.dataSync()], [-2, 0, 2]);
 * ```
 */
export function normalize(
  options: { mean: number; standardDeviation: number },
): AnyChannelsTransform;
export function normalize<const Mean extends readonly number[]>(
  options: { mean: Mean; standardDeviation: { readonly [channel in keyof Mean]: number } },
): Transform<Mean["length"]>;
export function normalize(
  options: Statistics,
): AnyChannelsTransform {
  const doing = "Normalizing images";
  const such = "{ mean: 0.5, standardDeviation: 0.25 }";
  checkOptions<Statistics>(doing, options, such, { mean: true, standardDeviation: true });
  const mean = [options.mean].flat();
  const standardDeviation = [options.standardDeviation].flat();
  if (
    mean.length === 0 || mean.length !== standardDeviation.length || !mean.every(Number.isFinite) ||
    !standardDeviation.every((s) => s > 0 && s < Infinity)
  ) {
    throw new RangeError(
      `Normalizing images: expected as many positive standard deviations as finite means, found means [${mean}] and standard ` +
        `deviations [${standardDeviation}].`,
    );
  }
  const transform = <Channels extends number>(images: Images<Channels>): Images<Channels> => {
    const channels = images.shape[3];
    if (mean.length !== 1 && mean.length !== channels) {
      throw new RangeError(
        `Normalizing images [${images.shape}]: expected a mean for each of ${channels} channels, found ${mean.length}.`,
      );
    }
    return tidy((): Tensor4D =>
      ops.div(ops.sub(images, ops.tensor(mean)), ops.tensor(standardDeviation))
    );
  };
  return described(transform, [{ normalize: { mean, standardDeviation } }]);
}

/** The options of {@linkcode normalize}. */
interface Statistics {
  mean: number | readonly number[];
  standardDeviation: number | readonly number[];
}

/**
 * Transforms one after the other, first to last; none where none is given.
 *
 * @throws {TypeError} If one is no function.
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
  ...transforms: Chain<T> extends T ? T : Chain<T>
): T[number] extends AnyChannelsTransform ? AnyChannelsTransform : Transform<First<T>, Last<T>>;
export function compose(...transforms: Transform[]): Transform {
  transforms.forEach((transform, i) => {
    if (typeof transform === "function") return;
    throw new TypeError(
      `Composing transforms: transform ${i} must be a function, found ${show(transform)}.`,
    );
  });
  const transform: Transform = (images, random) =>
    tidy(() => transforms.reduce((batch, transform) => transform(batch, random), images));
  const steps = transforms.map((part) => stepsOf.get(part));
  return steps.every((part) => part !== undefined) ? described(transform, steps.flat()) : transform;
}

type SomeTransform = (images: never, random: Random) => Images;

/** The channels that transforms take: those of the first one that does not take any number. */
type First<T extends readonly unknown[]> = T extends readonly [infer F, ...infer Rest]
  ? F extends AnyChannelsTransform ? First<Rest>
  : F extends (images: infer X, random: Random) => Images ? LastAxisOf<X>
  : never
  : number;

/** The channels that transforms give: those of the last one that does not keep them. */
type Last<T extends readonly unknown[]> = T extends readonly [...infer Rest, infer F]
  ? F extends AnyChannelsTransform ? Last<Rest>
  : F extends (images: never, random: Random) => infer Y ? LastAxisOf<Y>
  : never
  : number;

/**
 * The transforms themselves, with a message in place of each that does not take what those before
 * it give.
 */
type Chain<T extends readonly unknown[], Before extends readonly unknown[] = []> = T extends
  readonly [infer F, ...infer Rest] ? [
    Last<Before> extends First<[F]> ? F : number extends First<[F]> | Last<Before> ? F
    : `this transform takes images with ${First<
      [F]
    >} channels, but the one before it gives images with ${Last<
      Before
    >} channels`,
    ...Chain<Rest, [...Before, F]>,
  ]
  : [];
