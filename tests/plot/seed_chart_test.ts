import assert from "node:assert/strict";
import { seedChart } from "resnet-lab";
import { renderSvg } from "../../lib/plot/render.ts";

const x = { title: "Accuracy", unit: "%" };
const plain = { name: "plain", values: [88, 89, 90], mean: 89, halfWidth: 2.484 };
const residual = {
  name: "residual",
  values: Float32Array.of(90, 91, 95),
  mean: 92,
  halfWidth: 6.57,
};

Deno.test("seedChart() draws a dot for each seed, and the mean with its interval", () => {
  const { data, layout, description } = seedChart([plain, residual], { x, title: "Runs" });
  assert.equal(data.length, 4);
  const [dots, mean, otherDots, otherMean] = data;
  assert.deepEqual([dots?.x, otherDots?.x], [[88, 89, 90], [90, 91, 95]]);
  assert.deepEqual([mean?.x, otherMean?.x], [[89], [92]]);
  assert.deepEqual(mean?.error_x?.type === "data" && mean.error_x.array, [2.484]);
  assert.deepEqual(layout.annotations?.map(({ text }) => text), [
    "<b>plain</b>  89.0 ± 2.5",
    "<b>residual</b>  92.0 ± 6.6",
  ]);
  assert.equal(
    description,
    "Accuracy (%): plain 89.0 ± 2.5 (3 seeds); residual 92.0 ± 6.6 (3 seeds).",
  );
});

Deno.test("seedChart() gives a seed the same height in each row, and rows their own", () => {
  const { data, layout } = seedChart([plain, residual], { x });
  const [first, mean, second] = data.map(({ y }) => y as number[]);
  const distance = first![0]! - second![0]!;
  assert.equal(new Set(first).size, 3, "dots of a row do not cover each other");
  assert.deepEqual(
    first!.map((y, i) => Math.round(y - second![i]!)),
    first!.map(() => Math.round(distance)),
  );
  assert(distance > 60 && Math.min(...first!) > mean![0]! && mean![0]! > Math.max(...second!));
  const [bottom, top] = layout.yaxis!.range as [number, number];
  assert(top === 0 && bottom < Math.min(...data.flatMap(({ y }) => y as number[])));
  assert(layout.height! > top - bottom);
});

Deno.test("seedChart() breaks long names so that they fit a phone, with the numbers below", () => {
  const name = "residual network of 56 layers with warm-up − plain network of 20 layers";
  const { layout } = seedChart([{ ...plain, name }, residual], { x });
  const [long, short] = layout.annotations!.map(({ text }) => text!.split("<br>"));
  assert.deepEqual([long!.length, short!.length], [3, 2]);
  for (const line of long!) assert(line.replace(/<\/?b>/g, "").length <= 44, line);
  assert.equal(long!.at(-1), "89.0 ± 2.5");
});

Deno.test("seedChart() writes as many digits as the interval has meaning", () => {
  const texts = (mean: number, halfWidth: number) =>
    seedChart([{ name: "a", values: [mean], mean, halfWidth }], { x }).layout.annotations![0]!.text;
  assert.equal(texts(0.91234, 0.00456), "<b>a</b>  0.9123 ± 0.0046");
  assert.equal(texts(12345.6, 789.1), "<b>a</b>  12346 ± 789");
  assert.equal(texts(3, 0), "<b>a</b>  3 ± 0");
  assert.equal(texts(1e12, 1e10), "<b>a</b>  1,000,000,000,000 ± 10,000,000,000");
});

Deno.test("seedChart() marks zero, and escapes markup in names", async () => {
  const difference = { name: "<i>a", values: [-1, 2], mean: 0.5, halfWidth: 19 };
  const figure = seedChart([difference], { x });
  assert.equal(figure.layout.xaxis?.zeroline, true);
  assert.match(figure.layout.annotations![0]!.text!, /^<b>&lt;i&gt;a<\/b>/);
  assert.match(await renderSvg(figure), /class="xzl zl/);
});

Deno.test("seedChart() refuses numbers that it cannot draw", () => {
  const cases: [unknown, string, RegExp][] = [
    [[], "RangeError", /groups must have at least one element, found none/],
    [5, "TypeError", /groups must be an array, found 5/],
    [[5], "TypeError", /groups\[0\] must be an object such as .*, found 5/],
    [[{ ...plain, name: 5 }], "TypeError", /the name of groups\[0\] must be a string, found 5/],
    [[{ ...plain, values: [] }], "RangeError", /the values of "plain" must have at least one/],
    [
      [{ ...plain, values: [1, NaN] }],
      "RangeError",
      /the values of "plain" must be finite numbers/,
    ],
    [[{ ...plain, mean: NaN }], "RangeError", /the mean of "plain" must be finite numbers/],
    [[{ ...plain, mean: undefined }], "TypeError", /the mean of "plain" must be numbers/],
    [[{ ...plain, halfWidth: -1 }], "RangeError", /the half width of "plain" must be at least 0/],
    [[{ ...plain, halfWidth: Infinity }], "RangeError", /the half width of "plain" must be/],
  ];
  for (const [groups, name, message] of cases) {
    assert.throws(() => seedChart(groups as never, { x }), { name, message });
  }
  assert.throws(() => seedChart([{ ...plain, halfWidth: 90 }], { x: { ...x, scale: "log" } }), {
    name: "RangeError",
    message: /the interval of "plain" must be positive for a logarithmic axis/,
  });
});
