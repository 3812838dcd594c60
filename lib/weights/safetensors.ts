import { writeAtomically } from "../data/files.ts";
import { checkPath, show } from "../tensor/internal.ts";
import { readFile } from "./read_file.ts";
import {
  checkStateDict,
  elementSize,
  isCounts,
  isStoredType,
  type StateDict,
  StoredTensor,
  storedTypes,
} from "./stored_tensor.ts";
import { namesForFile, namesFromFile, noteFromFile, withNotes } from "./tensor_notes.ts";

/** The largest header that the format allows, in bytes. */
const MAX_HEADER = 100_000_000;

/**
 * Reads a safetensors file: its tensors by name, in the order of the file. The tensors are views of
 * one copy of the file in memory.
 *
 * The format: https://huggingface.co/docs/safetensors. The reader checks all of it: the length of
 * the header, that the header is JSON with unique names, dtypes and shapes, and that the tensors
 * cover the data without gap or overlap.
 *
 * @throws {RangeError} If a length, a count or a range does not fit the file.
 * @throws {TypeError} If the header violates the format, or names an unknown dtype.
 * @throws {Deno.errors.NotFound} If there is no such file.
 *
 * @example
 * ```ts
 * import { linear, readSafetensors, stateDict, writeSafetensors } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const file = `${await Deno.makeTempDir()}/model.safetensors`;
 * await writeSafetensors(file, stateDict(linear(3, 2)), { dataset: "Fashion-MNIST" });
 * const tensors = await readSafetensors(file);
 * assert.deepEqual(tensors.get("weight")!.shape, [2, 3]);
 * assert.deepEqual(tensors.metadata, { dataset: "Fashion-MNIST" });
 * ```
 */
export async function readSafetensors(file: string): Promise<SafetensorsFile> {
  checkPath("Reading a safetensors file", "file", file, "model.safetensors");
  const { tensors, metadata } = parseSafetensors(await readFile(file), file);
  // Not enumerable, so that two files with equal tensors are deeply equal.
  return Object.defineProperty(tensors, "metadata", { value: metadata }) as SafetensorsFile;
}

/** The tensors of a safetensors file by name, and its metadata. */
export interface SafetensorsFile extends Map<string, StoredTensor> {
  /** The texts by name in the header of the file, as {@linkcode writeSafetensors} writes them. */
  readonly metadata: Readonly<Record<string, string>>;
}

/** Parses the bytes of a safetensors file; `source` is its name in errors. */
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

/** Whether a file begins as PyTorch's do: with a zip file, or with a pickle. */
function isPyTorchFile([first, second]: Uint8Array): boolean {
  return first === 0x50 && second === 0x4b || first === 0x80 && second === 0x02;
}

/** The length of the header, from the first 8 bytes. */
function headerLength(bytes: Uint8Array<ArrayBuffer>, fileSize: number, source: string): number {
  if (fileSize < 8) {
    throw new RangeError(
      `Reading ${source}: a safetensors file must begin with 8 bytes for the length of its header, found ${fileSize} bytes.`,
    );
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const max = Math.min(MAX_HEADER, fileSize - 8);
  if (length > max) {
    throw new RangeError(
      `Reading ${source}: the header must have at most ${max} bytes (the file has ${fileSize}, and the format allows ${MAX_HEADER}), ` +
        `found the length ${length}. ${
          isPyTorchFile(bytes)
            ? "It begins as a .pth file does: read it with readPth."
            : "The file is truncated, damaged, or no safetensors file."
        }`,
    );
  }
  return Number(length);
}

/** The checked entry of a tensor in the header. */
interface Entry {
  readonly name: string;
  readonly dtype: StoredTensor["dtype"];
  readonly shape: readonly number[];
  /** The position of its first byte in the data, and the position after its last. */
  readonly begin: number;
  readonly end: number;
}

/** Parses the header; the entries are in the order of their data. */
function parseHeader(
  bytes: Uint8Array,
  dataLength: number,
  source: string,
): { entries: Entry[]; metadata: Record<string, string> } {
  const action = `Reading ${source}`;
  checkOutline(bytes, bytes.length + dataLength, action);
  const header = parseJson(bytes, action);
  let metadata: Record<string, string> = {};
  const entries: Entry[] = [];
  for (const [name, value] of header) {
    if (name !== "__metadata__") entries.push(parseEntry(name, value, action));
    else metadata = parseMetadata(value, action);
  }
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let position = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== position) {
      throw new RangeError(
        `${action}: the data of ${show(name)} must begin at byte ${position}, found ${begin}: ${
          begin < position ? "it overlaps the tensor before it" : "there is a gap"
        }.`,
      );
    }
    position = end;
  }
  if (position !== dataLength) {
    throw new RangeError(
      `${action}: the file must have ${position} bytes of data, as its header says, found ${dataLength}. ` +
        (dataLength < position ? "The file is truncated." : "There are bytes after the end."),
    );
  }
  return { entries, metadata };
}

