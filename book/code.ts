/** Finds the type of each name in the code of notebooks, and its page in the reference. */
import { basename, join } from "node:path";
import ts from "typescript";
import {
  type CheckedNotebook,
  type CodeCell,
  codeCells,
  joinCells,
  solvedCells,
} from "../scripts/check_notebooks.ts";

/** A name in the code of a cell. */
export interface Mark {
  /** Its place in the cell. */
  readonly start: number;
  readonly end: number;
  /** The index of its type among {@linkcode Meanings.types} of its page. */
  readonly type?: number;
  /** The page of the reference about it. */
  readonly link?: string;
}

/** The meaning of the code of some notebooks. */
export interface Meanings {
  /** The marks of each cell: of `10_resnet/8`, or of its solution, `10_resnet/8/solution`. */
  readonly cells: Readonly<Record<string, readonly Mark[]>>;
  /** The texts about the names of each notebook. */
  readonly types: Readonly<Record<string, readonly string[]>>;
}

/**
 * Asks TypeScript for the meaning of all names in the code of notebooks.
 *
 * @param root The folder of the project.
 * @param denoTypes The output of `deno types`.
 * @param pages The file of each page of the reference, by its name such as `conv2d.html`.
 */
export function meaningsOf(
  root: string,
  notebooks: ReadonlyMap<string, CheckedNotebook>,
  denoTypes: string,
  pages: ReadonlyMap<string, string>,
): Meanings {
  const files = new Map([[join(root, "deno_types.d.ts"), denoTypes]]);
  const modules: { name: string; file: string; cells: readonly CodeCell[] }[] = [];
  for (const [path, notebook] of notebooks) {
    const name = basename(path, ".ipynb");
    // The solved notebook holds the solutions of exercises, the other one all else.
    const kinds = [["", codeCells(notebook)], ["_solved", solvedCells(notebook)]] as const;
    for (const [kind, cells] of kinds) {
      const file = join(root, "notebooks", `${name}${kind}.ts`);
      if (cells.length === 0) continue;
      files.set(file, joinCells(cells).text);
      modules.push({ name, file, cells });
    }
  }
  const service = ts.createLanguageService(hostOf(root, files));
  const program = service.getProgram()!;
  const checker = program.getTypeChecker();
  const links = linksOf(checker, program.getSourceFile(join(root, "lib", "mod.ts"))!, pages);
  const cells: Record<string, Mark[]> = {}, types: Record<string, string[]> = {};
  for (const { name, file, cells: parts } of modules) {
    const source = program.getSourceFile(file)!;
    const texts = types[name] ??= [];
    const identifiers = identifiersOf(source);
    let start = 0, next = 0;
    for (const cell of parts) {
      const end = start + cell.source.length;
      const marks: Mark[] = [];
      const isWanted = !file.endsWith("_solved.ts") || cell.isSolution;
      for (; next < identifiers.length && identifiers[next]!.end <= end; next++) {
        if (!isWanted) continue;
        const identifier = identifiers[next]!;
        const text = textOf(service, file, identifier.getStart());
        const link = linkOf(checker, identifier, links);
        if (text === undefined && link === undefined) continue;
        let type = text === undefined ? undefined : texts.indexOf(text);
        if (type === -1) type = texts.push(text!) - 1;
        marks.push({
          ...{ start: identifier.getStart() - start, end: identifier.end - start },
          ...{ type, link },
        });
      }
      if (isWanted) cells[`${name}/${cell.index}${cell.isSolution ? "/solution" : ""}`] = marks;
      start = end + "\nvoid 0;\n".length;
    }
  }
  return { cells, types };
}

