/** Atomic writing to existing files, links and devices, as cp and editors treat them. */
import assert from "node:assert/strict";
import { writeAtomically, writeTextAtomicallySync } from "../../lib/data/files.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const writers: Record<string, (file: string, text: string) => Promise<void> | void> = {
  writeAtomically: (file, text) => writeAtomically(file, [bytes(text)]),
  writeTextAtomicallySync,
};

for (const [name, write] of Object.entries(writers)) {
  const test = (title: string, work: (folder: string) => Promise<void> | void) =>
    Deno.test(`${name}() ${title}`, async () => {
      const folder = await Deno.makeTempDir();
      await work(folder);
      await Deno.remove(folder, { recursive: true });
    });
  const names = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  const text = (file: string) => Deno.readTextFileSync(file);

  test("writes the file that a symbolic link leads to, and the link stays", async (folder) => {
    Deno.mkdirSync(`${folder}/real`);
    Deno.writeTextFileSync(`${folder}/real/a`, "old");
    Deno.symlinkSync("real/a", `${folder}/one`);
    Deno.symlinkSync("one", `${folder}/two`);
    await write(`${folder}/two`, "new");
    assert.equal(text(`${folder}/real/a`), "new");
    assert.deepEqual([Deno.readLinkSync(`${folder}/one`), Deno.readLinkSync(`${folder}/two`)], [
      "real/a",
      "one",
    ]);
    assert.deepEqual([names(folder), names(`${folder}/real`)], [["one", "real", "two"], ["a"]]);
  });

  test("makes the file that a link leads to where there is none yet", async (folder) => {
    Deno.mkdirSync(`${folder}/real`);
    Deno.symlinkSync("real", `${folder}/linked`);
    // A link is relative to its own folder, which is reached through another link here.
    Deno.symlinkSync("../target", `${folder}/real/link`);
    await write(`${folder}/linked/link`, "new");
    assert.equal(text(`${folder}/target`), "new");
    assert(Deno.lstatSync(`${folder}/real/link`).isSymlink);
  });

  test("refuses links that lead in a circle", async (folder) => {
    Deno.symlinkSync("b", `${folder}/a`);
    Deno.symlinkSync("a", `${folder}/b`);
    await assert.rejects(async () => await write(`${folder}/a`, "new"), /^Error: Writing .*\/a: /);
    assert.deepEqual(names(folder), ["a", "b"]);
  });

  test("keeps the mode of a file, and gives a new one that of any new file", async (folder) => {
    for (const mode of [0o600, 0o664, 0o755]) {
      Deno.writeTextFileSync(`${folder}/a`, "old");
      Deno.chmodSync(`${folder}/a`, mode);
      await write(`${folder}/a`, "new");
      assert.equal(Deno.statSync(`${folder}/a`).mode! & 0o7777, mode);
      assert.equal(text(`${folder}/a`), "new");
    }
    await write(`${folder}/b`, "new");
    Deno.writeTextFileSync(`${folder}/c`, "plain");
    assert.equal(Deno.statSync(`${folder}/b`).mode, Deno.statSync(`${folder}/c`).mode);
  });

  test("keeps the owner of a file where it may", async (folder) => {
    if (Deno.uid() !== 0) return;
    Deno.writeTextFileSync(`${folder}/a`, "old");
    Deno.chownSync(`${folder}/a`, 1234, 1235);
    await write(`${folder}/a`, "new");
    const { uid, gid } = Deno.statSync(`${folder}/a`);
    assert.deepEqual([uid, gid], [1234, 1235]);
  });

  test("writes to a device and to a pipe, and leaves them what they are", async (folder) => {
    const null_ = `${folder}/null`;
    Deno.symlinkSync("/dev/null", null_);
    await write(null_, "new");
    assert(Deno.statSync("/dev/null").isCharDevice);
    const pipe = `${folder}/pipe`;
    await new Deno.Command("mkfifo", { args: [pipe] }).output();
    const reading = new Deno.Command("cat", { args: [pipe], stdout: "piped" }).spawn();
    await write(pipe, "new");
    assert.equal(new TextDecoder().decode((await reading.output()).stdout), "new");
    assert(Deno.statSync(pipe).isFifo);
    assert.deepEqual(names(folder), ["null", "pipe"]);
  });

  test("leaves the old content under another hard link", async (folder) => {
    Deno.writeTextFileSync(`${folder}/a`, "old");
    Deno.linkSync(`${folder}/a`, `${folder}/b`);
    await write(`${folder}/a`, "new");
    assert.deepEqual([text(`${folder}/a`), text(`${folder}/b`)], ["new", "old"]);
  });

  test("says that a folder is none, and that there is no folder", async (folder) => {
    await assert.rejects(async () => await write(folder, "new"), {
      name: "Error",
      message: `Writing ${folder}: the path must lead to a file, found a folder.`,
    });
    await assert.rejects(async () => await write(`${folder}/no/a`, "new"), {
      message: new RegExp(`^Writing ${folder}/no/a: No such file or directory`),
    });
    assert.deepEqual(names(folder), []);
  });

  test("removes what killed writers of the same file left, and nothing else", async (folder) => {
    const old = `a.${crypto.randomUUID()}.part`, fresh = `a.${crypto.randomUUID()}.part`;
    const other = `b.${crypto.randomUUID()}.part`, own = "a.notes.part";
    for (const name of [old, fresh, other, own]) Deno.writeTextFileSync(`${folder}/${name}`, "x");
    const yesterday = new Date(Date.now() - 86_400_000);
    for (const name of [old, other, own]) {
      Deno.utimeSync(`${folder}/${name}`, yesterday, yesterday);
    }
    await write(`${folder}/a`, "new");
    assert.deepEqual(names(folder), ["a", fresh, other, own].sort());
  });
}

Deno.test("writeAtomically() leaves the old file and nothing else where a piece fails", async () => {
  const folder = await Deno.makeTempDir(), file = `${folder}/a`;
  await Deno.writeTextFile(file, "old");
  const pieces = (function* () {
    yield bytes("new");
    throw new Error("no more");
  })();
  await assert.rejects(writeAtomically(file, pieces), { message: `Writing ${file}: no more.` });
  assert.equal(await Deno.readTextFile(file), "old");
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["a"]);
});
