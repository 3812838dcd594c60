/** Pixels of one image, `[height, width, channels]`, as bytes. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** The old pixels of an axis that make each new one, and their weights. */
interface Windows {
  /** The first old pixel of each new one. */
  readonly starts: Int32Array;
  /** Start of the weights of each new pixel, and the end of the last one's. */
  readonly offsets: Int32Array;
  /** Fixed point, in units of 2⁻²². */
  readonly weights: Int32Array;
}

/**
 * Resizes an image to `scaled`, and returns the `size` pixels that start at `from`. The
 * interpolation is bilinear, with smoothing where the image gets smaller.
 *
 * Equals Pillow's `Image.resize(…, BILINEAR)` to the last bit: the filter is a triangle as wide as
 * two pixels of the smaller image, in fixed point, first along the rows and then along the columns,
 * with rounding to bytes after each (libImaging/Resample.c). Pillow 13 begins with the columns of a
 * tall image, which makes a difference of at most 1. Only the pixels of the result are computed.
 */
export function resample(
  { data, height, width, channels }: Pixels,
  scaled: readonly [height: number, width: number],
  from: readonly [top: number, left: number],
  size: readonly [height: number, width: number],
): Uint8Array {
  const rows = windows(height, scaled[0], from[0], size[0]);
  const columns = windows(width, scaled[1], from[1], size[1]);
  const above = rows.starts[0]!;
  const below = rows.starts.at(-1)! + rows.offsets.at(-1)! - rows.offsets.at(-2)!;
  const stride = size[1] * channels;
  const squeezed = new Uint8Array((below - above) * stride);
  const squeeze = channels === 3 ? squeezeColours : squeezeGrey;
  for (let row = above; row < below; row++) {
    squeeze(data, row * width * channels, columns, squeezed, (row - above) * stride);
  }
  const result = new Uint8Array(size[0] * stride);
  const sums = new Int32Array(stride);
  for (let row = 0; row < size[0]; row++) {
    sums.fill(HALF);
    // One old row after the other, in the order of memory.
    let pixel = (rows.starts[row]! - above) * stride;
    for (let k = rows.offsets[row]!; k < rows.offsets[row + 1]!; k++) {
      const weight = rows.weights[k]!;
      for (let i = 0; i < stride; i++) sums[i]! += Math.imul(weight, squeezed[pixel++]!);
    }
    for (let i = 0; i < stride; i++) result[row * stride + i] = sums[i]! >> BITS;
  }
  return result;
}

const BITS = 22, HALF = 1 << (BITS - 1);

/** Resizes a row of red, green and blue. Three separate sums are faster than an inner loop. */
function squeezeColours(
  data: Uint8Array,
  start: number,
  { starts, offsets, weights }: Windows,
  result: Uint8Array,
  to: number,
): void {
  for (let column = 0; column < starts.length; column++) {
    let pixel = start + 3 * starts[column]!;
    let red = HALF, green = HALF, blue = HALF;
    const end = offsets[column + 1]!;
    for (let k = offsets[column]!; k < end; k++) {
      const weight = weights[k]!;
      red = (red + Math.imul(weight, data[pixel++]!)) | 0;
      green = (green + Math.imul(weight, data[pixel++]!)) | 0;
      blue = (blue + Math.imul(weight, data[pixel++]!)) | 0;
    }
    result[to++] = red >> BITS;
    result[to++] = green >> BITS;
    result[to++] = blue >> BITS;
  }
}

/** Resizes a row of grey. */
function squeezeGrey(
  data: Uint8Array,
  start: number,
  { starts, offsets, weights }: Windows,
  result: Uint8Array,
  to: number,
): void {
  for (let column = 0; column < starts.length; column++) {
    let pixel = start + starts[column]!;
    let grey = HALF;
    const end = offsets[column + 1]!;
    for (let k = offsets[column]!; k < end; k++) {
      grey = (grey + Math.imul(weights[k]!, data[pixel++]!)) | 0;
    }
    result[to++] = grey >> BITS;
  }
}

/**
 * Returns the windows of `count` pixels from position `first` on, where `oldLength` pixels become
 * `length`.
 */
function windows(oldLength: number, length: number, first: number, count: number): Windows {
  const scale = oldLength / length;
  const radius = Math.max(scale, 1);
  const starts = new Int32Array(count), offsets = new Int32Array(count + 1);
  const most = 2 * Math.ceil(radius) + 1;
  const heights = new Float64Array(most), weights = new Int32Array(count * most);
  let used = 0;
  for (let i = 0; i < count; i++) {
    const centre = (first + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - radius + 0.5));
    const end = Math.min(oldLength, Math.trunc(centre + radius + 0.5));
    let sum = 0;
    for (let k = 0; k < end - start; k++) {
      sum += heights[k] = Math.max(0, 1 - Math.abs((start + k - centre + 0.5) / radius));
    }
    for (let k = 0; k < end - start; k++) {
      weights[used++] = Math.floor(0.5 + heights[k]! / sum * 2 ** BITS);
    }
    starts[i] = start;
    offsets[i + 1] = used;
  }
  return { starts, offsets, weights };
}
