import { checkOptions, show } from "../tensor/internal.ts";
import { checkPath, type Source, sourceOf } from "./files.ts";
import { Foreign, Global, kindOf, unpickle } from "./pickle.ts";
import { exceptions } from "./state.ts";
import { elementSize, isCount, isCounts, StoredTensor, type StoredType } from "./stored_tensor.ts";
import { Zip } from "./zip.ts";

/**
 * PyTorch's names of storages: the type of their elements, or the bytes of one where it is not read
 * here.
 */
const STORAGE_TYPES: ReadonlyMap<string, StoredType | number> = new Map<
  string,
  StoredType | number
>([
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
  ["torch.storage UntypedStorage", 1],
  ["torch ComplexFloatStorage", 8],
  ["torch ComplexDoubleStorage", 16],
  ["torch QInt8Storage", 1],
  ["torch QUInt8Storage", 1],
  ["torch QInt32Storage", 4],
  ["torch QUInt4x2Storage", 1],
  ["torch QUInt2x4Storage", 1],
]);

/** PyTorch's names of the types of tensors that have an untyped storage. */
const DTYPES: ReadonlyMap<string, StoredType> = new Map([
  ["torch uint16", "U16"],
  ["torch uint32", "U32"],
  ["torch uint64", "U64"],
  ["torch float8_e5m2", "F8_E5M2"],
  ["torch float8_e4m3fn", "F8_E4M3"],
  ["torch float8_e5m2fnuz", "F8_E5M2FNUZ"],
  ["torch float8_e4m3fnuz", "F8_E4M3FNUZ"],
  ["torch float8_e8m0fnu", "F8_E8M0"],
]);

/** Elements that tensors are views of; their bytes are found when the pickle is read. */
class Storage {
  data: Uint8Array<ArrayBuffer> | undefined;

  constructor(readonly type: string, readonly key: string, readonly count: number) {}

  /** Its length in bytes. */
  get length(): number {
    const type = STORAGE_TYPES.get(this.type)!;
    return this.count * (typeof type === "number" ? type : elementSize(type));
  }
}

/** A tensor as the pickle describes it. */
class View {
  constructor(
    readonly storage: Storage,
    readonly dtype: StoredType,
    readonly offset: number,
    readonly shape: readonly number[],
    readonly strides: readonly number[],
    readonly isNegated: boolean,
  ) {}
}

/** The most axes that a tensor of PyTorch can have. */
const MOST_AXES = 64;

/** The options of {@linkcode readPth}. */
export interface PthOptions {
  /**
   * The name under which a checkpoint has its tensors, such as `"state_dict"`; several names for a
   * dictionary in a dictionary.
   */
  readonly key?: string | readonly string[];
  /** Names of what is left out, with all names below them, such as `["epoch"]`. */
  readonly except?: readonly string[];
}

/**
 * Reads a `.pth` or `.pt` file that PyTorch's `torch.save(model.state_dict(), file)` wrote: its
 * tensors by name, in the order of the file. Of each storage that they need, the file is read once.
 * Of a checkpoint, `key` and `except` choose what is read.
 *
 * Such a file has a pickle in it, a small program in Python's own format. It is read by a machine
 * that knows what tensors need and nothing else: no code is run. Without options, anything else in
 * it is an error that names it; with them, it is passed over where it is not wanted. The format of
 * PyTorch before 1.6, which the hub's oldest files have, is read as well.
 *
 * @throws {RangeError} If it is damaged or truncated, counts and sizes do not fit the file, or
 * there is nothing of the names in the options.
 * @throws {TypeError} If it holds something else than tensors by name, or tensors of a kind that is
 * not read here: complex, quantized, sparse, nested, on no device, or of a class of their own.
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
 *
 * const checkpoint = "tests/fixtures/weights/checkpoint.pth";
 * await assert.rejects(readPth(checkpoint), /{ key: "state_dict" } reads those under that name/);
 * assert.equal((await readPth(checkpoint, { key: "state_dict" })).size, 1);
 * ```
 */
export async function readPth(
  file: string,
  options: PthOptions = {},
): Promise<Map<string, StoredTensor>> {
  checkPath("Reading a .pth file", "file", file);
  checkOptions<PthOptions>(`Reading ${file}`, options, '{ key: "state_dict" }', {
    key: true,
    except: true,
  });
  using handle = await Deno.open(file);
  return await parse(await sourceOf(handle, file), file, options);
}

/** {@linkcode readPth} of bytes. */
export async function parsePth(
  bytes: Uint8Array<ArrayBuffer>,
  source: string,
  options: PthOptions = {},
): Promise<Map<string, StoredTensor>> {
  const read = (start: number, length: number) =>
    Promise.resolve(bytes.subarray(start, start + length));
  return await parse({ size: bytes.length, read }, source, options);
}

