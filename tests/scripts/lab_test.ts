import assert from "node:assert/strict";
import { basename, join } from "node:path";
import { writeConfig } from "../../scripts/installed/lab_here.ts";
import { findsLibrary, parseLabArguments } from "../../scripts/lab.ts";
import { adaptPlotlyExtension } from "../../scripts/plotly_extension.ts";
import { notebooksIn } from "../../scripts/run.ts";
import { startPage, startPageName, writeStartPage } from "../../scripts/start_page.ts";
import {
  type Cell,
  makeWorkingCopies,
  type Notebook,
  workingCopy,
} from "../../scripts/working_copies.ts";
import { isSetUp, paths, root } from "../_project.ts";

const commands = { lab: "task lab", doctor: "task doctor" };
const markdown = (id: string, source: string): Cell => ({
  ...{ id, cell_type: "markdown", metadata: {}, source },
});
const code = (id: string, source: string, tags?: string[]): Cell => ({
  ...{ id, cell_type: "code", metadata: tags ? { tags } : {}, source },
  ...{ execution_count: 7, outputs: [{ output_type: "stream", name: "stdout", text: "7" }] },
});
const notebook = (...cells: Cell[]): Notebook => ({
  ...{ cells, nbformat: 4, nbformat_minor: 5 },
  metadata: { language_info: { name: "typescript" } },
});
const course = notebook(
  markdown("a", "# 01. Tensors"),
  code("b", "1 + 6;"),
  markdown("c", "**1.** Do it."),
  code("d", "first();", ["solution"]),
  code("e", "second();", ["solution"]),
  markdown("f", "**2.** Do it again."),
  code("g", "third();", ["solution"]),
);

/** A project with `course` as its only notebook, deleted at the end of its scope. */
function project() {
  const root = Deno.makeTempDirSync();
  const [originals, copies] = [join(root, "notebooks"), join(root, "my_notebooks")];
  Deno.mkdirSync(join(originals, "images"), { recursive: true });
  Deno.writeTextFileSync(join(originals, "images", "a.png"), "a picture");
  const original = join(originals, "01_tensors.ipynb");
  Deno.writeTextFileSync(original, JSON.stringify(course));
  return {
    ...{ originals, copies, original, copy: join(copies, "01_tensors.ipynb") },
    [Symbol.dispose]: () => Deno.removeSync(root, { recursive: true }),
  };
}

Deno.test("workingCopy() clears outputs, folds solutions, and adds an empty cell for each exercise", () => {
  const { cells, metadata } = workingCopy(course, "6.0.3");
  assert.deepEqual(cells.map(({ id }) => id), [
    "a",
    "b",
    "c",
    "d-own",
    "d",
    "e",
    "f",
    "g-own",
    "g",
  ]);
  for (const { cell_type, execution_count, outputs } of cells) {
    if (cell_type === "code") assert.deepEqual([execution_count, outputs], [null, []]);
  }
  const own = cells.filter(({ metadata }) => metadata.tags?.includes("exercise"));
  assert.deepEqual(own.map(({ source }) => source), [
    "// Exercise 1: your own code\n",
    "// Exercise 2: your own code\n",
  ]);
  const folded = cells.filter(({ metadata }) =>
    JSON.stringify(metadata.jupyter) === '{"source_hidden":true}'
  );
  assert.deepEqual(folded.map(({ id }) => id), ["d", "e", "g"]);
  assert.deepEqual(metadata.language_info, { name: "typescript", version: "6.0.3" });
});

Deno.test("workingCopy() leaves an exercise with a check and its folded solution as they are", () => {
  const solution: Cell = {
    ...markdown("b", "<details>\n\n```ts\nexercise();\n```\n\n</details>"),
    metadata: { tags: ["solution"] },
  };
  const { cells } = workingCopy(
    notebook(code("a", "exercise();", ["exercise"]), solution),
    "6.0.3",
  );
  assert.deepEqual(cells.map(({ id, metadata }) => [id, metadata]), [
    ["a", { tags: ["exercise"] }],
    ["b", { tags: ["solution"] }],
  ]);
  assert.deepEqual(cells[0]?.outputs, []);
  assert.equal(cells[1]?.source, solution.source);
});

Deno.test("workingCopy() finds the exercises of every notebook of the course", async () => {
  const paths = notebooksIn(join(root, "notebooks"));
  assert.equal(paths.length, 16); // 01 to 15, and 03b
  for (const path of paths) {
    const original: Notebook = JSON.parse(await Deno.readTextFile(path));
    const { cells } = workingCopy(original, "6.0.3");
    const own = cells.flatMap(({ metadata }, index) =>
      metadata.tags?.includes("exercise") ? index : []
    );
    assert(own.length >= 4, `${path}: ${own.length} exercises`);
    for (const index of own) {
      assert.equal(cells[index - 1]?.cell_type, "markdown", path);
      assert(cells[index + 1]?.metadata.tags?.includes("solution"), path);
    }
    assert.equal(new Set(cells.map(({ id }) => id)).size, cells.length, path);
  }
});

