import type { Annotations, LayoutAxis } from "plotly.js";
import { Figure, type Trace } from "./figure.ts";
import { isTensor } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import {
  extent,
  leastSpread,
  type Numbers,
  requireNumbers,
  requireRange,
  say,
  short,
} from "./numbers.ts";
import { panelGrid } from "./panels.ts";
import {
  asText,
  type Axis,
  chartNames,
  checkFigure,
  colors,
  extraTitleHeight,
  figureNames,
  type FigureOptions,
  frame,
  inSentence,
  label,
  layoutAxis,
  numberFormat,
  type Quantity,
  requireAxis,
  requireQuantity,
} from "./style.ts";

/** How numbers are counted into bins. */
export interface BinOptions {
  /** How many bins of equal width, 40 by default. */
  bins?: number;
  /** The ends of the first and the last bin; by default those of the data. */
  range?: readonly [number, number];
}

/** What `histogram` takes beside its values. */
export interface HistogramOptions extends FigureOptions, BinOptions {
  /** What the values are. */
  x: Quantity;
  /** What the height of a bar means, "Count" by default; its scale may be "log". */
  y?: Axis;
}

/**
 * Draws how often values fall into bins of equal width.
 *
 * Only the counts are stored in the figure, so millions of values cost no more than a few.
 *
 * @param values The values, in any order.
 * @param options The axes, bins, title and size.
 * @throws {RangeError} If there are no values, one is not finite, `bins` is not an integer from 1
 * to 2,000, or `range` does not ascend.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing a histogram";
  checkFigure<HistogramOptions>(doing, options, '{ x: { title: "Weight" } }', {
    ...chartNames,
    bins: true,
    range: true,
  });
  const { x, y = { title: "Count" } } = options;
  requireQuantity(doing, "axis x", x);
  requireAxis(doing, "axis y", y);
  const counted = count(doing, "values", values, options);
  const { mean, standardDeviation } = moments(values);
  return new Figure(
    [bars(counted)],
    {
      ...frame(options),
      bargap: 0,
      xaxis: layoutAxis(x, undefined),
      yaxis: layoutAxis(y, y.range),
    },
    options.description ??
      `Histogram of ${inSentence(x)}: ${say(values.length)} values with mean ${say(mean)} ` +
        `and standard deviation ${say(standardDeviation)}${outsideOf(counted)}.`,
  );
}

/** What `activationHistograms` takes beside its values. */
export interface ActivationHistogramsOptions extends Omit<FigureOptions, "height">, BinOptions {
  /** What the values are, "Activation" by default. */
  x?: Quantity;
}

