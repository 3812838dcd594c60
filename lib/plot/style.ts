/** The look of all figures: colours, layout, axes, legends and text. */
import type { Annotations, Layout, LayoutAxis } from "plotly.js";
import { checkAxisEnds } from "./checks.ts";
import { escapeText, formatNumber } from "./format.ts";
import { endsAround, minSpread, type Numbers } from "./numbers.ts";
import type { Axis, FigureOptions, FractionAxis, Quantity } from "./options.ts";
import { colors } from "./palette.ts";

export { colors };

/** Viridis: small values are dark and large values bright, in even steps of lightness. */
export const sequential: [number, string][] = colorScale([
  "#440154",
  "#472d7b",
  "#3b528b",
  "#2c728e",
  "#21918c",
  "#28ae80",
  "#5ec962",
  "#addc30",
  "#fde725",
]);

/** White to dark blue, for cells that also show their number. */
export const blues: [number, string][] = colorScale(["#f7fbff", "#9dc6e4", "#2f7dbb", "#08306b"]);

/** Black to white, for the brightness of pixels. */
export const grays: [number, string][] = colorScale(["#000000", "#ffffff"]);

/** Blue below zero, nearly white at zero, vermilion above zero. */
export const diverging: [number, string][] = colorScale([
  "#08407e",
  "#5fa2d0",
  "#f4f4f4",
  "#f0935c",
  "#9a2c00",
]);

const textColor = "#262626";

/**
 * Format of the numbers along an axis: as many digits as distinguish the ticks, with an exponent
 * from 1e15 up and below 1e-6. (The exponentformat "none" of plotly.js would cut "1.2e-7" down to
 * "1.2".)
 */
export const numberFormat: { tickformat: string; hoverformat: string } = {
  tickformat: ",.15~g",
  hoverformat: ",.15~g",
};

/** Format of numbers where a `tickformat` cannot be set: powers of ten from 1e5. */
export const powerFormat: {
  exponentformat: "power";
  minexponent: number;
  separatethousands: boolean;
} = { exponentformat: "power", minexponent: 5, separatethousands: true };

const axisStyle: Partial<LayoutAxis> = {
  automargin: true,
  // An axis that layoutAxis did not make may show dates, so it must not get a tickformat for
  // numbers.
  ...powerFormat,
  gridcolor: "#e8e8e8",
  linecolor: "#8c8c8c",
  showline: true,
  ticks: "outside",
  tickcolor: "#8c8c8c",
  ticklen: 4,
  zeroline: false,
};

/** The default layout of figures. A figure's own layout overrides it. */
export const defaultLayout: Partial<Layout> = {
  width: 700,
  height: 420,
  template: {
    layout: {
      font: { family: "DejaVu Sans, Verdana, sans-serif", size: 12, color: textColor },
      title: {
        x: 0,
        y: 1,
        xref: "container",
        yref: "container",
        xanchor: "left",
        yanchor: "top",
        pad: { l: 16, t: 14 },
        font: { size: 15 },
      },
      colorway: [...colors],
      // White in dark themes too: the static picture is white, and a figure that changes colour
      // under the pointer is harder to read than a white card.
      paper_bgcolor: "#ffffff",
      plot_bgcolor: "#ffffff",
      margin: { l: 64, r: 24, t: 56, b: 56 },
      hovermode: "closest",
      xaxis: { ...axisStyle, title: { standoff: 10 } },
      yaxis: { ...axisStyle, title: { standoff: 8 } },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom" },
    },
  },
};

/**
 * Returns a category axis, and a unique key for each name, so that equal names get separate
 * positions. The axis shows the names literally, even if they look like numbers, dates or markup,
 * and truncates them to a third of the figure.
 */
export function categories(
  names: readonly string[],
  { width = 700 }: FigureOptions = {},
): { keys: string[]; axis: Partial<LayoutAxis> } {
  const allNames = new Set(names), used = new Set<string>();
  const aliases: [string, string][] = [];
  const keys = names.map((name, index) => {
    const text = escapeText(name, Math.max(6, Math.floor(width / 22)));
    // plotly.js uses the name as a key of a plain object, which already has the key "constructor".
    if (text === name && name !== "" && !(name in {}) && !used.has(name)) {
      used.add(name);
      return name;
    }
    let key = `${index} ${name}`;
    while (allNames.has(key) || used.has(key)) key += "'";
    used.add(key);
    aliases.push([key, text]);
    return key;
  });
  // The types of plotly.js wrongly declare labelalias as a number.
  const labelalias: unknown = Object.fromEntries(aliases);
  return {
    keys,
    axis: {
      type: "category",
      ...(aliases.length > 0 ? { labelalias: labelalias as number } : {}),
    },
  };
}

