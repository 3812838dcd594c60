/**
 * A reader of uncompressed zip files, as PyTorch writes them, including zip64 files of more than 4
 * GiB. It reads the central directory at the end of the file, and then only the requested entries.
 * PKWARE's APPNOTE.TXT, sections 4.3 and 4.5.3, defines the format.
 */
import { crc32 } from "node:zlib";
import { show } from "../tensor/internal.ts";
import type { Source } from "./files.ts";

/**
 * Sizes in bytes of the records at the end of the file: the end record without its comment, the
 * zip64 locator, and the zip64 end record.
 */
const END = 22, LOCATOR = 20, END_64 = 56;
const MAX_COMMENT = 2 ** 16 - 1;
/**
 * The value of a 16-bit or 32-bit field whose number is in the zip64 end record or extra field
 * instead.
 */
const ZIP64_16 = 0xffff, ZIP64_32 = 0xffffffff;

/** An entry of the central directory. */
interface Entry {
  readonly name: string;
  readonly size: number;
  readonly checksum: number;
  /** The position of the entry's own header in the file. */
  readonly header: number;
}

/** A zip file. */
export class Zip {
  readonly #source: Source;
  readonly #action: string;
  readonly #directory: Uint8Array;
  /** The position of each entry in the directory. */
  readonly #positions: ReadonlyMap<string, number>;
  /** The position in the file where the entries end and the directory begins. */
  readonly #end: number;

  private constructor(
    source: Source,
    action: string,
    directory: Uint8Array,
    positions: ReadonlyMap<string, number>,
    end: number,
  ) {
    this.#source = source;
    this.#action = action;
    this.#directory = directory;
    this.#positions = positions;
    this.#end = end;
  }

  /**
   * Opens a zip file and reads its central directory.
   *
   * @throws {RangeError} If the directory is missing or damaged.
   */
  static async open(source: Source, action: string): Promise<Zip> {
    const tail = await source.read(
      Math.max(0, source.size - END - MAX_COMMENT),
      Math.min(source.size, END + MAX_COMMENT),
    );
    const view = viewOf(tail);
    let end = tail.length - END;
    while (
      end >= 0 && !(view.getUint32(end, true) === 0x06054b50 &&
        view.getUint16(end + 20, true) === tail.length - END - end)
    ) end--;
    if (end < 0) throw damaged(action, "there is no directory at its end");
    /** The position of the end record in the file, and later of the zip64 end record. */
    let endRecord = source.size - tail.length + end;
    let count = view.getUint16(end + 10, true), length = view.getUint32(end + 12, true);
    let start = view.getUint32(end + 16, true);
    if (count === ZIP64_16 || length === ZIP64_32 || start === ZIP64_32) {
      const locator = viewOf(await bytesAt(source, action, endRecord - LOCATOR, LOCATOR));
      endRecord = numberAt(locator, 8);
      const record = viewOf(await bytesAt(source, action, endRecord, END_64));
      if (locator.getUint32(0, true) !== 0x07064b50 || record.getUint32(0, true) !== 0x06064b50) {
        throw damaged(action, "the zip64 record of its directory is invalid");
      }
      [count, length, start] = [numberAt(record, 32), numberAt(record, 40), numberAt(record, 48)];
    }
    if (start + length > endRecord) throw damaged(action, "its directory is larger than the file");
    const directory = await bytesAt(source, action, start, length);
    const positions = new Map<string, number>(), entries = viewOf(directory);
    const decoder = new TextDecoder();
    let position = 0;
    while (position < length) {
      if (length - position < 46 || entries.getUint32(position, true) !== 0x02014b50) {
        throw damaged(action, "its directory has an invalid entry");
      }
      const [name, extra, comment] = [28, 30, 32].map((i) => entries.getUint16(position + i, true));
      const next = position + 46 + name! + extra! + comment!;
      if (next > length) throw damaged(action, "its directory ends within an entry");
      const text = decoder.decode(directory.subarray(position + 46, position + 46 + name!));
      if (positions.has(text)) throw damaged(action, `the entry ${show(text)} is there twice`);
      positions.set(text, position);
      position = next;
    }
    if (positions.size !== count) {
      throw damaged(action, `its directory has ${positions.size} entries instead of ${count}`);
    }
    return new Zip(source, action, directory, positions, start);
  }

