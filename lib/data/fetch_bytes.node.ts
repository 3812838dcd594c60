import { readFile } from "node:fs/promises";

/** Returns the bytes at a path or an address, in Node and Bun. */
export async function fetchBytes(address: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  if (!/^https?:/.test(String(address))) return Uint8Array.from(await readFile(address));
  const response = await fetch(address);
  if (response.ok) return new Uint8Array(await response.arrayBuffer());
  throw new Error(
    `Reading ${address}: the server must send the file, found the status ${response.status}.`,
  );
}
