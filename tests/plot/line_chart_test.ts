import assert from "node:assert/strict";
import { lineChart } from "../../lib/plot/mod.ts";

const axes = { x: { title: "Step" }, y: { title: "Loss" } };

Deno.test("lineChart turns each series into one trace", () => {
  const figure = lineChart([
    { name: "train", y: [3, 2, 1] },
    {
      name: "test",
      x: Int32Array.of(1, 3),
      y: Float32Array.of(2.5, 0.1),
      mode: "markers",
      dash: "dot",
    },
  ], axes);
  assert.deepEqual(figure.data, [
    { type: "scatter", mode: "lines", name: "train", x: [0, 1, 2], y: [3, 2, 1] },
    {
      type: "scatter",
      mode: "markers",
      name: "test",
      x: [1, 3],
      y: [2.5, 0.1],
      line: { dash: "dot" },
    },
  ]);
  assert.equal(figure.layout.showlegend, true);
  assert.equal(
    figure.description,
    "Loss against step: train from 3 to 1 (3 points); test from 2.5 to 0.1 (2 points).",
  );
});

Deno.test("lineChart names axes with their units and gives log axes exponents as ends", () => {
  const { layout } = lineChart([{ name: "a", x: [1, 10], y: [1, 2] }], {
    title: "Sweep",
    description: "As said.",
    width: 600,
    height: 300,
    x: { title: "Learning rate", scale: "log", range: [0.01, 100] },
    y: { title: "Speed", unit: "images/s", range: [0, 5] },
  });
  assert.equal(layout.title?.text, "Sweep");
  assert.deepEqual([layout.width, layout.height, layout.showlegend], [600, 300, false]);
  assert.equal(layout.xaxis?.title?.text, "Learning rate");
  assert.equal(layout.xaxis?.type, "log");
  assert.deepEqual(layout.xaxis?.range, [-2, 2]);
  assert.equal(layout.yaxis?.title?.text, "Speed (images/s)");
  assert.deepEqual(layout.yaxis?.range, [0, 5]);
});

Deno.test("lineChart draws bands behind the lines, in their colours", () => {
  const { data, layout } = lineChart([
    { name: "a", y: [1, 2, 3], band: { low: [0, 1, 2], high: Float32Array.of(2, 3, 5) } },
    { name: "b", y: [4, 4, 4], dash: "dot" },
  ], { ...axes, y: { title: "Loss", scale: "linear" } });
  const [blue, vermilion] = ["#0072b2", "#d55e00"];
  assert.deepEqual(data.map(({ fill, legendgroup }) => [fill, legendgroup]), [
    ["toself", "a"],
    [undefined, "a"],
    [undefined, "b"],
  ]);
  assert.deepEqual([data[0]?.x, data[0]?.y], [[0, 1, 2, 2, 1, 0], [2, 3, 5, 2, 1, 0]]);
  assert.deepEqual([data[0]?.fillcolor, data[0]?.showlegend], [blue, false]);
  assert.deepEqual(data.slice(1).map(({ line, marker }) => [line, marker]), [
    [{ color: blue }, { color: blue }],
    [{ color: vermilion, dash: "dot" }, { color: vermilion }],
  ]);
  assert.equal(layout.showlegend, true);
});

Deno.test("lineChart thins a band with its line and lets it into the numbers of a log axis", () => {
  const y = Array.from({ length: 5000 }, (_, i) => 1 + i % 7);
  const { data, layout } = lineChart([
    { name: "a", y, band: { low: y.map((value) => value / 100), high: y } },
  ], { ...axes, y: { title: "Loss", scale: "log" } });
  assert.equal(data[0]?.x?.length, 2 * data[1]!.x!.length);
  assert(data[1]!.x!.length <= 700);
  assert.equal(layout.yaxis?.tickvals?.[0], 0.01); // not 1
});

Deno.test("lineChart shows a single point", () => {
  const { data, description } = lineChart([{ name: "a", y: [7] }], axes);
  assert.equal(data[0]?.mode, "lines+markers");
  assert.equal(description, "Loss against step: a from 7 to 7 (1 point).");
});

Deno.test("lineChart thins a long line but keeps its ends, its peak and its valley", () => {
  const y = Float32Array.from({ length: 100_000 }, (_, i) => Math.sin(i / 500));
  y[4567] = 9;
  y[76543] = -9;
  const { data, description } = lineChart([{ name: "a", y }], axes);
  const [trace] = data;
  assert.ok(trace && Array.isArray(trace.x) && Array.isArray(trace.y));
  assert.ok(trace.x.length <= 700 && trace.x.length > 350, `${trace.x.length} points`);
  assert.equal(trace.x.at(0), 0);
  assert.equal(trace.x.at(-1), 99_999);
  const places: unknown[] = trace.x;
  assert.equal(trace.y[places.indexOf(4567)], 9);
  assert.equal(trace.y[places.indexOf(76543)], -9);
  assert.deepEqual([...trace.x], [...trace.x].sort((a, b) => Number(a) - Number(b)));
  assert.match(description, /\(100,000 points\)/);
});

