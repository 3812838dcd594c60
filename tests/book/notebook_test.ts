import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { convert, type Notebook } from "../../book/notebook.ts";

/** A PNG file of 3×2 pixels begins so: signature, length and name of its first chunk, 3, 2. */
const png = Uint8Array.from(
  [137, 80, 78, 71, 13, 10, 26, 10, 0, 0, 0, 13, 73, 72, 68, 82, 0, 0, 0, 3, 0, 0, 0, 2],
);

type Cell = Notebook["cells"][number];
type Output = NonNullable<Cell["outputs"]>[number];

const markdown = (source: string, ...tags: string[]): Cell => ({
  cell_type: "markdown",
  metadata: { tags },
  source,
});
const code = (source: string, ...outputs: Output[]): Cell => ({
  cell_type: "code",
  metadata: {},
  source,
  outputs,
});
const page = (...cells: Cell[]) => convert("notebooks/01_x.ipynb", { cells }, "/base/");

Deno.test("convert() keeps code as it is, and puts charts and pictures into files", () => {
  const chart = {
    "application/vnd.plotly.v1+json": { data: [{ type: "bar" }] },
    "image/png": Buffer.from(png).toString("base64"),
    "text/plain": "a < b",
  };
  const source = 'const a = "<b>";\n\n// ~~~ {{ a }}\na;';
  const { markdown, files } = page(code(source, { output_type: "execute_result", data: chart }));
  assert(markdown.includes(`\n${source}\n~~~~~~`));
  assert.match(markdown, /<img src="\/base\/files\/01_x\/0_0\.png" width="3" height="2" /);
  assert.match(markdown, /alt="a &lt; b"/);
  assert.deepEqual(files.get("files/01_x/0_0.png"), Buffer.from(png));
  assert.equal(files.get("files/01_x/0_0.json"), '{"data":[{"type":"bar"}]}');
});

Deno.test("convert() describes a chart by its title and its sentence", () => {
  const altOf = (text?: string, sentence = "8 maps.") => {
    const data = {
      "application/vnd.plotly.v1+json": { data: [], layout: { title: { text } } },
      "image/png": Buffer.from(png).toString("base64"),
      "text/plain": sentence,
    };
    const { markdown } = page(code("a;", { output_type: "execute_result", data }));
    return /alt="([^"]*)"/.exec(markdown)?.[1];
  };
  assert.equal(altOf(), "8 maps.");
  assert.equal(altOf("What the shortcut<br>passes on"), "What the shortcut passes on: 8 maps.");
  const line = "Finished 5 steps";
  assert.equal(altOf(`<span style="x">${line}</span>`, `Curves. ${line}.`), `Curves. ${line}.`);
});

const stream: Output = { output_type: "stream", text: ["4\n"] };

/** The divisions of a page in their order: those that open, with their prediction, and the ends. */
const divisions = (text: string) =>
  Array.from(
    text.matchAll(
      /<div class="(answer|outputs|prediction)"(?: data-\w+="01_x\/(\d)")?|<\/div>|^#+ \d/gm,
    ),
    ([match, kind, name]) => kind === undefined ? match : `${kind} ${name ?? ""}`.trim(),
  );

Deno.test("convert() hides after a prediction what would give it away, to the end of the section", () => {
  const { markdown: text } = page(
    markdown("# 01. X\n\nIntroduction."),
    markdown("**Predict:** what is 2 + 2?"),
    code("", stream),
    markdown("It is 4."),
    code("", stream),
    markdown("## 2. Another section"),
    code("", stream),
  );
  assert.deepEqual(divisions(text.replace(/^~+$/gm, "</div>")).slice(2), [
    ...["prediction 1", "</div>", "outputs 1", "</div>"],
    // The output after the answer is within it.
    ...["answer 1", "outputs", "</div>", "</div>"],
    ...["## 2", "outputs", "</div>"],
  ]);
});

Deno.test("convert() shows a question that an answer asks with that answer only", () => {
  const { markdown: text } = page(
    markdown("# 01. X\n\nIntroduction."),
    markdown("**Predict:** what is 2 + 2?"),
    code("", stream),
    markdown("It is 4.\n\n**Predict:** and 3 + 3?"),
    code("", stream),
    markdown("It is 6."),
  );
  assert.deepEqual(divisions(text.replace(/^~+$/gm, "</div>")).slice(2), [
    ...["prediction 1", "</div>", "outputs 1", "</div>"],
    ...["answer 1", "prediction 3", "</div>", "outputs 3", "</div>"],
    ...["answer 3", "</div>", "</div>"],
  ]);
});

Deno.test("convert() says at the exercises where they are solved", () => {
  const { markdown: text } = page(
    markdown("# 01. X\n\nIntroduction."),
    markdown("## Exercises\n\nEach task has a cell."),
  );
  assert.match(text, /Each task has a cell\.\n\n_In this book nothing runs\..*Open in my Jupyter/);
});

Deno.test("convert() takes the component and the options of an interactive figure", () => {
  const html = `<div data-figure="valley-abc"><img src="data:image/svg+xml;base64,PHN2Zy8+"></div>
<script>
for (const place of []) {
const kit = (function makeKit() {})();
kit.mount(place, (function valley() {})(kit, {"note":"<\\/b>"}));
}
</script>`;
  const { markdown, files } = page(
    code("1;", { output_type: "execute_result", data: { "text/html": html, "text/plain": "" } }),
  );
  assert.match(
    markdown,
    /data-figure="valley" data-options="\/base\/files\/01_x\/0_0_options.json"/,
  );
  assert(!markdown.includes("<script"));
  assert.equal(files.get("files/01_x/0_0_options.json"), '{"note":"</b>"}');
  assert.equal(String(files.get("files/01_x/0_0_0.svg")), "<svg/>");
});

Deno.test("convert() leads from notebook to page, and refuses an output that it does not know", () => {
  const { markdown: text } = page(markdown("# X\n\nSee [02](02_autograd.ipynb)."));
  assert.match(text, /See \[02\]\(\.\/02_autograd\)\./);
  assert.throws(() => page(code("1;", { output_type: "display_data", data: {} })), {
    message: "Converting a notebook: each output must be a text, a chart, or HTML, found " +
      "display_data with nothing.",
  });
  const script = { "text/html": "<p>x</p><script>fetch()</script>" };
  assert.throws(
    () => page(code("1;", { output_type: "display_data", data: script })),
    /the only scripts of outputs must be those of interactive figures, found fetch/,
  );
});