/**
 * Draws one small histogram per layer, with mean, standard deviation and share of exact zeros:
 * what tells at a glance whether signals die, explode or saturate on their way through a network.
 *
 * Each panel has its own horizontal axis unless `range` gives one to all.
 *
 * @param activations From the path of a layer to its values, as a `Map` or a record.
 * @param options The bins, title and size.
 * @throws {RangeError} If there is no layer, a layer has no values, or a value is not finite.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing activation histograms";
  checkFigure<ActivationHistogramsOptions>(doing, options, "{ bins: 40 }", {
    ...figureNames,
    x: true,
    bins: true,
    range: true,
  });
  const { x = { title: "Activation" } } = options;
  requireQuantity(doing, "axis x", x);
  if (typeof activations !== "object" || activations === null || isTensor(activations)) {
    throw new TypeError(
      `${doing}: the activations must be a Map or an object of arrays of numbers, found ${
        show(activations)
      }.`,
    );
  }
  const layers = activations instanceof Map ? [...activations] : Object.entries(activations);
  if (layers.length === 0) {
    throw new RangeError(`${doing}: expected at least one layer, found none`);
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
    const counted = count(doing, `"${path}"`, values, options);
    const { mean, standardDeviation, zeros } = moments(values);
    const statistics = `mean ${short(mean)}, sd ${short(standardDeviation)}`;
    data.push({
      ...bars(counted),
      name: asText(path, Infinity),
      marker: { color: colors[0] },
      ...panel.trace,
    });
    annotations.push(label(
      `<b>${asText(path, letters)}</b><br>${statistics}${
        zeros > 0 ? `, zeros ${percent(zeros)}` : ""
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
      range: [counted.start, counted.start + counted.width * counted.counts.length],
      // Long numbers have no room beside each other.
      nticks: hasLongTicks(counted) ? 2 : 5,
    };
    axes[panel.yKey] = {
      ...panel.yaxis,
      ...(panel.column === 0 ? { title: { text: "Count", standoff: 8 } } : {}),
      showticklabels: false,
      ticks: "",
      showgrid: false,
    };
    sentences.push(
      `${path} mean ${say(mean)}, standard deviation ${say(standardDeviation)}, ` +
        `zeros ${percent(zeros)}${outsideOf(counted)}`,
    );
  });
  return new Figure(
    data,
    {
      ...frame(options),
      ...layout,
      ...axes,
      annotations,
      bargap: 0,
    },
    options.description ?? `Histograms of activations per layer: ${sentences.join("; ")}.`,
  );
}

/** Whether the ends of a histogram have so much in common, or are so large, that ticks are long. */
function hasLongTicks({ start, width, counts }: Counted): boolean {
  const size = Math.max(Math.abs(start), Math.abs(start + width * counts.length));
  return size >= 1e6 || size > 1e4 * width * counts.length;
}

/** More bins than this are thinner than a pixel. */
const mostBins = 2000;

interface Counted {
  start: number;
  width: number;
  counts: Uint32Array;
  outside: number;
}

function count(
  doing: string,
  name: string,
  values: Numbers,
  { bins = 40, range }: BinOptions,
): Counted {
  requireNumbers(doing, name, values);
  if (!Number.isInteger(bins) || bins < 1) {
    throw new RangeError(`${doing}: expected bins to be a positive integer, found ${show(bins)}`);
  }
  if (bins > mostBins) {
    throw new RangeError(
      `${doing}: bins must be at most ${mostBins}, of which each has a pixel, found ${bins}.`,
    );
  }
  if (range) requireRange(doing, range);
  let [start, end] = range ?? extent(values);
  // Bins of equal or nearly equal numbers are wider than the rounding of their ends.
  const least = leastSpread([start, end]);
  if (start === end || end - start < least) {
    const half = start === end ? Math.max(0.5, 1e4 * least) : 1e4 * least;
    [start, end] = [start - half, end + half];
  }
  const width = (end - start) / bins;
  const counts = new Uint32Array(bins);
  let outside = 0;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value < start || value > end) outside++;
    // The last bin holds its upper end too.
    else counts[Math.min(bins - 1, Math.floor((value - start) / width))]!++;
  }
  return { start, width, counts, outside };
}

function bars({ start, width, counts }: Counted): Trace {
  return {
    type: "bar",
    x: Array.from(counts, (_, bin) => start + (bin + 0.5) * width),
    y: Array.from(counts),
    width,
    hovertemplate: "%{y} near %{x}<extra></extra>",
  };
}

function moments(values: Numbers): { mean: number; standardDeviation: number; zeros: number } {
  // In a unit in which no square is too large or too small for a number; a power of two rounds
  // nothing.
  const [min, max] = extent(values);
  const unit = 2 ** Math.floor(Math.log2(Math.max(-min, max) || 1));
  let sum = 0, squares = 0, zeros = 0;
  for (let index = 0; index < values.length; index++) {
    sum += values[index]! / unit;
    if (values[index] === 0) zeros++;
  }
  const mean = sum / values.length;
  for (let index = 0; index < values.length; index++) {
    squares += (values[index]! / unit - mean) ** 2;
  }
  return {
    mean: mean * unit,
    standardDeviation: Math.sqrt(squares / values.length) * unit,
    zeros: zeros / values.length,
  };
}

function outsideOf({ outside }: Counted): string {
  return outside === 0 ? "" : ` (${say(outside)} outside the range)`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
