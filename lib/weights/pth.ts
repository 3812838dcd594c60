import { checkOptions, checkPath, show } from "../tensor/internal.ts";
import { type Source, sourceOf } from "./files.ts";
import { describeValue, Foreign, Global, type PickleContext, unpickle } from "./pickle.ts";
import { pathMatcher } from "./state.ts";
import { elementSize, isCount, isCounts, StoredTensor, type StoredType } from "./stored_tensor.ts";
import { Zip } from "./zip.ts";

/**
 * The type of the elements of PyTorch's storages, or the bytes of an element if the reader does not
 * know the type.
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

/** The types of tensors whose storage is untyped, by PyTorch's names. */
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

/**
 * A storage: the elements that tensors are views of. Its bytes are loaded after the pickle is read.
 */
class Storage {
  data: Uint8Array<ArrayBuffer> | undefined;

  constructor(readonly type: string, readonly key: string, readonly count: number) {}

  /** Its length in bytes. */
  get length(): number {
    const type = STORAGE_TYPES.get(this.type)!;
    return this.count * (typeof type === "number" ? type : elementSize(type));
  }
}

/** A tensor of the pickle. */
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

/** Maximum number of axes in PyTorch. */
const MAX_AXES = 64;

/** The options of {@linkcode readPth}. */
export interface PthOptions {
  /**
   * The name of the state dict in a checkpoint, such as `"state_dict"`; an array of names for a
   * dictionary in a dictionary.
   */
  readonly key?: string | readonly string[];
  /** Names to leave out, with all names below them, such as `["epoch"]`. */
  readonly except?: readonly string[];
}

/**
 * Reads the state dict in a `.pth` or `.pt` file, as `torch.save(model.state_dict(), file)` writes
 * it: its tensors by name, in the order of the file. For a checkpoint, `key` and `except` choose
 * the tensors. Each storage is read once, and only if a chosen tensor needs it.
 *
 * Such a file holds a pickle, a small program in Python's own format. This reader knows only the
 * instructions and functions that make tensors, so no code of the file runs. Without options,
 * anything else in the file is an error that names it; with options, it may be there beside the
 * chosen tensors. The reader also knows the format before PyTorch 1.6, which the hub's oldest files
 * have.
 *
 * @throws {RangeError} If the file is damaged or truncated, counts and sizes do not fit the file,
 * or a name in the options matches nothing.
 * @throws {TypeError} If the file holds something other than tensors by name, or tensors that are
 * complex, quantized, sparse, nested, on the meta device, or of a subclass.
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
  checkPath("Reading a .pth file", "file", file, "model.pth");
  checkOptions<PthOptions>(`Reading ${file}`, options, '{ key: "state_dict" }', {
    key: true,
    except: true,
  });
  using handle = await Deno.open(file);
  return await parse(await sourceOf(handle, file), file, options);
}

/** Parses the bytes of a `.pth` file; `source` is its name in errors. */
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
  const action = `Reading ${file}`;
  const keys = typeof key === "string" ? [key] : key;
  if (!Array.isArray(keys) || !keys.every((key) => typeof key === "string")) {
    throw new TypeError(
      `${action}: key must be a name such as "state_dict" or an array of names, found ${
        show(key)
      }.`,
    );
  }
  const start = await source.read(0, Math.min(source.size, LEGACY_START.length));
  // Zip files begin with "PK". No pickle does.
  const isZip = start[0] === 0x50 && start[1] === 0x4b;
  const { value, foreign, load } = isZip
    ? await readZip(source, action)
    : await readLegacy(source, start, action);
  const dictionary = dictionaryAt(value, keys, action);
  const names = [...dictionary.keys()].map((name) => {
    if (typeof name === "string") return name;
    throw new TypeError(`${action}: each name must be a string, found ${describeValue(name)}.`);
  });
  const isExcepted = pathMatcher(action, except, names);
  const views = new Map<string, View>();
  for (const name of names) {
    if (isExcepted(name)) continue;
    const view = dictionary.get(name);
    if (!(view instanceof View)) throw notATensor(action, name, dictionary, keys);
    views.set(name, view);
  }
  if (foreign && keys.length + except.length === 0) {
    throw new TypeError(
      `${action}: the pickle must name only functions that make tensors, found ${
        describeValue(foreign)
      }, which could run code. ` +
        "The option key or except reads the tensors beside it, and runs nothing.",
    );
  }
  const storages = new Set([...views.values()].map(({ storage }) => storage));
  await load([...storages]);
  for (const storage of storages) checkLength(storage, action);
  return new Map(
    [...views].map(([name, view]) => [
      name,
      storedTensor(view, `${action}: the tensor ${show(name)}`),
    ]),
  );
}