  /** The names of all entries. */
  get names(): MapIterator<string> {
    return this.#positions.keys();
  }

  /** Whether there is an entry of this name. */
  has(name: string): boolean {
    return this.#positions.has(name);
  }

  /**
   * Reads the named entries and verifies their checksums.
   *
   * @returns The bytes of each entry, in the order of the names.
   * @throws {RangeError} If an entry does not exist, is compressed or encrypted, overlaps another,
   * or has a wrong checksum.
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
      // A small file with overlapping entries could claim any amount of data.
      if (entry.header < end) {
        throw damaged(this.#action, `the entry ${show(entry.name)} shares bytes with another`);
      }
      end = start + entry.size;
    }
    const result: Uint8Array<ArrayBuffer>[] = [];
    for (const { entry, start } of ranges) {
      const bytes = await this.#bytes(entry, start, entry.size);
      // PyTorch can omit the checksums, and then writes 0.
      const checksum = entry.checksum === 0 ? 0 : checksumOf(bytes);
      if (checksum !== entry.checksum) {
        throw new RangeError(
          `${this.#action}: the entry ${show(entry.name)} must have the checksum ${
            hex(entry.checksum)
          }, found ${hex(checksum)}. The file is damaged.`,
        );
      }
      result.push(bytes);
    }
    return result;
  }

  /** Parses an entry of the directory. */
  #entry(name: string): Entry {
    const position = this.#positions.get(name);
    if (position === undefined) throw damaged(this.#action, `there is no entry ${show(name)}`);
    const view = viewOf(this.#directory);
    const [flags, method] = [8, 10].map((i) => view.getUint16(position + i, true));
    const checksum = view.getUint32(position + 16, true);
    const [packed, size, header] = this.#sizes(position);
    if (method !== 0 || flags! & 1) {
      throw new RangeError(
        `${this.#action}: entries must be uncompressed, as torch.save writes them, found ${
          show(name)
        } compressed or encrypted.`,
      );
    }
    const entry = { name, size, checksum, header };
    if (packed !== size) throw this.#damaged(entry);
    return entry;
  }

  /**
   * Returns the packed and unpacked size of an entry, and the position of its header. Numbers of
   * more than 32 bits are in the zip64 extra field.
   */
  #sizes(position: number): [packed: number, size: number, header: number] {
    const view = viewOf(this.#directory);
    const [packed, size, header] = [20, 24, 42].map((i) => view.getUint32(position + i, true));
    const extra = position + 46 + view.getUint16(position + 28, true);
    const end = extra + view.getUint16(position + 30, true);
    // The numbers in the zip64 extra field, whose id is 1.
    let position64 = end, end64 = end;
    for (let field = extra; field + 4 <= end;) {
      const data = field + 4, fieldEnd = data + view.getUint16(field + 2, true);
      if (view.getUint16(field, true) === 1) [position64, end64] = [data, Math.min(end, fieldEnd)];
      field = fieldEnd;
    }
    const resolve = (number: number) => {
      if (number !== ZIP64_32 || position64 + 8 > end64) return number;
      position64 += 8;
      return numberAt(view, position64 - 8);
    };
    // The zip64 extra field has the unpacked size before the packed size.
    const fullSize = resolve(size!), fullPacked = resolve(packed!);
    return [fullPacked, fullSize, resolve(header!)];
  }

  async #bytes(entry: Entry, start: number, length: number) {
    if (start + length > this.#end) throw this.#damaged(entry);
    return await this.#source.read(start, length);
  }

  #damaged({ name }: Entry): RangeError {
    return damaged(this.#action, `the entry ${show(name)} is truncated or damaged`);
  }
}

async function bytesAt(source: Source, action: string, start: number, length: number) {
  if (!(start >= 0 && start + length <= source.size)) {
    throw damaged(action, "its directory is outside of the file");
  }
  return await source.read(start, length);
}

function damaged(action: string, reason: string): RangeError {
  return new RangeError(
    `${action}: the file must be an intact zip file, as torch.save writes it, found a damaged one: ${reason}.`,
  );
}

/**
 * Returns the CRC-32 of any number of bytes, piece by piece, because Node's function takes the
 * length modulo 2³².
 */
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

/** Reads an 8-byte number. It is rounded above 2⁵³, which no size of a real file exceeds. */
function numberAt(view: DataView, position: number): number {
  return Number(view.getBigUint64(position, true));
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
