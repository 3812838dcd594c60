import assert from "node:assert/strict";
import { barChart } from "../../lib/plot/mod.ts";

const axes = { x: { title: "Class" }, y: { title: "Accuracy", unit: "%" } };

Deno.test("barChart draws one bar per category with its value on it", () => {
  const { data, layout, description } = barChart(["18", "34"], Float32Array.of(89.25, 91), axes);
  assert.equal(data.length, 1);
  const [bars] = data;
  assert.deepEqual([bars?.type, bars?.x, bars?.y], ["bar", ["18", "34"], [89.25, 91]]);
  assert.deepEqual(bars?.text, ["89.3", "91"]);
  assert.equal(layout.xaxis?.type, "category", "18 and 34 are names here");
  assert.equal(layout.yaxis?.title?.text, "Accuracy (%)");
  assert.equal(layout.showlegend, false);
  assert.equal(description, "Accuracy (%) by class: 18 89.25; 34 91.");
});

Deno.test("barChart sets named series side by side", () => {
  const { data, layout, description } = barChart(
    ["cat", "dog"],
    { MLP: [1, 2], CNN: [3, 4] },
    axes,
  );
  assert.deepEqual(data.map(({ name, y }) => [name, y]), [["MLP", [1, 2]], ["CNN", [3, 4]]]);
  assert.equal(layout.showlegend, true);
  assert.equal(description, "Accuracy (%) by class: MLP: cat 1, dog 2; CNN: cat 3, dog 4.");
});

Deno.test("barChart writes no values on more than 16 bars", () => {
  const categories = Array.from({ length: 17 }, String);
  const { data } = barChart(categories, new Float32Array(17), axes);
  assert.equal(data[0]?.text, undefined);
});

Deno.test("barChart lets bars begin at a baseline, with a line there", () => {
  const { data, layout, description } = barChart(["fast", "slow"], [4, 0.5], {
    x: { title: "Work" },
    y: { title: "Times as fast", scale: "log" },
    baseline: 1,
  });
  const [bars] = data;
  // plotly.js adds the height to the base.
  assert.deepEqual([Reflect.get(bars ?? {}, "base"), bars?.y, bars?.text], [1, [3, -0.5], [
    "4",
    "0.5",
  ]]);
  assert.deepEqual(layout.shapes?.map(({ y0, y1 }) => [y0, y1]), [[1, 1]]);
  assert.equal(description, "Times as fast by work: fast 4; slow 0.5.");
  assert.throws(
    () => barChart(["a"], [1], { ...axes, y: { title: "MACs", scale: "log" }, baseline: 0 }),
    /baseline must be positive for a logarithmic axis/,
  );
});

Deno.test("barChart refuses values that it cannot draw", () => {
  const log = { ...axes, y: { title: "MACs", scale: "log" } } as const;
  const cases: [() => unknown, string][] = [
    [() => barChart([], [], axes), "values must have at least one number, found none."],
    [() => barChart(["a"], {}, axes), "values must have at least one series, found none."],
    [
      () => barChart(["a", "b"], [1], axes),
      "values and categories must have the same length, found 1 and 2.",
    ],
    [
      () => barChart(["a", "b"], { s: [1, NaN] }, axes),
      'series "s" must be finite numbers, found NaN at index 1.',
    ],
    [
      () => barChart(["a"], [0], log),
      "values must be positive for a logarithmic axis, found 0 at index 0.",
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing a bar chart: ${message}` });
  }
});

Deno.test("barChart sets values upright on bars that are narrower than the values", () => {
  const angle = (count: number, width?: number) => {
    const names = Array.from({ length: count }, (_, i) => `${i}`);
    const values = names.map((_, i) => 0.561 + i / 1000);
    return barChart(names, values, { ...axes, width }).data[0]!.textangle;
  };
  assert.deepEqual([angle(2), angle(16), angle(16, 1000), angle(8, 300)], [0, -90, 0, -90]);
});

Deno.test("barChart takes the colours of its series from the palette", () => {
  const { data } = barChart(["cat"], { MLP: [1], CNN: [3] }, { ...axes, colors: [1, 0] });
  assert.deepEqual(data.map(({ marker }) => marker?.color), ["#d55e00", "#0072b2"]);
});

Deno.test("barChart has room for upright values above the bars", () => {
  const eight = Array.from({ length: 8 }, (_, i) => `class ${i}`);
  const heights = eight.map((_, i) => 12.5 + i);
  const top = (width: number) => {
    const { layout } = barChart(eight, { a: heights, b: heights }, { ...axes, width });
    return layout.yaxis?.range?.[1];
  };
  // 312 pixels of plot, of which a value of four letters takes 36.
  assert(top(500) > 1.1 * 19.5 && top(500) < 1.3 * 19.5, `the axis ends at ${top(500)}`);
  assert.equal(top(2000), undefined);
});
