/**
 * Tests of the public API as a whole: the exports of `resnet-lab` are the exports of its rooms, few
 * enough to learn, and used.
 *
 * After a change of a room's mod.ts, this writes lib/mod.ts anew:
 *
 *     deno test -A --no-check tests/public_api_test.ts -- --update
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { rooms } from "../scripts/check_imports.ts";

/** The most values that the library may export; `ops` counts as one. */
const MAX_VALUES = 140;

const root = join(import.meta.dirname!, "..");
const read = (...path: string[]) => Deno.readTextFileSync(join(root, ...path));

/** The names that a mod.ts exports, each as it is written there: `fit`, `type FitOptions`. */
function exportsOf(text: string): string[] {
  const lists = text.matchAll(/^export (type )?(?:\{([^}]*)\}|\* as (\w+)) from "[^"]*";/gm);
  return Array.from(lists).flatMap(([, type = "", list, namespace]) => {
    const names = (namespace ?? list!).split(",").map((name) => name.trim());
    return names.filter(Boolean).map((name) => `${type}${name}`);
  });
}

/** The text of lib/mod.ts: the exports of each room below the first line of its doc comment. */
async function expectedText(): Promise<string> {
  const parts = rooms.map((room) => {
    const text = read("lib", room, "mod.ts");
    const [, title] = /^\/\*\*\n \* ([^]*?)\n \*\n/.exec(text) ?? [];
    assert(title !== undefined, `lib/${room}/mod.ts must begin with a doc comment`);
    const names = exportsOf(text).map((name) => `  ${name},\n`).join("");
    return `// ${title}\nexport {\n${names}} from "./${room}/mod.ts";\n`;
  });
  const [doc] = /^\/\*\*[^]*?\*\/\n/.exec(read("lib", "mod.ts")) ?? [""];
  return await formatted([doc, ...parts].join("\n"));
}

async function formatted(text: string): Promise<string> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["fmt", "--line-width", "100", "-"],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(text));
  await writer.close();
  const { success, stdout, stderr } = await child.output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("lib/mod.ts exports all that its rooms export, and nothing else", async () => {
  const expected = await expectedText();
  if (Deno.args.includes("--update")) {
    await Deno.writeTextFile(join(root, "lib", "mod.ts"), expected);
  }
  assert.equal(
    read("lib", "mod.ts"),
    expected,
    "to write lib/mod.ts anew: deno test -A --no-check tests/public_api_test.ts -- --update",
  );
});

Deno.test("resnet-lab/ROOM is an entry point for each room", async () => {
  const { exports, imports } = JSON.parse(read("deno.json"));
  for (const room of rooms) {
    const file = `./lib/${room}/mod.ts`;
    assert.equal(exports[`./${room}`], file);
    assert.equal(imports[`resnet-lab/${room}`], file);
    assert.match(read(file), /^\/\*\*[^]*? \* @module\n \*\/\n/, `${file} needs a @module comment`);
    const values = Object.keys(await import(`../lib/${room}/mod.ts`));
    assert.deepEqual(
      exportsOf(read(file)).filter((name) => !name.startsWith("type ")).sort(),
      values.sort(),
      `${file} may export only by lists, so that lib/mod.ts can be held to them`,
    );
  }
});

Deno.test(`resnet-lab exports at most ${MAX_VALUES} values`, async () => {
  const names = await exportedValues(), used = usedIn(notebookCode());
  const unused = names.filter((name) => !used.has(name)).join(", ");
  assert(names.length <= MAX_VALUES, `${names.length} values; used by no notebook: ${unused}`);
});

Deno.test("each value of resnet-lab is used in a notebook, the README or a test", async () => {
  const readme = Array.from(read("README.md").matchAll(/```ts.*\n([^]*?)```/g), ([, code]) => code);
  const used = usedIn([notebookCode(), ...readme, ...testCode()].join("\n"));
  assert.deepEqual((await exportedValues()).filter((name) => !used.has(name)), []);
});

/** The values of resnet-lab. Imported late, so that a broken lib/mod.ts can be written first. */
async function exportedValues(): Promise<string[]> {
  return Object.keys(await import("resnet-lab"));
}

