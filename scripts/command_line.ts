/** The start of each script that has options: `--help`, and wrong options with the usage. */

/**
 * Returns what `parse` reads from the command line. With `--help` among the arguments it prints the
 * usage and ends the process; where `parse` throws, it prints the error too.
 */
export function readCommandLine<Options>(
  usage: string,
  parse: () => Options,
  args: readonly string[] = Deno.args,
): Options {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(usage);
    Deno.exit();
  }
  try {
    return parse();
  } catch (error) {
    console.error(`${messageOf(error)}\n\n${usage}`);
    Deno.exit(1);
  }
}

/** Returns the message of an error. Of Node's about an unknown option, the advice is left out. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const isUnknown = "code" in error && error.code === "ERR_PARSE_ARGS_UNKNOWN_OPTION";
  return isUnknown ? error.message.replace(/(\. .*)?$/s, ".") : error.message;
}
