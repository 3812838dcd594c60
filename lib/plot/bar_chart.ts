import { Figure, type Trace } from "./figure.ts";
import { type Numbers, requireOnAxis, requireSameLength, say, short } from "./numbers.ts";
import {
  type Axis,
  axisTitle,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
  type Quantity,
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

/**
 * Draws one bar for each category, or one bar per named series side by side for each category.
 *
 * The values are written on the bars as long as there are at most 16.
 *
 * @param categories The names under the bars.
 * @param values One number per category, or a record from the name of a series to its numbers.
 * @param options The axes, title and size.
 * @throws {RangeError} If there are no categories, the numbers are not as many as the categories,
 * a number is not finite, or one on a logarithmic axis is not positive.
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
  const series: [string, Numbers][] = isSeries(values) ? [["", values]] : Object.entries(values);
  if (series.length === 0) {
    throw new RangeError(`${doing}: expected at least one series, found none`);
  }
  const written = categories.length * series.length <= mostWrittenValues;
  const data = series.map(([name, heights]): Trace => {
    const label = name ? `series "${name}"` : "values";
    requireOnAxis(doing, label, heights, options.y);
    requireSameLength(doing, [label, heights], ["categories", categories]);
    return {
      type: "bar",
      ...(name ? { name } : {}),
      x: [...categories],
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
    categories.map((category, index) => `${category} ${say(heights[index]!)}`).join(
      name ? ", " : "; ",
    )
  );
  return new Figure(
    data,
    {
      ...frame(options, series.map(([name]) => name)),
      // Names that look like numbers ("18", "34") are names all the same.
      xaxis: { ...layoutAxis(options.x), type: "category" },
      yaxis: { ...layoutAxis(options.y), exponentformat: "SI", minexponent: 3 },
      bargap: 0.3,
    },
    options.description ??
      `${axisTitle(options.y)} by ${inSentence(options.x)}: ${sentences.join("; ")}.`,
  );
}

function isSeries(values: Numbers | Readonly<Record<string, Numbers>>): values is Numbers {
  return typeof values.length === "number";
}
