import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers";
import { setTimeout as delay } from "node:timers/promises";

/**
 * The folder in which downloads are kept: the environment variable `RESNET_LAB_CACHE` if it is set, else the user's cache folder
 * as the platform has it (`~/.cache/resnet-lab` on Linux, `~/Library/Caches/resnet-lab` on macOS).
 *
 * @example
 * ```ts
 * import { cacheFolder } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * Deno.env.set("RESNET_LAB_CACHE", "/tmp/lab");
 * assert.equal(cacheFolder(), "/tmp/lab");
 * Deno.env.delete("RESNET_LAB_CACHE");
 * ```
 */
export function cacheFolder(): string {
  const own = Deno.env.get("RESNET_LAB_CACHE");
  if (own) return own;
  // Deno lets a program ask for the home folder only with a permission that nothing else needs.
  const home = Deno.env.get("HOME") || homedir();
  return Deno.build.os === "darwin"
    ? join(home, "Library", "Caches", "resnet-lab")
    : join(Deno.env.get("XDG_CACHE_HOME") || join(home, ".cache"), "resnet-lab");
}

/** How far a download is, in bytes. `total` is undefined if the server does not say. */
export interface DownloadProgress {
  readonly file: string;
  readonly received: number;
  readonly total: number | undefined;
}

/** What {@linkcode download} needs to know beside the address. */
export interface DownloadOptions {
  /** The path of the file to write. Folders are made as needed. */
  file: string;
  /** The SHA-256 of the file in hexadecimal: its 64 digits, or where no more is published the first 8 or more. */
  sha256: string;
  /** Called with the bytes received so far, after every piece that arrives. */
  onProgress?: (progress: DownloadProgress) => void;
  /** Ends the download early; what has arrived is kept, and the next call goes on from there. */
  signal?: AbortSignal;
  /** How often to try again after a network failure or a server that is busy. Default 3. */
  retries?: number;
  /** Milliseconds before the first new try; each later wait is twice as long. Default 1,000. */
  retryDelay?: number;
  /** Milliseconds without a byte after which a try counts as failed. Default 30,000. */
  timeout?: number;
}

/** A failure that trying again may mend. */
class Temporary extends Error {}

/**
 * Downloads a file, once: returns at once if `file` is there with the right SHA-256.
 *
 * Bytes go to `<file>.part`, which becomes `file` only when it is complete and its SHA-256 is right. An interrupted download
 * goes on where it stopped, in this call or in a later one. Network failures and busy servers (408, 429, 5xx) are tried
 * again with growing pauses.
 *
 * @returns The path of the file.
 * @throws {RangeError} If `sha256` is not 8 to 64 hexadecimal digits.
 * @throws {Error} If the server cannot be reached or refuses, the SHA-256 is another, or the file cannot be written.
 *
 * @example
 * ```ts
 * import { download } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const server = Deno.serve({ port: 0, onListen() {} }, () => new Response("hello\n"));
 * const file = await download(`http://localhost:${server.addr.port}/hello.txt`, {
 *   file: `${await Deno.makeTempDir()}/hello.txt`,
 *   sha256: "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
 * });
 * assert.equal(await Deno.readTextFile(file), "hello\n");
 * await server.shutdown();
 * ```
 */
export async function download(
  url: string | URL,
  { file, sha256, retries = 3, retryDelay = 1000, ...rest }: DownloadOptions,
): Promise<string> {
  if (!/^[0-9a-f]{8,64}$/i.test(sha256)) {
    throw new RangeError(
      `Downloading ${url}: expected a SHA-256 of 64 hexadecimal digits, or 8 or more of its first, found "${sha256}".`,
    );
  }
  const options = { file, sha256: sha256.toLowerCase(), ...rest };
  for (let failures = 0;; failures++) {
    try {
      await attempt(url, options);
      return file;
    } catch (error) {
      rest.signal?.throwIfAborted();
      // The part file is gone where another process has just finished it: the next try finds the file itself.
      if (!(error instanceof Temporary || error instanceof Deno.errors.NotFound)) throw error;
      if (failures >= retries) {
        throw new Error(
          `Downloading ${url}: tried ${
            failures + 1
          } times, and the last one failed: ${error.message}. ` +
            `Check the network and call again (it goes on where it stopped), or put the file at ${file} by hand.`,
          { cause: error.cause },
        );
      }
      await delay(retryDelay * 2 ** failures, undefined, { signal: rest.signal });
    }
  }
}

