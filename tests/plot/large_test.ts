import assert from "node:assert/strict";
import {
  barChart,
  confusionMatrixPlot,
  contourPlot,
  heatmap,
  histogram,
  lineChart,
  scatterChart,
  type Series,
  trainingCurves,
} from "../../lib/plot/mod.ts";
import { renderSvg } from "../../lib/plot/render.ts";

const x = { title: "Step" }, y = { title: "Loss" }, value = { title: "Weight" };
const million = 1_000_000;

/** Returns pseudo-random numbers from 0 to 1. */
function noise(length: number): Float64Array {
  let state = 1;
  return Float64Array.from({ length }, () => (state = state * 16807 % 2147483647) / 2147483647);
}

/** The points of a trace. */
function points(
  { data }: { data: { x?: unknown; y?: unknown }[] },
  trace = 0,
): [number[], number[]] {
  const { x, y } = data[trace]!;
  assert(Array.isArray(x) && Array.isArray(y) && x.length === y.length);
  return [x, y];
}

for (const mode of ["lines", "markers", "lines+markers"] as const) {
  Deno.test(`lineChart draws a million points as ${mode}, with their extremes`, async () => {
    const heights = noise(million);
    heights[123_456] = 9;
    heights[654_321] = -9;
    const figure = lineChart([{ name: "a", y: heights, mode }], { x, y });
    const [places, kept] = points(figure);
    assert(places.length <= 15_000, `${places.length} points`);
    assert.equal(kept[places.indexOf(123_456)], 9);
    assert.equal(kept[places.indexOf(654_321)], -9);
    assert(places.includes(0) && places.includes(million - 1));
    assert.match(figure.description, /\(1,000,000 points\)/);
    assert((await renderSvg(figure)).length < 5e6);
  });
}

Deno.test("lineChart draws a path of a million points that turns back", () => {
  const angles = Array.from({ length: million }, (_, index) => index / 1e4);
  const figure = lineChart([{
    name: "a",
    x: angles.map((angle) => angle * Math.cos(angle)),
    y: angles.map((angle) => angle * Math.sin(angle)),
  }], { x, y });
  const [places, heights] = points(figure);
  assert(places.length <= 10_000 && places.length > 1000, `${places.length} points`);
  // 100 / 2π is 15.9 turns: each passes the axis to the right, and the spiral is seen as one.
  const passes = places.filter((place, index) =>
    place > 0 && index > 0 && heights[index - 1]! < 0 && heights[index]! >= 0
  );
  assert.equal(passes.length, 15);
});

Deno.test("lineChart keeps what a logarithmic axis, a range, and uneven places make large", () => {
  const ascending = Array.from({ length: 100_000 }, (_, index) => index + 1);
  const inverse = ascending.map((place) => 1 / place);
  const log = lineChart([{ name: "a", x: ascending, y: inverse }], {
    x: { ...x, scale: "log" },
    y: { ...y, scale: "log" },
  });
  // The first ten points take a fifth of the axis.
  assert.deepEqual(points(log)[0].slice(0, 10), ascending.slice(0, 10));

  const zoomed = lineChart([{ name: "a", y: noise(million) }], { x: { ...x, range: [0, 100] }, y });
  const shown = points(zoomed)[0].filter((place) => place <= 100);
  assert.deepEqual(shown, Array.from({ length: 101 }, (_, index) => index));

  const places = Array.from({ length: 2000 }, (_, i) => i < 1990 ? i / 1990 : 1 + 10 * (i - 1989));
  const uneven = lineChart([{ name: "a", x: places, y: places.map(Math.sin) }], { x, y });
  assert.deepEqual(points(uneven)[0].filter((place) => place > 1), places.slice(1990));
});

Deno.test("lineChart keeps the extremes of a band", () => {
  const flat = new Array<number>(100_000).fill(0);
  const high = flat.map((_, index) => index === 50_123 ? 7 : 1);
  const figure = lineChart([{ name: "a", y: flat, band: { low: flat, high } }], { x, y });
  const [places, heights] = points(figure);
  assert.equal(heights[places.indexOf(50_123)], 7);
});

Deno.test("scatterChart draws clouds of a million points, with their extremes", async () => {
  const across = noise(million), up = noise(million).map((value, i) => (value * 7 + i / 3) % 1);
  across[777] = -5;
  up[888] = 5;
  const figure = scatterChart([
    { name: "a", x: across, y: up },
    { name: "b", x: [0.5, 0.6], y: [0.5, 0.6] },
  ], { x, y });
  const [places, heights] = points(figure);
  assert(places.length <= 10_000 && places.includes(-5) && heights.includes(5));
  assert.equal(points(figure, 1)[0].length, 2);
  assert.match(figure.description, /a \(1,000,000 points\); b \(2 points\)/);
  assert((await renderSvg(figure)).length < 5e6);
});

