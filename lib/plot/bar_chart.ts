import type { Shape } from "plotly.js";
import { isTensor, show } from "../tensor/internal.ts";
import {
  checkAxisValues,
  checkChartAxis,
  checkColors,
  checkFigureOptions,
  checkQuantity,
  checkSameLength,
  checkStrings,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { formatNumber, formatSI, joinClauses } from "./format.ts";
import { jointExtent, type Numbers } from "./numbers.ts";
import {
  type Axis,
  chartNames,
  type ColorOptions,
  type FigureOptions,
  type Quantity,
} from "./options.ts";
import {
  axisTitle,
  baseLayout,
  categories as categoryAxis,
  colors,
  layoutAxis,
  legendName,
  lowerFirst,
  maxDecadeTicks,
} from "./style.ts";
import type { Trace } from "./trace.ts";

/** Options of {@linkcode barChart}. */
export interface BarChartOptions extends FigureOptions, ColorOptions {
  /** Meaning of the categories. */
  x: Quantity;
  /** Axis of the values. */
  y: Axis;
  /**
   * Value at which the bars begin, drawn as a line: smaller values hang below it.
   *
   * @default 0, or the lower end of a logarithmic axis
   */
  baseline?: number;
}

/** More bars than this have no values on them. */
const maxLabelledBars = 16;

/** Width in pixels of a letter of the values on the bars. */
const letterWidth = 6.5;

/** Share of the axis that is between the bars. */
const gap = 0.3;

/** More bars than this are thinner than a pixel. */
const maxBars = 2000;

/**
 * Draws one bar for each category, or for each category one bar per named series, side by side.
 *
 * At most 16 bars have their values on them, upright where the bars are narrow. Categories of equal
 * names have separate bars.
 *
 * @param categories The names under the bars.
 * @param values One number per category, or a record from the name of a series to its numbers.
 * @param options The axes, title and size.
 * @throws {RangeError} If there are no categories or more than 2,000 bars, a series and the
 * categories differ in length, a number is not finite, or one on a logarithmic axis is not
 * positive.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { barChart } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = barChart(["ResNet-18", "VGG-16"], [11_689_512, 138_357_544], {
 *   x: { title: "Model" },
 *   y: { title: "Parameters" },
 * });
 * assert.deepEqual(figure.data[0]?.text, ["11.7M", "138M"]);
 * assert.equal(
 *   figure.description,
 *   "Parameters by model: ResNet-18 11,689,512; VGG-16 138,357,544.",
 * );
 * ```
 */
export function barChart(
  categories: readonly string[],
  values: Numbers | Readonly<Record<string, Numbers>>,
  options: BarChartOptions,
): Figure {
  const action = "Drawing a bar chart";
  checkFigureOptions<BarChartOptions>(
    action,
    options,
    '{ x: { title: "Model" }, y: { title: "Size" } }',
    { ...chartNames, baseline: true, colors: true },
  );
  checkQuantity(action, "axis x", options.x);
  checkChartAxis(action, "axis y", options.y);
  const { baseline } = options;
  if (baseline !== undefined) checkAxisValues(action, "baseline", [baseline], options.y);
  checkStrings(action, "categories", categories);
  if (typeof values !== "object" || values === null || isTensor(values) || values instanceof Map) {
    throw new TypeError(
      `${action}: values must be an array of numbers or an object of such arrays, found ${
        show(values)
      }.`,
    );
  }
  const series: [string, Numbers][] = isSeries(values) ? [["", values]] : Object.entries(values);
  if (series.length === 0) {
    throw new RangeError(`${action}: values must have at least one series, found none.`);
  }
  const bars = categories.length * series.length;
  if (bars > maxBars) {
    throw new RangeError(
      `${action}: the number of bars must be at most ${formatNumber(maxBars)}, ` +
        `found ${formatNumber(bars)}. ` +
        "Draw a lineChart or a histogram.",
    );
  }
  const isLabelled = bars <= maxLabelledBars;
  const { keys, axis } = categoryAxis(categories, options);
  for (const [name, heights] of series) {
    const label = name ? `series "${name}"` : "values";
    checkAxisValues(action, label, heights, options.y);
    checkSameLength(action, [label, heights], ["categories", categories]);
  }
  const texts = series.map(([, heights]) => Array.from(heights, formatSI));
  const longest = texts.flat().reduce((longest, { length }) => Math.max(longest, length), 0);
  const barWidth = ((options.width ?? 700) - 88) * (1 - gap) / bars;
  // A value that is wider than its bar stands upright, or it would cover its neighbour.
  const isUpright = letterWidth * longest > barWidth;
  const places = options.colors && checkColors(action, options, ["series", series]);
  const data = series.map(([name, heights], index): Trace => {
    return {
      type: "bar",
      ...(name ? { name: legendName(name, options) } : {}),
      x: keys,
      ...(places ? { marker: { color: colors[places[index]!]! } } : {}),
      ...(baseline === undefined ? { y: Array.from(heights) } : {
        base: baseline,
        y: Array.from(heights, (height) => height - baseline),
        customdata: Array.from(heights),
        hovertemplate: "%{x}: %{customdata:,.5~g}",
      }),
      ...(isLabelled
        ? {
          text: texts[index],
          textposition: "outside",
          textfont: { size: 10 },
          textangle: isUpright ? -90 : 0,
          constraintext: "none",
          cliponaxis: false,
        }
        : {}),
    };
  });
  const sentences = series.map(([name, heights]) =>
    (name ? `${name}: ` : "") +
    joinClauses(
      categories.map((category, index) => `${category} ${formatNumber(heights[index]!)}`),
      name ? ", " : "; ",
    )
  );
  const [low, high] = jointExtent(
    [...series.map(([, heights]) => heights), ...(baseline === undefined ? [] : [[baseline]])],
  );
  // Bars start at zero, except on a logarithmic axis.
  const ends = options.y.scale === "log"
    ? [low, high] as const
    : [Math.min(0, low), Math.max(0, high)] as const;
  const layout = baseLayout(options, series.map(([name]) => name));
  // Upright values need room above the bars, where the legend is.
  const plotHeight = (options.height ?? 420) - Number(layout.margin?.t) - 56;
  const room = isLabelled && isUpright ? Math.min(letterWidth * longest + 8, plotHeight / 2) : 0;
  const hasRoom = room > 0 && options.y.scale !== "log" && ends[0] === 0 && ends[1] > 0;
  const range = [0, ends[1] * plotHeight / (plotHeight - room)] as const;
  return new Figure(
    data,
    {
      ...layout,
      xaxis: { title: { text: axisTitle(options.x) }, ...axis },
      yaxis: layoutAxis(
        hasRoom ? { range, ...options.y } : options.y,
        ends,
        maxDecadeTicks(options).y,
      ),
      bargap: gap,
      ...(baseline === undefined ? {} : { shapes: [baselineShape(baseline)] }),
    },
    options.description ??
      `${axisTitle(options.y)} by ${lowerFirst(options.x)}: ${sentences.join("; ")}.`,
  );
}

/** Returns a line across the whole plot at a value. */
function baselineShape(y: number): Partial<Shape> {
  return {
    ...{ type: "line", xref: "paper", x0: 0, x1: 1, y0: y, y1: y },
    line: { color: "#262626", width: 1 },
  };
}

function isSeries(values: Numbers | Readonly<Record<string, Numbers>>): values is Numbers {
  return typeof values.length === "number";
}
