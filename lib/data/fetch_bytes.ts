/**
 * Returns the bytes at an address.
 *
 * @throws {Error} If the server cannot be reached, or has no such file.
 */
export async function fetchBytes(address: string | URL): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(address);
  if (response.ok) return await response.bytes();
  throw new Error(
    `Reading ${address}: the server must send the file, found the status ${response.status}.`,
  );
}
