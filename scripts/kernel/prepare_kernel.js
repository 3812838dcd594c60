/**
 * Runs in the inner kernel at its start.
 *
 * It tells the proxy when JavaScript receives Stop, and passes on what lib/tensor/interrupt.ts says
 * about the loops that listen to it. A loop that never ends receives nothing.
 *
 * It tells the proxy of errors in callbacks and of rejected promises that nobody catches. Without a
 * listener, Deno's kernel shows none of them, and a cell that waits for a timer freezes at one.
 *
 * It records for each stack trace which frames lie in cells, and leaves the text of the trace as it
 * is without this file. A stack names every cell `<anonymous>` and ends after 10 frames, which a
 * network fills before the learner's line. Here V8 records 100 frames, and the proxy gives each
 * cell a name by a sourceURL comment. The proxy reads the record, under the text of the trace, when
 * a cell has failed.
 *
 * It has the function with which each cell waits for a turn of the event loop (execution.py).
 */
(() => {
  const recordedFrames = 100, shownFrames = 10;
  const cellName = /^resnet-lab-cell-\d+$/;
  const recorded = new Map();

  /** Returns the text of a frame as Deno writes it. */
  function textOf(site, name) {
    const text = String(site);
    if (cellName.test(name)) return text.replace(name, "<anonymous>");
    // Sites of Node's kind name files by their path, Deno's traces by their URL.
    return name.startsWith("file:") ? text.replace(site.getFileName() ?? name, () => name) : text;
  }

  function prepareStackTrace(error, sites) {
    const read = (property, otherwise) =>
      error[property] === undefined ? otherwise : String(error[property]);
    const header = [read("name", "Error"), read("message", "")].filter((part) => part !== "");
    const frames = sites.map((site) => {
      const name = String(site.getScriptNameOrSourceURL?.() ?? "");
      return { name, text: textOf(site, name), line: site.getLineNumber(), site };
    });
    // A learner may set the limit, and then sees as many frames.
    const shown = Error.stackTraceLimit === recordedFrames ? frames.slice(0, shownFrames) : frames;
    const stack = [header.join(": "), ...shown.map(({ text }) => text)].join("\n    at ");
    // The newest are last.
    recorded.delete(stack);
    recorded.set(stack, {
      frames: frames.filter(({ name }) => cellName.test(name))
        .map(({ name, line, site }) => [name, line, site.getColumnNumber()]),
      library: frames.filter(({ name }) => /^(file|npm|jsr|https?):/.test(name)).length,
      lines: frames.map(({ text }) => `at ${text}`),
    });
    if (recorded.size > 100) recorded.delete(recorded.keys().next().value);
    return stack;
  }

  /** Sends a message to the proxy, at once, also if JavaScript does not pause after it. */
  function tell(kind, content = {}) {
    // An error would keep Stop from the listeners after this one, or would itself be uncaught.
    try {
      Deno.jupyter.broadcast(`resnet_lab_${kind}`, content).catch(() => {});
    } catch {
      return;
    }
  }

  function showUncaught(event, thrown, origin) {
    event.preventDefault();
    try {
      const isError = thrown instanceof Error;
      const name = isError ? String(thrown.name) : "Error";
      const message = isError
        ? String(thrown.message)
        : typeof thrown === "string"
        ? thrown
        : Deno.inspect(thrown);
      const stack = isError ? String(thrown.stack) : `${name}: ${message}`;
      tell("uncaught", { name, message, stack, origin, recorded: recorded.get(stack) ?? null });
    } catch {
      tell("uncaught", { name: "Error", message: "", stack: "", origin, recorded: null });
    }
  }

  Deno.addSignalListener("SIGINT", () => tell("stop_received"));
  globalThis.addEventListener(
    "error",
    (event) => showUncaught(event, event.error, "in a callback"),
  );
  globalThis.addEventListener(
    "unhandledrejection",
    (event) => showUncaught(event, event.reason, "in a promise that nothing awaits"),
  );

  Error.stackTraceLimit = recordedFrames;
  const hidden = { configurable: true, enumerable: false, writable: true };
  Object.defineProperty(Error, "prepareStackTrace", { ...hidden, value: prepareStackTrace });
  Object.defineProperty(globalThis, Symbol.for("resnet-lab.stacks"), {
    ...hidden,
    value: recorded,
  });
  Object.defineProperty(globalThis, Symbol.for("resnet-lab.tell"), { ...hidden, value: tell });
  const { setImmediate } = globalThis;
  Object.defineProperty(globalThis, Symbol.for("resnet-lab.turn"), {
    ...hidden,
    value: () => new Promise((resolve) => setImmediate(() => resolve({}))),
  });
})();
