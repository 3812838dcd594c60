import { Figure, type Trace } from "./figure.ts";
import { ascends, extent, type Numbers, requireOnAxis, requireSameLength, say } from "./numbers.ts";
import {
  type Axis,
  axisTitle,
  colors,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
} from "./style.ts";

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
  /** A band from `low` to `high` behind the line, as long as it: the range over seeds, an interval. */
  band?: { low: Numbers; high: Numbers };
}

/** What `lineChart` takes beside its series. */
export interface LineChartOptions extends FigureOptions {
  /** The horizontal axis. */
  x: Axis;
  /** The vertical axis. */
  y: Axis;
}

/** A line longer than this is thinned; a figure is 700 pixels wide. */
const mostPoints = 1000;

/**
 * Draws named series of points as lines, markers, or both, on linear or logarithmic axes, with a band around each if asked for.
 *
 * A line of more than 1,000 points from left to right is thinned to its peaks and valleys, which
 * look the same.
 *
 * @param series The rows of points, each with a name.
 * @param options The axes, title and size.
 * @throws {RangeError} If there is no series, a series is empty, `x`, `y` and the band differ in length, a
 * number is not finite, or a number on a logarithmic axis is not positive.
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
  if (series.length === 0) {
    throw new RangeError(`${doing}: expected at least one series, found none`);
  }
  const sentences: string[] = [];
  const shown: { x: number[]; y: number[] } = { x: [], y: [] };
  const bands: Trace[] = [];
  // A band is a trace too, and plotly gives each trace the next colour.
  const colored = series.some(({ band }) => band);
  const lines = series.map(({ name, x, y, dash, band, ...rest }, index): Trace => {
    const places = x ?? Array.from(y, (_, index) => index);
    requireOnAxis(doing, `y of series "${name}"`, y, options.y);
    requireOnAxis(doing, `x of series "${name}"`, places, options.x);
    requireSameLength(doing, [`x of series "${name}"`, places], [`y of series "${name}"`, y]);
    sentences.push(`${name} from ${say(y[0]!)} to ${say(y[y.length - 1]!)} (${count(y.length)})`);
    // A line through one point cannot be seen.
    const mode = rest.mode ?? (y.length === 1 ? "lines+markers" : "lines");
    const kept = mode === "lines" && ascends(places) ? peaksAndValleys(y) : undefined;
    const points = {
      x: kept ? kept.map((index) => places[index]!) : Array.from(places),
      y: kept ? kept.map((index) => y[index]!) : Array.from(y),
    };
    shown.x.push(...points.x);
    shown.y.push(...points.y);
    const color = colored ? { color: colors[index % colors.length]! } : {};
    if (band) {
      const [low, high] = (["low", "high"] as const).map((side) => {
        const what = `band.${side} of series "${name}"`;
        requireOnAxis(doing, what, band[side], options.y);
        requireSameLength(doing, [what, band[side]], [`y of series "${name}"`, y]);
        return kept ? kept.map((index) => band[side][index]!) : Array.from(band[side]);
      });
      shown.y.push(...low!, ...high!);
      bands.push({
        type: "scatter",
        mode: "lines",
        name,
        x: [...points.x, ...points.x.toReversed()],
        y: [...high!, ...low!.toReversed()],
        fill: "toself",
        fillcolor: color.color,
        opacity: 0.2,
        line: { width: 0 },
        hoverinfo: "skip",
        legendgroup: name,
        showlegend: false,
      });
    }
    return {
      type: "scatter",
      mode,
      name,
      ...points,
      ...(dash || colored ? { line: { ...color, ...(dash ? { dash } : {}) } } : {}),
      ...(colored ? { marker: color, legendgroup: name } : {}),
    };
  });
  return new Figure(
    [...bands, ...lines],
    {
      ...frame(options, series.map(({ name }) => name)),
      xaxis: layoutAxis(options.x, extent(shown.x)),
      yaxis: layoutAxis(options.y, extent(shown.y)),
    },
    options.description ??
      `${axisTitle(options.y)} against ${inSentence(options.x)}: ${sentences.join("; ")}.`,
  );
}

/**
 * The indices that keep the look of a long line: the lowest and the highest point of each stretch.
 */
export function peaksAndValleys(values: Numbers): number[] | undefined {
  if (values.length <= mostPoints) return undefined;
  const stretches = mostPoints / 2 - 1;
  const kept = new Set([0]);
  for (let stretch = 0; stretch < stretches; stretch++) {
    const start = Math.floor(stretch * values.length / stretches);
    const end = Math.floor((stretch + 1) * values.length / stretches);
    let low = start, high = start;
    for (let index = start; index < end; index++) {
      if (values[index]! < values[low]!) low = index;
      if (values[index]! > values[high]!) high = index;
    }
    kept.add(Math.min(low, high)).add(Math.max(low, high));
  }
  return [...kept.add(values.length - 1)];
}

function count(points: number): string {
  return points === 1 ? "1 point" : `${say(points)} points`;
}
