import { elementSize, isCounts, isStoredType, StoredTensor, storedTypes } from "./stored_tensor.ts";
import { checkPath, readNext, readWhole, writeAtomically } from "./files.ts";
import { namesForFile, namesFromFile } from "./own_order.ts";
import { noteFromFile, withTransformNote } from "./transform_note.ts";

/** The largest header that the format allows, in bytes. */
const LARGEST_HEADER = 100_000_000;

/**
 * Reads a safetensors file: its tensors by name, in the order of the file. They are views of the
 * file, which is read once and held once.
 *
 * The format: https://huggingface.co/docs/safetensors. All of it is checked: the header's length,
 * that it is JSON without a name twice, dtypes and shapes, and that the ranges of the tensors cover
 * the data without gap or overlap.
 *
 * @throws {RangeError} If a length, a count or a range does not fit the file.
 * @throws {TypeError} If the header is not what the format says, or has a dtype that is not read
 * here.
 * @throws {Deno.errors.NotFound} If there is no such file.
 *
 * @example
 * ```ts
 * import { ops, readSafetensors, StoredTensor, writeSafetensors } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const file = `${await Deno.makeTempDir()}/model.safetensors`;
 * await writeSafetensors(file, new Map([["bias", StoredTensor.of(ops.tensor([1, 2]))]]));
 * const tensors = await readSafetensors(file);
 * assert.deepEqual([...tensors.get("bias")!.values()], [1, 2]);
 * ```
 */
export async function readSafetensors(file: string): Promise<Map<string, StoredTensor>> {
  checkPath("Reading a safetensors file", "file", file);
  return parseSafetensors(await readWhole(file), file).tensors;
}

/**
 * The notes in the header of a safetensors file, which {@linkcode writeSafetensors} wrote there.
 * Only the header is read.
 *
 * @throws {RangeError | TypeError} As {@linkcode readSafetensors}.
 *
 * @example
 * ```ts
 * import { readSafetensorsMetadata, writeSafetensors } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const file = `${await Deno.makeTempDir()}/notes.safetensors`;
 * await writeSafetensors(file, new Map(), { dataset: "Fashion-MNIST" });
 * assert.deepEqual(await readSafetensorsMetadata(file), { dataset: "Fashion-MNIST" });
 * ```
 */
export async function readSafetensorsMetadata(file: string): Promise<Record<string, string>> {
  checkPath("Reading a safetensors file", "file", file);
  using handle = await Deno.open(file);
  const { size } = await handle.stat();
  const length = headerLength(await readNext(handle, Math.min(8, size), file), size, file);
  return parseHeader(await readNext(handle, length, file), size - 8 - length, file).metadata;
}

/** {@linkcode readSafetensors} of bytes. */
export function parseSafetensors(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
): { tensors: Map<string, StoredTensor>; metadata: Record<string, string> } {
  const start = 8 + headerLength(bytes, bytes.length, source);
  const data = bytes.subarray(start);
  const { entries, metadata } = parseHeader(bytes.subarray(8, start), data.length, source);
  const tensors = new Map(
    entries.map(({ name, dtype, shape, begin, end }) => [
      name,
      new StoredTensor(dtype, shape, data.subarray(begin, end)),
    ]),
  );
  noteFromFile(tensors, metadata);
  return { tensors: namesFromFile(tensors), metadata };
}

