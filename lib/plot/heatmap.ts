import type { ColorBar, LayoutAxis } from "plotly.js";
import { checkBoolean, checkOneOf } from "../tensor/internal.ts";
import {
  checkFigureOptions,
  checkMatrix,
  checkQuantity,
  checkQuantityOptions,
  checkRange,
  checkSameLength,
  checkStrings,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { formatColumn, formatNumber, formatPercent } from "./format.ts";
import { endsAround, jointExtent, minSpread, type Numbers } from "./numbers.ts";
import { chartNames, figureNames, type FigureOptions, type Quantity } from "./options.ts";
import {
  axisTitle,
  baseLayout,
  blues,
  categories,
  diverging,
  grays,
  lowerFirst,
  numberFormat,
  powerFormat,
  sequential,
} from "./style.ts";

/** Options of {@linkcode heatmap}. */
export interface HeatmapOptions extends FigureOptions {
  /** Meaning of the columns. */
  x: Quantity;
  /** Meaning of the rows; row 0 is at the top. */
  y: Quantity;
  /** Meaning of the numbers, and those at the ends of the colour scale. */
  value: Quantity & { range?: readonly [number, number] };
  /**
   * Names of the columns.
   *
   * @default their indices from 0
   */
  columnNames?: readonly string[];
  /**
   * Names of the rows.
   *
   * @default their indices from 0
   */
  rowNames?: readonly string[];
  /**
   * Whether each cell shows its number, in a heatmap of at most 1,600 cells.
   *
   * @default false
   */
  numbers?: boolean;
  /**
   * Colours of the numbers: "viridis" from dark to bright, "grays" from black to white, "blues"
   * from white to dark blue, "diverging" from blue over white at zero to red.
   *
   * @default "diverging" if there are negative and positive numbers and no `range`, else "viridis"
   */
  colors?: "viridis" | "grays" | "blues" | "diverging";
}

/**
 * Draws a matrix as coloured cells, row 0 at the top.
 *
 * @param values The rows of the matrix.
 * @param options The axes, names, title and size.
 * @throws {RangeError} If the matrix is empty, its rows differ in length, a number is not finite,
 * the names differ in number from the rows or columns, or the range does not ascend.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { heatmap } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = heatmap([[1, 2], [3, 4]], {
 *   x: { title: "Column" },
 *   y: { title: "Row" },
 *   value: { title: "Weight" },
 * });
 * assert.deepEqual(figure.data[0]?.z, [[1, 2], [3, 4]]);
 * assert.equal(figure.description, "Heatmap of weight, 2 rows by 2 columns, from 1 to 4.");
 * ```
 */
export function heatmap(values: readonly Numbers[], options: HeatmapOptions): Figure {
  const action = "Drawing a heatmap";
  checkFigureOptions<HeatmapOptions>(
    action,
    options,
    '{ x: { title: "Column" }, y: { title: "Row" }, value: { title: "Weight" } }',
    {
      ...chartNames,
      value: true,
      columnNames: true,
      rowNames: true,
      numbers: true,
      colors: true,
    },
  );
  const { x, y, value, numbers = false, columnNames, rowNames } = options;
  checkQuantity(action, "axis x", x);
  checkQuantity(action, "axis y", y);
  checkQuantityOptions<typeof value>(action, "value", value, {
    title: true,
    unit: true,
    range: true,
  });
  checkBoolean(action, "numbers", numbers);
  if (options.colors !== undefined) {
    checkOneOf(action, "colors", options.colors, ["viridis", "grays", "blues", "diverging"]);
  }
  const columns = checkMatrix(action, "values", values);
  if (columnNames) {
    checkStrings(action, "columnNames", columnNames);
    checkSameLength(action, ["the first row", values[0]!], ["columnNames", columnNames]);
  }
  if (rowNames) {
    checkStrings(action, "rowNames", rowNames);
    checkSameLength(action, ["each column", values], ["rowNames", rowNames]);
  }
  if (value.range) checkRange(action, value.range);
  const [min, max] = jointExtent(values);
  const bothSigns = value.range === undefined && min < 0 && max > 0;
  const { colors = bothSigns ? "diverging" : "viridis" } = options;
  const reach = Math.max(-min, max, minSpread([min, max]));
  const [zmin, zmax] = value.range ??
    (colors === "diverging" ? [-reach, reach] : colorEnds(min, max));
  return new Figure(
    [{
      type: "heatmap",
      z: values.map((row) => Array.from(row)),
      ...(columnNames ? { x: categories(columnNames, options).keys } : {}),
      ...(rowNames ? { y: categories(rowNames, options).keys } : {}),
      zmin,
      zmax,
      colorscale: colorScales[colors],
      colorbar: colorbar(value),
      ...(numbers && columns * values.length <= maxNumberedCells
        ? { text: cellTexts(values, digitsOf(min, max)), texttemplate: "%{text}" }
        : {}),
      ...zFormat,
      hovertemplate: `${axisTitle(y)} %{y}, ${lowerFirst(x)} %{x}: %{z}<extra></extra>`,
    }],
    {
      ...baseLayout(options),
      xaxis: cellAxis(x, columnNames, columns, options),
      yaxis: { ...cellAxis(y, rowNames, values.length, options), autorange: "reversed" },
    },
    options.description ??
      `Heatmap of ${lowerFirst(value)}, ${formatNumber(values.length)} rows by ${
          formatNumber(columns)
        } columns, ` +
        `from ${formatNumber(min)} to ${formatNumber(max)}.`,
  );
}

const colorScales = { viridis: sequential, grays, blues, diverging };

/** Numbers do not fit into more cells than this. */
const maxNumberedCells = 1600;

/** Format of a height in the hover text. */
export const zFormat: { zhoverformat: string } = { zhoverformat: numberFormat.hoverformat };

/** Returns the ends of a colour scale, which differ also for equal numbers. */
export function colorEnds(min: number, max: number): [number, number] {
  return max - min >= minSpread([min, max]) ? [min, max] : endsAround([min, max]);
}

/** Returns the numbers of cells as text, with equally many decimals. */
function cellTexts(rows: readonly Numbers[], digits: number): string[][] {
  const texts = formatColumn(rows.flatMap((row) => Array.from(row)), digits).values();
  return rows.map((row) => Array.from(row, () => texts.next().value!));
}

/** Returns a number of digits: three more than all numbers between two ends have in common. */
function digitsOf(min: number, max: number): number {
  const common = Math.log10(Math.max(-min, max) / (max - min));
  return Math.min(15, 3 + (common > 1 && common < Infinity ? Math.ceil(common) : 0));
}

/** The counts of more classes than this do not fit into their cells. */
const maxLabelledClasses = 25;

/** The cells of more classes than this are smaller than a pixel. */
const maxClasses = 1000;

/** Options of {@linkcode confusionMatrixPlot}. */
export type ConfusionMatrixPlotOptions = FigureOptions;

/**
 * Draws how often each true class (row) was predicted as each class (column).
 *
 * The numbers are counts. The colour is the fraction of the row, so that classes of different size
 * can be compared. With more than 25 classes only the hover text shows the counts.
 *
 * @param confusion Counts, `confusion[true class][predicted class]`.
 * @param classNames The name of each class.
 * @param options The title and size.
 * @throws {RangeError} If the matrix is empty, not square, of more than 1,000 classes, differs in
 * size from the names, or has a number that is not a count.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { confusionMatrixPlot } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = confusionMatrixPlot([[8, 2], [1, 9]], ["cat", "dog"]);
 * assert.deepEqual(figure.data[0]?.z, [[0.8, 0.2], [0.1, 0.9]]);
 * assert.match(figure.description, /17 of 20 images are right \(85 %\); .* cat taken for dog, 2 /);
 * ```
 */
export function confusionMatrixPlot(
  confusion: readonly Numbers[],
  classNames: readonly string[],
  options: ConfusionMatrixPlotOptions = {},
): Figure {
  const action = "Drawing a confusion matrix";
  checkFigureOptions<ConfusionMatrixPlotOptions>(action, options, '{ title: "Test set" }', {
    ...figureNames,
    height: true,
  });
  checkStrings(action, "classNames", classNames);
  if (!Array.isArray(confusion) && Object(confusion).confusion !== undefined) {
    throw new TypeError(
      `${action}: confusion must be an array of rows of numbers, found an evaluation. ` +
        "Pass evaluation.confusion.",
    );
  }
  const classes = checkMatrix(action, "confusion", confusion);
  checkSameLength(action, ["a row of confusion", confusion[0]!], ["classNames", classNames]);
  if (classes !== confusion.length) {
    throw new RangeError(
      `${action}: confusion must be square, found ${confusion.length} rows of ${classes} numbers.`,
    );
  }
  if (classes > maxClasses) {
    throw new RangeError(
      `${action}: the number of classes must be at most ${formatNumber(maxClasses)}, ` +
        `found ${formatNumber(classes)}. ` +
        "Add up the counts of related classes first.",
    );
  }
  const rows = confusion.map((row, truth) =>
    Array.from(row, (count, predicted) => {
      if (Number.isInteger(count) && count >= 0) return count;
      throw new RangeError(
        `${action}: confusion must be whole numbers of at least 0, ` +
          `found ${count} in row ${truth}, column ${predicted}.`,
      );
    })
  );
  const totals = rows.map((row) => row.reduce((sum, count) => sum + count, 0));
  const total = totals.reduce((sum, count) => sum + count, 0);
  const right = rows.reduce((sum, row, truth) => sum + row[truth]!, 0);
  const [truth, predicted, count] = worstMistake(rows);
  const { width = 700 } = options;
  const isLabelled = classes <= maxLabelledClasses;
  const height = options.height ?? (isLabelled ? Math.max(320, 130 + 38 * classes) : width);
  const { keys } = categories(classNames, options);
  return new Figure(
    [{
      type: "heatmap",
      x: keys,
      y: keys,
      z: rows.map((row, truth) => row.map((count) => count / Math.max(1, totals[truth]!))),
      text: rows.map((row) => row.map(String)),
      ...(isLabelled ? { texttemplate: "%{text}" } : {}),
      zmin: 0,
      zmax: 1,
      xgap: isLabelled ? 1 : 0,
      ygap: isLabelled ? 1 : 0,
      colorscale: blues,
      colorbar: { ...colorbar({ title: "Share of the row" }), tickformat: ".0%" },
      hovertemplate: "%{text} of %{y} taken for %{x}<extra></extra>",
    }],
    {
      ...baseLayout({ ...options, height }),
      xaxis: cellAxis({ title: "Predicted class" }, classNames, classes, options),
      yaxis: {
        ...cellAxis({ title: "True class" }, classNames, classes, options),
        autorange: "reversed",
      },
    },
    options.description ??
      `Confusion matrix of ${formatNumber(classes)} classes: ${formatNumber(right)} of ${
          formatNumber(total)
        } images are ` +
        `right (${formatPercent(right / Math.max(1, total))})` +
        (count === 0 ? "." : `; the most frequent mistake is ${classNames[truth]} taken for ` +
          `${classNames[predicted]}, ${formatNumber(count)} times.`),
  );
}

/** Returns the largest count off the diagonal: [true class, predicted class, count]. */
function worstMistake(rows: readonly number[][]): [number, number, number] {
  let worst: [number, number, number] = [0, 0, 0];
  rows.forEach((row, truth) =>
    row.forEach((count, predicted) => {
      if (truth !== predicted && count > worst[2]) worst = [truth, predicted, count];
    })
  );
  return worst;
}

/** Returns an axis along cells, without a grid and with a tick for each of at most 20 cells. */
function cellAxis(
  quantity: Quantity,
  names: readonly string[] | undefined,
  cells: number,
  options: FigureOptions,
): Partial<LayoutAxis> {
  return {
    title: { text: axisTitle(quantity) },
    ...(names ? categories(names, options).axis : numberFormat),
    ...(cells <= 20 ? { dtick: 1 } : {}),
    showgrid: false,
    tickcolor: "#ffffff",
    showline: false,
  };
}

/** Returns the colour scale beside a heatmap or contour plot. */
export function colorbar(value: Quantity): Partial<ColorBar> {
  return {
    title: { text: axisTitle(value), side: "right" },
    thickness: 14,
    outlinewidth: 0,
    ...powerFormat,
  };
}
