/**
 * Entries of zip files that are stored without compression, as PyTorch writes them, also beyond 4
 * GiB. Only the directory at the end of the file is read, and then what is asked for. The format:
 * PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3.
 */
import { crc32 } from "node:zlib";
import type { Source } from "./files.ts";

/**
 * The bytes of the end of the directory without its comment, and of that with the locator of zip64
 * before it.
 */
const END = 22, LOCATOR = 20, END_64 = 56;
const LONGEST_COMMENT = 2 ** 16 - 1;
/** The value of a field whose number is in the extra field of zip64. */
const IN_EXTRA_16 = 0xffff, IN_EXTRA_32 = 0xffffffff;

/** An entry as the directory describes it. */
interface Entry {
  readonly name: string;
  readonly size: number;
  readonly checksum: number;
  /** Where its own header begins. */
  readonly header: number;
}

/** A zip file. */
export class Zip {
  readonly #source: Source;
  readonly #doing: string;
  /** The directory, and where in it each entry is described. */
  readonly #directory: Uint8Array;
  readonly #places: ReadonlyMap<string, number>;
  /** Where the directory begins in the file, and the entries end. */
  readonly #end: number;

  private constructor(
    source: Source,
    doing: string,
    directory: Uint8Array,
    places: ReadonlyMap<string, number>,
    end: number,
  ) {
    this.#source = source;
    this.#doing = doing;
    this.#directory = directory;
    this.#places = places;
    this.#end = end;
  }

  /**
   * Reads the directory.
   *
   * @throws {RangeError} If it is not whole.
   */
  static async open(source: Source, doing: string): Promise<Zip> {
    const tail = await source.read(
      Math.max(0, source.size - END - LONGEST_COMMENT),
      Math.min(source.size, END + LONGEST_COMMENT),
    );
    const view = viewOf(tail);
    let end = tail.length - END;
    while (
      end >= 0 && !(view.getUint32(end, true) === 0x06054b50 &&
        view.getUint16(end + 20, true) === tail.length - END - end)
    ) end--;
    if (end < 0) throw damaged(doing, "there is no directory at its end");
    const at = source.size - tail.length + end;
    let count = view.getUint16(end + 10, true), length = view.getUint32(end + 12, true);
    let start = view.getUint32(end + 16, true), last = at;
    if (
      count === IN_EXTRA_16 || length === IN_EXTRA_32 || start === IN_EXTRA_32
    ) {
      const locator = viewOf(await bytesAt(source, doing, at - LOCATOR, LOCATOR));
      last = numberAt(locator, 8);
      const record = viewOf(await bytesAt(source, doing, last, END_64));
      if (locator.getUint32(0, true) !== 0x07064b50 || record.getUint32(0, true) !== 0x06064b50) {
        throw damaged(doing, "the end of its directory is no zip64");
      }
      [count, length, start] = [numberAt(record, 32), numberAt(record, 40), numberAt(record, 48)];
    }
    if (start + length > last) throw damaged(doing, "its directory is longer than it");
    const directory = await bytesAt(source, doing, start, length);
    const places = new Map<string, number>(), entries = viewOf(directory);
    const decoder = new TextDecoder();
    let place = 0;
    while (place < length) {
      if (length - place < 46 || entries.getUint32(place, true) !== 0x02014b50) {
        throw damaged(doing, "an entry of its directory is none");
      }
      const [name, extra, comment] = [28, 30, 32].map((i) => entries.getUint16(place + i, true));
      const next = place + 46 + name! + extra! + comment!;
      if (next > length) throw damaged(doing, "its directory ends in an entry");
      const text = decoder.decode(directory.subarray(place + 46, place + 46 + name!));
      if (places.has(text)) throw damaged(doing, `the entry ${shown(text)} is there twice`);
      places.set(text, place);
      place = next;
    }
    if (places.size !== count) {
      throw damaged(doing, `its directory has ${places.size} entries in place of ${count}`);
    }
    return new Zip(source, doing, directory, places, start);
  }

  /** The names of all entries. */
  get names(): MapIterator<string> {
    return this.#places.keys();
  }

  /** Whether there is an entry of this name. */
  has(name: string): boolean {
    return this.#places.has(name);
  }

