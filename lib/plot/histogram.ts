import type { Annotations, LayoutAxis } from "plotly.js";
import { Figure, type Trace } from "./figure.ts";
import { extent, type Numbers, requireNumbers, requireRange, say, short } from "./numbers.ts";
import { panelGrid } from "./panels.ts";
import {
  type Axis,
  colors,
  type FigureOptions,
  frame,
  inSentence,
  label,
  layoutAxis,
  type Quantity,
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
 * @throws {RangeError} If there are no values, one is not finite, `bins` is not a positive integer,
 * or `range` does not ascend.
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
  const counted = count(doing, "values", values, options);
  const { mean, standardDeviation } = moments(values);
  return new Figure(
    [bars(counted)],
    {
      ...frame(options),
      bargap: 0,
      xaxis: layoutAxis(options.x),
      yaxis: layoutAxis(options.y ?? { title: "Count" }),
    },
    options.description ??
      `Histogram of ${inSentence(options.x)}: ${say(values.length)} values with mean ${
          say(mean)
        } ` +
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
    margin: { l: 40, r: 24, t: options.title === undefined ? 44 : 84, b: 56 },
  });
  const data: Trace[] = [];
  const annotations: Partial<Annotations>[] = [];
  const axes: Record<string, Partial<LayoutAxis>> = {};
  const sentences: string[] = [];
  layers.forEach(([path, values], index) => {
    const panel = panels[index]!;
    const counted = count(doing, `"${path}"`, values, options);
    const { mean, standardDeviation, zeros } = moments(values);
    const statistics = `mean ${short(mean)}, sd ${short(standardDeviation)}`;
    data.push({ ...bars(counted), name: path, marker: { color: colors[0] }, ...panel.trace });
    annotations.push(label(
      `<b>${path}</b><br>${statistics}${zeros > 0 ? `, zeros ${percent(zeros)}` : ""}`,
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
      ...(index >= layers.length - columns ? layoutAxis(options.x ?? { title: "Activation" }) : {}),
      range: [counted.start, counted.start + counted.width * counted.counts.length],
      nticks: 5,
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
    throw new RangeError(`${doing}: expected bins to be a positive integer, found ${bins}`);
  }
  if (range) requireRange(doing, range);
  let [start, end] = range ?? extent(values);
  if (start === end) [start, end] = [start - 0.5, end + 0.5];
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
  let sum = 0, squares = 0, zeros = 0;
  for (let index = 0; index < values.length; index++) {
    sum += values[index]!;
    if (values[index] === 0) zeros++;
  }
  const mean = sum / values.length;
  for (let index = 0; index < values.length; index++) squares += (values[index]! - mean) ** 2;
  return {
    mean,
    standardDeviation: Math.sqrt(squares / values.length),
    zeros: zeros / values.length,
  };
}

function outsideOf({ outside }: Counted): string {
  return outside === 0 ? "" : ` (${say(outside)} outside the range)`;
}

function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))} %`;
}
