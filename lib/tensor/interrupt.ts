/**
 * Stop: the button of Jupyter, or Ctrl-C in a terminal. Both send SIGINT. Without a listener it
 * ends the Deno process, and with it every variable of a notebook.
 *
 * In a kernel this file listens from its import on, permanently: users expect that Stop ends the
 * cell and never the kernel, also between two loops and in a cell without a loop. In a terminal it
 * listens only from a call of {@linkcode interruptSignal} to the next Ctrl-C.
 */

/** The loops that run. The next Stop ends them. */
const waiting = new Set<AbortController>();

/**
 * The loops that are suspended until their caller asks for more, which may never happen. After a
 * Stop they end when they are asked.
 */
const resting = new Set<WeakRef<AbortController>>();

/**
 * The controller of the signal that all callers of {@linkcode interruptSignal} share until the next
 * Stop.
 */
let shared: AbortController | undefined;

/** The number of times that a Stop was noticed. */
let noticed = 0;

/** Whether this file listens permanently, as in a kernel. */
let inKernel = false;

/**
 * Delay in milliseconds before the hint, after a Stop that nothing noticed. Jupyter also sends
 * SIGINT when it is about to end the kernel, where the hint would be out of place.
 */
const hintDelay = 500;

function onInterrupt(): void {
  if (inKernel && waiting.size === 0) {
    const before = noticed;
    setTimeout(() => {
      if (noticed !== before) return;
      console.warn(
        "Stop found no loop that listens, so what runs goes on; after 30 s the kernel ends it. " +
          "fit, evaluate, download, imageFolder and loops that look at interruptSignal() listen.",
      );
    }, hintDelay);
  }
  for (const controller of [...waiting, ...[...resting].map((loop) => loop.deref()), shared]) {
    controller?.abort(new DOMException("Stopped", "AbortError"));
  }
  waiting.clear();
  resting.clear();
  // A second abort would read the signal, which counts as noticing the Stop.
  shared = undefined;
  if (!inKernel) Deno.removeSignalListener("SIGINT", onInterrupt);
}

/** Listens for Stop permanently, as in a kernel. */
export function listenForInterrupt(): void {
  inKernel = true;
  Deno.addSignalListener("SIGINT", onInterrupt);
}

try {
  if (Deno.jupyter !== undefined) listenForInterrupt();
} catch {
  // Outside a kernel, reading Deno.jupyter throws.
}

/**
 * Returns a signal that fires at the next Stop in Jupyter, or the next Ctrl-C in a terminal, for a
 * loop of your own. In a notebook {@linkcode fit} and {@linkcode evaluate} stop without it.
 *
 * At each step the loop must read `signal.aborted` and await a timer, however short, because
 * JavaScript learns of Stop only then. The kernel and its variables stay. In a terminal a second
 * Ctrl-C ends the process.
 *
 * @example
 * ```ts
 * import { interruptSignal } from "resnet-lab";
 * import { setTimeout } from "node:timers/promises";
 * import assert from "node:assert/strict";
 *
 * const signal = interruptSignal();
 * let sum = 0;
 * for (let step = 1; step <= 10 && !signal.aborted; step++) {
 *   sum += step;
 *   await setTimeout(0);
 * }
 * assert.equal(sum, 55); // nobody pressed Stop
 * ```
 */
export function interruptSignal(): AbortSignal {
  if (!shared) {
    shared = new AbortController();
    if (inKernel) countNotices(shared.signal);
    else Deno.addSignalListener("SIGINT", onInterrupt);
  }
  return shared.signal;
}

/** Counts a Stop as noticed when the aborted signal is read, or calls a listener. */
function countNotices(signal: AbortSignal): void {
  const count = () => void noticed++;
  const { addEventListener } = signal;
  const isAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!.get!;
  Object.defineProperties(signal, {
    aborted: {
      get() {
        const aborted: boolean = isAborted.call(signal);
        if (aborted) count();
        return aborted;
      },
    },
    addEventListener: {
      value(...parameters: Parameters<typeof addEventListener>) {
        addEventListener.call(signal, "abort", count);
        addEventListener.apply(signal, parameters);
      },
    },
  });
}

/** The listener for Stop of one loop. */
export interface InterruptListener extends Disposable {
  /** Fires when the signal of the loop fires, and in a kernel at Stop. */
  readonly signal?: AbortSignal;
  /**
   * Marks the loop as suspended: it may never be continued. A Stop in the meantime ends it only
   * when it is continued.
   */
  rest(): void;
  /** Marks the loop as running again. */
  wake(): void;
}

/** Links the signal of a loop with Stop, while the loop runs. */
export function linkInterrupt(signal?: AbortSignal): InterruptListener {
  if (!inKernel) return { signal, rest() {}, wake() {}, [Symbol.dispose]() {} };
  const controller = new AbortController();
  const reference = new WeakRef(controller);
  const dispose = () => {
    waiting.delete(controller);
    resting.delete(reference);
  };
  waiting.add(controller);
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    rest() {
      dispose();
      if (!controller.signal.aborted) resting.add(reference);
    },
    wake() {
      dispose();
      if (controller.signal.aborted) noticed++;
      else waiting.add(controller);
    },
    [Symbol.dispose]: dispose,
  };
}
