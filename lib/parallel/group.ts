/** The processes that run this program together. */
import { environmentVariable } from "../tensor/internal.ts";
import { type Group, joinMpi } from "./mpi.ts";

let joined: Group | undefined;

/**
 * Returns the group of this process, which it joins at the first call; undefined if it runs alone.
 * A launcher sets `RESNET_LAB_MPI` to the path of MPI's library.
 *
 * @throws {Error} If the library cannot be loaded.
 */
export function group(): Group | undefined {
  const library = environmentVariable("RESNET_LAB_MPI");
  if (library === undefined) return undefined;
  if (!joined) {
    const own = joined = joinMpi(library);
    // After an error the process ends without this, and the launcher ends the others.
    addEventListener("unload", () => {
      if (Deno.exitCode !== 0) return;
      meet(own, "the end of the program");
      own.leave();
    });
  }
  return joined.count > 1 ? joined : undefined;
}

/** The places of a program at which processes meet. */
const PLACES = [
  "the start of a training",
  "a step",
  "an evaluation",
  "the end of the program",
] as const;

/**
 * Waits for all processes, and checks that they are at the same place of the program. Otherwise
 * their next exchange would mix unlike numbers, or wait for ever.
 *
 * @param flag Whether this process says yes.
 * @returns Whether any process says yes.
 * @throws {Error} If another process is at another place.
 */
export function meet(group: Group, place: typeof PLACES[number], flag = false): boolean {
  const seen = new Float64Array(PLACES.length + 1);
  seen[PLACES.indexOf(place)] = 1;
  seen[PLACES.length] = Number(flag);
  group.sum(seen);
  const other = PLACES.find((name, i) => name !== place && seen[i]! > 0);
  if (other === undefined) return seen[PLACES.length]! > 0;
  // The error of the others ends this process too.
  if (place === "the end of the program") return meet(group, place);
  throw new Error(
    `Meeting the other processes: all ${group.count} processes must be at ${place}, found ${
      seen[PLACES.indexOf(other)]
    } at ${other}. All must run the same program on the same data, and may do other things only between trainings.`,
  );
}
