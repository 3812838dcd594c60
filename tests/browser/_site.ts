/** A site on loopback for pages that load the library, and the pages. */
import { extname, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import type { Metafile } from "esbuild";
import { bundle } from "../../scripts/bundle.ts";
import { root } from "../_project.ts";
import { browserProgram, openBrowser } from "./_lab.ts";

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** A folder with the bundle, and what esbuild says of it. */
export interface Bundle {
  readonly folder: string;
  readonly metafile: Metafile;
}

let making: Promise<Bundle> | undefined;

/** Makes the bundle, once. */
export function makeBundle(): Promise<Bundle> {
  return making ??= (async () => {
    const folder = await Deno.makeTempDir({ prefix: "bundle_" });
    globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
    return { folder, metafile: await bundle(root, folder) };
  })();
}

let opening: Promise<Browser> | undefined;

/** Opens the browser that all tests of a file share. */
function sharedBrowser(): Promise<Browser> {
  return opening ??= openBrowser([
    // Chromium's own implementations of both graphics interfaces, which need no hardware.
    "--enable-unsafe-swiftshader",
    "--enable-unsafe-webgpu",
    "--enable-features=Vulkan",
    "--use-vulkan=swiftshader",
    "--use-angle=swiftshader",
  ]);
}

/** Closes the browser that all pages share. */
export async function closeBrowser(): Promise<void> {
  await (await opening)?.close();
}

let isRegistered = false;

/** A site that serves folders by the first part of the path, and the page in which tests run. */
export class Site implements AsyncDisposable {
  /** The addresses that the page asked for. */
  readonly requests: string[] = [];

  private constructor(
    readonly page: Page,
    readonly server: Deno.HttpServer<Deno.NetAddr>,
    readonly errors: unknown[],
  ) {}

  /**
   * Opens an empty page of a site.
   *
   * @param folders The folder for each first part of a path.
   * @param isolated Whether the page may share memory between threads.
   */
  static async open(
    folders: Readonly<Record<string, string>>,
    { isolated = true }: { isolated?: boolean } = {},
  ): Promise<Site> {
    const headers: Record<string, string> = isolated
      ? {
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-embedder-policy": "require-corp",
      }
      : {};
    const server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      async ({ url }) => {
        const { pathname } = new URL(url);
        const [, first = "", rest = ""] = /^\/([^/]*)\/?(.*)$/.exec(pathname) ?? [];
        const type = TYPES[extname(pathname)] ?? "application/octet-stream";
        if (pathname === "/") {
          const html = '<!doctype html><title>Page</title><link rel="icon" href="data:,">';
          return new Response(html, { headers: { ...headers, "content-type": "text/html" } });
        }
        const folder = folders[first];
        const bytes = folder && await Deno.readFile(join(folder, rest)).catch(() => undefined);
        if (!bytes) return new Response("", { status: 404 });
        return new Response(bytes, { headers: { ...headers, "content-type": type } });
      },
    );
    const page = await (await sharedBrowser()).newPage();
    const errors: unknown[] = [];
    page.on("pageerror", (error) => errors.push(error));
    const site = new Site(page, server, errors);
    page.on("request", (request) => site.requests.push(request.url()));
    await page.goto(site.origin);
    return site;
  }

  get origin(): string {
    return `http://127.0.0.1:${this.server.addr.port}`;
  }

  /** Runs the body of an async function in the page. `values` is what it reads as `values`. */
  async run<Result>(code: string, values: object = {}): Promise<Result> {
    const call = `((values) => (async () => {${code}})())(${JSON.stringify(values)})`;
    const result: Result = await this.page.evaluate(call);
    if (this.errors.length > 0) throw this.errors[0];
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.page.close();
    await this.server.shutdown();
  }
}

/** Registers a test in a page of a site. Without Chromium it is ignored. */
export function siteTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  if (!isRegistered) Deno.test.afterAll(closeBrowser);
  isRegistered = true;
  Deno.test({
    name: browserProgram === undefined ? `${name} (ignored: there is no Chromium)` : name,
    ignore: browserProgram === undefined,
    // Playwright keeps its connections until the process ends.
    sanitizeOps: false,
    sanitizeResources: false,
    fn,
  });
}
