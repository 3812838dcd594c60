import assert from "node:assert/strict";
import { confusionMatrixPlot, heatmap } from "../../lib/plot/mod.ts";

const axes = { x: { title: "Column" }, y: { title: "Row" }, value: { title: "Weight" } };

Deno.test("heatmap draws row 0 at the top, dark to bright", () => {
  const { data, layout, description } = heatmap([Float32Array.of(1, 2, 3), [4, 5, 6.5]], {
    ...axes,
    value: { title: "Time", unit: "ms" },
  });
  const [cells] = data;
  assert.deepEqual(cells?.z, [[1, 2, 3], [4, 5, 6.5]]);
  assert.deepEqual([cells?.zmin, cells?.zmax], [1, 6.5]);
  assert.equal(cells?.texttemplate, undefined);
  assert.equal(cells?.colorbar?.title?.text, "Time (ms)");
  assert.equal(layout.yaxis?.autorange, "reversed");
  assert.equal(layout.xaxis?.title?.text, "Column");
  assert.equal(description, "Heatmap of time (ms), 2 rows by 3 columns, from 1 to 6.5.");
});

Deno.test("heatmap puts zero in the middle of a scale with two colours", () => {
  const { data } = heatmap([[-1, 4.25]], { ...axes, numbers: true });
  assert.deepEqual([data[0]?.zmin, data[0]?.zmax], [-4.25, 4.25]);
  const colors = data[0]?.colorscale;
  assert.ok(Array.isArray(colors));
  assert.deepEqual(colors[2], [0.5, "#f4f4f4"]);
  assert.deepEqual(data[0]?.text, [["−1.00", "4.25"]]);
});

Deno.test("heatmap takes names and the ends of its scale", () => {
  const { data, layout } = heatmap([[1, 2]], {
    ...axes,
    value: { title: "Weight", range: [0, 10] },
    columnNames: ["0", "1"],
    rowNames: ["only"],
  });
  assert.deepEqual([data[0]?.x, data[0]?.y], [["0", "1"], ["only"]]);
  assert.deepEqual([data[0]?.zmin, data[0]?.zmax], [0, 10]);
  assert.equal(layout.xaxis?.type, "category");
});

Deno.test("heatmap draws brightness from black to white, and other scales by name", () => {
  const ends = (colors: "viridis" | "grays" | "blues" | "diverging", values: number[]) => {
    const [cells] = heatmap([values], { ...axes, colors }).data;
    const scale = cells?.colorscale;
    assert.ok(Array.isArray(scale));
    return [cells?.zmin, scale[0]?.[1], cells?.zmax, scale.at(-1)?.[1]];
  };
  assert.deepEqual(ends("grays", [0, 255]), [0, "#000000", 255, "#ffffff"]);
  assert.deepEqual(ends("blues", [-1, 3]), [-1, "#f7fbff", 3, "#08306b"]);
  assert.deepEqual(ends("diverging", [1, 3]), [-3, "#08407e", 3, "#9a2c00"]);
  assert.deepEqual(ends("viridis", [-1, 3]), [-1, "#440154", 3, "#fde725"]);
});

Deno.test("heatmap refuses values that it cannot draw", () => {
  const cases: [() => unknown, string][] = [
    [() => heatmap([], axes), "values must have at least one number, found none."],
    [() => heatmap([[]], axes), "values must have at least one number, found none."],
    [
      () => heatmap([[1, 2], [3]], axes),
      "each row of values must have 2 numbers, found 1 in row 1.",
    ],
    [
      () => heatmap([[1, 2], [3, NaN]], axes),
      "row 1 of values must be finite numbers, found NaN at index 1.",
    ],
    [
      () => heatmap([[1, 2]], { ...axes, columnNames: ["a"] }),
      "the first row and columnNames must have the same length, found 2 and 1.",
    ],
    [
      () => heatmap([[1, 2]], { ...axes, rowNames: ["a", "b"] }),
      "each column and rowNames must have the same length, found 1 and 2.",
    ],
    [
      () => heatmap([[1, 2]], { ...axes, value: { title: "Weight", range: [1, 0] } }),
      "range must be two ascending numbers, found [1, 0].",
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a heatmap: ${message}` });
  }
});

Deno.test("confusionMatrixPlot colours shares of rows and writes counts", () => {
  const { data, layout, description } = confusionMatrixPlot(
    [[90, 10, 0], [1, 3, 0], [0, 0, 0]],
    ["shirt", "coat", "bag"],
  );
  const [cells] = data;
  assert.deepEqual(cells?.z, [[0.9, 0.1, 0], [0.25, 0.75, 0], [0, 0, 0]]);
  assert.deepEqual(cells?.text, [["90", "10", "0"], ["1", "3", "0"], ["0", "0", "0"]]);
  assert.deepEqual([cells?.x, cells?.zmin, cells?.zmax], [["shirt", "coat", "bag"], 0, 1]);
  assert.equal(layout.xaxis?.title?.text, "Predicted class");
  assert.equal(layout.yaxis?.title?.text, "True class");
  assert.equal(layout.yaxis?.autorange, "reversed");
  assert.equal(
    description,
    "Confusion matrix of 3 classes: 93 of 104 images are right (89.4 %); " +
      "the most frequent mistake is shirt taken for coat, 10 times.",
  );
});

Deno.test("confusionMatrixPlot knows a perfect model and no images at all", () => {
  const names = ["a", "b"];
  assert.equal(
    confusionMatrixPlot([[2, 0], [0, 2]], names).description,
    "Confusion matrix of 2 classes: 4 of 4 images are right (100 %).",
  );
  assert.equal(
    confusionMatrixPlot([[0, 0], [0, 0]], names).description,
    "Confusion matrix of 2 classes: 0 of 0 images are right (0 %).",
  );
});

Deno.test("confusionMatrixPlot refuses values that it cannot draw", () => {
  const cases: [() => unknown, string][] = [
    [
      () => confusionMatrixPlot([[1, 2]], ["a", "b"]),
      "confusion must be square, found 1 rows of 2 numbers.",
    ],
    [
      () => confusionMatrixPlot([[1]], ["a", "b"]),
      "a row of confusion and classNames must have the same length, found 1 and 2.",
    ],
    [
      () => confusionMatrixPlot([[1, 0], [0.5, 1]], ["a", "b"]),
      "confusion must be whole numbers of at least 0, found 0.5 in row 1, column 0.",
    ],
    [
      () => confusionMatrixPlot([[1, -1], [0, 1]], ["a", "b"]),
      "confusion must be whole numbers of at least 0, found -1 in row 0, column 1.",
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a confusion matrix: ${message}` });
  }
});
