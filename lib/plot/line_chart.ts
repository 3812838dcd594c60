import { checkOptions } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { Figure, type Trace } from "./figure.ts";
import {
  ascends,
  inShort,
  jointExtent,
  type Numbers,
  requireOnAxis,
  requireSameLength,
  say,
} from "./numbers.ts";
import {
  type Axis,
  axisTitle,
  categories,
  chartNames,
  checkFigure,
  colors,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
  legendName,
  requireAxis,
  requireOneOf,
  requireText,
  roomForPowers,
} from "./style.ts";
import { mostMarkers, pick, thinCloud, thinLine, thinPath } from "./thin.ts";

/** One named row of points. */
export interface Series {
  /** The name in the legend. */
  name: string;
  /** The heights of the points. */
  y: Numbers;
  /** Their places; by default 0, 1, 2, ... */
  x?: Numbers;
  /** Joined points ("lines", the default for more than one), separate points, or both. */
  mode?: "lines" | "markers" | "lines+markers";
  /** How a line is drawn, "solid" by default. */
  dash?: "solid" | "dash" | "dot";
  /**
   * A band from `low` to `high` behind the line, as long as it: the range over seeds, an interval.
   */
  band?: { low: Numbers; high: Numbers };
}

/** What `lineChart` takes beside its series. */
export interface LineChartOptions extends FigureOptions {
  /** The horizontal axis. */
  x: Axis;
  /** The vertical axis. */
  y: Axis;
}

/**
 * Draws named series of points as lines, markers, or both, on linear or logarithmic axes, with a
 * band around each if asked for.
 *
 * A line of more than 1,000 points from left to right is thinned to its peaks and valleys, and a
 * cloud or a path of more than 10,000 points to those that can be told apart, which look the same.
 *
 * @param series The rows of points, each with a name.
 * @param options The axes, title and size.
 * @throws {RangeError} If there is no series, a series is empty, `x`, `y` and the band differ in
 * length, a number is not finite, a band's `low` is above its `high`, or a number on a logarithmic
 * axis is not positive.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing a line chart";
  checkFigure<LineChartOptions>(
    doing,
    options,
    '{ x: { title: "Step" }, y: { title: "Loss" } }',
    chartNames,
  );
  requireAxis(doing, "axis x", options.x);
  requireAxis(doing, "axis y", options.y);
  if (!Array.isArray(series)) {
    throw new TypeError(`${doing}: series must be an array of objects, found ${show(series)}.`);
  }
  if (series.length === 0) {
    throw new RangeError(`${doing}: expected at least one series, found none`);
  }
  const given = Array.from(series, (one, index) => checkSeries(doing, one, index, options));
  const shown = {
    x: jointExtent(given.map(({ x }) => x)),
    y: jointExtent(given.flatMap(({ y, band }) => band ? [y, band.low, band.high] : [y])),
  };
  const clouds = given.filter(({ mode, x }) => mode === "markers" && x.length > mostMarkers);
  const bands: Trace[] = [];
  // A band is a trace too, and plotly gives each trace the next colour.
  const colored = given.some(({ band }) => band);
  const groups = categories(given.map(({ name }) => name)).keys;
  const lines = given.map(({ name, x, y, mode, dash, band }, index): Trace => {
    const kept = clouds.some((cloud) => cloud === given[index])
      ? thinCloud(x, y, options, shown, clouds.length)
      : mode === "lines" && ascends(x)
      ? thinLine(x, band ? [y, band.low, band.high] : [y], options.x)
      : mode === "markers"
      ? undefined
      : thinPath(x, y);
    const points = { x: pick(x, kept), y: pick(y, kept) };
    const color = colored ? { color: colors[index % colors.length]! } : {};
    const legendgroup = groups[index]!;
    const text = legendName(name, options);
    if (band) {
      bands.push({
        type: "scatter",
        mode: "lines",
        name: text,
        x: [...points.x, ...points.x.toReversed()],
        y: [...pick(band.high, kept), ...pick(band.low, kept).toReversed()],
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
      ...(dash || colored ? { line: { ...color, ...(dash ? { dash } : {}) } } : {}),
      ...(colored ? { marker: color, legendgroup } : {}),
    };
  });
  const sentences = given.map(({ name, y }) =>
    `${name} from ${say(y[0]!)} to ${say(y[y.length - 1]!)} (${count(y.length)})`
  );
  const room = roomForPowers(options);
  return new Figure(
    [...bands, ...lines],
    {
      ...frame(options, given.map(({ name }) => name)),
      xaxis: layoutAxis(options.x, shown.x, room.x),
      yaxis: layoutAxis(options.y, shown.y, room.y),
    },
    options.description ??
      `${axisTitle(options.y)} against ${inSentence(options.x)}: ${inShort(sentences)}.`,
  );
}

/** A series with its places and its mode, when all is as it should be. */
function checkSeries(doing: string, series: Series, index: number, axes: { x: Axis; y: Axis }) {
  checkOptions<Series>(`${doing}, series[${index}]`, series, '{ name: "train", y: [2, 1] }', {
    name: true,
    y: true,
    x: true,
    mode: true,
    dash: true,
    band: true,
  });
  const { name, y, dash, band } = series;
  requireText(doing, `the name of series[${index}]`, name);
  const of = (what: string) => `${what} of series "${name}"`;
  requireOneOf(doing, of("the mode"), series.mode, ["lines", "markers", "lines+markers"]);
  requireOneOf(doing, of("the dash"), dash, ["solid", "dash", "dot"]);
  requireOnAxis(doing, of("y"), y, axes.y);
  const x = series.x ?? Array.from(y, (_, index) => index);
  requireOnAxis(doing, of("x"), x, axes.x);
  requireSameLength(doing, [of("x"), x], [of("y"), y]);
  if (band) {
    checkOptions<typeof band>(`${doing}, ${of("the band")}`, band, "{ low: [1], high: [2] }", {
      low: true,
      high: true,
    });
    for (const side of ["low", "high"] as const) {
      requireOnAxis(doing, of(`band.${side}`), band[side], axes.y);
      requireSameLength(doing, [of(`band.${side}`), band[side]], [of("y"), y]);
    }
    for (let index = 0; index < y.length; index++) {
      if (band.low[index]! <= band.high[index]!) continue;
      throw new RangeError(
        `${doing}: ${of("band.low")} must not be above band.high, found ${band.low[index]} above ` +
          `${band.high[index]} at index ${index}.`,
      );
    }
  }
  // A line through one point cannot be seen.
  const mode = series.mode ?? (y.length === 1 ? "lines+markers" as const : "lines" as const);
  return { name, x, y, mode, dash, band };
}

function count(points: number): string {
  return points === 1 ? "1 point" : `${say(points)} points`;
}
