import type { Annotations, LayoutAxis } from "plotly.js";
import { checkInteger, isTensor, show } from "../tensor/internal.ts";
import {
  checkChartAxis,
  checkFigureOptions,
  checkNumbers,
  checkQuantity,
  checkRange,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { escapeText, formatNumber, formatPercent, formatSI, withMinus } from "./format.ts";
import { type BinCounts, countBins, moments, type Numbers } from "./numbers.ts";
import {
  type Axis,
  chartNames,
  figureNames,
  type FigureOptions,
  type Quantity,
} from "./options.ts";
import { panelGrid } from "./panels.ts";
import {
  baseLayout,
  colors,
  extraTitleHeight,
  label,
  layoutAxis,
  lowerFirst,
  numberFormat,
} from "./style.ts";
import type { Trace } from "./trace.ts";

/** Options of the bins of a histogram. */
export interface BinOptions {
  /**
   * Number of bins of equal width, at most 2,000.
   *
   * @default 40
   */
  bins?: number;
  /**
   * Lower end of the first bin and upper end of the last.
   *
   * @default the ends of the data
   */
  range?: readonly [number, number];
}

/** Options of {@linkcode histogram}. */
export interface HistogramOptions extends FigureOptions, BinOptions {
  /** Meaning of the values. */
  x: Quantity;
  /**
   * Axis of the counts; its scale may be "log".
   *
   * @default { title: "Count" }
   */
  y?: Axis;
}

/**
 * Draws how often values fall into bins of equal width.
 *
 * The figure stores only the counts, so it is small also for millions of values.
 *
 * @param values The values, in any order.
 * @param options The axes, bins, title and size.
 * @throws {RangeError} If there are no values, one is not finite, `bins` is not a whole number
 * from 1 to 2,000, or `range` does not ascend.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { histogram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = histogram([0, 1, 1, 2], { x: { title: "Digit" }, bins: 2 });
 * assert.deepEqual(figure.data[0]?.x, [0.5, 1.5]);
 * assert.deepEqual(figure.data[0]?.y, [1, 3]);
 * ```
 */
export function histogram(values: Numbers, options: HistogramOptions): Figure {
  const action = "Drawing a histogram";
  checkFigureOptions<HistogramOptions>(action, options, '{ x: { title: "Weight" } }', {
    ...chartNames,
    bins: true,
    range: true,
  });
  const { x, y = { title: "Count" } } = options;
  checkQuantity(action, "axis x", x);
  checkChartAxis(action, "axis y", y);
  const binCounts = checkAndCount(action, "values", values, options);
  const { mean, standardDeviation } = moments(values);
  return new Figure(
    [bars(binCounts)],
    {
      ...baseLayout(options),
      bargap: 0,
      xaxis: layoutAxis(x, undefined),
      yaxis: layoutAxis(y, y.range),
    },
    options.description ??
      `Histogram of ${lowerFirst(x)}: ${formatNumber(values.length)} values with mean ${
          formatNumber(mean)
        } ` +
        `and standard deviation ${formatNumber(standardDeviation)}${outsideClause(binCounts)}.`,
  );
}

/** Options of {@linkcode activationHistograms}. */
export interface ActivationHistogramsOptions extends Omit<FigureOptions, "height">, BinOptions {
  /**
   * Meaning of the values.
   *
   * @default { title: "Activation" }
   */
  x?: Quantity;
}

/**
 * Draws one small histogram per layer, with mean, standard deviation and fraction of exact zeros.
 * They show whether activations vanish, explode or saturate.
 *
 * Without `range` each panel has its own horizontal axis.
 *
 * @param activations The values of each layer by its path, as a `Map` or a record.
 * @param options The bins, title and size.
 * @throws {RangeError} If there is no layer, a layer has no values, or a value is not finite.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { activationHistograms } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = activationHistograms({ relu1: [0, 0, 1, 3], relu2: [0, 0, 0, 2] }, { bins: 3 });
 * assert.deepEqual(figure.data[0]?.y, [2, 1, 1]);
 * assert.match(figure.description, /relu1 mean 1, standard deviation 1.225, zeros 50 %;/);
 * ```
 */
export function activationHistograms(
  activations: ReadonlyMap<string, Numbers> | Readonly<Record<string, Numbers>>,
  options: ActivationHistogramsOptions = {},
): Figure {
  const action = "Drawing activation histograms";
  checkFigureOptions<ActivationHistogramsOptions>(action, options, "{ bins: 40 }", {
    ...figureNames,
    x: true,
    bins: true,
    range: true,
  });
  const { x = { title: "Activation" } } = options;
  checkQuantity(action, "axis x", x);
  if (typeof activations !== "object" || activations === null || isTensor(activations)) {
    throw new TypeError(
      `${action}: the activations must be a Map or an object of arrays of numbers, found ${
        show(activations)
      }.`,
    );
  }
  const layers = activations instanceof Map ? [...activations] : Object.entries(activations);
  if (layers.length === 0) {
    throw new RangeError(`${action}: the activations must have at least one layer, found none.`);
  }
  const width = options.width ?? 700;
  const columns = Math.min(3, layers.length);
  const { panels, layout } = panelGrid(layers.length, {
    columns,
    width,
    panelHeight: 110,
    columnGap: 28,
    rowGap: 84,
    margin: {
      l: 40,
      r: 24,
      t: (options.title === undefined ? 44 : 84) + extraTitleHeight(options),
      b: 56,
    },
  });
  // A bold letter of the heading of a panel is about 7 pixels wide.
  const letters = Math.max(4, Math.floor((width - 64 - 28 * (columns - 1)) / columns / 7));
  const data: Trace[] = [];
  const annotations: Partial<Annotations>[] = [];
  const axes: Record<string, Partial<LayoutAxis>> = {};
  const sentences: string[] = [];
  layers.forEach(([path, values], index) => {
    const panel = panels[index]!;
    const binCounts = checkAndCount(action, `"${path}"`, values, options);
    const { mean, standardDeviation, zeros } = moments(values);
    const statistics = `mean ${short(mean)}, sd ${short(standardDeviation)}`;
    data.push({
      ...bars(binCounts),
      name: escapeText(path, Infinity),
      marker: { color: colors[0] },
      ...panel.trace,
    });
    annotations.push(label(
      `<b>${escapeText(path, letters)}</b><br>${statistics}${
        zeros > 0 ? `, zeros ${formatPercent(zeros)}` : ""
      }`,
      {
        xref: "paper",
        yref: "paper",
        x: panel.left,
        y: panel.top,
        xanchor: "left",
        yanchor: "bottom",
        align: "left",
        font: { size: 10 },
      },
    ));
    axes[panel.xKey] = {
      ...panel.xaxis,
      ...numberFormat,
      ...(index >= layers.length - columns ? layoutAxis(x, undefined) : {}),
      range: [binCounts.start, endOf(binCounts)],
      // More long numbers would overlap.
      nticks: hasLongTicks(binCounts) ? 2 : 5,
    };
    axes[panel.yKey] = {
      ...panel.yaxis,
      ...(panel.column === 0 ? { title: { text: "Count", standoff: 8 } } : {}),
      showticklabels: false,
      ticks: "",
      showgrid: false,
    };
    sentences.push(
      `${path} mean ${formatNumber(mean)}, standard deviation ${
        formatNumber(standardDeviation)
      }, ` +
        `zeros ${formatPercent(zeros)}${outsideClause(binCounts)}`,
    );
  });
  return new Figure(
    data,
    {
      ...baseLayout(options),
      ...layout,
      ...axes,
      annotations,
      bargap: 0,
    },
    options.description ?? `Histograms of activations per layer: ${sentences.join("; ")}.`,
  );
}

/** Formats a number for the narrow space over a histogram: 2.7e−4, 0.027, 27.1k. */
function short(value: number): string {
  return value !== 0 && Math.abs(value) < 1e-3
    ? withMinus(value.toExponential(1))
    : formatSI(value);
}

/** Returns the upper end of the last bin. */
function endOf({ start, width, counts }: BinCounts): number {
  return start + width * counts.length;
}

/** Whether ticks have many digits: the ends are large, or have many digits in common. */
function hasLongTicks(binCounts: BinCounts): boolean {
  const { start, width, counts } = binCounts;
  const size = Math.max(Math.abs(start), Math.abs(endOf(binCounts)));
  return size >= 1e6 || size > 1e4 * width * counts.length;
}

/** More bins than this are thinner than a pixel. */
const maxBins = 2000;

/** Checks values and the options of bins, and counts the values. */
function checkAndCount(
  action: string,
  subject: string,
  values: Numbers,
  { bins = 40, range }: BinOptions,
): BinCounts {
  checkNumbers(action, subject, values);
  checkInteger(action, "bins", bins, 1, maxBins);
  if (range) checkRange(action, range);
  return countBins(values, bins, range);
}

function bars({ start, width, counts }: BinCounts): Trace {
  return {
    type: "bar",
    x: Array.from(counts, (_, bin) => start + (bin + 0.5) * width),
    y: Array.from(counts),
    width,
    hovertemplate: "%{y} near %{x}<extra></extra>",
  };
}

function outsideClause({ outside }: BinCounts): string {
  return outside === 0 ? "" : ` (${formatNumber(outside)} outside the range)`;
}
