/** Tests of the commands that messages name. */
import assert from "node:assert/strict";
import { join, relative } from "node:path";
import { commandOf, installedVersion } from "../../lib/tensor/installation.ts";
import { root } from "../_project.ts";

const config = JSON.parse(Deno.readTextFileSync(join(root, "deno.json")));

Deno.test("commandOf() names a task of a clone, and of an imported version its entry point", () => {
  const clone = new URL("file:///home/a/resnet-lab/");
  assert.equal(commandOf("setup", clone), "npx --yes deno@2.9.6 task setup");
  assert.equal(installedVersion(clone), undefined);
  const imported = new URL("https://jsr.io/@resnet-lab/resnet-lab/0.1.0/");
  const copy = new URL("file:///home/a/.cache/resnet-lab/project/0.1.0/");
  for (const root of [imported, copy]) {
    assert.equal(installedVersion(root), "0.1.0");
    assert.equal(
      commandOf("setup", root),
      "deno run -A jsr:@resnet-lab/resnet-lab@0.1.0/setup",
    );
  }
  assert.equal(
    commandOf("parallel", copy),
    "deno task --config /home/a/.cache/resnet-lab/project/0.1.0/deno.json parallel",
  );
  assert.equal(
    commandOf("sweep", new URL("file:///a b/project/0.1.0/")),
    "deno task --config '/a b/project/0.1.0/deno.json' sweep",
  );
});

Deno.test("commandOf() knows all entry points that are tasks, and only tasks", () => {
  const copy = new URL("file:///home/a/.cache/resnet-lab/project/0.1.0/");
  for (const task of Object.keys(config.tasks)) {
    const isEntryPoint = config.exports[`./${task}`]?.startsWith("./scripts/installed/") ?? false;
    assert.equal(commandOf(task, copy).startsWith("deno run -A jsr:"), isEntryPoint, task);
  }
});

Deno.test("no text of the library or of a script names a command but through commandOf()", () => {
  const found: string[] = [];
  for (const file of [...filesIn(join(root, "lib")), ...filesIn(join(root, "scripts"))]) {
    const path = relative(root, file);
    if (path === "lib/tensor/installation.ts") continue;
    const text = Deno.readTextFileSync(file)
      .replaceAll(/\/\*\*[^]*?\*\//g, "").replaceAll(/^\s*(\/\/|#).*$/gm, "")
      .replaceAll(/^\s*"""[^]*?"""/gm, "");
    for (const [line] of text.matchAll(/^.*(?:deno(?:@\S+)? task|jsr:@resnet-lab).*$/gm)) {
      found.push(`${path}: ${line.trim()}`);
    }
  }
  assert.deepEqual(found, []);
});

function* filesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesIn(join(folder, name));
    else if (/\.(ts|js|py)$/.test(name)) yield join(folder, name);
  }
}
