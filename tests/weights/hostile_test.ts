/** Files made to take much time or memory. Each must be read or refused in little of both. */
import assert from "node:assert/strict";
import { fixture } from "./_helpers.ts";

const MB = 10 ** 6;
/**
 * A zip file with a data.pkl and other entries, written by hand as in large_test.ts. With
 * `overlap`, all entries share their content.
 */
const HELPERS = `
import { crc32 } from "node:zlib";
import { readPth, readSafetensors } from "resnet-lab";
const { Buffer } = await import("node:buffer");
const repeat = (text, size) => Buffer.alloc(size, text, "latin1");
const number = (value, bytes) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64LE(BigInt(value));
  return buffer.subarray(0, bytes);
};
const text = (value) => Buffer.concat([Buffer.from("X"), number(value.length, 4), Buffer.from(value)]);
const pickle = (...parts) => Buffer.concat([Buffer.from([0x80, 2]), ...parts, Buffer.from(".")]);
const legacy = (...parts) => Buffer.concat([
  Buffer.from("80028a0a6cfc9c46f9206aa850192e", "hex"), Buffer.from("80024de9032e", "hex"),
  pickle(Buffer.from("}"), text("little_endian"), Buffer.from("\\x88s", "latin1")), pickle(...parts)]);
const zip = (entries) => {
  const local = [], central = [];
  let at = 0;
  for (const { name, content, shared } of entries) {
    const sum = shared === undefined ? crc32(content) : 0;
    const head = Buffer.concat([number(0, 8), number(sum, 4), number(content.length, 4),
      number(content.length, 4), number(name.length, 2), number(0, 2)]);
    const start = shared ?? at;
    if (shared === undefined) {
      local.push(Buffer.from("PK\\x03\\x04", "latin1"), number(20, 2), head, Buffer.from(name), content);
      at += 30 + name.length + content.length;
    }
    central.push(Buffer.from("PK\\x01\\x02", "latin1"), number(20, 2), number(20, 2), head, number(0, 8), number(0, 2), number(start, 4), Buffer.from(name));
  }
  const directory = Buffer.concat(central);
  return Buffer.concat([...local, directory, Buffer.from("PK\\x05\\x06", "latin1"), number(0, 4),
    number(Math.min(entries.length, 65535), 2), number(Math.min(entries.length, 65535), 2), number(directory.length, 4), number(at, 4), number(0, 2)]);
};
const zipped = (...parts) => zip([{ name: "a/data.pkl", content: pickle(...parts) }]);
const header = (json) => Buffer.concat([number(json.length, 8), json]);
const view = (key, count) => Buffer.concat([text("w" + key), Buffer.from("ctorch._utils\\n_rebuild_tensor_v2\\n(("),
  text("storage"), Buffer.from("ctorch\\nFloatStorage\\n"), text(String(key)), text("cpu"),
  Buffer.from("J"), number(count, 4), Buffer.from("tQK\\0J"), number(count, 4), Buffer.from("\\x85K\\x01\\x85tR", "latin1")]);
`;