async function parse(
  source: Source,
  file: string,
  { key = [], except = [] }: PthOptions,
): Promise<Map<string, StoredTensor>> {
  const doing = `Reading ${file}`;
  const keys = typeof key === "string" ? [key] : key;
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string")) {
    throw new TypeError(
      `${doing}: key must be a name or several such as "state_dict", found ${show(key)}.`,
    );
  }
  const start = await source.read(0, Math.min(source.size, LEGACY_START.length));
  // Every zip file begins with these letters, and no pickle does.
  const isZip = start[0] === 0x50 && start[1] === 0x4b;
  const { value, foreign, load } = isZip
    ? await readZip(source, doing)
    : await readLegacy(source, start, doing);
  const chosen = below(value, keys, doing);
  const names = [...chosen.keys()].map((name) => {
    if (typeof name === "string") return name;
    throw new TypeError(`${doing}: expected names that are texts, found ${kindOf(name)}.`);
  });
  const excepted = exceptions(doing, except, names);
  const views = new Map<string, View>();
  for (const name of names) {
    const found = chosen.get(name);
    if (excepted(name)) continue;
    if (!(found instanceof View)) throw noTensor(doing, name, found, chosen, keys);
    views.set(name, found);
  }
  if (foreign && keys.length + except.length === 0) {
    throw new TypeError(
      `${doing}: expected nothing of Python but what makes tensors, found ${
        kindOf(foreign)
      }, which could run code. ` +
        "The option key or except reads the tensors beside it, and runs nothing.",
    );
  }
  const storages = new Set([...views.values()].map(({ storage }) => storage));
  await load([...storages]);
  for (const storage of storages) checkLength(storage, doing);
  return new Map(
    [...views].map(([name, view]) => [
      name,
      storedTensor(view, `${doing}: the tensor ${JSON.stringify(name)}`),
    ]),
  );
}

/** The dictionary that the keys lead to. */
function below(value: unknown, keys: readonly string[], doing: string): Map<unknown, unknown> {
  let found = value;
  for (const [i, key] of keys.entries()) {
    if (found instanceof Map && !found.has(key)) {
      throw new RangeError(
        `${doing}: key must be a name in the file, found ${show(key)}. There are ${
          listed([...found.keys()].filter((name) => typeof name === "string"))
        }.`,
      );
    }
    if (!(found instanceof Map)) {
      throw new TypeError(
        `${doing}: expected a dictionary under ${keys.slice(0, i).join(", ")}, found ${
          kindOf(found)
        }.`,
      );
    }
    found = found.get(key);
  }
  if (found instanceof Map) return found;
  throw new TypeError(
    `${doing}: expected tensors by name, found ${kindOf(found)}.${
      found instanceof Foreign ? ` It could run code, so it was not made. ${TENSORS_ALONE}` : ""
    }`,
  );
}

const TENSORS_ALONE = "In Python, torch.save(model.state_dict(), file) writes the tensors alone.";

/** The error for something that is no tensor, with the options that help. */
function noTensor(
  doing: string,
  name: string,
  found: unknown,
  chosen: ReadonlyMap<unknown, unknown>,
  keys: readonly string[],
): TypeError {
  const isTensor = (value: unknown) => value instanceof View;
  const others = [...chosen].filter(([, value]) => !isTensor(value)).map(([key]) => key);
  const hints = [
    ...pathsToTensors(chosen, keys).slice(0, 3).map((path) =>
      `{ key: ${show(path.length === 1 ? path[0] : path)} } reads those under that name.`
    ),
    chosen.values().some(isTensor)
      ? `{ except: [${listed(others.map(show))}] } reads the others.`
      : [],
  ].flat();
  return new TypeError(
    `${doing}: expected a tensor for each name, found ${kindOf(found)} for ${show(name)}. ${
      hints.length > 0 ? hints.join(" ") : TENSORS_ALONE
    }`,
  );
}

/** Where dictionaries in a dictionary have tensors, those near the top first. */
function pathsToTensors(top: ReadonlyMap<unknown, unknown>, keys: readonly string[]): string[][] {
  const found: string[][] = [], seen = new Set<unknown>([top]);
  let level: [ReadonlyMap<unknown, unknown>, string[]][] = [[top, [...keys]]];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const [dictionary, path] of level) {
      for (const [key, value] of dictionary) {
        if (typeof key !== "string" || !(value instanceof Map) || seen.has(value)) continue;
        seen.add(value);
        next.push([value, [...path, key]]);
        if (value.values().some((value) => value instanceof View)) found.push([...path, key]);
      }
    }
    level = next;
  }
  return found;
}

/** Some names of many. */
function listed(names: readonly unknown[]): string {
  return names.slice(0, 20).join(", ") + (names.length > 20 ? ", …" : "");
}

