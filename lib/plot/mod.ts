/**
 * Plots: pure functions from numbers to figures, and pictures of figures without a browser.
 *
 * A figure shows itself in a notebook. {@linkcode Figure.toPng} draws it as a picture.
 *
 * @module
 */
export * as diagram from "./diagram/mod.ts";
export { barChart, type BarChartOptions } from "./bar_chart.ts";
export { contourPlot, type ContourPlotOptions } from "./contour.ts";
export { type Figure, type FigureBundle } from "./figure.ts";
export {
  graphDiagram,
  type GraphDiagramOptions,
  type GraphEdge,
  type GraphNode,
} from "./graph_diagram.ts";
export {
  confusionMatrixPlot,
  type ConfusionMatrixPlotOptions,
  heatmap,
  type HeatmapOptions,
} from "./heatmap.ts";
export {
  activationHistograms,
  type ActivationHistogramsOptions,
  type BinOptions,
  histogram,
  type HistogramOptions,
} from "./histogram.ts";
export {
  featureMaps,
  type FeatureMapsOptions,
  filterGrid,
  type FilterGridOptions,
  type GridOptions,
  imageGrid,
  type ImageGridOptions,
} from "./image_grid.ts";
export { lineChart, type LineChartOptions, type Series } from "./line_chart.ts";
export { type Numbers } from "./numbers.ts";
export {
  type Axis,
  type ColorOptions,
  type FigureOptions,
  type FractionAxis,
  type Quantity,
} from "./options.ts";
export { type PngOptions } from "./render.ts";
export { type PointGroup, scatterChart, type ScatterChartOptions } from "./scatter_chart.ts";
export { seedChart, type SeedChartOptions, type SeedGroup } from "./seed_chart.ts";
export { type Layout, type Trace, type TraceType } from "./trace.ts";
export {
  trainingCurves,
  type TrainingCurvesOptions,
  type TrainingHistory,
} from "./training_curves.ts";
