/**
 * Atomic writing of files. This module imports only Node's path functions, so that every room above
 * `data`, and a script that runs before set-up, can use it.
 */
import { basename, dirname, join, resolve } from "node:path";

/**
 * Writes pieces to a file atomically: they go to a temporary file beside it, which is renamed at
 * the end. So the file is either complete or unchanged, also after a power failure.
 *
 * Links and special files are treated as `cp` treats them: a symbolic link stays, and the file that
 * it leads to is written; an existing file keeps its mode and its owner; a device or a named pipe
 * is written in place. Another hard link to the file keeps the old content, because the rename
 * replaces the file.
 *
 * @throws {Error} If the file cannot be written. The temporary file is removed.
 */
export async function writeAtomically(
  file: string,
  pieces: Iterable<Uint8Array>,
): Promise<void> {
  let target: Target | undefined;
  try {
    target = prepare(file);
    {
      using handle = await Deno.open(target.part, target.options);
      for (const piece of pieces) await writeAll(handle, piece);
      // The content must reach the disk before the rename does.
      if (target.path) await handle.sync();
    }
    finish(target);
  } catch (error) {
    throw failure(file, target, error);
  }
}

/**
 * Writes a text as {@linkcode writeAtomically} does, synchronously.
 *
 * @throws {Error} If the file cannot be written. The temporary file is removed.
 */
export function writeTextAtomicallySync(file: string, text: string): void {
  let target: Target | undefined;
  try {
    target = prepare(file);
    {
      using handle = Deno.openSync(target.part, target.options);
      const bytes = new TextEncoder().encode(text);
      for (let n = 0; n < bytes.length;) n += handle.writeSync(bytes.subarray(n));
      if (target.path) handle.syncSync();
    }
    finish(target);
  } catch (error) {
    throw failure(file, target, error);
  }
}

/** Writes all bytes to an open file. A single call of its `write` may write only some of them. */
export async function writeAll(handle: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let n = 0; n < bytes.length;) n += await handle.write(bytes.subarray(n));
}

/** The file that the bytes go to first, and the path that it gets at the end. */
interface Target {
  /** The path that is opened. */
  readonly part: string;
  readonly options: Deno.OpenOptions;
  /** The path after the rename; undefined for a device or a pipe, which is written in place. */
  readonly path?: string;
  /** The file that is at the path before. */
  readonly existing?: Deno.FileInfo;
}

function prepare(file: string): Target {
  const existing = unlessMissing(() => Deno.statSync(file));
  if (existing?.isDirectory) throw new Error("the path must lead to a file, found a folder.");
  if (existing && !existing.isFile) return { part: file, options: { write: true } };
  // A rename would also replace a file that the user may not write to.
  if (existing) Deno.openSync(file, { write: true }).close();
  const path = existing ? Deno.realPathSync(file) : endOfLinks(file);
  removeLeftovers(path);
  const part = `${path}.${crypto.randomUUID()}.part`;
  return { part, options: { createNew: true, write: true }, path, existing };
}

/** Renames the temporary file, after giving it the owner and the mode of the existing file. */
function finish({ part, path, existing }: Target): void {
  if (!path) return;
  if (existing) {
    // First the owner: changing it can clear bits of the mode.
    try {
      Deno.chownSync(part, existing.uid, existing.gid);
    } catch { /* Only root may change the owner; the new file belongs to the user. */ }
    if (existing.mode !== null) Deno.chmodSync(part, existing.mode & 0o7777);
  }
  Deno.renameSync(part, path);
  syncFolder(dirname(path));
}

/** Brings the names of a folder's files to the disk, where the system can do that. */
function syncFolder(folder: string): void {
  try {
    using handle = Deno.openSync(folder);
    handle.syncSync();
  } catch { /* Windows cannot open a folder. The file itself is written. */ }
}

/** Removes the temporary file, and returns the error to throw, which names the file. */
function failure(file: string, target: Target | undefined, error: unknown): Error {
  if (target?.path) unlessMissing(() => Deno.removeSync(target.part));
  const reason = error instanceof Error ? error.message : String(error);
  return new Error(`Writing ${file}: ${reason.replace(/\.?$/, ".")}`, { cause: error });
}

/**
 * Returns the path at the end of a chain of symbolic links, even if no file is there; the path
 * itself if it is not a link.
 */
function endOfLinks(file: string): string {
  for (let path = file, links = 0; links <= 40; links++) {
    if (!unlessMissing(() => Deno.lstatSync(path))?.isSymlink) return path;
    path = resolve(Deno.realPathSync(dirname(path)), Deno.readLinkSync(path));
  }
  throw new Error("the symbolic link must lead through at most 40 others, found more.");
}

/**
 * Removes the temporary files of processes that were killed while they wrote to a path. A file
 * counts as such if nothing has been written to it for an hour.
 */
function removeLeftovers(path: string): void {
  const folder = dirname(path), start = `${basename(path)}.`;
  for (const { name, isFile } of unlessMissing(() => Deno.readDirSync(folder)) ?? []) {
    const isPart = isFile && name.startsWith(start) &&
      /^[-0-9a-f]{36}\.part$/.test(name.slice(start.length));
    if (!isPart) continue;
    const part = join(folder, name);
    const { mtime } = unlessMissing(() => Deno.statSync(part)) ?? {};
    if (mtime && Date.now() - mtime.getTime() > 3_600_000) {
      unlessMissing(() => Deno.removeSync(part));
    }
  }
}

/** The result of a function, or undefined if it throws `NotFound`. */
function unlessMissing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
