/** Tables of text, as aligned lines and as HTML: the form of `summary` and of `table`. */

/** A table whose cells are text. */
export interface TableView {
  /** Title above the table. */
  readonly title?: string;
  /** Name of each column, and the side to which its cells are aligned. */
  readonly columns: readonly { readonly name: string; readonly align: "left" | "right" }[];
  /** Cells of each row. */
  readonly rows: readonly (readonly string[])[];
  /** Cells of the last rows, below a line. */
  readonly totals?: readonly (readonly string[])[];
}

/** The forms in which a notebook stores a table. */
export interface TableBundle {
  /** The table as HTML. */
  "text/html": string;
  /** The table as aligned lines. */
  "text/plain": string;
}

/** Longer text is broken into lines where the window is narrow. */
const MAX_LINE = 24;

/** Returns the forms of a table that a notebook stores. */
export function tableBundle(view: TableView): TableBundle {
  return { "text/html": tableHtml(view), "text/plain": tableText(view) };
}

/** Lays out a table as lines of text. */
export function tableText({ title, columns, rows, totals = [] }: TableView): string {
  const header = columns.map(({ name }) => name);
  const all = [header, ...rows, ...totals];
  const widths = columns.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    row.map((cell, column) =>
      columns[column]!.align === "left"
        ? cell.padEnd(widths[column]!)
        : cell.padStart(widths[column]!)
    ).join("  ").trimEnd();
  const rule = "─".repeat(widths.reduce((total, width) => total + width + 2, -2));
  return [
    ...(title === undefined ? [] : [title, ""]),
    line(header),
    rule,
    ...rows.map(line),
    ...(totals.length > 0 ? [rule] : []),
    ...totals.map(line),
  ].join("\n");
}

/**
 * Lays out a table as HTML. A table that is wider than the window scrolls in its own box.
 *
 * All styles are attributes of the elements, because Jupyter removes style sheets from the outputs
 * of a notebook that is not trusted yet, and its own rules would align text to the right.
 */
export function tableHtml({ title, columns, rows, totals = [] }: TableView): string {
  const line = "1px solid var(--jp-border-color1, #999)";
  const row = (tag: "td" | "th", cells: readonly string[], border = "") =>
    `<tr>${
      cells.map((cell, column) => {
        const { align } = columns[column]!;
        const wrap = tag === "th"
          ? "normal; vertical-align: bottom"
          : cell.length > MAX_LINE
          ? "normal; min-width: 12em"
          : "nowrap";
        return `<${tag} style="text-align: ${align}; white-space: ${wrap}; padding: 3px 12px 3px 0` +
          `${border}">${escapeHtml(cell)}</${tag}>`;
      }).join("")
    }</tr>`;
  const below = `; border-bottom: ${line}`, above = `; border-top: ${line}`;
  return [
    '<div style="overflow-x: auto; max-width: 100%">',
    '<table style="border-collapse: collapse; font-variant-numeric: tabular-nums; margin: 4px 0">',
    ...(title === undefined ? [] : [
      '<caption style="caption-side: top; text-align: left; font-weight: bold; padding: 4px 0">' +
      `${escapeHtml(title)}</caption>`,
    ]),
    `<thead>${row("th", columns.map(({ name }) => name), below)}</thead>`,
    "<tbody>",
    ...rows.map((cells) => row("td", cells)),
    ...totals.map((cells, i) => row("td", cells, i === 0 ? above : "")),
    "</tbody>",
    "</table>",
    "</div>",
  ].join("\n");
}

/** Escapes the letters that HTML reads as markup. */
export function escapeHtml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
