import type { Annotations } from "plotly.js";
import { checkArray, checkInteger, checkOneOf, show } from "../../tensor/internal.ts";
import { checkFigureOptions, checkMatrix } from "../checks.ts";
import { Figure } from "../figure.ts";
import { formatNumber } from "../format.ts";
import { jointExtent, type Numbers } from "../numbers.ts";
import { figureNames, type FigureOptions } from "../options.ts";
import { colorAt, colors, diverging } from "../style.ts";
import type { Trace } from "../trace.ts";
import { diagramWidth, pixelLayout, type Shape, sideMargin, text } from "./canvas.ts";

/** Options of {@linkcode slidingWindow}. */
export interface SlidingWindowOptions extends Omit<FigureOptions, "height"> {
  /**
   * Rows of zeros on each side, or before (top and left) and after (bottom and right).
   *
   * @default 0
   */
  padding?: number | readonly [before: number, after: number];
  /**
   * Step of the window.
   *
   * @default 1
   */
  stride?: number;
  /**
   * Distance of the weights of the kernel.
   *
   * @default 1
   */
  dilation?: number;
  /**
   * Rows and columns of the outputs whose windows are outlined.
   *
   * @default [[0, 0]]
   */
  at?: readonly (readonly [row: number, column: number])[];
  /**
   * The number that a window becomes: the sum of its products with the kernel, or its largest
   * number, or its mean, as in pooling.
   *
   * @default "sum"
   */
  reduce?: "sum" | "max" | "mean";
}

/** More cells than this along a side could not be read. */
const maxCells = 32;

/** The size of a cell in pixels is at most this. */
const maxCell = 34;

const paddingFill = "#ffffff";

/** Distance between two grids, in cells. */
const gap = 1.1;

/** A grid of cells with or without numbers. */
interface Grid {
  readonly caption: string;
  readonly rows: number;
  readonly columns: number;
  readonly values?: readonly Numbers[];
  /** Rows and columns of padding, which `rows` and `columns` include. */
  readonly before: number;
  readonly after: number;
}

/**
 * Draws a window that slides over an image: the image with its padding, the kernel, and the output,
 * with the same colour around a window and around the number that it becomes.
 *
 * The output is the cross-correlation that `ops.conv2d` computes, or the pooling that `ops.maxPool`
 * and `ops.avgPool` compute.
 *
 * @param image The rows of the image, or the length of its sides for a drawing without numbers.
 * @param kernel The rows of the kernel, or the length of its sides for pooling or a drawing without
 * numbers.
 * @param options The padding, stride and dilation, the outputs to outline, the title and width.
 * @throws {RangeError} If a size is not a whole number from 1 to 32, a number is not finite, the
 * kernel is larger than the padded image, or an output does not exist.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { diagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = diagram.slidingWindow([[0, 1, 2], [3, 4, 5], [6, 7, 8]], [[0, 1], [2, 3]]);
 * assert.equal(
 *   figure.description,
 *   "A 2×2 window slides over 3×3 cells and gives 2×2: 19, 25; 37, 43.",
 * );
 * ```
 */
