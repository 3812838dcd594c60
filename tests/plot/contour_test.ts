import assert from "node:assert/strict";
import { contourPlot } from "../../lib/plot/mod.ts";

const options = {
  x: { title: "Weight" },
  y: { title: "Bias" },
  value: { title: "Loss", unit: "nats" },
};

Deno.test("contourPlot draws a surface over its plane", () => {
  const { data, layout, description } = contourPlot([0, 2], Float32Array.of(-1, 0, 1), [
    [3, 2],
    [2, 1],
    [1, 0.5],
  ], options);
  assert.equal(data.length, 1);
  assert.deepEqual([data[0]?.x, data[0]?.y], [[0, 2], [-1, 0, 1]]);
  assert.deepEqual(data[0]?.z, [[3, 2], [2, 1], [1, 0.5]]);
  assert.equal(data[0]?.colorbar?.title?.text, "Loss (nats)");
  assert.deepEqual([layout.xaxis?.range, layout.yaxis?.range], [[0, 2], [-1, 1]]);
  assert.equal(description, "Loss (nats) over weight and bias, from 0.5 to 3.");
});

Deno.test("contourPlot draws a path over the surface, its ends marked", () => {
  const { data, description } = contourPlot([0, 1], [0, 1], [[1, 2], [3, 4]], {
    ...options,
    path: { x: [0.9, 0.5, 0.1], y: Float32Array.of(1, 0.5, 0) },
  });
  assert.deepEqual(data.map(({ type }) => type), ["contour", "scatter", "scatter"]);
  assert.deepEqual([data[1]?.x, data[1]?.y], [[0.9, 0.5, 0.1], [1, 0.5, 0]]);
  assert.deepEqual([data[2]?.x, data[2]?.y], [[0.9, 0.1], [1, 0]]);
  assert.match(description, /; a path of 3 points leads from \(0\.9, 1\) to \(0\.1, 0\)\.$/);
});

Deno.test("contourPlot draws several paths, each with its name in the legend", () => {
  const { data, layout, description } = contourPlot([0, 1], [0, 1], [[1, 2], [3, 4]], {
    ...options,
    paths: { small: { x: [0.9, 0.8], y: [1, 0.9] }, large: { x: [0.9, 0.1], y: [1, 0] } },
  });
  assert.deepEqual(data.slice(1).map(({ name, x }) => [name, x]), [
    ["small", [0.9, 0.8]],
    ["large", [0.9, 0.1]],
  ]);
  assert.notEqual(data[1]?.line?.color, data[2]?.line?.color);
  assert.equal(layout.showlegend, true);
  assert.match(
    description,
    /; small, a path of 2 points, leads from \(0\.9, 1\) to \(0\.8, 0\.9\); large, /,
  );
  const path = { x: [0], y: [0] };
  const paths = { a: path, b: path, c: path, d: path, e: path, f: path, g: path };
  assert.throws(() => contourPlot([0, 1], [0, 1], [[1, 2], [3, 4]], { ...options, paths }), {
    name: "RangeError",
    message: "Drawing a contour plot: the number of paths must be at most 6, found 7.",
  });
});

Deno.test("contourPlot spaces levels by factors on a logarithmic scale", () => {
  const { data } = contourPlot([0, 1], [0, 1], [[0.01, 0.1], [1, 1000]], {
    ...options,
    value: { title: "Loss", scale: "log" },
  });
  assert.deepEqual(data[0]?.z, [[-2, -1], [0, 3]]);
  assert.deepEqual([data[0]?.zmin, data[0]?.zmax], [-2, 3]);
  assert.deepEqual(data[0]?.colorbar?.tickvals, [-2, -1, 0, 1, 2, 3]);
  assert.deepEqual(data[0]?.colorbar?.ticktext, ["0.01", "0.1", "1", "10", "100", "1000"]);
  const near = contourPlot([0, 1], [0, 1], [[3, 4], [5, 30]], {
    ...options,
    value: { title: "Loss", scale: "log" },
  });
  assert.deepEqual(near.data[0]?.colorbar?.ticktext, ["5", "10", "20"]);
});

Deno.test("contourPlot takes the same levels for the same range, whatever the numbers", () => {
  const ranged = (scale: "linear" | "log", z: number[][]) =>
    contourPlot([0, 1], [0, 1], z, {
      ...options,
      value: { title: "Loss", scale, range: [1, 100] },
    }).data[0];
  assert.deepEqual(ranged("linear", [[1, 2], [3, 400]])?.contours, {
    start: 1,
    end: 100,
    size: 99 / 20,
  });
  assert.deepEqual(ranged("log", [[1, 2], [3, 4]])?.contours, { start: 0, end: 2, size: 0.1 });
  assert.equal(ranged("log", [[1, 2], [3, 4]])?.autocontour, false);
});

Deno.test("contourPlot refuses values that it cannot draw", () => {
  const z = [[1, 2], [3, 4]];
  const log = { ...options, value: { title: "Loss", scale: "log" } } as const;
  const cases: [() => unknown, string][] = [
    [() => contourPlot([], [0], [], options), "x must have at least one number, found none."],
    [() => contourPlot([1, 0], [0, 1], z, options), "x must ascend, found 0 after 1."],
    [() => contourPlot([0, 1], [2, 2], z, options), "y must ascend, found 2 after 2."],
    [
      () => contourPlot([0, 1, 2], [0, 1], z, options),
      "a row of z and x must have the same length, found 2 and 3.",
    ],
    [
      () => contourPlot([0, 1], [0], z, options),
      "a column of z and y must have the same length, found 2 and 1.",
    ],
    [
      () => contourPlot([0, 1], [0, 1], [[1, 2], [NaN, 1]], options),
      "row 1 of z must be finite numbers, found NaN at index 0.",
    ],
    [
      () => contourPlot([0, 1], [0, 1], [[1, 2], [0, 1]], log),
      "z must be positive numbers for a logarithmic scale, found 0.",
    ],
    [
      () => contourPlot([0, 1], [0, 1], z, { ...options, path: { x: [1], y: [1, 2] } }),
      "path.x and path.y must have the same length, found 1 and 2.",
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a contour plot: ${message}` });
  }
});
