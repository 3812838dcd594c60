import assert from "node:assert/strict";
import { scatterChart } from "../../lib/plot/mod.ts";
import { renderSvg } from "../../lib/plot/render.ts";
import { annotations, type Box, errorBars, markers } from "./_helpers.ts";

const axes = { x: { title: "Work", unit: "MACs" }, y: { title: "Accuracy", unit: "%" } };
const log = { ...axes, x: { ...axes.x, scale: "log" } } as const;

Deno.test("scatterChart writes the names of single points beside them", () => {
  const { data, layout, description } = scatterChart([
    { name: "LeNet", x: [1e5], y: [87], spread: [1] },
    { name: "ResNet", x: Float32Array.of(1e7), y: [91] },
  ], { ...log, title: "Networks" });
  assert.deepEqual(data.map(({ mode, x, y }) => [mode, x, y]), [
    ["markers", [1e5], [87]],
    ["markers", [1e7], [91]],
  ]);
  assert.deepEqual(layout.annotations?.map(({ x, y, text }) => [x, y, text]), [
    [5, 87, "LeNet"],
    [7, 91, "ResNet"],
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
    data.map(({ mode }) => mode),
    names.map(() => "markers"),
  );
  assert.equal(layout.annotations, undefined);
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

/** Returns which pairs of labels, points and error bars cover each other in the drawing. */
async function covered(figure: ReturnType<typeof scatterChart>): Promise<string[]> {
  const svg = await renderSvg(figure);
  const names = [...annotations(svg)];
  assert.equal(names.length, figure.data.length, "a label for each point");
  const points = markers(svg).map(({ x, y }, i): [string, Box] => [
    `point ${i}`,
    { left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 },
  ]);
  const bars = errorBars(svg).map((box, i): [string, Box] => [`bar ${i}`, box]);
  return names.flatMap(([name, box], i) =>
    [...names.slice(i + 1), ...points, ...bars]
      // The box of a label has a margin of a pixel around the letters.
      .filter(([, other]) =>
        box.left + 1 < other.right && other.left < box.right - 1 &&
        box.top + 1 < other.bottom && other.top < box.bottom - 1
      ).map(([other]) => `${name} / ${other}`)
  );
}

Deno.test("scatterChart keeps names apart, and off points and bars", async () => {
  // The networks of the course: million MACs, accuracy, half of the interval.
  const zoo: [string, number, number, number][] = [
    ["LeNet", 0.417, 83.22, 0.32],
    ["AlexNet ×1/8", 3.932, 82.5, 0.37],
    ["VGG, 3 blocks, ×1/8", 3.272, 80.09, 1.38],
    ["VGG with batch norm", 3.272, 81.75, 1.21],
    ["NiN", 2.142, 81.58, 0.72],
    ["GoogLeNet ×1/8", 2.27, 81.69, 1.02],
    ["ten convolutions", 2.181, 78.01, 2.75],
    ["ten convolutions, batch norm", 2.181, 82.67, 0.81],
    ["plain 18 ×1/8", 7.089, 83.39, 0.32],
    ["ResNet-18 ×1/8", 7.089, 84.11, 0.31],
    ["ResNet-18 ×1/16", 1.786, 82.98, 0.78],
    ["ResNet-14, basic", 6.414, 84.02, 0.63],
    ["ResNet-20, bottlenecks", 6.43, 83.25, 0.15],
    ["ResNet-8, dynamic", 0.6244, 81.28, 0.25],
  ];
  const groups = zoo.map(([name, x, y, half]) => ({ name, x: [x], y: [y], spread: [half] }));
  for (const [count, height] of [[10, 420], [11, 420], [14, 500]] as const) {
    const options = { ...log, title: "The zoo", width: 620, height };
    assert.deepEqual(await covered(scatterChart(groups.slice(0, count), options)), []);
  }
  const row = [["left", 0], ["middle", 5], ["right behind it", 5.8], ["at the edge", 10]] as const;
  const rowOf = row.map(([name, x]) => ({ name, x: [x], y: [0] }));
  assert.deepEqual(await covered(scatterChart(rowOf, axes)), []);
});

Deno.test("scatterChart keeps names inside the figure", async () => {
  const long = "a name as long as can be at the edge";
  const ends = [["left", 0], [long, 1]] as const;
  const svg = await renderSvg(
    scatterChart(ends.map(([name, x]) => ({ name, x: [x], y: [x] })), axes),
  );
  for (const { left, top, right, bottom } of annotations(svg).values()) {
    assert(left >= 0 && top >= 0 && right <= 700 && bottom <= 420);
  }
});

Deno.test("scatterChart draws a line to a name only where it is far from its point", () => {
  const arrows = (count: number) => {
    const groups = Array.from({ length: count }, (_, i) => ({ name: `name ${i}`, x: [1], y: [1] }));
    return scatterChart(groups, axes).layout.annotations?.map(({ showarrow }) => showarrow) ?? [];
  };
  assert.deepEqual(arrows(3), [false, false, false]);
  assert.equal(arrows(10).filter((shown) => shown).length, 4, "six fit around a point");
});

Deno.test("scatterChart draws its names", async () => {
  const svg = await renderSvg(
    scatterChart([{ name: "LeNet & co", x: [1e5], y: [87], spread: [1] }], log),
  );
  assert.match(svg, />LeNet &amp; co<\/text>/);
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

Deno.test("scatterChart gives groups of one colour different shapes", () => {
  const groups = ["a", "b", "c"].map((name, i) => ({ name, x: [i + 1], y: [1] }));
  const { data } = scatterChart(groups, { ...axes, colors: [0, 0, 3] });
  assert.deepEqual(data.map(({ marker }) => [marker?.color, marker?.symbol]), [
    ["#0072b2", "circle"],
    ["#0072b2", "diamond-open"],
    ["#cc79a7", "circle"],
  ]);
});
