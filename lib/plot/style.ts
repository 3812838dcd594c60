import type { Annotations, Layout, LayoutAxis } from "plotly.js";
import { checkOptions, type OptionNames } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { endsAround, isRange, leastSpread } from "./numbers.ts";

/** What every maker of figures takes. */
export interface FigureOptions {
  /** The line above the figure. */
  title?: string;
  /** One sentence that says what the figure shows; by default one made from the numbers. */
  description?: string;
  /** Width in pixels, 700 by default. */
  width?: number;
  /** Height in pixels. */
  height?: number;
}

/** What is measured. */
export interface Quantity {
  /** Its name, such as "Loss". */
  title: string;
  /** Its unit, such as "images/s"; drawn in brackets after the title. */
  unit?: string;
}

/** What an axis measures, and how it is drawn. */
export interface Axis extends Quantity {
  /** The ends of the axis; by default those of the data. */
  range?: readonly [number, number];
  /** Equal steps ("linear", the default) or equal factors ("log"). */
  scale?: "linear" | "log";
}

/** Okabe and Ito's colours, which stay apart for colour-blind eyes: blue, vermilion, green, ... */
export const colors = [
  "#0072b2",
  "#d55e00",
  "#009e73",
  "#cc79a7",
  "#e69f00",
  "#56b4e9",
  "#666666",
] as const;

