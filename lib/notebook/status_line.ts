/** A line of text that each update replaces: an output of the cell, or the line of a terminal. */

/** Shows a line in place of the one before; the line that is `last` stays. */
export type StatusLine = (line: string, last?: boolean) => Promise<void>;

/** Returns the line of a notebook or a terminal; a file or a pipe gets the last line only. */
export function statusLine(): StatusLine {
  try {
    return jupyterStatusLine(Deno.jupyter);
  } catch { // Deno.jupyter throws outside of a kernel.
    if (!Deno.stdout.isTerminal()) {
      return (line, last) => Promise.resolve(last ? console.log(line) : undefined);
    }
    return (line, last) => {
      const shown = line.slice(0, Deno.consoleSize().columns - 1);
      Deno.stdout.writeSync(new TextEncoder().encode(`\r\x1b[K${shown}${last ? "\n" : ""}`));
      return Promise.resolve();
    };
  }
}

/** One output of a cell. */
function jupyterStatusLine(jupyter: Pick<typeof Deno.jupyter, "display">): StatusLine {
  const display_id = crypto.randomUUID();
  let isShown = false;
  return async (line) => {
    const update = isShown;
    isShown = true;
    await jupyter.display({ "text/plain": line }, { display_id, update, raw: true });
  };
}
