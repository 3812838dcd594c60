import { createHash } from "node:crypto";
import { dirname } from "node:path";
import { setTimeout } from "node:timers";
import { setTimeout as delay } from "node:timers/promises";
import {
  checkFunction,
  checkInteger,
  checkNumber,
  checkOptions,
  checkSignal,
  checkString,
  linkInterrupt,
  show,
} from "../tensor/internal.ts";

export { cacheFolder } from "../tensor/installation.ts";

/** The progress of a download. */
export interface DownloadProgress {
  /** The path of the file. */
  readonly file: string;
  /** Bytes received so far. */
  readonly received: number;
  /** Bytes of the whole file; undefined if the server does not say. */
  readonly total: number | undefined;
}

/** The options of {@linkcode download}. */
export interface DownloadOptions {
  /** The path of the file to write. Missing folders are made. */
  file: string;
  /** The SHA-256 of the file in hexadecimal: all 64 digits, or at least the first 8. */
  sha256: string;
  /** Called with the bytes received so far, after every piece that arrives. */
  onProgress?: (progress: DownloadProgress) => void;
  /**
   * Stops the download, as Jupyter's Stop does. The next call resumes it after the bytes that have
   * arrived.
   */
  signal?: AbortSignal;
  /**
   * Maximum size of the file in bytes.
   *
   * @default 4 GiB
   */
  maxBytes?: number;
  /**
   * The number of retries after a network failure or an answer of a busy server.
   *
   * @default 3
   */
  retries?: number;
  /**
   * Milliseconds before the first retry. Each later pause is twice as long.
   *
   * @default 1000
   */
  retryDelay?: number;
  /**
   * Timeout in milliseconds: an attempt fails if no byte arrives within this time.
   *
   * @default 30_000
   */
  timeout?: number;
  /** The last sentence of an error: how to continue without the file. */
  advice?: string;
}

/** A failure that a retry may fix, from the start of the file if `fromStart`. */
class RetryableError extends Error {
  constructor(message: string, readonly fromStart: boolean, options?: ErrorOptions) {
    super(message, options);
  }
}

/** The file has more bytes than it may have. */
class TooLargeError extends RangeError {}

/** The longest delay of a timer, in milliseconds. */
const MAX_DELAY = 2 ** 31 - 1;

/**
 * Downloads a file once; if `file` exists with the right SHA-256, nothing is downloaded.
 *
 * Bytes go to `<file>.part`, which gets the name `file` when it is complete and its SHA-256 is
 * right. This call or a later one resumes an interrupted download. If the server cannot resume, the
 * whole file goes to `<file>.new.part`, so that a web page in place of the file destroys nothing.
 * Network failures and answers of busy servers (408, 429, 5xx) lead to retries with growing pauses.
 *
 * @returns The path of the file.
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or `url` is no URL.
 * @throws {RangeError} If `sha256` is not 8 to 64 hexadecimal digits, a number is out of range, or
 * the file has more than `maxBytes`.
 * @throws {Error} If the server cannot be reached or refuses, the SHA-256 differs, the file cannot
 * be written, or anything fails with an `advice`.
 */
export async function download(url: string | URL, options: DownloadOptions): Promise<string> {
  checkDownload(url, options);
  const { file, advice } = options;
  using interrupt = linkInterrupt(options.signal);
  const { signal } = interrupt;
  try {
    await downloadWithRetries(url, { ...options, signal });
    return file;
  } catch (error) {
    signal?.throwIfAborted();
    if (advice === undefined) throw error;
    throw new Error(`${error instanceof Error ? error.message : error} ${advice}`, {
      cause: error,
    });
  }
}

/**
 * Checks the arguments of {@linkcode download}.
 *
 * @throws {TypeError} If one is of the wrong kind.
 * @throws {RangeError} If one is out of range.
 */
