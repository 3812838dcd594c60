import assert from "node:assert/strict";
import { ops } from "../../lib/tensor/mod.ts";
import {
  activationHistograms,
  barChart,
  confusionMatrixPlot,
  contourPlot,
  featureMaps,
  filterGrid,
  graphDiagram,
  heatmap,
  histogram,
  imageGrid,
  lineChart,
  scatterChart,
  trainingCurves,
} from "../../lib/plot/mod.ts";
import { Figure } from "../../lib/plot/figure.ts";
import { renderPng, renderSvg } from "../../lib/plot/render.ts";

const x = { title: "Step" }, y = { title: "Loss" }, value = { title: "Weight" };
const square = [[1, 2], [3, 4]];
const history = { steps: [{ step: 1, loss: 1, learningRate: 1 }], epochs: [] };
const graph = { nodes: [{ id: "a", label: "a" }], edges: [] };

/** Calls of every chart with its options, because cells are not type-checked. */
// deno-lint-ignore no-explicit-any
const chartsWith: Record<string, (more: any) => unknown> = {
  lineChart: (more) => lineChart([{ name: "a", y: [1] }], { x, y, ...more }),
  barChart: (more) => barChart(["a"], [1], { x, y, ...more }),
  heatmap: (more) => heatmap(square, { x, y, value, ...more }),
  confusionMatrixPlot: (more) => confusionMatrixPlot(square, ["a", "b"], more),
  histogram: (more) => histogram([1, 2], { x, ...more }),
  activationHistograms: (more) => activationHistograms({ a: [1] }, more),
  contour: (more) => contourPlot([0, 1], [0, 1], square, { x, y, value, ...more }),
  scatterChart: (more) => scatterChart([{ name: "a", x: [1], y: [1] }], { x, y, ...more }),
  trainingCurves: (more) => trainingCurves(history, more),
  imageGrid: (more) => imageGrid([1], [1, 1, 1, 1], more),
  filterGrid: (more) => filterGrid([1], [1, 1, 1, 1], more),
  featureMaps: (more) => featureMaps([1], [1, 1, 1], more),
  graphDiagram: (more) => graphDiagram(graph, more),
};

for (const [name, make] of Object.entries(chartsWith)) {
  Deno.test(`${name} refuses options that do not exist and those of another kind`, () => {
    make({});
    assert.throws(() => make({ titel: "T" }), {
      name: "TypeError",
      message: /^Drawing .*: there is no option titel\. Did you mean title\?/,
    });
    assert.throws(() => make({ title: 5 }), {
      name: "TypeError",
      message: /title must be a string/,
    });
    assert.throws(() => make({ description: ["a"] }), TypeError);
    if (name === "graphDiagram") {
      assert.throws(() => make({ width: 300 }), /there is no option width/);
      return;
    }
    assert.throws(() => make({ width: "wide" }), {
      name: "TypeError",
      message: /width must be a number of pixels, found "wide"\.$/,
    });
    for (const width of [NaN, 0, -1, 50, 1e6, Infinity]) {
      assert.throws(() => make({ width }), {
        name: "RangeError",
        message: /width must be at least \d+ and at most 20000 pixels, found /,
      });
    }
  });
}

Deno.test("charts refuse axes and quantities with unknown properties", () => {
  for (const name of ["lineChart", "scatterChart", "contour"]) {
    for (const side of ["x", "y"]) {
      assert.throws(() => chartsWith[name]!({ [side]: { title: "a", log: true } }), {
        name: "TypeError",
        message: /axis [xy]: there is no option log\. .*title, unit, range, scale/,
      });
      assert.throws(() => chartsWith[name]!({ [side]: { title: "a", scale: "logarithmic" } }), {
        name: "RangeError",
        message:
          /the scale of axis [xy] must be one of "linear", "log", found "logarithmic"\. Did you mean "log"\?$/,
      });
    }
  }
  for (const name of ["lineChart", "scatterChart", "contour", "barChart", "heatmap", "histogram"]) {
    assert.throws(() => chartsWith[name]!({ x: undefined }), TypeError);
    assert.throws(() => chartsWith[name]!({ x: "Step" }), /must be an object such as/);
    assert.throws(() => chartsWith[name]!({ x: {} }), /the title of axis x must be a string/);
    assert.throws(() => chartsWith[name]!({ x: { title: "a", unit: 1 } }), /the unit of axis x/);
  }
  // The places of bars are names, and cells have no scale.
  assert.throws(
    () => chartsWith.barChart!({ x: { title: "a", scale: "log" } }),
    /there is no option scale/,
  );
  assert.throws(
    () => chartsWith.heatmap!({ value: { title: "a", scale: "log" } }),
    /there is no option scale/,
  );
  for (const range of [[1, 1], [1, 1 + 1e-16], ["0", "1"], [0], 5, [0, NaN], [0, 1n]]) {
    assert.throws(
      () => chartsWith.lineChart!({ x: { title: "a", range } }),
      RangeError,
      `${range}`,
    );
    assert.throws(
      () => chartsWith.heatmap!({ value: { title: "a", range } }),
      RangeError,
      `${range}`,
    );
    assert.throws(() => chartsWith.histogram!({ range }), RangeError, `${range}`);
    assert.throws(() => chartsWith.imageGrid!({ range }), RangeError, `${range}`);
  }
});

