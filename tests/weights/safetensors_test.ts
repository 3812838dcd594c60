import assert from "node:assert/strict";
import {
  linear,
  ops,
  readPth,
  readSafetensors,
  writeGraphModel,
  writeSafetensors,
} from "resnet-lab";
import { fixture, plain, rowMajor, temporary } from "./_helpers.ts";
import { StoredTensor } from "../../lib/weights/stored_tensor.ts";

/** A file with a header and `dataLength` bytes of data. */
function fileOf(header: string | object, dataLength = 0, headerLength?: bigint): Uint8Array {
  const json = new TextEncoder().encode(
    typeof header === "string" ? header : JSON.stringify(header),
  );
  const bytes = new Uint8Array(8 + json.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

Deno.test("readSafetensors() reads every type, as the safetensors package wrote them", async () => {
  assert.deepEqual(plain(await readSafetensors(fixture("types.safetensors"))), rowMajor);
  assert.deepEqual((await readSafetensors(fixture("types.safetensors"))).metadata, {
    format: "pt",
    größe: "weit",
  });
});

Deno.test("readSafetensors() gives views of one buffer", async () => {
  const tensors = [...(await readSafetensors(fixture("vgg.safetensors"))).values()];
  const { buffer } = tensors[0]!.bytes();
  assert.equal(buffer.byteLength, (await Deno.stat(fixture("vgg.safetensors"))).size);
  for (const tensor of tensors) assert.equal(tensor.bytes().buffer, buffer);
});

Deno.test("writeSafetensors() writes what readSafetensors reads, every type, in one atomic step", async () => {
  const original = await readSafetensors(fixture("types.safetensors"));
  const file = await temporary("copy.safetensors", new Uint8Array([1, 2, 3]));
  await writeSafetensors(file, original, { größe: "weit", __proto__: "x", "": "\n" });
  assert.deepEqual(plain(await readSafetensors(file)), rowMajor);
  assert.deepEqual((await readSafetensors(file)).metadata, { größe: "weit", "": "\n" });
  assert.deepEqual([...Deno.readDirSync(file.replace(/\/[^/]*$/, ""))].map(({ name }) => name), [
    "copy.safetensors",
  ]);
});

Deno.test("writeSafetensors() writes tensors with strides in row-major order", async () => {
  const bytes = new Uint8Array([0, 1, 2, 3, 4, 5]);
  const file = await temporary("views.safetensors");
  await writeSafetensors(file, new Map([["t", new StoredTensor("U8", [3, 2], bytes, [1, 3])]]));
  assert.deepEqual(plain(await readSafetensors(file)), { t: ["U8", [3, 2], [0, 3, 1, 4, 2, 5]] });
});

Deno.test("writeSafetensors() begins data at a multiple of 8, and every tensor at one of its element's size", async () => {
  const tensors = new Map([
    ["bytes", new StoredTensor("U8", [3], new Uint8Array([1, 2, 3]))],
    ["doubles", new StoredTensor("F64", [1], new Uint8Array(8))],
    ["floats", new StoredTensor("F32", [1], new Uint8Array(4))],
  ]);
  const file = await temporary("aligned.safetensors");
  await writeSafetensors(file, tensors);
  const bytes = await Deno.readFile(file);
  assert.equal(new DataView(bytes.buffer).getBigUint64(0, true) % 8n, 0n);
  const read = await readSafetensors(file);
  assert.deepEqual([...read.keys()], ["doubles", "floats", "bytes"]);
  for (const tensor of read.values()) assert.equal(tensor.values().buffer, tensor.bytes().buffer);
});

Deno.test("writeSafetensors() writes names of every kind, and no tensors at all", async () => {
  const one = StoredTensor.of(ops.tensor([1]));
  const names = ["__proto__", "", '"quoted"', "a\\b\n", "0", "größe.重み.🙂"];
  const file = await temporary("names.safetensors");
  await writeSafetensors(file, new Map(names.map((name) => [name, one])));
  assert.deepEqual([...(await readSafetensors(file)).keys()].sort(), names.sort());
  await writeSafetensors(file, new Map());
  assert.equal((await readSafetensors(file)).size, 0);
});

const entry = (begin: number, end: number, shape = [end - begin], dtype = "U8") => ({
  dtype,
  shape,
  data_offsets: [begin, end],
});
const broken: [title: string, bytes: Uint8Array, name: string, message: RegExp][] = [
  ["an empty file", new Uint8Array(), "RangeError", /must begin with 8 bytes .*, found 0 bytes/],
  [
    "a header beyond the end",
    fileOf("{}", 0, 3n),
    "RangeError",
    /the header must have at most 2 bytes .* length 3\./,
  ],
  [
    "a header of any length",
    fileOf("{}", 0, 2n ** 64n - 1n),
    "RangeError",
    /found the length 18446744073709551615\. The file is truncated, damaged, or no safetensors/,
  ],
  ["no JSON", fileOf("{a}"), "TypeError", /the header must be JSON in UTF-8, found/],
  ["an empty header", fileOf(""), "TypeError", /the header must begin with \{, found ""/],
  ["an array", fileOf("[]"), "TypeError", /the header must begin with \{, found "\[\]"/],
  [
    "space before the header",
    fileOf(" {}"),
    "TypeError",
    /the header must begin with \{, found " \{\}"/,
  ],
  [
    "a name that is no UTF-8",
    withByte(fileOf({ aa: entry(0, 1) }, 1), 10, 0xff),
    "TypeError",
    /UTF-8/,
  ],
  [
    "a name twice",
    fileOf(`{"a": ${JSON.stringify(entry(0, 0))}, "\\u0061" : ${JSON.stringify(entry(0, 0))}}`),
    "TypeError",
    /each name must be in the header once, found "a" twice/,
  ],
  [
    "a field twice",
    fileOf('{"a":{"dtype":"U8","dtype":"F64","shape":[0],"data_offsets":[0,0]}}'),
    "TypeError",
    /found "dtype" twice/,
  ],
  [
    "no entry",
    fileOf({ a: 3 }),
    "TypeError",
    /"a" must have a dtype, .* and two data_offsets .*, found undefined, undefined and undefined/,
  ],
  [
    "an entry without dtype",
    fileOf({ a: { shape: [], data_offsets: [0, 1] } }, 1),
    "TypeError",
    /"a"/,
  ],
  ["one offset", fileOf({ a: { ...entry(0, 0), data_offsets: [0] } }), "TypeError", /two data_off/],
  ["a negative axis", fileOf({ a: entry(0, 4, [-2, -2]) }, 4), "TypeError", /whole numbers/],
  ["half an axis", fileOf({ a: entry(0, 1, [0.5, 2]) }, 1), "TypeError", /whole numbers/],
  [
    "an unknown dtype",
    fileOf({ a: entry(0, 1, [1], "F5") }, 1),
    "TypeError",
    /the dtype of "a" must be one of F64, .*BOOL, .*, found "F5"/,
  ],
  ["a dtype of Object", fileOf({ a: entry(0, 1, [1], "toString") }, 1), "TypeError", /toString/],
  [
    "other bytes than those of the shape",
    fileOf({ a: entry(0, 4, [2], "F32") }, 4),
    "RangeError",
    /"a", F32 \[2\], must have 8 bytes, found 4 \(0 to 4\)/,
  ],
  ["an end before the beginning", fileOf({ a: entry(4, 0, [0]) }, 4), "RangeError", /found -4/],
  [
    "more elements than numbers count",
    fileOf({ a: entry(0, 0, [2 ** 53 - 1, 2 ** 53 - 1, 2 ** 53 - 1]) }),
    "RangeError",
    /"a", U8 .* must have .* bytes, found 0/,
  ],
  [
    "axes whose product is infinite, times zero",
    fileOf({ a: entry(0, 0, [...Array(30).fill(2 ** 52), 0]) }),
    "RangeError",
    /"a", U8 .* must have .* bytes, found 0/,
  ],
  [
    "ranges that overlap",
    fileOf({ a: entry(0, 4), b: entry(2, 6) }, 6),
    "RangeError",
    /the data of "b" must begin at byte 4, found 2: it overlaps/,
  ],
  ["the same range twice", fileOf({ a: entry(0, 4), b: entry(0, 4) }, 4), "RangeError", /overlaps/],
  ["a gap", fileOf({ a: entry(0, 4), b: entry(5, 6) }, 6), "RangeError", /byte 4, found 5.* a gap/],
  [
    "a gap at the beginning",
    fileOf({ a: entry(1, 4) }, 4),
    "RangeError",
    /byte 0, found 1.* a gap/,
  ],
  [
    "too little data",
    fileOf({ a: entry(0, 4) }, 3),
    "RangeError",
    /4 bytes of data.*, found 3.*trunc/,
  ],
  ["too much data", fileOf({ a: entry(0, 4) }, 5), "RangeError", /found 5\. There are bytes after/],
  ["data of no tensor", fileOf({}, 5), "RangeError", /must have 0 bytes of data/],
  ["notes that are no texts", fileOf({ __metadata__: { a: 1 } }), "TypeError", /found 1 for "a"/],
  [
    "notes that are a list",
    fileOf({ __metadata__: ["a"] }),
    "TypeError",
    /__metadata__ must be an object of strings, found \["a"\]/,
  ],
];
for (const [title, bytes, name, message] of broken) {
  Deno.test(`readSafetensors() refuses ${title}`, async () => {
    const file = await temporary("broken.safetensors", bytes);
    const sentence = new RegExp(`^Reading ${file}: .*${message.source}`);
    await assert.rejects(readSafetensors(file), { name, message: sentence });
    await Deno.remove(file);
  });
}

function withByte(bytes: Uint8Array, position: number, byte: number): Uint8Array {
  bytes[position] = byte;
  return bytes;
}

Deno.test("readSafetensors() refuses a header of more than 100 MB", async () => {
  const file = await temporary("long.safetensors", fileOf("{}", 0, 100_000_001n));
  await Deno.truncate(file, 100_000_100);
  await assert.rejects(readSafetensors(file), {
    name: "RangeError",
    message: /the header must have at most 100000000 bytes .* found the length 100000001/,
  });
  await Deno.remove(file);
});

Deno.test("readSafetensors() takes a header with spaces behind it, tensors in any order, and notes of 2 MB", async () => {
  const note = 'x\\"'.repeat(500_000);
  const header = JSON.stringify({ __metadata__: { note }, b: entry(1, 2), a: entry(0, 1) }) + "   ";
  const file = await temporary("odd.safetensors", fileOf(header, 2));
  assert.deepEqual([...(await readSafetensors(file)).keys()], ["a", "b"]);
  assert.equal((await readSafetensors(file)).metadata.note, note);
  await Deno.remove(file);
});

Deno.test("readSafetensors() names a missing file", async () => {
  await assert.rejects(readSafetensors("/no/such.safetensors"), {
    name: "NotFound",
    message: /\/no\/such\.safetensors/,
  });
});

Deno.test("writeSafetensors() refuses names and metadata that the format forbids, and leaves the file unchanged", async () => {
  const file = await temporary("kept.safetensors", new Uint8Array([1, 2, 3]));
  const one = StoredTensor.of(ops.tensor([1]));
  const refused: [() => Promise<void>, string, RegExp][] = [
    [() => writeSafetensors(file, new Map([["__metadata__", one]])), "RangeError", /__metadata__/],
    [() => writeSafetensors(file, new Map([["\ud800", one]])), "RangeError", /well-formed text/],
    [
      () => writeSafetensors(file, new Map([["a", one]]), { note: "\udc00" }),
      "RangeError",
      /well-formed text/,
    ],
    [
      // @ts-expect-error: metadata must be strings
      () => writeSafetensors(file, new Map([["a", one]]), { epochs: 12 }),
      "TypeError",
      /each value in __metadata__ must be a string, found 12 for "epochs"/,
    ],
    [
      // @ts-expect-error: not a stored tensor
      () => writeSafetensors(file, new Map([["a", ops.tensor([1])]])),
      "TypeError",
      /the tensor "a" must be a StoredTensor, which StoredTensor\.of makes of a tensor, found a tensor/,
    ],
    [
      // @ts-expect-error: not a map
      () => writeSafetensors(file, { a: one }),
      "TypeError",
      /the state dict must be a map of stored tensors by name/,
    ],
    [
      () => writeSafetensors(file, new Map([["n".repeat(100_000_000), one]])),
      "RangeError",
      /the header of names, shapes and metadata must have at most 100000000 bytes, found 1000000\d\d/,
    ],
  ];
  for (const [write, name, message] of refused) {
    await assert.rejects(write, {
      name,
      message: new RegExp(`^Writing ${file}: .*${message.source}`),
    });
  }
  assert.deepEqual([...await Deno.readFile(file)], [1, 2, 3]);
});

Deno.test("writeSafetensors() that fails midway leaves the file as it was, and nothing beside it", async () => {
  const file = await temporary("kept.safetensors", new Uint8Array([1, 2, 3]));
  const failing = new StoredTensor("U8", [1], new Uint8Array(1));
  failing.bytes = () => {
    throw new Error("no bytes today");
  };
  await assert.rejects(writeSafetensors(file, new Map([["a", failing]])), {
    message: `Writing ${file}: no bytes today.`,
  });
  const folder = file.replace(/\/[^/]*$/, "");
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["kept.safetensors"]);
  assert.deepEqual([...await Deno.readFile(file)], [1, 2, 3]);
  await assert.rejects(writeSafetensors(`${folder}/none/a.safetensors`, new Map()), {
    name: "Error",
    message: /^Writing .*\/none\/a\.safetensors: No such file/,
  });
});

Deno.test("readSafetensors() reads types that a model does not need, and carries others along as bytes", async () => {
  const types = fileOf({
    ...{ u: entry(0, 4, [2], "U16"), v: entry(4, 8, [1], "U32"), w: entry(8, 16, [1], "U64") },
    ...{ e: entry(16, 18, [2], "F8_E4M3"), c: entry(18, 26, [1], "C64") },
    f: entry(26, 27, [2], "F4"),
  }, 27);
  const data = types.subarray(types.length - 27);
  // 65535 and 1; 2³²−1; 2⁶⁴−1; 448 and −1 as float8 with four bits of exponent.
  data.set([255, 255, 1, 0, ...Array(12).fill(255), 0x7e, 0xb8]);
  const tensors = await readSafetensors(await temporary("a.safetensors", types));
  const numbers = (name: string) => [...tensors.get(name)!.values()];
  assert.deepEqual([numbers("u"), numbers("v")], [[65535, 1], [2 ** 32 - 1]]);
  assert.deepEqual([numbers("w"), numbers("e")], [[2n ** 64n - 1n], [448, -1]]);
  for (const name of ["c", "f"]) {
    const tensor = tensors.get(name)!;
    assert(!tensor.isFloat);
    assert.equal(tensor.bytes().length, name === "c" ? 8 : 1);
    for (const work of [() => tensor.values(), () => tensor.tensor()]) {
      assert.throws(work, {
        name: "TypeError",
        message: /^Reading a stored tensor: its type must be one of F64, .*, found (C64|F4)\.$/,
      });
    }
  }
  // Tensors of unknown types are written unchanged.
  const again = await temporary("b.safetensors");
  await writeSafetensors(again, tensors);
  assert.deepEqual((await readSafetensors(again)).get("c")!.bytes(), tensors.get("c")!.bytes());
});

Deno.test("readPth(), readSafetensors() and the writers refuse a value that is no path", async () => {
  for (const path of [undefined, 3, "", null] as unknown as string[]) {
    const message =
      /: (file|folder) must be a path such as "(model\.pth|model\.safetensors|my_model)", found /;
    for (
      const work of [
        () => readSafetensors(path),
        () => writeSafetensors(path, new Map()),
        () => readPth(path),
        () => writeGraphModel(path, linear(1, 1) as never, [1, 1, 1]),
      ]
    ) await assert.rejects(work, { name: "TypeError", message });
  }
});

Deno.test("writeSafetensors() refuses a file that may not be written, as cp does", async () => {
  const folder = await Deno.makeTempDir(), file = `${folder}/a.safetensors`;
  using one = ops.tensor([1]);
  await writeSafetensors(file, new Map([["a", StoredTensor.of(one)]]));
  await Deno.chmod(file, 0o444);
  if (Deno.uid() === 0) return; // Root may write to anything.
  await assert.rejects(writeSafetensors(file, new Map()), /^Error: Writing .*: Permission denied/);
  assert.equal((await readSafetensors(file)).size, 1);
});
