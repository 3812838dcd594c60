import assert from "node:assert/strict";
import plugin from "../../scripts/comment_rules.ts";

/** The lines that the rule comments/max-width reports in a program. */
function reportedLines(program: string): number[] {
  return Deno.lint.runPlugin(plugin, "program.ts", program)
    .map(({ range: [start] }) => program.slice(0, start).split("\n").length);
}

const wide = "word ".repeat(20) + "word";

Deno.test("comments/max-width reports each comment line above 100 columns", () => {
  assert.deepEqual(reportedLines(`// ${wide}\nlet a; // short\n`), [1]);
  assert.deepEqual(reportedLines(`/** ${wide} */\nlet a;\n`), [1]);
  assert.deepEqual(reportedLines(`/**\n * Short.\n * ${wide}\n * ${wide}\n */\nlet a;\n`), [3, 4]);
  assert.deepEqual(reportedLines(`let a; // @ts-expect-error: ${wide}\n`), [1]);
});

Deno.test("comments/max-width counts the code before a comment", () => {
  assert.deepEqual(reportedLines(`const text = "${"x".repeat(80)}"; // two words\n`), [1]);
});

Deno.test("comments/max-width accepts 100 columns, and a line that has no space to break at", () => {
  assert.deepEqual(reportedLines(`// ${"ab ".repeat(32)}c\nlet a;\n`), []);
  assert.deepEqual(reportedLines(`// https://example.org/${"x".repeat(100)}\nlet a;\n`), []);
  assert.deepEqual(reportedLines(`/** ${"x".repeat(100)} */\nlet a;\n`), []);
  assert.deepEqual(reportedLines(`const text = "// ${wide}";\n`), []);
});