/**
 * Returns the title and size of a layout, with space above the plot for a legend of the names. A
 * single name gets no legend.
 */
export function baseLayout(
  { title, width, height }: FigureOptions,
  names: readonly string[] = [],
): Partial<Layout> {
  const showlegend = names.length > 1;
  // plotly.js sets the entries in columns, each as wide as the longest entry.
  const longest = names.reduce(
    (longest, name) => Math.max(longest, Math.min(name.length, maxLegendLength(width))),
    0,
  );
  const entry = legendMark + letterWidth * longest;
  const perRow = Math.max(1, Math.floor(((width ?? 700) - 88) / entry));
  const rows = showlegend ? Math.ceil(names.length / perRow) : 0;
  return {
    ...(title === undefined ? {} : { title: layoutTitle(title, width) }),
    margin: { t: (title === undefined ? 20 : 48) + extraTitleHeight({ title, width }) + 20 * rows },
    showlegend,
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
  };
}

/**
 * Returns a title in lines that fit the figure. plotly.js puts the baseline of the first of several
 * lines where the top of a single line would be, so several lines start lower by a letter's height.
 */
function layoutTitle(title: string, width?: number): Partial<Layout["title"]> {
  const lines = titleLines(title, width);
  return {
    text: lines.join("<br>"),
    ...(lines.length > 1 ? { pad: { l: 16, t: 25 } } : {}),
  };
}

/** Returns the size of the plot between the margins, of a figure without a legend. */
export function plotArea(options: FigureOptions): { width: number; height: number } {
  const { width = 700, height = 420 } = options;
  const { l, r, b } = defaultLayout.template!.layout!.margin!;
  return { width: width - l! - r!, height: height - baseLayout(options).margin!.t! - b! };
}

/** Breaks a title into lines that fit the figure; a title with markup only at `<br>`. */
export function titleLines(title: string, width = 700): string[] {
  const letters = Math.max(8, Math.floor((width - 32) / 8.3));
  if (title.includes("<")) return title.split("<br>");
  if (title.length <= letters) return [title];
  const lines: string[] = [];
  for (const word of title.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= letters) lines.splice(-1, 1, longer);
    else lines.push(word);
  }
  return lines;
}

/** Returns the height in pixels that a title needs for all lines after the first. */
export function extraTitleHeight({ title, width }: Omit<FigureOptions, "height">): number {
  return title === undefined ? 0 : 20 * (titleLines(title, width).length - 1);
}

/** Widths in pixels of a legend's line or marker with its margin, and of one letter. */
const legendMark = 48, letterWidth = 7.5;

function maxLegendLength(width = 700): number {
  return Math.max(4, Math.floor((width - 88 - legendMark) / letterWidth));
}

/** Escapes a name for the legend, and truncates it to the width of the figure. */
export function legendName(name: string, { width }: FigureOptions): string {
  return escapeText(name, maxLegendLength(width));
}

/** Returns the title with its unit: "Loss (nats)". */
export function axisTitle({ title, unit }: Quantity): string {
  return unit === undefined ? title : `${title} (${unit})`;
}

/** Returns an axis as it is drawn, and what its numbers are multiplied by: 100 for fractions. */
export function drawnAxis(
  { percent = false, ...axis }: FractionAxis,
): { axis: Axis; factor: number } {
  if (!percent) return { axis, factor: 1 };
  const { unit = "%", range } = axis;
  return {
    axis: { ...axis, unit, ...(range ? { range: [100 * range[0], 100 * range[1]] } : {}) },
    factor: 100,
  };
}

/** Returns numbers times a factor; those of factor 1 unchanged. */
export function times(values: Numbers, factor: number): Numbers {
  return factor === 1 ? values : Array.from(values, (value) => factor * value);
}

/** Returns how many powers of ten fit along each axis of a figure. */
export function maxDecadeTicks(
  { width = 700, height = 420 }: FigureOptions,
): { x: number; y: number } {
  return { x: Math.max(2, (width - 88) / 55), y: Math.max(2, (height - 112) / 24) };
}

