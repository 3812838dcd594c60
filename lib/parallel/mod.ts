/**
 * Several processes: data-parallel training, and sweeps over settings and seeds.
 *
 * `deno task parallel -n 4 train.ts` runs a program in four processes, and {@linkcode fit} in it
 * shares each batch among them. `deno task sweep settings.ts` runs the runs of a
 * {@linkcode Sweep}, each in a process of its own.
 *
 * @module
 */
export { type Processes, processes } from "./processes.ts";
export type { Sweep, SweepRun } from "./sweep.ts";
