import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { decode } from "fast-png";
import { barChart, lineChart, type Trace } from "../../lib/plot/mod.ts";
import { Figure } from "../../lib/plot/figure.ts";

/** Method that the Deno kernel calls on the last expression of a cell. */
async function display(figure: Figure): Promise<Record<string, unknown>> {
  return await Reflect.get(figure, Symbol.for("Jupyter.display")).call(figure);
}

Deno.test("Figure keeps five significant digits and makes typed arrays plain", () => {
  const trace: Trace = {
    type: "heatmap",
    x: Float32Array.of(0.1, 0.2),
    z: [[1 / 3, 2e-7 / 3], [123456.789, 1]],
    zmin: 0,
  };
  const figure = new Figure([trace], {}, "");
  assert.deepEqual(figure.data, [{
    type: "heatmap",
    x: [0.1, 0.2],
    z: [[0.33333, 6.6667e-8], [123460, 1]],
    zmin: 0,
  }]);
});

Deno.test("Figure keeps whole numbers whole and close numbers distinct", () => {
  const { data } = new Figure(
    [{ type: "scatter", x: [1_234_567, 1_234_568.5], y: [1000.012, 1000.023], text: ["a", "b"] }],
    {},
    "",
  );
  assert.deepEqual(data[0]?.x, [1_234_567, 1_234_568.5]);
  assert.deepEqual(data[0]?.y, [1000.012, 1000.023]);
  assert.deepEqual(data[0]?.text, ["a", "b"]);
});

Deno.test("Figure does not change its arguments", () => {
  const x = [1 / 3];
  const trace: Trace = { type: "scatter", x };
  new Figure([trace], {}, "");
  assert.deepEqual(trace, { type: "scatter", x: [1 / 3] });
});

Deno.test("Figure prefers its own layout to the default", () => {
  const { layout } = new Figure([], { width: 300, xaxis: { title: { text: "Step" } } }, "");
  assert.equal(layout.width, 300);
  assert.equal(layout.height, 420);
  assert.deepEqual(layout.xaxis, { title: { text: "Step" } });
  assert.equal(layout.template?.layout?.paper_bgcolor, "#ffffff");
});

Deno.test("Figure refuses traces and sizes that it cannot draw", () => {
  // @ts-expect-error: a trace type that needs WebGL
  const surface: Trace = { type: "surface", z: [[1]] };
  assert.throws(() => new Figure([surface], {}, ""), {
    name: "RangeError",
    message:
      /^Making a figure: the type of a trace must be one of bar, .* found "surface"\. .*contourPlot/,
  });
  assert.throws(() => new Figure([], { width: NaN }, ""), {
    name: "RangeError",
    message: "Making a figure: width must be above 0 and at most 20000 pixels, found NaN.",
  });
  assert.throws(() => new Figure([], { height: -1 }, ""), RangeError);
  assert.throws(() => new Figure([], { height: 1e6 }, ""), RangeError);
});

Deno.test("Figure displays itself in a cell in three forms", async () => {
  const figure = barChart(["cat", "dog"], Float32Array.of(3, 5), {
    x: { title: "Class" },
    y: { title: "Images" },
  });
  const bundle = await display(figure);
  assert.deepEqual(Object.keys(bundle), [
    "application/vnd.plotly.v1+json",
    "image/png",
    "text/plain",
  ]);
  const stored = JSON.parse(JSON.stringify(bundle["application/vnd.plotly.v1+json"]));
  assert.deepEqual(Object.keys(stored), ["data", "layout", "config"]);
  assert.deepEqual(stored.data[0].y, [3, 5]);
  assert.equal(bundle["text/plain"], "Images by class: cat 3; dog 5.");
  const png = bundle["image/png"];
  assert.ok(typeof png === "string");
  const { width, height } = decode(Buffer.from(png, "base64"));
  assert.deepEqual([width, height], [700, 420]);
  assert.ok(JSON.stringify(bundle).length < 30_000, "a small chart is small in the notebook");
});

Deno.test("console.log of a Figure shows its description", () => {
  const figure = new Figure([{ type: "scatter", y: [1] }], {}, "One point.");
  assert.equal(Deno.inspect(figure), "One point.");
});

Deno.test("Figure fills the width of the output, unless it was given one", async () => {
  const layoutOf = async (width?: number) => {
    const axes = { x: { title: "Step" }, y: { title: "Loss" } };
    const figure = lineChart([{ name: "a", y: [1, 2] }], { ...axes, width });
    const bundle = await display(figure);
    return JSON.parse(JSON.stringify(bundle["application/vnd.plotly.v1+json"]));
  };
  const { layout, config } = await layoutOf();
  assert.deepEqual([layout.width, layout.height, layout.autosize], [undefined, 420, true]);
  assert.deepEqual(config, { responsive: true });
  const { layout: narrow } = await layoutOf(360);
  assert.deepEqual([narrow.width, narrow.autosize], [360, undefined]);
});
