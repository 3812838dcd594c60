/**
 * The content of a gzip file.
 *
 * @param source The name of the file, for the error message.
 * @param maxBytes The most bytes that the content may have: a kilobyte of gzip can hold a megabyte
 * of zeros.
 * @throws {RangeError} If the bytes are no gzip, damaged, truncated (gzip ends with a checksum and
 * the length), or too many.
 */
export async function gunzip(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(atMost(maxBytes));
  try {
    return await new Response(stream).bytes();
  } catch (error) {
    throw new RangeError(
      `Decompressing ${source}: expected whole gzip data, found ${bytes.length} bytes that are damaged or truncated (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
}

/** Passes bytes on, and fails when there are more than `maxBytes`. */
export function atMost(maxBytes: number): TransformStream<BufferSource, Uint8Array<ArrayBuffer>> {
  let seen = 0;
  return new TransformStream({
    transform(piece: BufferSource, controller) {
      seen += piece.byteLength;
      if (seen > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`);
      controller.enqueue(piece as Uint8Array<ArrayBuffer>);
    },
  });
}