  /**
   * The bytes of some entries, in the order of the names, after a look at their checksums.
   *
   * @throws {RangeError} If one is not there, compressed or encrypted, shares bytes with another,
   * or its checksum is another.
   */
  async read(names: readonly string[]): Promise<Uint8Array<ArrayBuffer>[]> {
    const ranges: { entry: Entry; start: number }[] = [];
    for (const name of names) {
      const entry = this.#entry(name);
      const header = viewOf(await this.#bytes(entry, entry.header, 30));
      const start = entry.header + 30 + header.getUint16(26, true) + header.getUint16(28, true);
      if (header.getUint32(0, true) !== 0x04034b50 || start + entry.size > this.#end) {
        throw this.#damaged(entry);
      }
      ranges.push({ entry, start });
    }
    let end = 0;
    for (const { entry, start } of ranges.toSorted((a, b) => a.entry.header - b.entry.header)) {
      // Otherwise a small file could have any number of large entries.
      if (entry.header < end) {
        throw damaged(this.#doing, `the entry ${shown(entry.name)} shares bytes with another`);
      }
      end = start + entry.size;
    }
    const result: Uint8Array<ArrayBuffer>[] = [];
    for (const { entry, start } of ranges) {
      const bytes = await this.#bytes(entry, start, entry.size);
      // PyTorch can leave the checksums out, which are 0 then.
      const found = entry.checksum === 0 ? 0 : checksumOf(bytes);
      if (found !== entry.checksum) {
        throw new RangeError(
          `${this.#doing}: expected the checksum ${hex(entry.checksum)} of the entry ${
            shown(entry.name)
          }, found ${hex(found)}. The file is damaged.`,
        );
      }
      result.push(bytes);
    }
    return result;
  }

  /** Reads the entry of the directory. */
  #entry(name: string): Entry {
    const place = this.#places.get(name);
    if (place === undefined) throw damaged(this.#doing, `there is no entry ${shown(name)}`);
    const view = viewOf(this.#directory);
    const [flags, method] = [8, 10].map((i) => view.getUint16(place + i, true));
    const checksum = view.getUint32(place + 16, true);
    const [packed, size, header] = this.#numbers(place);
    if (method !== 0 || flags! & 1) {
      throw new RangeError(
        `${this.#doing}: expected entries without compression, as torch.save writes them, found ${
          shown(name)
        } compressed or encrypted.`,
      );
    }
    const entry = { name, size, checksum, header };
    if (packed !== size) throw this.#damaged(entry);
    return entry;
  }

  /**
   * The length of an entry in the file and out of it, and where its header begins: those that do
   * not fit are in the extra field.
   */
  #numbers(place: number): [packed: number, size: number, header: number] {
    const view = viewOf(this.#directory);
    const [packed, size, header] = [20, 24, 42].map((i) => view.getUint32(place + i, true));
    const extra = place + 46 + view.getUint16(place + 28, true);
    const end = extra + view.getUint16(place + 30, true);
    let next = end, stop = end;
    for (let at = extra; at + 4 <= end;) {
      const length = view.getUint16(at + 2, true);
      if (view.getUint16(at, true) === 1) [next, stop] = [at + 4, Math.min(end, at + 4 + length)];
      at += 4 + length;
    }
    // The extra field has them in this order.
    const whole = [size, packed, header].map((number) => {
      if (number !== IN_EXTRA_32 || next + 8 > stop) return number!;
      next += 8;
      return numberAt(view, next - 8);
    });
    return [whole[1]!, whole[0]!, whole[2]!];
  }

  async #bytes(entry: Entry, start: number, length: number) {
    if (start + length > this.#end) throw this.#damaged(entry);
    return await this.#source.read(start, length);
  }

  #damaged({ name }: Entry): RangeError {
    return damaged(this.#doing, `the entry ${shown(name)} is not whole`);
  }
}

async function bytesAt(source: Source, doing: string, start: number, length: number) {
  if (!(start >= 0 && start + length <= source.size)) {
    throw damaged(doing, "its directory lies outside of it");
  }
  return await source.read(start, length);
}

function damaged(doing: string, reason: string): RangeError {
  return new RangeError(
    `${doing}: expected a whole zip file, as torch.save writes it, found another (${reason}).`,
  );
}

/** The CRC-32 of any number of bytes; the function of Node.js takes the length modulo 2³². */
function checksumOf(bytes: Uint8Array): number {
  let checksum = 0;
  for (let i = 0; i < bytes.length; i += 2 ** 30) {
    checksum = crc32(bytes.subarray(i, i + 2 ** 30), checksum);
  }
  return checksum;
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, byteLength);
}

/** A number of 8 bytes; one that is too large for a file comes as it is, about. */
function numberAt(view: DataView, position: number): number {
  return Number(view.getBigUint64(position, true));
}

function shown(name: string): string {
  return name.length > 100 ? `${name.slice(0, 100)}…` : name;
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
