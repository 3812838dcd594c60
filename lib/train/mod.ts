/**
 * Training: the loop `fit`, losses, metrics, optimizers, schedules, and studies of a trained model.
 *
 * {@linkcode fit} trains a model and yields its progress, {@linkcode evaluate} measures it, and
 * {@linkcode predict} uses it.
 *
 * @module
 */
export {
  binaryCrossEntropy,
  type BinaryCrossEntropyOptions,
  crossEntropy,
  type CrossEntropyOptions,
  type Loss,
  meanSquaredError,
} from "./losses.ts";
export { accuracy, type Calibration, calibration, type CalibrationBin } from "./metrics.ts";
export {
  adagrad,
  type AdagradOptions,
  adam,
  type AdamOptions,
  adamW,
  type OptimizerOptions,
  rmsProp,
  type RmsPropOptions,
  sgd,
  type SgdOptions,
} from "./optimizers.ts";
export type {
  Optimizer,
  OptimizerState,
  ParameterGroup,
  ParametersOrGroups,
} from "./rule_optimizer.ts";
export {
  cosine,
  type CosineOptions,
  oneCycle,
  type OneCycleOptions,
  type Schedule,
  stepDecay,
  type StepDecayOptions,
  warmup,
} from "./schedules.ts";
export { gradientNorm } from "./clip.ts";
export { gradientNorms, type GradientNormsOptions, type LayerGradient } from "./gradient_norms.ts";
export type { RunOptions } from "./run.ts";
export { fit } from "./fit.ts";
export * as stages from "./stages/mod.ts";
export type { CsvOptions } from "./stages/csv.ts";
export type { EarlyStoppingOptions, Monitored } from "./stages/early_stopping.ts";
export type { EmaOptions } from "./stages/ema.ts";
export type { LookaheadOptions } from "./stages/lookahead.ts";
export type { TensorBoardOptions } from "./stages/tensor_board.ts";
export type { CheckpointOptions } from "./checkpoint_options.ts";
export type {
  DatasetPace,
  FitOptions,
  GeneratorPace,
  Objective,
  ObjectiveBatch,
  ObjectiveResult,
  OutputsFor,
} from "./fit_options.ts";
export type { BatchGenerator } from "./generator_batches.ts";
export { type DivergenceError } from "./divergence_error.ts";
export type { EpochProgress, History, Progress, StepProgress } from "./progress.ts";
export type { Training } from "./training.ts";
export {
  type ClassScores,
  evaluate,
  type EvaluateOptions,
  type Evaluation,
  type EvaluationFor,
  type LossEvaluation,
} from "./evaluate.ts";
export { predict, type Prediction, type PredictOptions } from "./predict.ts";
export { extractFeatures } from "./features.ts";
export {
  findLearningRate,
  type FindLearningRateOptions,
  type LearningRateSweep,
} from "./learning_rate_finder.ts";
export { type LossSurface, lossSurface, type LossSurfaceOptions } from "./loss_surface.ts";
export type {
  Counted,
  DescribeTargets,
  InputMismatch,
  KnownOptions,
  LossFor,
  LossMissing,
  ModelFor,
  ModuleFor,
  NeedsLoss,
  NoLogits,
  Pace,
  TakesLabels,
  TrainableFor,
  ValidationFor,
  ValidationTargets,
} from "./model_type_checks.ts";
