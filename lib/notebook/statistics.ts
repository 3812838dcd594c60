import { checkArray, checkFinite, checkNumber } from "../tensor/internal.ts";

/** The mean of some values, and its confidence interval. */
export interface MeanAndInterval {
  /** The mean. */
  readonly mean: number;
  /** The standard deviation of the sample, with n − 1 in the denominator. */
  readonly standardDeviation: number;
  /** Half the width of the interval, which is `mean ± halfWidth`. */
  readonly halfWidth: number;
}

/**
 * Returns the mean of some values, such as the accuracies of several seeds, with its confidence
 * interval by Student's t distribution.
 *
 * @param level The probability that such an interval contains the true mean.
 * @default 0.95
 *
 * @throws {TypeError} If the values are not an array of numbers, or the level is not a number.
 * @throws {RangeError} If there are fewer than two values, one is not finite, or the level is not
 * between 0 and 1.
 *
 * @example
 * ```ts
 * import { meanAndInterval } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { mean, halfWidth } = meanAndInterval([88, 89, 90]);
 * assert.equal(`${mean} ± ${halfWidth.toFixed(2)}`, "89 ± 2.48");
 * ```
 */
export function meanAndInterval(values: readonly number[], level = 0.95): MeanAndInterval {
  const action = "Computing a mean and its interval", count = values?.length;
  checkArray(action, "the values", values);
  checkNumber(action, "the number of values", count, count >= 2, "at least 2");
  values.forEach((value, i) => checkFinite(action, `value ${i}`, value));
  checkNumber(action, "the level", level, level > 0 && level < 1, "between 0 and 1");
  const mean = values.reduce((sum, value) => sum + value, 0) / count;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const standardDeviation = Math.sqrt(squares / (count - 1));
  const halfWidth = studentT(level, count - 1) * standardDeviation / Math.sqrt(count);
  return { mean, standardDeviation, halfWidth };
}

/** A curve with a band, as {@linkcode lineChart} takes it. */
export interface MeanCurve {
  /** The mean at each point. */
  readonly y: readonly number[];
  /** The ends of the interval at each point. */
  readonly band: { readonly low: readonly number[]; readonly high: readonly number[] };
}

/**
 * Returns the mean of the values at each point of a curve, such as the losses of several seeds at
 * each epoch, with its 95 % t-interval as a band: `lineChart([{ name, ...meanCurve(points) }], …)`.
 *
 * @param points The values at each point, at least two.
 * @throws {TypeError} If the points are not arrays of numbers.
 * @throws {RangeError} If a point has fewer than two values, or one is not finite.
 *
 * @example
 * ```ts
 * import { meanCurve } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { y, band } = meanCurve([[88, 89, 90], [90, 90, 90]]);
 * assert.deepEqual(y, [89, 90]);
 * assert.deepEqual(band.low.map((value) => value.toFixed(2)), ["86.52", "90.00"]);
 * ```
 */
export function meanCurve(points: readonly (readonly number[])[]): MeanCurve {
  checkArray("Computing a mean curve", "the points", points);
  const intervals = points.map((values) => meanAndInterval(values));
  return {
    y: intervals.map(({ mean }) => mean),
    band: {
      low: intervals.map(({ mean, halfWidth }) => mean - halfWidth),
      high: intervals.map(({ mean, halfWidth }) => mean + halfWidth),
    },
  };
}

/** The t for which P(|T| < t) is `level`, by bisection over the angle θ = atan(t / √degrees). */
function studentT(level: number, degrees: number): number {
  let low = 0, high = Math.PI / 2;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (probabilityWithin(middle, degrees) < level) low = middle;
    else high = middle;
  }
  return Math.sqrt(degrees) * Math.tan(low);
}

/** P(|T| < t) by the finite series of Abramowitz and Stegun 1964, formulas 26.7.3 and 26.7.4. */
function probabilityWithin(theta: number, degrees: number): number {
  const isOdd = degrees % 2 === 1, cosine = Math.cos(theta);
  let term = isOdd ? cosine : 1, sum = degrees === 1 ? 0 : term;
  for (let k = isOdd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= cosine ** 2 * (k - 1) / k;
    sum += term;
  }
  return isOdd ? 2 / Math.PI * (theta + Math.sin(theta) * sum) : Math.sin(theta) * sum;
}
