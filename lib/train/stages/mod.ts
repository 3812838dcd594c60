/**
 * Stages: trainings around a training, for early stopping, averages of weights, and logs. The page
 * about them is `lib/train/README.md`; `help(stages.csv)` documents one of them.
 *
 * @module
 */
export { csv } from "./csv.ts";
export { earlyStopping } from "./early_stopping.ts";
export { ema } from "./ema.ts";
export { lookahead } from "./lookahead.ts";
export { tensorBoard } from "./tensor_board.ts";
