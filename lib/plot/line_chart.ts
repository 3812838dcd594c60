import { checkOneOf, checkOptions, checkString } from "../tensor/internal.ts";
import {
  checkAxisValues,
  checkColors,
  checkFigureOptions,
  checkFractionAxis,
  checkNotEmpty,
  checkSameLength,
} from "./checks.ts";
import { downsampleCloud, downsampleLine, downsamplePath, maxMarkers, pick } from "./downsample.ts";
import { Figure } from "./figure.ts";
import { formatNumber, joinClauses } from "./format.ts";
import { ascends, jointExtent, type Numbers } from "./numbers.ts";
import {
  type Axis,
  chartNames,
  type ColorOptions,
  type FigureOptions,
  type FractionAxis,
} from "./options.ts";
import {
  axisTitle,
  baseLayout,
  categories,
  colors,
  drawnAxis,
  layoutAxis,
  legendName,
  lowerFirst,
  maxDecadeTicks,
  times,
} from "./style.ts";
import type { Trace } from "./trace.ts";

/** A named list of points. */
export interface Series {
  /** Name in the legend. */
  name: string;
  /** Vertical coordinates of the points. */
  y: Numbers;
  /**
   * Horizontal coordinates of the points.
   *
   * @default 0, 1, 2, …
   */
  x?: Numbers;
  /**
   * Joined points, separate points, or both.
   *
   * @default "lines", or "lines+markers" for a single point
   */
  mode?: "lines" | "markers" | "lines+markers";
  /**
   * Style of the line.
   *
   * @default "solid"
   */
  dash?: "solid" | "dash" | "dot";
  /** Band from `low` to `high` behind the line, such as the range over seeds or an interval. */
  band?: { low: Numbers; high: Numbers };
}

/** More series than this would fill the figure with their numbers. */
const maxHovered = 12;

/** Options of {@linkcode lineChart}. */
export interface LineChartOptions extends FigureOptions, ColorOptions {
  /** Horizontal axis. */
  x: FractionAxis;
  /** Vertical axis. */
  y: FractionAxis;
}

/**
 * Draws named series of points as lines, markers, or both, on linear or logarithmic axes, with an
 * optional band around each. Under the pointer it shows all series, if they are at most twelve from
 * left to right, and else the nearest point.
 *
 * A line from left to right of more points than pixels is downsampled to its peaks and valleys, a
 * cloud or a path of more than 10,000 points to the points that can be distinguished.
 *
 * @param series The series of points, each with a name.
 * @param options The axes, title and size.
 * @throws {RangeError} If there is no series, a series is empty, `x`, `y` and the band differ in
 * length, a number is not finite, a band's `low` is above its `high`, or a number on a logarithmic
 * axis is not positive.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { lineChart } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = lineChart(
 *   [{ name: "train", y: [2.3, 0.9, 0.4] }],
 *   { x: { title: "Epoch" }, y: { title: "Loss", unit: "nats", scale: "log" } },
 * );
 * assert.deepEqual(figure.data[0]?.y, [2.3, 0.9, 0.4]);
 * assert.equal(figure.description, "Loss (nats) against epoch: train from 2.3 to 0.4 (3 points).");
 * ```
 */
