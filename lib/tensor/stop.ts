/**
 * Stop: the button of Jupyter, or Ctrl-C in a terminal. Both arrive as SIGINT, which ends a Deno process, and with it every
 * variable of a notebook, unless something listens.
 *
 * In a kernel this file listens from its import on, for good: users expect of Stop that it ends the cell and never the kernel, also
 * between two loops and in a cell that has none. In a terminal it listens only from a {@linkcode stopSignal} to the next Ctrl-C.
 */

/** What the next Stop ends. */
const waiting = new Set<AbortController>();

/** What all callers of {@linkcode stopSignal} have got since the last Stop. */
let shared: AbortController | undefined;

const inKernel = (() => {
  try {
    return Deno.jupyter !== undefined;
  } catch { // Deno refuses it everywhere else.
    return false;
  }
})();

/** Jupyter sends SIGINT also when it is about to end the kernel; then a word about Stop would be out of place. */
const hintDelay = 500;

function onInterrupt(): void {
  if (waiting.size === 0) {
    setTimeout(() => {
      console.warn(
        "Stop found no loop that listens, so what runs goes on; restart the kernel to end it. " +
          "fit, evaluate, download, imageFolder and loops that look at stopSignal() listen.",
      );
    }, hintDelay);
  }
  for (const controller of waiting) {
    controller.abort(new DOMException("Stopped", "AbortError"));
  }
  waiting.clear();
  if (!inKernel) Deno.removeSignalListener("SIGINT", onInterrupt);
}

if (inKernel) Deno.addSignalListener("SIGINT", onInterrupt);

/**
 * A signal that fires at the next Stop in Jupyter, or the next Ctrl-C in a terminal, for a loop of your own; in a notebook
 * {@linkcode fit} and {@linkcode evaluate} stop without it.
 *
 * The loop looks at `signal.aborted` and waits for a timer, however short, at each step, because JavaScript hears of Stop only
 * then. The kernel and its variables stay. In a terminal a second Ctrl-C ends the process.
 *
 * @example
 * ```ts
 * import { stopSignal } from "resnet-lab";
 * import { setTimeout } from "node:timers/promises";
 * import assert from "node:assert/strict";
 *
 * const signal = stopSignal();
 * let sum = 0;
 * for (let step = 1; step <= 10 && !signal.aborted; step++) {
 *   sum += step;
 *   await setTimeout(0);
 * }
 * assert.equal(sum, 55); // nobody pressed Stop
 * ```
 */
export function stopSignal(): AbortSignal {
  if (!shared || shared.signal.aborted) {
    shared = new AbortController();
    waiting.add(shared);
    if (!inKernel) Deno.addSignalListener("SIGINT", onInterrupt);
  }
  return shared.signal;
}

/** `signal` for the time of one loop, which in a kernel ends at Stop too. */
export function orStop(signal?: AbortSignal): Disposable & { readonly signal?: AbortSignal } {
  if (!inKernel) return { signal, [Symbol.dispose]() {} };
  const controller = new AbortController();
  waiting.add(controller);
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    [Symbol.dispose]: () => void waiting.delete(controller),
  };
}