/** The names that code imports from resnet-lab, or reads from a namespace import of it. */
function usedIn(code: string): Set<string> {
  const names = new Set<string>();
  for (const [, list] of code.matchAll(/import \{([^}]*)\} from "resnet-lab(?:\/\w+)?";/g)) {
    for (const name of list!.split(",")) names.add(name.trim().replace(/ as .*/, ""));
  }
  for (const [, namespace] of code.matchAll(/import \* as (\w+) from "resnet-lab(?:\/\w+)?";/g)) {
    for (const [, name] of code.matchAll(RegExp(`\\b${namespace}\\.(\\w+)`, "g"))) {
      names.add(name!);
    }
  }
  return names;
}

/** The code cells of all notebooks. */
function notebookCode(): string {
  return Array.from(Deno.readDirSync(join(root, "notebooks")))
    .filter(({ name }) => name.endsWith(".ipynb"))
    .flatMap(({ name }) => JSON.parse(read("notebooks", name)).cells)
    .filter((cell) => cell.cell_type === "code")
    .map((cell) => [cell.source].flat().join(""))
    .join("\n");
}

/** The tests, without those that name all exports. */
function testCode(folder = "tests"): string[] {
  return Array.from(Deno.readDirSync(join(root, folder))).flatMap(({ name, isDirectory }) => {
    if (isDirectory) return testCode(join(folder, name));
    return /\.ts$/.test(name) && !/^(options|public_api)_test/.test(name)
      ? [read(folder, name)]
      : [];
  });
}

/** A name in the output of `deno doc --json`. */
interface Documented {
  readonly name: string;
  readonly declarations: readonly {
    readonly jsDoc?: { readonly doc?: string };
    readonly def: { readonly elements?: readonly Documented[] };
  }[];
}

Deno.test("deno doc documents each of the ops", async () => {
  const { ops } = await import("resnet-lab");
  const { nodes } = JSON.parse(await denoDoc("--json", "lib/tensor/mod.ts"));
  const [{ symbols }] = Object.values(nodes) as [{ symbols: Documented[] }];
  const namespace = symbols.find(({ name }) => name === "ops")!.declarations[0]!.def.elements!;
  const documented = namespace.filter(({ declarations }) => declarations[0]?.jsDoc?.doc)
    .map(({ name }) => name);
  assert.deepEqual(Object.keys(ops).filter((name) => !documented.includes(name)), []);
});

/** The output of `deno doc` in the library's folder. */
async function denoDoc(...args: string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["doc", "--quiet", ...args],
    cwd: root,
    env: { NO_COLOR: "1" },
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test("the shell commands of the README exist", async () => {
  const readme = read("README.md");
  const commands = [...readme.matchAll(/`(deno doc [^`]*)`/g)].map(([, command]) => command!);
  const filtered = commands.filter((command) => command.includes("--filter"));
  assert.equal(filtered.length, 1);
  const text = await denoDoc(...filtered[0]!.split(" ").slice(2));
  assert.match(text, /function fit</);
  assert.match(text, /Trains a model on a data set/);
  const { tasks } = JSON.parse(read("deno.json"));
  const tasksNamed = [...readme.matchAll(/\btask ([a-z]+)/g)].map(([, task]) => task!);
  assert(tasksNamed.length >= 3);
  for (const task of tasksNamed) assert(Object.hasOwn(tasks, task), `there is no task ${task}`);
});

Deno.test("each comment @ts-expect-error of the README quotes the compiler", async () => {
  const blocks = Array.from(read("README.md").matchAll(/```ts\n([^]*?)```/g), ([, code]) => code!)
    .filter((code) => code.includes("@ts-expect-error"));
  assert(blocks.length > 0);
  for (const code of blocks) {
    const [comment, ...others] = code.match(/ *\/\/ @ts-expect-error: .*\n/g)!;
    assert.equal(others.length, 0, "one for each block");
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(file, code.replace(comment!, ""));
      const { stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["check", "--quiet", "--config", join(root, "deno.json"), file],
        env: { NO_COLOR: "1" },
      }).output();
      const [, quoted] = /@ts-expect-error: (.*)\n/.exec(comment!)!;
      assert(new TextDecoder().decode(stderr).includes(quoted!), new TextDecoder().decode(stderr));
    } finally {
      await Deno.remove(file);
    }
  }
});
