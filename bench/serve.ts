/** The half of a bench that a system in Deno runs; peers/serve.py is the same in Python. */
import { stdin } from "node:process";
import { createInterface } from "node:readline";
import type { Task, Work } from "./works.ts";

/** The work on the command line, and the words after it. */
export function given(): { work: Work; words: readonly string[] } {
  const [work, ...words] = Deno.args;
  return { work: JSON.parse(work!), words };
}

/** How to make a task ready; what comes back does a number of its steps. */
export type Tasks = Partial<Record<Task, () => (steps: number) => void | Promise<void>>>;

/**
 * Reads lines such as `train 3` until there are no more, does as many steps of that task, and
 * answers each with a line of JSON: how long they took. A task is made ready when it is first asked
 * for.
 */
export async function serve(version: string, tasks: Tasks, parameters: () => number) {
  const ready: Partial<Record<string, (steps: number) => void | Promise<void>>> = {};
  for await (const line of createInterface({ input: stdin })) {
    const [task, steps] = line.split(" ") as [Task, string];
    const run = ready[task] ??= tasks[task]!();
    const start = performance.now();
    await run(Number(steps));
    const seconds = (performance.now() - start) / 1000;
    console.log(JSON.stringify({ seconds, parameters: parameters(), version }));
  }
}