export function lineChart(series: readonly Series[], options: LineChartOptions): Figure {
  const action = "Drawing a line chart";
  checkFigureOptions<LineChartOptions>(
    action,
    options,
    '{ x: { title: "Step" }, y: { title: "Loss" } }',
    { ...chartNames, colors: true },
  );
  checkFractionAxis(action, "axis x", options.x);
  checkFractionAxis(action, "axis y", options.y);
  checkNotEmpty(action, "series", series);
  const { axis: xAxis, factor: xFactor } = drawnAxis(options.x);
  const { axis: yAxis, factor: yFactor } = drawnAxis(options.y);
  const checked = Array.from(series, (one, index) => {
    const { x, y, band, ...rest } = checkSeries(action, one, index, options);
    return {
      ...rest,
      x: times(x, xFactor),
      y: times(y, yFactor),
      band: band && { low: times(band.low, yFactor), high: times(band.high, yFactor) },
    };
  });
  const extents = {
    x: jointExtent(checked.map(({ x }) => x)),
    y: jointExtent(checked.flatMap(({ y, band }) => band ? [y, band.low, band.high] : [y])),
  };
  const clouds = checked.filter(({ mode, x }) => mode === "markers" && x.length > maxMarkers);
  const bands: Trace[] = [];
  // A band is a trace too, and plotly.js assigns each trace the next colour.
  const places = checkColors(action, options, ["series", checked]);
  const setsColors = options.colors !== undefined || checked.some(({ band }) => band);
  const groups = categories(checked.map(({ name }) => name)).keys;
  const lines = checked.map(({ name, x, y, mode, dash, band }, index): Trace => {
    const indices = clouds.some((cloud) => cloud === checked[index])
      ? downsampleCloud(x, y, { ...options, x: xAxis, y: yAxis }, extents, clouds.length)
      : mode === "lines" && ascends(x)
      ? downsampleLine(x, band ? [y, band.low, band.high] : [y], xAxis, options.width ?? 700)
      : mode === "markers"
      ? undefined
      : downsamplePath(x, y);
    const points = { x: pick(x, indices), y: pick(y, indices) };
    const color = setsColors ? { color: colors[places[index]!]! } : {};
    const legendgroup = groups[index]!;
    const text = legendName(name, options);
    if (band) {
      bands.push({
        type: "scatter",
        mode: "lines",
        name: text,
        x: [...points.x, ...points.x.toReversed()],
        y: [...pick(band.high, indices), ...pick(band.low, indices).toReversed()],
        fill: "toself",
        fillcolor: color.color,
        opacity: 0.2,
        line: { width: 0 },
        hoverinfo: "skip",
        legendgroup,
        showlegend: false,
      });
    }
    return {
      type: "scatter",
      mode,
      name: text,
      ...points,
      ...(dash || setsColors ? { line: { ...color, ...(dash ? { dash } : {}) } } : {}),
      ...(setsColors ? { marker: color, legendgroup } : {}),
    };
  });
  const sentences = checked.map(({ name, y }) =>
    `${name} from ${formatNumber(y[0]!)} to ${formatNumber(y[y.length - 1]!)} (${count(y.length)})`
  );
  const maxTicks = maxDecadeTicks(options);
  return new Figure(
    [...bands, ...lines],
    {
      ...baseLayout(options, checked.map(({ name }) => name)),
      hovermode: checked.length <= maxHovered && checked.every(({ x }) => ascends(x))
        ? "x unified"
        : "closest",
      xaxis: layoutAxis(xAxis, extents.x, maxTicks.x),
      yaxis: layoutAxis(yAxis, extents.y, maxTicks.y),
    },
    options.description ??
      `${axisTitle(yAxis)} against ${lowerFirst(xAxis)}: ${joinClauses(sentences)}.`,
  );
}

/** Checks a series, and returns it with its defaults. */
function checkSeries(action: string, series: Series, index: number, axes: { x: Axis; y: Axis }) {
  checkOptions<Series>(`${action}, series[${index}]`, series, '{ name: "train", y: [2, 1] }', {
    name: true,
    y: true,
    x: true,
    mode: true,
    dash: true,
    band: true,
  });
  const { name, y, dash, band } = series;
  checkString(action, `the name of series[${index}]`, name);
  const of = (part: string) => `${part} of series "${name}"`;
  if (series.mode !== undefined) {
    checkOneOf(action, of("the mode"), series.mode, ["lines", "markers", "lines+markers"]);
  }
  if (dash !== undefined) checkOneOf(action, of("the dash"), dash, ["solid", "dash", "dot"]);
  checkAxisValues(action, of("y"), y, axes.y);
  const x = series.x ?? Array.from(y, (_, index) => index);
  checkAxisValues(action, of("x"), x, axes.x);
  checkSameLength(action, [of("x"), x], [of("y"), y]);
  if (band) {
    checkOptions<typeof band>(`${action}, ${of("the band")}`, band, "{ low: [1], high: [2] }", {
      low: true,
      high: true,
    });
    for (const side of ["low", "high"] as const) {
      checkAxisValues(action, of(`band.${side}`), band[side], axes.y);
      checkSameLength(action, [of(`band.${side}`), band[side]], [of("y"), y]);
    }
    for (let index = 0; index < y.length; index++) {
      if (band.low[index]! <= band.high[index]!) continue;
      throw new RangeError(
        `${action}: ${of("band.low")} must be at most band.high, found ${band.low[index]} above ` +
          `${band.high[index]} at index ${index}.`,
      );
    }
  }
  // A line through one point is invisible.
  const mode = series.mode ?? (y.length === 1 ? "lines+markers" as const : "lines" as const);
  return { name, x, y, mode, dash, band };
}

function count(points: number): string {
  return points === 1 ? "1 point" : `${formatNumber(points)} points`;
}
