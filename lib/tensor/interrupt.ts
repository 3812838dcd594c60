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
  return waiting.size > 0 || shared !== undefined || [...resting].some((loop) => loop.deref());
}

/** Tells the proxy if {@linkcode doesListen} has changed. */
function tellListens(): void {
  if (!inKernel) return;
  if (doesListen() && !toldListens) {
    toldListens = true;
    tell("listens", { listens: true });
  } else if (!doesListen() && toldListens) {
    // Of many short loops in a row, such as calls of evaluate, it hears once.
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

function onInterrupt(): void {
  if (inKernel && waiting.size > 0) noticed();
  for (const controller of [...waiting, ...[...resting].map((loop) => loop.deref()), shared]) {
    controller?.abort(new DOMException("Stopped", "AbortError"));
  }
  waiting.clear();
  resting.clear();
  // A second abort would read the signal, which counts as noticing the Stop.
  shared = undefined;
  if (!inKernel) Deno.removeSignalListener("SIGINT", onInterrupt);
  tellListens();
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
 */
export function interruptSignal(): AbortSignal {
  if (!shared) {
    shared = new AbortController();
    tellListens();
    if (inKernel) watchNotices(shared.signal);
    else Deno.addSignalListener("SIGINT", onInterrupt);
  }
  return shared.signal;
}

/** Takes a Stop as noticed when the aborted signal is read, or calls a listener. */
function watchNotices(signal: AbortSignal): void {
  let isNoticed = false;
  const notice = () => {
    if (!isNoticed) noticed();
    isNoticed = true;
  };
  const { addEventListener } = signal;
  const isAborted = Object.getOwnPropertyDescriptor(AbortSignal.prototype, "aborted")!.get!;
  Object.defineProperties(signal, {
    aborted: {
      get() {
        const aborted: boolean = isAborted.call(signal);
        if (aborted) notice();
        return aborted;
      },
    },
    addEventListener: {
      value(...parameters: Parameters<typeof addEventListener>) {
        addEventListener.call(signal, "abort", notice);
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
