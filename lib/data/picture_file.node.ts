import type { Pixels } from "./resample.ts";

export { fetchBytes as readBounded } from "./fetch_bytes.ts";

/** Refuses to decode a picture, for which Node and Bun have nothing. */
export function pixelReader(
  _channels: 1 | 3,
): Promise<(bytes: Uint8Array<ArrayBuffer>) => Promise<Pixels>> {
  throw new RangeError(
    "Reading a picture: the program must run on Deno or in a web page, found Node or Bun. " +
      "Decode the picture with another package, and pass its pixels to ops.tensor.",
  );
}