Deno.test("charts refuse options of another kind or value", () => {
  const cases: [string, object, RegExp][] = [
    ["heatmap", { numbers: "yes" }, /numbers must be true or false, found "yes"/],
    ["heatmap", { rowNames: [1, 2] }, /rowNames\[0\] must be a string, found 1/],
    ["heatmap", { columnNames: "ab" }, /columnNames must be an array of strings, found "ab"/],
    ["histogram", { bins: "40" }, /bins must be a whole number from 1 to 2000, found "40"/],
    ["histogram", { bins: 2001 }, /bins must be a whole number from 1 to 2000, found 2001/],
    ["imageGrid", { columns: "2" }, /columns must be a whole number of at least 1, found "2"/],
    ["imageGrid", { columns: 400 }, /columns must be at most 66 in 700 pixels, found 400/],
    ["imageGrid", { titles: [5] }, /titles\[0\] must be a string, found 5/],
    [
      "filterGrid",
      { inputChannel: "0" },
      /inputChannel must be a whole number from 0 to 0, found "0"/,
    ],
    ["contour", { path: { x: [0], y: [0], z: [0] } }, /path: there is no option z/],
    ["graphDiagram", { direction: "up" }, /direction must be one of "down", "right", found "up"/],
  ];
  for (const [name, options, message] of cases) {
    assert.throws(() => chartsWith[name]!(options), message);
  }
});

Deno.test("charts refuse series, groups, nodes and edges with unknown properties", () => {
  // deno-lint-ignore no-explicit-any
  const line = (series: any) => lineChart([series], { x, y });
  assert.throws(() => line({ name: "a", y: [1], colour: "red" }), {
    name: "TypeError",
    message: /^Drawing a line chart, series\[0\]: there is no option colour\./,
  });
  assert.throws(() => line({ y: [1] }), /the name of series\[0\] must be a string/);
  assert.throws(
    () => line({ name: "a", y: [1], mode: "line" }),
    /mode of series "a" must be one of "lines"/,
  );
  assert.throws(() => line({ name: "a", y: [1], dash: "dotted" }), /dash of series "a" must be/);
  assert.throws(
    () => line({ name: "a", y: [1], band: { low: [1], up: [2] } }),
    /there is no option up/,
  );
  assert.throws(() => line({ name: "a", y: [1], band: { low: [2], high: [1] } }), {
    name: "RangeError",
    message: /band\.low of series "a" must be at most band\.high, found 2 above 1 at index 0\.$/,
  });
  assert.throws(() => line([1, 2]), /must be an object such as/);
  // deno-lint-ignore no-explicit-any
  const points = (group: any) => scatterChart([group], { x, y });
  assert.throws(
    () => points({ name: "a", x: [1], y: [1], size: 3 }),
    /there is no option size/,
  );
  assert.throws(() => points({ name: "a", x: [1], y: [1], spread: [-1] }), RangeError);
  // deno-lint-ignore no-explicit-any
  const nodes = (nodes: any) => graphDiagram({ nodes, edges: [] });
  assert.throws(
    () => nodes([{ id: "a", label: "a", value: 1 }]),
    /there is no option value/,
  );
  assert.throws(() => nodes([{ id: "a", label: 1 }]), /the label of node "a" must be a string/);
  const edge = { from: "a", to: "a", colour: "red" };
  assert.throws(
    () => graphDiagram({ ...graph, edges: [edge] }),
    /edges\[0\]: there is no option colour/,
  );
});