/** The greatest depth of a header: the header itself, an entry, and its shape. */
const MAX_DEPTH = 3;
/** The memory in bytes that a parsed object, string or number takes, roughly. */
const COSTS = { object: 400, text: 60, number: 16 } as const;

/**
 * Checks a header before it is parsed, so that a small hostile file cannot take much memory: the
 * header may be no deeper than the format allows, and its size must fit the file's.
 */
function checkOutline(bytes: Uint8Array, fileSize: number, action: string): void {
  const maxMemory = fileSize / 2 + 2 ** 24;
  if (bytes[0] !== 0x7b) {
    const start = new TextDecoder().decode(bytes.subarray(0, 10));
    throw new TypeError(`${action}: the header must begin with {, found ${show(start)}.`);
  }
  let depth = 0, memory = 0;
  for (let i = 0; i < bytes.length && memory <= maxMemory; i++) {
    switch (bytes[i]) {
      case 0x22: // A string, up to the next quotation mark without a backslash before it.
        memory += COSTS.text;
        for (i++; i < bytes.length && bytes[i] !== 0x22; i++) if (bytes[i] === 0x5c) i++;
        if (i >= bytes.length) throw noJson(action, "a string without end");
        break;
      case 0x7b: // {
        memory += COSTS.object;
      // falls through
      case 0x5b: // [
        if (++depth > MAX_DEPTH) {
          throw new TypeError(
            `${action}: the header must have entries with a dtype, a shape and data_offsets, found a deeper one at byte ${i}.`,
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
  if (memory > maxMemory) {
    throw new RangeError(
      `${action}: the header of a file of ${fileSize} bytes must take at most ${
        Math.round(maxMemory)
      } bytes of memory, found more.`,
    );
  }
}

/** The names and values of the header. */
function parseJson(bytes: Uint8Array, action: string): [string, unknown][] {
  let text: string;
  let header: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    header = JSON.parse(text);
  } catch (error) {
    throw noJson(action, error instanceof Error ? error.message : error, error);
  }
  checkNames(text, action);
  return Object.entries(header as object);
}

function noJson(action: string, reason: unknown, cause?: unknown): TypeError {
  return new TypeError(
    `${action}: the header must be JSON in UTF-8, found other bytes (${reason}). The file is damaged, or no safetensors file.`,
    { cause },
  );
}

/** Checks that no object in a valid JSON text has a name twice: `JSON.parse` keeps the last one. */
function checkNames(text: string, action: string): void {
  const open: Set<string>[] = [];
  for (const [token, string, colon] of text.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(\s*:)?|[{}]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (string && colon) {
      const name: string = JSON.parse(string);
      if (open.at(-1)?.has(name)) {
        throw new TypeError(
          `${action}: each name must be in the header once, found ${show(name)} twice.`,
        );
      }
      open.at(-1)?.add(name);
    }
  }
}

function parseMetadata(value: unknown, action: string): Record<string, string> {
  if (!isRecord(value)) {
    throw new TypeError(
      `${action}: __metadata__ must be an object of strings, found ${show(value)}.`,
    );
  }
  return Object.fromEntries(
    Object.entries(value).map(([name, text]): [string, string] => {
      if (typeof text === "string") return [name, text];
      throw new TypeError(
        `${action}: each value in __metadata__ must be a string, found ${show(text)} for ${
          show(name)
        }.`,
      );
    }),
  );
}

function parseEntry(name: string, value: unknown, action: string): Entry {
  const { dtype, shape, data_offsets: offsets }: Record<string, unknown> = isRecord(value)
    ? value
    : {};
  if (typeof dtype !== "string" || !isCounts(shape) || !isCounts(offsets) || offsets.length !== 2) {
    throw new TypeError(
      `${action}: ${
        show(name)
      } must have a dtype, a shape and two data_offsets of whole numbers, found ${show(dtype)}, ${
        show(shape)
      } and ${show(offsets)}.`,
    );
  }
  if (!isStoredType(dtype)) {
    throw new TypeError(
      `${action}: the dtype of ${show(name)} must be one of ${storedTypes.join(", ")}, found ${
        show(dtype)
      }.`,
    );
  }
  const [begin, end] = [offsets[0]!, offsets[1]!];
  const length = shape.reduce((product, axis) => product * axis, elementSize(dtype));
  if (end - begin !== length) {
    throw new RangeError(
      `${action}: ${show(name)}, ${dtype} ${show(shape)}, must have ${length} bytes, found ${
        end - begin
      } (${begin} to ${end}).`,
    );
  }
  return { name, dtype, shape, begin, end };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * Writes tensors to a safetensors file, which PyTorch, JAX and others read, and metadata for
 * {@linkcode SafetensorsFile.metadata}. If the tensors are the state dict of a model with a
 * transform, the metadata includes the transform for {@linkcode loadStateDict}; for a custom
 * function it includes only that there is one.
 *
 * The file is complete or absent at any time: a temporary file is renamed at the end.
 *
 * @throws {RangeError} If a name cannot be written, or the header is longer than the format allows.
 * @throws {TypeError} If the tensors are not a map of stored tensors, or a value of the metadata is
 * not a string.
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
  tensors: StateDict,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  checkPath("Writing a safetensors file", "file", file, "model.safetensors");
  const { header, data } = encodeSafetensors(`Writing ${file}`, tensors, metadata);
  await writeAtomically(
    file,
    (function* () {
      yield header;
      for (const tensor of data) yield tensor.bytes();
    })(),
  );
}

/**
 * Returns the parts of a safetensors file: the header with its length, and the tensors whose bytes
 * follow.
 *
 * @throws {RangeError | TypeError} As {@linkcode writeSafetensors}.
 */
export function encodeSafetensors(
  action: string,
  tensors: StateDict,
  metadata: Readonly<Record<string, string>>,
): { readonly header: Uint8Array<ArrayBuffer>; readonly data: readonly StoredTensor[] } {
  checkStateDict(action, tensors);
  const notes = withNotes(action, tensors, parseMetadata(metadata, action));
  const header: [string, unknown][] = [];
  if (Object.keys(notes).length > 0) header.push(["__metadata__", notes]);
  // Large elements first, so that each begins at a multiple of its size.
  const sorted = [...namesForFile(tensors)].sort(([, a], [, b]) =>
    elementSize(b.dtype) - elementSize(a.dtype)
  );
  let position = 0;
  for (const [name, tensor] of sorted) {
    const { dtype, shape, size } = tensor;
    const end = position + size * elementSize(dtype);
    header.push([name, { dtype, shape, data_offsets: [position, end] }]);
    position = end;
  }
  for (const text of [...tensors.keys(), ...Object.entries(notes).flat()]) {
    if (text === "__metadata__" || !text.isWellFormed()) {
      throw new RangeError(
        `${action}: names and metadata must be well-formed text other than __metadata__, found ${
          show(text)
        }.`,
      );
    }
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(header)));
  // The format aligns the data to 8 bytes.
  const length = Math.ceil(json.length / 8) * 8;
  if (length > MAX_HEADER) {
    throw new RangeError(
      `${action}: the header of names, shapes and metadata must have at most ${MAX_HEADER} bytes, found ${length}.`,
    );
  }
  const start = new Uint8Array(8 + length).fill(0x20);
  new DataView(start.buffer).setBigUint64(0, BigInt(length), true);
  start.set(json, 8);
  return { header: start, data: sorted.map(([, tensor]) => tensor) };
}