Deno.test("makeWorkingCopies() makes what is missing, and never writes to what is there", async () => {
  using made = project();
  const { originals, copies, copy } = made;
  assert.deepEqual(await makeWorkingCopies(originals, copies), []);
  assert.equal(JSON.parse(Deno.readTextFileSync(copy)).cells.length, 9);
  const picture = join(copies, "images", "a.png");
  assert.equal(Deno.readTextFileSync(picture), "a picture");

  for (const mine of ["mine", JSON.stringify({ metadata: {} })]) {
    Deno.writeTextFileSync(copy, mine);
    Deno.writeTextFileSync(picture, mine);
    assert.deepEqual(await makeWorkingCopies(originals, copies), []);
    assert.equal(Deno.readTextFileSync(copy), mine);
    assert.equal(Deno.readTextFileSync(picture), mine);
  }
});

Deno.test("makeWorkingCopies() names the notebooks that changed, not those that only ran again", async () => {
  using made = project();
  const { originals, copies, original, copy } = made;
  await makeWorkingCopies(originals, copies);
  const write = (cells: readonly Cell[]) =>
    Deno.writeTextFileSync(original, JSON.stringify({ ...course, cells }));

  write(course.cells.map((cell) => ({ ...cell, ...(cell.outputs ? { outputs: [] } : {}) })));
  assert.deepEqual(await makeWorkingCopies(originals, copies), []);
  // nbformat stores a text as lines.
  write(course.cells.map((cell) => ({ ...cell, source: [...cell.source] })));
  assert.deepEqual(await makeWorkingCopies(originals, copies), []);

  const before = Deno.readTextFileSync(copy);
  write([...course.cells, markdown("h", "More.")]);
  assert.deepEqual(await makeWorkingCopies(originals, copies), ["01_tensors.ipynb"]);
  assert.equal(Deno.readTextFileSync(copy), before);
  Deno.removeSync(copy);
  assert.deepEqual(await makeWorkingCopies(originals, copies), []);
  assert.match(Deno.readTextFileSync(copy), /More\./);
});

