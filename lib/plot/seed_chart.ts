import { checkNumber, checkString, show } from "../tensor/internal.ts";
import {
  checkAxisValues,
  checkColors,
  checkFigureOptions,
  checkFractionAxis,
  checkNotEmpty,
  checkNumbers,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { escapeText, formatInterval, joinClauses } from "./format.ts";
import { jointExtent, type Numbers } from "./numbers.ts";
import {
  type Axis,
  type ColorOptions,
  figureNames,
  type FigureOptions,
  type FractionAxis,
} from "./options.ts";
import {
  axisTitle,
  baseLayout,
  colors,
  drawnAxis,
  label,
  layoutAxis,
  maxDecadeTicks,
  times,
  titleLines,
} from "./style.ts";
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
export interface SeedChartOptions extends FigureOptions, ColorOptions {
  /** Axis of the numbers. */
  x: FractionAxis;
  /**
   * Width in pixels.
   *
   * @default 560
   */
  width?: number;
}

/** Heights in pixels of the parts of a row, from top to bottom. */
const heights = { line: 18, dots: 34, interval: 26 } as const;

/** A figure that fills a window is at least this wide, on a phone. */
const minWidth = 390;

/** Longer names have their numbers on a line below, so that both fit the smallest width. */
const maxNameBesideNumbers = 26;

/**
 * Draws the numbers of several seeds: one row for each group, with a dot for each seed and, below
 * the dots, the mean with its interval. Dots of the same seed have the same height in their rows.
 * Above a row are its name and "mean ± half width".
 *
 * It draws `rows` and `differences` of {@linkcode compareOverSeeds}. A dark line marks zero, if the
 * axis reaches it.
 *
 * @param groups The numbers of each row, with their mean and interval, such as those that
 * {@linkcode meanAndInterval} returns.
 * @param options The axis, title and size.
 * @throws {RangeError} If there is no group, a group has no numbers, one is not finite, a half
 * width is negative, or a number on a logarithmic axis is not positive.
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
    colors: true,
  });
  checkFractionAxis(action, "axis x", options.x);
  checkNotEmpty(action, "groups", groups);
  groups.forEach((group, index) => checkGroup(action, group, index, options.x));
  const { axis, factor } = drawnAxis(options.x);
  const rows = groups.map(({ values, mean, halfWidth, ...rest }) => ({
    ...rest,
    values: times(values, factor),
    mean: factor * mean,
    halfWidth: factor * halfWidth,
  }));
  const places = checkColors(action, options, ["groups", groups]);
  const texts = rowTexts(rows);
  const lines = Math.max(...texts.map((text) => text.length));
  const rowHeight = lines * heights.line + heights.dots + heights.interval;
  const data = rows.flatMap(({ name, values, mean, halfWidth }, index): Trace[] => {
    const color = colors[places[index]!]!;
    // The vertical axis counts pixels, from 0 at the top down to negative numbers.
    const dots = -(index * rowHeight + lines * heights.line + heights.dots / 2);
    return [
      {
        type: "scatter",
        mode: "markers",
        name: escapeText(name),
        x: Array.from(values),
        y: Array.from(values, (_, seed) => dots + (heights.dots - 10) * offsetOf(seed)),
        marker: { color, size: 9, opacity: 0.65, line: { color: "#ffffff", width: 1 } },
        hovertemplate: "%{x}<extra></extra>",
      },
      {
        type: "scatter",
        mode: "markers",
        name: `${escapeText(name)}, mean and interval`,
        x: [mean],
        y: [dots - heights.dots / 2 - 7],
        marker: { color, size: 12, symbol: "diamond" },
        error_x: { type: "data", array: [halfWidth], color, thickness: 3, width: 6 },
        hovertemplate: `${formatInterval(mean, halfWidth)}<extra></extra>`,
      },
    ];
  });
  const extent = jointExtent(rows.flatMap(({ values, mean, halfWidth }) => [
    values,
    [mean - halfWidth, mean + halfWidth],
  ]));
  const plotHeight = groups.length * rowHeight;
  const sized = { ...options, width: options.width ?? 560 };
  const layout = baseLayout(sized);
  return new Figure(
    data,
    {
      ...layout,
      height: options.height ?? (layout.margin?.t ?? 0) + plotHeight + 56,
      margin: { ...layout.margin, l: 20 },
      xaxis: {
        ...layoutAxis(axis, extent, maxDecadeTicks(sized).x),
        ...{ zeroline: true, zerolinecolor: "#666666", zerolinewidth: 1.5 },
      },
      yaxis: { visible: false, range: [-plotHeight, 0], fixedrange: true },
      annotations: texts.map((text, index) =>
        label(text.join("<br>"), {
          ...{ xref: "paper", x: 0, xanchor: "left", align: "left", bgcolor: "#ffffff" },
          ...{ y: -index * rowHeight, yanchor: "top", borderpad: 0 },
        })
      ),
    },
    options.description ??
      `${axisTitle(axis)}: ${
        joinClauses(rows.map(({ name, values, mean, halfWidth }) =>
          `${name} ${formatInterval(mean, halfWidth)} (${values.length} seeds)`
        ))
      }.`,
  );
}

/** Returns the lines of text above each row: the name in bold, and the mean with its interval. */
function rowTexts(groups: readonly SeedGroup[]): string[][] {
  const areShort = groups.every(({ name }) => name.length <= maxNameBesideNumbers);
  return groups.map(({ name, mean, halfWidth }) => {
    const numbers = formatInterval(mean, halfWidth);
    if (areShort) return [`<b>${escapeText(name)}</b>  ${numbers}`];
    const names = titleLines(name, minWidth).map((line) => `<b>${escapeText(line, 44)}</b>`);
    return [...names, numbers];
  });
}

/**
 * Returns the height of a dot among the dots of its row, from −½ to ½. Neighbouring seeds lie far
 * apart, so that dots of equal numbers do not cover each other.
 */
function offsetOf(seed: number): number {
  return 0.5 - (0.618034 * seed) % 1;
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
