import assert from "node:assert/strict";
import { join } from "node:path";
import { renameTwins } from "../../book/reference.ts";

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
