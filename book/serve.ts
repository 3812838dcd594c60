/** Serves a built site to this machine only. */
import { extname, join, normalize } from "node:path";

const types: Readonly<Record<string, string>> = {
  ".css": "text/css; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".ipynb": "application/x-ipynb+json",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".png": "image/png",
  ".svg": "image/svg+xml",
  ".ttf": "font/ttf",
  ".wasm": "application/wasm",
  ".woff": "font/woff",
  ".woff2": "font/woff2",
};

/**
 * Serves the files of a folder as a web host does: a folder by its index.html, `/page` by
 * page.html, and 404.html for what is not there.
 *
 * @param port The port; 0 takes a free one.
 * @param base The path under which the files stand.
 */
export function serve(
  folder: string,
  port: number,
  base = "/",
): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port, onListen: () => {} }, async ({ url }) => {
    // A URL has no `..` left, but an encoded one is decoded here.
    const path = normalize(decodeURIComponent(new URL(url).pathname));
    const files = path.endsWith("/") ? [`${path}index.html`] : [path, `${path}.html`];
    for (const file of files) {
      if (!file.startsWith(base)) continue;
      const found = await open(join(folder, file.slice(base.length)));
      if (found) return respond(found, file, 200);
    }
    const missing = await open(join(folder, "404.html"));
    return missing ? respond(missing, "404.html", 404) : new Response("not found", { status: 404 });
  });
}

async function open(path: string): Promise<Deno.FsFile | undefined> {
  try {
    const file = await Deno.open(path);
    if ((await file.stat()).isFile) return file;
    file.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory)) {
      throw error;
    }
  }
}

function respond(file: Deno.FsFile, name: string, status: number): Response {
  const type = types[extname(name)] ?? "application/octet-stream";
  return new Response(file.readable, { status, headers: { "content-type": type } });
}
