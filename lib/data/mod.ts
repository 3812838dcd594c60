/** Image sets: reading, downloading, batches, and what is done to images on their way to a model. */
export { Batch, type Batches, batches, type BatchesOptions } from "./batches.ts";
export { type Cifar10, cifar10, type Cifar10Options, cifar10Statistics } from "./cifar10.ts";
export { ImageDataset, type ImageDatasetInit, type Indices } from "./dataset.ts";
export { cacheFolder, download, type DownloadOptions, type DownloadProgress } from "./download.ts";
export { drawnImages } from "./drawn_images.ts";
export { type FashionMnist, fashionMnist, type FashionMnistOptions } from "./fashion_mnist.ts";
export { decodeIdx, encodeIdx, type Idx } from "./idx.ts";
export {
  type AnyChannelsTransform,
  compose,
  normalize,
  randomCrop,
  randomFlip,
  resize,
  type Transform,
} from "./transforms.ts";
