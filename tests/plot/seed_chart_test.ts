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

Deno.test("seedChart() draws fractions as per cent, and their differences in points", () => {
  const row = { name: "LeNet", values: [0.88, 0.89, 0.9], mean: 0.89, halfWidth: 0.0248 };
  const range = [0.5, 1] as const;
  const accuracy = seedChart([row], { x: { title: "Accuracy", percent: true, range } });
  assert.equal(accuracy.description, "Accuracy (%): LeNet 89.0 ± 2.5 (3 seeds).");
  const [dots, mean] = accuracy.data;
  assert.deepEqual([dots?.x, mean?.x], [[88, 89, 90], [89]]);
  assert.deepEqual(accuracy.layout.xaxis?.range, [50, 100]);
  const gain = seedChart([row], { x: { title: "Gain", unit: "points", percent: true } });
  assert.equal(gain.layout.xaxis?.title?.text, "Gain (points)");
  const options = { x: { title: "Accuracy", percent: 100 as unknown as boolean } };
  assert.throws(() => seedChart([row], options), /percent of axis x must be/);
});

Deno.test("seedChart() gives rows of one idea one colour", () => {
  const rows = [plain, residual, plain];
  const colorsOf = (colors?: number[]) =>
    seedChart(rows, { x, colors }).data.map(({ marker }) => marker?.color);
  const [blue, vermilion, green] = ["#0072b2", "#d55e00", "#009e73"];
  assert.deepEqual(colorsOf(), [blue, blue, vermilion, vermilion, green, green]);
  assert.deepEqual(colorsOf([1, 0, 1]), [vermilion, vermilion, blue, blue, vermilion, vermilion]);
  assert.throws(() => colorsOf([0, 1]), /colors/);
  assert.throws(() => colorsOf([0, 1, 7]), /colors\[2\] must be a whole number from 0 to 6/);
});

Deno.test("seedChart() is 560 pixels wide if no width is given", () => {
  assert.equal(seedChart([plain], { x }).layout.width, 560);
  assert.equal(seedChart([plain], { x, width: 700 }).layout.width, 700);
});
