import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { type Environment, run, scratchFolder, thisEnvironment } from "./environment.ts";
import { notebooksIn } from "./run.ts";

/** The part of a notebook file that is checked here. */
interface Notebook {
  readonly cells: readonly {
    readonly cell_type: string;
    readonly source: string | readonly string[];
    readonly execution_count?: number | null;
    readonly outputs?: readonly {
      readonly output_type: string;
      readonly data?: Readonly<Record<string, string | readonly string[]>>;
    }[];
  }[];
}

/** The code cells of a notebook as one TypeScript module, and the origin of each line. */
interface Module {
  readonly name: string;
  readonly text: string;
  /**
   * For each line of the module: the number of the code cell and the line in it, both from 1.
   */
  readonly origin: readonly { readonly cell: number; readonly line: number }[];
}

const maxCellLines = 25;

/**
 * Joins the code cells. `void 0;` ends a cell whose last line has no semicolon, so that its last
 * statement does not continue in the next cell.
 */
function joinCells(notebook: Notebook): Omit<Module, "name"> {
  const lines: string[] = [];
  const origin: { cell: number; line: number }[] = [];
  codeCells(notebook).forEach(({ source }, index) => {
    [...source.split("\n"), "void 0;"].forEach((text, line) => {
      lines.push(text);
      origin.push({ cell: index + 1, line: line + 1 });
    });
  });
  // Makes a module even without an import, because only modules have top-level await.
  return { text: [...lines, "export {};", ""].join("\n"), origin };
}

function codeCells({ cells }: Notebook) {
  return cells
    .filter(({ cell_type }) => cell_type === "code")
    .map((cell) => ({ ...cell, source: joined(cell.source) }))
    .filter(({ source }) => source.trim() !== "");
}

/** Joins a text, which nbformat stores as a string or as lines. */
function joined(text: string | readonly string[]): string {
  return typeof text === "string" ? text : text.join("");
}

/**
 * Returns the problems of a notebook as a document: cells that are too long, and outputs that do
 * not come from one run without an error.
 */
function documentProblems(name: string, notebook: Notebook): string[] {
  const problems: string[] = [];
  codeCells(notebook).forEach(({ source, execution_count, outputs = [] }, index) => {
    const at = `${name} cell [${index + 1}]:`;
    const length = source.split("\n").length;
    if (length > maxCellLines) {
      problems.push(`${at} ${length} lines, at most ${maxCellLines} are allowed`);
    }
    if (execution_count !== index + 1) {
      problems.push(
        `${at} not executed in order from the top (deno task run ${
          name.slice(0, 2)
        } --write does it)`,
      );
    }
    if (outputs.some(({ output_type }) => output_type === "error")) {
      problems.push(`${at} its output is an error`);
    }
    if (outputs.some(({ data }) => joined(data?.["text/plain"] ?? "").startsWith("Promise {"))) {
      problems.push(`${at} its output is a Promise, so an await is missing`);
    }
  });
  return problems;
}

/** Checks notebooks. Returns their problems, each with notebook, cell and line. */
export async function checkNotebooks(
  environment: Environment,
  paths: readonly string[],
): Promise<string[]> {
  if (paths.length === 0) return [];
  await using scratch = await scratchFolder(environment.root, "cells_");
  const folder = scratch.path;
  const problems: string[] = [];
  const modules = new Map<string, Module>();
  for (const path of paths) {
    const notebook: Notebook = JSON.parse(await Deno.readTextFile(path));
    const name = basename(path);
    problems.push(...documentProblems(name, notebook));
    const module = { name, ...joinCells(notebook) };
    const file = join(folder, `${name}.ts`);
    await Deno.writeTextFile(file, module.text);
    modules.set(pathToFileURL(file).href, module);
  }
  const inCells = [...await lint(environment, folder), ...await typeCheck(environment, folder)];
  return [...problems, ...inCells.map((problem) => locate(problem, modules))];
}

/** Names the notebook, cell and line where a message names the file and line of a module. */
function locate(message: string, modules: ReadonlyMap<string, Module>): string {
  return message.replace(/(file:\/\/\S+?\.ts):(\d+)(:\d+)?/g, (whole, file, line) => {
    const module = modules.get(file);
    const origin = module?.origin[Number(line) - 1];
    return module && origin ? `${module.name} cell [${origin.cell}] line ${origin.line}` : whole;
  });
}

async function lint(environment: Environment, folder: string): Promise<string[]> {
  // Not called deno.json: that would hide the import map of the project from the cells.
  const config = join(folder, "lint.json");
  const plugins = [join(import.meta.dirname!, "cell_rules.ts")];
  const rules = { tags: [], include: ["cells/honest-types"] };
  await Deno.writeTextFile(config, JSON.stringify({ lint: { plugins, rules } }));
  const { stdout } = await run(environment, [
    environment.deno,
    ...["lint", "--quiet", "--json", "--config", config, folder],
  ]);
  const { diagnostics }: {
    diagnostics: { filename: string; range: { start: { line: number } }; message: string }[];
  } = JSON.parse(stdout);
  return diagnostics.map(({ filename, range, message }) =>
    `${filename}:${range.start.line}: ${message}`
  );
}

async function typeCheck(environment: Environment, folder: string): Promise<string[]> {
  // `deno check` skips .cache, which deno.json excludes. It does check what a module imports.
  const all = join(folder, "all.ts");
  const names = Array.from(Deno.readDirSync(folder), ({ name }) => name)
    .filter((name) => name.endsWith(".ipynb.ts"));
  await Deno.writeTextFile(
    all,
    names.map((name) => `import type {} from "./${name}";\n`).join(""),
  );
  const { success, output } = await run(
    environment,
    [environment.deno, "run", "--quiet", "--check", all],
    { extra: { NO_COLOR: "1" } },
  );
  return success ? [] : [output.replace(/\n+error: Type checking failed[^]*$/, "")];
}

if (import.meta.main) {
  const environment = thisEnvironment();
  const paths = notebooksIn(join(environment.root, "notebooks"));
  const problems = await checkNotebooks(environment, paths);
  for (const problem of problems) console.error(problem);
  console.error(`Notebooks checked: ${paths.length}, problems: ${problems.length}`);
  if (problems.length > 0) Deno.exit(1);
}
