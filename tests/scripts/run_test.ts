import assert from "node:assert/strict";
import { join } from "node:path";
import { parseArguments } from "../../scripts/run.ts";
import { isSetUp } from "../_project.ts";

const scripts = join(import.meta.dirname!, "..", "..", "scripts");

/** Makes notebooks with these cells in a temporary folder, which is deleted after its scope. */
function notebooks(cellsOf: Record<string, string[]>): Disposable & { folder: string } {
  const folder = Deno.makeTempDirSync();
  for (const [name, sources] of Object.entries(cellsOf)) {
    const cells = sources.map((source, index) => ({
      ...{ id: `cell-${index}`, cell_type: "code", execution_count: null },
      ...{ metadata: {}, outputs: [], source },
    }));
    const text = JSON.stringify({ cells, metadata: {}, nbformat: 4, nbformat_minor: 5 });
    Deno.writeTextFileSync(join(folder, name), text);
  }
  return { folder, [Symbol.dispose]: () => Deno.removeSync(folder, { recursive: true }) };
}

async function runNotebooks(...args: string[]): Promise<{ code: number; text: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", join(scripts, "run.ts"), ...args],
    env: { NO_COLOR: "1" },
  }).output();
  return { code, text: new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr) };
}

const ignore = !isSetUp;

Deno.test({
  name: "deno task run reports cells and checks, and changes no file without --write",
  ignore,
  async fn() {
    using made = notebooks({
      "01_good.ipynb": [
        "// A comment first.\nconst x: number = 1;",
        'console.log("✓ one");\nconsole.log("✓ two");\nx + 1;',
        'Deno.env.get("RESNET_LAB_SCALE");',
      ],
    });
    const path = join(made.folder, "01_good.ipynb");
    const before = Deno.readTextFileSync(path);
    const { code, text } = await runNotebooks(path, "--scale", "smoke");
    assert.equal(code, 0, text);
    assert.match(text, /\[1\] const x: number = 1; +\d+\.\d s\n/);
    assert.match(text, /01_good +3 +\d+\.\d +2 +passed/);
    assert.match(text, /\nnotebooks: 1 passed, 0 failed\n$/);
    assert.equal(Deno.readTextFileSync(path), before);

    await runNotebooks(path, "--scale", "smoke", "--write");
    const first = Deno.readTextFileSync(path);
    const { cells } = JSON.parse(first);
    assert.deepEqual(cells.map((cell: { execution_count: number }) => cell.execution_count), [
      ...[1, 2, 3],
    ]);
    assert.deepEqual(cells[1].outputs[0].text, ["✓ one\n", "✓ two\n"]);
    assert.deepEqual(cells[2].outputs[0].data, { "text/plain": ['"smoke"'] });
    await runNotebooks(path, "--scale", "smoke", "--write");
    assert.equal(Deno.readTextFileSync(path), first, "the same run gives the same file");
    assert.deepEqual(Array.from(Deno.readDirSync(made.folder), ({ name }) => name), [
      "01_good.ipynb",
    ]);
  },
});

Deno.test({
  name:
    "deno task run ends with 1 for a notebook that fails, names cell and reason, and writes nothing",
  ignore,
  async fn() {
    using made = notebooks({
      "01_throws.ipynb": ["const x = 1;", "throw new RangeError(`no ${x}`);", "x;"],
      "02_good.ipynb": ["1;"],
      "03_syntax.ipynb": ["const = 1;"],
      "04_dies.ipynb": ["Deno.exit(3);"],
      "05_hangs.ipynb": ["for (;;);"],
      "06_types.ipynb": ["let x = 1;", "1;\nx = 'a';\nx = later;", "let x = 'b', later = 2;"],
    });
    const paths = Array.from(Deno.readDirSync(made.folder), ({ name }) => join(made.folder, name))
      .sort();
    const before = paths.map((path) => Deno.readTextFileSync(path));
    const { code, text } = await runNotebooks(...paths, "--write", "--timeout", "2");
    assert.equal(code, 1);
    assert.match(
      text,
      /01_throws\.ipynb, cell \[2\]:\n\nthrow new RangeError\(`no \$\{x\}`\);\n\nRangeError: no 1\ncell line 1: throw new RangeError/,
    );
    assert.match(text, /01_throws .*failed at cell \[2\]/);
    assert.match(text, /02_good .*passed/);
    assert.match(
      text,
      /TypeScriptError: Variable declaration expected\.\ncell line 1: const = 1;\n[^]*03_syntax .*failed at cell \[1\]/,
    );
    assert.match(text, /The kernel died[^]*04_dies .*failed at cell \[1\]/);
    assert.match(text, /longer than the time limit[^]*05_hangs .*failed at cell \[1\]/);
    assert.match(
      text,
      /06_types\.ipynb, cell \[2\]:\n\n1;\nx = 'a';\nx = later;\n\nTypeScriptError: Type 'string' is not assignable to type 'number'.*\ncell line 2: x = 'a';\n/,
    );
    assert.match(text, /TypeScriptError: .*'later'.*\ncell line 3: x = later;\n/);
    assert.match(text, /06_types .*failed at cell \[2\]/);
    assert.match(text, /\nnotebooks: 1 passed, 5 failed\n$/);
    paths.forEach((path, index) => {
      if (!path.includes("02_good")) assert.equal(Deno.readTextFileSync(path), before[index], path);
    });
  },
});

