import { group } from "./group.ts";

/** The place of a process among those that train together. */
export interface Processes {
  /** The number of this process, from 0 to `count - 1`. */
  readonly rank: number;
  /** The number of processes. */
  readonly count: number;
}

/**
 * Returns the place of this process among those that run the program together: a process alone has
 * the rank 0 of 1. {@linkcode fit} needs no such question; what a program writes to other files
 * does, because each process runs all of it.
 *
 * @throws {Error} If the program was started for several processes, and MPI cannot be loaded.
 *
 * @example
 * ```ts
 * import { processes } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const { rank, count } = processes();
 * if (rank === 0) console.log(`trained by ${count}`);
 * assert(rank < count);
 * ```
 */
export function processes(): Processes {
  const { rank = 0, count = 1 } = group() ?? {};
  return { rank, count };
}
