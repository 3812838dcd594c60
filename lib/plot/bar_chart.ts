import { isTensor } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { Figure, type Trace } from "./figure.ts";
import {
  inShort,
  jointExtent,
  type Numbers,
  requireOnAxis,
  requireSameLength,
  say,
  short,
} from "./numbers.ts";
import {
  type Axis,
  axisTitle,
  categories as distinct,
  chartNames,
  checkFigure,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
  legendName,
  type Quantity,
  requireAxis,
  requireQuantity,
  requireTexts,
  roomForPowers,
} from "./style.ts";

/** What `barChart` takes beside its categories and values. */
export interface BarChartOptions extends FigureOptions {
  /** What the categories are. */
  x: Quantity;
  /** What the length of a bar means. */
  y: Axis;
}

/** Above this many bars the values are not written on them. */
const mostWrittenValues = 16;

/** More bars than this are thinner than a pixel. */
const mostBars = 2000;

/**
 * Draws one bar for each category, or one bar per named series side by side for each category.
 *
 * The values are written on the bars as long as there are at most 16. Categories of equal names
 * have a bar each.
 *
 * @param categories The names under the bars.
 * @param values One number per category, or a record from the name of a series to its numbers.
 * @param options The axes, title and size.
 * @throws {RangeError} If there are no categories or more than 2,000 bars, the numbers are not as
 * many as the categories, a number is not finite, or one on a logarithmic axis is not positive.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
 * assert.equal(figure.description, "Parameters by model: ResNet-18 11,689,512; VGG-16 138,357,544.");
 * ```
 */
export function barChart(
  categories: readonly string[],
  values: Numbers | Readonly<Record<string, Numbers>>,
  options: BarChartOptions,
): Figure {
  const doing = "Drawing a bar chart";
  checkFigure<BarChartOptions>(
    doing,
    options,
    '{ x: { title: "Model" }, y: { title: "Size" } }',
    chartNames,
  );
  requireQuantity(doing, "axis x", options.x);
  requireAxis(doing, "axis y", options.y);
  requireTexts(doing, "categories", categories);
  if (typeof values !== "object" || values === null || isTensor(values) || values instanceof Map) {
    throw new TypeError(
      `${doing}: values must be an array of numbers or an object of such arrays, found ${
        show(values)
      }.`,
    );
  }
  const series: [string, Numbers][] = isSeries(values) ? [["", values]] : Object.entries(values);
  if (series.length === 0) {
    throw new RangeError(`${doing}: expected at least one series, found none`);
  }
  const bars = categories.length * series.length;
  if (bars > mostBars) {
    throw new RangeError(
      `${doing}: there must be at most ${say(mostBars)} bars, found ${say(bars)}. ` +
        "Draw a lineChart or a histogram.",
    );
  }
  const written = bars <= mostWrittenValues;
  const { keys, axis } = distinct(categories, options);
  const data = series.map(([name, heights]): Trace => {
    const label = name ? `series "${name}"` : "values";
    requireOnAxis(doing, label, heights, options.y);
    requireSameLength(doing, [label, heights], ["categories", categories]);
    return {
      type: "bar",
      ...(name ? { name: legendName(name, options) } : {}),
      x: keys,
      y: Array.from(heights),
      ...(written
        ? {
          text: Array.from(heights, short),
          textposition: "outside",
          textfont: { size: 10 },
          constraintext: "none",
          cliponaxis: false,
        }
        : {}),
    };
  });
  const sentences = series.map(([name, heights]) =>
    (name ? `${name}: ` : "") +
    inShort(
      categories.map((category, index) => `${category} ${say(heights[index]!)}`),
      name ? ", " : "; ",
    )
  );
  const [low, high] = jointExtent(series.map(([, heights]) => heights));
  const log = options.y.scale === "log";
  const shown = log ? [low, high] as const : [Math.min(0, low), Math.max(0, high)] as const;
  // Over few decades plotly.js finds ticks between the powers of ten too.
  const few = log && high / low < 1e6 && high > low;
  const yaxis = layoutAxis(options.y, few ? options.y.range : shown, roomForPowers(options).y);
  return new Figure(
    data,
    {
      ...frame(options, series.map(([name]) => name)),
      xaxis: { title: { text: axisTitle(options.x) }, ...axis },
      yaxis: {
        ...yaxis,
        tickformat: "",
        ...(log ? { hoverformat: "" } : {}),
        exponentformat: "SI",
        minexponent: 3,
      },
      bargap: 0.3,
    },
    options.description ??
      `${axisTitle(options.y)} by ${inSentence(options.x)}: ${sentences.join("; ")}.`,
  );
}

function isSeries(values: Numbers | Readonly<Record<string, Numbers>>): values is Numbers {
  return typeof values.length === "number";
}