/** One try: asks for what is missing of the part file, and renames it if it is then complete. */
async function attempt(
  url: string | URL,
  { file, sha256, onProgress, signal, timeout = 30_000 }: DownloadOptions,
): Promise<void> {
  await writing(file, Deno.mkdir(dirname(file), { recursive: true }));
  if ((await hashOf(file).catch(ifNotFound))?.startsWith(sha256)) return;
  const part = `${file}.part`;
  const present = (await Deno.stat(part).catch(ifNotFound))?.size ?? 0;

  // A try ends when nothing arrives for a while, not after a fixed time: large files may take long.
  const silence = new AbortController();
  const timer = setTimeout(
    () => silence.abort(new Error(`nothing arrived for ${timeout / 1000} s`)),
    timeout,
  );
  try {
    const { status, statusText, headers, body } = await receiving(fetch(url, {
      headers: {
        // Byte ranges and the SHA-256 are those of the file itself, not of a compressed transfer of it.
        "accept-encoding": "identity",
        ...(present > 0 ? { range: `bytes=${present}-` } : {}),
      },
      signal: AbortSignal.any([silence.signal, ...(signal ? [signal] : [])]),
    }));
    if (status === 200 || status === 206) {
      // 200 is the whole file, also where the server does not know ranges.
      let position = status === 206 ? present : 0;
      const length = headers.get("content-length");
      const total = length === null ? undefined : position + Number(length);
      using handle = await writing(file, Deno.open(part, { create: true, write: true }));
      // At its position, not appended: where two processes write the same part file, each writes the same bytes.
      await handle.seek(position, Deno.SeekMode.Start);
      const reader = body?.getReader();
      for (let piece; (piece = (await receiving(reader?.read()))?.value);) {
        await writing(file, writeWhole(handle, piece));
        position += piece.length;
        timer.refresh();
        onProgress?.({ file, received: position, total });
      }
      await handle.truncate(position);
    } else if (status !== 416) { // 416: there is nothing after the bytes that are here already.
      const answer = `the server answered ${status} ${statusText}`.trimEnd();
      if (status === 408 || status === 429 || status >= 500) throw new Temporary(answer);
      throw new Error(`Downloading ${url}: ${answer}.`);
    }
    const found = await hashOf(part);
    if (!found.startsWith(sha256)) {
      await Deno.remove(part);
      const mismatch = `expected a file with the SHA-256 ${sha256}${
        sha256.length < 64 ? "…" : ""
      }, found ${found}`;
      // Bytes of an earlier try may be to blame: once more, from the start.
      if (status !== 200) throw new Temporary(mismatch);
      throw new Error(`Downloading ${url}: ${mismatch}. Nothing was kept.`);
    }
    await Deno.rename(part, file);
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** The SHA-256 of a file, in hexadecimal. */
async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const piece of (await Deno.open(file)).readable) hash.update(piece);
  return hash.digest("hex");
}

/** For `.catch`: a file that is not there is undefined. */
function ifNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Waits for the network; its failures are temporary. */
async function receiving<T>(work: T): Promise<Awaited<T>> {
  try {
    return await work;
  } catch (error) {
    // What went wrong stands in the cause of "fetch failed".
    const { cause = error } = error instanceof Error ? error : {};
    throw new Temporary(cause instanceof Error ? cause.message : String(cause), { cause: error });
  }
}

/** Waits for the disk; its failures say which file and what to do. */
async function writing<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    throw new Error(
      code === "ENOSPC"
        ? `Writing ${file}: the disk is full. Free some space and call again; the download goes on where it stopped.`
        : `Writing ${file}: ${message}. The environment variable RESNET_LAB_CACHE can name another folder.`,
      { cause: error },
    );
  }
}

async function writeWhole(handle: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let n = 0; n < bytes.length;) n += await handle.write(bytes.subarray(n));
}

/**
 * {@linkcode download}, whose error ends in advice on how to go on without the file.
 *
 * @returns The path of the file.
 */
export async function downloadOrAdvise(
  url: string,
  options: DownloadOptions,
  advice: string,
): Promise<string> {
  try {
    return await download(url, options);
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Error(`${error instanceof Error ? error.message : error} ${advice}`, {
      cause: error,
    });
  }
}
