import type { PlotData, PlotMarker } from "plotly.js";

/** The plotly trace types that draw as SVG; the others need WebGL and have no static picture. */
export const traceTypes = [
  "bar",
  "box",
  "contour",
  "heatmap",
  "histogram",
  "image",
  "pie",
  "scatter",
  "violin",
] as const;

/** One plotly trace of a type that can be drawn without WebGL. */
export interface Trace extends Omit<Partial<PlotData>, "type" | "marker" | "text"> {
  /** Kind of mark that the trace draws. */
  type: typeof traceTypes[number];
  /** Markers of a scatter trace, or colours of bars. */
  marker?: Partial<PlotMarker> & { angleref?: "previous" | "up" };
  /** Text at the points of a trace or in the cells of a heatmap. */
  text?: string | string[] | string[][];
  /** Picture of an `image` trace as a data URI. */
  source?: string;
}
