/** What notebooks keep in data/: the only files that they write in the project, and only when told to. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { writeTextAtomicallySync } from "../weights/files.ts";

/** Whether the notebook is executed with `deno task run --write`, which sets this environment variable. */
export function isKeeping(): boolean {
  return Deno.env.get("RESNET_LAB_WRITE") === "1";
}

/** The JSON that a file keeps, or `empty` where there is no such file yet. */
export function readKept<Value>(file: URL, empty: Value): Value {
  return existsSync(file) ? JSON.parse(Deno.readTextFileSync(file)) : empty;
}

/** Keeps JSON in a file, which is never half-written. */
export function writeKept(file: URL, json: string): void {
  writeTextAtomicallySync(fileURLToPath(file), json + "\n");
}
