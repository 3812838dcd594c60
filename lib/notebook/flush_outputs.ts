/**
 * Shows every output under the cell that made it. Deno 2.9's kernel can report that a cell is done
 * before it has sent the cell's last outputs. Jupyter then drops them, or shows them under the next
 * cell; this happened to a fifth of short cells. After every cell the kernel calls
 * `broadcastResult` and waits for it, so a short pause there lets all outputs through. 30 ms is
 * enough for 3 MB.
 */
import { setTimeout } from "node:timers/promises";

const PAUSE_MS = 30;

interface Internals {
  jupyter?: { broadcastResult?: (executionCount: number, result: unknown) => Promise<void> };
}
const internals: Internals = Reflect.get(Deno, Reflect.get(Deno, "internal")) ?? {};
const { jupyter } = internals;
const broadcastResult = jupyter?.broadcastResult;

// Outside a kernel there is no `broadcastResult`.
if (jupyter && broadcastResult) {
  jupyter.broadcastResult = async (executionCount, result) => {
    await broadcastResult(executionCount, result);
    await setTimeout(PAUSE_MS);
  };
}
