/**
 * Exercises of notebooks: a code cell with the tag `exercise`, whose last expression is a call of
 * `exercise`, and directly below it a Markdown cell with the tag `solution`, folded, whose block of
 * TypeScript is the whole cell, solved.
 */

/** The part of a notebook's cell that is read here. */
interface Cell {
  readonly cell_type: string;
  readonly source: string | readonly string[];
  readonly metadata?: { readonly tags?: readonly string[] };
}

/** The solution of an exercise. */
export interface Solution {
  /** The index of the exercise's cell in the notebook. */
  readonly exercise: number;
  /** The code to run in place of that cell. */
  readonly code: string;
}

/** Returns the solutions of the exercises of a notebook, and the problems of those without one. */
export function findSolutions(
  cells: readonly Cell[],
): { solutions: Solution[]; problems: { cell: number; message: string }[] } {
  const solutions: Solution[] = [], problems: { cell: number; message: string }[] = [];
  const isExercise = (cell: Cell | undefined) => hasTag(cell, "code", "exercise");
  const isSolution = (cell: Cell | undefined) => hasTag(cell, "markdown", "solution");
  cells.forEach((cell, index) => {
    const below = cells[index + 1];
    if (isSolution(cell) && !isExercise(cells[index - 1])) {
      problems.push({
        cell: index,
        message: "a solution must come directly below the cell of its exercise",
      });
    }
    if (!isExercise(cell)) return;
    if (!below || !isSolution(below)) {
      problems.push({
        cell: index,
        message: "an exercise must have its solution in the next cell, a Markdown cell with the " +
          "tag solution",
      });
      return;
    }
    if (!textOf(below.source).startsWith("<details>")) {
      problems.push({
        cell: index,
        message: "its solution must be folded, and begin with <details><summary>Solution</summary>",
      });
    }
    const blocks = codeBlocks(below.source);
    if (blocks.length === 1) solutions.push({ exercise: index, code: blocks[0]! });
    else {
      problems.push({
        cell: index,
        message: `its solution must have one block of code that begins with \`\`\`ts, found ${
          blocks.length || "none"
        }`,
      });
    }
  });
  return { solutions, problems };
}

function hasTag(cell: Cell | undefined, type: string, tag: string): boolean {
  return cell?.cell_type === type && cell.metadata?.tags?.includes(tag) === true;
}

/** Returns the blocks of TypeScript in a text of Markdown. */
function codeBlocks(source: string | readonly string[]): string[] {
  return Array.from(textOf(source).matchAll(/^```ts\n([^]*?)\n```$/gm), ([, code]) => code!);
}

function textOf(source: string | readonly string[]): string {
  return typeof source === "string" ? source : source.join("");
}
