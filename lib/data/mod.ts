/**
 * Data: image data sets, downloads, image folders, batches, transforms and augmentation.
 *
 * A data set holds its images as bytes. {@linkcode normalize} and the other transforms prepare a
 * batch for a model; augmentation changes training images at random.
 *
 * @module
 */
export * as augmentation from "./augmentation.ts";
export type { ColorJitterOptions, RandomResizedCropOptions } from "./augmentation.ts";
export {
  type AsyncBatches,
  type Batch,
  type Batches,
  batches,
  type BatchesOptions,
} from "./batches.ts";
export { catsAndDogs, type CatsAndDogsOptions } from "./cats_and_dogs.ts";
export { type Cifar10, cifar10, type Cifar10Options } from "./cifar10.ts";
export { type ClassNumbers, ImageDataset, type ImageDatasetInit, type Indices } from "./dataset.ts";
export type { Dataset, Examples } from "./examples.ts";
export { type DownloadOptions, type DownloadProgress } from "./download.ts";
export { syntheticImages, type SyntheticImagesOptions } from "./synthetic_images.ts";
export { type FashionMnist, fashionMnist, type FashionMnistOptions } from "./fashion_mnist.ts";
export {
  type ImageFolder,
  imageFolder,
  type ImageFolderOptions,
  type ImageFolderProgress,
  type LazyImageFolder,
  type SkippedFile,
} from "./image_folder.ts";
export type { LazyImageDataset } from "./lazy_images.ts";
export type { ReadImageOptions } from "./decode.ts";
export { readImage } from "./read_image.ts";
export {
  type AnyChannelsTransform,
  compose,
  type FirstChannels,
  type InputTransform,
  type LastChannels,
  normalize,
  resize,
  type SomeTransform,
  type Transform,
  type TransformChain,
} from "./transforms.ts";