export function slidingWindow(
  image: number | readonly Numbers[],
  kernel: number | readonly Numbers[],
  options: SlidingWindowOptions = {},
): Figure {
  const action = "Drawing a sliding window";
  checkFigureOptions<SlidingWindowOptions>(action, options, "{ stride: 2, padding: 1 }", {
    ...figureNames,
    padding: true,
    stride: true,
    dilation: true,
    at: true,
    reduce: true,
  });
  const { stride = 1, dilation = 1, at = [[0, 0]], reduce = "sum", padding = 0 } = options;
  const width = options.width ?? diagramWidth;
  checkInteger(action, "stride", stride);
  checkInteger(action, "dilation", dilation);
  checkOneOf(action, "reduce", reduce, ["sum", "max", "mean"]);
  const [before, after] = typeof padding === "number" ? [padding, padding] : padding;
  for (const zeros of [before, after]) checkInteger(action, "padding", zeros, 0, maxCells);
  const [imageRows, imageColumns] = sizeOf(action, "the image", image);
  const [kernelRows, kernelColumns] = sizeOf(action, "the kernel", kernel);
  const outputLength = (length: number, taps: number) =>
    Math.floor((length + before + after - dilation * (taps - 1) - 1) / stride) + 1;
  const rows = outputLength(imageRows, kernelRows);
  const columns = outputLength(imageColumns, kernelColumns);
  if (rows < 1 || columns < 1) {
    throw new RangeError(
      `${action}: the kernel must fit into the image with its padding, found ` +
        `${kernelRows}×${kernelColumns} with dilation ${dilation} over ` +
        `${imageRows + before + after}×${imageColumns + before + after}.`,
    );
  }
  checkArray(action, "at", at);
  const isIndex = (index: unknown, length: number) =>
    typeof index === "number" && Number.isInteger(index) && index >= 0 && index < length;
  for (const position of at) {
    if (isIndex(position?.[0], rows) && isIndex(position[1], columns)) continue;
    throw new RangeError(
      `${action}: each output of at must be a row and a column of ${rows}×${columns}, found ${
        show(position)
      }.`,
    );
  }

  const values = typeof image === "number" || typeof kernel === "number" && reduce === "sum"
    ? undefined
    : outputOf(image, kernel, { rows, columns, before, stride, dilation, reduce, kernelColumns });
  const zeros = before === after
    ? before === 0 ? "" : `, padding ${before}`
    : `, padding ${before} before, ${after} after`;
  const grids: Grid[] = [{
    caption: `input ${imageRows}×${imageColumns}${zeros}`,
    rows: imageRows + before + after,
    columns: imageColumns + before + after,
    values: typeof image === "number" ? undefined : image,
    before,
    after,
  }];
  if (typeof kernel !== "number") {
    const caption = `kernel ${kernelRows}×${kernelColumns}`;
    grids.push({
      caption,
      rows: kernelRows,
      columns: kernelColumns,
      values: kernel,
      before: 0,
      after: 0,
    });
  }
  grids.push({ caption: `output ${rows}×${columns}`, rows, columns, values, before: 0, after: 0 });

  const across = grids.reduce((sum, grid) => sum + grid.columns, gap * (grids.length - 1));
  const down = Math.max(...grids.map(({ rows }) => rows));
  const cell = Math.min(maxCell, (width - 2 * sideMargin) / across);
  const shapes: Shape[] = [], annotations: Partial<Annotations>[] = [];
  const numbers: Trace[] = [];
  let left = 0;
  const corners = grids.map((grid, index) => {
    const corner = { x: left, y: (down - grid.rows) / 2 * cell };
    if (index > 0) {
      const sign = index === grids.length - 1 ? reduce === "sum" ? "=" : "→" : "∗";
      annotations.push(
        text(sign, left - gap / 2 * cell, down / 2 * cell, { font: { size: 16 } }),
      );
    }
    left += (grid.columns + gap) * cell;
    shapes.push(...cellsOf(grid, corner, cell));
    numbers.push(...numbersOf(grid, corner, cell));
    annotations.push(
      text(grid.caption, corner.x, down * cell + 6, { xanchor: "left", yanchor: "top" }),
    );
    return corner;
  });
  const outline = (x: number, y: number, across: number, down: number, color: string): Shape => ({
    type: "rect",
    x0: x + 1,
    x1: x + across * cell - 1,
    y0: y + 1,
    y1: y + down * cell - 1,
    line: { color, width: 3 },
  });
  at.forEach(([row, column], index) => {
    const color = colors[(index + 1) % colors.length]!;
    const [from, to] = [corners[0]!, corners.at(-1)!];
    const x = from.x + column * stride * cell, y = from.y + row * stride * cell;
    if (dilation === 1) shapes.push(outline(x, y, kernelColumns, kernelRows, color));
    else {
      for (let u = 0; u < kernelRows; u++) {
        for (let v = 0; v < kernelColumns; v++) {
          shapes.push(outline(x + v * dilation * cell, y + u * dilation * cell, 1, 1, color));
        }
      }
    }
    shapes.push(outline(to.x + column * cell, to.y + row * cell, 1, 1, color));
  });
  return new Figure(
    // plotly.js draws no shapes without a trace on their axes.
    [{ type: "scatter", mode: "markers", x: [0], y: [0], marker: { opacity: 0 } }, ...numbers],
    { ...pixelLayout({ ...options, width }, down * cell + 22), shapes, annotations },
    options.description ??
      `A ${kernelRows}×${kernelColumns} window slides over ${imageRows}×${imageColumns} cells` +
        `${zeros}${stride === 1 ? "" : `, stride ${stride}`}` +
        `${dilation === 1 ? "" : `, dilation ${dilation}`} and gives ${rows}×${columns}` +
        `${
          values === undefined
            ? ""
            : `: ${
              values.map((row) => row.map((value) => formatNumber(value)).join(", ")).join("; ")
            }`
        }.`,
  );
}

