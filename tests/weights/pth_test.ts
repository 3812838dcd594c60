import assert from "node:assert/strict";
import { readPth, type StoredTensor } from "resnet-lab";
import { parsePth } from "../../lib/weights/pth.ts";
import { fixture, plain, rowMajor, temporary, views } from "./_helpers.ts";

for (const file of ["layouts.pth", "layouts_legacy.pth"]) {
  Deno.test(`readPth() reads every type and layout of ${file}`, async () => {
    const tensors = await readPth(fixture(file));
    assert.deepEqual(plain(tensors), { ...rowMajor, ...views });
    // In the order of the dictionary.
    assert.deepEqual([...tensors.keys()], [...Object.keys(rowMajor), ...Object.keys(views)]);
  });

  Deno.test(`readPth() gives views of shared storages of ${file}`, async () => {
    const tensors = await readPth(fixture(file));
    const whole = tensors.get("shared, whole")!.bytes();
    const part = tensors.get("shared, from 2")!.bytes();
    assert.equal(part.buffer, whole.buffer);
    assert.equal(part.byteOffset, whole.byteOffset + 8);
  });
}

/** Parts of a pickle, written by hand from Python's documentation of the instructions. */
const text = (value: string) => {
  const bytes = new TextEncoder().encode(value);
  return [0x58, bytes.length, 0, 0, 0, ...bytes]; // BINUNICODE
};
const line = (value: string) => [...new TextEncoder().encode(`${value}\n`)];
const global = (module: string, name: string) => [0x63, ...line(module), ...line(name)];
const PROTO = [0x80, 2], STOP = 0x2e, MARK = 0x28, TUPLE = 0x74, REDUCE = 0x52;
const DICT = 0x7d, SETITEM = 0x73, NONE = 0x4e, PERSID = 0x51, APPEND = 0x61, LIST = 0x5d;
const count = (value: number) => [0x4b, value]; // BININT1
const long = (value: bigint) => [0x8a, 8, ...new Uint8Array(new BigInt64Array([value]).buffer)];
const tuple = (...items: number[][]) => [MARK, ...items.flat(), TUPLE];
const storage = (
  { type = "FloatStorage", key = "0", elements = count(4), name = "storage" }: {
    type?: string;
    key?: string;
    elements?: number[];
    name?: string;
  } = {},
) => [...tuple(text(name), global("torch", type), text(key), text("cpu"), elements), PERSID];
const tensor = (
  { from = storage(), offset = count(0), shape = tuple(count(2)), strides = tuple(count(1)) }: {
    from?: number[];
    offset?: number[];
    shape?: number[];
    strides?: number[];
  } = {},
) => [
  ...global("torch._utils", "_rebuild_tensor_v2"),
  ...tuple(from, offset, shape, strides),
  REDUCE,
];
const named = (value: number[]) => [...PROTO, DICT, ...text("w"), ...value, SETITEM, STOP];

const ascii = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);

/**
 * A file of the format before PyTorch 1.6, with a pickle for the tensors. If the pickle needs the
 * storage 0, it has the floats 0, 1, 2, 3.
 */
function legacy(pickle: number[]): Uint8Array<ArrayBuffer> {
  const hasStorage = ascii(new Uint8Array(pickle)).includes("storage");
  const magic = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
  return new Uint8Array([
    ...[...PROTO, 0x8a, 10, ...magic, STOP],
    ...[...PROTO, 0x4d, 0xe9, 0x03, STOP],
    ...[...PROTO, DICT, ...text("little_endian"), 0x88, SETITEM, STOP],
    ...pickle,
    ...[...PROTO, LIST, ...(hasStorage ? [...text("0"), APPEND] : []), STOP],
    ...new Uint8Array(new BigInt64Array(hasStorage ? [4n] : []).buffer),
    ...new Uint8Array(new Float32Array(hasStorage ? [0, 1, 2, 3] : []).buffer),
  ]);
}

Deno.test("readPth() reads a file put together by hand", async () => {
  const view = tensor({
    offset: count(1),
    shape: tuple(count(2), count(2)),
    strides: tuple(count(0), count(2)),
  });
  assert.deepEqual(plain(await parsePth(legacy(named(view)), "hand")), {
    w: ["F32", [2, 2], [1, 3, 1, 3]],
  });
});

