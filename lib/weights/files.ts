import { basename, dirname, join, resolve } from "node:path";
import { show } from "../tensor/internal.ts";

/**
 * The bytes of a file, which are in memory once: `Deno.readFile` has them twice for a moment.
 *
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {RangeError} If it ends earlier than it said.
 */
export async function readWhole(file: string): Promise<Uint8Array<ArrayBuffer>> {
  using handle = await Deno.open(file);
  return await readNext(handle, (await handle.stat()).size, file);
}

/** Bytes that are read from where they are wanted. */
export interface Source {
  readonly size: number;
  /** Some of the bytes; all of them must be there. */
  read(start: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** Checks that a value can be the path of a file. */
export function checkPath(doing: string, name: string, value: unknown): void {
  if (typeof value === "string" && value !== "") return;
  throw new TypeError(
    `${doing}: ${name} must be a path such as "model.pth", found ${show(value)}.`,
  );
}

/** An open file as a source. */
export async function sourceOf(handle: Deno.FsFile, file: string): Promise<Source> {
  const { size } = await handle.stat();
  const read = async (start: number, length: number) => {
    await handle.seek(start, Deno.SeekMode.Start);
    return await readNext(handle, length, file);
  };
  return { size, read };
}

/** The next bytes of an open file. */
export async function readNext(
  handle: Deno.FsFile,
  length: number,
  file: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let n = 0; n < length;) {
    const more = await handle.read(bytes.subarray(n));
    if (more === null) {
      throw new RangeError(`Reading ${file}: expected ${length} bytes, found the end after ${n}.`);
    }
    n += more;
  }
  return bytes;
}

/**
 * Writes pieces to a file that is there whole or not at all: they go to another file beside it,
 * which gets the name at the end.
 *
 * As with other tools, a symbolic link stays and the file that it leads to is written; a file that
 * is there keeps its mode and its owner; a device or a named pipe is written to. Another hard link
 * to the file keeps the old content, because a whole file can only come by a new name.
 *
 * @throws {Error} If it cannot be written; nothing is left behind then.
 */
export async function writeAtomically(
  file: string,
  pieces: Iterable<Uint8Array>,
): Promise<void> {
  let target: Target | undefined;
  try {
    target = targetOf(file);
    {
      using handle = await Deno.open(target.part, target.options);
      for (const piece of pieces) {
        for (let n = 0; n < piece.length;) n += await handle.write(piece.subarray(n));
      }
      // A name must not come to disk before what it names.
      if (target.path) await handle.sync();
    }
    finish(target);
  } catch (error) {
    throw failed(file, target, error);
  }
}

/** {@linkcode writeAtomically} of a text, before it returns. */
export function writeTextAtomicallySync(file: string, text: string): void {
  let target: Target | undefined;
  try {
    target = targetOf(file);
    {
      using handle = Deno.openSync(target.part, target.options);
      const bytes = new TextEncoder().encode(text);
      for (let n = 0; n < bytes.length;) n += handle.writeSync(bytes.subarray(n));
      if (target.path) handle.syncSync();
    }
    finish(target);
  } catch (error) {
    throw failed(file, target, error);
  }
}

/** Where the bytes of a file go. */
interface Target {
  /** The file that is opened, and how. */
  readonly part: string;
  readonly options: Deno.OpenOptions;
  /**
   * The name that it gets at the end; none for a device or a pipe, which is written to in place.
   */
  readonly path?: string;
  /** The file that has the name now. */
  readonly before?: Deno.FileInfo;
}

function targetOf(file: string): Target {
  const before = unlessMissing(() => Deno.statSync(file));
  if (before?.isDirectory) throw new Error("the path must be that of a file, found a folder.");
  if (before && !before.isFile) return { part: file, options: { write: true } };
  // Whoever may not write to the file may not replace it either.
  if (before) Deno.openSync(file, { write: true }).close();
  const path = before ? Deno.realPathSync(file) : endOfLinks(file);
  removeLeftovers(path);
  const part = `${path}.${crypto.randomUUID()}.part`;
  return { part, options: { createNew: true, write: true }, path, before };
}

/** Gives a part that is whole the name of the file. */
function finish({ part, path, before }: Target): void {
  if (!path) return;
  if (before) {
    // First the owner: a change of it can take bits from the mode. Only root may give files away.
    try {
      Deno.chownSync(part, before.uid, before.gid);
    } catch { /* The file belongs to whoever writes it. */ }
    if (before.mode !== null) Deno.chmodSync(part, before.mode & 0o7777);
  }
  Deno.renameSync(part, path);
}

/** Removes what was written, and gives the error that says which file could not be. */
function failed(file: string, target: Target | undefined, error: unknown): Error {
  if (target?.path) unlessMissing(() => Deno.removeSync(target.part));
  const reason = error instanceof Error ? error.message : error;
  return new Error(`Writing ${file}: ${reason}`, { cause: error });
}

/** The path that a symbolic link to no file leads to; the path itself where there is no link. */
function endOfLinks(file: string): string {
  for (let path = file, links = 0; links <= 40; links++) {
    if (!unlessMissing(() => Deno.lstatSync(path))?.isSymlink) return path;
    path = resolve(Deno.realPathSync(dirname(path)), Deno.readLinkSync(path));
  }
  throw new Error("the symbolic link leads through more than 40 others.");
}

/**
 * Removes parts that writers of a file left when they were killed: for an hour, nobody has written
 * to them.
 */
function removeLeftovers(path: string): void {
  const folder = dirname(path), start = `${basename(path)}.`;
  for (const { name, isFile } of unlessMissing(() => Deno.readDirSync(folder)) ?? []) {
    if (
      !isFile || !name.startsWith(start) || !/^[-0-9a-f]{36}\.part$/.test(name.slice(start.length))
    ) {
      continue;
    }
    const part = join(folder, name);
    const { mtime } = unlessMissing(() => Deno.statSync(part)) ?? {};
    if (mtime && Date.now() - mtime.getTime() > 3_600_000) {
      unlessMissing(() => Deno.removeSync(part));
    }
  }
}

/** The result of `work`, or undefined if it finds no such file. */
function unlessMissing<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