Deno.test("startPage() lists the lessons with the times of the scale in use", () => {
  const titles = { "01_tensors.ipynb": "01. Tensors", "08_googlenet.ipynb": "08. GoogLeNet" };
  const cpu = startPage(titles, commands, { scale: "cpu", copies: true });
  assert.match(
    cpu,
    /\| \[08\. GoogLeNet\]\(08_googlenet\.ipynb\) \| build a block of several windows.* \| 1 \|/,
  );
  assert.match(cpu, /## The scale in use: cpu/);
  const smoke = startPage(titles, commands, { scale: "smoke", copies: true });
  assert.match(smoke, /08_googlenet.* \| 1 \|/);
  assert.match(startPage(titles, commands, { scale: "cpu", copies: false }), /nothing is saved/);
});

Deno.test("startPage() has the minutes that each notebook of the course says in its intro", async () => {
  const words = "one two three four five six seven eight nine ten eleven twelve".split(" ");
  const paths = notebooksIn(join(root, "notebooks"));
  const titles = Object.fromEntries(paths.map((path) => [basename(path), "title"]));
  const page = startPage(titles, commands, { scale: "cpu", copies: true });
  for (const path of paths) {
    const { cells }: Notebook = JSON.parse(await Deno.readTextFile(path));
    const intro = cells.slice(0, 3).map(({ source }) => [source].flat().join("")).join("\n");
    // "for two to four minutes", "for about a minute": the last word counts, except in "half a
    // minute".
    const [, time = ""] = /The machine computes for ([^.;,]*?) minutes?\b/.exec(
      intro.replaceAll(/\s+/g, " "),
    ) ?? [];
    const last = /\w+$/.exec(time)?.[0] ?? "";
    const isHalf = time.endsWith("half a");
    const count = isHalf ? 0.5 : last === "a" ? 1 : Number(last) || words.indexOf(last) + 1;
    assert(count > 0, `${path}: "${time} minutes"`);
    const minutes = isHalf ? "½" : String(count);
    assert.match(page, RegExp(`\\(${basename(path)}\\) \\| .* \\| ${minutes} \\|`));
  }
});

Deno.test("writeStartPage() has a row for each notebook of the course", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const paths = notebooksIn(join(root, "notebooks"));
    for (const path of paths) {
      await Deno.copyFile(path, join(folder, path.slice(path.lastIndexOf("/") + 1)));
    }
    await writeStartPage(folder, commands, { scale: "cpu", copies: true });
    const text = await Deno.readTextFile(join(folder, startPageName));
    assert.equal(text.match(/^\| \[\d\db?\. /gm)?.length, paths.length);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("parseLabArguments() keeps its options and hands on those of JupyterLab", () => {
  const defaults = { folder: undefined, read: false, scale: "cpu", rest: [] };
  assert.deepEqual(parseLabArguments([]), defaults);
  assert.deepEqual(parseLabArguments([], "gpu"), { ...defaults, scale: "gpu" });
  assert.deepEqual(parseLabArguments(["--read", "--scale", "smoke", "--port", "8889"], "gpu"), {
    ...defaults,
    ...{ read: true, scale: "smoke", rest: ["--port", "8889"] },
  });
  assert.deepEqual(parseLabArguments(["/", "--no-browser", "--scale=smoke"]), {
    ...{ folder: "/", read: false, scale: "smoke", rest: ["--no-browser"] },
  });
  assert.equal(parseLabArguments(["--scale", "smoke", "/"]).folder, "/");
  assert.deepEqual(parseLabArguments(["--port", "/"]).rest, ["--port", "/"]);
});

Deno.test("parseLabArguments() refuses missing folders, unknown scales, and a folder to read", () => {
  assert.throws(() => parseLabArguments(["/nowhere"]), /There is no folder \/nowhere in /);
  assert.throws(() => parseLabArguments(["--scale", "huge"]), /smoke, cpu or gpu, found "huge"/);
  assert.throws(() => parseLabArguments(["--scale"]), /smoke, cpu or gpu, found ""/);
  assert.throws(() => parseLabArguments(["/", "--read"]), /leave out the folder/);
  assert.throws(() => parseLabArguments(["--read", "/"]), /leave out the folder/);
});

Deno.test("adaptPlotlyExtension() leaves pictures as they are, and makes them fit", async () => {
  const venv = await Deno.makeTempDir();
  try {
    const folder = join(venv, "share", "jupyter", "labextensions", "jupyterlab-plotly", "static");
    await Deno.mkdir(folder, { recursive: true });
    const file = join(folder, "a.js");
    await Deno.writeTextFile(
      file,
      'this._img_el.className="plot-img",x();r.data["image/png"]!==i&&' +
        'r.setData({data:{...r.data,"image/png":i}})}',
    );
    await adaptPlotlyExtension(venv);
    const adapted = 'this._img_el.className="plot-img",' +
      'this._img_el.style.cssText="max-width:100%;height:auto",x();void 0}';
    assert.equal(await Deno.readTextFile(file), adapted);
    await adaptPlotlyExtension(venv);
    assert.equal(await Deno.readTextFile(file), adapted, "a second time");
  } finally {
    await Deno.remove(venv, { recursive: true });
  }
});

Deno.test({
  name: "set-up has adapted plotly's extension of JupyterLab",
  ignore: !isSetUp,
  async fn() {
    const folder = join(
      paths.venv,
      "share",
      "jupyter",
      "labextensions",
      "jupyterlab-plotly",
      "static",
    );
    const texts = await Promise.all(
      Array.from(Deno.readDirSync(folder), ({ name }) => Deno.readTextFile(join(folder, name))),
    );
    const renderers = texts.filter((text) => text.includes("jp-RenderedPlotly"));
    assert.equal(renderers.length, 1);
    assert.match(renderers[0]!, /\.toImage\(\w+,\{format:"png"[^}]*\}\)\.then\([^;]*;void 0\}\)/);
    assert.match(renderers[0]!, /this\._img_el\.style\.cssText="max-width:100%;height:auto"/);
  },
});

Deno.test("writeConfig() leads a folder to the library once, and keeps a deno.json that is there", async () => {
  const folder = await Deno.makeTempDir(), inner = join(folder, "own");
  try {
    await Deno.mkdir(inner);
    assert.equal(await findsLibrary(inner), false);
    await writeConfig(folder, root);
    const { imports } = JSON.parse(await Deno.readTextFile(join(folder, "deno.json")));
    assert.match(imports["resnet-lab"], /^jsr:@resnet-lab\/resnet-lab@\d/);
    // A folder within it finds the library too.
    assert(await findsLibrary(inner));
    await writeConfig(inner, root);
    assert.deepEqual([...Deno.readDirSync(inner)], []);
    await Deno.writeTextFile(join(folder, "deno.json"), "{}");
    await writeConfig(folder, root);
    assert.equal(await Deno.readTextFile(join(folder, "deno.json")), "{}");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
