/** Statistics of lists of numbers, and the limits of what plotly.js can draw. */

/** A list of numbers: a plain or a typed array. */
export type Numbers = ArrayLike<number>;

/**
 * Numbers of a larger magnitude are refused: plotly.js adds and multiplies them without a check for
 * overflow.
 */
export const maxMagnitude = 1e300;

/** Numbers of a smaller magnitude are drawn at zero: plotly.js divides by them. */
export const minMagnitude = 1e-300;

/** Whether a value is two numbers that can be drawn, with a margin around the largest. */
export function isRange(range: unknown): range is readonly [number, number] {
  return Array.isArray(range) && range.length === 2 &&
    range.every((end) => typeof end === "number" && Math.abs(end) <= 10 * maxMagnitude);
}

/**
 * Returns the smallest distance between the ends of a scale: a number has 16 digits, an axis
 * separates a hundred positions, and the labels of its ticks have 15 digits.
 */
export function minSpread([min, max]: readonly [number, number]): number {
  return Math.max(minMagnitude, 1e-13 * Math.max(-min, max));
}

/** Returns the ends of a scale around numbers that are equal or nearly equal. */
export function endsAround([min, max]: readonly [number, number]): [number, number] {
  const size = Math.max(-min, max);
  const half = (size < minMagnitude ? 1 : size) / 2;
  return [min - half, max + half];
}

/** Whether each number is greater than the one before. */
export function ascends(values: Numbers): boolean {
  for (let index = 1; index < values.length; index++) {
    if (!(values[index - 1]! < values[index]!)) return false;
  }
  return true;
}

/** Returns the smallest and the largest number of a list. */
export function extent(values: Numbers): [number, number] {
  let min = Infinity, max = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return [min, max];
}

/** Returns the smallest and the largest number of several lists. */
export function jointExtent(lists: Iterable<Numbers>): [number, number] {
  let min = Infinity, max = -Infinity;
  for (const list of lists) {
    const [low, high] = extent(list);
    min = Math.min(min, low);
    max = Math.max(max, high);
  }
  return [min, max];
}

/** Returns the mean, the standard deviation and the fraction of exact zeros. */
export function moments(
  values: Numbers,
): { mean: number; standardDeviation: number; zeros: number } {
  // The unit keeps squares from overflow and underflow. It is a power of two, which rounds nothing.
  const [min, max] = extent(values);
  const unit = 2 ** Math.floor(Math.log2(Math.max(-min, max) || 1));
  let sum = 0, squares = 0, zeros = 0;
  for (let index = 0; index < values.length; index++) {
    sum += values[index]! / unit;
    if (values[index] === 0) zeros++;
  }
  const mean = sum / values.length;
  for (let index = 0; index < values.length; index++) {
    squares += (values[index]! / unit - mean) ** 2;
  }
  return {
    mean: mean * unit,
    standardDeviation: Math.sqrt(squares / values.length) * unit,
    zeros: zeros / values.length,
  };
}

/** Counts of values in bins of equal width. */
export interface BinCounts {
  /** Lower end of the first bin. */
  readonly start: number;
  /** Width of a bin. */
  readonly width: number;
  readonly counts: Uint32Array;
  /** Number of values that lie in no bin. */
  readonly outside: number;
}

/** Counts values into bins of equal width between two ends. */
export function countBins(
  values: Numbers,
  bins: number,
  [start, end]: readonly [number, number] = extent(values),
): BinCounts {
  // Bins of equal or nearly equal numbers are wider than the rounding of their ends.
  const least = minSpread([start, end]);
  if (start === end || end - start < least) {
    const half = start === end ? Math.max(0.5, 1e4 * least) : 1e4 * least;
    [start, end] = [start - half, end + half];
  }
  const width = (end - start) / bins;
  const counts = new Uint32Array(bins);
  let outside = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value < start || value > end) outside++;
    // The last bin includes its upper end.
    else counts[Math.min(bins - 1, Math.floor((value - start) / width))]!++;
  }
  return { start, width, counts, outside };
}
