/** Files beyond 4 GiB, which are sparse and take no space, and small files with zip64 fields. */
import assert from "node:assert/strict";
import { crc32 } from "node:zlib";
import { readPth } from "resnet-lab";
import { parsePth } from "../../lib/weights/pth.ts";
import { fixture, plain } from "./_helpers.ts";

/** Little-endian numbers, each with its number of bytes. */
const numbers = (...fields: [value: number, bytes: number][]) =>
  fields.flatMap(([value, bytes]) =>
    Array.from({ length: bytes }, (_, i) => Number(BigInt(value) >> BigInt(8 * i) & 255n))
  );
const bytesOf = (text: string) => [...new TextEncoder().encode(text)];

/** An entry: its name, its first bytes, its length, and its fields that use zip64. */
interface Part {
  name: string;
  content: number[];
  length?: number;
  zip64?: boolean;
}

/**
 * The pieces of a zip file by position, from APPNOTE.TXT 4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
 */
function zip(parts: Part[], zip64: boolean) {
  const pieces: { at: number; bytes: number[] }[] = [];
  const central: number[] = [];
  let at = 0;
  for (const { name, content, length = content.length, zip64 = false } of parts) {
    const letters = bytesOf(name), MANY = 2 ** 32 - 1;
    // Entries with holes have no checksum. PyTorch can omit checksums too.
    const checksum = length === content.length ? crc32(new Uint8Array(content)) : 0;
    const large = zip64 || length >= MANY, far = zip64 || at >= MANY;
    const head = (extra: number[]) => [
      ...numbers([0, 2], [0, 2], [0, 2], [0, 2], [checksum, 4]),
      ...numbers([large ? MANY : length, 4], [large ? MANY : length, 4], [letters.length, 2]),
      ...numbers([extra.length, 2]),
    ];
    const sizes = large ? numbers([length, 8], [length, 8]) : [];
    const inner = large ? [...numbers([1, 2], [16, 2]), ...sizes] : [];
    const local = [...numbers([0x04034b50, 4], [45, 2]), ...head(inner), ...letters, ...inner];
    const fields = [...sizes, ...far ? numbers([at, 8]) : []];
    // Another extra field comes first.
    const outer = fields.length === 0
      ? []
      : [...numbers([0x4246, 2], [3, 2], [7, 3], [1, 2], [fields.length, 2]), ...fields];
    central.push(
      ...numbers([0x02014b50, 4], [45, 2], [45, 2]),
      ...head(outer),
      ...numbers([0, 2], [0, 2], [0, 2], [0, 4], [far ? MANY : at, 4]),
      ...letters,
      ...outer,
    );
    pieces.push({ at, bytes: [...local, ...content] });
    at += local.length + length;
  }
  const end = at + central.length, count = parts.length;
  const record = numbers(
    ...[[0x06064b50, 4], [44, 8], [45, 2], [45, 2], [0, 4], [0, 4]] as [number, number][],
    ...[[count, 8], [count, 8], [central.length, 8], [at, 8]] as [number, number][],
    ...[[0x07064b50, 4], [0, 4], [end, 8], [1, 4]] as [number, number][],
  );
  const last = zip64
    ? numbers([0x06054b50, 4], [0, 4], [count, 2], [count, 2], [central.length, 4], [
      2 ** 32 - 1,
      4,
    ])
    : numbers([0x06054b50, 4], [0, 4], [count, 2], [count, 2], [central.length, 4], [at, 4]);
  pieces.push({ at, bytes: [...central, ...zip64 ? record : [], ...last, 0, 0] });
  return pieces;
}