function checkDownload(url: unknown, options: DownloadOptions): void {
  if (!(url instanceof URL) && !(typeof url === "string" && URL.canParse(url))) {
    throw new TypeError(
      `Downloading a file: the address must be a URL such as "https://example.org/file", found ${
        show(url)
      }.`,
    );
  }
  const action = `Downloading ${url}`;
  const { protocol } = new URL(url);
  if (protocol !== "http:" && protocol !== "https:") {
    throw new RangeError(
      `${action}: the address must begin with https: or http:, found ${show(protocol)}.`,
    );
  }
  checkOptions<DownloadOptions>(action, options, "{ file, sha256 }", {
    file: true,
    sha256: true,
    onProgress: true,
    signal: true,
    maxBytes: true,
    retries: true,
    retryDelay: true,
    timeout: true,
    advice: true,
  });
  const { file, sha256, maxBytes, onProgress, signal, advice } = options;
  checkString(action, "file", file);
  checkString(action, "sha256", sha256);
  if (file === "") throw new RangeError(`${action}: file must be a path, found "".`);
  if (!/^[0-9a-f]{8,64}$/i.test(sha256)) {
    throw new RangeError(
      `${action}: sha256 must be 64 hexadecimal digits, or at least the first 8 of them, found ${
        show(sha256)
      }.`,
    );
  }
  if (onProgress !== undefined) checkFunction(action, "onProgress", onProgress);
  checkSignal(action, signal);
  if (advice !== undefined) checkString(action, "advice", advice);
  if (maxBytes !== undefined) checkInteger(action, "maxBytes", maxBytes);
  for (const [name, least] of [["retries", 0], ["retryDelay", 0], ["timeout", 1]] as const) {
    const value = options[name];
    if (value === undefined || name === "retries" && value === Infinity) continue;
    const fits = value >= least && value <= MAX_DELAY;
    checkNumber(action, name, value, fits, `a number from ${least} to ${MAX_DELAY}`);
  }
}

/** Downloads the file in one or more attempts. */
async function downloadWithRetries(url: string | URL, options: DownloadOptions): Promise<void> {
  const { file, signal, retries = 3, retryDelay = 1000 } = options;
  let fromStart = false;
  for (let failures = 0;; failures++) {
    try {
      return await attempt(url, options, fromStart);
    } catch (error) {
      signal?.throwIfAborted();
      // NotFound: another process has just finished the part file. The next attempt finds the file.
      if (!(error instanceof RetryableError || error instanceof Deno.errors.NotFound)) throw error;
      if (failures >= retries) {
        throw new Error(
          `Downloading ${url}: attempt ${failures + 1} of ${
            retries + 1
          } failed: ${error.message}. ` +
            `Check the network and call again to resume, or put the file at ${file} by hand.`,
          { cause: error.cause },
        );
      }
      fromStart = error instanceof RetryableError && error.fromStart;
      const pause = Math.min(retryDelay * 2 ** failures, MAX_DELAY);
      await delay(pause, undefined, { signal }).catch(() => signal?.throwIfAborted());
    }
  }
}

/**
 * Requests the bytes that the part file lacks, or all of them, and renames the file when it is
 * complete.
 */
async function attempt(
  url: string | URL,
  { file, sha256, onProgress, signal, maxBytes = 2 ** 32, timeout = 30_000 }: DownloadOptions,
  fromStart: boolean,
): Promise<void> {
  const expected = sha256.toLowerCase();
  const part = `${file}.part`, newPart = `${file}.new.part`;
  await disk(file, Deno.mkdir(dirname(file), { recursive: true }));
  if ((await disk(file, hashOf(file, signal).catch(ifNotFound)))?.startsWith(expected)) {
    // Another process finished first.
    for (const path of [part, newPart]) await Deno.remove(path).catch(ifNotFound);
    return;
  }
  let partSize = (await Deno.stat(part).catch(ifNotFound))?.size ?? 0;
  if (partSize > maxBytes) {
    await Deno.remove(part);
    partSize = 0;
  }
  const resuming = partSize > 0 && !fromStart;

  // The time limit is on silence, since a large file may take long.
  const silence = new AbortController();
  const timer = setTimeout(
    () => silence.abort(new Error(`nothing arrived for ${timeout / 1000} s`)),
    timeout,
  );
  try {
    const { status, statusText, headers, body } = await network(fetch(url, {
      headers: {
        // Byte ranges and the SHA-256 are of the file itself, not of a compressed transfer.
        "accept-encoding": "identity",
        ...(resuming ? { range: `bytes=${partSize}-` } : {}),
      },
      signal: AbortSignal.any([silence.signal, ...(signal ? [signal] : [])]),
    }));
    const resumed = resuming && status === 206;
    if (resumed && !startsAt(headers, partSize)) {
      throw new RetryableError(
        `the server sent bytes of another range than from ${partSize} on`,
        true,
      );
    }
    // 200 is the whole file, also from a server without ranges. The part stays until that file is
    // known to be right.
    const target = resumed || partSize === 0 || status === 416 ? part : newPart;
    if (status === 200 || resumed) {
      const start = resumed ? partSize : 0;
      let position = start;
      const length = headers.get("content-length");
      const total = length === null ? undefined : position + Number(length);
      const reader = body?.getReader();
      try {
        checkSize(url, total ?? 0, maxBytes);
        using handle = await disk(file, Deno.open(target, { create: true, write: true }));
        // Written at a position, not appended: two processes write the same bytes to one part file.
        await handle.seek(position, Deno.SeekMode.Start);
        for (let piece; (piece = (await network(reader?.read()))?.value);) {
          checkSize(url, position + piece.length, maxBytes);
          await disk(file, writeAll(handle, piece));
          position += piece.length;
          timer.refresh();
          onProgress?.({ file, received: position, total });
        }
        await handle.truncate(position);
      } catch (error) {
        if (error instanceof TooLargeError) await truncateFile(target, start);
        // The new bytes replace the part if there are more of them.
        else if (target === newPart && position > partSize) await Deno.rename(newPart, part);
        else if (target === newPart) await Deno.remove(newPart).catch(ifNotFound);
        throw error;
      }
    } else if (status !== 416) { // 416: the part file has all bytes.
      const answer = `the server answered ${status} ${statusText}`.trimEnd();
      if (status === 408 || status === 429 || status >= 500) {
        throw new RetryableError(answer, fromStart);
      }
      throw new Error(`Downloading ${url}: ${answer}.`);
    }
    const digest = await hashOf(target, signal);
    if (!digest.startsWith(expected)) {
      const mismatch = `the SHA-256 of the file must be ${expected}${
        expected.length < 64 ? "…" : ""
      }, found ${digest}`;
      // The bytes of an earlier attempt may be wrong, so the next attempt starts from the
      // beginning. They stay until better ones have arrived.
      if (status !== 200) {
        if (resumed) await truncateFile(part, partSize);
        throw new RetryableError(mismatch, true);
      }
      await Deno.remove(target);
      const page = headers.get("content-type")?.startsWith("text/html")
        ? " It is a web page: perhaps the network asks for a log-in."
        : "";
      throw new Error(
        `Downloading ${url}: ${mismatch}.${page} ${
          target === newPart ? `The bytes of earlier calls stay in ${part}` : "The file was removed"
        }.`,
      );
    }
    await Deno.rename(target, file);
    if (target === newPart) await Deno.remove(part).catch(ifNotFound);
  } finally {
    clearTimeout(timer);
    silence.abort();
  }
}