Deno.test("lineChart keeps each point of a cloud and of a path that turns back", () => {
  const x = Float32Array.from({ length: 5000 }, (_, i) => Math.cos(i));
  const y = Float32Array.from({ length: 5000 }, (_, i) => Math.sin(i));
  for (const mode of ["lines", "markers"] as const) {
    const { data } = lineChart([{ name: "a", x, y, mode }], axes);
    assert.ok(Array.isArray(data[0]?.x));
    assert.equal(data[0].x.length, 5000);
  }
});

Deno.test("lineChart refuses values that it cannot draw", () => {
  const log = { x: { title: "Step" }, y: { title: "Loss", scale: "log" } } as const;
  const cases: [() => unknown, string][] = [
    [() => lineChart([], axes), "series must have at least one element, found none."],
    [
      () => lineChart([{ name: "a", y: [] }], axes),
      'y of series "a" must have at least one number, found none.',
    ],
    [
      () => lineChart([{ name: "a", y: [1, 2, NaN] }], axes),
      'y of series "a" must be finite numbers, found NaN at index 2.',
    ],
    [
      () => lineChart([{ name: "a", x: [0, Infinity], y: [1, 2] }], axes),
      'x of series "a" must be finite numbers, found Infinity at index 1.',
    ],
    [
      () => lineChart([{ name: "a", x: [0], y: [1, 2] }], axes),
      'x of series "a" and y of series "a" must have the same length, found 1 and 2.',
    ],
    [
      () => lineChart([{ name: "a", y: [1, 2], band: { low: [0], high: [3, 4] } }], axes),
      'band.low of series "a" and y of series "a" must have the same length, found 1 and 2.',
    ],
    [
      () => lineChart([{ name: "a", y: [1], band: { low: [0], high: [NaN] } }], axes),
      'band.high of series "a" must be finite numbers, found NaN at index 0.',
    ],
    [
      () => lineChart([{ name: "a", y: [1, 0] }], log),
      'y of series "a" must be positive for a logarithmic axis, found 0 at index 1.',
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a line chart: ${message}` });
  }
  assert.throws(
    () => lineChart([{ name: "a", y: [1] }], { ...axes, y: { ...log.y, range: [0, 1] } }),
    {
      name: "RangeError",
      message:
        'Drawing the logarithmic axis "Loss": the range must be two positive numbers, found [0, 1].',
    },
  );
});

Deno.test("lineChart shows all series under the pointer, unless they are many or paths", () => {
  const axes = { x: { title: "Step" }, y: { title: "Loss" } };
  const series = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ name: `${i}`, y: [1, 2] }));
  assert.equal(lineChart(series(12), axes).layout.hovermode, "x unified");
  assert.equal(lineChart(series(13), axes).layout.hovermode, "closest");
  const path = { name: "path", x: [0, 1, 0], y: [0, 1, 2] };
  assert.equal(lineChart([...series(1), path], axes).layout.hovermode, "closest");
});

Deno.test("lineChart draws fractions as per cent, with their band and range", () => {
  const { data, layout, description } = lineChart(
    [{ name: "a", x: [1, 2], y: [0.25, 0.5], band: { low: [0.125, 0.25], high: [0.5, 0.75] } }],
    { x: { title: "Epoch" }, y: { title: "Accuracy", percent: true, range: [0, 1] } },
  );
  const [band, line] = data;
  assert.deepEqual(band?.y, [50, 75, 25, 12.5]);
  assert.deepEqual([line?.x, line?.y], [[1, 2], [25, 50]]);
  assert.deepEqual(layout.yaxis?.range, [0, 100]);
  assert.equal(description, "Accuracy (%) against epoch: a from 25 to 50 (2 points).");
});

Deno.test("lineChart gives series of one idea one colour", () => {
  const series = ["a", "b", "c"].map((name) => ({ name, y: [1, 2] }));
  const { data } = lineChart(series, { ...axes, colors: [2, 2, 0] });
  assert.deepEqual(data.map(({ line }) => line?.color), ["#009e73", "#009e73", "#0072b2"]);
  assert.throws(() => lineChart(series, { ...axes, colors: [0] }), /colors/);
});
