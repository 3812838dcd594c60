import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { cacheFolder } from "../data/internal.ts";
import type { DocSymbol, JsDoc } from "./doc_types.ts";

/** The part of the output of `deno doc --json` that is read here. */
interface Output {
  readonly version: number;
  readonly nodes: Readonly<Record<string, { module_doc?: JsDoc; symbols: readonly DocSymbol[] }>>;
}

let docs: ReadonlyMap<string, DocSymbol> | undefined;

/**
 * Returns the docs of everything that is public, by name: `conv2d`, `ops.conv2d`, `FitOptions`.
 *
 * `deno doc` reads them from the sources, which takes about two seconds. The cache folder keeps
 * its output until a file of the library changes.
 */
export function publicDocs(): ReadonlyMap<string, DocSymbol> {
  return docs ??= readDocs();
}

/** The modules whose docs are read: in these namespaces, deno doc leaves out the re-exports. */
const module = new URL("../mod.ts", import.meta.url);
const namespaces = [
  ["ops", new URL("../tensor/ops/mod.ts", import.meta.url)],
  ["stages", new URL("../train/stages/mod.ts", import.meta.url)],
  ["interactive", new URL("../interactive/figures.ts", import.meta.url)],
] as const;

function readDocs(): Map<string, DocSymbol> {
  const folder = module.protocol === "file:" ? dirname(fileURLToPath(module)) : undefined;
  const version = folder === undefined ? module.href : String(newestChange(folder));
  const name = createHash("sha256").update(module.href).digest("hex").slice(0, 16);
  const file = join(cacheFolder(), "docs", `${name}.json`);
  const key = `${Deno.version.deno} ${version}\n`;
  const cached = readIfThere(file);
  if (cached?.startsWith(key)) return docsIn(cached.slice(key.length));
  const text = runDenoDoc(folder);
  const found = docsIn(text);
  try {
    Deno.mkdirSync(dirname(file), { recursive: true });
    Deno.writeTextFileSync(file, key + text);
  } catch (error) {
    // Without the file, the next kernel reads the docs again.
    if (!(error instanceof Deno.errors.PermissionDenied)) throw error;
  }
  return found;
}

function docsIn(text: string): Map<string, DocSymbol> {
  const { version, nodes }: Output = JSON.parse(text);
  if (version !== 2) {
    throw new Error(
      `Showing help: the output of deno doc must be of version 2, found ${version}. ` +
        "Use the version of Deno that the README names.",
    );
  }
  const named = (symbols: readonly DocSymbol[], namespace: string) =>
    symbols.map((symbol): [string, DocSymbol] => [namespace + symbol.name, symbol]);
  const symbols = nodes[module.href]?.symbols ?? [];
  const elements = symbols.flatMap(({ name, declarations }) =>
    declarations.flatMap(({ def }) => named(def.elements ?? [], `${name}.`))
  );
  return new Map([
    ...named(symbols, ""),
    ...elements,
    ...namespaces.flatMap(([name, { href }]) => {
      const { module_doc: jsDoc, symbols = [] } = nodes[href] ?? {};
      const namespace = { name, declarations: [{ kind: "namespace", jsDoc, def: {} }] } as const;
      return [...named([namespace], ""), ...named(symbols, `${name}.`)];
    }),
  ]);
}

/** Runs `deno doc` in the folder of the library, whose deno.json names its dependencies. */
function runDenoDoc(folder: string | undefined): string {
  const reading = "Showing help: the docs must be readable by deno doc";
  let result: Deno.CommandOutput;
  try {
    result = new Deno.Command(Deno.execPath(), {
      args: ["doc", "--json", module.href, ...namespaces.map(([, { href }]) => href)],
      cwd: folder,
      env: { NO_COLOR: "1" },
      stdin: "null",
    }).outputSync();
  } catch (error) {
    throw new Error(`${reading}, found an error at its start: ${error}`, { cause: error });
  }
  const { success, stdout, stderr } = result;
  if (success) return new TextDecoder().decode(stdout);
  const [message] = /^error: [^]*/m.exec(new TextDecoder().decode(stderr)) ?? ["no message"];
  throw new Error(`${reading}, found: ${message.trim()}`);
}

function newestChange(folder: string): number {
  return Math.max(
    0,
    ...Array.from(Deno.readDirSync(folder), ({ name, isDirectory }) => {
      const path = join(folder, name);
      return isDirectory ? newestChange(path) : Deno.statSync(path).mtime?.getTime() ?? 0;
    }),
  );
}

function readIfThere(file: string): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch {
    return undefined;
  }
}
