/**
 * Storage of results in data/. These are the only files of the project that notebooks write, and
 * they write them only with `deno task run --write` or `RESNET_LAB_WRITE=1`.
 */
import { existsSync } from "node:fs";
import { cpus } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { writeTextAtomicallySync } from "../data/files.ts";
import { projectFolder } from "../tensor/installation.ts";

/** Whether results are stored. `deno task run --write` sets this environment variable. */
export function isWriting(): boolean {
  return Deno.env.get("RESNET_LAB_WRITE") === "1";
}

/** Returns the file of stored results with this name. */
export function storeOf(name: string): URL {
  return pathToFileURL(join(projectFolder(), "data", `${name}.json`));
}

/**
 * Returns the name of this machine's processors, to store with measurements:
 * `2 × Intel(R) Xeon(R) Processor`. Without the permission `--allow-sys` they are unknown.
 */
export function processorName(): string {
  let model: string | undefined;
  try {
    model = cpus()[0]?.model.trim();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
  }
  return `${navigator.hardwareConcurrency} × ${model ?? "unknown processor"}`;
}

/**
 * Reads a JSON file, or returns `empty` if there is none yet.
 *
 * @throws {RangeError} If it is not JSON, or an array where an object is expected, or the reverse.
 */
export function readStore<Value extends object>(file: URL, empty: Value): Value {
  const text = existsSync(file) ? Deno.readTextFileSync(file) : "";
  // updateStore makes an empty file to lock it.
  if (text === "") return empty;
  const kind = Array.isArray(empty) ? "an array" : "an object";
  let reason = `another kind of value than ${kind}`;
  try {
    const value = JSON.parse(text);
    const fits = typeof value === "object" && value !== null &&
      Array.isArray(value) === Array.isArray(empty);
    if (fits) return value;
  } catch (error) {
    reason = error instanceof Error ? error.message : String(error);
  }
  throw new RangeError(
    `Reading data/${basename(fileURLToPath(file))}: the file must be JSON that holds ${kind}, ` +
      `found ${reason}. Restore it with git checkout, or delete it to measure again.`,
  );
}

/**
 * Updates a JSON file. Concurrent updates wait for each other, so that none is lost. A reader sees
 * the file before or after an update, never a part.
 *
 * @param change Returns the new value for the current one.
 * @param space The indentation of the JSON.
 */
export function updateStore<Value extends object>(
  file: URL,
  empty: Value,
  change: (current: Value) => Value,
  space?: number,
): void {
  using _ = lock(file);
  const json = JSON.stringify(change(readStore(file, empty)), null, space);
  writeTextAtomicallySync(fileURLToPath(file), json + "\n");
}

/** Locks the file until its handle is closed, or the process ends. */
function lock(file: URL): Deno.FsFile {
  while (true) {
    const handle = Deno.openSync(file, { read: true, write: true, create: true });
    handle.lockSync(true);
    // During the wait for the lock, another process can have replaced the file.
    if (existsSync(file) && Deno.statSync(file).ino === handle.statSync().ino) return handle;
    handle.close();
  }
}
