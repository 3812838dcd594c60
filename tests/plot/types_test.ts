/** Figures that must not compile. The functions are checked, never called. */
import {
  activationHistograms,
  barChart,
  confusionMatrixPlot,
  contourPlot,
  graphDiagram,
  heatmap,
  histogram,
  imageGrid,
  lineChart,
  scatterChart,
  trainingCurves,
} from "../../lib/plot/mod.ts";
import { Figure } from "../../lib/plot/figure.ts";

const x = { title: "Step" }, y = { title: "Loss" };

export function charts() {
  lineChart([{ name: "a", y: new Float32Array(2) }], { x, y: { ...y, scale: "log" } });
  // @ts-expect-error: axes must say what they measure
  lineChart([{ name: "a", y: [1] }]);
  // @ts-expect-error: an axis must have a title
  lineChart([{ name: "a", y: [1] }], { x: {}, y });
  // @ts-expect-error: no such scale
  lineChart([{ name: "a", y: [1] }], { x, y: { ...y, scale: "logarithmic" } });
  // @ts-expect-error: a series has a name
  lineChart([{ y: [1] }], { x, y });
  // @ts-expect-error: numbers, not words
  lineChart([{ name: "a", y: ["1"] }], { x, y });
  // @ts-expect-error: no such option
  lineChart([{ name: "a", y: [1] }], { x, y, colour: "red" });
  scatterChart([{ name: "a", x: [1], y: [1], spread: [1] }], { x, y });
  // @ts-expect-error: points have both places and heights
  scatterChart([{ name: "a", y: [1] }], { x, y });
  barChart(["a"], { one: [1], two: [2] }, { x, y });
  // @ts-expect-error: categories have no range
  barChart(["a"], [1], { x: { title: "Class", range: [0, 1] }, y });
  // @ts-expect-error: categories are words
  barChart([1], [1], { x, y });
  // @ts-expect-error: the bins are equally wide, so the axis is linear
  histogram([1], { x: { title: "Weight", scale: "log" } });
  // @ts-expect-error: a number of bins, not their edges
  histogram([1], { x, bins: [0, 1] });
}

export function maps() {
  // @ts-expect-error: what a cell means is missing
  heatmap([[1]], { x, y });
  // @ts-expect-error: rows of numbers, not one row
  heatmap([1], { x, y, value: { title: "Weight" } });
  // @ts-expect-error: the names of the classes are missing
  confusionMatrixPlot([[1]]);
  // @ts-expect-error: a path has x and y
  contourPlot([0], [0], [[1]], { x, y, value: y, path: { x: [1] } });
}

export function pictures() {
  imageGrid(new Uint8Array(1), [1, 1, 1, 1]);
  // @ts-expect-error: four axes, not three
  imageGrid(new Uint8Array(1), [1, 1, 1]);
  // @ts-expect-error: the height follows from the images
  imageGrid(new Uint8Array(1), [1, 1, 1, 1], { height: 100 });
  // @ts-expect-error: a list of titles
  imageGrid(new Uint8Array(1), [1, 1, 1, 1], { titles: "boot" });
}

export function models() {
  // @ts-expect-error: a map from path to values
  activationHistograms([1, 2, 3]);
  // @ts-expect-error: the steps are missing
  trainingCurves({ epochs: [] });
  // @ts-expect-error: a step has a learning rate
  trainingCurves({ steps: [{ step: 0, loss: 1 }], epochs: [] });
  // @ts-expect-error: an edge names both of its ends
  graphDiagram({ nodes: [{ id: "a", label: "a" }], edges: [{ from: "a" }] });
  // @ts-expect-error: up is no direction
  graphDiagram({ nodes: [{ id: "a", label: "a" }], edges: [] }, { direction: "up" });
}

export function figures() {
  new Figure([{ type: "box", y: [1, 2] }], {}, "");
  // @ts-expect-error: a figure says what it shows
  new Figure([{ type: "box", y: [1, 2] }], {});
  // @ts-expect-error: a trace has a type
  new Figure([{ y: [1, 2] }], {}, "");
  // @ts-expect-error: scattergl needs WebGL
  new Figure([{ type: "scattergl", y: [1, 2] }], {}, "");
  // @ts-expect-error: no such property of a trace
  new Figure([{ type: "scatter", ys: [1, 2] }], {}, "");
  // @ts-expect-error: no such property of a layout
  new Figure([], { heigth: 100 }, "");
}