const foreign: [title: string, pickle: number[], name: string, message: string][] = [
  [
    "a function of the system",
    [...PROTO, ...global("os", "system"), ...tuple(text("echo pwned")), REDUCE, STOP],
    "TypeError",
    'the file must hold tensors by name, found "os.system". It could run code, so it was not made. In Python,',
  ],
  [
    "a function of the system that makes nothing",
    [...PROTO, ...global("os", "system"), ...tuple(text("echo pwned")), REDUCE, 0x30, DICT, STOP],
    "TypeError",
    'the pickle must name only functions that make tensors, found "os.system", which could run code. The option key or except',
  ],
  [
    "a function of PyTorch that is not known",
    [...PROTO, ...global("torch._utils", "_rebuild_sparse_tensor"), STOP],
    "TypeError",
    'found "torch._utils._rebuild_sparse_tensor"',
  ],
  [
    "a name of Object",
    [...PROTO, ...global("", "constructor"), STOP],
    "TypeError",
    '".constructor"',
  ],
  [
    "an object",
    named([...global("a", "B"), ...tuple(), 0x81]),
    "TypeError",
    'each name must have a tensor, found "a.B" for "w"',
  ],
  [
    "an object of nothing",
    [...PROTO, DICT, 0x81, STOP],
    "RangeError",
    "must have a value, found none",
  ],
  [
    "an instance",
    [...PROTO, MARK, 0x69, ...line("a"), ...line("b")],
    "TypeError",
    "found 0x69 at byte",
  ],
  [
    "a global of later protocols",
    [0x80, 4, ...text("os"), ...text("system"), 0x93, STOP],
    "TypeError",
    'the file must hold tensors by name, found "os.system"',
  ],
  [
    "a global without a name",
    [0x80, 4, NONE, NONE, 0x93, STOP],
    "TypeError",
    "must have the name of a class or function, found None",
  ],
  ["an unknown instruction", [...PROTO, 0xff, STOP], "TypeError", "found 0xff at byte"],
  ["a later protocol", [0x80, 6, DICT, STOP], "TypeError", "pickle protocol 2 to 5, found 6"],
  [
    "a call of a number",
    named([...count(1), ...tuple(), REDUCE]),
    "TypeError",
    "a function to call, found 1",
  ],
  [
    "a call of a type",
    named([...global("torch", "FloatStorage"), ...tuple(), REDUCE]),
    "TypeError",
    "to call, found torch FloatStorage",
  ],
  [
    "a call without values",
    named([...global("collections", "OrderedDict"), NONE, REDUCE]),
    "TypeError",
    "arguments for a call, found None",
  ],
  [
    "an OrderedDict with a start",
    named([...global("collections", "OrderedDict"), ...tuple(count(7)), REDUCE]),
    "TypeError",
    "an OrderedDict must be empty when it is made, found 7",
  ],
  [
    "a number for the tensors",
    [...PROTO, ...count(3), STOP],
    "TypeError",
    "tensors by name, found 3",
  ],
  [
    "a number for a tensor",
    named(count(3)),
    "TypeError",
    'each name must have a tensor, found 3 for "w"',
  ],
  [
    "a number for a name",
    [...PROTO, DICT, ...count(3), NONE, SETITEM, STOP],
    "TypeError",
    "each name must be a string, found 3",
  ],
  [
    "a name twice",
    [...PROTO, DICT, ...text("w"), NONE, SETITEM, ...text("w"), NONE, SETITEM, STOP],
    "TypeError",
    'each name once, found "w" twice',
  ],
  ["a value beside the end", [...PROTO, NONE, NONE, STOP], "RangeError", "one value, found more"],
  ["nothing at the end", [...PROTO, STOP], "RangeError", "must have a value, found none"],
  ["a tuple without a mark", [...PROTO, TUPLE, STOP], "RangeError", "must have a mark, found none"],
  [
    "an empty memo",
    [...PROTO, 0x68, 9, STOP],
    "RangeError",
    "a memoised value, found none at index 9",
  ],
  ["no list", [...PROTO, NONE, NONE, APPEND, STOP], "TypeError", "a list, found None"],
  [
    "no dictionary",
    [...PROTO, LIST, NONE, NONE, SETITEM, STOP],
    "TypeError",
    "a dictionary, found a list of 0",
  ],
  [
    "a name without a value",
    [...PROTO, DICT, MARK, NONE, 0x75, STOP],
    "RangeError",
    "a value for each name, found a name without one",
  ],
  [
    "attributes of a number",
    [...PROTO, NONE, DICT, 0x62, STOP],
    "TypeError",
    "with attributes, found",
  ],
  [
    "a text beyond the end",
    [...PROTO, 0x58, 255, 255, 255, 255],
    "RangeError",
    "4294967295 more bytes",
  ],
  [
    "a string that is not UTF-8",
    [...PROTO, 0x58, 1, 0, 0, 0, 0xff],
    "TypeError",
    "strings in UTF-8",
  ],
  [
    "another reference than to a storage",
    named([NONE, PERSID]),
    "TypeError",
    "a storage must have a type, a key",
  ],
  [
    "a module",
    named(storage({ name: "module" })),
    "TypeError",
    "a storage must have a type, a key",
  ],
  [
    "an unknown type of elements",
    named(tensor({ from: storage({ type: "NewStorage" }) })),
    "RangeError",
    'the elements of a storage must follow, found the unknown key "0"',
  ],
  [
    "a storage of two types",
    [
      ...PROTO,
      DICT,
      ...[...text("a"), ...tensor(), SETITEM],
      ...[...text("b"), ...tensor({ from: storage({ type: "IntStorage" }) }), SETITEM],
      STOP,
    ],
    "TypeError",
    "the storage 0 must be 4 elements of F32 everywhere, found 4 of I32",
  ],
  [
    "a tensor of nothing",
    named(tensor({ from: [NONE] })),
    "TypeError",
    "a tensor must be made of a storage",
  ],
  [
    "a negative axis",
    named(tensor({ shape: tuple(long(-1n)) })),
    "TypeError",
    "a tensor must be made of a storage",
  ],
  [
    "a negative offset",
    named(tensor({ offset: long(-1n) })),
    "TypeError",
    "a tensor must be made of a storage",
  ],
  [
    "strides for other axes",
    named(tensor({ strides: tuple() })),
    "TypeError",
    "a tensor must be made of",
  ],
  [
    "a tensor beyond its storage",
    named(tensor({ offset: count(3) })),
    "RangeError",
    'the tensor "w" must end within the 4 elements of its storage, found the end 5',
  ],
  [
    "strides beyond its storage",
    named(tensor({ strides: tuple(long(2n ** 52n)) })),
    "RangeError",
    "must end within the 4 elements",
  ],
  [
    "a tensor that one element was expanded to",
    named(tensor({ shape: tuple(long(2n ** 40n)), strides: tuple(count(0)) })),
    "RangeError",
    "must have at most the 4 elements of its storage, found the shape [1099511627776]. In Python, call .contiguous()",
  ],
  [
    "axes whose product is infinite, times zero",
    named(tensor({
      shape: tuple(...Array.from({ length: 30 }, () => long(2n ** 52n)), count(0)),
      strides: tuple(...Array.from({ length: 31 }, () => count(1))),
    })),
    "RangeError",
    "must have at most the 4 elements of its storage",
  ],
  [
    "a storage of any size",
    named(tensor({ from: storage({ elements: long(2n ** 50n) }) })),
    "RangeError",
    "the elements of a storage must follow, found the end of the file",
  ],
  [
    "a storage of another number of elements",
    named(tensor({ from: storage({ elements: count(3) }) })),
    "RangeError",
    "the storage 0 must have 3 elements, found 4",
  ],
  [
    "a storage that is not in the file",
    named(tensor({ from: storage({ key: "1" }) })),
    "RangeError",
    'found the unknown key "0"',
  ],
];
for (const [title, pickle, name, message] of foreign) {
  Deno.test(`readPth() refuses ${title}`, async () => {
    await assert.rejects(parsePth(legacy(pickle), "a.pth"), (error) => {
      assert(error instanceof Error);
      assert.equal(error.name, name);
      assert(error.message.startsWith("Reading a.pth: "), error.message);
      assert(error.message.includes(message), error.message);
      return true;
    });
  });
}