/** A pickle of float32 tensors by name, each with its own storage. */
function pth(tensors: Record<string, { values: number[]; count?: number }>, zip64 = false) {
  const text = (value: string) => [0x58, ...numbers([value.length, 4]), ...bytesOf(value)];
  const long = (value: number) => [0x8a, 8, ...numbers([value, 8])];
  const entries = Object.entries(tensors);
  const pickled = entries.flatMap(([name, { values, count = values.length }], key) => [
    ...text(name),
    ...bytesOf("ctorch._utils\n_rebuild_tensor_v2\n(("),
    ...[...text("storage"), ...bytesOf("ctorch\nFloatStorage\n"), ...text(String(key))],
    ...[...text("cpu"), ...long(count), ...bytesOf("tQ"), 0x4b, 0],
    ...[...long(count), 0x85, 0x4b, 1, 0x85, ...bytesOf("tR")],
  ]);
  const pickle = [0x80, 2, ...bytesOf("}("), ...pickled, ...bytesOf("u.")];
  return zip([
    { name: "a/data.pkl", content: pickle, zip64 },
    ...entries.map(([, { values, count = values.length }], key) => ({
      ...{ name: `a/data/${key}`, length: 4 * count, zip64 },
      content: [...new Uint8Array(new Float32Array(values).buffer)],
    })),
  ], true);
}

Deno.test("readPth() reads what is before and behind 4 GiB, and not what is left out", async () => {
  const folder = await Deno.makeTempDir(), file = `${folder}/large.pth`;
  const pieces = pth({
    first: { values: [1, 2] },
    large: { values: [5], count: 2 ** 30 + 4 },
    last: { values: [3, 4, 5] },
  });
  {
    using handle = await Deno.open(file, { createNew: true, write: true });
    for (const { at, bytes } of pieces) {
      await handle.seek(at, Deno.SeekMode.Start);
      await handle.write(new Uint8Array(bytes));
    }
  }
  const { size, blocks } = await Deno.stat(file);
  assert(size > 2 ** 32 && blocks! < 1000, `${size} bytes in ${blocks} blocks`);
  const before = Deno.memoryUsage();
  const tensors = await readPth(file, { except: ["large"] });
  const after = Deno.memoryUsage();
  assert(after.external - before.external < 2 ** 20 && after.rss - before.rss < 2 ** 26);
  assert.deepEqual(plain(tensors), { first: ["F32", [2], [1, 2]], last: ["F32", [3], [3, 4, 5]] });
  await Deno.remove(folder, { recursive: true });
});

/** A file of pieces without holes. */
function whole(pieces: { at: number; bytes: number[] }[]): Uint8Array<ArrayBuffer> {
  return new Uint8Array(pieces.flatMap(({ bytes }) => bytes));
}

Deno.test("parsePth() reads small files with the fields of zip64", async () => {
  const tensors = { a: { values: [1, 2] }, b: { values: [3] } };
  for (const zip64 of [false, true]) {
    assert.deepEqual(plain(await parsePth(whole(pth(tensors, zip64)), "a.pth")), {
      a: ["F32", [2], [1, 2]],
      b: ["F32", [1], [3]],
    });
  }
});

Deno.test("parsePth() refuses fields of zip64 that lie, and reads no memory for them", async () => {
  const tensors = { a: { values: [1, 2] }, b: { values: [3] } };
  const file = whole(pth(tensors, true));
  const numbersOf = new DataView(file.buffer);
  let refused = 0;
  // Each small number in a field of eight bytes is replaced by large ones.
  for (let i = 0; i + 8 <= file.length; i++) {
    const value = numbersOf.getBigUint64(i, true);
    if (value === 0n || value > 4096n) continue;
    for (const lie of [2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]) {
      const changed = file.slice();
      new DataView(changed.buffer).setBigUint64(i, lie, true);
      const before = Deno.memoryUsage().external;
      await parsePth(changed, "a.pth").then(() => {}, (error) => {
        assert.match(`${error}`, /^(RangeError|TypeError): Reading a\.pth: .* must .* found /s);
        refused++;
      });
      assert(Deno.memoryUsage().external - before < 2 ** 20);
    }
  }
  assert(refused > 40, String(refused));
});

Deno.test("parsePth() checks checksums and ends of a file that PyTorch wrote, with zip64 or without", async () => {
  const file = await Deno.readFile(fixture("layouts.pth"));
  const withComment = new Uint8Array([...file, 1, 2, 3]);
  new DataView(withComment.buffer).setUint16(file.length - 2, 3, true);
  assert.equal((await parsePth(withComment, "a.pth")).size, 19);
  for (const length of [file.length - 1, file.length - 22, 100, 22, 4]) {
    await assert.rejects(parsePth(file.slice(0, length), "a.pth"), {
      name: "RangeError",
      message: /must be an intact zip file, as torch\.save writes it, found a damaged one: /,
    });
  }
});