/** Lists with an element that is no number. */
const invalidLists: [unknown, RegExp][] = [
  [undefined, /must be an array of numbers, found undefined|must be/],
  [null, /must be/],
  [5, /must be/],
  ["12", /must be/],
  [new Map(), /must/],
  [[1, NaN], /found NaN at index 1/],
  [[1, Infinity], /found Infinity at index 1/],
  [[1, "2"], /must be numbers, found "2" at index 1/],
  [[1, 2n], /must be numbers, found 2 at index 1/],
  [BigInt64Array.of(1n, 2n), /must be numbers, found 1 at index 0/],
  [[1, null], /must be numbers, found null at index 1/],
  // deno-lint-ignore no-sparse-arrays
  [[1, , 2], /must be numbers, found undefined at index 1/],
  [[[1], [2]], /must be numbers, found \[1\] at index 0/],
  [[1, 2e300], /must be from -1e\+300 to 1e\+300, found 2e\+300 at index 1/],
  [[], /found none|found 0/],
];

Deno.test("charts refuse lists with an element that is no number", () => {
  // deno-lint-ignore no-explicit-any
  const charts: Record<string, (list: any) => unknown> = {
    "lineChart y": (list) => lineChart([{ name: "a", y: list }], { x, y }),
    "lineChart x": (list) => lineChart([{ name: "a", x: list ?? null, y: [1, 2] }], { x, y }),
    "scatterChart x": (list) => scatterChart([{ name: "a", x: list, y: [1, 2] }], { x, y }),
    "scatterChart y": (list) => scatterChart([{ name: "a", x: [1, 2], y: list }], { x, y }),
    "barChart series": (list) => barChart(["a", "b"], { s: list }, { x, y }),
    histogram: (list) => histogram(list, { x }),
    activationHistograms: (list) => activationHistograms({ a: list }),
    heatmap: (list) => heatmap([list], { x, y, value }),
    contour: (list) => contourPlot([0, 1], [0, 1], [list, list], { x, y, value }),
    "contour x": (list) => contourPlot(list, [0, 1], square, { x, y, value }),
  };
  const tensor = ops.tensor([1, 2]);
  for (const [name, take] of Object.entries(charts)) {
    take([1, 2]);
    take(Float32Array.of(1, 2));
    for (const [list, message] of invalidLists) {
      if (list === null && name === "lineChart x") continue; // The default is 0, 1.
      if (list === undefined && name === "lineChart x") continue;
      assert.throws(() => take(list), (error: Error) => {
        assert(error instanceof TypeError || error instanceof RangeError);
        assert.match(error.message, /^Drawing /, `${name}: ${error.stack}`);
        assert.match(error.message, message, name);
        return true;
      }, `${name} takes ${String(list)}`);
    }
    assert.throws(() => take(tensor), {
      name: "TypeError",
      message:
        /^Drawing .* must be an array of numbers, found a tensor of float32 \[2\]\. .*data\(\)/,
    }, name);
  }
  for (const take of [imageGrid, featureMaps, filterGrid]) {
    // deno-lint-ignore no-explicit-any
    const draw = (values: any, shape: any = [1, 1, 2, 1].slice(take === featureMaps ? 1 : 0)) =>
      take(values, shape);
    draw([0, 1]);
    for (const [list] of invalidLists) assert.throws(() => draw(list), /^\w+Error: Drawing /);
    assert.throws(() => draw(tensor), /found a tensor of float32/);
    assert.throws(() => draw([0, 1], 2), /the shape must be \[.*\], found 2\./);
    assert.throws(() => draw([0, 1], [2]), /the shape must be \[.*\], found \[2\]\./);
    assert.throws(
      () => draw([0, 1], [1, 1, -2, -1].slice(take === featureMaps ? 1 : 0)),
      RangeError,
    );
  }
  tensor.dispose();
});

