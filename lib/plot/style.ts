import type { Annotations, Layout, LayoutAxis } from "plotly.js";

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

const axisStyle: Partial<LayoutAxis> = {
  automargin: true,
  exponentformat: "none",
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
  const entry = 48 + 7.5 * Math.max(0, ...names.map((name) => name.length));
  const perRow = Math.max(1, Math.floor(((width ?? 700) - 88) / entry));
  const rows = showlegend ? Math.ceil(names.length / perRow) : 0;
  return {
    ...(title === undefined ? {} : { title: { text: title } }),
    margin: { t: (title === undefined ? 20 : 48) + 20 * rows },
    showlegend,
    ...(width === undefined ? {} : { width }),
    ...(height === undefined ? {} : { height }),
  };
}

/** "Loss (nats)", or "Loss" where there is no unit. */
export function axisTitle({ title, unit }: Quantity): string {
  return unit === undefined ? title : `${title} (${unit})`;
}

/** The title of a quantity as it reads inside a sentence: "epoch", but "MACs" as it is. */
export function inSentence(quantity: Quantity): string {
  const text = axisTitle(quantity);
  return /^[A-Z][a-z]/.test(text) ? text[0]!.toLowerCase() + text.slice(1) : text;
}

/**
 * An axis as plotly wants it, where the ends of a logarithmic axis are exponents; with `shown`, the smallest and the largest value, a
 * logarithmic axis of two decades or more has numbers at its powers of ten only.
 */
export function layoutAxis(
  axis: Axis,
  shown: readonly [number, number] | undefined = axis.range,
): Partial<LayoutAxis> {
  const { range, scale = "linear" } = axis;
  if (range && !range.every((end) => Number.isFinite(end) && (scale === "linear" || end > 0))) {
    throw new RangeError(
      `Drawing the ${scale === "log" ? "logarithmic " : ""}axis "${axis.title}": expected two ` +
        `${scale === "log" ? "positive" : "finite"} ends, found [${range.join(", ")}]`,
    );
  }
  return {
    title: { text: axisTitle(axis) },
    ...(scale === "log" ? { type: "log", exponentformat: "power" } : {}),
    ...(scale === "log" && shown && shown[1] / shown[0] >= 100 ? { dtick: 1 } : {}),
    ...(range ? { range: scale === "log" ? range.map(Math.log10) : [...range] } : {}),
  };
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