/** The bytes of layouts.pth after a change. */
async function changed(change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> | void) {
  const bytes = await Deno.readFile(fixture("layouts.pth"));
  return change(bytes) ?? bytes;
}
/** Removes the checksum of an entry, so that the reader does not notice damage by it. */
function withoutChecksum(bytes: Uint8Array, entry: string): void {
  const central = ascii(bytes).lastIndexOf(entry) - 46;
  bytes.fill(0, central + 16, central + 20);
}
const damaged: [
  title: string,
  change: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer> | void,
  name: string,
  message: RegExp,
][] = [
  [
    "an empty file",
    () => new Uint8Array(),
    "TypeError",
    /must begin with PK or PyTorch's magic number/,
  ],
  [
    "another file",
    () => new Uint8Array([1, 2, 3]),
    "TypeError",
    /must begin with PK or PyTorch's magic number/,
  ],
  [
    "another pickle",
    () => new Uint8Array([0x80, 2, 0x4e, 0x2e]),
    "TypeError",
    /must begin with PK/,
  ],
  [
    "a truncated file",
    (bytes) => bytes.subarray(0, -100),
    "RangeError",
    /must be an intact zip file, as torch\.save writes it, found a damaged one: /,
  ],
  [
    "a flipped bit in the numbers",
    (bytes) => void (bytes[ascii(bytes).indexOf("layouts/data/1FB") + 80]! ^= 1),
    "RangeError",
    /the entry "layouts\/data\/\d+" must have the checksum 0x[0-9a-f]{8}, found 0x[0-9a-f]{8}\. The file is damaged/,
  ],
  [
    "another byte order",
    (bytes) => {
      // The word that a big-endian machine writes.
      bytes.set(new TextEncoder().encode("bigend"), ascii(bytes).indexOf("little"));
      withoutChecksum(bytes, "layouts/byteorder");
    },
    "TypeError",
    /the byte order must be little, found bigend/,
  ],
  [
    "a storage of another length",
    (bytes) => {
      // After the device "cpu" come an instruction that memoises it, and one that pushes the number
      // of elements.
      bytes[ascii(bytes).indexOf("cpu") + 6] = 3;
      withoutChecksum(bytes, "layouts/data.pkl");
    },
    "RangeError",
    /the storage 0, 3 elements of F64, must have 24 bytes, found 16\./,
  ],
  [
    "a compressed entry",
    (bytes) => void (bytes[ascii(bytes).lastIndexOf("layouts/data/0") - 46 + 10] = 8),
    "RangeError",
    /entries must be uncompressed, .*, found "layouts\/data\/0" compressed/,
  ],
  [
    "a zip file of other things",
    (bytes) => void bytes.set([0x78], ascii(bytes).lastIndexOf("layouts/data.pkl") + 8),
    "TypeError",
    /the zip file must have a data\.pkl in a folder, as torch\.save writes it, found \d+ other entries/,
  ],
  [
    "a storage that is not in the file",
    (bytes) => void bytes.set([0x78], ascii(bytes).lastIndexOf("layouts/data/0") + 13),
    "RangeError",
    /the storage 0, 2 elements of F64, must have 16 bytes, found no such storage/,
  ],
];
for (const [title, change, name, message] of damaged) {
  Deno.test(`readPth() refuses ${title}, in the zip format`, async () => {
    const bytes = await changed(change);
    await assert.rejects(parsePth(bytes, "a.pth"), {
      name,
      message: new RegExp(`^Reading a\\.pth: .*${message.source}`),
    });
  });
}

