/** The canvas of the diagrams: a drawing in pixels with its axes hidden. */
import type { Annotations } from "plotly.js";
import { escapeText } from "../format.ts";
import type { FigureOptions } from "../options.ts";
import { baseLayout, extraTitleHeight, label } from "../style.ts";
import type { Layout } from "../trace.ts";

/** The width of a diagram, unless an option sets it. */
export const diagramWidth = 480;

/** The free space beside the drawing, in pixels. */
export const sideMargin = 16;

/** A rectangle or a path of a layout. */
export type Shape = NonNullable<Layout["shapes"]>[number];

/**
 * Returns the layout of a drawing whose axes count pixels, y downwards. The drawing keeps its
 * proportions in a window of another size.
 */
export function pixelLayout(
  { title, width = diagramWidth }: FigureOptions,
  height: number,
): Partial<Layout> {
  const margin = {
    l: sideMargin,
    r: sideMargin,
    t: (title === undefined ? 16 : 48) + extraTitleHeight({ title, width }),
    b: 12,
  };
  const hidden = { visible: false, fixedrange: true, constrain: "domain" } as const;
  return {
    ...baseLayout({ title, width }),
    width,
    height: height + margin.t + margin.b,
    margin,
    hovermode: false,
    xaxis: { ...hidden, range: [0, width - 2 * sideMargin] },
    yaxis: { ...hidden, range: [height, 0], scaleanchor: "x" },
  };
}

/** Returns a text at a point of the drawing. */
export function text(
  content: string,
  x: number,
  y: number,
  options: Partial<Annotations> = {},
): Partial<Annotations> {
  return label(escapeText(content), { x, y, borderpad: 0, font: { size: 11 }, ...options });
}

/** Returns a colour mixed with white. */
export function mixed(color: string, white: number): string {
  const parts = [1, 3, 5].map((start) => parseInt(color.slice(start, start + 2), 16));
  return `rgb(${parts.map((part) => Math.round(part + (255 - part) * white)).join(",")})`;
}
