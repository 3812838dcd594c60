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
