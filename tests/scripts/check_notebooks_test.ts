import assert from "node:assert/strict";
import { join } from "node:path";
import { checkNotebooks } from "../../scripts/check_notebooks.ts";
import { thisEnvironment } from "../../scripts/environment.ts";

/** The problems of a notebook with these code cells, all executed in order. */
async function check(
  sources: readonly string[],
  change: (cells: Record<string, unknown>[]) => void = () => {},
): Promise<string[]> {
  const cells = sources.map((source, index) => (
    { cell_type: "code", source, execution_count: index + 1, outputs: [] }
  ));
  change(cells);
  return await checkCells([
    { cell_type: "markdown", source: ["# A heading\n", "const notCode: any = 1;"] },
    ...cells,
  ]);
}

/** The problems of a notebook with these cells. */
async function checkCells(cells: readonly object[]): Promise<string[]> {
  const folder = await Deno.makeTempDir();
  const path = join(folder, "01_case.ipynb");
  await Deno.writeTextFile(path, JSON.stringify({ cells }));
  try {
    return await checkNotebooks(thisEnvironment(), [path]);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("checkNotebooks() finds no problem in a good notebook, and leaves no file behind", async () => {
  assert.deepEqual(
    await check([
      'import assert from "node:assert/strict";\nconst numbers = [1, 2] as const;\nnumbers[0]',
      "[3].length",
      "await Promise.resolve(numbers);\n// @ts-expect-error: a tuple of two has no third\nnumbers[2];",
      'import { ops } from "resnet-lab";\nassert.equal(ops.tensor(numbers).size, 2, "any as unknown");',
    ]),
    [],
  );
  const cache = join(thisEnvironment().root, ".cache");
  const left = Array.from(Deno.readDirSync(cache), ({ name }) => name)
    .filter((name) => name.startsWith("cells_"));
  assert.deepEqual(left, []);
});

Deno.test("checkNotebooks() shows a type error at its cell and line", async () => {
  const [problem, ...others] = await check(["const x = 1;", "\nconst y: string =\n  x;"]);
  assert.deepEqual(others, []);
  assert.match(problem!, /Type 'number' is not assignable to type 'string'/);
  assert.match(problem!, /at 01_case\.ipynb cell \[2\] line 2\b/);
});

Deno.test("checkNotebooks() refuses a name that is declared in two cells", async () => {
  const [problem] = await check(["const x = 1;", "const x = 2;"]);
  assert.match(problem!, /Cannot redeclare block-scoped variable 'x'/);
  assert.match(problem!, /cell \[1\] line 1\b[^]*cell \[2\] line 1\b/);
});

Deno.test("checkNotebooks() refuses casts and any, each at its cell and line", async () => {
  assert.deepEqual(
    await check([
      "const x: unknown = 1;\n\nconst y = x as number;",
      "function f(value: any) {\n  return value;\n}\nconst z = <number> f(x);",
    ]),
    [
      "01_case.ipynb cell [1] line 3: a notebook has no type casts",
      "01_case.ipynb cell [2] line 1: a notebook has no any",
      "01_case.ipynb cell [2] line 4: a notebook has no type casts",
    ],
  );
});

Deno.test("checkNotebooks() refuses a cell of more than 25 lines", async () => {
  assert.deepEqual(await check(["1;\n".repeat(25).trimEnd()]), []);
  assert.deepEqual(await check(["1;\n".repeat(26).trimEnd()]), [
    "01_case.ipynb cell [1]: 26 lines, at most 25 are allowed",
  ]);
});

Deno.test("checkNotebooks() refuses outputs that do not come from one run without an error", async () => {
  const refuses = async (change: (cells: Record<string, unknown>[]) => void, message: RegExp) => {
    const problems = await check(["1;", "2;"], change);
    assert.equal(problems.length, 1);
    assert.match(problems[0]!, message);
  };
  await refuses(
    ([, second]) => second!.execution_count = null,
    /cell \[2\]: not executed in order from the top \(npx --yes deno@2\.9\.6 task run 01 --write does it\)/,
  );
  await refuses(([, second]) => second!.execution_count = 5, /cell \[2\]: not executed in order/);
  await refuses(
    ([first]) => first!.outputs = [{ output_type: "error", ename: "RangeError" }],
    /cell \[1\]: its output is an error/,
  );
  await refuses(
    ([first]) => {
      const data = { "text/plain": ["Promise {\n", "  <pending>\n", "}"] };
      first!.outputs = [{ output_type: "execute_result", data }];
    },
    /cell \[1\]: its output is a Promise, so an await is missing/,
  );
});

/** An exercise of two cells: to return 2, and its solution. */
function exercise(solution: string, text = "○ two: not done yet"): Record<string, unknown>[] {
  return [
    {
      cell_type: "code",
      source: "function two(): number | undefined {\n  return undefined;\n}\ntwo();",
      metadata: { tags: ["exercise"] },
      execution_count: 1,
      outputs: [{ output_type: "execute_result", data: { "text/plain": [text] } }],
    },
    { cell_type: "markdown", source: solution, metadata: { tags: ["solution"] } },
  ];
}
const solved = (code: string) =>
  `<details><summary>Solution</summary>\n\n\`\`\`ts\n${code}\n\`\`\`\n\n\`\`\`text\n2\n\`\`\`\n</details>`;

Deno.test("checkNotebooks() checks the solution of an exercise in place of its cell", async () => {
  const good = "function two(): number {\n  return 2;\n}\ntwo();";
  const after = { cell_type: "code", source: "two();", execution_count: 2, outputs: [] };
  assert.deepEqual(await checkCells([...exercise(solved(good)), after]), []);
  const [wrongType, ...others] = await checkCells(
    exercise(solved('function two(): number {\n  return "2";\n}\ntwo();')),
  );
  assert.deepEqual(others, []);
  assert.match(wrongType!, /Type 'string' is not assignable to type 'number'/);
  assert.match(wrongType!, /at 01_case\.ipynb solution of cell \[1\] line 2\b/);
  assert.deepEqual(await checkCells(exercise(solved("const two = 2 as number;"))), [
    "01_case.ipynb solution of cell [1] line 1: a notebook has no type casts",
  ]);
  assert.deepEqual(await checkCells(exercise(solved(`${good}${"\n1;".repeat(22)}`))), [
    "01_case.ipynb solution of cell [1]: 26 lines, at most 25 are allowed",
  ]);
});

Deno.test("checkNotebooks() refuses an exercise that is not open, or has no solution below it", async () => {
  const at = "01_case.ipynb cell [1]:";
  const good = solved("function two(): number {\n  return 2;\n}\ntwo();");
  assert.deepEqual(await checkCells(exercise(good, "✓ two: 2")), [
    `${at} its exercise must be open, found ✓ two: 2`,
  ]);
  const [cell, solution] = exercise(good) as [Record<string, unknown>, Record<string, unknown>];
  assert.deepEqual(await checkCells([{ ...cell, outputs: [] }, solution]), [
    `${at} its exercise must be open, found no exercise`,
  ]);
  const text = { cell_type: "markdown", source: "Between." };
  assert.deepEqual(await checkCells([cell, text, solution]), [
    `${at} an exercise must have its solution in the next cell, a Markdown cell with the tag solution`,
    `${at} a solution must come directly below the cell of its exercise`,
  ]);
  assert.deepEqual(await checkCells(exercise("<details>No code.</details>")), [
    `${at} its solution must have one block of code that begins with \`\`\`ts, found none`,
  ]);
  assert.deepEqual(await checkCells(exercise(`${good}\n${good}`)), [
    `${at} its solution must have one block of code that begins with \`\`\`ts, found 2`,
  ]);
  const unfolded = good.replace(/<\/?(details|summary)>/g, "").trim();
  assert.deepEqual(await checkCells(exercise(unfolded)), [
    `${at} its solution must be folded, and begin with <details><summary>Solution</summary>`,
  ]);
});
