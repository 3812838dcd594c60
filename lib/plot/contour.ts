import { Figure, type Trace } from "./figure.ts";
import { checkOptions } from "../tensor/mod.ts";
import { colorbar, colorEnds, zFormat } from "./heatmap.ts";
import {
  jointExtent,
  type Numbers,
  requireMatrix,
  requireOnAxis,
  requireRange,
  requireSameLength,
  say,
} from "./numbers.ts";
import {
  type Axis,
  axisTitle,
  chartNames,
  checkFigure,
  colors,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
  requireAxis,
  roomForPowers,
  sequential,
} from "./style.ts";

/** What `contour` takes beside its grid. */
export interface ContourPlotOptions extends FigureOptions {
  /** What the columns of the grid are. */
  x: Axis;
  /** What the rows of the grid are. */
  y: Axis;
  /**
   * What the height of the surface means; with the scale "log" its levels grow by factors, with a
   * range there are 20 steps over it.
   */
  value: Axis;
  /** A path drawn over the surface, such as the steps of gradient descent. */
  path?: { x: Numbers; y: Numbers };
}

/**
 * Draws a surface over a plane as filled level lines, with an optional path over it. Of a grid of
 * more than 200 rows or columns, 200 are drawn, and 60 where it is mere noise.
 *
 * @param x The places of the columns, ascending.
 * @param y The places of the rows, ascending.
 * @param z The heights, `z[row][column]` at `(x[column], y[row])`.
 * @param options The axes, the path, title and size.
 * @throws {RangeError} If the grid is empty, `x` or `y` does not ascend, `z` is not `y.length` rows
 * of `x.length` numbers, a number is not finite, there are fewer than two rows or columns, the two
 * lists of the path differ in length, or a height on a logarithmic scale is not positive.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing a contour plot";
  checkFigure<ContourPlotOptions>(
    doing,
    options,
    '{ x: { title: "Weight" }, y: { title: "Bias" }, value: { title: "Loss" } }',
    { ...chartNames, value: true, path: true },
  );
  const { value, path } = options;
  requireAxis(doing, "axis x", options.x);
  requireAxis(doing, "axis y", options.y);
  requireAxis(doing, "value", value);
  requirePlaces(doing, "x", x, options.x);
  requirePlaces(doing, "y", y, options.y);
  requireMatrix(doing, "z", z);
  requireSameLength(doing, ["a row of z", z[0]!], ["x", x]);
  requireSameLength(doing, ["a column of z", z], ["y", y]);
  if (x.length < 2 || y.length < 2) {
    throw new RangeError(
      `${doing}: there must be at least 2 rows and 2 columns, found ${y.length} and ${x.length}.`,
    );
  }
  if (value.range) requireRange(doing, value.range);
  const found = jointExtent(z);
  const [min, max] = value.range ?? found;
  const log = value.scale === "log";
  const least = log ? Math.min(min, found[0]) : 1;
  if (least <= 0) {
    throw new RangeError(
      `${doing}: expected positive numbers in z for a logarithmic scale, found ${least}`,
    );
  }
  const [zmin, zmax] = log ? colorEnds(Math.log10(min), Math.log10(max)) : colorEnds(min, max);
  let columns = evenly(x.length, mostLines), rows = evenly(y.length, mostLines);
  if (peaks(z, rows, columns) > mostPeaks) {
    [columns, rows] = [evenly(x.length, mostRoughLines), evenly(y.length, mostRoughLines)];
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
    colorbar: { ...colorbar(value, [zmin, zmax]), ...(log ? decades(min, max) : {}) },
    hovertemplate: `${axisTitle(options.x)} %{x}<br>${axisTitle(options.y)} %{y}<br>` +
      `${log ? "log₁₀ of " : ""}${inSentence(value)} %{z}<extra></extra>`,
  }];
  if (path) data.push(...pathTraces(doing, path, options));
  const room = roomForPowers(options);
  return new Figure(
    data,
    {
      ...frame(options),
      height: options.height ?? 480,
      xaxis: layoutAxis({ ...options.x, range: options.x.range ?? ends(x) }, ends(x), room.x),
      yaxis: layoutAxis({ ...options.y, range: options.y.range ?? ends(y) }, ends(y), room.y),
    },
    options.description ??
      `${axisTitle(value)} over ${inSentence(options.x)} and ${inSentence(options.y)}, ` +
        `from ${say(min)} to ${say(max)}${
          path ? `; a path of ${say(path.x.length)} points ${pathEnds(path)}` : ""
        }.`,
  );
}

function pathTraces(
  doing: string,
  path: { x: Numbers; y: Numbers },
  axes: { x: Axis; y: Axis },
): Trace[] {
  checkOptions<typeof path>(`${doing}, path`, path, "{ x: [0, 1], y: [0, 1] }", {
    x: true,
    y: true,
  });
  requireOnAxis(doing, "path.x", path.x, axes.x);
  requireOnAxis(doing, "path.y", path.y, axes.y);
  requireSameLength(doing, ["path.x", path.x], ["path.y", path.y]);
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

function requirePlaces(doing: string, name: string, values: Numbers, axis: Axis): void {
  requireOnAxis(doing, name, values, axis);
  const index = Array.from(values).findIndex((value, index) => value <= values[index - 1]!);
  if (index > 0) {
    throw new RangeError(
      `${doing}: expected ${name} to ascend, found ${values[index]} after ${values[index - 1]}`,
    );
  }
}

function pathEnds({ x, y }: { x: Numbers; y: Numbers }): string {
  const at = (index: number) => `(${say(x[index]!)}, ${say(y[index]!)})`;
  return `leads from ${at(0)} to ${at(x.length - 1)}`;
}

function ends(places: Numbers): [number, number] {
  return [places[0]!, places[places.length - 1]!];
}

/** At most this many rows and columns are drawn: as many as have a few pixels each. */
const mostLines = 200;