Deno.test("readPth() says what to do with a checkpoint and with TorchScript", async () => {
  await assert.rejects(readPth(fixture("checkpoint.pth")), {
    name: "TypeError",
    message:
      /checkpoint\.pth: each name must have a tensor, found 3 for "epoch"\. \{ key: "state_dict" \} reads those under that name\.$/,
  });
  await assert.rejects(readPth(fixture("torchscript.pth")), {
    name: "TypeError",
    message:
      /torchscript\.pth: the file must hold tensors by name, found a TorchScript program\. In Pyth/,
  });
});

Deno.test("readPth() reads files without checksums, which PyTorch can leave out", async () => {
  const bytes = await changed((bytes) => {
    for (let i = 0; i < bytes.length - 46; i++) {
      const isCentral = ascii(bytes.subarray(i, i + 4)) === "PK\x01\x02";
      if (isCentral) bytes.fill(0, i + 16, i + 20);
    }
  });
  assert.deepEqual(plain(await parsePth(bytes, "a.pth")), { ...rowMajor, ...views });
});

Deno.test("readPth() names a missing file", async () => {
  await assert.rejects(readPth("/no/such.pth"), { name: "NotFound", message: /\/no\/such\.pth/ });
  const file = await temporary("empty.pth", new Uint8Array());
  await assert.rejects(readPth(file), { message: new RegExp(`^Reading ${file}: `) });
});

/** The content of pth_negative.pth, as PyTorch 2.15 prints it. */
const negative: typeof rowMajor = {
  "conj().imag": ["F32", [2], [-3, -4]],
  transposed: ["F32", [3, 2], [-2, -6, -4, -8, -0, 10]],
  part: ["F32", [2], [-8, 10]],
  real: ["F32", [2, 3], [1, 3, 0, 5, 7, -9]],
  twice: ["F32", [2, 3], [2, 4, 0, 6, 8, -10]],
  double: ["F64", [2, 3], [-2, -4, -0, -6, -8, 10]],
  half: ["F16", [2, 3], [-2, -4, -0, -6, -8, 10]],
  parameter: ["F32", [2], [-3, -4]],
  resolved: ["F32", [2], [-3, -4]],
};
for (const file of ["pth_negative.pth", "pth_negative_legacy.pth"]) {
  Deno.test(`readPth() negates tensors that ${file} marks as negative`, async () => {
    assert.deepEqual(plain(await readPth(fixture(file))), negative);
  });
}

