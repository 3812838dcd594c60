/** Images for the tests of what is done to them. */
import { type Images, ops } from "resnet-lab";

/**
 * `batch` images of different whole numbers from 1 on: every pixel of every image is unlike all
 * others.
 */
export function distinct(batch: number, height: number, width: number, channels: number): Images {
  const values = Float32Array.from({ length: batch * height * width * channels }, (_, i) => i + 1);
  return ops.tensor(values, [batch, height, width, channels]);
}
