import assert from "node:assert/strict";
import { dirname, join } from "node:path";
import { deadLinks } from "../../book/links.ts";
import { serve } from "../../book/serve.ts";

/** Makes a folder with these files, for the time of a test. */
async function withSite(files: Record<string, string>, test: (site: string) => Promise<void>) {
  const site = await Deno.makeTempDir();
  try {
    for (const [file, text] of Object.entries(files)) {
      await Deno.mkdir(dirname(join(site, file)), { recursive: true });
      await Deno.writeTextFile(join(site, file), text);
    }
    await test(site);
  } finally {
    await Deno.remove(site, { recursive: true });
  }
}

Deno.test("deadLinks() finds files and places that are not there, and what others would serve", () =>
  withSite({
    "index.html": `<a href="/book/a.html#one">1</a> <a href="a.html#two">2</a> <a href="/a.html">3
</a> <a href="b/">4</a> <a href="c.html">5</a> <a href="https://other.example/">6</a>
<img src="https://other.example/x.png"> <figure data-chart="/book/x.json"></figure>
<a href="#here" id="here">7</a> <a href="a.html#a%20%26b">8</a>`,
    "a.html": `<h2 id="one"></h2><h2 id="a &amp;b"></h2>`,
    "b/index.html": "",
  }, async (site) => {
    assert.deepEqual(await deadLinks(site, "/book/"), [
      "index.html: href a.html#two: the page has no such place",
      "index.html: href /a.html is not there",
      "index.html: href c.html is not there",
      "index.html: src https://other.example/x.png would be loaded from another site",
      "index.html: data-chart /book/x.json is not there",
    ]);
  }));

Deno.test("serve() serves the files of the folder and no others", () =>
  withSite(
    { "site/a.html": "A", "site/index.html": "I", "site/404.html": "none", "b": "secret" },
    async (
      folder,
    ) => {
      const server = serve(join(folder, "site"), 0);
      try {
        assert.equal(server.addr.hostname, "127.0.0.1");
        const get = async (path: string) => {
          const response = await fetch(`http://127.0.0.1:${server.addr.port}${path}`);
          return [response.status, await response.text(), response.headers.get("content-type")];
        };
        assert.deepEqual(await get("/a.html?x"), [200, "A", "text/html; charset=utf-8"]);
        assert.deepEqual(await get("/a"), [200, "A", "text/html; charset=utf-8"]);
        assert.deepEqual(await get("/"), [200, "I", "text/html; charset=utf-8"]);
        for (const path of ["/b", "/..%2fb", "/%2e%2e/b", "/x", "/a.html/"]) {
          assert.deepEqual(await get(path), [404, "none", "text/html; charset=utf-8"]);
        }
      } finally {
        await server.shutdown();
      }
    },
  ));
