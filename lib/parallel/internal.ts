/** Exports that the other rooms of lib share, and that are not public. */
export { group, meet } from "./group.ts";
export type { Group } from "./mpi.ts";
