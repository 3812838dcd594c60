import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { commandOf } from "../lib/tensor/installation.ts";
import { findSolutions } from "./exercises.ts";
import { type Environment, run, scratchFolder, thisEnvironment } from "./environment.ts";
import { notebooksIn } from "./run.ts";

/** The part of a notebook file that is checked here. */
export interface CheckedNotebook {
  readonly cells: readonly {
    readonly cell_type: string;
    readonly source: string | readonly string[];
    readonly metadata?: { readonly tags?: readonly string[] };
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
  /** For each line of the module: the cell and the line in it, from 1. */
  readonly origin: readonly { readonly cell: CodeCell; readonly line: number }[];
}

/** A cell that is not empty, or the solution that takes its place. */
export interface CodeCell extends Omit<CheckedNotebook["cells"][number], "source"> {
  /** The name of the cell in messages: `cell [3]`, `solution of cell [3]`. */
  readonly name: string;
  /** The index among all cells. */
  readonly index: number;
  readonly source: string;
  readonly isSolution: boolean;
}

const maxCellLines = 25;

/**
 * Joins cells. `void 0;` ends a cell whose last line has no semicolon, so that its last statement
 * does not continue in the next cell.
 */
export function joinCells(cells: readonly CodeCell[]): Omit<Module, "name"> {
  const lines: string[] = [];
  const origin: { cell: CodeCell; line: number }[] = [];
  for (const cell of cells) {
    [...cell.source.split("\n"), "void 0;"].forEach((text, line) => {
      lines.push(text);
      origin.push({ cell, line: line + 1 });
    });
  }
  // Makes a module even without an import, because only modules have top-level await.
  return { text: [...lines, "export {};", ""].join("\n"), origin };
}

export function codeCells({ cells }: CheckedNotebook): CodeCell[] {
  return cells
    .map((cell, index) => ({ ...cell, index, source: joined(cell.source), isSolution: false }))
    .filter(({ cell_type, source }) => cell_type === "code" && source.trim() !== "")
    .map((cell, number) => ({ ...cell, name: `cell [${number + 1}]` }));
}

/** The code cells with each exercise solved. Empty if the notebook has no folded solutions. */
export function solvedCells(notebook: CheckedNotebook): CodeCell[] {
  const { solutions } = findSolutions(notebook.cells);
  if (solutions.length === 0) return [];
  const codes = new Map(solutions.map(({ exercise, code }) => [exercise, code]));
  return codeCells(notebook).map((cell) => {
    const source = codes.get(cell.index);
    if (source === undefined) return cell;
    return { ...cell, source, name: `solution of ${cell.name}`, isSolution: true };
  });
}

/** Joins a text, which nbformat stores as a string or as lines. */
function joined(text: string | readonly string[]): string {
  return typeof text === "string" ? text : text.join("");
}

/**
 * Returns the problems of a notebook as a document: cells that are too long, exercises that are not
 * open or have no solution, and outputs that do not come from one run without an error.
 */
function documentProblems(name: string, notebook: CheckedNotebook): string[] {
  const problems: string[] = [];
  const cells = codeCells(notebook);
  const at = (cell: { name: string }) => `${name} ${cell.name}:`;
  for (const cell of [...cells, ...solvedCells(notebook).filter(({ isSolution }) => isSolution)]) {
    const length = cell.source.split("\n").length;
    if (length > maxCellLines) {
      problems.push(`${at(cell)} ${length} lines, at most ${maxCellLines} are allowed`);
    }
  }
  cells.forEach((cell, number) => {
    const { execution_count, outputs = [], metadata } = cell;
    if (execution_count !== number + 1) {
      problems.push(
        `${at(cell)} not executed in order from the top (${commandOf("run")} ${
          name.split("_")[0]
        } --write does it)`,
      );
    }
    if (outputs.some(({ output_type }) => output_type === "error")) {
      problems.push(`${at(cell)} its output is an error`);
    }
    const texts = outputs.map(({ data }) => joined(data?.["text/plain"] ?? ""));
    if (texts.some((text) => text.startsWith("Promise {"))) {
      problems.push(`${at(cell)} its output is a Promise, so an await is missing`);
    }
    if (metadata?.tags?.includes("exercise") && !texts.at(-1)?.startsWith("○ ")) {
      problems.push(
        `${at(cell)} its exercise must be open, found ${texts.at(-1) || "no exercise"}`,
      );
    }
  });
  for (const { cell, message } of findSolutions(notebook.cells).problems) {
    const before = cells.findLast(({ index }) => index <= cell);
    problems.push(`${before ? at(before) : `${name}:`} ${message}`);
  }
  return problems;
}

/** Checks notebooks. Returns their problems, each with notebook, cell and line. */
export async function checkNotebooks(
  environment: Environment,
  paths: readonly string[],
): Promise<string[]> {
  if (paths.length === 0) return [];
  const problems: string[] = [];
  const plain = new Map<string, CodeCell[]>(), solved = new Map<string, CodeCell[]>();
  for (const path of paths) {
    const notebook: CheckedNotebook = JSON.parse(await Deno.readTextFile(path));
    const name = basename(path);
    problems.push(...documentProblems(name, notebook));
    plain.set(name, codeCells(notebook));
    const cells = solvedCells(notebook);
    if (cells.length > 0) solved.set(name, cells);
  }
  const inCells = await codeProblems(environment, plain);
  // With their solutions the notebooks are checked again, unless that would repeat problems.
  const inSolutions = inCells.length === 0 ? await codeProblems(environment, solved) : [];
  return [...problems, ...inCells, ...inSolutions];
}

/** Lints and type-checks the cells of notebooks, each as one module. */
async function codeProblems(
  environment: Environment,
  notebooks: ReadonlyMap<string, readonly CodeCell[]>,
): Promise<string[]> {
  if (notebooks.size === 0) return [];
  await using scratch = await scratchFolder(environment.root, "cells_");
  const folder = scratch.path;
  const modules = new Map<string, Module>();
  for (const [name, cells] of notebooks) {
    const module = { name, ...joinCells(cells) };
    const file = join(folder, `${name}.ts`);
    await Deno.writeTextFile(file, module.text);
    modules.set(pathToFileURL(file).href, module);
  }
  const problems = [...await lint(environment, folder), ...await typeCheck(environment, folder)];
  return problems.map((problem) => locate(problem, modules));
}

/** Names the notebook, cell and line where a message names the file and line of a module. */
function locate(message: string, modules: ReadonlyMap<string, Module>): string {
  return message.replace(/(file:\/\/\S+?\.ts):(\d+)(:\d+)?/g, (whole, file, line) => {
    const module = modules.get(file);
    const origin = module?.origin[Number(line) - 1];
    return module && origin ? `${module.name} ${origin.cell.name} line ${origin.line}` : whole;
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
