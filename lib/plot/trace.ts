/** The traces and the layout of a figure, in the form of plotly.js. */
import type * as plotly from "plotly.js";

/** @internal */
type PlotlyData = plotly.PlotData;
/** @internal */
type PlotlyLayout = plotly.Layout;
/** @internal */
type PlotlyMarker = plotly.PlotMarker;

/** The layout of a figure: sizes, axes, legend and texts. */
export type Layout = Partial<PlotlyLayout>;

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
export interface Trace extends Omit<Partial<PlotlyData>, "type" | "marker" | "text"> {
  /** Kind of mark that the trace draws. */
  type: TraceType;
  /** Markers of a scatter trace, or colours of bars. */
  marker?: Partial<PlotlyMarker> & { angleref?: "previous" | "up" };
  /** Text at the points of a trace or in the cells of a heatmap. */
  text?: string | string[] | string[][];
  /** Picture of an `image` trace as a data URI. */
  source?: string;
}
