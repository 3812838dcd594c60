import assert from "node:assert/strict";
import { scatterChart } from "../../lib/plot/mod.ts";
import { renderSvg } from "../../lib/plot/render.ts";

const axes = { x: { title: "Work", unit: "MACs" }, y: { title: "Accuracy", unit: "%" } };
const log = { ...axes, x: { ...axes.x, scale: "log" } } as const;

Deno.test("scatterChart writes the names of single points beside them", () => {
  const { data, layout, description } = scatterChart([
    { name: "LeNet", x: [1e5], y: [87], spread: [1] },
    { name: "ResNet", x: Float32Array.of(1e7), y: [91] },
  ], { ...log, title: "Networks" });
  assert.deepEqual(data.map(({ mode, x, y, text }) => [mode, x, y, text]), [
    ["text+markers", [1e5], [87], ["LeNet"]],
    ["text+markers", [1e7], [91], ["ResNet"]],
  ]);
  assert.deepEqual(data[0]?.error_y, { type: "data", array: [1], color: "#0072b2", width: 4 });
  assert.equal(data[1]?.error_y, undefined);
  assert.equal(layout.showlegend, false);
  // Room for a name on both sides: 15 % of two decades.
  assert.deepEqual(layout.xaxis?.range?.map((end: number) => Number(end.toFixed(6))), [4.7, 7.3]);
  assert.equal(
    description,
    "Accuracy (%) against work (MACs): LeNet 87 at 100,000; ResNet 91 at 10,000,000.",
  );
});

Deno.test("scatterChart gives ten groups of points ten looks and a legend", () => {
  const cloud = Float32Array.from({ length: 100 }, (_, i) => i);
  const names = [...Array(10).keys()].map((i) => `class ${i}`);
  const { data, layout, description } = scatterChart(
    names.map((name) => ({ name, x: cloud, y: cloud })),
    axes,
  );
  const looks = data.map(({ marker }) => `${marker?.color} ${marker?.symbol}`);
  assert.equal(new Set(looks).size, 10);
  assert.deepEqual(
    data.map(({ mode, text }) => [mode, text]),
    names.map(() => ["markers", undefined]),
  );
  assert.equal(data[0]?.x?.length, 100);
  assert.equal(data[0]?.marker?.size, 5);
  const unequal = scatterChart([{ name: "few", x: [1], y: [1] }, {
    name: "many",
    x: cloud,
    y: cloud,
  }], axes);
  assert.deepEqual(unequal.data.map(({ marker }) => marker?.size), [5, 5]);
  assert.equal(layout.showlegend, true);
  assert.match(description, /class 9 \(100 points\)\.$/);
});

Deno.test("scatterChart keeps names apart, from points too, and inside the figure", () => {
  const { data } = scatterChart([
    { name: "left", x: [0], y: [0] },
    { name: "middle", x: [5], y: [0] },
    { name: "right behind it", x: [5.8], y: [0] },
    { name: "a long name at the right edge", x: [10], y: [0.1] },
  ], axes);
  assert.deepEqual(data.map(({ textposition }) => textposition), [
    "middle right",
    "middle left",
    "middle right",
    "middle left",
  ]);
  const barred = scatterChart([
    { name: "below", x: [0], y: [0] },
    { name: "the name of the one with a bar", x: [5], y: [5], spread: [3] },
    { name: "b", x: [5.5], y: [5] },
    { name: "a", x: [4.5], y: [5] },
    { name: "above", x: [10], y: [10] },
  ], axes);
  assert.equal(barred.data[1]?.textposition, "top right", "not over its own bar");
  const stacked = scatterChart(
    ["a name", "another", "the third"].map((name) => ({ name, x: [1], y: [1] })),
    axes,
  );
  assert.equal(new Set(stacked.data.map(({ textposition }) => textposition)).size, 3);
});

Deno.test("scatterChart draws its names", async () => {
  const svg = await renderSvg(
    scatterChart([{ name: "LeNet", x: [1e5], y: [87], spread: [1] }], log),
  );
  assert.match(svg, />LeNet<\/text>/);
  assert.match(svg, /class="errorbar"/);
});

Deno.test("scatterChart refuses values that it cannot draw", () => {
  const cases: [() => unknown, string][] = [
    [() => scatterChart([], axes), "groups must have at least one element, found none."],
    [
      () => scatterChart([{ name: "a", x: [], y: [] }], axes),
      'x of "a" must have at least one number, found none.',
    ],
    [
      () => scatterChart([{ name: "a", x: [1], y: [1, 2] }], axes),
      'x of "a" and y of "a" must have the same length, found 1 and 2.',
    ],
    [
      () => scatterChart([{ name: "a", x: [1], y: [NaN] }], axes),
      'y of "a" must be finite numbers, found NaN at index 0.',
    ],
    [
      () => scatterChart([{ name: "a", x: [0], y: [1] }], log),
      'x of "a" must be positive for a logarithmic axis, found 0 at index 0.',
    ],
    [
      () => scatterChart([{ name: "a", x: [1], y: [1], spread: [1, 2] }], axes),
      'spread of "a" and y of "a" must have the same length, found 2 and 1.',
    ],
    [
      () => scatterChart([{ name: "a", x: [1], y: [1], spread: [-1] }], axes),
      'spread of "a" must be at least 0, found -1.',
    ],
    [
      () => scatterChart([{ name: "a", x: [1], y: [1], spread: [Infinity] }], axes),
      'spread of "a" must be finite numbers, found Infinity at index 0.',
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a scatter chart: ${message}` });
  }
});