/** The length of the header, which the first 8 bytes say. */
function headerLength(bytes: Uint8Array<ArrayBuffer>, fileSize: number, source: string): number {
  if (fileSize < 8) {
    throw new RangeError(
      `Reading ${source}: expected a safetensors file, which begins with 8 bytes for the length of its header, found ${fileSize} bytes.`,
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const most = Math.min(LARGEST_HEADER, fileSize - 8);
  if (length > most) {
    throw new RangeError(
      `Reading ${source}: expected a header of at most ${most} bytes (the file has ${fileSize}, and the format allows ${LARGEST_HEADER}), ` +
        `found the length ${length}. The file is truncated, damaged, or no safetensors file.`,
    );
  }
  return Number(length);
}

/** What the header says of a tensor, checked. */
interface Entry {
  readonly name: string;
  readonly dtype: StoredTensor["dtype"];
  readonly shape: readonly number[];
  /** Its first byte in the data, and the one after its last. */
  readonly begin: number;
  readonly end: number;
}

/** The header: entries in the order of their data, which they cover without gap or overlap. */
function parseHeader(
  bytes: Uint8Array,
  dataLength: number,
  source: string,
): { entries: Entry[]; metadata: Record<string, string> } {
  const doing = `Reading ${source}`;
  checkOutline(bytes, bytes.length + dataLength, doing);
  const header = parseJson(bytes, doing);
  let metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, value] of header) {
    if (name !== "__metadata__") entries.push(parseEntry(name, value, doing));
    else metadata = parseMetadata(value, doing);
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== position) {
      throw new RangeError(
        `${doing}: expected the data of ${
          show(name)
        } to begin at byte ${position}, found ${begin}: ${
          begin < position ? "it overlaps the tensor before it" : "there is a gap"
        }.`,
      );
    }
    position = end;
  }
  if (position !== dataLength) {
    throw new RangeError(
      `${doing}: expected ${position} bytes of data, as the header says, found ${dataLength}. ` +
        (dataLength < position ? "The file is truncated." : "There are bytes after the end."),
    );
  }
  return { entries, metadata };
}

/** How deep a header is: the whole, an entry, and its shape. */
const DEEPEST = 3;
/** The memory in bytes that parts of a header take when they are read, about. */
const COSTS = { object: 400, text: 60, number: 16 } as const;

/**
 * Checks, before anything is made of a header, that it is no deeper and takes no more memory than
 * the format and the file call for.
 */
function checkOutline(bytes: Uint8Array, fileSize: number, doing: string): void {
  const most = fileSize / 2 + 2 ** 24;
  if (bytes[0] !== 0x7b) {
    const start = new TextDecoder().decode(bytes.subarray(0, 10));
    throw new TypeError(`${doing}: expected a header that begins with {, found ${show(start)}.`);
  }
  let depth = 0, memory = 0;
  for (let i = 0; i < bytes.length && memory <= most; i++) {
    switch (bytes[i]) {
      case 0x22: // A text, up to the next quotation mark that no backslash stands before.
        memory += COSTS.text;
        for (i++; i < bytes.length && bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++;
        if (i >= bytes.length) throw noJson(doing, "a text without end");
        break;
      case 0x7b: // {
        memory += COSTS.object;
      // falls through
      case 0x5b: // [
        if (++depth > DEEPEST) {
          throw new TypeError(
            `${doing}: expected a header of entries with a dtype, a shape and data_offsets, found one that is deeper, at byte ${i}.`,
          );
        }
        break;
      case 0x7d:
      case 0x5d:
        depth--;
        break;
      case 0x2c: // ,
        memory += COSTS.number;
    }
  }
  if (memory > most) {
    throw new RangeError(
      `${doing}: expected a header whose parts take at most ${
        Math.round(most)
      } bytes of memory, as for a file of ${fileSize} bytes, found more.`,
    );
  }
}

/** The names and values of the header. */
function parseJson(bytes: Uint8Array, doing: string): [string, unknown][] {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw noJson(doing, error instanceof Error ? error.message : error, error);
  }
  checkNames(text, doing);
  return Object.entries(header as object);
}

function noJson(doing: string, reason: unknown, cause?: unknown): TypeError {
  return new TypeError(
    `${doing}: expected a header of JSON in UTF-8, found something else (${reason}). The file is damaged, or no safetensors file.`,
    { cause },
  );
}

/**
 * Checks that no object in a valid JSON text has a name twice, of which `JSON.parse` keeps the last
 * without a word.
 */
function checkNames(text: string, doing: string): void {
  const open: Set<string>[] = [];
  for (const [token, string, colon] of text.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (string && colon) {
      const name: string = JSON.parse(string);
      if (open.at(-1)?.has(name)) {
        throw new TypeError(
          `${doing}: expected each name once in the header, found ${show(name)} twice.`,
        );
      }
      open.at(-1)?.add(name);
    }
  }
}

function parseMetadata(value: unknown, doing: string): Record<string, string> {
  const entries = isRecord(value) ? Object.entries(value) : undefined;
  return Object.fromEntries(
    (entries ?? [["__metadata__", value]]).map(([name, text]): [string, string] => {
      if (entries && typeof text === "string") return [name, text];
      throw new TypeError(
        `${doing}: expected a text for each name in __metadata__, found ${show(text)} for ${
          show(name)
        }.`,
      );
    }),
  );
}

