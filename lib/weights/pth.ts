import { Buffer } from "node:buffer";
import { crc32 } from "node:zlib";
// @ts-types="@types/yauzl"
import { fromBufferPromise } from "yauzl";
import { readWhole } from "./files.ts";
import { Global, kindOf, unpickle } from "./pickle.ts";
import { elementSize, isCount, isCounts, StoredTensor, type StoredType } from "./stored_tensor.ts";

/** PyTorch's names of the types of elements. */
const STORAGE_TYPES: ReadonlyMap<string, StoredType> = new Map([
  ["torch DoubleStorage", "F64"],
  ["torch FloatStorage", "F32"],
  ["torch HalfStorage", "F16"],
  ["torch BFloat16Storage", "BF16"],
  ["torch LongStorage", "I64"],
  ["torch IntStorage", "I32"],
  ["torch ShortStorage", "I16"],
  ["torch CharStorage", "I8"],
  ["torch ByteStorage", "U8"],
  ["torch BoolStorage", "BOOL"],
]);

/** Elements that tensors are views of; their bytes are found when the pickle is read. */
class Storage {
  data: Uint8Array<ArrayBuffer> | undefined;

  constructor(readonly dtype: StoredType, readonly key: string, readonly count: number) {}
}

/** A tensor as the pickle describes it. */
class View {
  constructor(
    readonly storage: Storage,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
  ) {}
}

/**
 * Reads a `.pth` or `.pt` file that PyTorch's `torch.save(model.state_dict(), file)` wrote: its tensors by name, in the order of the
 * file. They are views of the file, which is read once and held once.
 *
 * Such a file has a pickle in it, a small program in Python's own format. It is read by a machine that knows what tensors need and
 * nothing else: no code is run, and anything else in it is an error that names it. The format of PyTorch before 1.6, which the hub's
 * oldest files have, is read as well.
 *
 * @throws {RangeError} If it is damaged or truncated, or counts and sizes do not fit the file.
 * @throws {TypeError} If it holds something else than tensors by name.
 * @throws {Deno.errors.NotFound} If there is no such file.
 *
 * @example
 * ```ts
 * import { readPth } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const tensors = await readPth("tests/fixtures/weights/layouts.pth");
 * assert.deepEqual(tensors.get("transposed")!.shape, [3, 2]);
 * assert.deepEqual([...tensors.get("transposed")!.values()], [0, 3, 1, 4, 2, 5]);
 * ```
 */
export async function readPth(file: string): Promise<Map<string, StoredTensor>> {
  return await parsePth(await readWhole(file), file);
}

/** {@linkcode readPth} of bytes. */
export async function parsePth(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
): Promise<Map<string, StoredTensor>> {
  const doing = `Reading ${source}`;
  // Every zip file begins with these letters, and no pickle does.
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b;
  const { value, storages } = isZip ? await readZip(bytes, doing) : readLegacy(bytes, doing);
  if (!(value instanceof Map)) {
    throw new TypeError(`${doing}: expected tensors by name, found ${kindOf(value)}.`);
  }
  for (const storage of storages) checkLength(storage, doing);
  return new Map([...value].map(([name, view]) => {
    if (typeof name !== "string") {
      throw new TypeError(`${doing}: expected names that are texts, found ${kindOf(name)}.`);
    }
    if (!(view instanceof View)) {
      throw new TypeError(
        `${doing}: expected a tensor for each name, found ${kindOf(view)} for ${
          JSON.stringify(name)
        }. In Python, torch.save(model.state_dict(), file) writes the tensors alone.`,
      );
    }
    return [name, storedTensor(view, `${doing}: the tensor ${JSON.stringify(name)}`)];
  }));
}