/** Whether the answer to a request for a range starts there, as far as the server says. */
function startsAt(headers: Headers, position: number): boolean {
  const range = headers.get("content-range");
  return range === null || range.startsWith(`bytes ${position}-`);
}

/**
 * Checks the size of the file: a server can send bytes without end.
 *
 * @throws {TooLargeError} If it is more than `maxBytes`.
 */
function checkSize(url: string | URL, size: number, maxBytes: number): void {
  if (size > maxBytes) {
    throw new TooLargeError(
      `Downloading ${url}: the file must have at most ${maxBytes} bytes, found ${size} or more. ` +
        "Check the address; a larger file needs a larger maxBytes.",
    );
  }
}

/** Returns a stream that passes bytes on, and fails after more than `maxBytes`. */
export function limitBytes(
  maxBytes: number,
): TransformStream<BufferSource, Uint8Array<ArrayBuffer>> {
  let count = 0;
  return new TransformStream({
    transform(piece: BufferSource, controller) {
      count += piece.byteLength;
      if (count > maxBytes) throw new RangeError(`more than ${maxBytes} bytes`);
      controller.enqueue(piece as Uint8Array<ArrayBuffer>);
    },
  });
}

/** Removes all bytes of a file after the first `size`. */
async function truncateFile(path: string, size: number): Promise<void> {
  if (size > 0) await Deno.truncate(path, size);
  else await Deno.remove(path).catch(ifNotFound);
}

/** Returns the SHA-256 of a file, in hexadecimal. */
async function hashOf(file: string, signal?: AbortSignal): Promise<string> {
  // Reading a pipe or a device might never end.
  if (!(await Deno.stat(file)).isFile) {
    throw new Error("the path must lead to a file, found something else");
  }
  const hash = createHash("sha256");
  for await (const piece of (await Deno.open(file)).readable) {
    signal?.throwIfAborted();
    hash.update(piece);
  }
  return hash.digest("hex");
}

/** For `.catch`: returns undefined for a missing file. */
function ifNotFound(error: unknown): undefined {
  if (!(error instanceof Deno.errors.NotFound)) throw error;
}

/** Awaits the network. Its failures are retryable. */
async function network<T>(work: T): Promise<Awaited<T>> {
  try {
    return await work;
  } catch (error) {
    // The error is "fetch failed"; its cause says more.
    const { cause = error } = error instanceof Error ? error : {};
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new RetryableError(message, false, { cause: error });
  }
}

/** Awaits the disk. Its failures name the file and a remedy. */
async function disk<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException;
    throw new Error(
      code === "ENOSPC"
        ? `Writing ${file}: the disk is full. Free some space and call again to resume.`
        : `Writing ${file}: ${message}. The environment variable RESNET_LAB_CACHE can name another folder.`,
      { cause: error },
    );
  }
}

/** Writes all bytes. */
async function writeAll(handle: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let n = 0; n < bytes.length;) n += await handle.write(bytes.subarray(n));
}
