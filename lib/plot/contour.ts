import { checkNumber, checkOptions } from "../tensor/internal.ts";
import {
  checkAxisValues,
  checkChartAxis,
  checkFigureOptions,
  checkMatrix,
  checkRange,
  checkSameLength,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { formatNumber, withMinus } from "./format.ts";
import { colorbar, colorEnds, zFormat } from "./heatmap.ts";
import { jointExtent, type Numbers } from "./numbers.ts";
import { type Axis, chartNames, type FigureOptions } from "./options.ts";
import {
  axisTitle,
  baseLayout,
  colors,
  layoutAxis,
  legendName,
  lowerFirst,
  maxDecadeTicks,
  sequential,
} from "./style.ts";
import type { Trace } from "./trace.ts";

/** Options of {@linkcode contourPlot}. */
export interface ContourPlotOptions extends FigureOptions {
  /** Axis of the columns of the grid. */
  x: Axis;
  /** Axis of the rows of the grid. */
  y: Axis;
  /**
   * Meaning of the height. The scale "log" draws levels at equal factors, and a range draws 20
   * levels over it.
   */
  value: Axis;
  /** A path drawn over the surface, such as the steps of gradient descent. */
  path?: { x: Numbers; y: Numbers };
  /** Several paths by their names, to compare them; at most six. */
  paths?: Readonly<Record<string, { x: Numbers; y: Numbers }>>;
}

/**
 * Draws a surface over a plane as filled contours, with an optional path over it. At most 200 rows
 * and columns of the grid are drawn, and 60 of a grid of noise.
 *
 * @param x The coordinates of the columns, ascending.
 * @param y The coordinates of the rows, ascending.
 * @param z The heights, `z[row][column]` at `(x[column], y[row])`.
 * @param options The axes, the path, title and size.
 * @throws {RangeError} If the grid is empty, `x` or `y` does not ascend, `z` is not `y.length` rows
 * of `x.length` numbers, a number is not finite, there are fewer than two rows or columns, the two
 * lists of the path differ in length, or a height on a logarithmic scale is not positive.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { contourPlot } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = contourPlot([0, 1], [0, 1, 2], [[3, 2], [2, 1], [1, 0]], {
 *   x: { title: "Weight" },
 *   y: { title: "Bias" },
 *   value: { title: "Loss" },
 *   path: { x: [0, 1], y: [0, 2] },
 * });
 * assert.equal(figure.data[0]?.type, "contour");
 * assert.match(figure.description, /^Loss over weight and bias, from 0 to 3; a path of 2 points/);
 * ```
 */
export function contourPlot(
  x: Numbers,
  y: Numbers,
  z: readonly Numbers[],
  options: ContourPlotOptions,
): Figure {
  const action = "Drawing a contour plot";
  checkFigureOptions<ContourPlotOptions>(
    action,
    options,
    '{ x: { title: "Weight" }, y: { title: "Bias" }, value: { title: "Loss" } }',
    { ...chartNames, value: true, path: true, paths: true },
  );
  const { value, path } = options;
  const named = Object.entries(options.paths ?? {});
  checkNumber(
    action,
    "the number of paths",
    named.length,
    named.length <= pathColors.length,
    `at most ${pathColors.length}`,
  );
  checkChartAxis(action, "axis x", options.x);
  checkChartAxis(action, "axis y", options.y);
  checkChartAxis(action, "value", value);
  checkCoordinates(action, "x", x, options.x);
  checkCoordinates(action, "y", y, options.y);
  checkMatrix(action, "z", z);
  checkSameLength(action, ["a row of z", z[0]!], ["x", x]);
  checkSameLength(action, ["a column of z", z], ["y", y]);
  if (x.length < 2 || y.length < 2) {
    throw new RangeError(
      `${action}: z must have at least 2 rows and 2 columns, found ${y.length} and ${x.length}.`,
    );
  }
  if (value.range) checkRange(action, value.range);
  const dataEnds = jointExtent(z);
  const [min, max] = value.range ?? dataEnds;
  const log = value.scale === "log";
  const least = Math.min(min, dataEnds[0]);
  if (log && least <= 0) {
    throw new RangeError(
      `${action}: z must be positive numbers for a logarithmic scale, found ${least}.`,
    );
  }
  const [zmin, zmax] = log ? colorEnds(Math.log10(min), Math.log10(max)) : colorEnds(min, max);
  let columns = evenIndices(x.length, maxGridLines), rows = evenIndices(y.length, maxGridLines);
  if (countPeaks(z, rows, columns) > maxPeaks) {
    columns = evenIndices(x.length, maxNoisyGridLines);
    rows = evenIndices(y.length, maxNoisyGridLines);
  }
  const data: Trace[] = [{
    type: "contour",
    x: columns.map((column) => x[column]!),
    y: rows.map((row) => y[row]!),
    z: rows.map((row) =>
      columns.map((column) => log ? Math.log10(z[row]![column]!) : z[row]![column]!)
    ),
    colorscale: sequential,
    zmin,
    zmax,
    ...(value.range || min === max ? levels([zmin, zmax]) : { ncontours: 20 }),
    ...zFormat,
    line: { width: 0.5, color: "rgba(255, 255, 255, 0.6)" },
    colorbar: { ...colorbar(value), ...(log ? decadeTicks(min, max) : {}) },
    hovertemplate: `${axisTitle(options.x)} %{x}<br>${axisTitle(options.y)} %{y}<br>` +
      `${log ? "log₁₀ of " : ""}${lowerFirst(value)} %{z}<extra></extra>`,
  }];
  if (path) data.push(...pathTraces(action, path, options));
  named.forEach(([name, path], index) => data.push(namedPath(action, name, path, options, index)));
  const maxTicks = maxDecadeTicks(options);
  return new Figure(
    data,
    {
      ...baseLayout(options, named.map(([name]) => name)),
      height: options.height ?? 480,
      xaxis: layoutAxis({ ...options.x, range: options.x.range ?? ends(x) }, ends(x), maxTicks.x),
      yaxis: layoutAxis({ ...options.y, range: options.y.range ?? ends(y) }, ends(y), maxTicks.y),
    },
    options.description ??
      `${axisTitle(value)} over ${lowerFirst(options.x)} and ${lowerFirst(options.y)}, ` +
        `from ${formatNumber(min)} to ${formatNumber(max)}${
          path ? `; a path of ${formatNumber(path.x.length)} points ${pathEnds(path)}` : ""
        }${
          named.map(([name, path]) =>
            `; ${name}, a path of ${formatNumber(path.x.length)} points, ${pathEnds(path)}`
          ).join("")
        }.`,
  );
}

/** Colours of named paths, which stand out from dark ground; a dark rim helps on bright ground. */
const pathColors = ["#ffffff", "#e69f00", "#d55e00", "#56b4e9", "#cc79a7", "#f0e442"] as const;
const pathSymbols = ["circle", "square", "diamond", "triangle-up", "cross", "star"] as const;

function checkPath(
  action: string,
  subject: string,
  path: { x: Numbers; y: Numbers },
  axes: { x: Axis; y: Axis },
): void {
  checkOptions<typeof path>(`${action}, ${subject}`, path, "{ x: [0, 1], y: [0, 1] }", {
    x: true,
    y: true,
  });
  checkAxisValues(action, `${subject}.x`, path.x, axes.x);
  checkAxisValues(action, `${subject}.y`, path.y, axes.y);
  checkSameLength(action, [`${subject}.x`, path.x], [`${subject}.y`, path.y]);
}

function namedPath(
  action: string,
  name: string,
  path: { x: Numbers; y: Numbers },
  options: ContourPlotOptions,
  index: number,
): Trace {
  checkPath(action, `paths["${name}"]`, path, options);
  const color = pathColors[index]!, symbol = pathSymbols[index]!;
  return {
    type: "scatter",
    mode: "lines+markers",
    name: legendName(name, options),
    x: Array.from(path.x),
    y: Array.from(path.y),
    line: { color, width: 2 },
    marker: { color, symbol, size: 7, line: { color: "#262626", width: 1 } },
    hovertemplate: "step %{pointNumber}: %{x}, %{y}",
  };
}

function pathTraces(
  action: string,
  path: { x: Numbers; y: Numbers },
  axes: { x: Axis; y: Axis },
): Trace[] {
  checkPath(action, "path", path, axes);
  const last = path.x.length - 1;
  return [
    {
      type: "scatter",
      mode: "lines+markers",
      x: Array.from(path.x),
      y: Array.from(path.y),
      line: { color: "#ffffff", width: 2 },
      marker: { color: "#ffffff", size: 4, line: { color: "#262626", width: 1 } },
      hovertemplate: "step %{pointNumber}: %{x}, %{y}<extra></extra>",
    },
    {
      type: "scatter",
      mode: "markers",
      x: [path.x[0]!, path.x[last]!],
      y: [path.y[0]!, path.y[last]!],
      text: ["start", "end"],
      marker: {
        color: ["#ffffff", colors[1]],
        size: 11,
        line: { color: "#262626", width: 1.5 },
      },
      hovertemplate: "%{text}: %{x}, %{y}<extra></extra>",
    },
  ];
}

function checkCoordinates(action: string, subject: string, values: Numbers, axis: Axis): void {
  checkAxisValues(action, subject, values, axis);
  const index = Array.from(values).findIndex((value, index) => value <= values[index - 1]!);
  if (index > 0) {
    throw new RangeError(
      `${action}: ${subject} must ascend, found ${values[index]} after ${values[index - 1]}.`,
    );
  }
}

function pathEnds({ x, y }: { x: Numbers; y: Numbers }): string {
  const point = (index: number) => `(${formatNumber(x[index]!)}, ${formatNumber(y[index]!)})`;
  return `leads from ${point(0)} to ${point(x.length - 1)}`;
}

function ends(coordinates: Numbers): [number, number] {
  return [coordinates[0]!, coordinates[coordinates.length - 1]!];
}

/** At most this many rows and columns are drawn, so that each has a few pixels. */
const maxGridLines = 200;

/** The limit for a surface with so many peaks that its contours would take plotly.js minutes. */
const maxNoisyGridLines = 60;
const maxPeaks = 2000;

/** Returns at most `max` indices at equal distances, from the first to the last. */
function evenIndices(count: number, max: number): number[] {
  const drawn = Math.min(count, max);
  return Array.from({ length: drawn }, (_, i) => Math.round(i * (count - 1) / (drawn - 1)));
}

/** Counts the drawn points that are higher than their four neighbours. */
function countPeaks(
  z: readonly Numbers[],
  rows: readonly number[],
  columns: readonly number[],
): number {
  let count = 0;
  for (let r = 1; r < rows.length - 1; r++) {
    for (let c = 1; c < columns.length - 1; c++) {
      const at = (down: number, right: number) => z[rows[r + down]!]![columns[c + right]!]!;
      const here = at(0, 0);
      if (here > at(0, -1) && here > at(0, 1) && here > at(-1, 0) && here > at(1, 0)) count++;
    }
  }
  return count;
}

/** Returns 20 equal steps, because plotly.js would choose other levels for other numbers. */
function levels([start, end]: readonly [number, number]): Partial<Trace> {
  return { autocontour: false, contours: { start, end, size: (end - start) / 20 } };
}

/** Returns ticks for a colour bar of logarithms: 0.1, 1, 10, and 2 and 5 if they fit. */
function decadeTicks(min: number, max: number): { tickvals: number[]; ticktext: string[] } {
  const first = Math.floor(Math.log10(min)), last = Math.log10(max), span = last - Math.log10(min);
  const step = Math.ceil(span / 12) || 1;
  const ticks: number[] = [];
  for (let power = Math.ceil(first / step) * step; power <= last; power += step) {
    for (const digit of span > 3 ? [1] : [1, 2, 5]) {
      const tick = Number(`${digit}e${power}`);
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  }
  // The ends, if no such number lies between them.
  if (ticks.length === 0) ticks.push(...new Set([min, max]));
  return {
    tickvals: ticks.map(Math.log10),
    ticktext: ticks.map((tick) =>
      withMinus(tick < 1e6 ? String(tick) : tick.toExponential().replace("+", ""))
    ),
  };
}