/** What a pickle of PyTorch's may name, with storages that it refers to, each once. */
function pytorch(doing: string) {
  const storages = new Map<string, Storage>();
  const rebuild = ([storage, offset, shape, strides]: readonly unknown[]): View => {
    if (
      !(storage instanceof Storage) || !isCount(offset) || !isCounts(shape) || !isCounts(strides) ||
      shape.length !== strides.length
    ) {
      throw new TypeError(
        `${doing}: expected a tensor made of a storage, an offset, a shape and strides, found something else in its pickle.`,
      );
    }
    return new View(storage, offset, shape, strides);
  };
  const globals = new Map(
    [
      new Global("collections OrderedDict", ([items = []]) => {
        if (Array.isArray(items) && items.length === 0) return new Map();
        throw new TypeError(`${doing}: expected an empty OrderedDict, found ${kindOf(items)}.`);
      }),
      new Global("torch._utils _rebuild_tensor", rebuild),
      new Global("torch._utils _rebuild_tensor_v2", rebuild),
      new Global("torch._utils _rebuild_parameter", ([view]) => view),
      ...STORAGE_TYPES.keys().map((name) => new Global(name)),
    ].map((global) => [global.name, global]),
  );
  const persistent = (id: unknown): Storage => {
    const [what, type, key, , count, view = null]: readonly unknown[] = Array.isArray(id) ? id : [];
    const dtype = type instanceof Global ? STORAGE_TYPES.get(type.name) : undefined;
    if (
      what !== "storage" || dtype === undefined || typeof key !== "string" || !isCount(count) ||
      view !== null
    ) {
      throw new TypeError(
        `${doing}: expected a storage with its type, its key and its number of elements, found something else in its pickle.`,
      );
    }
    const storage = storages.get(key) ?? new Storage(dtype, key, count);
    if (storage.dtype !== dtype || storage.count !== count) {
      throw new TypeError(
        `${doing}: expected the storage ${key} to be ${storage.count} elements of ${storage.dtype} everywhere, found ${count} of ${dtype}.`,
      );
    }
    storages.set(key, storage);
    return storage;
  };
  return { storages, world: { doing, globals, persistent } };
}

/** What a reader of one of the formats gives. */
interface Content {
  readonly value: unknown;
  readonly storages: Iterable<Storage>;
}

/** The format since PyTorch 1.6: a zip file of data.pkl and of one entry for each storage, not compressed. */
async function readZip(bytes: Uint8Array<ArrayBuffer>, doing: string): Promise<Content> {
  const entries = await zipEntries(bytes, doing);
  const name = entries.keys().find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (name === undefined) {
    throw new TypeError(
      `${doing}: expected a zip file with a data.pkl in a folder, as torch.save writes it, found ${
        entries.size === 0 ? "no entries" : `${entries.size} other entries`
      }.`,
    );
  }
  const folder = name.slice(0, -"data.pkl".length);
  if (entries.has(`${folder}constants.pkl`)) {
    throw new TypeError(
      `${doing}: expected tensors by name, found a program of TorchScript. In Python, ` +
        "torch.save(torch.jit.load(file).state_dict(), file) writes its tensors alone.",
    );
  }
  const order = entries.get(`${folder}byteorder`)?.();
  if (order && new TextDecoder().decode(order) !== "little") {
    throw new TypeError(
      `${doing}: expected the byte order little, found ${new TextDecoder().decode(order)}.`,
    );
  }
  const { storages, world } = pytorch(doing);
  const pickle = entries.get(name)!();
  const { value } = unpickle(pickle, 0, world);
  for (const storage of storages.values()) {
    storage.data = entries.get(`${folder}data/${storage.key}`)?.();
  }
  return { value, storages: storages.values() };
}

/** The entries of a zip file by name: for each a function that gives its bytes, a view, after a look at their checksum. */
async function zipEntries(
  bytes: Uint8Array<ArrayBuffer>,
  doing: string,
): Promise<Map<string, () => Uint8Array<ArrayBuffer>>> {
  const entries = new Map<string, () => Uint8Array<ArrayBuffer>>();
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const zip = await fromBufferPromise(buffer);
    for await (const entry of zip.eachEntry()) {
      const { fileName: name, uncompressedSize: size, compressionMethod, crc32: checksum } = entry;
      const header = await zip.readLocalFileHeaderPromise(entry, { minimal: true });
      const data = bytes.subarray(header.fileDataStart, header.fileDataStart + size);
      if (entries.has(name)) throw new Error(`the entry ${name} is there twice`);
      entries.set(name, () => {
        if (compressionMethod !== 0 || entry.isEncrypted()) {
          throw new RangeError(
            `${doing}: expected entries without compression, as torch.save writes them, found ${name} compressed or encrypted.`,
          );
        }
        // PyTorch can leave the checksums out, which are 0 then.
        if (checksum === 0 || crc32(data) === checksum) return data;
        throw new RangeError(
          `${doing}: expected the checksum ${hex(checksum)} of the entry ${name}, found ${
            hex(crc32(data))
          }. The file is damaged.`,
        );
      });
    }
  } catch (error) {
    throw new RangeError(
      `${doing}: expected a whole zip file, as torch.save writes it, found another (${
        error instanceof Error ? error.message : error
      }).`,
      { cause: error },
    );
  }
  return entries;
}

