import assert from "node:assert/strict";
import { join } from "node:path";
import {
  correctSearch,
  forBook,
  removeDeadLinks,
  renameTwins,
  withRooms,
} from "../../book/reference.ts";

Deno.test("renameTwins() gives pages names that differ by more than case", async () => {
  const folder = await Deno.makeTempDir({ prefix: "reference_" });
  try {
    await Deno.mkdir(join(folder, "~"));
    const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
    const node = (kind: string, name: string) =>
      `{"kind":[{"char":"x","kind":"${kind}","title":"${kind}"}],"name":"${name}",` +
      `"file":".","doc":"…","url":"././~/${name}.html","deprecated":false}`;
    const nodes = [node("Class", "Conv2d"), node("Function", "conv2d"), node("Class", "Tensor")];
    await write("search_index.js", `[${nodes.join()}]`);
    await write("index.html", '<a href="./~/Conv2d.html">');
    await write("~/Conv2d.html", '<a href="..&#x2F;.&#x2F;.&#x2F;~&#x2F;Conv2d.html#a"> the class');
    await write(
      "~/conv2d.html",
      '<a href="../././~/Conv2d.html"><a href="../././~/conv2d.html"><a href="../~/Tensor.html">',
    );
    await write("~/Tensor.html", '<a href="../././~/Conv2d.prototype.html">');
    const files = await renameTwins(folder);
    assert.equal(files.get("Conv2d.html"), "Conv2d-class.html");
    assert.equal(files.get("conv2d.html"), "conv2d.html");
    assert.deepEqual(Array.from(Deno.readDirSync(join(folder, "~")), ({ name }) => name).sort(), [
      "Conv2d-class.html",
      "Tensor.html",
      "conv2d.html",
    ]);
    const read = (name: string) => Deno.readTextFileSync(join(folder, name));
    assert.equal(
      read("~/Conv2d-class.html"),
      '<a href="..&#x2F;.&#x2F;.&#x2F;~&#x2F;Conv2d-class.html#a"> the class',
    );
    assert.equal(
      read("~/conv2d.html"),
      '<a href="../././~/Conv2d-class.html"><a href="../././~/conv2d.html">' +
        '<a href="../~/Tensor.html">',
    );
    assert.equal(read("~/Tensor.html"), '<a href="../././~/Conv2d.prototype.html">');
    assert.equal(read("index.html"), '<a href="./~/Conv2d-class.html">');
    assert.match(read("search_index.js"), /~\/Conv2d-class\.html/);
    assert.match(read("search_index.js"), /~\/conv2d\.html/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("removeDeadLinks() removes pages with odd names, and addresses that lead nowhere", async () => {
  const folder = await Deno.makeTempDir({ prefix: "reference_" });
  try {
    await Deno.mkdir(join(folder, "~"));
    const write = (name: string, text: string) => Deno.writeTextFile(join(folder, name), text);
    await write(
      "~/Figure.html",
      '<a href="#here">1</a> <a class="x" href="#gone">2</a><p id="here">',
    );
    await write("~/Figure.text%2Fhtml.html", "");
    await write("~/Figure.prototype.[Symbol.for(%22x%22)].html", "");
    await write(
      "index.html",
      '<a href=".&#x2F;~&#x2F;Figure.html#a">1</a> <a href="./~/Figure.text/html.html">2</a> ' +
        '<a href="./~/Figure.prototype.[Symbol.for(%22x%22)].html">3</a> <a href="/lessons">4</a>',
    );
    await removeDeadLinks(folder);
    const read = (name: string) => Deno.readTextFileSync(join(folder, name));
    assert.equal(read("~/Figure.html"), '<a href="#here">1</a> <a class="x">2</a><p id="here">');
    assert.deepEqual(Array.from(Deno.readDirSync(join(folder, "~")), ({ name }) => name), [
      "Figure.html",
    ]);
    assert.equal(
      read("index.html"),
      '<a href=".&#x2F;~&#x2F;Figure.html#a">1</a> <a>2</a> <a>3</a> <a href="/lessons">4</a>',
    );
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("correctSearch() leads to the files of the pages, and puts functions first", async () => {
  const folder = await Deno.makeTempDir({ prefix: "reference_" });
  try {
    await Deno.mkdir(join(folder, "~"));
    const script = join(folder, "search.js"), index = join(folder, "search_index.js");
    for (const file of ["Conv2d-class.html", "Conv2d.prototype.forward.html", "conv2d.html"]) {
      await Deno.writeTextFile(join(folder, "~", file), "");
    }
    const node = (kind: string, name: string, file: string) => ({
      kind: [{ kind }],
      name,
      url: `././~/${file}`,
    });
    const nodes = [
      node("Method", "Conv2d.prototype.forward", "Conv2d.prototype.forward.html"),
      node("Class", "Conv2d", "Conv2d-class.html"),
      node("Property", "Nowhere.x", "Nowhere.x.html"),
      node("Function", "conv2d", "conv2d.html#function_conv2d_0"),
    ];
    await Deno.writeTextFile(
      index,
      `(function () {\n  X = ${JSON.stringify({ kind: "search", nodes })};\n})()`,
    );
    const link = '<a href="${pathToRoot}${result.file}/~/${result.name}.html">';
    await Deno.writeTextFile(script, link);
    await correctSearch(folder);
    assert.equal(await Deno.readTextFile(script), '<a href="${pathToRoot}${result.url}">');
    const text = await Deno.readTextFile(index);
    assert.match(text, /^\(function \(\) \{\n {2}X = \{"kind":"search".*\};\n\}\)\(\)$/);
    const names = Array.from(text.matchAll(/"name":"([^"]*)"/g), ([, name]) => name);
    assert.deepEqual(names, ["conv2d", "Conv2d", "Conv2d.prototype.forward"]);
    await assert.rejects(correctSearch(folder), /the search of deno doc must be as known/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("withRooms() lists the values of each room on the first page", () => {
  const end = "</div></div>\n</div>\n</section>";
  const library = `// Training: the loop \`fit\`.
export {
  fit,
  type FitOptions,
} from "./train/mod.ts";
`;
  const pages = new Map([["fit.html", "fit.html"]]);
  assert.equal(
    withRooms(`<p>text</p>${end}`, library, pages),
    "<p>text</p><h2>Training</h2>\n<p>The loop <code>fit</code>.</p>\n" +
      `<p><a href="./~/fit.html"><code>fit</code></a></p>${end}`,
  );
  assert.throws(() => withRooms(end, library, new Map()), /must have a page, found none of fit/);
  assert.throws(() => withRooms("", library, pages), /found 1 rooms and 0 other ends/);
});

Deno.test("forBook() leaves out what leads to the machine that built the book", () => {
  const source =
    '<a\n  class="sourceButton"\n  href="file:&#x2F;&#x2F;&#x2F;home&#x2F;x.ts"><svg></svg>\n</a>';
  assert.equal(forBook(`<h1>x</h1>${source}<p>y</p>`), "<h1>x</h1><p>y</p>");
  assert.equal(
    forBook("import { fit } from &quot;.&quot;;"),
    "import { fit } from &quot;resnet-lab&quot;;",
  );
  const item = '<a href="./~/fit.html" title="fit">\n <span>fit</span><span>(model)</span></a>' +
    '<ul class="namespaceItemContentSubItems"><li>x</li></ul>';
  assert.equal(forBook(item), '<a href="./~/fit.html" title="fit"><span>fit</span></a>');
});
