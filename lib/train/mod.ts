/**
 * Training: the loop `fit`, losses, metrics, optimizers, schedules, and studies of a trained model.
 *
 * {@linkcode fit} trains a model and yields its progress, {@linkcode evaluate} measures it.
 *
 * @module
 */
export { crossEntropy, type CrossEntropyOptions, type Loss, meanSquaredError } from "./losses.ts";
export {
  accuracy,
  type Calibration,
  calibration,
  type CalibrationBin,
  confusionMatrix,
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type InferenceOptions,
} from "./metrics.ts";
export {
  adagrad,
  type AdagradOptions,
  adam,
  type AdamOptions,
  adamW,
  type Optimizer,
  type OptimizerOptions,
  type ParameterGroup,
  type ParametersOrGroups,
  rmsProp,
  type RmsPropOptions,
  sgd,
  type SgdOptions,
} from "./optimizers.ts";
export { cosine, oneCycle, type Schedule, stepDecay, warmup } from "./schedules.ts";
export { clipGradients, gradientNorm } from "./clip.ts";
export {
  DivergenceError,
  type EpochProgress,
  fit,
  type FitOptions,
  type Progress,
  type StepProgress,
} from "./fit.ts";
export { Training } from "./training.ts";
export { extractFeatures } from "./features.ts";
export { collectHistory, type History } from "./history.ts";
export {
  findLearningRate,
  type FindLearningRateOptions,
  type LearningRateSweep,
} from "./learning_rate_finder.ts";
export { type LossSurface, lossSurface, type LossSurfaceOptions } from "./loss_surface.ts";
