import { randomUUID } from "node:crypto";
import { open, rename, rm, writeFile } from "node:fs/promises";

/**
 * Writes pieces to a file atomically, in Node and Bun: they go to a temporary file beside it, which
 * is renamed at the end.
 *
 * @throws {Error} If the file cannot be written. The temporary file is removed.
 */
export async function writeAtomically(file: string, pieces: Iterable<Uint8Array>): Promise<void> {
  const part = `${file}.${randomUUID()}.part`;
  try {
    const handle = await open(part, "wx");
    try {
      for (const piece of pieces) await writeFile(handle, piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Writing ${file}: ${reason.replace(/\.?$/, ".")}`, { cause: error });
  }
}
