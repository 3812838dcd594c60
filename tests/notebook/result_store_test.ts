import assert from "node:assert/strict";
import { fileURLToPath, pathToFileURL } from "node:url";
import { join } from "node:path";
import { readStore, updateStore } from "../../lib/notebook/result_store.ts";

/** Calls `use` with a file in a new folder, which is removed afterwards. */
async function inFolder(use: (file: string, folder: string) => Promise<void> | void) {
  const folder = await Deno.makeTempDir();
  try {
    await use(join(folder, "store.json"), folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Starts a process that runs some lines with updateStore and `file`. */
function other(file: string, lines: string): Deno.ChildProcess {
  const code = `import { updateStore } from ${
    JSON.stringify(new URL("../../lib/notebook/result_store.ts", import.meta.url).href)
  };
    const file = new URL(${JSON.stringify(pathToFileURL(file).href)});
    ${lines}`;
  return new Deno.Command(Deno.execPath(), {
    args: [
      ...[
        "run",
        "-A",
        "--no-check",
        "--config",
        fileURLToPath(new URL("../../deno.json", import.meta.url)),
      ],
      `data:application/typescript,${encodeURIComponent(code)}`,
    ],
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

Deno.test("updateStore() loses nothing when several processes write at once", async () => {
  await inFolder(async (file, folder) => {
    const runs = 40;
    const processes = ["a", "b", "c"].map((name) =>
      other(
        file,
        `for (let i = 0; i < ${runs}; i++) {
          updateStore(file, {}, (stored) => ({ ...stored, ["${name}" + i]: "x".repeat(1000) }));
        }`,
      )
    );
    let reads = 0;
    const url = pathToFileURL(file);
    const reading = setInterval(() => {
      readStore(url, {}); // Never half a file.
      reads++;
    }, 5);
    try {
      for (const process of processes) {
        const { success, stderr } = await process.output();
        assert(success, new TextDecoder().decode(stderr));
      }
    } finally {
      clearInterval(reading);
    }
    assert.equal(Object.keys(readStore(url, {})).length, 3 * runs);
    assert(reads > 0);
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["store.json"]);
  });
});

Deno.test("updateStore() leaves the file as it was when the process is killed at any time", async () => {
  await inFolder(async (file) => {
    const url = pathToFileURL(file);
    updateStore<{ runs: number[] }>(url, { runs: [] }, () => ({ runs: [0] }));
    for (let kill = 0; kill < 3; kill++) {
      const process = other(
        file,
        `while (true) {
          updateStore(file, { runs: [] }, ({ runs }) => ({ runs: [...runs, runs.length] }));
        }`,
      );
      const before = readStore(url, { runs: [0] }).runs.length;
      let hasEnded = false;
      process.status.then(() => hasEnded = true);
      while (readStore(url, { runs: [0] }).runs.length < before + 3) {
        assert(!hasEnded, "the process ended by itself");
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      process.kill("SIGKILL");
      await process.output();
      const { runs } = readStore(url, { runs: [0] });
      assert.deepEqual(runs, runs.map((_, index) => index));
      // The killed process holds no lock any more.
      updateStore(url, { runs: [0] }, (stored) => stored);
    }
  });
});

Deno.test("updateStore() writes to the file that a link leads to, with its mode", async () => {
  await inFolder(async (file, folder) => {
    const target = join(folder, "real.json");
    await Deno.writeTextFile(target, '{"a": 1}');
    await Deno.chmod(target, 0o640);
    await Deno.symlink(target, file);
    updateStore(pathToFileURL(file), {}, (stored) => ({ ...stored, b: 2 }));
    assert((await Deno.lstat(file)).isSymlink);
    assert.deepEqual(JSON.parse(await Deno.readTextFile(target)), { a: 1, b: 2 });
    assert.equal((await Deno.stat(target)).mode! & 0o777, 0o640);
  });
});

Deno.test("updateStore() changes nothing when the change fails", async () => {
  await inFolder((file, folder) => {
    const url = pathToFileURL(file);
    updateStore<object>(url, {}, () => ({ a: 1 }));
    const fail = () => {
      throw new Error("no");
    };
    assert.throws(() => updateStore(url, {}, fail), /no/);
    assert.deepEqual(readStore(url, {}), { a: 1 });
    assert.deepEqual(Array.from(Deno.readDirSync(folder), ({ name }) => name), ["store.json"]);
  });
});

Deno.test("readStore() says which file is damaged", async () => {
  await inFolder(async (file) => {
    const url = pathToFileURL(file);
    assert.deepEqual(readStore(url, []), []);
    for (const text of ['{"a": 1', "[1]", "5", "null"]) {
      await Deno.writeTextFile(fileURLToPath(url), text);
      assert.throws(() => readStore(url, {}), {
        name: "RangeError",
        message:
          /^Reading data\/store\.json: the file must be JSON that holds an object, found .*git/,
      });
    }
    await Deno.writeTextFile(file, "");
    assert.deepEqual(readStore(url, {}), {});
  });
});
