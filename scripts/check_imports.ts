import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Environment, run, scratchFolder, thisEnvironment } from "./environment.ts";

/** The rooms of lib: each may import only from those before it. */
const rooms = ["tensor", "nn", "models", "data", "train", "weights", "plot", "notebook"];

/** The part of what `deno info --json` says that is looked at here. */
interface Graph {
  readonly modules: readonly {
    readonly specifier: string;
    readonly dependencies?: readonly {
      readonly specifier: string;
      readonly code?: { readonly specifier?: string };
      readonly type?: { readonly specifier?: string };
    }[];
  }[];
}

/** Finds the imports in lib that go against the order of the rooms. */
export async function checkImports(environment: Environment): Promise<string[]> {
  const lib = join(environment.root, "lib");
  await using scratch = await scratchFolder(environment.root, "graph_");
  const folder = scratch.path;
  // One module that imports every file of lib, so that none is missed and one graph does.
  const all = join(folder, "all.ts");
  const files = Array.from(filesIn(lib));
  await Deno.writeTextFile(
    all,
    files.map((file) => `import "${pathToFileURL(file)}";\n`).join(""),
  );
  const { stdout } = await run(environment, [
    environment.deno,
    ...["info", "--quiet", "--json", all],
  ]);
  const { modules }: Graph = JSON.parse(stdout);
  return modules.flatMap(({ specifier: from, dependencies = [] }) => {
    const importer = inLib(lib, from);
    if (importer === undefined) return [];
    return dependencies.flatMap(({ specifier, code, type }) => {
      const to = code?.specifier ?? type?.specifier ?? specifier;
      const problem = judge(importer, to, lib);
      return problem === undefined ? [] : [`lib/${importer} imports ${specifier}: ${problem}`];
    });
  });
}

/** What is wrong with an import in lib, if something is. */
function judge(importer: string, to: string, lib: string): string | undefined {
  const room = importer.split("/")[0]!;
  if (/^npm:\/?@tensorflow\//.test(to)) {
    return room === "tensor" ? undefined : "only the room tensor may import TensorFlow.js";
  }
  if (!to.startsWith("file:")) return undefined;
  const target = inLib(lib, to);
  if (target === undefined) return "lib may not import from outside of lib";
  if (importer === "mod.ts") return undefined;
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
  console.error(`Imports of lib checked, problems: ${problems.length}`);
  if (problems.length > 0) Deno.exit(1);
}
