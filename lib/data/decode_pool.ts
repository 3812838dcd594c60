/** Workers that decode image files. All data sets share them. */
import { availableParallelism } from "node:os";
import type { Worker } from "node:worker_threads";
import { addonPath } from "../tensor/installation.ts";
import { nativeCpuBackend } from "../tensor/internal.ts";
import type { ReadImageOptions } from "./decode.ts";
import type { DecodeAnswer, DecodeRequest, VersionedFile } from "./decode_worker.ts";

/** One core is left to the training. */
const WORKERS = Math.max(1, Math.min(8, availableParallelism() - 1));

/** A file that cannot be read. */
export class UnreadableFile extends Error {
  constructor(readonly path: string, readonly reason: string) {
    super(`${path}: ${reason}`);
  }
}

/** A worker with the requests that it has not answered. */
class DecodeWorker {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, PromiseWithResolvers<Uint8Array<ArrayBuffer>>>();
  #lastId = 0;

  /** @param onEnd Called when the worker has ended, which only an error does. */
  constructor(worker: Worker, onEnd: () => void) {
    this.#worker = worker;
    worker.unref(); // An idle worker does not keep the process alive.
    worker.on("message", (answer: DecodeAnswer) => this.#receive(answer));
    worker.on("error", (error: Error) => {
      onEnd();
      for (const id of [...this.#waiting.keys()]) this.#take(id)?.reject(error);
    });
  }

  decode(
    form: ReadImageOptions,
    files: readonly VersionedFile[],
  ): Promise<Uint8Array<ArrayBuffer>> {
    // A context of its own on a GPU would take memory there.
    const addon = nativeCpuBackend() && addonPath();
    const request: DecodeRequest = { id: ++this.#lastId, form, addon, files };
    const result = Promise.withResolvers<Uint8Array<ArrayBuffer>>();
    if (this.#waiting.size === 0) this.#worker.ref();
    this.#waiting.set(request.id, result);
    this.#worker.postMessage(request);
    return result.promise;
  }

  #receive(answer: DecodeAnswer): void {
    const result = this.#take(answer.id);
    if ("pixels" in answer) result?.resolve(answer.pixels);
    else result?.reject(new UnreadableFile(answer.path, answer.reason));
  }

  #take(id: number): PromiseWithResolvers<Uint8Array<ArrayBuffer>> | undefined {
    const result = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#worker.unref();
    return result;
  }
}

let pool: Promise<DecodeWorker[]> | undefined;

async function startPool(): Promise<DecodeWorker[]> {
  const { Worker } = await import("node:worker_threads");
  const file = import.meta.resolve("./decode_worker.ts");
  // A worker of this kind starts from a file or from text, and the library may come from the web.
  const url = file.startsWith("file:") ? file : `data:text/javascript,import "${file}";`;
  const onEnd = () => pool = undefined;
  return Array.from(
    { length: WORKERS },
    () => new DecodeWorker(new Worker(new URL(url)), onEnd),
  );
}

/**
 * Reads and decodes files in parallel, apart from this thread.
 *
 * @returns The pixels of all files, one after the other.
 * @throws {UnreadableFile} If one cannot be read.
 */
export async function decodeFiles(
  form: ReadImageOptions,
  files: readonly VersionedFile[],
): Promise<Uint8Array> {
  const workers = await (pool ??= startPool());
  const size = Math.ceil(files.length / workers.length);
  const parts = await Promise.all(workers.flatMap((worker, i) => {
    const part = files.slice(i * size, (i + 1) * size);
    return part.length === 0 ? [] : [worker.decode(form, part)];
  }));
  if (parts.length === 1) return parts[0]!;
  const pixels = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let start = 0;
  for (const part of parts) {
    pixels.set(part, start);
    start += part.length;
  }
  return pixels;
}