/** The dictionary under a path of keys. */
function dictionaryAt(
  value: unknown,
  keys: readonly string[],
  action: string,
): Map<unknown, unknown> {
  let current = value;
  for (const [i, key] of keys.entries()) {
    if (!(current instanceof Map)) {
      throw new TypeError(
        `${action}: key must lead through dictionaries, found ${describeValue(current)} under ${
          keys.slice(0, i).join(", ")
        }.`,
      );
    }
    if (!current.has(key)) {
      throw new RangeError(
        `${action}: key must be a name in the file, found ${show(key)}. The names are ${
          list([...current.keys()].filter((name) => typeof name === "string"))
        }.`,
      );
    }
    current = current.get(key);
  }
  if (current instanceof Map) return current;
  throw new TypeError(
    `${action}: the file must hold tensors by name, found ${describeValue(current)}.${
      current instanceof Foreign
        ? ` It could run code, so it was not made. ${SAVE_STATE_DICT_REMEDY}`
        : ""
    }`,
  );
}

const SAVE_STATE_DICT_REMEDY =
  "In Python, torch.save(model.state_dict(), file) writes the tensors alone.";

/** The error for a name without a tensor. It names the options that help. */
function notATensor(
  action: string,
  name: string,
  dictionary: ReadonlyMap<unknown, unknown>,
  keys: readonly string[],
): TypeError {
  const isTensor = (value: unknown) => value instanceof View;
  const others = [...dictionary].filter(([, value]) => !isTensor(value)).map(([key]) => key);
  const remedies = [
    ...pathsToTensors(dictionary, keys).slice(0, 3).map((path) =>
      `{ key: ${show(path.length === 1 ? path[0] : path)} } reads those under that name.`
    ),
    dictionary.values().some(isTensor)
      ? `{ except: [${list(others.map(show))}] } reads the others.`
      : [],
  ].flat();
  return new TypeError(
    `${action}: each name must have a tensor, found ${describeValue(dictionary.get(name))} for ${
      show(name)
    }. ${remedies.length > 0 ? remedies.join(" ") : SAVE_STATE_DICT_REMEDY}`,
  );
}

/** The paths to nested dictionaries with tensors, level by level. */
function pathsToTensors(
  dictionary: ReadonlyMap<unknown, unknown>,
  keys: readonly string[],
): string[][] {
  const paths: string[][] = [], visited = new Set<unknown>([dictionary]);
  let level: [ReadonlyMap<unknown, unknown>, string[]][] = [[dictionary, [...keys]]];
  while (level.length > 0) {
    const next: typeof level = [];
    for (const [parent, path] of level) {
      for (const [key, child] of parent) {
        if (typeof key !== "string" || !(child instanceof Map) || visited.has(child)) continue;
        visited.add(child);
        next.push([child, [...path, key]]);
        if (child.values().some((value) => value instanceof View)) paths.push([...path, key]);
      }
    }
    level = next;
  }
  return paths;
}

/** The first 20 names, separated by commas. */
function list(names: readonly unknown[]): string {
  return names.slice(0, 20).join(", ") + (names.length > 20 ? ", …" : "");
}

