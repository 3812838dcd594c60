/** Converts a notebook to a page of the book: Markdown, and the files that it shows. */
import { Buffer } from "node:buffer";
import { basename } from "node:path";
import { denoVersion } from "../scripts/environment.ts";

/** The part of a notebook file that is converted. */
export interface Notebook {
  readonly cells: readonly Cell[];
}

/** A cell; only code cells have outputs. */
export interface Cell {
  readonly cell_type: string;
  readonly source: Text;
  readonly metadata: { readonly tags?: readonly string[] };
  readonly outputs?: readonly Output[];
}

/** An output of a code cell: what it printed, or what it displayed. */
interface Output {
  readonly output_type: string;
  readonly text?: Text;
  readonly data?: {
    readonly "application/vnd.plotly.v1+json"?: {
      readonly data?: readonly { readonly type?: string }[];
      readonly layout?: { readonly title?: { readonly text?: string } };
    };
    readonly "image/png"?: Text;
    readonly "text/html"?: Text;
    readonly "text/plain"?: Text;
  };
}

/** A text, which nbformat stores as a string or as lines. */
type Text = string | readonly string[];

/** A page of the book. */
export interface Page {
  readonly markdown: string;
  /** The files that the page loads, by their paths in the site. */
  readonly files: ReadonlyMap<string, string | Uint8Array>;
}

/** The forms of a picture that the book stores, and how each begins. */
const base64Picture = /src="data:image\/(svg\+xml|png);base64,([^"]+)"/g;

/**
 * Converts a notebook.
 *
 * @param path The path of its file. The page has its name, without the suffix.
 * @param base The path under which the site is served: `/`, or `/name/`.
 */
