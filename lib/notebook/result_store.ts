/**
 * What notebooks keep in data/: the only files that they write in the project, and only when told
 * to.
 */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { writeTextAtomicallySync } from "../data/files.ts";

/**
 * Whether the notebook is executed with `deno task run --write`, which sets this environment
 * variable.
 */
export function isKeeping(): boolean {
  return Deno.env.get("RESNET_LAB_WRITE") === "1";
}

/**
 * The JSON that a file keeps, or `empty` where there is nothing yet.
 *
 * @throws {RangeError} If it is not JSON, or an array where an object belongs or the other way
 * round.
 */
export function readKept<Value extends object>(file: URL, empty: Value): Value {
  const text = existsSync(file) ? Deno.readTextFileSync(file) : "";
  // changeKept makes an empty file first.
  if (text === "") return empty;
  const wanted = Array.isArray(empty) ? "an array" : "an object";
  let why = `another kind of value than ${wanted}`;
  try {
    const value = JSON.parse(text);
    const isWanted = typeof value === "object" && value !== null &&
      Array.isArray(value) === Array.isArray(empty);
    if (isWanted) return value;
  } catch (error) {
    why = error instanceof Error ? error.message : String(error);
  }
  throw new RangeError(
    `Reading data/${basename(fileURLToPath(file))}: the file must be JSON that holds ${wanted}, ` +
      `found ${why}. Restore it with git checkout, or delete it to measure anew.`,
  );
}

/**
 * Changes the JSON that a file keeps. Others who do the same wait meanwhile, so that no change is
 * lost, and a reader finds what was there before or after, never a part.
 *
 * @param change From what is kept to what is kept from now on.
 */
export function changeKept<Value extends object>(
  file: URL,
  empty: Value,
  change: (kept: Value) => Value,
  space?: number,
): void {
  using _ = locked(file);
  const json = JSON.stringify(change(readKept(file, empty)), null, space);
  writeTextAtomicallySync(fileURLToPath(file), json + "\n");
}

/** The file, locked until its handle is closed, also by the end of the process. */
function locked(file: URL): Deno.FsFile {
  while (true) {
    const handle = Deno.openSync(file, { read: true, write: true, create: true });
    handle.lockSync(true);
    // While this one waited another may have put a new file in its place.
    if (existsSync(file) && Deno.statSync(file).ino === handle.statSync().ino) return handle;
    handle.close();
  }
}
