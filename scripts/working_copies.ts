import { createHash } from "node:crypto";
import { cp } from "node:fs/promises";
import { basename, join } from "node:path";
import { exists, writeAtomically } from "./environment.ts";
import { notebooksIn } from "./run.ts";

/** A notebook file, in the format nbformat 4.5. */
export interface Notebook {
  readonly cells: readonly Cell[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly nbformat: number;
  readonly nbformat_minor: number;
}

/** A cell of a {@linkcode Notebook}. Only code cells have a count and outputs. */
export interface Cell {
  readonly id: string;
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly metadata: { readonly tags?: readonly string[]; readonly jupyter?: object };
  readonly execution_count?: number | null;
  readonly outputs?: readonly object[];
}

/**
 * Makes the copies of notebooks that the folder of the learner lacks. A file that is there is never
 * written. Folders beside the notebooks, such as images, are copied as well, so that relative paths
 * hold.
 *
 * @param typescript The version of TypeScript that the kernel reports. JupyterLab stores it in each
 * notebook that it opens; in a copy that has it already, opening changes nothing.
 * @returns The names of the notebooks of which the original has changed since its copy was made.
 */
export async function makeWorkingCopies(
  originals: string,
  copies: string,
  typescript = Deno.version.typescript,
): Promise<string[]> {
  await Deno.mkdir(copies, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(originals)) {
    if (!isDirectory || name.startsWith(".")) continue;
    // Not a link, because Jupyter serves no file that a link outside of its folder leads to.
    await cp(join(originals, name), join(copies, name), { recursive: true, force: false });
  }
  const changed: string[] = [];
  for (const path of notebooksIn(originals)) {
    const original: Notebook = JSON.parse(await Deno.readTextFile(path));
    const copy = join(copies, basename(path));
    if (!exists(copy)) {
      const text = JSON.stringify(workingCopy(original, typescript), null, 1);
      await writeAtomically(copy, `${text}\n`);
    } else if (await isOutdated(copy, contentHash(original))) changed.push(basename(path));
  }
  return changed;
}

/**
 * Returns a notebook to work in: without outputs, with solutions folded, and with a cell for one's
 * own code before the solution of each exercise.
 */
export function workingCopy(original: Notebook, typescript: string): Notebook {
  const cells: Cell[] = [];
  let exercise = 0;
  for (const cell of original.cells) {
    if (!isSolution(cell)) {
      cells.push(cleared(cell));
      continue;
    }
    const previous = cells.at(-1);
    // A solution may have several cells.
    if (previous && !isSolution(previous)) cells.push(exerciseCell(cell.id, ++exercise));
    const jupyter = { ...cell.metadata.jupyter, source_hidden: true };
    cells.push(cleared({ ...cell, metadata: { ...cell.metadata, jupyter } }));
  }
  const { language_info } = original.metadata;
  return {
    ...original,
    cells,
    metadata: {
      ...original.metadata,
      ...(language_info instanceof Object
        ? { language_info: { ...language_info, version: typescript } }
        : {}),
      resnet_lab: { original: contentHash(original) },
    },
  };
}

function isSolution({ cell_type, metadata }: Cell): boolean {
  return cell_type === "code" && metadata.tags?.includes("solution") === true;
}

function cleared(cell: Cell): Cell {
  return cell.cell_type === "code" ? { ...cell, execution_count: null, outputs: [] } : cell;
}

function exerciseCell(solution: string, exercise: number): Cell {
  return {
    ...{ id: `${solution}-own`, cell_type: "code", metadata: { tags: ["exercise"] } },
    ...{ execution_count: null, outputs: [], source: `// Exercise ${exercise}: your own code\n` },
  };
}

/** Returns a hash of what a learner sees of a notebook before running it: the cells, no outputs. */
function contentHash({ cells }: Notebook): string {
  const content = cells.map(({ cell_type, source, metadata }) => [
    cell_type,
    [source].flat().join(""),
    metadata.tags ?? [],
  ]);
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

/** Whether a copy was made of another version of its original than that with this hash. */
async function isOutdated(copy: string, hash: string): Promise<boolean> {
  try {
    const { metadata } = JSON.parse(await Deno.readTextFile(copy));
    const made = metadata.resnet_lab?.original;
    return made !== undefined && made !== hash;
  } catch {
    // The file may be anything, since it is the learner's.
    return false;
  }
}