export function convert(path: string, notebook: Notebook, base: string): Page {
  const name = basename(path, ".ipynb");
  const files = new Map<string, string | Uint8Array>();
  const store = (file: string, contents: string | Uint8Array) => {
    files.set(`files/${name}/${file}`, contents);
    return `${base}files/${name}/${file}`;
  };
  const blocks: string[] = [];
  /** The prediction that what follows would give away. */
  let prediction: string | undefined;
  /** How many answers are open. Each lasts to the end of its section, as it may ask the next. */
  let answers = 0;
  const endAnswers = () => {
    while (answers > 0) {
      blocks.push("</div>");
      answers--;
    }
  };
  notebook.cells.forEach((cell, index) => {
    const source = joined(cell.source);
    const after = prediction === undefined ? "" : ` data-after="${prediction}"`;
    if (cell.cell_type === "code") {
      if (source.trim() !== "") blocks.push(code(source, `${name}/${index}`));
      const outputs = (cell.outputs ?? []).map((output, number) =>
        convertOutput(output, (file, contents) => store(`${index}_${number}${file}`, contents))
      );
      if (outputs.length > 0) blocks.push(html("outputs", after, outputs.join("\n")));
      return;
    }
    const isSection = /^#{1,6} /.test(source);
    const solution = cell.metadata.tags?.includes("solution");
    if (isSection || solution) endAnswers();
    else if (after !== "") {
      blocks.push(`<div class="answer"${after}>`);
      answers++;
    }
    blocks.push(pageMarkdown(source, solution ? `${name}/${index - 1}` : undefined));
    if (/^## Exercises$/m.test(source)) blocks.push(inJupyter);
    if (!solution) prediction = undefined;
    if (!/^\*\*Predict:?\*\*/m.test(source)) return;
    prediction = `${name}/${index}`;
    blocks.push(html("prediction", ` data-prediction="${prediction}"`, ""));
  });
  endAnswers();
  const [title = "", ...rest] = blocks;
  // The first cell is the title and what the lesson is about.
  const [heading = "", ...introduction] = title.split(/\n\n/);
  const markdown = `---
outline: [2, 3]
---
${[heading, toJupyter(basename(path), base), ...introduction, ...rest].join("\n\n")}
`;
  return { markdown, files };
}

/** Lays out how to work in a notebook, and the choice to see all results at once. */
function toJupyter(file: string, base: string): string {
  return html(
    "to-jupyter",
    ` data-types="${base}files/${basename(file, ".ipynb")}/types.json"`,
    `<details><summary>Open in my Jupyter</summary>
<p><a class="download" href="${base}notebooks/${file}" download>Download ${file}</a></p>
<p>In a clone of the project, with Node and Python 3, this command sets everything up and opens
JupyterLab on copies of all lessons:</p>
<pre tabindex="0">npx --yes deno@${denoVersion} task lab</pre>
<p>A downloaded notebook belongs into the folder <code>my_notebooks</code> of the clone.</p>
</details>
<label><input type="checkbox" class="show-all"> Show results without a prediction</label>`,
  );
}

/** Where exercises are solved, because no cell runs in the book. */
const inJupyter =
  "_In this book nothing runs. To solve the exercises, see “Open in my Jupyter” at the top._";

/** Joins a text that nbformat stores as lines. */
export function joined(text: Text = ""): string {
  return typeof text === "string" ? text : text.join("");
}

/**
 * Lays out code. The fence is longer than one that code would contain.
 *
 * @param cell The name of the cell, by which its types are found.
 */
function code(source: string, cell: string): string {
  return `<div class="cell">\n\n~~~~~~ts ${cellAttribute(cell)}\n${source}\n~~~~~~\n\n</div>`;
}

/**
 * Returns what the fence of a cell has after its language, by which the transformer finds its
 * marks. Digits become letters, because VitePress takes a number there for a line to highlight.
 */
export function cellAttribute(cell: string): string {
  return `cell=${cell.replaceAll(/\d/g, (digit) => "abcdefghij"[Number(digit)]!)}`;
}

/** Lays out HTML as a block that Markdown passes through as it is, with its empty lines. */
function html(kind: string, attributes: string, content: string): string {
  return `~~~~~~html-as-is <div class="${kind}"${attributes}>\n${content}\n~~~~~~`;
}

/** Changes the links to notebooks into links to their pages, and names the code of a solution. */
function pageMarkdown(source: string, exercise: string | undefined): string {
  const linked = source.replaceAll(/\]\((\d\w*)\.ipynb(#[^)]*)?\)/g, "](./$1$2)");
  return exercise === undefined
    ? linked
    : linked.replace(/^```ts$/m, `\`\`\`ts ${cellAttribute(`${exercise}/solution`)}`);
}

/** Returns an output as HTML. `store` stores a file, and returns its address. */
function convertOutput(
  { output_type, text, data = {} }: Output,
  store: (file: string, contents: string | Uint8Array) => string,
): string {
  const plain = joined(data["text/plain"]);
  const figure = data["application/vnd.plotly.v1+json"];
  if (output_type === "stream") {
    return printed(joined(text));
  }
  if (figure) {
    const png = Buffer.from(joined(data["image/png"]), "base64");
    // The width and height of a PNG file stand in its first chunk.
    const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
    const kind = isOfPixels(figure) ? "chart of-pixels" : "chart";
    return `<figure class="${kind}" data-chart="${store(".json", JSON.stringify(figure))}">` +
      `<div class="wide" style="--width: ${width}px"><img src="${
        store(".png", png)
      }" width="${width}" height="${height}" loading="lazy" ` +
      `alt="${escape(inWords(figure, plain))}"></div></figure>`;
  }
  if (data["text/html"]) return convertHtml(joined(data["text/html"]), store);
  if (data["text/plain"]) return printed(plain);
  throw new Error(
    `Converting a notebook: each output must be a text, a chart, or HTML, found ${output_type} ` +
      `with ${Object.keys(data).join(", ") || "nothing"}.`,
  );
}

/** Lays out a text, whose long lines wrap, as in JupyterLab. */
function printed(text: string): string {
  return `<pre class="printed">${escape(text)}</pre>`;
}

/** Returns what stands for a chart where it cannot be seen: its title, and its description. */
function inWords(
  { layout }: { readonly layout?: { readonly title?: { readonly text?: string } } },
  description: string,
): string {
  const title = layout?.title?.text?.replaceAll(/<[^>]*>/g, " ").trim() ?? "";
  return title === "" || description.includes(title) ? description : `${title}: ${description}`;
}

/** Whether the brightness of a chart is its contents, so that the dark theme must not turn it. */
function isOfPixels(figure: { readonly data?: readonly { readonly type?: string }[] }): boolean {
  return figure.data?.some(({ type }) => type === "heatmap" || type === "image") ?? false;
}

/**
 * Returns HTML of the library with its pictures in files. An interactive figure has a script, which
 * the book does not need: it mounts the component of this name with these options.
 */
function convertHtml(
  text: string,
  store: (file: string, contents: string | Uint8Array) => string,
): string {
  const [content = "", script] = text
    // What scrolls must be within reach of the keyboard.
    .replaceAll(`<div style="overflow-x: auto`, `<div tabindex="0" style="overflow-x: auto`)
    .split("<script>");
  let number = 0;
  const markup = content.replaceAll(base64Picture, (_, type: string, data: string) => {
    const suffix = type === "png" ? "png" : "svg";
    return `loading="lazy" src="${store(`_${number++}.${suffix}`, Buffer.from(data, "base64"))}"`;
  });
  if (script === undefined) return markup;
  const [, name] = /data-figure="(\w+)-\w+"/.exec(markup) ?? [];
  const [, options] = /\)\(kit, (\{.*\})\)\);\n\}\n<\/script>/.exec(script) ?? [];
  if (name === undefined || options === undefined) {
    throw new Error(
      "Converting a notebook: the only scripts of outputs must be those of interactive figures, " +
        `found ${script.slice(0, 80)}.`,
    );
  }
  const file = store("_options.json", options.replaceAll("<\\/", "</"));
  return markup.replace(/data-figure="[^"]*"/, `data-figure="${name}" data-options="${file}"`);
}

/** Escapes the letters that HTML reads as markup. */
export function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
