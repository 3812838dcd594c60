import { checkNumber, checkString, show } from "../tensor/internal.ts";
import {
  checkAxisValues,
  checkChartAxis,
  checkFigureOptions,
  checkNotEmpty,
  checkNumbers,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { escapeText, formatNumber, joinClauses } from "./format.ts";
import { jointExtent, type Numbers } from "./numbers.ts";
import { type Axis, figureNames, type FigureOptions } from "./options.ts";
import { axisTitle, baseLayout, colors, label, layoutAxis, maxDecadeTicks } from "./style.ts";
import type { Trace } from "./trace.ts";

/** The numbers of several seeds, with their mean and interval. */
export interface SeedGroup {
  /** Name above the row. */
  name: string;
  /** The number of each seed. */
  values: Numbers;
  /** The mean. */
  mean: number;
  /** Half the width of the interval around the mean. */
  halfWidth: number;
}

/** Options of {@linkcode seedChart}. */
export interface SeedChartOptions extends FigureOptions {
  /** Axis of the numbers. */
  x: Axis;
}

/** Height in pixels of a row: its name and numbers, the dots, and the interval. */
const rowHeight = 76;

/**
 * Draws the numbers of several seeds: one row for each group, with a dot for each seed and, below
 * the dots, the mean with its interval. Dots of the same seed have the same height in their rows.
 *
 * It draws `rows` and `differences` of {@linkcode compareOverSeeds}. A dashed line marks zero if the
 * numbers lie on both sides of it.
 *
 * @param groups The numbers of each row, with their mean and interval, such as those that
 * {@linkcode meanAndInterval} returns.
 * @param options The axis, title and size.
 * @throws {RangeError} If there is no group, a group has no numbers, one is not finite, a half width
 * is negative, or a number on a logarithmic axis is not positive.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { meanAndInterval, seedChart } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const values = [88, 89, 90];
 * const figure = seedChart([{ name: "LeNet", values, ...meanAndInterval(values) }], {
 *   x: { title: "Accuracy", unit: "%" },
 * });
 * assert.equal(figure.description, "Accuracy (%): LeNet 89.0 ± 2.5 (3 seeds).");
 * ```
 */
export function seedChart(groups: readonly SeedGroup[], options: SeedChartOptions): Figure {
  const action = "Drawing a seed chart";
  checkFigureOptions<SeedChartOptions>(action, options, '{ x: { title: "Accuracy" } }', {
    ...figureNames,
    height: true,
    x: true,
  });
  checkChartAxis(action, "axis x", options.x);
  checkNotEmpty(action, "groups", groups);
  groups.forEach((group, index) => checkGroup(action, group, index, options.x));
  const data = groups.flatMap(({ name, values, mean, halfWidth }, index): Trace[] => {
    const color = colors[index % colors.length]!;
    const text = escapeText(name);
    return [
      {
        type: "scatter",
        mode: "markers",
        name: text,
        x: Array.from(values),
        y: Array.from(values, (_, seed) => heightOf(index, seed)),
        marker: { color, size: 9, opacity: 0.65, line: { color: "#ffffff", width: 1 } },
        hovertemplate: "%{x}<extra></extra>",
      },
      {
        type: "scatter",
        mode: "markers",
        name: `${text}, mean and interval`,
        x: [mean],
        y: [-0.26 - index],
        marker: { color, size: 12, symbol: "diamond" },
        error_x: { type: "data", array: [halfWidth], color, thickness: 3, width: 6 },
        hovertemplate: `${interval(mean, halfWidth)}<extra></extra>`,
      },
    ];
  });
  const extent = jointExtent(groups.flatMap(({ values, mean, halfWidth }) => [
    values,
    [mean - halfWidth, mean + halfWidth],
  ]));
  const height = options.height ?? 110 + rowHeight * groups.length +
      (options.title === undefined ? 0 : 28);
  const layout = baseLayout({ ...options, height });
  return new Figure(
    data,
    {
      ...layout,
      margin: { ...layout.margin, l: 20 },
      xaxis: layoutAxis(options.x, extent, maxDecadeTicks(options).x),
      yaxis: { visible: false, range: [-groups.length + 0.45, 0.62] },
      shapes: extent[0] < 0 && extent[1] > 0
        ? [{
          ...{ type: "line", x0: 0, x1: 0, yref: "paper", y0: 0, y1: 1, layer: "below" },
          line: { color: "#666666", width: 1, dash: "dash" },
        }]
        : [],
      annotations: groups.map(({ name, mean, halfWidth }, index) =>
        label(`<b>${escapeText(name, nameLetters(options))}</b>  ${interval(mean, halfWidth)}`, {
          ...{ xref: "paper", x: 0, xanchor: "left", y: 0.42 - index, yanchor: "middle" },
        })
      ),
    },
    options.description ??
      `${axisTitle(options.x)}: ${
        joinClauses(groups.map(({ name, values, mean, halfWidth }) =>
          `${name} ${interval(mean, halfWidth)} (${values.length} seeds)`
        ))
      }.`,
  );
}

/**
 * Returns the height of a dot in its row. Neighbouring seeds lie far apart, so that dots of equal
 * numbers do not cover each other, and a dot has the same height in each row.
 */
function heightOf(row: number, seed: number): number {
  return 0.2 - 0.26 * ((0.618034 * seed) % 1) - row;
}

/** Returns a mean with its interval, which has two significant digits: "91.23 ± 0.41". */
function interval(mean: number, halfWidth: number): string {
  const decimals = 1 - Math.floor(Math.log10(halfWidth));
  return halfWidth > 0 && Math.abs(mean) < 1e9 && decimals <= 8
    ? [mean, halfWidth].map((value) => value.toFixed(Math.max(0, decimals))).join(" ± ")
    : `${formatNumber(mean)} ± ${formatNumber(halfWidth)}`;
}

/** Returns how many letters of a name fit beside its numbers. */
function nameLetters({ width = 700 }: FigureOptions): number {
  return Math.max(12, Math.floor((width - 44) / 8) - 18);
}

function checkGroup(action: string, group: SeedGroup, index: number, x: Axis): void {
  if (typeof group !== "object" || group === null) {
    throw new TypeError(
      `${action}: groups[${index}] must be an object such as ` +
        `{ name: "LeNet", values: [88, 90], mean: 89, halfWidth: 12.7 }, found ${show(group)}.`,
    );
  }
  const { name, values, mean, halfWidth } = group;
  checkString(action, `the name of groups[${index}]`, name);
  checkAxisValues(action, `the values of "${name}"`, values, x);
  checkNumbers(action, `the mean of "${name}"`, [mean]);
  const isWidth = halfWidth >= 0 && halfWidth < Infinity;
  checkNumber(action, `the half width of "${name}"`, halfWidth, isWidth, "at least 0 and finite");
  checkAxisValues(action, `the interval of "${name}"`, [mean - halfWidth, mean + halfWidth], x);
}
