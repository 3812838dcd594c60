import assert from "node:assert/strict";
import { meanAndInterval, table } from "resnet-lab";

/** The forms of an output as a notebook stores them. */
function bundleOf(shown: object): Record<string, string> {
  return Reflect.get(shown, Symbol.for("Jupyter.display")).call(shown);
}

/** The texts of the cells of a table, row by row. */
function cellsOf(html: string): string[][] {
  return Array.from(
    html.matchAll(/<tr>(.*?)<\/tr>/g),
    ([, row]) => Array.from(row!.matchAll(/<t[hd] [^>]*>(.*?)<\/t[hd]>/g), ([, cell]) => cell!),
  );
}

Deno.test("table() gives the numbers of a column equally many decimals", () => {
  const rows = [{ loss: 0.123456, steps: 9 }, { loss: 1.5, steps: 10_000 }, { loss: 0.03 }];
  assert.deepEqual(String(table(rows)).split("\n"), [
    " loss   steps",
    "─────────────",
    "0.123       9",
    "1.500  10,000",
    "0.030",
  ]);
  assert.match(String(table(rows, { digits: 2 })), /^ 0\.1 +9\n 1\.5 /m);
  assert.match(String(table([{ sum: 0.1 + 0.2 }], { digits: 17 })), /^0\.30000000000000004$/m);
});

Deno.test("table() keeps the digits of numbers of very different sizes", () => {
  const rows = [0.0003, 0.1, 30, 1.23456e-7, 0, Infinity, NaN].map((rate) => ({ rate }));
  assert.deepEqual(String(table(rows)).split("\n").slice(2).map((line) => line.trim()), [
    "0.0003",
    "0.1",
    "30",
    "1.23e−7",
    "0",
    "Infinity",
    "NaN",
  ]);
});

Deno.test("table() groups the digits of large whole numbers, and not of years", () => {
  const lines = String(
    table([{ year: 1998, parameters: 61_706 }, { year: 2015, parameters: 850 }]),
  );
  assert.match(lines, /1998 +61,706\n2015 +850$/);
});

Deno.test("table() aligns numbers to the right and text to the left", () => {
  const shown = table({
    LeNet: { accuracy: "9.5 %", interval: "± 0.3", note: "2 runs, small" },
    VGG: { accuracy: "90.1 %", interval: "± 10.2", note: true },
  });
  assert.equal(
    String(shown),
    [
      "       accuracy  interval  note",
      "─────────────────────────────────────",
      "LeNet     9.5 %     ± 0.3  2 runs, small",
      "VGG      90.1 %    ± 10.2  true",
    ].join("\n").replace(/─+/, "─".repeat(40)),
  );
  const { "text/html": html } = bundleOf(shown);
  const sides = Array.from(html!.matchAll(/<th style="text-align: (\w+)/g), ([, side]) => side);
  assert.deepEqual(sides, ["left", "right", "right", "left"]);
});

Deno.test("table() shows HTML without quotes and without an index, and scrolls when narrow", () => {
  const { "text/html": html, "text/plain": text } = bundleOf(
    table([{ a: "x < y & z", b: 1 }, { b: 2.25, c: null }], { title: 'A "title"' }),
  );
  assert.deepEqual(cellsOf(html!), [["a", "b", "c"], ["x &lt; y &amp; z", "1.00", ""], [
    "",
    "2.25",
    "",
  ]]);
  assert.match(html!, /^<div style="overflow-x: auto/);
  assert.match(html!, /<caption[^>]*>A &quot;title&quot;<\/caption>/);
  assert.match(html!, /var\(--jp-border-color1, #999\)/);
  assert.match(text!, /^A "title"\n\na /);
});

Deno.test("table() shows the columns that are named, in their order", () => {
  const rows = [{ a: 1, b: 2, c: [3] }];
  assert.equal(String(table(rows, { columns: ["b", "a"] })), "b  a\n────\n2  1");
});

Deno.test("table() shows a mean with its interval", () => {
  // 89 ± 2.4841 is worked out in statistics_test.ts.
  const rows = [
    { net: "a", accuracy: meanAndInterval([0.88, 0.89, 0.9]), loss: meanAndInterval([88, 89, 90]) },
    { net: "b", accuracy: meanAndInterval([1, 1]), loss: 7 },
  ];
  assert.deepEqual(String(table(rows, { percent: ["accuracy"] })).split("\n"), [
    "net      accuracy        loss",
    "─────────────────────────────",
    "a    89.0 ± 2.5 %  89.0 ± 2.5",
    "b       100 ± 0 %           7",
  ]);
});

Deno.test("table() shows columns of fractions in percent", () => {
  const rows = [{ net: "a", accuracy: 0.90312, loss: 0.5 }, { net: "b", accuracy: 1 }, {
    net: "c",
  }];
  assert.deepEqual(String(table(rows, { percent: ["accuracy"] })).split("\n"), [
    "net  accuracy  loss",
    "───────────────────",
    "a      90.3 %   0.5",
    "b     100.0 %",
    "c",
  ]);
  assert.throws(() => table(rows, { percent: ["acc"] }), {
    name: "RangeError",
    message: 'Making a table: percent must be among "net", "accuracy", "loss", found "acc".',
  });
  assert.throws(() => table(rows, { percent: true as never }), /percent must be an array, found/);
});

Deno.test("table() refuses what is no table", () => {
  const cases: [() => unknown, RangeError | TypeError][] = [
    [() => table([]), new RangeError("rows must be at least one record, found none.")],
    [
      () => table([1] as never),
      new TypeError("row 0 must be a record such as { loss: 0.3 }, found 1."),
    ],
    [
      () => table({ LeNet: [1] } as never),
      new TypeError('row "LeNet" must be a record such as { loss: 0.3 }, found [1].'),
    ],
    [
      () => table(3 as never),
      new TypeError(
        'rows must be an array of records such as [{ network: "LeNet", loss: 0.3 }], found 3.',
      ),
    ],
    [
      () => table([{ a: [1, 2] }]),
      new TypeError("a of row 0 must be a number or a text, found [1, 2]."),
    ],
    [
      () => table([{ a: 1 }], { columns: ["b"] }),
      new RangeError('columns must be among "a", found "b".'),
    ],
    [
      () => table([{ a: 1 }], { digits: 18 }),
      new RangeError("digits must be a whole number from 1 to 17, found 18."),
    ],
  ];
  for (const [make, { name, message }] of cases) {
    assert.throws(make, { name, message: `Making a table: ${message}` });
  }
  assert.throws(() => table([{ a: 1 }], { colums: ["a"] } as never), /Did you mean columns\?/);
});

Deno.test("table() aligns a column of numbers to the right, also with a NaN among them", () => {
  const { "text/html": html } = bundleOf(table([{ loss: "NaN" }, { loss: "0.321" }]));
  assert.match(html!, /<th style="text-align: right/);
});
