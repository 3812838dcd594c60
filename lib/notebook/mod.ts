/**
 * Notebooks: help, tables, live progress, checks, exercises, comparisons, and stored results.
 *
 * These functions are made for cells: they print, display and read environment variables.
 *
 * @module
 */
import "./flush_outputs.ts";
export { check, checkClose, checkEqual, type Numeric } from "./check.ts";
export {
  compareOverSeeds,
  type CompareOverSeedsOptions,
  type Comparison,
  type SeedRow,
} from "./compare.ts";
export { compareNetworks, type CompareNetworksOptions } from "./compare_networks.ts";
export {
  type ComparedNetwork,
  type NetworkComparison,
  type NetworkOutcome,
  type SearchChartOptions,
} from "./network_comparison.ts";
export { errorMessage } from "./errors.ts";
export { type Exercise, exercise, type ExerciseBundle, type ExerciseState } from "./exercise.ts";
export { timeOf, type TimeOfOptions } from "./time_of.ts";
export {
  trainAndEvaluate,
  type TrainAndEvaluateOptions,
  type TrainedModel,
} from "./train_and_evaluate.ts";
export { help, type HelpPage } from "./help.ts";
export { showProgress } from "./progress.ts";
export {
  addToZoo,
  type ShownNetwork,
  type StoredZooNetwork,
  type Zoo,
  type ZooNetwork,
} from "./zoo.ts";
export { byRunScale, type RunScale, runScale } from "./run_scale.ts";
export { cachedExperiment, type Provenance } from "./cached_experiment.ts";
export { type Table, table, type TableOptions } from "./table.ts";
export { type MeanAndInterval, meanAndInterval, type MeanCurve, meanCurve } from "./statistics.ts";
export {
  type TuneChartOptions,
  type Tuned,
  type TunedContestants,
  tuneEach,
  type TuneEachOptions,
} from "./tune_each.ts";
