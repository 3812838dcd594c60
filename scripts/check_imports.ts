import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Environment, run, scratchFolder, thisEnvironment } from "./environment.ts";

/** The rooms of lib: each may import only from the rooms before it. */
export const rooms = [
  "tensor",
  "nn",
  "models",
  "data",
  "weights",
  "parallel",
  "train",
  "plot",
  "interactive",
  "notebook",
];

/** Maximum number of lines in a file of lib. */
const maxLines = 600;

/** The longest chain of imports that lib/tensor may have, in files; type imports do not count. */
const maxTensorLevels = 7;

/** The part of the output of `deno info --json` that is read here. */
interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
      readonly isDynamic?: boolean;
    }[];
  }[];
}

/** An import of a file of lib. */
interface Import {
  /** The file that imports, as a path in lib. */
  readonly from: string;
  /** The imported module as it is written. */
  readonly specifier: string;
  /** The address of the imported module. */
  readonly to: string;
  /** Whether the imported module runs before the file: not with `import type` or `import()`. */
  readonly runsFirst: boolean;
}

/** The files of lib that each file of lib imports, as paths in lib. */
type ImportedFiles = ReadonlyMap<string, readonly string[]>;

/**
 * Checks the files of lib: the order of the rooms, circles, the levels of lib/tensor, and the
 * length of each file.
 *
 * @returns The problems, one line each.
 */
export async function checkImports(environment: Environment): Promise<string[]> {
  const lib = join(environment.root, "lib");
  const files = Array.from(filesIn(lib), (file) => relative(lib, file)).sort();
  const imports = await importsOf(environment, lib, files);
  const importedFiles = (imports: readonly Import[]): ImportedFiles =>
    new Map(files.map((file) => [
      file,
      imports.filter(({ from }) => from === file)
        .map(({ to }) => inLib(lib, to))
        .filter((to) => to !== undefined && files.includes(to)) as string[],
    ]));
  return [
    ...imports.flatMap((one) => {
      const problem = orderProblem(one, lib);
      return problem === undefined ? [] : [`lib/${one.from} imports ${one.specifier}: ${problem}`];
    }),
    ...circles(importedFiles(imports)),
    ...levelProblems(importedFiles(imports.filter(({ runsFirst }) => runsFirst))),
    ...lengthProblems(lib, files),
  ];
}

/** Reads the imports of all files of lib, type imports included. */
async function importsOf(
  environment: Environment,
  lib: string,
  files: readonly string[],
): Promise<Import[]> {
  await using scratch = await scratchFolder(environment.root, "graph_");
  // One module that imports every file of lib, so that one graph has them all.
  const all = join(scratch.path, "all.ts");
  await Deno.writeTextFile(
    all,
    files.map((file) => `import "${pathToFileURL(join(lib, file))}";\n`).join(""),
  );
  const { stdout } = await run(environment, [
    environment.deno,
    ...["info", "--quiet", "--json", all],
  ]);
  const { modules }: Graph = JSON.parse(stdout);
  return modules.flatMap(({ specifier: module, dependencies = [] }) => {
    const from = inLib(lib, module);
    if (from === undefined) return [];
    return dependencies.map(({ specifier, code, type, isDynamic = false }) => {
      const to = code?.specifier ?? type?.specifier ?? specifier;
      return { from, specifier, to, runsFirst: code !== undefined && !isDynamic };
    });
  });
}

/** The problem of an import with the order of the rooms, if it has one. */
function orderProblem({ from, to }: Import, lib: string): string | undefined {
  const room = from.split("/")[0]!;
  if (/^npm:\/?@tensorflow\//.test(to)) {
    return room === "tensor" ? undefined : "only the room tensor may import TensorFlow.js";
  }
  if (!to.startsWith("file:")) return undefined;
  const target = inLib(lib, to);
  if (target === undefined) return "lib may not import from outside of lib";
  if (["mod.ts", "browser.ts", "node.ts"].includes(from)) return undefined;
  if (!target.includes("/")) return "no room may import lib/mod.ts, which imports all rooms";
  const targetRoom = target.split("/")[0]!;
  if (!rooms.includes(room)) return `there is no room ${room}; the rooms are ${rooms.join(", ")}`;
  if (targetRoom === room) return undefined;
  return rooms.indexOf(targetRoom) < rooms.indexOf(room)
    ? undefined
    : `the room ${room} may import only from ${
      rooms.slice(0, rooms.indexOf(room)).join(", ") || "no room"
    }`;
}

/** The import circles: a depth-first search that meets a file of its own path has found one. */
function circles(imports: ImportedFiles): string[] {
  const found: string[] = [], done = new Set<string>();
  const visit = (file: string, path: readonly string[]) => {
    if (path.includes(file)) {
      found.push(`import circle: ${asText([...path.slice(path.indexOf(file)), file])}`);
    } else if (!done.has(file)) {
      for (const imported of imports.get(file)!) visit(imported, [...path, file]);
      done.add(file);
    }
  };
  for (const file of imports.keys()) visit(file, []);
  return found;
}

/** The longest chain of imports in lib/tensor, if it is too long. */
function levelProblems(imports: ImportedFiles): string[] {
  const longest = new Map<string, readonly string[]>();
  const longestFrom = (file: string): readonly string[] => {
    if (!longest.has(file)) {
      longest.set(file, []); // Ends the search in a circle.
      const chains = imports.get(file)!.filter(isInTensor).map(longestFrom);
      longest.set(file, [file, ...longestOf(chains)]);
    }
    return longest.get(file)!;
  };
  const chain = longestOf(Array.from(imports.keys()).filter(isInTensor).map(longestFrom));
  return chain.length <= maxTensorLevels ? [] : [
    `lib/tensor has ${chain.length} import levels, at most ${maxTensorLevels}: ${asText(chain)}`,
  ];
}

function isInTensor(file: string): boolean {
  return file.startsWith("tensor/");
}

function longestOf(chains: readonly (readonly string[])[]): readonly string[] {
  return chains.reduce((longest, chain) => chain.length > longest.length ? chain : longest, []);
}

function asText(files: readonly string[]): string {
  return files.map((file) => `lib/${file}`).join(" → ");
}

function lengthProblems(lib: string, files: readonly string[]): string[] {
  return files.flatMap((file) => {
    const lines = Deno.readTextFileSync(join(lib, file)).trimEnd().split("\n").length;
    return lines <= maxLines ? [] : [`lib/${file} has ${lines} lines, at most ${maxLines}`];
  });
}

function inLib(lib: string, specifier: string): string | undefined {
  if (!specifier.startsWith("file:")) return undefined;
  const path = relative(lib, fileURLToPath(specifier));
  return path.startsWith("..") ? undefined : path;
}

function* filesIn(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) yield* filesIn(join(folder, name));
    else if (name.endsWith(".ts")) yield join(folder, name);
  }
}

if (import.meta.main) {
  const problems = await checkImports(thisEnvironment());
  for (const problem of problems) console.error(problem);
  console.error(`Files of lib checked, problems: ${problems.length}`);
  if (problems.length > 0) Deno.exit(1);
}
