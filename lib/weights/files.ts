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
 * Writes pieces to a file that is there whole or not at all: they go to another file beside it, which gets the name at the end.
 *
 * @throws {Error} If it cannot be written; nothing is left behind then.
 */
export async function writeAtomically(
  file: string,
  pieces: Iterable<Uint8Array>,
): Promise<void> {
  const part = `${file}.${crypto.randomUUID()}.part`;
  try {
    {
      using handle = await Deno.open(part, { createNew: true, write: true });
      for (const piece of pieces) {
        for (let n = 0; n < piece.length;) n += await handle.write(piece.subarray(n));
      }
      // A name must not come to disk before what it names.
      await handle.sync();
    }
    await Deno.rename(part, file);
  } catch (error) {
    await Deno.remove(part).catch(() => {});
    throw new Error(`Writing ${file}: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
}
