/** Programs in several processes, and what they wrote. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../../scripts/environment.ts";
import { environment, paths, root } from "../_project.ts";

/** Whether "deno task setup --parallel" has run. Tests with several processes need MPI. */
export const hasMpi = exists(paths.mpiexec);
if (!hasMpi) {
  console.warn('Tests on several processes are ignored: run "deno task setup --parallel".');
}

/** The end of a program. */
export interface Ended {
  readonly success: boolean;
  readonly output: string;
  /** The time, as of Date.now(). */
  readonly ended: number;
}

/** Runs cases of program.ts in several processes, as `deno task parallel` does. */
export async function runInProcesses(
  count: number,
  folder: string,
  ...cases: string[]
): Promise<Ended> {
  const { success, stdout, stderr } = await new Deno.Command(environment.deno, {
    args: [
      ...["run", "-A", join(root, "scripts", "parallel.ts"), "-n", String(count)],
      ...[join(import.meta.dirname!, "program.ts"), folder, ...cases],
    ],
    env: { TF_NUM_INTRAOP_THREADS: "1", NO_COLOR: "1" },
  }).output();
  const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
  return { success, output: `${out}${error}`, ended: Date.now() };
}

/** Runs cases to their end, and returns what each process wrote. */
export async function resultsOf(
  count: number,
  ...cases: string[]
): Promise<Readonly<Record<string, unknown>>[]> {
  const folder = await Deno.makeTempDir();
  try {
    const { success, output } = await runInProcesses(count, folder, ...cases);
    assert(success, output);
    // Only process 0 prints. Deno may say on standard error that it waits for a lock.
    const finished = output.match(/process \d+ of \d+ has finished/g);
    assert.deepEqual(finished, [`process 0 of ${count} has finished`]);
    return Array.from(
      { length: count },
      (_, rank) => JSON.parse(Deno.readTextFileSync(join(folder, `${rank}.json`))),
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** The norm of the difference of two vectors, relative to that of the second. */
export function relativeDifference(a: readonly number[], b: readonly number[]): number {
  assert.equal(a.length, b.length);
  const norm = (x: readonly number[]) => Math.sqrt(x.reduce((sum, value) => sum + value ** 2, 0));
  return norm(a.map((value, i) => value - b[i]!)) / norm(b);
}
