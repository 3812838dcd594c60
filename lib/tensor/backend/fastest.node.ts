import type { FastestBackend } from "./types.ts";

/** Node and Bun have no backend that is faster than WebAssembly. */
export function prepareFastest(_isChosen: boolean): Promise<FastestBackend> {
  return Promise.resolve({ failure: {} });
}
