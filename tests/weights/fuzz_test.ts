/**
 * Ten thousand damaged files. Each must be read, or refused by an error of ours, without a crash, a
 * hang, or more memory than the file's.
 */
import assert from "node:assert/strict";
import { Random, type StateDict } from "resnet-lab";
import { parsePth } from "../../lib/weights/pth.ts";
import { parseSafetensors } from "../../lib/weights/safetensors.ts";
import { fixture } from "./_helpers.ts";

type Bytes = Uint8Array<ArrayBuffer>;
type Mutation = (bytes: Bytes, random: Random) => Bytes;

const joined = (...parts: Uint8Array[]): Bytes => {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let position = 0;
  for (const part of parts) {
    bytes.set(part, position);
    position += part.length;
  }
  return bytes;
};

/** Numbers that replace lengths, counts and offsets. */
const NUMBERS = [0n, 1n, 7n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];
/**
 * Pickle instructions that run code or need a later protocol, and others to put in wrong places.
 */
const OPCODES = [
  0x69,
  0x6f,
  0x81,
  0x82,
  0x92,
  0x93,
  0x94,
  0x95,
  0x8d,
  0x63,
  0x52,
  0x62,
  0x30,
  0x32,
];

/** Mutations that fit any file. */
const anywhere: Mutation[] = [
  function truncated(bytes, random) {
    return bytes.slice(0, random.integer(bytes.length));
  },
  function longer(bytes, random) {
    return joined(bytes, new Uint8Array(1 + random.integer(100)));
  },
  function flippedBits(bytes, random) {
    for (let i = 0; i <= random.integer(4); i++) {
      bytes[random.integer(bytes.length)]! ^= 1 << random.integer(8);
    }
    return bytes;
  },
  function wrongNumber(bytes, random) {
    const number = NUMBERS[random.integer(NUMBERS.length)]!;
    const view = new DataView(bytes.buffer);
    if (random.integer(2) === 0) {
      view.setBigUint64(random.integer(bytes.length - 8), BigInt.asUintN(64, number), true);
    } else {
      view.setUint32(random.integer(bytes.length - 4), Number(BigInt.asUintN(32, number)), true);
    }
    return bytes;
  },
  function withoutPart(bytes, random) {
    const from = random.integer(bytes.length), to = from + random.integer(40);
    return joined(bytes.subarray(0, from), bytes.subarray(to));
  },
  function partTwice(bytes, random) {
    const from = random.integer(bytes.length), to = from + 1 + random.integer(40);
    return joined(bytes.subarray(0, to), bytes.subarray(from));
  },
];

/** A mutation of the header of a safetensors file that keeps it valid JSON. */
function header(bytes: Bytes, random: Random): Bytes {
  const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
  const json = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
  const names = Object.keys(json).filter((name) => name !== "__metadata__");
  const any = () => names[random.integer(names.length)]!;
  const entry = json[any()], huge = 2 ** (20 + random.integer(80));
  switch (random.integer(8)) {
    case 0: // Overlaps, or leaves a gap.
      entry.data_offsets = entry.data_offsets.map((x: number) => x + random.integer(9) - 4);
      break;
    case 1:
      entry.data_offsets[random.integer(2)] = huge;
      break;
    case 2:
      entry.shape.push(huge);
      break;
    case 3:
      entry.shape = Array(random.integer(1000)).fill(random.integer(3));
      break;
    case 4:
      entry.dtype = ["F64", "U8", "BF16", "F4", "", 3, null][random.integer(7)];
      break;
    case 5:
      delete entry[["dtype", "shape", "data_offsets"][random.integer(3)]!];
      break;
    case 6:
      entry.data_offsets = json[any()].data_offsets;
      break;
    case 7:
      json[any()] = [null, [], {}, 3, "x", { ...entry, shape: [0] }][random.integer(6)];
      break;
  }
  const text = new TextEncoder().encode(JSON.stringify(json));
  const start = new Uint8Array(new BigUint64Array([BigInt(text.length)]).buffer);
  return joined(start, text, bytes.subarray(8 + length));
}

