import { limitBytes } from "./download.ts";

/**
 * Returns the content of gzip data.
 *
 * @param source The name of the file, for the error message.
 * @param maxBytes Maximum size of the content in bytes: a kilobyte of gzip can hold a megabyte of
 * zeros.
 * @throws {RangeError} If the bytes are not gzip, are damaged or truncated (gzip ends with a
 * checksum and the length), or are too many.
 */
export async function gunzip(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
  maxBytes: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))
    .pipeThrough(limitBytes(maxBytes));
  try {
    // Not bytes(), which Node has only since version 22.
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new RangeError(
      `Decompressing ${source}: the file must be whole gzip data, found ${bytes.length} bytes that are damaged or truncated (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
}