Deno.test("scatterChart keeps the longest bar of a large cloud", () => {
  const spread = new Float64Array(20_000).fill(0.1);
  spread[12_345] = 40;
  const zeros = new Float64Array(20_000);
  const { data } = scatterChart([{ name: "a", x: zeros, y: zeros, spread }], { x, y });
  const { array } = data[0]!.error_y as { array: number[] };
  assert(array.length < 1000 && array.includes(40));
});

Deno.test("histogram, heatmap and trainingCurves draw a million numbers", async () => {
  const values = noise(million);
  const counts = histogram(values, { x }).data[0]!.y as number[];
  assert.equal(counts.reduce((sum, count) => sum + count), million);
  const rows = Array.from(
    { length: 1000 },
    (_, row) => values.subarray(row * 1000, row * 1000 + 1000),
  );
  await renderSvg(heatmap(rows, { x, y, value, numbers: true }));
  const steps = Array.from({ length: million }, (_, i) => ({
    step: i + 1,
    loss: values[i]!,
    learningRate: 0.1,
  }));
  assert((await renderSvg(trainingCurves({ steps, epochs: [] }))).length < 1e6);
});

Deno.test("contourPlot draws a grid of a million heights, and noise too", async () => {
  const places = Float64Array.from({ length: 1000 }, (_, i) => i);
  const smooth = Array.from(places, (i) => places.map((j) => Math.sin(i / 90) * Math.cos(j / 90)));
  const values = noise(million);
  const rough = Array.from(places, (i) => values.subarray(i * 1000, i * 1000 + 1000));
  for (const z of [smooth, rough]) {
    const figure = contourPlot(places, places, z, { x, y, value });
    const [across] = [figure.data[0]!.x as number[]];
    assert(across.length >= 60 && across.length <= 200);
    assert.deepEqual([across[0], across.at(-1)], [0, 999]);
    assert((await renderSvg(figure)).length < 20e6);
  }
});

Deno.test("confusionMatrixPlot of 100 classes is colours with some of the names", async () => {
  const names = Array.from({ length: 100 }, (_, index) => `class ${index}`);
  const counts = names.map((_, row) => names.map((_, column) => row === column ? 50 : 1));
  const figure = confusionMatrixPlot(counts, names);
  assert.equal(figure.data[0]?.texttemplate, undefined);
  assert.equal((figure.data[0]?.text as unknown as string[][])[7]![7], "50"); // for the pointer
  assert(figure.layout.height! <= 800);
  const svg = await renderSvg(figure);
  const labels = svg.match(/<g class="[xy]tick"><text/g)!.length;
  assert(labels >= 20 && labels <= 100, `${labels} labels`);
  assert(svg.length < 200_000);
});

Deno.test("barChart and confusionMatrixPlot refuse what has no pixel for each part", () => {
  const names = Array.from({ length: 2001 }, (_, index) => `${index}`);
  assert.throws(() => barChart(names, names.map(Number), { x, y }), {
    name: "RangeError",
    message: "Drawing a bar chart: the number of bars must be at most 2,000, found 2,001. " +
      "Draw a lineChart or a histogram.",
  });
  assert.throws(() => confusionMatrixPlot(names.map(() => names.map(() => 1)), names), {
    name: "RangeError",
    message: /the number of classes must be at most 1,000, found 2,001/,
  });
});

Deno.test("barChart shortens the description of many bars", () => {
  const series = Array.from({ length: 100 }, (_, i): Series => ({ name: `s${i}`, y: [i, 1] }));
  assert.match(lineChart(series, { x, y }).description, /s39 from .*; and 60 more\.$/);
});

Deno.test("histogram counts each value once, however close together or large they are", () => {
  const cases: number[][] = [
    [2 ** 53, 2 ** 53],
    [1e300, 1e300, 1e300],
    [-1e300, 1e300],
    [1e-300, 1e-300],
    [0, 1e-310],
    [1, 1 + 2 ** -52],
    [1e16, 1e16 + 2],
    [1e9, 1e9 + 1e-6],
    [-5, -5],
  ];
  for (const values of cases) {
    const { data, description } = histogram(values, { x });
    const places = data[0]!.x as number[], counts = data[0]!.y as number[];
    assert.equal(counts.reduce((sum, count) => sum + count), values.length, `${values}`);
    assert.equal(new Set(places).size, places.length, `the bars of ${values} are apart`);
    const width = data[0]!.width as number;
    for (const value of values) {
      const found = places.some((place, bar) =>
        counts[bar]! > 0 && Math.abs(place - value) <= 0.51 * width
      );
      assert(found, `${value} is in none of its bars`);
    }
    assert(!/NaN|Infinity/.test(description), description);
  }
  // √((1e300² + 1e300²) / 2) = 1e300, whose square is no number.
  assert.match(histogram([-1e300, 1e300], { x }).description, /mean 0 .* deviation 1\.00e300/);
});