/** Small to large, dark to bright (viridis): even steps of lightness, also without colour. */
export const sequential: [number, string][] = evenly([
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

/** None to much, white to dark blue; for counts and shares with numbers written over them. */
export const blues: [number, string][] = evenly(["#f7fbff", "#9dc6e4", "#2f7dbb", "#08306b"]);

/** Below zero blue, zero nearly white, above zero vermilion. */
export const diverging: [number, string][] = evenly([
  "#08407e",
  "#5fa2d0",
  "#f4f4f4",
  "#f0935c",
  "#9a2c00",
]);

const ink = "#262626";

/**
 * How the numbers of an axis are written: all digits that tell its ticks apart, with an exponent
 * from 1e15 and below 1e-6. (The exponentformat "none" of plotly.js cuts "1.2e-7" after its
 * digits.)
 */
export const numberFormat = { tickformat: ",.15~g", hoverformat: ",.15~g" } as const;

const axisStyle: Partial<LayoutAxis> = {
  automargin: true,
  // For axes that are not from layoutAxis, which may be dates and so get no format for numbers.
  exponentformat: "power",
  minexponent: 5,
  separatethousands: true,
  gridcolor: "#e8e8e8",
  linecolor: "#8c8c8c",
  showline: true,
  ticks: "outside",
  tickcolor: "#8c8c8c",
  ticklen: 4,
  zeroline: false,
};

/** The house style, under whatever a figure's own layout says. */
export const houseLayout: Partial<Layout> = {
  width: 700,
  height: 420,
  template: {
    layout: {
      font: { family: "DejaVu Sans, Verdana, sans-serif", size: 12, color: ink },
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

/** The names of the options that all figures have. */
export const figureNames = { title: true, description: true, width: true } as const;

/** The names of the options that all figures with two axes have. */
export const chartNames = { ...figureNames, height: true, x: true, y: true } as const;

/** The longest side of a figure; a picture of this size still fits into memory. */
export const mostPixels = 20_000;

/** Checks that all options exist, and the kinds of those that all figures have. */
export function checkFigure<T extends Omit<FigureOptions, "height">>(
  doing: string,
  options: T,
  such: string,
  names: OptionNames<NoInfer<T>>,
  least = leastPixels,
): void {
  checkOptions<T>(doing, options, such, names);
  if (options.title !== undefined) requireText(doing, "title", options.title);
  if (options.description !== undefined) requireText(doing, "description", options.description);
  for (const side of ["width", "height"]) {
    const pixels: unknown = Reflect.get(options, side);
    if (pixels !== undefined) requirePixels(doing, side, pixels, least);
  }
}

/** A shorter side has no room for a chart between what stands around it. */
const leastPixels = 160;

/** Checks the length of a side of a figure. */
export function requirePixels(doing: string, side: string, pixels: unknown, least = 0): void {
  if (typeof pixels !== "number") {
    throw new TypeError(`${doing}: ${side} must be a number of pixels, found ${show(pixels)}.`);
  }
  if (!(pixels > 0 && pixels >= least && pixels <= mostPixels)) {
    throw new RangeError(
      `${doing}: expected a ${side} of ${least > 0 ? `at least ${least} and ` : ""}` +
        `at most ${mostPixels} pixels, found ${pixels}`,
    );
  }
}

/** Checks a text. */
export function requireText(doing: string, name: string, text: unknown): void {
  if (typeof text === "string") return;
  throw new TypeError(`${doing}: ${name} must be a string, found ${show(text)}.`);
}

/** Checks a list of texts. */
export function requireTexts(doing: string, name: string, texts: unknown): void {
  if (!Array.isArray(texts)) {
    throw new TypeError(`${doing}: ${name} must be an array of strings, found ${show(texts)}.`);
  }
  // By index, because forEach leaves out the holes of an array.
  for (let index = 0; index < texts.length; index++) {
    requireText(doing, `${name}[${index}]`, texts[index]);
  }
}

/** Checks one of some words. */
export function requireOneOf(
  doing: string,
  name: string,
  value: unknown,
  words: readonly string[],
): void {
  if (value === undefined || words.includes(value as string)) return;
  throw new RangeError(
    `${doing}: ${name} must be ${words.map((word) => `"${word}"`).join(" or ")}, found ${
      show(value)
    }.`,
  );
}

/** Checks a truth value. */
export function requireBoolean(doing: string, name: string, value: unknown): void {
  if (value === undefined || typeof value === "boolean") return;
  throw new TypeError(`${doing}: ${name} must be true or false, found ${show(value)}.`);
}

/** Checks what is measured: that it has a title, and no property that does not exist. */
export function requireQuantity(doing: string, name: string, quantity: Quantity): void {
  checkQuantity<Quantity>(doing, name, quantity, { title: true, unit: true });
}

/** Checks an axis, but for the ends of its range, which {@linkcode layoutAxis} looks at. */
export function requireAxis(doing: string, name: string, axis: Axis): void {
  checkQuantity<Axis>(doing, name, axis, { title: true, unit: true, range: true, scale: true });
  requireOneOf(doing, `the scale of ${name}`, axis.scale, ["linear", "log"]);
}

/** Checks a quantity that has these properties. */
export function checkQuantity<T extends Quantity>(
  doing: string,
  name: string,
  quantity: T,
  names: OptionNames<NoInfer<T>>,
): void {
  checkOptions<T>(`${doing}, ${name}`, quantity, '{ title: "Loss" }', names);
  requireText(doing, `the title of ${name}`, quantity.title);
  if (quantity.unit !== undefined) requireText(doing, `the unit of ${name}`, quantity.unit);
}

/** A name as text that plotly.js draws as it is, cut to a number of letters. */
export function asText(name: string, letters: number): string {
  const short = name.length <= letters ? name : `${name.slice(0, letters - 1)}…`;
  return short.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/**
 * Names as places along an axis: each is one of its own, also where two are equal. They are drawn
 * as they are written, whether they look like numbers, dates or markup, and cut to a third of the
 * figure.
 */
export function categories(
  names: readonly string[],
  { width = 700 }: FigureOptions = {},
): { keys: string[]; axis: Partial<LayoutAxis> } {
  const written = new Set(names), used = new Set<string>();
  const aliases: [string, string][] = [];
  const keys = names.map((name, index) => {
    const text = asText(name, Math.max(6, Math.floor(width / 22)));
    // plotly.js looks places up in a plain object by the name, where "constructor" is one too.
    if (text === name && name !== "" && !(name in {}) && !used.has(name)) {
      used.add(name);
      return name;
    }
    let key = `${index} ${name}`;
    while (written.has(key) || used.has(key)) key += "'";
    used.add(key);
    aliases.push([key, text]);
    return key;
  });
  // The types of plotly.js take this object for a number.
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
 * The title and size of a layout, with room above the plot for a legend of the given names; no
 * legend where there is one name or none.
 */
export function frame(
  { title, width, height }: FigureOptions,
  names: readonly string[] = [],
): Partial<Layout> {
  const showlegend = names.length > 1;
  // plotly sets entries in columns as wide as the longest.
  const longest = names.reduce(
    (most, name) => Math.max(most, Math.min(name.length, lettersInLegend(width))),
    0,
  );
  const entry = legendMark + letterWidth * longest;
  const perRow = Math.max(1, Math.floor(((width ?? 700) - 88) / entry));
  const rows = showlegend ? Math.ceil(names.length / perRow) : 0;
  return {
    ...(title === undefined ? {} : { title: { text: titleLines(title, width).join("<br>") } }),
    margin: { t: (title === undefined ? 20 : 48) + extraTitleHeight({ title, width }) + 20 * rows },
    showlegend,
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
  };
}

/** A title in lines that are no longer than the figure is wide; one with markup has its own. */
function titleLines(title: string, width = 700): string[] {
  const letters = Math.max(8, Math.floor((width - 32) / 8.3));
  if (title.length <= letters || title.includes("<")) return [title];
  const lines: string[] = [];
  for (const word of title.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && longer.length <= letters) lines.splice(-1, 1, longer);
    else lines.push(word);
  }
  return lines;
}

/** The height of the lines of a title after its first. */
export function extraTitleHeight({ title, width }: Omit<FigureOptions, "height">): number {
  return title === undefined ? 0 : 20 * (titleLines(title, width).length - 1);
}

/** The widths of a legend's line or marker with the room around it, and of one letter. */
const legendMark = 48, letterWidth = 7.5;

function lettersInLegend(width = 700): number {
  return Math.max(4, Math.floor((width - 88 - legendMark) / letterWidth));
}

/** A name for the legend of a figure, cut where it is longer than the figure is wide. */
export function legendName(name: string, { width }: FigureOptions): string {
  return asText(name, lettersInLegend(width));
}

/** "Loss (nats)", or "Loss" where there is no unit. */
export function axisTitle({ title, unit }: Quantity): string {
  return unit === undefined ? title : `${title} (${unit})`;
}

/** How many powers of ten have room along the axes of a figure. */
export function roomForPowers(
  { width = 700, height = 420 }: FigureOptions,
): { x: number; y: number } {
  return { x: Math.max(2, (width - 88) / 55), y: Math.max(2, (height - 112) / 24) };
}

/** The title of a quantity as it reads inside a sentence: "epoch", but "MACs" as it is. */
export function inSentence(quantity: Quantity): string {
  const text = axisTitle(quantity);
  return /^[A-Z][a-z]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

/**
 * An axis as plotly wants it, where the ends of a logarithmic axis are exponents.
 *
 * A logarithmic axis of two decades or more has numbers at powers of ten only.
 *
 * @param shown The smallest and the largest value.
 * @param room How many powers of ten have room along the axis.
 */
export function layoutAxis(
  axis: Axis,
  shown: readonly [number, number] | undefined,
  room = 8,
): Partial<LayoutAxis> {
  const { range, scale = "linear" } = axis;
  const log = scale === "log";
  if (range !== undefined) checkEnds(axis, log);
  const [low, high] = range ?? shown ?? [1, 1];
  const decades = log ? Math.abs(Math.log10(high) - Math.log10(low)) : 0;
  const step = [1, 2, 5, 10, 20, 50, 100].find((step) => decades / step <= room) ?? 200;
  const ends = range ?? (shown && distinct(shown, log));
  return {
    title: { text: axisTitle(axis) },
    ...numberFormat,
    ...(log
      // The power of a logarithm has fewer right digits than a number.
      ? { type: "log", exponentformat: "power", tickformat: "", hoverformat: ",.10~g" }
      : {}),
    ...(decades >= 2 ? { dtick: step } : {}),
    ...(ends ? { range: log ? ends.map(Math.log10) : [...ends] } : {}),
  };
}

function checkEnds({ title, range }: Axis, log: boolean): void {
  const doing = `Drawing the ${log ? "logarithmic " : ""}axis "${title}"`;
  if (!isRange(range) || log && !range.every((end) => end > 0)) {
    throw new RangeError(
      `${doing}: expected two ${log ? "positive" : "finite"} ends, found ${show(range)}`,
    );
  }
  if (distinct([Math.min(...range), Math.max(...range)], log, 0)) {
    throw new RangeError(
      `${doing}: the two ends must differ by more than rounding, found ${show(range)}.`,
    );
  }
}

/**
 * The ends of an axis for numbers that are equal or nearly so, which plotly.js would put all over
 * it or on top of ticks with equal labels; nothing for other numbers, and for equal ones of an
 * ordinary size, at 1 from which it lets the axis end.
 */
function distinct(
  [min, max]: readonly [number, number],
  log: boolean,
  ordinary = 1e6,
): [number, number] | undefined {
  if (log) {
    if (max > min * (1 + 1e-9) || min === max && ordinary > 0) return undefined;
    return [min / 10, max * 10];
  }
  const size = Math.max(-min, max);
  if (max - min >= leastSpread([min, max]) && max > min) return undefined;
  if (min === max && ordinary > 0 && (size === 0 || size >= 0.01 && size <= ordinary)) {
    return undefined;
  }
  return endsAround([min, max]);
}

/** A piece of text in a figure, without the arrow that plotly's annotations have by default. */
export function label(text: string, place: Partial<Annotations>): Partial<Annotations> {
  return { text, showarrow: false, ...place };
}

/** The colour at a fraction of the way along a scale, as [red, green, blue] from 0 to 255. */
export function colorAt(scale: readonly [number, string][], fraction: number): number[] {
  const place = fraction * (scale.length - 1);
  const below = Math.min(Math.floor(place), scale.length - 2);
  const [from, to] = [scale[below]![1], scale[below + 1]![1]].map(channels);
  return from!.map((value, channel) =>
    Math.round(value + (to![channel]! - value) * (place - below))
  );
}

function channels(hex: string): number[] {
  return [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
}

function evenly(list: readonly string[]): [number, string][] {
  return list.map((color, index) => [index / (list.length - 1), color]);
}
