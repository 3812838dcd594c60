/** The namespace `stages`. The page about them is `../README.md`. */
export { csv } from "./csv.ts";
export { earlyStopping } from "./early_stopping.ts";
export { ema } from "./ema.ts";
export { lookahead } from "./lookahead.ts";
export { tensorBoard } from "./tensor_board.ts";
