/**
 * Mean and standard deviation of the red, green and blue of ImageNet's training images, pixels from 0 to 1: what `normalize` takes,
 * and what networks pretrained on ImageNet expect.
 *
 * They are the figures of torchvision's models (torchvision.transforms._presets.ImageClassification), which timm uses as well. At
 * test time these networks see images whose shorter side is resized to 256, cut to 224 × 224 around the middle, as {@linkcode
 * imageFolder} does with `{ size: [224, 224], shorterSide: 256 }`, and then normalized.
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
