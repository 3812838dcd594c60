/** The files of a training: the last two checkpoints, and the lock against a second writer. */
import { join } from "node:path";
import { writeAtomically } from "../data/files.ts";
import { readFile } from "../weights/read_file.ts";
import {
  type Checkpoint,
  DamagedError,
  decodeCheckpoint,
  encodeCheckpoint,
} from "./checkpoint_format.ts";

/** The number of checkpoints that stay. */
const KEPT = 2;

/** How a file is written; tests replace it. */
export type WriteFile = typeof writeAtomically;

/** The folders that trainings of this process write to, by their real paths. */
const open = new Map<string, CheckpointFolder>();

/** A folder that only this training writes to. */
export class CheckpointFolder {
  readonly #action: string;
  readonly #path: string;
  readonly #lock: Deno.FsFile;
  readonly #write: WriteFile;
  #isTaken = false;
  #isFailing = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(action: string, path: string, lock: Deno.FsFile, write: WriteFile) {
    this.#action = action;
    this.#path = path;
    this.#lock = lock;
    this.#write = write;
  }

  /**
   * Opens a folder, which is made if it does not exist. In this process a later training takes the
   * folder over, because an earlier one may be suspended for ever, as in a cell that was stopped.
   *
   * @throws {Error} If another process writes to the folder, or it cannot be written.
   */
  static async open(
    action: string,
    folder: string,
    write: WriteFile = writeAtomically,
  ): Promise<CheckpointFolder> {
    const path = await made(action, folder);
    const lock = await open.get(path)?.giveAway() ?? await lockOf(action, folder, path);
    const opened = new CheckpointFolder(action, path, lock, write);
    open.set(path, opened);
    // Nobody else writes, so these are of killed processes.
    for (const { name } of Deno.readDirSync(path)) {
      if (/^checkpoint-\d+\.safetensors\.[-0-9a-f]{36}\.part$/.test(name)) {
        await Deno.remove(join(path, name));
      }
    }
    return opened;
  }

  /** Leaves the lock to another training, after a save that is under way. */
  async giveAway(): Promise<Deno.FsFile> {
    this.#isTaken = true;
    await this.#writing;
    return this.#lock;
  }

  /** Unlocks the folder. */
  close(): void {
    if (this.#isTaken) return;
    open.delete(this.#path);
    this.#lock.close();
  }

  /**
   * Reads the newest checkpoint that is not damaged, and puts the damaged ones aside.
   *
   * @returns Undefined if there is no file.
   * @throws {Error} If there are files, and all are damaged, or one is of a later version.
   */
  async read(): Promise<Checkpoint | undefined> {
    const damaged: { readonly name: string; readonly reason: string }[] = [];
    const names = this.#names().reverse();
    for (const name of names) {
      const file = join(this.#path, name);
      try {
        const checkpoint = await decodeCheckpoint(await readFile(file), file);
        for (const { name } of damaged) {
          await Deno.rename(join(this.#path, name), join(this.#path, `${name}.damaged`));
        }
        for (const { name: other, reason } of damaged) {
          console.warn(
            `${this.#action}: ${other} is damaged, so the training continues from ${name}. ${reason} It is now ${other}.damaged.`,
          );
        }
        return checkpoint;
      } catch (error) {
        if (!(error instanceof DamagedError)) throw error;
        damaged.push({ name, reason: error.message });
      }
    }
    if (damaged.length === 0) return undefined;
    throw new Error(
      [
        `${this.#action}: a checkpoint in ${this.#path} must be readable, found only damaged ones. ` +
        "Choose another folder, or delete this one to begin again.",
        ...damaged.map(({ reason }) => reason),
      ].join("\n"),
    );
  }

  /**
   * Saves a checkpoint, and removes the ones before the last two. If it cannot be written, says so
   * once, and the training goes on.
   *
   * @returns Whether it is saved.
   * @throws {Error} If another training took the folder over.
   */
  async save(checkpoint: Checkpoint): Promise<boolean> {
    this.checkOwned();
    const saving = this.#save(checkpoint);
    this.#writing = saving.then(() => {});
    return await saving;
  }

  /**
   * Checks that this training may write.
   *
   * @throws {Error} If another training took the folder over.
   */
  checkOwned(): void {
    if (!this.#isTaken) return;
    throw new Error(
      `${this.#action}: one training must write to ${this.#path}, found that a later one of this program does. ` +
        "Continue with that one, or choose another folder.",
    );
  }

  async #save(checkpoint: Checkpoint): Promise<boolean> {
    try {
      const names = this.#names();
      const number = names.length === 0 ? 1 : numberOf(names.at(-1)!) + 1;
      const name = `checkpoint-${String(number).padStart(6, "0")}.safetensors`;
      const file = join(this.#path, name);
      await this.#write(file, await encodeCheckpoint(`Writing ${file}`, checkpoint));
      if (this.#isFailing) console.warn(`${this.#action}: ${name} could be saved again.`);
      this.#isFailing = false;
      for (const old of [...names, name].slice(0, -KEPT)) await Deno.remove(join(this.#path, old));
      return true;
    } catch (error) {
      if (!this.#isFailing) {
        const reason = error instanceof Error ? error.message : String(error);
        console.warn(
          `${this.#action}: the training could not be saved, and goes on; the last checkpoint stays. ${reason}`,
        );
      }
      this.#isFailing = true;
      return false;
    }
  }

  /** The names of the checkpoints, the oldest first. */
  #names(): string[] {
    return [...Deno.readDirSync(this.#path)]
      .filter(({ name, isFile }) => isFile && /^checkpoint-\d{6,15}\.safetensors$/.test(name))
      .map(({ name }) => name)
      .sort((a, b) => numberOf(a) - numberOf(b));
  }
}

function numberOf(name: string): number {
  return Number(/\d+/.exec(name)![0]);
}

/** Makes a folder if it does not exist, and returns its real path. */
async function made(action: string, folder: string): Promise<string> {
  try {
    await Deno.mkdir(folder, { recursive: true });
    return await Deno.realPath(folder);
  } catch (cause) {
    throw notWritable(action, folder, cause);
  }
}

/** The error for a folder that cannot be made or written. */
function notWritable(action: string, folder: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `${action}: the folder of checkpoint must be one that can be written, ` +
    `found ${folder}: ${reason}. Choose another folder.`;
  return new Error(message, { cause });
}

/**
 * Locks a folder until the handle is closed, or the process ends: the lock of a dead process is
 * none.
 */
async function lockOf(action: string, folder: string, path: string): Promise<Deno.FsFile> {
  const file = join(path, "lock");
  const handle = await Deno.open(file, { read: true, write: true, create: true })
    .catch((cause) => Promise.reject(notWritable(action, folder, cause)));
  try {
    if (!await handle.tryLock(true)) {
      const holder = (await Deno.readTextFile(file)).trim();
      throw new Error(
        `${action}: one process must write to ${folder}, found that ${
          holder || "another process"
        } does. Wait for its end, or choose another folder.`,
      );
    }
    await handle.truncate();
    await handle.write(new TextEncoder().encode(`process ${Deno.pid}\n`));
    return handle;
  } catch (error) {
    handle.close();
    throw error;
  }
}
