import { dirname } from "node:path";
import { processes } from "../../parallel/mod.ts";

/**
 * A log file of a training, written anew from its beginning: a training that continues from a
 * checkpoint receives its earlier progress again. So no line is missing or there twice. Earlier
 * content is overwritten only where it differs, so that programs that follow the file can go on.
 *
 * If the file cannot be written, such as on a full disk, it says so once and tries again later. Of
 * several processes that train together, only the first writes.
 */
export class LogFile implements Disposable {
  readonly #path: string;
  readonly #file: Deno.FsFile | undefined;
  /** The bytes that are written. */
  #length = 0;
  /** The lines that are not written yet. */
  #pending: Uint8Array[] = [];
  #isFailing = false;

  /**
   * Opens a file; it and its folder are made if they do not exist. The content stays until there
   * is progress.
   *
   * @throws {Error} If it cannot be written.
   */
  constructor(path: string) {
    this.#path = path;
    if (processes().rank > 0) return;
    try {
      Deno.mkdirSync(dirname(path), { recursive: true });
      this.#file = Deno.openSync(path, { read: true, write: true, create: true });
    } catch (cause) {
      throw new Error(`Writing ${path}: ${reasonOf(cause)}`, { cause });
    }
  }

  /** Returns the content that the file had before. */
  content(): Uint8Array {
    return Deno.readFileSync(this.#path);
  }

  /** Adds to the file. Restored content is written along with the first that is not. */
  add(bytes: Uint8Array, isRestored: boolean | undefined): void {
    if (!this.#file) return;
    this.#pending.push(bytes);
    if (!isRestored) this.#write();
  }

  #write(): void {
    const file = this.#file;
    if (!file) return;
    try {
      file.seekSync(this.#length, Deno.SeekMode.Start);
      for (const bytes of this.#pending) {
        for (let n = 0; n < bytes.length;) n += file.writeSync(bytes.subarray(n));
      }
      this.#length += this.#pending.reduce((sum, { length }) => sum + length, 0);
      this.#pending = [];
      file.truncateSync(this.#length);
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) {
        console.warn(
          `Writing ${this.#path}: the log could not be written, and the training goes on. ${
            reasonOf(error)
          }`,
        );
      }
      this.#isFailing = true;
    }
  }

  /** Writes what is left, and closes the file. */
  [Symbol.dispose](): void {
    if (this.#pending.length > 0) this.#write();
    this.#file?.close();
  }
}

function reasonOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/\.?$/, ".");
}
