/** Exports that the other rooms of lib share, and that are not public. */
export { type BatchMaker, batchMaker, type BatchOrder, transformed } from "./batches.ts";
export { areLabels, checkDataset, checkExamples } from "./examples.ts";
export { LoadAhead, unlessAborted } from "./load_ahead.ts";
export { cacheFolder, download } from "./download.ts";
export {
  bindDataset,
  bindTrainingData,
  imageFormOf,
  type TrainingData,
  trainingDataFrom,
  trainingDataOf,
} from "./training_data.ts";
export { CLASS_NAMES as fashionMnistClasses } from "./fashion_mnist.ts";
export { decodeIdx, encodeIdx, type Idx } from "./idx.ts";
export { bindTransform, modelsWithTransform, transformOf } from "./model_transform.ts";
export { applyTransform, describeTransform, transformFrom } from "./transforms.ts";
