/** The loop of a system in Deno; peers/serve.py is the same in Python. */
import { stdin } from "node:process";
import { createInterface } from "node:readline";
import type { Task, Workload } from "./workloads.ts";

/** Reads the workload on the command line, and the flags after it. */
export function parseArguments(): { workload: Workload; flags: readonly string[] } {
  const [workload, ...flags] = Deno.args;
  return { workload: JSON.parse(workload!), flags };
}

/** Functions that prepare a task. They return a function that runs a number of its steps. */
export type Tasks = Partial<Record<Task, () => (steps: number) => void | Promise<void>>>;

/**
 * Reads lines such as `train 3`, runs as many steps of that task, and answers each line with the
 * time as JSON. A task is prepared at its first line.
 */
export async function serve(version: string, tasks: Tasks, parameters: () => number) {
  const prepared: Partial<Record<string, (steps: number) => void | Promise<void>>> = {};
  for await (const line of createInterface({ input: stdin })) {
    const [task, steps] = line.split(" ") as [Task, string];
    const run = prepared[task] ??= tasks[task]!();
    const start = performance.now();
    await run(Number(steps));
    const seconds = (performance.now() - start) / 1000;
    console.log(JSON.stringify({ seconds, parameters: parameters(), version }));
  }
}