/**
 * The same where the surface has so many peaks that plotly.js would take minutes to follow its
 * lines.
 */
const mostRoughLines = 60;
const mostPeaks = 2000;

/** Indices from the first to the last, all or as many as are drawn. */
function evenly(count: number, most: number): number[] {
  const drawn = Math.min(count, most);
  return Array.from({ length: drawn }, (_, i) => Math.round(i * (count - 1) / (drawn - 1)));
}

/** How many of the drawn points are higher than their four neighbours. */
function peaks(z: readonly Numbers[], rows: readonly number[], columns: readonly number[]): number {
  let found = 0;
  for (let r = 1; r < rows.length - 1; r++) {
    for (let c = 1; c < columns.length - 1; c++) {
      const at = (down: number, right: number) => z[rows[r + down]!]![columns[c + right]!]!;
      const here = at(0, 0);
      if (here > at(0, -1) && here > at(0, 1) && here > at(-1, 0) && here > at(1, 0)) found++;
    }
  }
  return found;
}

/**
 * The same 20 steps for every figure with this range; plotly's own choice follows from the numbers.
 */
function levels([start, end]: readonly [number, number]): Partial<Trace> {
  return { autocontour: false, contours: { start, end, size: (end - start) / 20 } };
}

/** Ticks for a colour bar of logarithms: 0.1, 1, 10; with 2 and 5 between where there is room. */
function decades(min: number, max: number): { tickvals: number[]; ticktext: string[] } {
  const first = Math.floor(Math.log10(min)), last = Math.log10(max), span = last - Math.log10(min);
  const step = Math.ceil(span / 12) || 1;
  const ticks: number[] = [];
  for (let power = Math.ceil(first / step) * step; power <= last; power += step) {
    for (const digit of span > 3 ? [1] : [1, 2, 5]) {
      const tick = Number(`${digit}e${power}`);
      if (tick >= min && tick <= max) ticks.push(tick);
    }
  }
  // Where no such number lies between them, the ends.
  if (ticks.length === 0) ticks.push(...new Set([min, max]));
  return {
    tickvals: ticks.map(Math.log10),
    ticktext: ticks.map((tick) =>
      tick < 1e6 ? String(tick) : tick.toExponential().replace("+", "")
    ),
  };
}
