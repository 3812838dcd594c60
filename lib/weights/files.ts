/** Bytes of which any range can be read. */
export interface Source {
  /** The number of bytes. */
  readonly size: number;
  /** Reads `length` bytes from `start` on. */
  read(start: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}

/** An open file as a source. */
export async function sourceOf(handle: Deno.FsFile, file: string): Promise<Source> {
  const { size } = await handle.stat();
  const read = async (start: number, length: number) => {
    await handle.seek(start, Deno.SeekMode.Start);
    return await readExactly(handle, length, file);
  };
  return { size, read };
}

/**
 * Reads the next bytes of an open file.
 *
 * @throws {RangeError} If the file ends before `length` bytes.
 */
export async function readExactly(
  handle: Deno.FsFile,
  length: number,
  file: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let n = 0; n < length;) {
    const count = await handle.read(bytes.subarray(n));
    if (count === null) {
      throw new RangeError(
        `Reading ${file}: ${length} bytes must follow, found the end after ${n}.`,
      );
    }
    n += count;
  }
  return bytes;
}