function parseEntry(name: string, value: unknown, doing: string): Entry {
  const { dtype, shape, data_offsets: offsets }: Record<string, unknown> = isRecord(value)
    ? value
    : {};
  if (typeof dtype !== "string" || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw new TypeError(
      `${doing}: expected a dtype, a shape and two data_offsets of whole numbers for ${
        show(name)
      }, found ${show(value)}.`,
    );
  }
  if (!isStoredType(dtype)) {
    throw new TypeError(
      `${doing}: expected the dtype of ${show(name)} to be one of ${storedTypes}, found ${
        show(dtype)
      }.`,
    );
  }
  const [begin, end] = [offsets[0]!, offsets[1]!];
  const length = shape.reduce((product, axis) => product * axis, elementSize(dtype));
  if (end - begin !== length) {
    throw new RangeError(
      `${doing}: expected ${length} bytes for ${show(name)}, ${dtype} ${show(shape)}, found ${
        end - begin
      } (${begin} to ${end}).`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A value as a message shows it; a header can be long. */
function show(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/**
 * Writes tensors to a safetensors file that PyTorch, JAX and others read, with notes for
 * {@linkcode readSafetensorsMetadata}. Tensors of a model with a transform take it along as a note,
 * for {@linkcode loadStateDict}; of one that is a function of the user's own it says only that there is
 * one.
 *
 * The file is there whole or not at all: what is written gets its name at the end.
 *
 * @throws {RangeError} If a name cannot be written, or the header is longer than the format allows.
 * @throws {TypeError} If the tensors are no map of stored tensors, or a note is no text.
 * @throws {Error} If the file cannot be written.
 *
 * @example
 * ```ts
 * import { linear, loadStateDict, readSafetensors, stateDict, writeSafetensors } from "resnet-lab";
 *
 * const file = `${await Deno.makeTempDir()}/layer.safetensors`;
 * await writeSafetensors(file, stateDict(linear(3, 2)), { epochs: "12" });
 * loadStateDict(linear(3, 2), await readSafetensors(file));
 * ```
 */
export async function writeSafetensors(
  file: string,
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkPath("Writing a safetensors file", "file", file);
  const doing = `Writing ${file}`;
  if (!(tensors instanceof Map)) {
    throw new TypeError(
      `${doing}: expected a map from names to stored tensors, found ${show(tensors)}.`,
    );
  }
  const notes = withTransformNote(doing, tensors, parseMetadata(metadata, doing));
  const header: [string, unknown][] = [];
  if (Object.keys(notes).length > 0) header.push(["__metadata__", notes]);
  // Large elements first, so that each begins at a multiple of its size.
  const sorted = [...namesForFile(tensors)].sort(([, a], [, b]) =>
    elementSize(b.dtype) - elementSize(a.dtype)
  );
  let position = 0;
  for (const [name, tensor] of sorted) {
    if (!(tensor instanceof StoredTensor)) {
      throw new TypeError(
        `${doing}: expected a stored tensor for ${
          show(name)
        }, found another value. StoredTensor.of makes one of a tensor.`,
      );
    }
    const { dtype, shape, size } = tensor;
    const end = position + size * elementSize(dtype);
    header.push([name, { dtype, shape, data_offsets: [position, end] }]);
    position = end;
  }
  for (const text of [...tensors.keys(), ...Object.entries(notes).flat()]) {
    if (text === "__metadata__" || !text.isWellFormed()) {
      throw new RangeError(
        `${doing}: expected names and notes of whole characters other than __metadata__, found ${
          show(text)
        }.`,
      );
    }
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  // The data begins at a multiple of 8.
  const length = Math.ceil(json.length / 8) * 8;
  if (length > LARGEST_HEADER) {
    throw new RangeError(
      `${doing}: the format allows a header of ${LARGEST_HEADER} bytes, but the names, shapes and notes take ${length}.`,
    );
  }
  const start = new Uint8Array(8 + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(json, 8);
  await writeAtomically(
    file,
    (function* () {
      yield start;
      for (const [, tensor] of sorted) yield tensor.bytes();
    })(),
  );
}