/** What a pickle of PyTorch's may name, with storages that it refers to, each once. */
function pytorch(doing: string, fileSize: number) {
  const storages = new Map<string, Storage>();
  const wrong = () =>
    new TypeError(
      `${doing}: expected a tensor made of a storage, an offset, a shape and strides, found something else in its pickle.`,
    );
  const view = (
    [storage, offset, shape, strides]: readonly unknown[],
    dtypeOf: (storage: Storage) => StoredType | Foreign,
    metadata: unknown,
  ): View | Foreign => {
    if (storage instanceof Foreign) return storage;
    const isShort = [shape, strides].every((axes) =>
      Array.isArray(axes) && axes.length <= MOST_AXES
    );
    if (
      !(storage instanceof Storage) || !isCount(offset) || !isShort || !isCounts(shape) ||
      !isCounts(strides) || shape.length !== strides.length
    ) {
      throw wrong();
    }
    const dtype = dtypeOf(storage);
    // A tensor can be marked as the negative of its storage, or its conjugate.
    const marks = metadata instanceof Map
      ? [...metadata].filter(([, isSet]) => isSet).map(([mark]) => mark)
      : [];
    const other = marks.find((mark) => mark !== "neg");
    if (other !== undefined) return new Foreign(`a tensor with the mark ${kindOf(other)}`);
    if (dtype instanceof Foreign) return dtype;
    const isNegated = marks.length > 0;
    if (isNegated && !["F64", "F32", "F16", "BF16"].includes(dtype)) {
      return new Foreign(`a negated tensor of ${dtype}`);
    }
    return new View(storage, dtype, offset, shape, strides, isNegated);
  };
  /**
   * A tensor of the type of its storage: storage, offset, shape, strides, whether it has a
   * gradient, hooks, and metadata.
   */
  const rebuild = (values: readonly unknown[]) =>
    view(values, ({ type }) => {
      const dtype = STORAGE_TYPES.get(type);
      return typeof dtype === "string"
        ? dtype
        : new Foreign(`a tensor of ${type.replace(" ", ".")}`);
    }, values[6]);
  /** A tensor of its own type: as above, with the type before the metadata. */
  const rebuildTyped = (values: readonly unknown[]) =>
    view(values, () => {
      const type = values[6], dtype = type instanceof Global ? DTYPES.get(type.name) : undefined;
      return dtype ?? new Foreign(`a tensor of ${kindOf(type)}`);
    }, values[7]);
  /**
   * A tensor with attributes of its own: a function that makes it, its class, the function's
   * values, and the attributes.
   */
  const rebuildWithAttributes = ([make, type, values]: readonly unknown[]) => {
    if (!(make instanceof Global && make.call && Array.isArray(values))) {
      return make instanceof Foreign ? make : new Foreign("a tensor of another kind");
    }
    if (type instanceof Global && type.name === "torch Tensor") return make.call(values);
    return new Foreign(`a tensor of the class ${kindOf(type)}`);
  };
  const globals = new Map(
    [
      new Global("collections OrderedDict", ([items = []]) => {
        if (Array.isArray(items) && items.length === 0) return new Map();
        throw new TypeError(`${doing}: expected an empty OrderedDict, found ${kindOf(items)}.`);
      }),
      new Global(
        "torch._utils _rebuild_tensor",
        ([storage, offset, shape, strides]) => rebuild([storage, offset, shape, strides]),
      ),
      new Global("torch._utils _rebuild_tensor_v2", rebuild),
      new Global("torch._utils _rebuild_tensor_v3", rebuildTyped),
      new Global("torch._utils _rebuild_parameter", ([view]) => view),
      new Global("torch._utils _rebuild_parameter_with_state", ([view]) => view),
      new Global("torch._tensor _rebuild_from_type_v2", rebuildWithAttributes),
      new Global("torch Tensor"),
      ...[...STORAGE_TYPES.keys(), ...DTYPES.keys()].map((name) => new Global(name)),
    ].map((global) => [global.name, global]),
  );
  const persistent = (id: unknown): Storage | Foreign => {
    const [what, type, key, , count, view = null]: readonly unknown[] = Array.isArray(id) ? id : [];
    if (what === "storage" && type instanceof Foreign) return type;
    if (
      what !== "storage" || !(type instanceof Global && STORAGE_TYPES.has(type.name)) ||
      typeof key !== "string" || !isCount(count) || view !== null
    ) {
      throw new TypeError(
        `${doing}: expected a storage with its type, its key and its number of elements, found something else in its pickle.`,
      );
    }
    const storage = storages.get(key) ?? new Storage(type.name, key, count);
    if (storage.type !== type.name || storage.count !== count) {
      throw new TypeError(
        `${doing}: expected the storage ${key} to be ${storage.count} elements of ${
          typeOf(storage.type)
        } everywhere, found ${count} of ${typeOf(type.name)}.`,
      );
    }
    storages.set(key, storage);
    return storage;
  };
  // With the pickle itself, and what the engine needs besides, less than three times the file; and
  // a little for small ones.
  const memory = Math.round(fileSize / 2) + 3 * 2 ** 20;
  return { storages, world: { doing, globals, persistent, memory } };
}

