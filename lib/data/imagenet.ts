/**
 * Mean and standard deviation of the red, green and blue of ImageNet's training images, for pixels
 * from 0 to 1; the options of {@linkcode normalize}. Networks pretrained on ImageNet expect images
 * normalized with them.
 *
 * These are the figures of torchvision's models
 * (torchvision.transforms._presets.ImageClassification); timm uses them as well. At test time the
 * shorter side of an image is resized to 256, and the middle 224 × 224 pixels are cut out, as
 * {@linkcode imageFolder} does with `{ size: [224, 224], shorterSide: 256 }`. Then the image is
 * normalized.
 *
 * @example
 * ```ts
 * import { imagenetStatistics, normalize, ops, Random } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const average = ops.tensor(imagenetStatistics.mean, [1, 1, 1, 3]);
 * const normalized = normalize(imagenetStatistics)(average, new Random(0));
 * assert.deepEqual([...normalized.dataSync()], [0, 0, 0]);
 * ```
 */
export const imagenetStatistics = {
  mean: [0.485, 0.456, 0.406],
  standardDeviation: [0.229, 0.224, 0.225],
} as const;