Deno.test("charts refuse numbers on a logarithmic axis that are not positive", () => {
  const log = { title: "Loss", scale: "log" } as const;
  for (const bad of [0, -1, 1e-310]) {
    assert.throws(() => lineChart([{ name: "a", y: [1, bad] }], { x, y: log }), RangeError);
    assert.throws(() => barChart(["a", "b"], [1, bad], { x, y: log }), RangeError);
    assert.throws(() => scatterChart([{ name: "a", x: [1], y: [bad] }], { x, y: log }), RangeError);
    if (bad > 0) continue; // A colour of its own, without a tick.
    const z = [[1, bad], [1, 2]];
    assert.throws(() => contourPlot([0, 1], [0, 1], z, { x, y, value: log }), RangeError);
  }
  assert.throws(
    () => scatterChart([{ name: "a", x: [1], y: [2], spread: [3] }], { x, y: log }),
    /spread of "a" below and above/,
  );
});

Deno.test("Figure refuses values that JSON cannot store and layouts that are no objects", () => {
  const tensor = ops.tensor([1, 2]);
  // deno-lint-ignore no-explicit-any
  const figure = (y: any) => new Figure([{ type: "scatter", y }], {}, "");
  assert.throws(() => figure(tensor), /y of a trace must be numbers, found a tensor of float32/);
  assert.throws(() => figure([1, 2n]), /y of a trace must be numbers, found 2/);
  assert.throws(() => figure(BigInt64Array.of(1n)), /must be numbers, found BigInt64Array/);
  tensor.dispose();
  // deno-lint-ignore no-explicit-any
  const AnyFigure = Figure as any;
  assert.throws(() => new AnyFigure({}, {}, ""), /data must be an array, found/);
  assert.throws(
    () => new AnyFigure([], undefined, ""),
    /layout must be an object, found undefined/,
  );
  assert.throws(() => new AnyFigure([], {}), /the description must be a string/);
});

Deno.test("renderSvg and renderPng refuse a value that is no figure", async () => {
  for (const odd of [undefined, {}, [1, 2], "figure", { data: [], layout: null }]) {
    for (const render of [renderSvg, renderPng]) {
      await assert.rejects(render(odd as unknown as Figure), {
        name: "TypeError",
        message: /^Drawing a picture: the figure must be a Figure, found /,
      });
    }
  }
});

Deno.test("barChart takes neither a tensor nor a Map for its series", () => {
  // deno-lint-ignore no-explicit-any
  const bars = (values: any) => barChart(["a", "b"], values, { x, y });
  const tensor = ops.tensor([1, 2]);
  assert.throws(() => bars(tensor), /values must be an array of numbers or an object/);
  tensor.dispose();
  assert.throws(() => bars(new Map([["a", [1, 2]]])), TypeError);
  assert.throws(() => bars(null), TypeError);
  // deno-lint-ignore no-explicit-any
  const named = (names: any) => barChart(names, [1, 2], { x, y });
  assert.throws(() => named([18, 34]), /categories\[0\] must be a string, found 18/);
});

Deno.test("trainingCurves refuses accuracies in per cent and what is no history", () => {
  const epochs = [{ epoch: 1, trainLoss: 1, trainAccuracy: 98 }];
  assert.throws(() => trainingCurves({ steps: [], epochs }), {
    name: "RangeError",
    message: "Drawing training curves: accuracies must be from 0 to 1, found 98 in epoch 1.",
  });
  // deno-lint-ignore no-explicit-any
  const curves = trainingCurves as any;
  for (const history of [undefined, {}, [1, 2], { steps: 5, epochs: [] }]) {
    assert.throws(() => curves(history), /the history must be \{ steps/);
  }
});

Deno.test("featureMaps uses the diverging colour scale only with zero in its middle", () => {
  const { data } = featureMaps([0, 5, -1, 3], [2, 2, 1], { range: [-1, 5] });
  const colorscale = data[1]?.marker?.colorscale as [number, string][];
  assert.notEqual(colorscale[2]?.[1], "#f4f4f4");
  const both = featureMaps([0, 5, -1, 3], [2, 2, 1]).data[1]?.marker;
  assert.deepEqual([both?.cmin, both?.cmax], [-5, 5]);
  // A matrix of equal numbers is the middle of its scale.
  const equal = heatmap([[3, 3]], { x, y, value }).data[0]!;
  assert.deepEqual([equal.zmin, equal.zmax], [1.5, 4.5]);
});