/** The number by which PyTorch knows its format before 1.6. */
const LEGACY_MAGIC = BigInt("0x1950a86a20f9469cfc6c").toString();
const LEGACY_VERSION = 1001;

/**
 * The format before PyTorch 1.6: pickles of a magic number, the version of the format, the machine, the tensors and the keys of their
 * storages, and then for each key its number of elements and these.
 */
function readLegacy(bytes: Uint8Array<ArrayBuffer>, doing: string): Content {
  const { storages, world } = pytorch(doing);
  let position = 0;
  const next = (): unknown => {
    const { value, end } = unpickle(bytes, position, world);
    position = end;
    return value;
  };
  if (bytes[0] !== 0x80 || next() !== LEGACY_MAGIC) {
    throw new TypeError(
      `${doing}: expected a file that torch.save wrote, which begins with PK or PyTorch's number, found another.`,
    );
  }
  const version = next(), machine = next();
  if (version !== LEGACY_VERSION) {
    throw new TypeError(
      `${doing}: expected the version ${LEGACY_VERSION} of the format, found ${kindOf(version)}.`,
    );
  }
  if (!(machine instanceof Map && machine.get("little_endian") === true)) {
    throw new TypeError(`${doing}: expected the byte order little, found another.`);
  }
  const value = next(), keys = next();
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = storages.get(key);
    const size = storage ? storage.count * elementSize(storage.dtype) : 0;
    if (!storage || storage.data || size > bytes.length - position - 8) {
      throw new RangeError(
        `${doing}: expected the elements of a storage of the tensors, found ${
          storage ? "the end of the file" : `the key ${kindOf(key)}`
        } at byte ${position}.`,
      );
    }
    const count = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(position, true);
    if (count !== BigInt(storage.count)) {
      throw new RangeError(
        `${doing}: expected ${storage.count} elements of the storage ${key}, found ${count}.`,
      );
    }
    storage.data = bytes.subarray(position + 8, position + 8 + size);
    position += 8 + size;
  }
  if (position !== bytes.length) {
    throw new RangeError(
      `${doing}: expected the end of the file at byte ${position}, found ${
        bytes.length - position
      } bytes more.`,
    );
  }
  return { value, storages: storages.values() };
}

/** Checks that a storage has all of its bytes. */
function checkLength({ dtype, key, count, data }: Storage, doing: string): void {
  const expected = count * elementSize(dtype);
  if (data?.length !== expected) {
    throw new RangeError(
      `${doing}: expected ${expected} bytes for the storage ${key}, ${count} elements of ${dtype}, found ${
        data ? data.length : "no such storage"
      }.`,
    );
  }
}

/** The tensor that a view is, without a copy. */
function storedTensor({ storage, offset, shape, strides }: View, what: string): StoredTensor {
  const { dtype, count, data } = storage, size = elementSize(dtype);
  const needed = shape.reduce((product, axis) => product * axis, 1);
  // Also where the product is no number: infinity times zero. An expanded tensor could be of any size.
  if (!(needed <= count)) {
    throw new RangeError(
      `${what} has the shape [${shape}], and its storage only ${count} elements. In Python, .contiguous() before torch.save gives each its own.`,
    );
  }
  if (needed === 0) return new StoredTensor(dtype, shape, new Uint8Array());
  const end = shape.reduce((last, axis, i) => last + (axis - 1) * strides[i]!, offset) + 1;
  if (end > count) {
    throw new RangeError(
      `${what} reaches to element ${end} of its storage, which has ${count}.`,
    );
  }
  const bytes = data!.subarray(offset * size, end * size);
  let rowMajor = 1;
  const isRowMajor = shape.toReversed().every((axis, i) => {
    const fits = axis === 1 || strides.at(-1 - i) === rowMajor;
    rowMajor *= axis;
    return fits;
  });
  return new StoredTensor(dtype, shape, bytes, isRowMajor ? undefined : strides);
}

function hex(value: number): string {
  return `0x${value.toString(16).padStart(8, "0")}`;
}
