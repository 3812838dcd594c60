import assert from "node:assert/strict";
import { activationHistograms, histogram } from "../../lib/plot/mod.ts";

const weight = { x: { title: "Weight" } };

Deno.test("histogram counts values into bins, the last of which holds its upper end", () => {
  // Bins [0, 1), [1, 2), [2, 3), [3, 4].
  const { data, layout, description } = histogram([0, 0.5, 1, 2, 3, 4, 4], { ...weight, bins: 4 });
  assert.deepEqual(data[0]?.x, [0.5, 1.5, 2.5, 3.5]);
  assert.deepEqual(data[0]?.y, [2, 1, 1, 3]);
  assert.equal(data[0]?.width, 1);
  assert.equal(layout.xaxis?.title?.text, "Weight");
  assert.equal(layout.yaxis?.title?.text, "Count");
  // Mean 14.5 / 7; squares sum to 46.25, so the variance is 46.25 / 7 - (14.5 / 7)².
  assert.equal(
    description,
    "Histogram of weight: 7 values with mean 2.071 and standard deviation 1.522.",
  );
});

Deno.test("histogram leaves out what lies outside its range, and says so", () => {
  const { data, description } = histogram(Float32Array.of(-5, 0, 1, 2, 2.25), {
    ...weight,
    bins: 2,
    range: [0, 2],
    y: { title: "Values", scale: "log" },
  });
  assert.deepEqual(data[0]?.y, [1, 2]);
  assert.match(description, /\(2 outside the range\)\.$/);
});

Deno.test("histogram draws values that are all the same", () => {
  const { data } = histogram([3, 3], { ...weight, bins: 2 });
  assert.deepEqual([data[0]?.x, data[0]?.y], [[2.75, 3.25], [0, 2]]);
});

Deno.test("histogram of a million values is quick and small", () => {
  const values = Float32Array.from({ length: 1_000_000 }, (_, i) => i % 1000);
  const start = performance.now();
  const figure = histogram(values, weight);
  assert.ok(performance.now() - start < 2000);
  assert.ok(JSON.stringify([figure.data, figure.layout]).length < 3000);
  assert.deepEqual(figure.data[0]?.y, new Array(40).fill(25_000));
});

Deno.test("activationHistograms draws a panel per layer with its own axes", () => {
  const layers = new Map([["conv", Float32Array.of(-1, 1)], ["relu", Float32Array.of(0, 1)]]);
  const { data, layout, description } = activationHistograms(layers, { bins: 2 });
  assert.deepEqual(data.map(({ name, x, y, xaxis, yaxis }) => [name, x, y, xaxis, yaxis]), [
    ["conv", [-0.5, 0.5], [1, 1], "x", "y"],
    ["relu", [0.25, 0.75], [1, 1], "x2", "y2"],
  ]);
  assert.deepEqual(layout.xaxis?.range, [-1, 1]);
  assert.deepEqual(layout.xaxis2?.range, [0, 1]);
  assert.deepEqual(layout.annotations?.map(({ text }) => text), [
    "<b>conv</b><br>mean 0, sd 1",
    "<b>relu</b><br>mean 0.5, sd 0.5, zeros 50 %",
  ]);
  assert.equal(
    description,
    "Histograms of activations per layer: conv mean 0, standard deviation 1, zeros 0 %; " +
      "relu mean 0.5, standard deviation 0.5, zeros 50 %.",
  );
});

Deno.test("activationHistograms grows with the number of layers", () => {
  const layers = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`layer${i}`, [i]]));
  const { data, layout } = activationHistograms(layers, { range: [0, 10] });
  assert.deepEqual([data[10]?.xaxis, data[10]?.yaxis], ["x11", "y11"]);
  // Four rows of 110 pixels, three gaps of 84, margins of 44 and 56.
  assert.equal(layout.height, 4 * 110 + 3 * 84 + 100);
});

Deno.test("histogram and activationHistograms refuse values that they cannot draw", () => {
  const cases: [() => unknown, string][] = [
    [
      () => histogram([], weight),
      "a histogram: values must have at least one number, found none.",
    ],
    [
      () => histogram([1, NaN], weight),
      "a histogram: values must be finite numbers, found NaN at index 1.",
    ],
    [
      () => histogram([1], { ...weight, bins: 0 }),
      "a histogram: bins must be a whole number from 1 to 2000, found 0.",
    ],
    [
      () => histogram([1], { ...weight, range: [2, 2] }),
      "a histogram: range must be two ascending numbers, found [2, 2].",
    ],
    [
      () => activationHistograms({}),
      "activation histograms: the activations must have at least one layer, found none.",
    ],
    [
      () => activationHistograms({ "0.conv": [-Infinity] }),
      'activation histograms: "0.conv" must be finite numbers, found -Infinity at index 0.',
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing ${message}` });
  }
});
