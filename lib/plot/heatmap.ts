import type { ColorBar, LayoutAxis } from "plotly.js";
import { Figure } from "./figure.ts";
import {
  endsAround,
  jointExtent,
  leastSpread,
  type Numbers,
  requireMatrix,
  requireRange,
  requireSameLength,
  say,
} from "./numbers.ts";
import {
  axisTitle,
  blues,
  categories,
  chartNames,
  checkFigure,
  checkQuantity,
  diverging,
  figureNames,
  type FigureOptions,
  frame,
  inSentence,
  numberFormat,
  type Quantity,
  requireBoolean,
  requireQuantity,
  requireTexts,
  sequential,
} from "./style.ts";

/** What `heatmap` takes beside its values. */
export interface HeatmapOptions extends FigureOptions {
  /** What the columns are. */
  x: Quantity;
  /** What the rows are; row 0 is at the top. */
  y: Quantity;
  /** What a cell's number means, and the numbers at the ends of the colour scale. */
  value: Quantity & { range?: readonly [number, number] };
  /** The names of the columns; by default their numbers from 0. */
  columnNames?: readonly string[];
  /** The names of the rows; by default their numbers from 0. */
  rowNames?: readonly string[];
  /** Whether each number is written in its cell, if the largest has room there. */
  numbers?: boolean;
}

/**
 * Draws a matrix as coloured cells, row 0 at the top.
 *
 * Where there are numbers on both sides of zero and no `range`, zero is white, negative numbers
 * are blue and positive ones red; otherwise dark is small and bright is large.
 *
 * @param values The rows of the matrix.
 * @param options The axes, names, title and size.
 * @throws {RangeError} If the matrix is empty, its rows differ in length, a number is not finite,
 * there are not as many names as rows or columns, or the range does not ascend.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing a heatmap";
  checkFigure<HeatmapOptions>(
    doing,
    options,
    '{ x: { title: "Column" }, y: { title: "Row" }, value: { title: "Weight" } }',
    {
      ...chartNames,
      value: true,
      columnNames: true,
      rowNames: true,
      numbers: true,
    },
  );
  const { x, y, value, numbers = false, columnNames, rowNames } = options;
  requireQuantity(doing, "axis x", x);
  requireQuantity(doing, "axis y", y);
  checkQuantity<typeof value>(doing, "value", value, { title: true, unit: true, range: true });
  requireBoolean(doing, "numbers", numbers);
  const columns = requireMatrix(doing, "values", values);
  if (columnNames) {
    requireTexts(doing, "columnNames", columnNames);
    requireSameLength(doing, ["the first row", values[0]!], ["columnNames", columnNames]);
  }
  if (rowNames) {
    requireTexts(doing, "rowNames", rowNames);
    requireSameLength(doing, ["each column", values], ["rowNames", rowNames]);
  }
  if (value.range) requireRange(doing, value.range);
  const [min, max] = jointExtent(values);
  const bothSigns = value.range === undefined && min < 0 && max > 0;
  const reach = Math.max(-min, max);
  const [zmin, zmax] = bothSigns ? [-reach, reach] : value.range ?? colorEnds(min, max);
  return new Figure(
    [{
      type: "heatmap",
      z: values.map((row) => Array.from(row)),
      ...(columnNames ? { x: categories(columnNames, options).keys } : {}),
      ...(rowNames ? { y: categories(rowNames, options).keys } : {}),
      zmin,
      zmax,
      colorscale: bothSigns ? diverging : sequential,
      colorbar: colorbar(value, [zmin, zmax]),
      ...(numbers && columns * values.length <= mostWritten
        ? { texttemplate: `%{z:.${digitsOf(min, max)}~g}` }
        : {}),
      ...zFormat,
      hovertemplate: `${axisTitle(y)} %{y}, ${inSentence(x)} %{x}: %{z}<extra></extra>`,
    }],
    {
      ...frame(options),
      xaxis: cellAxis(x, columnNames, columns, options),
      yaxis: { ...cellAxis(y, rowNames, values.length, options), autorange: "reversed" },
    },
    options.description ??
      `Heatmap of ${inSentence(value)}, ${say(values.length)} rows by ${say(columns)} columns, ` +
        `from ${say(min)} to ${say(max)}.`,
  );
}

/** With more cells than this no number has room in one. */
const mostWritten = 1600;

/** How a height is written when the mouse is over it. */
export const zFormat = { zhoverformat: numberFormat.hoverformat };

/** The ends of a colour scale; those of equal numbers are around them. */
export function colorEnds(min: number, max: number): [number, number] {
  return max - min >= leastSpread([min, max]) ? [min, max] : endsAround([min, max]);
}

/** Three digits, and those that all numbers between two ends have in common. */
function digitsOf(min: number, max: number): number {
  const common = Math.log10(Math.max(-min, max) / (max - min));
  return Math.min(15, 3 + (common > 1 && common < Infinity ? Math.ceil(common) : 0));
}

