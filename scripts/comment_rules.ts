/** Lint rule for comments, because `deno fmt` wraps code only. */
const plugin: Deno.lint.Plugin = {
  name: "comments",
  rules: {
    "max-width": {
      create(context) {
        const { sourceCode } = context;
        return {
          Program() {
            for (const { range: [start, end] } of sourceCode.getAllComments()) {
              for (const line of linesOf(sourceCode.text, start, end)) {
                if (line.columns <= maxColumns || !canBreak(line.comment)) continue;
                const message = `comment line of ${line.columns} columns, at most ${maxColumns}`;
                context.report({ range: line.range, message });
              }
            }
          },
        };
      },
    },
  },
};

const maxColumns = 100;

/** Splits a comment into its lines. The code before it counts towards the columns. */
function* linesOf(text: string, start: number, end: number) {
  while (start < end) {
    const lineStart = text.lastIndexOf("\n", start - 1) + 1;
    const newline = text.indexOf("\n", start);
    const lineEnd = newline === -1 ? end : Math.min(newline, end);
    const columns = Array.from(text.slice(lineStart, lineEnd)).length;
    const range: [number, number] = [start, lineEnd];
    yield { columns, comment: text.slice(start, lineEnd), range };
    start = lineEnd + 1;
  }
}

/** Whether a line of a comment has a space to break at after its first word. */
function canBreak(comment: string): boolean {
  return /\S\s+\S/.test(comment.replace(/^\s*(\/\/|\/\*+|\*)?\s*|\s*\*\/$/g, ""));
}

export default plugin;
