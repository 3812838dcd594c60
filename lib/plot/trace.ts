import type { PlotData, PlotMarker } from "plotly.js";

/**
 * A plotly trace type that is drawn as SVG. The other types need WebGL, so they have no static
 * picture.
 */
export type TraceType =
  | "bar"
  | "box"
  | "contour"
  | "heatmap"
  | "histogram"
  | "image"
  | "pie"
  | "scatter"
  | "violin";

/** All trace types. */
export const traceTypes: readonly TraceType[] = [
  "bar",
  "box",
  "contour",
  "heatmap",
  "histogram",
  "image",
  "pie",
  "scatter",
  "violin",
];

/** One plotly trace of a type that can be drawn without WebGL. */
export interface Trace extends Omit<Partial<PlotData>, "type" | "marker" | "text"> {
  /** Kind of mark that the trace draws. */
  type: TraceType;
  /** Markers of a scatter trace, or colours of bars. */
  marker?: Partial<PlotMarker> & { angleref?: "previous" | "up" };
  /** Text at the points of a trace or in the cells of a heatmap. */
  text?: string | string[] | string[][];
  /** Picture of an `image` trace as a data URI. */
  source?: string;
}