/** A mutation of the pickle in a `.pth` file. */
function pickle(bytes: Bytes, random: Random): Bytes {
  const ascii = new TextDecoder("latin1").decode(bytes);
  const from = ascii.indexOf("_rebuild_tensor_v2") - 40, to = ascii.lastIndexOf("torch\n") + 60;
  const at = from + random.integer(to - from);
  if (random.integer(3) === 0) bytes[at] = random.integer(256);
  else if (random.integer(2) === 0) bytes[at] = OPCODES[random.integer(OPCODES.length)]!;
  else {
    // Changes a count: the byte after an instruction that pushes one.
    const counts = [...ascii.slice(from, to).matchAll(/K/g)].map(({ index }) => from + index);
    bytes[counts[random.integer(counts.length)]! + 1] = random.integer(256);
  }
  return bytes;
}

/** A zip file of PyTorch without checksums, so that the reader does not notice damage by them. */
function withoutChecksums(bytes: Bytes): Bytes {
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < bytes.length - 46; i++) {
    if (view.getUint32(i, true) === 0x02014b50) bytes.fill(0, i + 16, i + 20);
  }
  return bytes;
}

const read = async (file: string) => await Deno.readFile(fixture(file));
const kinds: {
  name: string;
  files: Bytes[];
  parse: (bytes: Bytes, source: string) => Promise<StateDict> | StateDict;
  mutations: Mutation[];
  count: number;
}[] = [
  {
    name: "safetensors",
    files: [await read("types.safetensors"), await read("inception.safetensors")],
    parse: (bytes, source) => parseSafetensors(bytes, source).tensors,
    mutations: [...anywhere, header, header, header],
    count: 5000,
  },
  {
    name: ".pth",
    files: [await read("layouts.pth"), withoutChecksums(await read("layouts.pth"))],
    parse: parsePth,
    mutations: [...anywhere, pickle, pickle, pickle],
    count: 3000,
  },
  {
    name: "old .pth",
    files: [await read("layouts_legacy.pth")],
    parse: parsePth,
    mutations: [...anywhere, pickle, pickle, pickle],
    count: 2000,
  },
];

for (const { name, files, parse, mutations, count } of kinds) {
  Deno.test(`readPth() and readSafetensors() refuse or read ${count} damaged ${name} files`, async () => {
    const random = new Random(count);
    let refused = 0, readable = 0;
    for (let i = 0; i < count; i++) {
      const mutation = mutations[random.integer(mutations.length)]!;
      const bytes = mutation(files[i % files.length]!.slice(), random);
      const what = `file ${i}, ${mutation.name}`;
      const before = Deno.memoryUsage().external;
      try {
        const tensors = await parse(bytes, "damaged file");
        for (const tensor of tensors.values()) {
          const own = tensor.bytes();
          // A view of the file, or a copy of one tensor, which is no larger than the file.
          assert(own.buffer === bytes.buffer || own.length <= bytes.length, what);
          assert.equal(tensor.values().length, tensor.size, what);
        }
        readable++;
      } catch (error) {
        assert(error instanceof RangeError || error instanceof TypeError, `${what}: ${error}`);
        assert.match(
          error.message,
          /^Reading (damaged file: .+ must .+, found .+|a stored tensor: its type .+ found F4)\.$/s,
          what,
        );
        assert(error.message.length < 1000, `${what}: a message of ${error.message.length}`);
        refused++;
      }
      const more = Deno.memoryUsage().external - before;
      assert(more < 2 ** 20, `${what}: ${more} bytes more for a file of ${bytes.length}`);
    }
    // Both must happen: mutations that change nothing, or fail at the first check, test nothing.
    assert(refused > count / 4 && readable > count / 50, `${refused} refused, ${readable} read`);
  });
}