Deno.test("readPth() reads types without a storage of their own, and tensors with attributes", async () => {
  assert.deepEqual(plain(await readPth(fixture("pth_types.pth"))), {
    uint16: ["U16", [2], [0, 65535]],
    uint32: ["U32", [2], [0, 2 ** 32 - 1]],
    uint64: ["U64", [2], [0, 2 ** 63]],
    e4m3: ["F8_E4M3", [6], [0, 1, 1.5, -2.25, 448, 2 ** -9]],
    // Two bits of fraction: −2.25 becomes −2.
    e5m2: ["F8_E5M2", [6], [0, 1, 1.5, -2, 448, 2 ** -9]],
    attribute: ["F32", [2], [1, 2]],
    parameter: ["F32", [1], [3]],
    buffer: ["F32", [1], [4]],
    part: ["U16", [2], [1, 4]],
  });
});

const beside =
  "epoch complex conjugate quantized sparse rows meta class nested scalar array arguments " +
  "set bytes big type device";
const numbersOf = (tensors: ReadonlyMap<string, StoredTensor>) =>
  [...tensors].map(([name, tensor]) => [name, [...tensor.values()]]);
for (const kind of ["2", "4", "5", "legacy"]) {
  Deno.test(`readPth() reads the chosen tensors of a checkpoint, and names the options (${kind})`, async () => {
    const file = fixture(`pth_checkpoint_${kind}.pth`), isNested = kind !== "legacy";
    const except = beside.split(" ").concat(isNested ? "model" : []);
    const quoted = except.map((name) => JSON.stringify(name)).join(", ");
    const hint = `{ except: [${quoted}] } reads the others.`;
    await assert.rejects(readPth(file), {
      name: "TypeError",
      message: `Reading ${file}: each name must have a tensor, found 3 for "epoch". ${
        isNested ? '{ key: ["model", "net"] } reads those under that name. ' : ""
      }${hint}`,
    });
    const weight = [["weight", [1, 2]]];
    assert.deepEqual(numbersOf(await readPth(file, { except })), weight);
    for (const wanted of beside.split(" ")) {
      const others = except.filter((name) => name !== wanted);
      await assert.rejects(readPth(file, { except: others }), {
        name: "TypeError",
        message: new RegExp(`each name must have a tensor, found .* for "${wanted}"\\.`),
      });
    }
    if (!isNested) return;
    assert.deepEqual(numbersOf(await readPth(file, { key: ["model", "net"] })), weight);
    await assert.rejects(
      readPth(file, { key: "model" }),
      /\{ key: \["model", "net"\] \} reads those/,
    );
    await assert.rejects(readPth(file, { key: "modle" }), {
      name: "RangeError",
      message:
        /key must be a name in the file, found "modle"\. The names are weight, epoch, complex,/,
    });
    await assert.rejects(readPth(file, { key: ["weight", "x"] }), {
      name: "TypeError",
      message: /key must lead through dictionaries, found a tensor under weight\./,
    });
    await assert.rejects(readPth(file, { except: ["epohc"] }), {
      name: "RangeError",
      message: /except must name paths of the model or the file, found "epohc"/,
    });
  });
}

Deno.test("readPth() says that a file has a whole model, and which options there are", async () => {
  await assert.rejects(readPth(fixture("pth_model.pth")), {
    name: "TypeError",
    message:
      /found "torch\.nn\.modules\.linear\.Linear"\. It could run code, so it was not made\. In Python, torch\.save\(model\.state_dict\(\), file\)/,
  });
  const file = fixture("checkpoint.pth");
  const misspelt = { keys: "state_dict" } as object;
  await assert.rejects(
    readPth(file, misspelt),
    /there is no option keys\. Did you mean key\?/,
  );
  await assert.rejects(
    // @ts-expect-error: no key
    readPth(file, { key: 3 }),
    /key must be a name .* or an array of names, found 3\./,
  );
  // @ts-expect-error: a path, not an array
  await assert.rejects(readPth(file, { except: "epoch" }), TypeError);
});
