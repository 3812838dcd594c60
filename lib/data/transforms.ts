import {
  checkOptions,
  type Images,
  type LastAxisOf,
  ops,
  type Random,
  type Tensor4D,
  tidy,
} from "../tensor/mod.ts";
import { show } from "../tensor/options.ts";

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
 * Resizes images `[batch, height, width, channels]` by bilinear interpolation.
 *
 * Pixels are squares with their centres at half positions, so that row `i` of the result reads the row
 * `(i + ½) · oldHeight / newHeight − ½`: PyTorch's `interpolate(mode="bilinear")`. Nothing is smoothed before making smaller.
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
        `Resizing images: expected a height and width of positive integers, found ${height} × ${width}.`,
      );
    }
  }
  return (images) => ops.resizeBilinear(images, [height, width]);
}

/**
 * Shifts and scales pixels: `(x − mean) / standardDeviation`, with one number for all channels or one for each.
 *
 * @throws {RangeError} If a standard deviation is not positive or a mean not finite, or, when applied, there are not as many
 * numbers as channels.
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
  options: { mean: number | readonly number[]; standardDeviation: number | readonly number[] },
): AnyChannelsTransform {
  const doing = "Normalizing images";
  const such = "{ mean: 0.5, standardDeviation: 0.25 }";
  checkOptions<typeof options>(doing, options, such, { mean: true, standardDeviation: true });
  const mean = [options.mean].flat();
  const standardDeviation = [options.standardDeviation].flat();
  if (
    mean.length !== standardDeviation.length || !mean.every(Number.isFinite) ||
    !standardDeviation.every((s) => s > 0 && s < Infinity)
  ) {
    throw new RangeError(
      `Normalizing images: expected as many positive standard deviations as finite means, found means [${mean}] and standard ` +
        `deviations [${standardDeviation}].`,
    );
  }
  return (images) => {
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
}

/**
 * Transforms one after the other, first to last.
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
  const wrong = transforms.findIndex((transform) => typeof transform !== "function");
  if (wrong >= 0) {
    throw new TypeError(
      `Composing transforms: transform ${wrong} must be a function of images, found ${
        show(transforms[wrong])
      }.`,
    );
  }
  return (images, random) =>
    tidy(() => transforms.reduce((batch, transform) => transform(batch, random), images));
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

/** The transforms themselves, with a message in place of each that does not take what those before it give. */
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
