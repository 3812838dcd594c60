/** Pixels of one image, `[height, width, channels]`, as bytes. */
export interface Pixels {
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Which pixels of one axis make a pixel of the result, and how much each counts. */
interface Window {
  readonly start: number;
  /** Parts of 2²². */
  readonly weights: Int32Array;
}

/**
 * Resizes an image to `scaled` and cuts `size` out of it, `from` a corner: bilinear, smoothed where it is made smaller.
 *
 * It is Pillow's `Image.resize(…, BILINEAR)` to the last bit: a triangle as wide as two pixels of the larger of the two images, in
 * fixed point, first along the rows and then along the columns, each rounded to bytes (libImaging/Resample.c). Only the pixels that
 * the cut needs are computed.
 */
export function resample(
  { data, height, width, channels }: Pixels,
  scaled: readonly [height: number, width: number],
  from: readonly [top: number, left: number],
  size: readonly [height: number, width: number],
): Uint8Array {
  const rows = windows(height, scaled[0], from[0], size[0]);
  const columns = windows(width, scaled[1], from[1], size[1]);
  const [first, last] = [rows[0]!, rows.at(-1)!];
  const above = first.start, below = last.start + last.weights.length;
  const stride = size[1] * channels;
  const squeezed = new Uint8Array((below - above) * stride);
  let to = 0;
  for (let row = above; row < below; row++) {
    for (const { start, weights } of columns) {
      const at = (row * width + start) * channels;
      for (let channel = 0; channel < channels; channel++) {
        let sum = HALF;
        for (let i = 0, pixel = at + channel; i < weights.length; i++, pixel += channels) {
          sum += weights[i]! * data[pixel]!;
        }
        squeezed[to++] = sum >> BITS;
      }
    }
  }
  const result = new Uint8Array(size[0] * stride);
  const sums = new Int32Array(stride);
  to = 0;
  for (const { start, weights } of rows) {
    sums.fill(HALF);
    // Row by row, in the order of memory.
    let pixel = (start - above) * stride;
    for (const weight of weights) {
      for (let i = 0; i < stride; i++) sums[i]! += weight * squeezed[pixel++]!;
    }
    for (let i = 0; i < stride; i++) result[to++] = sums[i]! >> BITS;
  }
  return result;
}

const BITS = 22, HALF = 1 << (BITS - 1);

/** The windows of `count` pixels from position `first` on, where `old` pixels become `length`. */
function windows(old: number, length: number, first: number, count: number): Window[] {
  const scale = old / length;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const centre = (first + i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(old, Math.trunc(centre + reach + 0.5));
    const shares = Array.from(
      { length: end - start },
      (_, at) => Math.max(0, 1 - Math.abs((start + at - centre + 0.5) / reach)),
    );
    const sum = shares.reduce((a, b) => a + b, 0);
    const weights = Int32Array.from(shares, (share) => Math.floor(0.5 + share / sum * 2 ** BITS));
    return { start, weights };
  });
}
