/**
 * The content of a gzip file.
 *
 * @param source The name of the file, for the error message.
 * @throws {RangeError} If the bytes are no gzip, damaged, or truncated (gzip ends with a checksum and the length).
 */
export async function gunzip(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
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
