/**
 * Stop: the button of Jupyter, or Ctrl-C in a terminal. Both arrive as SIGINT, which ends a Deno
 * process, and with it every variable of a notebook, unless something listens.
 *
 * In a kernel this file listens from its import on, for good: users expect of Stop that it ends the
 * cell and never the kernel, also between two loops and in a cell that has none. In a terminal it
 * listens only from a {@linkcode interruptSignal} to the next Ctrl-C.
 */

/** The loops that run, which the next Stop ends. */
const waiting = new Set<AbortController>();

/**
 * The loops that wait until someone asks for more, which the next Stop ends if they are asked.
 * Nobody may ever ask.
 */
const paused = new Set<WeakRef<AbortController>>();

/**
 * The controller of the signal that all callers of {@linkcode interruptSignal} share until the next
 * Stop.
 */
let shared: AbortController | undefined;

/** How often something has noticed a Stop after it came. */
let answers = 0;

/** Whether it listens for good, as in a kernel. */
let inKernel = false;

/**
 * Jupyter sends SIGINT also when it is about to end the kernel; then a word about Stop would be out
 * of place.
 */
const hintDelay = 500;

function onInterrupt(): void {
  if (inKernel && waiting.size === 0) {
    const before = answers;
    setTimeout(() => {
      if (answers !== before) return;
      console.warn(
        "Stop found no loop that listens, so what runs goes on; restart the kernel to end it. " +
          "fit, evaluate, download, imageFolder and loops that look at interruptSignal() listen.",
      );
    }, hintDelay);
  }
  for (const controller of [...waiting, ...[...paused].map((loop) => loop.deref()), shared]) {
    controller?.abort(new DOMException("Stopped", "AbortError"));
  }
  waiting.clear();
  paused.clear();
  // To abort it again would look at it, and so count as an answer.
  shared = undefined;
  if (!inKernel) Deno.removeSignalListener("SIGINT", onInterrupt);
}

/** Listens for Stop from now on, as in a kernel. */
export function listenForInterrupt(): void {
  inKernel = true;
  Deno.addSignalListener("SIGINT", onInterrupt);
}

try {
  if (Deno.jupyter !== undefined) listenForInterrupt();
} catch {
  // Deno refuses it everywhere else.
}

/**
 * A signal that fires at the next Stop in Jupyter, or the next Ctrl-C in a terminal, for a loop of
 * your own; in a notebook {@linkcode fit} and {@linkcode evaluate} stop without it.
 *
 * The loop looks at `signal.aborted` and waits for a timer, however short, at each step, because
 * JavaScript hears of Stop only then. The kernel and its variables stay. In a terminal a second
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
    if (inKernel) noteAnswers(shared.signal);
    else Deno.addSignalListener("SIGINT", onInterrupt);
  }
  return shared.signal;
}

/** Counts it as an answer to Stop that someone looks at the signal, or has asked to be told. */
function noteAnswers(signal: AbortSignal): void {
  const note = () => void answers++;
  const { addEventListener } = signal;
  const isAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!.get!;
  Object.defineProperties(signal, {
    aborted: {
      get() {
        const aborted: boolean = isAborted.call(signal);
        if (aborted) note();
        return aborted;
      },
    },
    addEventListener: {
      value(...parameters: Parameters<typeof addEventListener>) {
        addEventListener.call(signal, "abort", note);
        addEventListener.apply(signal, parameters);
      },
    },
  });
}

/** Tells one loop whether to go on. */
export interface InterruptListener extends Disposable {
  /** Fires at the signal that the loop was given, and in a kernel at Stop. */
  readonly signal?: AbortSignal;
  /**
   * Says that nobody may be waiting for the loop now: a Stop that comes meanwhile ends it if it
   * goes on, and nothing else does.
   */
  rest(): void;
  /** Says that the loop goes on. */
  wake(): void;
}

/** `signal` for the time of one loop, which in a kernel ends at Stop too. */
export function linkInterrupt(signal?: AbortSignal): InterruptListener {
  if (!inKernel) return { signal, rest() {}, wake() {}, [Symbol.dispose]() {} };
  const controller = new AbortController();
  const resting = new WeakRef(controller);
  const dispose = () => {
    waiting.delete(controller);
    paused.delete(resting);
  };
  waiting.add(controller);
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    rest() {
      dispose();
      if (!controller.signal.aborted) paused.add(resting);
    },
    wake() {
      dispose();
      if (controller.signal.aborted) answers++;
      else waiting.add(controller);
    },
    [Symbol.dispose]: dispose,
  };
}