function sizeOf(
  action: string,
  subject: string,
  grid: number | readonly Numbers[],
): [rows: number, columns: number] {
  if (typeof grid === "number") {
    checkInteger(action, `the size of ${subject}`, grid, 1, maxCells);
    return [grid, grid];
  }
  const columns = checkMatrix(action, subject, grid);
  checkInteger(action, `the number of rows of ${subject}`, grid.length, 1, maxCells);
  checkInteger(action, `the number of columns of ${subject}`, columns, 1, maxCells);
  return [grid.length, columns];
}

/** Returns the number of each window. In pooling, cells of padding do not count. */
function outputOf(
  image: readonly Numbers[],
  kernel: number | readonly Numbers[],
  { rows, columns, before, stride, dilation, reduce, kernelColumns }: {
    rows: number;
    columns: number;
    before: number;
    stride: number;
    dilation: number;
    reduce: "sum" | "max" | "mean";
    kernelColumns: number;
  },
): number[][] {
  const kernelRows = typeof kernel === "number" ? kernel : kernel.length;
  const output: number[][] = [];
  for (let row = 0; row < rows; row++) {
    const line: number[] = [];
    for (let column = 0; column < columns; column++) {
      let sum = 0, max = -Infinity, count = 0;
      for (let u = 0; u < kernelRows; u++) {
        for (let v = 0; v < kernelColumns; v++) {
          const value = image[row * stride + u * dilation - before]
            ?.[column * stride + v * dilation - before];
          if (value === undefined) continue;
          sum += value * (reduce === "sum" && typeof kernel !== "number" ? kernel[u]![v]! : 1);
          max = Math.max(max, value);
          count++;
        }
      }
      line.push(reduce === "sum" ? sum : reduce === "max" ? max : sum / count);
    }
    output.push(line);
  }
  return output;
}

/** Returns the squares of a grid, coloured by their numbers; padding is white and dotted. */
function cellsOf(grid: Grid, corner: { x: number; y: number }, cell: number): Shape[] {
  const [min, max] = grid.values ? jointExtent(grid.values) : [0, 0];
  // Half of the scale, so that the numbers can be read on it.
  const reach = 2 * Math.max(-min, max) || 1;
  // One shape for all cells of a colour, because a notebook stores each shape.
  const paths = new Map<string, string>();
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const value = valueAt(grid, row, column);
      const fill = value === undefined
        ? paddingFill
        : value === null
        ? "#eef4fa"
        : `rgb(${colorAt(diverging, (value / reach + 1) / 2).join(",")})`;
      const [left, top] = [corner.x + column * cell, corner.y + row * cell];
      const [x0, x1, y0, y1] = [left, left + cell, top, top + cell].map((end) => end.toFixed(1));
      paths.set(
        fill,
        `${paths.get(fill) ?? ""}M${x0},${y0}L${x1},${y0}L${x1},${y1}L${x0},${y1}Z`,
      );
    }
  }
  return Array.from(paths, ([fillcolor, path]) => ({
    type: "path",
    path,
    fillcolor,
    line: { color: "#b0b0b0", width: 1, dash: fillcolor === paddingFill ? "dot" : "solid" },
    layer: "below",
  }));
}

/** Returns the numbers in the cells of a grid as one trace, if they fit. */
function numbersOf(grid: Grid, corner: { x: number; y: number }, cell: number): Trace[] {
  if (!grid.values || cell < 16) return [];
  const x: number[] = [], y: number[] = [], color: string[] = [], text: string[] = [];
  for (let row = 0; row < grid.rows; row++) {
    for (let column = 0; column < grid.columns; column++) {
      const value = valueAt(grid, row, column);
      x.push(corner.x + (column + 0.5) * cell);
      y.push(corner.y + (row + 0.5) * cell);
      color.push(value === undefined ? "#8c8c8c" : "#262626");
      text.push(formatNumber(value ?? 0, 3));
    }
  }
  const longest = Math.max(2, ...text.map((number) => number.length));
  const size = Math.min(13, 1.45 * cell / longest);
  return [{ type: "scatter", mode: "text", x, y, text, textfont: { size, color } }];
}

/** Returns the number in a cell: undefined in the padding, null in a grid without numbers. */
function valueAt(
  { rows, columns, before, after, values }: Grid,
  row: number,
  column: number,
): number | null | undefined {
  const inner = (index: number, length: number) => index >= before && index < length - after;
  if (!inner(row, rows) || !inner(column, columns)) return undefined;
  return values ? values[row - before]![column - before]! : null;
}