function hostOf(root: string, files: ReadonlyMap<string, string>): ts.LanguageServiceHost {
  const { imports }: { imports: Record<string, string> } = JSON.parse(
    Deno.readTextFileSync(join(root, "deno.json")),
  );
  const paths = Object.fromEntries(
    Object.entries(imports).filter(([, to]) => to.startsWith("./"))
      .map(([from, to]) => [from, [join(root, to)]]),
  );
  const { sys } = ts;
  return {
    ...{ fileExists: (path) => files.has(path) || sys.fileExists(path) },
    ...{ readFile: (path) => files.get(path) ?? sys.readFile(path) },
    ...{ directoryExists: sys.directoryExists, getDirectories: sys.getDirectories },
    ...{ realpath: sys.realpath },
    getCurrentDirectory: () => root,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    getScriptFileNames: () => [...files.keys()],
    getScriptVersion: () => "1",
    getScriptSnapshot: (path) => {
      const text = files.get(path) ?? sys.readFile(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCompilationSettings: () => ({
      ...{ strict: true, noUncheckedIndexedAccess: true, noEmit: true },
      ...{ target: ts.ScriptTarget.ESNext, module: ts.ModuleKind.ESNext, lib: ["lib.esnext.d.ts"] },
      ...{ moduleResolution: ts.ModuleResolutionKind.Bundler, allowImportingTsExtensions: true },
      ...{ types: [], paths },
    }),
  };
}

/** Returns the names of a file in their order. */
function identifiersOf(source: ts.SourceFile): ts.Identifier[] {
  const found: ts.Identifier[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) found.push(node);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found.sort((a, b) => a.pos - b.pos);
}

/** Returns what an editor shows about a name: its type, and its first sentence. */
function textOf(service: ts.LanguageService, file: string, place: number): string | undefined {
  const info = service.getQuickInfoAtPosition(file, place);
  if (!info) return undefined;
  const type = ts.displayPartsToString(info.displayParts)
    .replace(/^\(alias\) /, "").replace(/\nimport .*$/, "").replace(/^import /, "");
  const sentence = firstSentence(ts.displayPartsToString(info.documentation));
  return sentence === "" ? type : `${type}\n\n${sentence}`;
}

/** Returns the first sentence of a documentation, with names of code in backticks. */
function firstSentence(documentation: string): string {
  // A colon before a list or a block ends it too.
  const [sentence = ""] = /^[^]*?(\.(?=\s|$)|:(?=\s*\n\s*[-*`\n]|$))/.exec(documentation) ?? [];
  return sentence.replaceAll(/\{@link\w* (\S+?)\}/g, "`$1`").replaceAll(/\s+/g, " ")
    .replace(/:$/, " …");
}

/** Returns the pages about the symbols that the library exports. */
function linksOf(
  checker: ts.TypeChecker,
  library: ts.SourceFile,
  pages: ReadonlyMap<string, string>,
): ReadonlyMap<ts.Symbol, string> {
  const links = new Map<ts.Symbol, string>();
  const add = (module: ts.Symbol, prefix: string) => {
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = target(checker, exported);
      const page = pages.get(`${prefix}${exported.name}.html`);
      if (page !== undefined && !links.has(symbol)) links.set(symbol, page);
      if (prefix === "" && symbol.flags & ts.SymbolFlags.ValueModule) {
        add(symbol, `${exported.name}.`);
      }
      // A type's members have pages of their own.
      for (const [name, member] of symbol.members ?? []) {
        for (const owner of [`${exported.name}.prototype`, exported.name]) {
          const page = pages.get(`${prefix}${owner}.${name}.html`);
          if (page !== undefined && !links.has(member)) links.set(member, page);
        }
      }
    }
  };
  add(checker.getSymbolAtLocation(library)!, "");
  return links;
}

/** Returns what an import or an export stands for. */
function target(checker: ts.TypeChecker, symbol: ts.Symbol): ts.Symbol {
  return symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol;
}

/** Returns the page about a name: of the symbol, or of the option that a literal sets. */
function linkOf(
  checker: ts.TypeChecker,
  identifier: ts.Identifier,
  links: ReadonlyMap<ts.Symbol, string>,
): string | undefined {
  const symbol = checker.getSymbolAtLocation(identifier);
  if (!symbol) return undefined;
  const link = links.get(target(checker, symbol));
  const { parent } = identifier;
  if (link || !ts.isObjectLiteralElement(parent) || parent.name !== identifier) return link;
  if (!ts.isObjectLiteralExpression(parent.parent)) return undefined;
  const wanted = checker.getContextualType(parent.parent)?.getProperty(identifier.text);
  return wanted && links.get(wanted);
}