/** The context for a pickle of PyTorch, with the storages by key that the pickle refers to. */
function pytorchContext(
  action: string,
  fileSize: number,
): { storages: Map<string, Storage>; context: PickleContext } {
  const storages = new Map<string, Storage>();
  const wrong = () =>
    new TypeError(
      `${action}: a tensor must be made of a storage, an offset, a shape and strides, found other arguments in the pickle.`,
    );
  const view = (
    [storage, offset, shape, strides]: readonly unknown[],
    dtypeOf: (storage: Storage) => StoredType | Foreign,
    metadata: unknown,
  ): View | Foreign => {
    if (storage instanceof Foreign) return storage;
    const isShort = [shape, strides].every((axes) =>
      Array.isArray(axes) && axes.length <= MAX_AXES
    );
    if (
      !(storage instanceof Storage) || !isCount(offset) || !isShort || !isCounts(shape) ||
      !isCounts(strides) || shape.length !== strides.length
    ) {
      throw wrong();
    }
    const dtype = dtypeOf(storage);
    // The metadata can mark a tensor as the negative of its storage, or its conjugate.
    const flags = metadata instanceof Map
      ? [...metadata].filter(([, isSet]) => isSet).map(([flag]) => flag)
      : [];
    const other = flags.find((flag) => flag !== "neg");
    if (other !== undefined) return new Foreign(`a tensor with the flag ${describeValue(other)}`);
    if (dtype instanceof Foreign) return dtype;
    const isNegated = flags.length > 0;
    if (isNegated && !["F64", "F32", "F16", "BF16"].includes(dtype)) {
      return new Foreign(`a negated tensor of ${dtype}`);
    }
    return new View(storage, dtype, offset, shape, strides, isNegated);
  };
  /**
   * Rebuilds a tensor with the type of its storage. The arguments are storage, offset, shape,
   * strides, whether it needs a gradient, hooks, and metadata.
   */
  const rebuild = (values: readonly unknown[]) =>
    view(values, ({ type }) => {
      const dtype = STORAGE_TYPES.get(type);
      return typeof dtype === "string"
        ? dtype
        : new Foreign(`a tensor of ${type.replace(" ", ".")}`);
    }, values[6]);
  /** Rebuilds a tensor with its own type, which is the argument before the metadata. */
  const rebuildTyped = (values: readonly unknown[]) =>
    view(values, () => {
      const type = values[6], dtype = type instanceof Global ? DTYPES.get(type.name) : undefined;
      return dtype ?? new Foreign(`a tensor of ${describeValue(type)}`);
    }, values[7]);
  /**
   * Rebuilds a tensor that has attributes. The arguments are a function that makes the tensor, its
   * class, the function's arguments, and the attributes.
   */
  const rebuildWithAttributes = ([make, type, values]: readonly unknown[]) => {
    if (!(make instanceof Global && make.call && Array.isArray(values))) {
      return make instanceof Foreign ? make : new Foreign("a tensor of an unknown kind");
    }
    if (type instanceof Global && type.name === "torch Tensor") return make.call(values);
    return new Foreign(`a tensor of the class ${describeValue(type)}`);
  };
  const globals = new Map(
    [
      new Global("collections OrderedDict", ([items = []]) => {
        if (Array.isArray(items) && items.length === 0) return new Map();
        throw new TypeError(
          `${action}: an OrderedDict must be empty when it is made, found ${describeValue(items)}.`,
        );
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
    const [kind, type, key, , count, view = null]: readonly unknown[] = Array.isArray(id) ? id : [];
    if (kind === "storage" && type instanceof Foreign) return type;
    if (
      kind !== "storage" || !(type instanceof Global && STORAGE_TYPES.has(type.name)) ||
      typeof key !== "string" || !isCount(count) || view !== null
    ) {
      throw new TypeError(
        `${action}: a storage must have a type, a key and a number of elements, found other values in the pickle.`,
      );
    }
    const storage = storages.get(key) ?? new Storage(type.name, key, count);
    if (storage.type !== type.name || storage.count !== count) {
      throw new TypeError(
        `${action}: the storage ${key} must be ${storage.count} elements of ${
          typeOf(storage.type)
        } everywhere, found ${count} of ${typeOf(type.name)}.`,
      );
    }
    storages.set(key, storage);
    return storage;
  };
  // Half of the file, so that all memory, with the file and V8's overhead, stays below three times
  // the file. Small files get 3 MiB more.
  const memory = Math.round(fileSize / 2) + 3 * 2 ** 20;
  return { storages, context: { action, globals, persistent, memory } };
}

/** The type of the elements of a storage, for messages. */
function typeOf(storageType: string): string {
  const type = STORAGE_TYPES.get(storageType);
  return typeof type === "string" ? type : storageType.replace(" ", ".");
}

/** The content of a file in either format. */
interface Content {
  readonly value: unknown;
  /** The first unknown Python object in the pickle. */
  readonly foreign: Foreign | undefined;
  /** Loads the bytes of storages. */
  readonly load: (storages: readonly Storage[]) => Promise<void>;
}

/** Reads the format since PyTorch 1.6: a zip file of data.pkl and one entry for each storage. */
async function readZip(source: Source, action: string): Promise<Content> {
  const zip = await Zip.open(source, action);
  const name = zip.names.find((name) => /^[^/]+\/data\.pkl$/.test(name));
  if (name === undefined) {
    const count = [...zip.names].length;
    throw new TypeError(
      `${action}: the zip file must have a data.pkl in a folder, as torch.save writes it, found ${
        count === 0 ? "no entries" : `${count} other entries`
      }.`,
    );
  }
  const folder = name.slice(0, -"data.pkl".length), byteorder = `${folder}byteorder`;
  if (zip.has(`${folder}constants.pkl`)) {
    throw new TypeError(
      `${action}: the file must hold tensors by name, found a TorchScript program. In Python, ` +
        "torch.save(torch.jit.load(file).state_dict(), file) writes its tensors alone.",
    );
  }
  const [pickle, order] = await zip.read(zip.has(byteorder) ? [name, byteorder] : [name]);
  const text = order && new TextDecoder().decode(order.subarray(0, 20));
  if (text !== undefined && text !== "little") {
    throw new TypeError(`${action}: the byte order must be little, found ${text}.`);
  }
  const { context } = pytorchContext(action, source.size);
  const { value, foreign } = unpickle(pickle!, 0, context);
  const load = async (storages: readonly Storage[]) => {
    const entry = ({ key }: Storage) => `${folder}data/${key}`;
    const present = storages.filter((storage) => zip.has(entry(storage)));
    const bytes = await zip.read(present.map(entry));
    present.forEach((storage, i) => storage.data = bytes[i]);
  };
  return { value, foreign, load };
}

/** The first bytes of the format before PyTorch 1.6: a magic number in a pickle. */
const LEGACY_START = new Uint8Array([
  ...[0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e],
]);
const LEGACY_VERSION = 1001;

/**
 * Reads the format before PyTorch 1.6: five pickles, namely a magic number, the format's version,
 * properties of the machine, the tensors, and the keys of the storages; then for each key the
 * number of elements and the elements. The whole file is read.
 */
async function readLegacy(source: Source, start: Uint8Array, action: string): Promise<Content> {
  if (String(start) !== String(LEGACY_START)) {
    throw new TypeError(
      `${action}: the file must begin with PK or PyTorch's magic number, as torch.save writes it, found ${
        start[8] === "{".charCodeAt(0)
          ? "a safetensors file. Read it with readSafetensors."
          : "other bytes."
      }`,
    );
  }
  const bytes = await source.read(0, source.size);
  const { storages, context } = pytorchContext(action, source.size);
  let position = start.length, foreign: Foreign | undefined;
  const next = (): unknown => {
    const result = unpickle(bytes, position, context);
    position = result.end;
    foreign ??= result.foreign;
    return result.value;
  };
  const version = next(), machine = next();
  if (version !== LEGACY_VERSION) {
    throw new TypeError(
      `${action}: the format's version must be ${LEGACY_VERSION}, found ${describeValue(version)}.`,
    );
  }
  if (!(machine instanceof Map && machine.get("little_endian") === true)) {
    throw new TypeError(`${action}: the byte order must be little, found another.`);
  }
  const value = next(), keys = next();
  for (const key of Array.isArray(keys) ? keys : []) {
    const storage = storages.get(key);
    const size = storage?.length ?? 0;
    if (!storage || storage.data || size > bytes.length - position - 8) {
      throw new RangeError(
        `${action}: the elements of a storage must follow, found ${
          storage ? "the end of the file" : `the unknown key ${describeValue(key)}`
        } at byte ${position}.`,
      );
    }
    const count = new DataView(bytes.buffer, bytes.byteOffset).getBigInt64(position, true);
    if (count !== BigInt(storage.count)) {
      throw new RangeError(
        `${action}: the storage ${key} must have ${storage.count} elements, found ${count}.`,
      );
    }
    storage.data = bytes.subarray(position + 8, position + 8 + size);
    position += 8 + size;
  }
  if (position !== bytes.length) {
    throw new RangeError(
      `${action}: the file must end at byte ${position}, found ${
        bytes.length - position
      } bytes more.`,
    );
  }
  return { value, foreign, load: () => Promise.resolve() };
}

/** Checks that all bytes of a storage were loaded. */
function checkLength({ type, key, count, data, length }: Storage, action: string): void {
  if (data?.length !== length) {
    throw new RangeError(
      `${action}: the storage ${key}, ${count} elements of ${
        typeOf(type)
      }, must have ${length} bytes, found ${data ? data.length : "no such storage"}.`,
    );
  }
}

/** Makes the stored tensor of a view, without a copy. */
function storedTensor(
  { storage, dtype, offset, shape, strides, isNegated }: View,
  subject: string,
): StoredTensor {
  const size = elementSize(dtype), count = storage.length / size;
  const needed = shape.reduce((product, axis) => product * axis, 1);
  // An expanded tensor repeats elements, so a small file could hold one of any size. The negation
  // also refuses NaN, the product of infinity and zero.
  if (!(needed <= count)) {
    throw new RangeError(
      `${subject} must have at most the ${count} elements of its storage, found the shape ${
        show(shape)
      }. In Python, call .contiguous() before torch.save to copy repeated elements.`,
    );
  }
  if (needed === 0) return new StoredTensor(dtype, shape, new Uint8Array());
  const end = shape.reduce((last, axis, i) => last + (axis - 1) * strides[i]!, offset) + 1;
  if (end > count) {
    throw new RangeError(
      `${subject} must end within the ${count} elements of its storage, found the end ${end}.`,
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