/** Returns the title of a quantity for use inside a sentence: "epoch", but "MACs" unchanged. */
export function lowerFirst(quantity: Quantity): string {
  const text = axisTitle(quantity);
  return /^[A-Z][a-z]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

/**
 * Returns an axis as plotly.js expects it. There, the ends of a logarithmic axis are exponents.
 *
 * A logarithmic axis over three decades or more has labels at powers of ten only, a shorter one at
 * 1, 2 and 5 times powers of ten.
 *
 * @param data The smallest and the largest value.
 * @param maxTicks How many powers of ten fit along the axis.
 */
export function layoutAxis(
  axis: Axis,
  data: readonly [number, number] | undefined,
  maxTicks = 8,
): Partial<LayoutAxis> {
  const { range, scale = "linear" } = axis;
  const log = scale === "log";
  if (range !== undefined) checkAxisEnds(axis);
  const [low, high] = range ?? data ?? [1, 1];
  const decades = log ? Math.abs(Math.log10(high) - Math.log10(low)) : 0;
  const step = [1, 2, 5, 10, 20, 50, 100].find((step) => decades / step <= maxTicks) ?? 200;
  const ends = range ?? (data && widenedEnds(data, log));
  return {
    title: { text: axisTitle(axis) },
    ...numberFormat,
    ...(log
      // plotly.js stores logarithms, and the power of a logarithm has fewer correct digits.
      ? { type: "log", exponentformat: "power", tickformat: "", hoverformat: ",.10~g" }
      : {}),
    ...(decades >= 3 ? { dtick: step } : {}),
    ...(log && decades > 0.5 && decades < 3 && Math.min(low, high) >= 1e-3 &&
        Math.max(low, high) <= 1e6
      ? decadeTicks(low, high, maxTicks)
      : {}),
    ...(ends ? { range: log ? ends.map(Math.log10) : [...ends] } : {}),
  };
}

/**
 * Returns ticks at 1, 2 and 5 times powers of ten, because plotly.js writes only the digits of
 * those between two powers: 2, 5, 10⁻¹, 2.
 */
function decadeTicks(low: number, high: number, maxTicks: number): Partial<LayoutAxis> {
  const [first, last] = [Math.min(low, high), Math.max(low, high)];
  const digits = 3 * Math.log10(last / first) <= maxTicks + 1 ? [1, 2, 5] : [1];
  const tickvals: number[] = [];
  for (let power = Math.floor(Math.log10(first)); power <= Math.log10(last); power++) {
    for (const digit of digits) tickvals.push(Number(`${digit}e${power}`));
  }
  return { tickmode: "array", tickvals, ticktext: tickvals.map((tick) => formatNumber(tick)) };
}

/**
 * Returns wider ends for an axis of equal or nearly equal numbers, because plotly.js would choose
 * unreadable ticks for these. Returns undefined where the choice of plotly.js is good: for all
 * other numbers, and for equal numbers of ordinary size.
 */
function widenedEnds(
  [min, max]: readonly [number, number],
  log: boolean,
): [number, number] | undefined {
  if (log) return max > min * (1 + 1e-9) || min === max ? undefined : [min / 10, max * 10];
  if (max - min >= minSpread([min, max]) && max > min) return undefined;
  const size = Math.max(-min, max);
  const isOrdinary = size === 0 || size >= 0.01 && size <= 1e6;
  return min === max && isOrdinary ? undefined : endsAround([min, max]);
}

/** Returns a plotly.js annotation without an arrow. */
export function label(text: string, options: Partial<Annotations>): Partial<Annotations> {
  return { text, showarrow: false, ...options };
}

/** Returns the colour at a fraction of a colour scale, as [red, green, blue] from 0 to 255. */
export function colorAt(scale: readonly [number, string][], fraction: number): number[] {
  const position = fraction * (scale.length - 1);
  const below = Math.min(Math.floor(position), scale.length - 2);
  const [from, to] = [scale[below]![1], scale[below + 1]![1]].map(channels);
  return from!.map((value, channel) =>
    Math.round(value + (to![channel]! - value) * (position - below))
  );
}

function channels(hex: string): number[] {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

/** Places colours at equal distances from 0 to 1. */
function colorScale(list: readonly string[]): [number, string][] {
  return list.map((color, index) => [index / (list.length - 1), color]);
}
