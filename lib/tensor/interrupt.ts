/**
 * Stop, the button of Jupyter, sends SIGINT. Without a listener it ends the Deno process, and with
 * it every variable of a notebook.
 *
 * In a kernel this file listens from its import on, permanently: users expect that Stop ends the
 * cell and never the kernel, also between two loops and in a cell without a loop. Elsewhere it does
 * not listen, and Ctrl-C ends the process.
 */

import { isInKernel, onInterrupt } from "./platform.ts";

/** The loops that run. The next Stop ends them. */
const waiting = new Set<AbortController>();

/**
 * The loops that are suspended until their caller asks for more, which may never happen. After a
 * Stop they end when they are asked.
 */
const resting = new Set<WeakRef<AbortController>>();

/** Whether this file listens permanently, as in a kernel. */
let inKernel = false;

/** Tells the kernel's proxy, scripts/kernel, what listens to Stop: it ends a cell that does not. */
function tell(kind: "listens" | "stop_noticed", content: Record<string, unknown>): void {
  const send = Reflect.get(globalThis, Symbol.for("resnet-lab.tell"));
  if (typeof send === "function") send(kind, content);
}

/** The result of {@linkcode doesListen} that the proxy received last. */
let toldListens = false;

/** Whether a loop that runs or rests would notice the next Stop. */
function doesListen(): boolean {
  return waiting.size > 0 || [...resting].some((loop) => loop.deref());
}

/** Tells the proxy if {@linkcode doesListen} has changed. */
function tellListens(): void {
  if (doesListen() && !toldListens) {
    toldListens = true;
    tell("listens", { listens: true });
  } else if (!doesListen() && toldListens) {
    // The proxy hears once of many short loops in a row, such as calls of evaluate.
    setTimeout(() => {
      if (doesListen() || !toldListens) return;
      toldListens = false;
      tell("listens", { listens: false });
    });
  }
}

/** Tells the proxy that the cell knows of Stop, and will end. */
function noticed(): void {
  tell("stop_noticed", {});
}

function stop(): void {
  if (waiting.size > 0) noticed();
  for (const controller of [...waiting, ...[...resting].map((loop) => loop.deref())]) {
    controller?.abort(new DOMException("Stopped", "AbortError"));
  }
  waiting.clear();
  resting.clear();
  tellListens();
}

/** Listens for Stop permanently, as in a kernel. */
export function listenForInterrupt(): void {
  inKernel = true;
  onInterrupt(stop);
}

if (isInKernel()) listenForInterrupt();

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
    tellListens();
  };
  waiting.add(controller);
  tellListens();
  return {
    signal: signal ? AbortSignal.any([signal, controller.signal]) : controller.signal,
    rest() {
      waiting.delete(controller);
      if (!controller.signal.aborted) resting.add(reference);
      tellListens();
    },
    wake() {
      resting.delete(reference);
      if (controller.signal.aborted) noticed();
      else waiting.add(controller);
      tellListens();
    },
    [Symbol.dispose]: dispose,
  };
}