Deno.test({
  name: "deno task run runs the solution of an exercise after all cells, and fails if it is wrong",
  ignore,
  async fn() {
    const skeleton = 'let by = "nobody";\n({ [Symbol.for("Jupyter.display")]: () => ' +
      '({ "text/plain": "○ two: not done yet" }) })';
    const solution = 'by = "the learner";\n({ [Symbol.for("Jupyter.display")]: () => ' +
      '({ "text/plain": last === "nobody" ? "✓ two: 2" : "✗ two: run too early" }) })';
    using made = notebooks({ "01_a.ipynb": [skeleton, "const last = by;\nby"] });
    const path = join(made.folder, "01_a.ipynb");
    const { cells, ...rest } = JSON.parse(Deno.readTextFileSync(path));
    const write = (code: string) => {
      cells[0].metadata = { tags: ["exercise"] };
      const markdown = {
        ...{ id: "solution", cell_type: "markdown", metadata: { tags: ["solution"] } },
        source: `<details>\n\n\`\`\`ts\n${code}\n\`\`\`\n\n</details>`,
      };
      const text = JSON.stringify({ ...rest, cells: [cells[0], markdown, cells[1]] });
      Deno.writeTextFileSync(path, text);
    };
    write(solution);
    const { code, text } = await runNotebooks(path, "--scale", "smoke", "--write");
    assert.equal(code, 0, text);
    assert.match(text, /solution of \[1\] by = "the learner";/);
    assert.match(text, /01_a +2 .* passed/);
    const written = JSON.parse(Deno.readTextFileSync(path)).cells;
    assert.deepEqual(
      written.map(({ execution_count }: { execution_count?: number }) => execution_count),
      [1, undefined, 2],
    );
    assert.deepEqual(written[2].outputs[0].data, { "text/plain": ['"nobody"'] });

    write('({ [Symbol.for("Jupyter.display")]: () => ({ "text/plain": "✗ two: 3" }) })');
    const wrong = await runNotebooks(path, "--scale", "smoke");
    assert.equal(wrong.code, 1);
    assert.match(wrong.text, /It must solve its exercise: ✗ two: 3\n/);
    assert.match(wrong.text, /01_a .*failed at cell solution of \[1\]/);
  },
});

Deno.test("parseArguments() finds notebooks by number or path, all if none is named", () => {
  using made = notebooks({ "02_b.ipynb": [], "01_a.ipynb": [] });
  const [first, second] = [join(made.folder, "01_a.ipynb"), join(made.folder, "02_b.ipynb")];
  const defaults = { scale: "cpu", write: false, timeout: 3600 };
  assert.deepEqual(parseArguments([], made.folder), { notebooks: [first, second], ...defaults });
  assert.deepEqual(parseArguments(["02"], made.folder).notebooks, [second]);
  assert.deepEqual(parseArguments(["2", "1"], made.folder).notebooks, [second, first]);
  assert.deepEqual(parseArguments([second], "/").notebooks, [Deno.realPathSync(second)]);
  assert.deepEqual(parseArguments(["01", "--scale", "gpu", "--write"], made.folder), {
    ...{ notebooks: [first], scale: "gpu", write: true, timeout: 3600 },
  });
});

Deno.test("parseArguments() refuses unknown notebooks, scales, times and options", async () => {
  using made = notebooks({ "01_a.ipynb": [] });
  const refuses = (args: string[], message: RegExp) =>
    assert.throws(() => parseArguments(args, made.folder), message);
  refuses(["07"], /Running notebooks: each notebook must be a path or one of 01, found 07\.$/);
  refuses(["--scale", "huge"], /must be smoke, cpu or gpu, found "huge"/);
  refuses(["--timeout", "soon"], /must be a number of seconds above 0, found "soon"/);
  refuses(["--wriet"], /Unknown option '--wriet'/);
  refuses(["missing.ipynb"], /one of 01, found missing\.ipynb\.$/);
  const { code, text } = await runNotebooks("--scale", "huge");
  assert.equal(code, 1);
  assert.match(text, /^Running notebooks: --scale must be .*\n\nExecutes notebooks/);
});
