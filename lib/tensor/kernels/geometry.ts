/** Helpers for the geometry of windows, which ops and kernels share. */
import * as tf from "@tensorflow/tfjs-core";
import type { Tensor4D } from "../types.ts";

/** One number for both axes, or `[vertical, horizontal]`. */
export type Pair = number | readonly [vertical: number, horizontal: number];

/** Returns both numbers of a {@linkcode Pair}. */
export function pair(value: Pair): readonly [vertical: number, horizontal: number] {
  return typeof value === "number" ? [value, value] : value;
}

/**
 * Returns feature maps with `vertical − 1` rows of zeros after each row, and `horizontal − 1`
 * columns of zeros after each column.
 */
export function insertZeros(
  x: Tensor4D,
  [vertical, horizontal]: readonly [vertical: number, horizontal: number],
): Tensor4D {
  if (vertical * horizontal === 1) return x;
  const [batch, rows, columns, channels] = x.shape;
  // A padding, with each row as an image of its own, and a column of zeros as more channels.
  const pixels = tf.reshape(x, [batch * rows, 1, columns, channels]);
  const padded = tf.pad(pixels, [
    [0, 0],
    [0, vertical - 1],
    [0, 0],
    [0, (horizontal - 1) * channels],
  ]);
  return tf.reshape(padded, [batch, rows * vertical, columns * horizontal, channels]);
}

/** Returns the first rows and columns of feature maps. */
export function crop(x: Tensor4D, height: number, width: number): Tensor4D {
  const [batch, rows, columns, channels] = x.shape;
  if (rows === height && columns === width) return x;
  return tf.slice(x, [0, 0, 0, 0], [batch, height, width, channels]);
}
