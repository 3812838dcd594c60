/**
 * A registry on loopback with this package, in JSR's protocol: `meta.json` lists the versions,
 * `VERSION_meta.json` the files and entry points of one, and the files follow. `JSR_URL` leads Deno
 * there.
 */
import { join, relative, sep } from "node:path";
import { createHash } from "node:crypto";
import { root } from "../_project.ts";

interface Config {
  readonly name: string;
  readonly version: string;
  readonly exports: Readonly<Record<string, string>>;
  readonly imports: Readonly<Record<string, string>>;
  readonly publish: { readonly include: readonly string[] };
}

/** Serves the package until it is disposed. */
export class Registry implements AsyncDisposable {
  /** The paths that were asked for. */
  readonly requests: string[] = [];
  /** The files of the package by their paths. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const config: Config = JSON.parse(Deno.readTextFileSync(join(root, "deno.json")));
    const { name, version, exports, imports, publish: { include } } = config;
    const files = new Map<string, Uint8Array<ArrayBuffer>>();
    const names = include.flatMap((name) =>
      name.includes("*")
        ? [...Deno.readDirSync(root)].map(({ name }) => name).filter((file) =>
          glob(name).test(file)
        )
        : [name]
    );
    for (const path of names.flatMap((name) => [...filesIn(join(root, name))])) {
      const bytes = Deno.readFileSync(path);
      files.set(
        `/${relative(root, path).split(sep).join("/")}`,
        path.endsWith(".ts") ? published(bytes, imports) : bytes,
      );
    }
    this.files = files;
    const manifest = Object.fromEntries(Array.from(files, ([path, bytes]) => [path, {
      size: bytes.length,
      checksum: `sha256-${createHash("sha256").update(bytes).digest("hex")}`,
    }]));
    const versions = { latest: version, versions: { [version]: {} } };
    this.#server = Deno.serve(
      { port: 0, hostname: "127.0.0.1", onListen() {} },
      ({ url }) => {
        const { pathname } = new URL(url);
        this.requests.push(pathname);
        if (pathname === `/${name}/meta.json`) return Response.json({ name, ...versions });
        if (pathname === `/${name}/${version}_meta.json`) {
          return Response.json({ manifest, exports });
        }
        const path = pathname.replace(`/${name}/${version}`, ""), bytes = files.get(path);
        if (!bytes) return new Response("", { status: 404 });
        const type = path.endsWith(".ts") ? "text/typescript" : "application/octet-stream";
        return new Response(bytes, { headers: { "content-type": type } });
      },
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

/** Rewrites the names of imports as publishing does: by the import map. */
function published(
  bytes: Uint8Array,
  imports: Readonly<Record<string, string>>,
): Uint8Array<ArrayBuffer> {
  const text = new TextDecoder().decode(bytes).replace(
    /^((?:import|export)\b[^"`';]*|.*\bimport\()"([^"]+)"/gm,
    (line, before: string, specifier: string) => {
      const name = Object.keys(imports).find((name) =>
        specifier === name || specifier.startsWith(`${name}/`)
      );
      return name === undefined
        ? line
        : `${before}"${imports[name]}${specifier.slice(name.length)}"`;
    },
  );
  return new TextEncoder().encode(text);
}

/** A pattern with stars, as publishing reads it. */
function glob(pattern: string): RegExp {
  return RegExp(`^${pattern.split("*").map(RegExp.escape).join("[^/]*")}$`);
}

function* filesIn(path: string): Generator<string> {
  if (Deno.statSync(path).isFile) return yield path;
  for (const { name } of Deno.readDirSync(path)) yield* filesIn(join(path, name));
}