/** The counts of more classes than this have no room in their cells. */
const mostWrittenClasses = 25;

/** The cells of more classes than this are smaller than a pixel. */
const mostClasses = 1000;

/** What `confusionMatrixPlot` takes beside its counts. */
export type ConfusionMatrixPlotOptions = FigureOptions;

/**
 * Draws how often each true class (rows) was taken for each predicted class (columns).
 *
 * The numbers are counts; the colour is the share of the row, so that classes with few images are
 * judged like those with many. Of more than 25 classes the counts are not written in the cells,
 * where they have no room, but shown under the mouse.
 *
 * @param confusion Counts, `confusion[true class][predicted class]`.
 * @param classNames The name of each class.
 * @param options The title and size.
 * @throws {RangeError} If the matrix is empty, not square, not as large as there are names, of more
 * than 1,000 classes, or holds something else than counts.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing a confusion matrix";
  checkFigure<ConfusionMatrixPlotOptions>(doing, options, '{ title: "Test set" }', {
    ...figureNames,
    height: true,
  });
  requireTexts(doing, "classNames", classNames);
  const classes = requireMatrix(doing, "confusion", confusion);
  requireSameLength(doing, ["a row of confusion", confusion[0]!], ["classNames", classNames]);
  if (classes !== confusion.length) {
    throw new RangeError(
      `${doing}: expected a square matrix, found ${confusion.length} rows of ${classes} numbers`,
    );
  }
  if (classes > mostClasses) {
    throw new RangeError(
      `${doing}: there must be at most ${say(mostClasses)} classes, found ${say(classes)}. ` +
        "Add up the counts of related classes first.",
    );
  }
  const rows = confusion.map((row, truth) =>
    Array.from(row, (count, predicted) => {
      if (Number.isInteger(count) && count >= 0) return count;
      throw new RangeError(
        `${doing}: expected counts, found ${count} in row ${truth}, column ${predicted}`,
      );
    })
  );
  const totals = rows.map((row) => row.reduce((sum, count) => sum + count, 0));
  const total = totals.reduce((sum, count) => sum + count, 0);
  const right = rows.reduce((sum, row, truth) => sum + row[truth]!, 0);
  const [truth, predicted, count] = worstMistake(rows);
  const share = (part: number, whole: number) =>
    `${Number((100 * part / Math.max(1, whole)).toPrecision(3))} %`;
  const { width = 700 } = options;
  const written = classes <= mostWrittenClasses;
  const height = options.height ?? (written ? Math.max(320, 130 + 38 * classes) : width);
  const { keys } = categories(classNames, options);
  return new Figure(
    [{
      type: "heatmap",
      x: keys,
      y: keys,
      z: rows.map((row, truth) => row.map((count) => count / Math.max(1, totals[truth]!))),
      text: rows.map((row) => row.map(String)),
      ...(written ? { texttemplate: "%{text}" } : {}),
      zmin: 0,
      zmax: 1,
      xgap: written ? 1 : 0,
      ygap: written ? 1 : 0,
      colorscale: blues,
      colorbar: { ...colorbar({ title: "Share of the row" }, [0, 1]), tickformat: ".0%" },
      hovertemplate: "%{text} of %{y} taken for %{x}<extra></extra>",
    }],
    {
      ...frame({ ...options, height }),
      xaxis: cellAxis({ title: "Predicted class" }, classNames, classes, options),
      yaxis: {
        ...cellAxis({ title: "True class" }, classNames, classes, options),
        autorange: "reversed",
      },
    },
    options.description ??
      `Confusion matrix of ${say(classes)} classes: ${say(right)} of ${say(total)} images are ` +
        `right (${share(right, total)})` +
        (count === 0 ? "." : `; the most frequent mistake is ${classNames[truth]} taken for ` +
          `${classNames[predicted]}, ${say(count)} times.`),
  );
}

/** The largest count off the diagonal and where it is: [true class, predicted class, count]. */
function worstMistake(rows: readonly number[][]): [number, number, number] {
  let worst: [number, number, number] = [0, 0, 0];
  rows.forEach((row, truth) =>
    row.forEach((count, predicted) => {
      if (truth !== predicted && count > worst[2]) worst = [truth, predicted, count];
    })
  );
  return worst;
}

/** An axis along cells: a tick in the middle of each cell while there is room, no grid. */
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

/** The scale beside a heatmap or contour plot, from and to these numbers. */
export function colorbar(
  value: Quantity,
  [min, max]: readonly [number, number],
): Partial<ColorBar> {
  const size = Math.max(-min, max);
  return {
    title: { text: axisTitle(value), side: "right" },
    thickness: 14,
    outlinewidth: 0,
    // plotly.js has no letter for such numbers, or writes more digits than have room.
    ...(size >= 1e15 || size < 1e-6 ? { exponentformat: "power" } : {}),
  };
}
