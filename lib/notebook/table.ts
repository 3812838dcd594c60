import { checkArray, checkInteger, checkOptions, checkString, show } from "../tensor/internal.ts";
import { type TableBundle, tableBundle, tableText, type TableView } from "../nn/internal.ts";
import type { MeanAndInterval } from "./statistics.ts";
import { formatColumn, formatInterval } from "../plot/internal.ts";

/** Options of {@linkcode table}. */
export interface TableOptions {
  /** Title above the table. */
  title?: string;
  /**
   * Columns to show, in this order.
   *
   * @default all columns
   */
  columns?: readonly string[];
  /**
   * Significant digits of the largest number of a column, from 1 to 17. Whole numbers keep all of
   * their digits.
   *
   * @default 4
   */
  digits?: number;
  /**
   * Columns of fractions to show in percent: 0.9031 as 90.31 %. `digits` counts those of the
   * percentage.
   *
   * @default none
   */
  percent?: readonly string[];
}

/** A table of results. A notebook shows it as HTML, `console.log` as aligned lines. */
export class Table {
  readonly #view: TableView;

  /** @internal */
  constructor(view: TableView) {
    this.#view = view;
  }

  /** Returns the table as aligned lines of text. */
  toString(): string {
    return tableText(this.#view);
  }

  /** Returns the text that `console.log` shows. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.toString();
  }

  /** Returns the table as HTML and as text, as a notebook stores it. */
  [Symbol.for("Jupyter.display")](): TableBundle {
    return tableBundle(this.#view);
  }
}

/**
 * Makes a table of results, one row per record, for a person to read: numbers are rounded and
 * aligned to the right, text to the left.
 *
 * The numbers of a column have equally many decimals, unless their sizes differ by more than a
 * factor of a hundred. A table is shown where it is the last expression of a cell; elsewhere
 * `await Deno.jupyter.display(table(…))` shows it.
 *
 * @param rows The rows as records, or a record of them, whose keys name the rows. A value is a
 * number, a text, a boolean, a mean with its interval from {@linkcode meanAndInterval} (shown as
 * "91.2 ± 0.4"), or missing.
 * @param options The title, the columns and the number of digits.
 * @throws {RangeError} If there is no row, or a column does not exist.
 * @throws {TypeError} If a row is no record, a value is of another kind, or an option does not
 * exist.
 *
 * @example
 * ```ts
 * import { table } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const runs = [
 *   { network: "LeNet", accuracy: 0.90312, parameters: 61_706 },
 *   { network: "ResNet-18", accuracy: 0.935, parameters: 11_181_642 },
 * ];
 * assert.equal(
 *   String(table(runs)),
 *   [
 *     "network    accuracy  parameters",
 *     "───────────────────────────────",
 *     "LeNet        0.9031      61,706",
 *     "ResNet-18    0.9350  11,181,642",
 *   ].join("\n"),
 * );
 * ```
 */
export function table(
  rows: readonly object[] | Readonly<Record<string, object>>,
  options: TableOptions = {},
): Table {
  const action = "Making a table";
  checkOptions<TableOptions>(action, options, '{ columns: ["network", "loss"] }', {
    title: true,
    columns: true,
    digits: true,
    percent: true,
  });
  const { title, columns, digits = 4, percent = [] } = options;
  if (title !== undefined) checkString(action, "title", title);
  checkInteger(action, "digits", digits, 1, 17);
  const records = checkRows(action, rows);
  const names = [...new Set(records.flatMap(Object.keys))];
  if (columns !== undefined) checkColumns(action, "columns", columns, names);
  checkColumns(action, "percent", percent, names);
  const shown = (columns ?? names).map((name) => {
    const values = records.map((record) => Reflect.get(record, name));
    return percent.includes(name)
      ? column(action, name, values.map(hundredfold), digits, " %")
      : column(action, name, values, digits);
  });
  if (!Array.isArray(rows)) {
    shown.unshift({ name: "", align: "left", cells: Object.keys(rows) });
  }
  return new Table({
    title,
    columns: shown,
    rows: records.map((_, row) => shown.map(({ cells }) => cells[row]!)),
  });
}

/** Returns the records of a table. */
function checkRows(action: string, rows: unknown): object[] {
  const isRecord = (value: unknown): value is object =>
    typeof value === "object" && value !== null && !Array.isArray(value);
  if (!Array.isArray(rows) && !isRecord(rows)) {
    throw new TypeError(
      `${action}: rows must be an array of records such as [{ network: "LeNet", loss: 0.3 }], ` +
        `found ${show(rows)}.`,
    );
  }
  const entries = Object.entries(rows);
  if (entries.length === 0) {
    throw new RangeError(`${action}: rows must be at least one record, found none.`);
  }
  return entries.map(([name, row]) => {
    if (isRecord(row)) return row;
    throw new TypeError(
      `${action}: row ${Array.isArray(rows) ? name : `"${name}"`} must be a record such as ` +
        `{ loss: 0.3 }, found ${show(row)}.`,
    );
  });
}

function hundredfold(value: unknown): unknown {
  if (isInterval(value)) return { mean: 100 * value.mean, halfWidth: 100 * value.halfWidth };
  return typeof value === "number" ? 100 * value : value;
}

/** Tells whether a value is a mean with its interval. */
function isInterval(value: unknown): value is Pick<MeanAndInterval, "mean" | "halfWidth"> {
  return typeof value === "object" && value !== null && "mean" in value && "halfWidth" in value &&
    typeof value.mean === "number" && typeof value.halfWidth === "number";
}

function checkColumns(
  action: string,
  option: string,
  columns: readonly string[],
  names: readonly string[],
): void {
  checkArray(action, option, columns);
  for (const column of columns) {
    if (names.includes(column)) continue;
    throw new RangeError(
      `${action}: ${option} must be among ${names.map((name) => show(name)).join(", ")}, found ` +
        `${show(column)}.`,
    );
  }
}

/** A number as text, with a sign, a percent sign, a unit or an interval. */
const NUMBER = /^[-−+±]? ?\d[\d,.]*(?:e[-−+]?\d+)?(?: ± [\d,.]+)?(?: (?:%|\p{L}+))?$/u;

/** Returns the cells of a column as text, and their alignment. */
function column(
  action: string,
  name: string,
  values: readonly unknown[],
  digits: number,
  unit = "",
): { name: string; align: "left" | "right"; cells: readonly string[] } {
  const numbers = values.filter((value) => typeof value === "number");
  const formatted = formatColumn(numbers, digits).values();
  const cells = values.map((value, row) => {
    if (value === undefined || value === null) return "";
    if (typeof value === "number") return `${formatted.next().value!}${unit}`;
    if (isInterval(value)) return `${formatInterval(value.mean, value.halfWidth)}${unit}`;
    if (["string", "boolean", "bigint"].includes(typeof value)) return String(value);
    throw new TypeError(
      `${action}: ${name} of row ${row} must be a number or a text, found ${show(value)}.`,
    );
  });
  const isNumber = (cell: string, row: number) =>
    typeof values[row] === "number" || cell === "" || cell === "NaN" || NUMBER.test(cell);
  const align = cells.some((cell) => cell !== "") && cells.every(isNumber) ? "right" : "left";
  return { name, align, cells };
}
