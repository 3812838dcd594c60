import { createHash } from "node:crypto";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers";
import { setTimeout as delay } from "node:timers/promises";
import { checkOptions } from "../tensor/mod.ts";
import { linkInterrupt, show } from "../tensor/internal.ts";
import { checkKinds, checkPositive, checkSignal } from "./checks.ts";

/**
 * The folder in which downloads are kept: the environment variable `RESNET_LAB_CACHE` if it is set,
 * else the user's cache folder as the platform has it (`~/.cache/resnet-lab` on Linux,
 * `~/Library/Caches/resnet-lab` on macOS).
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
  /**
   * The SHA-256 of the file in hexadecimal: its 64 digits, or where no more is published the first
   * 8 or more.
   */
  sha256: string;
  /** Called with the bytes received so far, after every piece that arrives. */
  onProgress?: (progress: DownloadProgress) => void;
  /**
   * Ends the download early, as Stop does in Jupyter; what has arrived is kept, and the next call
   * goes on from there.
   */
  signal?: AbortSignal;
  /** The most bytes that the file may have; the server can send no more. @default 4 GiB */
  maxBytes?: number;
  /** How often to try again after a network failure or a server that is busy. @default 3 */
  retries?: number;
  /** Milliseconds before the first new try; each later wait is twice as long. @default 1000 */
  retryDelay?: number;
  /** Milliseconds without a byte after which a try counts as failed. @default 30_000 */
  timeout?: number;
}

/** A failure that trying again may fix, from the file's start if `whole`. */
class Temporary extends Error {
  constructor(message: string, readonly whole: boolean, options?: ErrorOptions) {
    super(message, options);
  }
}

/** More bytes than a file may have. */
class TooMany extends RangeError {}

/** The longest time that a timer can wait, in milliseconds. */
const LONGEST = 2 ** 31 - 1;

/**
 * Downloads a file, once: returns at once if `file` is there with the right SHA-256.
 *
 * Bytes go to `<file>.part`, which becomes `file` only when it is complete and its SHA-256 is
 * right. An interrupted download goes on where it stopped, in this call or in a later one. Where
 * the server does not know how to go on, the whole file goes to `<file>.new.part`, so that a web
 * page in its place destroys nothing. Network failures and busy servers (408, 429, 5xx) are tried
 * again with growing pauses.
 *
 * @returns The path of the file.
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or `url` is none.
 * @throws {RangeError} If `sha256` is not 8 to 64 hexadecimal digits, a number is out of range, or
 * the file has more than `maxBytes`.
 * @throws {Error} If the server cannot be reached or refuses, the SHA-256 is another, or the file
 * cannot be written.
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
export async function download(url: string | URL, options: DownloadOptions): Promise<string> {
  checkDownload(url, options);
  const { file, retries = 3, retryDelay = 1000 } = options;
  using stop = linkInterrupt(options.signal);
  const { signal } = stop;
  let whole = false;
  for (let failures = 0;; failures++) {
    try {
      await attempt(url, { ...options, signal }, whole);
      return file;
    } catch (error) {
      signal?.throwIfAborted();
      // The part file is gone where another process has just finished it: the next try finds the
      // file itself.
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
      whole = error instanceof Temporary && error.whole;
      const pause = Math.min(retryDelay * 2 ** failures, LONGEST);
      await delay(pause, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

function checkDownload(url: unknown, options: DownloadOptions): void {
  if (!(url instanceof URL) && !(typeof url === "string" && URL.canParse(url))) {
    throw new TypeError(
      `Downloading a file: the address must be a URL such as "https://example.org/file", found ${
        show(url)
      }.`,
    );
  }
  const doing = `Downloading ${url}`;
  const { protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") {
    throw new RangeError(
      `${doing}: the address must begin with https: or http:, found ${protocol}`,
    );
  }
  checkOptions<DownloadOptions>(doing, options, "{ file, sha256 }", {
    file: true,
    sha256: true,
    onProgress: true,
    signal: true,
    maxBytes: true,
    retries: true,
    retryDelay: true,
    timeout: true,
  });
  const { file, sha256, maxBytes, onProgress, signal } = options;
  for (const [name, value] of Object.entries({ file, sha256 })) {
    if (typeof value !== "string") {
      throw new TypeError(`${doing}: ${name} must be a string, found ${show(value)}.`);
    }
  }
  if (file === "") throw new RangeError(`${doing}: file must be a path, found "".`);
  if (!/^[0-9a-f]{8,64}$/i.test(sha256)) {
    throw new RangeError(
      `${doing}: expected a SHA-256 of 64 hexadecimal digits, or 8 or more of its first, found "${sha256}".`,
    );
  }
  checkKinds(doing, "function", { onProgress });
  checkSignal(doing, signal);
  checkPositive(doing, { maxBytes }, "optional");
  for (
    const [name, least] of [["retries", 0], ["retryDelay", 0], ["timeout", 1]] as const
  ) {
    const value = options[name];
    const fits = value === undefined || name === "retries" && value === Infinity ||
      typeof value === "number" && value >= least && value <= LONGEST;
    if (!fits) {
      throw new RangeError(
        `${doing}: ${name} must be a number from ${least} to ${LONGEST}, found ${show(value)}.`,
      );
    }
  }
}

/**
 * One try: asks for what is missing of the part file, or for all of it, and renames what is then
 * complete.
 */
