/**
 * Keeps the outputs of a cell with their cell. The kernel of Deno 2.9 may say that a cell is done while its last outputs are still
 * on their way; Jupyter then drops them, or shows them under the next cell (seen for a fifth of short cells). After every cell the
 * kernel calls `broadcastResult` and waits for it, so a short pause there lets all outputs through; 30 ms are enough for 3 MB.
 */
import { setTimeout } from "node:timers/promises";

const pause = 30;

interface Internals {
  jupyter?: { broadcastResult?: (executionCount: number, result: unknown) => Promise<void> };
}
const internals: Internals = Reflect.get(Deno, Reflect.get(Deno, "internal")) ?? {};
const { jupyter } = internals;
const broadcastResult = jupyter?.broadcastResult;

// Only a kernel has it; elsewhere there is nothing to keep together.
if (jupyter && broadcastResult) {
  jupyter.broadcastResult = async (executionCount, result) => {
    await broadcastResult(executionCount, result);
    await setTimeout(pause);
  };
}
