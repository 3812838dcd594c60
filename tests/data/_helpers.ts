/** Images for the tests of transforms. */
import { type Images, ops } from "resnet-lab";

/**
 * Returns `batch` images of the whole numbers from 1 on, so that all pixels of all images differ.
 */
export function distinct(batch: number, height: number, width: number, channels: number): Images {
  const values = Float32Array.from({ length: batch * height * width * channels }, (_, i) => i + 1);
  return ops.tensor(values, [batch, height, width, channels]);
}