/** The code that makes each file, its size in MB, and the error. */
const files: Record<string, [make: string, size: number, message: RegExp]> = {
  "dictionaries without a start": [
    `repeat("}", size)`,
    40,
    /begin with PK or PyTorch's magic number/,
  ],
  "dictionaries, in the old format": [
    `legacy(repeat("}", size))`,
    40,
    /values of at most \d+ bytes/,
  ],
  "dictionaries, in a zip file": [`zipped(repeat("}", size))`, 40, /values of at most \d+ bytes/],
  "a few dictionaries, in a zip file": [
    `zipped(repeat("}", size))`,
    9,
    /values of at most \d+ byt/,
  ],
  "values that wait": [`zipped(repeat("N", size))`, 40, /at most 1048576 values/],
  "texts of one letter": [
    `zipped(repeat("X\\x01\\0\\0\\0a", size))`,
    40,
    /values of at most \d+ byt/,
  ],
  "kept values": [
    `(() => {
      const kept = Buffer.alloc(size, "r....", "latin1");
      for (let i = 0; i < size / 5; i++) kept.writeUInt32LE(7 * i + 9, 5 * i + 1);
      return zipped(Buffer.from("N"), kept);
    })()`,
    20,
    /values of at most \d+ bytes/,
  ],
  "references to one list": [
    `zipped(Buffer.from("]q\\0("), repeat("h\\0".repeat(1000) + "e(", size))`,
    40,
    /values of at most \d+ bytes/,
  ],
  "long numbers": [
    `zipped(repeat("\\x8a\\xff" + "\\x55".repeat(255) + "0", size))`,
    40,
    /must have a value, found none|must have .* found/,
  ],
  "a shape of a million axes, many times": [
    `zipped(repeat("K\\x01", 0), Buffer.from("("), repeat("K\\x01", 1e6), Buffer.from("tq\\x070"), Buffer.from("ctorch._utils\\n_rebuild_tensor_v2\\nq\\x080(" ),
      text("storage"), Buffer.from("ctorch\\nFloatStorage\\n"), text("0"), text("cpu"), Buffer.from("K\\x04tQq\\x090"),
      repeat("h\\x08(h\\x09K\\0h\\x07h\\x07tR0", size))`,
    20,
    /a tensor must be made of a storage/,
  ],
  "entries that share their bytes": [
    `(() => {
      const content = Buffer.alloc(8 * size / 9), count = 4000;
      const shared = { content, shared: 0 };
      const views = Buffer.concat(Array.from({ length: count }, (_, i) => view(i, content.length / 4)));
      return zip([{ name: "a/data/0", content }, ...Array.from({ length: count - 1 }, (_, i) => ({ ...shared, name: "a/data/" + (i + 1) })),
        { name: "a/data.pkl", content: pickle(Buffer.from("}("), views, Buffer.from("u")) }]);
    })()`,
    9,
    /the entry "a\/data\/\d+" shares bytes with another/,
  ],
  "a directory of many entries": [
    `zip([{ name: "a/data.pkl", content: pickle(Buffer.from("}")) }, ...Array.from({ length: 60000 }, (_, i) => ({ name: String(1e6 + i).padStart(size / 60000 - 46), content: Buffer.alloc(0), shared: 0 }))])`,
    9,
    /read 0/,
  ],
  "objects in objects": [`header(repeat('{"a":', size))`, 20, /found a deeper one/],
  "arrays in arrays": [
    `header(Buffer.concat([Buffer.from('{"a":'), repeat("[", size)]))`,
    20,
    /found a deeper one/,
  ],
  "an array of many numbers": [
    `header(Buffer.concat([Buffer.from('{"a":{"dtype":"F32","shape":['), repeat("1,", size), Buffer.from("1]}}")]))`,
    20,
    /the header of a file of \d+ bytes must take at most \d+ bytes of memory/,
  ],
  "many tensors of nothing": [
    `header(Buffer.from(JSON.stringify(Object.fromEntries(Array.from({ length: size / 65 }, (_, i) => [String(1e6 + i), { dtype: "F32", shape: [0], data_offsets: [0, 0] }])))))`,
    20,
    /the header of a file of \d+ bytes must take at most \d+ bytes of memory/,
  ],
  "many notes": [
    `header(Buffer.from(JSON.stringify({ __metadata__: Object.fromEntries(Array.from({ length: size / 14 }, (_, i) => [String(1e6 + i), ""])) })))`,
    20,
    /the header of a file of \d+ bytes must take at most \d+ bytes of memory/,
  ],
  "one note that is not closed": [
    `header(repeat('{"' + '\\\\'.repeat(1000), size).map((x, i) => i > 1 && x === 0x22 ? 0x61 : x))`,
    20,
    /the header must be JSON in UTF-8, found other bytes \(a string without end/,
  ],
};

for (const [name, [make, megabytes, message]] of Object.entries(files)) {
  Deno.test(`readPth() and readSafetensors() refuse a file of ${name} in little time and memory`, async () => {
    const cache = new URL("../../.cache/", import.meta.url).pathname;
    await Deno.mkdir(cache, { recursive: true });
    const folder = await Deno.makeTempDir({ dir: cache }), file = `${folder}/file`;
    const isHeader = make.startsWith("header");
    const run = async (name: string, code: string) => {
      const script = `${folder}/${name}.ts`;
      await Deno.writeTextFile(script, code);
      const args = ["run", "-A", "--no-check", script];
      const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), { args })
        .output();
      const text = new TextDecoder().decode(success ? stdout : stderr);
      assert(success, text);
      return text;
    };
    try {
      const maker = `const size = ${megabytes * MB};\nawait Deno.writeFile(${
        JSON.stringify(file)
      }, ${make});`;
      await Deno.writeTextFile(`${folder}/make.ts`, HELPERS + maker);
      await import(`file://${folder}/make.ts`);
      const { size } = await Deno.stat(file);
      const output = await run(
        "read",
        `import { readPth, readSafetensors } from "resnet-lab";
        await readPth(${JSON.stringify(fixture("layouts.pth"))});
        const most = () => 1024 * Number(/VmHWM:\\s*(\\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))[1]);
        const before = most(), results = [];
        for (const read of ${isHeader ? "[readSafetensors]" : "[readPth]"}) {
          const start = performance.now();
          const message = await read(${
          JSON.stringify(file)
        }).then((tensors) => "RangeError: Reading nothing: read " + tensors.size, String);
          results.push({ message, seconds: (performance.now() - start) / 1000 });
        }
        console.log(JSON.stringify({ results, memory: most() - before }));`,
      );
      const { results, memory } = JSON.parse(output.trim().split("\n").at(-1)!);
      for (const { message: found, seconds } of results) {
        assert.match(found, /^(RangeError|TypeError): Reading /);
        assert.match(found, message);
        assert(found.length < 1000);
        assert(seconds < 5, `${seconds} s`);
      }
      if (Deno.build.os === "linux") {
        // Beside the memory for the file, there is garbage that V8 has not collected yet.
        assert(
          memory < 3 * size + 2 ** 24,
          `${(memory / size).toFixed(2)} times the file in memory`,
        );
      }
      if (Deno.env.get("SHOW")) console.log(name, memory / size, results);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