async function attempt(
  url: string | URL,
  { file, sha256, onProgress, signal, maxBytes = 2 ** 32, timeout = 30_000 }: DownloadOptions,
  whole: boolean,
): Promise<void> {
  const expected = sha256.toLowerCase();
  const part = `${file}.part`, fresh = `${file}.new.part`;
  await writing(file, Deno.mkdir(dirname(file), { recursive: true }));
  if ((await writing(file, hashOf(file, signal).catch(ifNotFound)))?.startsWith(expected)) {
    // Left over where another process was quicker.
    for (const path of [part, fresh]) await Deno.remove(path).catch(ifNotFound);
    return;
  }
  let present = (await Deno.stat(part).catch(ifNotFound))?.size ?? 0;
  if (present > maxBytes) {
    await Deno.remove(part);
    present = 0;
  }
  const asked = present > 0 && !whole;

  // A try ends when nothing arrives for a while, not after a fixed time: large files may take long.
  const silence = new AbortController();
  const timer = setTimeout(
    () => silence.abort(new Error(`nothing arrived for ${timeout / 1000} s`)),
    timeout,
  );
  try {
    const { status, statusText, headers, body } = await receiving(fetch(url, {
      headers: {
        // Byte ranges and the SHA-256 are those of the file itself, not of a compressed transfer of
        // it.
        "accept-encoding": "identity",
        ...(asked ? { range: `bytes=${present}-` } : {}),
      },
      signal: AbortSignal.any([silence.signal, ...(signal ? [signal] : [])]),
    }));
    const resumed = asked && status === 206;
    if (resumed && !startsAt(headers, present)) {
      throw new Temporary(`the server sent other bytes than those after ${present}`, true);
    }
    // 200 is the whole file, also where the server does not know ranges; the part stays until that
    // is found to be right.
    const target = resumed || present === 0 || status === 416 ? part : fresh;
    if (status === 200 || resumed) {
      const start = resumed ? present : 0;
      let position = start;
      const length = headers.get("content-length");
      const total = length === null ? undefined : position + Number(length);
      const reader = body?.getReader();
      try {
        checkBytes(url, total ?? 0, maxBytes);
        using handle = await writing(file, Deno.open(target, { create: true, write: true }));
        // At its position, not appended: where two processes write the same part file, each writes
        // the same bytes.
        await handle.seek(position, Deno.SeekMode.Start);
        for (let piece; (piece = (await receiving(reader?.read()))?.value);) {
          checkBytes(url, position + piece.length, maxBytes);
          await writing(file, writeWhole(handle, piece));
          position += piece.length;
          timer.refresh();
          onProgress?.({ file, received: position, total });
        }
        await handle.truncate(position);
      } catch (error) {
        if (error instanceof TooMany) await undo(target, start);
        // The new bytes replace the part if there are more of them.
        else if (target === fresh && position > present) await Deno.rename(fresh, part);
        else if (target === fresh) await Deno.remove(fresh).catch(ifNotFound);
        throw error;
      }
    } else if (status !== 416) { // 416: there is nothing after the bytes that are here already.
      const answer = `the server answered ${status} ${statusText}`.trimEnd();
      if (status === 408 || status === 429 || status >= 500) throw new Temporary(answer, whole);
      throw new Error(`Downloading ${url}: ${answer}.`);
    }
    const found = await hashOf(target, signal);
    if (!found.startsWith(expected)) {
      const mismatch = `expected a file with the SHA-256 ${expected}${
        expected.length < 64 ? "…" : ""
      }, found ${found}`;
      // Bytes of an earlier try may be to blame: once more, from the start. They stay until
      // something better is here.
      if (status !== 200) {
        if (resumed) await undo(part, present);
        throw new Temporary(mismatch, true);
      }
      await Deno.remove(target);
      const page = headers.get("content-type")?.startsWith("text/html")
        ? " It is a web page: perhaps the network asks for a log-in."
        : "";
      throw new Error(
        `Downloading ${url}: ${mismatch}.${page} ${
          target === fresh ? `What earlier calls received stays in ${part}` : "Nothing was kept"
        }.`,
      );
    }
    await Deno.rename(target, file);
    if (target === fresh) await Deno.remove(part).catch(ifNotFound);
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** Whether an answer to a request for a range starts there, as far as the server says. */
function startsAt(headers: Headers, position: number): boolean {
  const range = headers.get("content-range");
  return range === null || range.startsWith(`bytes ${position}-`);
}

/** Refuses more bytes than a file may have: a server can send them without end. */
function checkBytes(url: string | URL, found: number, most: number): void {
  if (found > most) {
    throw new TooMany(
      `Downloading ${url}: the file must have at most ${most} bytes, found ${found} or more. ` +
        "Check the address; a file that is larger needs a larger maxBytes.",
    );
  }
}

/** Removes what a try wrote to a file after its first bytes. */
async function undo(path: string, bytes: number): Promise<void> {
  if (bytes > 0) await Deno.truncate(path, bytes);
  else await Deno.remove(path).catch(ifNotFound);
}

/** The SHA-256 of a file, in hexadecimal. */
async function hashOf(file: string, signal?: AbortSignal): Promise<string> {
  // Reading a pipe or a device might never end.
  if (!(await Deno.stat(file)).isFile) throw new Error("expected a file, found something else");
  const hash = createHash("sha256");
  for await (const piece of (await Deno.open(file)).readable) {
    signal?.throwIfAborted();
    hash.update(piece);
  }
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
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new Temporary(message, false, { cause: error });
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