/** The name of a type of elements, for messages. */
function typeOf(storageType: string): string {
  const type = STORAGE_TYPES.get(storageType);
  return typeof type === "string" ? type : storageType.replace(" ", ".");
}

/** What a reader of one of the formats gives. */
interface Content {
  readonly value: unknown;
  /** The first thing of Python that is not known here. */
  readonly foreign: Foreign | undefined;
  /** Reads the bytes of storages. */
  readonly load: (storages: readonly Storage[]) => Promise<void>;
}

/**
 * The format since PyTorch 1.6: a zip file of data.pkl and of one entry for each storage, not
 * compressed.
 */
async function readZip(source: Source, doing: string): Promise<Content> {
  const zip = await Zip.open(source, doing);
  const name = zip.names.find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (name === undefined) {
    const count = [...zip.names].length;
    throw new TypeError(
      `${doing}: expected a zip file with a data.pkl in a folder, as torch.save writes it, found ${
        count === 0 ? "no entries" : `${count} other entries`
      }.`,
    );
  }
  const folder = name.slice(0, -"data.pkl".length), byteorder = `${folder}byteorder`;
  if (zip.has(`${folder}constants.pkl`)) {
    throw new TypeError(
      `${doing}: expected tensors by name, found a program of TorchScript. In Python, ` +
        "torch.save(torch.jit.load(file).state_dict(), file) writes its tensors alone.",
    );
  }
  const [pickle, order] = await zip.read(zip.has(byteorder) ? [name, byteorder] : [name]);
  const text = order && new TextDecoder().decode(order.subarray(0, 20));
  if (text !== undefined && text !== "little") {
    throw new TypeError(`${doing}: expected the byte order little, found ${text}.`);
  }
  const { world } = pytorch(doing, source.size);
  const { value, foreign } = unpickle(pickle!, 0, world);
  const load = async (storages: readonly Storage[]) => {
    const entry = ({ key }: Storage) => `${folder}data/${key}`;
    const there = storages.filter((storage) => zip.has(entry(storage)));
    const bytes = await zip.read(there.map(entry));
    there.forEach((storage, i) => storage.data = bytes[i]);
  };
  return { value, foreign, load };
}

/** The first bytes of a file of PyTorch's format before 1.6: its magic number, in a pickle. */
const LEGACY_START = new Uint8Array([
  ...[0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
]);
const LEGACY_VERSION = 1001;

/**
 * The format before PyTorch 1.6: pickles of a magic number, the version of the format, the machine,
 * the tensors and the keys of their storages, and then for each key its number of elements and
 * these. It is read whole.
 */
async function readLegacy(source: Source, start: Uint8Array, doing: string): Promise<Content> {
  if (String(start) !== String(LEGACY_START)) {
    throw new TypeError(
      `${doing}: expected a file that torch.save wrote, which begins with PK or PyTorch's number, found another.`,
    );
  }
  const bytes = await source.read(0, source.size);
  const { storages, world } = pytorch(doing, source.size);
  let position = start.length, foreign: Foreign | undefined;
  const next = (): unknown => {
    const { value, end, foreign: found } = unpickle(bytes, position, world);
    position = end;
    foreign ??= found;
    return value;
  };
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
    const size = storage?.length ?? 0;
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
  return { value, foreign, load: () => Promise.resolve() };
}

/** Checks that a storage has all of its bytes. */
function checkLength({ type, key, count, data, length }: Storage, doing: string): void {
  if (data?.length !== length) {
    throw new RangeError(
      `${doing}: expected ${length} bytes for the storage ${key}, ${count} elements of ${
        typeOf(type)
      }, found ${data ? data.length : "no such storage"}.`,
    );
  }
}

/** The tensor that a view is, without a copy. */
function storedTensor(
  { storage, dtype, offset, shape, strides, isNegated }: View,
  what: string,
): StoredTensor {
  const size = elementSize(dtype), count = storage.length / size;
  const needed = shape.reduce((product, axis) => product * axis, 1);
  // Also where the product is no number: infinity times zero. An expanded tensor could be of any
  // size.
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
  const bytes = storage.data!.subarray(offset * size, end * size);
  let rowMajor = 1;
  const isRowMajor = shape.toReversed().every((axis, i) => {
    const fits = axis === 1 || strides.at(-1 - i) === rowMajor;
    rowMajor *= axis;
    return fits;
  });
  return new StoredTensor(dtype, shape, bytes, isRowMajor ? undefined : strides, isNegated);
}
