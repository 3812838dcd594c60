import { readExactly } from "./files.ts";

/**
 * Reads the bytes of a file. They are in memory once; `Deno.readFile` holds them twice for a
 * moment.
 *
 * @throws {Deno.errors.NotFound} If there is no such file.
 * @throws {RangeError} If the file becomes shorter during the call.
 */
export async function readFile(file: string): Promise<Uint8Array<ArrayBuffer>> {
  using handle = await Deno.open(file);
  return await readExactly(handle, (await handle.stat()).size, file);
}
