import assert from "node:assert/strict";
import {
  barChart,
  confusionMatrixPlot,
  contourPlot,
  heatmap,
  histogram,
  lineChart,
  scatterChart,
} from "../../lib/plot/mod.ts";
import { Figure } from "../../lib/plot/figure.ts";
import { renderSvg } from "../../lib/plot/render.ts";
import { markers, numberIn, read, ticks } from "./_helpers.ts";

const x = { title: "Step" }, y = { title: "Loss" }, value = { title: "Weight" };

/**
 * Values whose axes must be readable: of every size, around zero, and close together far from it.
 */
const data: [string, number[]][] = [
  ...[-300, -40, -9, -8, -7, -6, -5, 0, 5, 9, 15, 20, 21, 22, 99, 299].flatMap(
    (power): [string, number[]][] => [
      [`from 0 to 1e${power}`, [0, Number(`1e${power}`)]],
      [`around 5e${power}`, [3, 5.2, 7].map((digit) => Number(`${digit}e${power}`))],
      [`-1e${power} to 1e${power}`, [Number(`-1e${power}`), Number(`1e${power}`)]],
    ],
  ),
  ["1e9 and one more", [1e9, 1e9 + 0.25, 1e9 + 1]],
  ["-1e9 and one less", [-1e9, -1e9 - 1]],
  ["1 and 1e-11 more", [1, 1 + 1e-11]],
  ["1e20 and 1e14 more", [1e20, 1e20 + 1e14]],
  ["1e-20 and 1e-27 more", [1e-20, 1.0000001e-20]],
  ["neighbours", [1, 1 + 2 ** -52]],
  ["equal large ones", [1e20, 1e20]],
  ["equal small ones", [1e-8, 1e-8]],
  ["equal ones of five digits and more", [123456.789, 123456.789]],
  ["denormal ones", [0, 1e-310]],
];

for (const [name, numbers] of data) {
  for (const scale of ["linear", "log"] as const) {
    if (scale === "log" && numbers.some((number) => number <= 0)) continue;
    Deno.test(`a ${scale} axis of lineChart labels right numbers ${name}`, async () => {
      const axis = { title: "Axis", scale };
      const svg = await renderSvg(
        lineChart([{ name: "a", x: numbers, y: numbers, mode: "markers" }], { x: axis, y: axis }),
      );
      const points = markers(svg);
      assert.equal(points.length, numbers.length);
      for (const side of ["x", "y"] as const) {
        // The small digits between powers of ten are no numbers.
        const all = ticks(svg, side);
        const found = scale === "log" && all.some(({ label }) => label.startsWith("10"))
          ? all.filter(({ label }) => !/^\d$/.test(label) || label === "1")
          : all;
        const labels = found.map(({ label }) => label);
        if (scale === "log" && found.length < 2) continue;
        assert(found.length >= 2 && new Set(labels).size === labels.length, labels.join(" | "));
        const pixel = Math.abs(
          read(found, points[0]![side], scale) - read(found, points[0]![side] + 1, scale),
        );
        numbers.forEach((number, index) => {
          const seen = read(found, points[index]![side], scale);
          const off = Math.abs(seen - number);
          const rounding = 1e-13 * Math.abs(number) + (scale === "log" ? 0.02 * number : 0);
          assert(off <= 1.5 * pixel + rounding + 1e-300, `${number} reads ${seen}: ${labels}`);
        });
        for (const { at, label, value } of found) {
          const off = Math.abs(read(found, at, scale) - value);
          assert(off <= 1.5 * pixel + 1e-13 * Math.abs(value) + 1e-300, `${label} of ${labels}`);
        }
      }
    });
  }
}

Deno.test("lineChart names the ticks from 0 to 1e-8", async () => {
  const svg = await renderSvg(lineChart([{ name: "a", y: [0, 1e-8] }], { x, y }));
  assert.deepEqual(
    ticks(svg, "y").map(({ label }) => label),
    ["0", "2e−9", "4e−9", "6e−9", "8e−9", "1e−8"],
  );
});

Deno.test("lineChart labels as many powers of ten as fit along an axis", async () => {
  for (const [width, height] of [[700, 420], [300, 240]] as const) {
    for (const power of [1, 3, 11, 20, 150, 300]) {
      const ends = [Number(`1e-${power}`), Number(`1e${power}`)];
      const axis = { title: "Axis", scale: "log" } as const;
      const svg = await renderSvg(
        lineChart([{ name: "a", x: ends, y: ends }], { x: axis, y: axis, width, height }),
      );
      for (const [side, least] of [["x", 40], ["y", 14]] as const) {
        const places = ticks(svg, side).map(({ at }) => at).sort((a, b) => a - b);
        assert(places.length >= 2, `${side} of ${power} has ${places.length} ticks`);
        const gaps = places.slice(1).map((place, index) => place - places[index]!);
        assert(Math.min(...gaps) >= least, `${side} of ${power}: ${gaps}`);
      }
    }
  }
});

Deno.test("lineChart labels a logarithmic axis below three decades at 1, 2 and 5", async () => {
  const labels = async (ends: number[]) => {
    const y = { title: "Loss", scale: "log" } as const;
    const svg = await renderSvg(lineChart([{ name: "a", y: ends }], { x, y }));
    return ticks(svg, "y").map(({ label }) => label);
  };
  assert.deepEqual(await labels([0.49, 0.016]), ["0.02", "0.05", "0.1", "0.2", "0.5"]);
  assert.deepEqual(await labels([60_000, 9000]), ["10,000", "20,000", "50,000"]);
});

Deno.test("all charts set formats for ticks and for the hover text", () => {
  const figures = [
    lineChart([{ name: "a", y: [1] }], { x, y }),
    scatterChart([{ name: "a", x: [1], y: [1] }], { x, y }),
    histogram([1, 2], { x }),
    contourPlot([0, 1], [0, 1], [[1, 2], [3, 4]], { x, y, value }),
    heatmap([[1]], { x, y, value }),
  ];
  for (const { layout, data } of figures) {
    assert.equal(layout.xaxis?.hoverformat, ",.15~g");
    assert.equal(layout.yaxis?.hoverformat, ",.15~g");
    if (data[0]?.z) assert.equal(data[0].zhoverformat, ",.15~g");
  }
});

Deno.test("Figure labels ticks with the right numbers", async () => {
  for (const top of [1e-12, 1e-8, 1e-6, 1, 1e6, 1e21, 1e25]) {
    const svg = await renderSvg(
      new Figure([{ type: "scatter", mode: "markers", x: [0, 1], y: [0, top] }], {}, ""),
    );
    const found = ticks(svg, "y"), points = markers(svg);
    const labels = found.map(({ label }) => label).join(" | ");
    assert(Math.abs(read(found, points[1]!.y, "linear") - top) < 0.01 * top, labels);
    for (const { at, value } of found) {
      assert(Math.abs(read(found, at, "linear") - value) < 0.01 * top, labels);
    }
  }
});

Deno.test("heatmap and contourPlot label their colour scale with the right numbers", async () => {
  for (
    const [low, high] of [
      [0, 1e-8],
      [0, 1e-20],
      [0, 3000],
      [-1e6, 2e6],
      [1e9, 1e9 + 1],
      [0, 1e21],
      [0, 1e299],
    ] as const
  ) {
    for (
      const figure of [
        heatmap([[low, high]], { x, y, value: { ...value, range: [low, high] } }),
        contourPlot([0, 1], [0, 1], [[low, high], [low, high]], {
          x,
          y,
          value: { ...value, range: [low, high] },
        }),
      ]
    ) {
      const svg = await renderSvg(figure);
      const found = Array.from(
        svg.matchAll(/<g class="ycb\w+tick"><text([^>]*)>(.*?)<\/text><\/g>/g),
        ([, attributes = "", markup = ""]) => {
          const label = markup.replace(/<tspan[^>]*dy="-[^>]*>(.*?)<\/tspan>/g, "^$1")
            .replace(/<[^>]*>/g, "");
          return {
            at: Number(attributes.match(/translate\([-\d.e]+,([-\d.e]+)\)/)![1]),
            label,
            value: numberIn(label),
          };
        },
      );
      const labels = found.map(({ label }) => label);
      assert(found.length >= 2 && new Set(labels).size === labels.length, labels.join(" | "));
      for (const { at, label, value } of found) {
        const tolerance = 0.01 * (high - low);
        assert(value >= low - tolerance && value <= high + tolerance, `${label} of ${labels}`);
        assert(Math.abs(read(found, at, "linear") - value) <= tolerance, `${label} of ${labels}`);
      }
    }
  }
});

Deno.test("barChart writes right numbers of any size on bars and in its description", async () => {
  const cases: [number, string][] = [
    [999_999, "1M"],
    [1e-8, "1e−8"],
    [-1e-8, "−1e−8"],
    [1.5e12, "1.5e12"],
    [1e300, "1e300"],
    [-2e21, "−2e21"],
    [0, "0"],
    [-0, "0"],
  ];
  for (const [number, text] of cases) {
    const figure = barChart(["a"], [number], { x, y });
    assert.deepEqual(figure.data[0]?.text, [text]);
    assert((await renderSvg(figure)).includes(`>${text}</text>`));
  }
  assert.equal(
    barChart(["a", "b", "c"], [1e300, -0, 1e-310], { x, y }).description,
    "Loss by step: a 1.00e300; b 0; c 1.00e−310.",
  );
});

Deno.test("Figure keeps close numbers of different rows and traces distinct", () => {
  const rows = [[1000.012, 1000.012], [1000.023, 1000.023]];
  assert.deepEqual(heatmap(rows, { x, y, value }).data[0]?.z, rows);
  const lines = lineChart(rows.map((y) => ({ name: "a", y })), { x, y });
  assert.deepEqual(lines.data.map(({ y }) => y), rows);
  const points = scatterChart(
    rows.map(([y]) => ({ name: "a", x: [1], y: [y!] })),
    { x, y },
  );
  assert.deepEqual(points.data.map(({ y }) => y), [[1000.012], [1000.023]]);
});

/** Names that plotly.js would merge, turn into numbers or dates, or read as markup. */
const hostile = [
  "a",
  "b",
  "a",
  "",
  "",
  "1",
  "01",
  "1",
  "2024-01-01",
  "constructor",
  "__proto__",
  "<b>bold</b>",
  "AT&T",
  "a &lt; b",
  "ü 漢字 🦊",
  "two\nlines",
];

Deno.test("barChart draws a bar for each category, whatever its name", async () => {
  const figure = barChart(hostile, hostile.map((_, index) => index + 1), { x, y, width: 1600 });
  const svg = await renderSvg(figure);
  const bars = [...svg.matchAll(/<g class="point"><path [^>]*d="M([\d.]+),([\d.]+)V([\d.]+)/g)];
  const heights = bars.map(([, , from, to]) => Number(from) - Number(to));
  assert.equal(bars.length, hostile.length);
  heights.forEach((height, index) => {
    assert(Math.abs(height / heights[0]! - (index + 1)) < 0.05, `bar ${index} is ${height} high`);
  });
  const drawn = svg.matchAll(/<g class="xtick"><text[^>]*>(.*?)<\/text><\/g>/g);
  assert.deepEqual(
    Array.from(drawn, ([, text]) => text).filter((text) => text !== ""),
    hostile.filter((name) => name !== "").map((name) =>
      name.replaceAll("&", "&amp;").replaceAll("<", "&#60;").replaceAll(">", "&#62;")
        .replace("\n", " ")
    ),
  );
});

Deno.test("heatmap and confusionMatrixPlot draw each row and column, whatever its name", async () => {
  const count = hostile.length;
  const counts = hostile.map((_, row) => hostile.map((_, column) => row * count + column));
  const figures = [
    heatmap(counts, { x, y, value, columnNames: hostile, rowNames: hostile, numbers: true }),
    confusionMatrixPlot(counts, hostile),
  ];
  for (const figure of figures) {
    const svg = await renderSvg(
      new Figure(figure.data, { ...figure.layout, width: 1600, height: 900 }, ""),
    );
    const written = [...svg.matchAll(/<g class="heatmap-label"[^>]*><text[^>]*>(.*?)<\/text>/g)];
    assert.equal(written.length, count ** 2);
    for (const side of ["x", "y"] as const) {
      assert.equal(ticks(svg, side).length, hostile.filter((name) => name !== "").length);
    }
  }
});

Deno.test("lineChart and scatterChart draw series and groups of equal names separately", async () => {
  const line = lineChart([{ name: "a", y: [1, 2] }, { name: "a", y: [2, 1] }], { x, y });
  assert.equal((await renderSvg(line)).match(/class="trace scatter/g)?.length, 2);
  assert.equal((await renderSvg(line)).match(/class="traces"/g)?.length, 2);
  const banded = lineChart([
    { name: "a", y: [1, 2], band: { low: [0, 1], high: [2, 3] } },
    { name: "a", y: [2, 1] },
  ], { x, y });
  assert.notEqual(banded.data[1]?.legendgroup, banded.data[2]?.legendgroup);
  const points = [{ name: "<i>", x: [1, 2], y: [1, 2] }, { name: "<i>", x: [3, 4], y: [1, 2] }];
  const cloud = await renderSvg(scatterChart(points, { x, y }));
  assert.equal(cloud.match(/>&#60;i&#62;<\/text>/g)?.length, 2);
});

Deno.test("charts truncate long names and keep a wide plot", async () => {
  const long = "a very long name ".repeat(20);
  const figures = [
    lineChart([{ name: long, y: [1, 2] }, { name: "b", y: [1, 2] }], { x, y }),
    barChart([long, "b"], [1, 2], { x, y }),
    confusionMatrixPlot([[1, 2], [3, 4]], [long, `${long}2`]),
  ];
  for (const figure of figures) {
    const svg = await renderSvg(figure);
    assert(svg.includes("…") && !svg.includes(long));
    // The plot keeps a good part of the figure.
    const [, width] = svg.match(/<clipPath[^>]*class="plotclip"><rect width="([\d.]+)"/)!;
    assert(Number(width) > 150, `${width} pixels are left`);
  }
});

Deno.test("lineChart breaks a long title into lines", async () => {
  const title = "A title that says much more than what has room above a narrow figure in one line";
  const figure = lineChart([{ name: "a", y: [1, 2] }], { x, y, title, width: 320 });
  const lines = figure.layout.title!.text!.split("<br>");
  assert.equal(lines.join(" "), title);
  assert(lines.length >= 3 && lines.every((line) => line.length <= 34), lines.join(" | "));
  const svg = await renderSvg(figure);
  for (const line of lines) assert(svg.includes(`>${line}</tspan>`), line);
  // SVG: y is the baseline of the first line, whose letters of 15 pixels rise by about 11.
  const [, baseline] = /class="gtitle"[^>]* y="([\d.]+)"/.exec(svg)!;
  assert(Number(baseline) >= 22 && Number(baseline) <= 30, `baseline ${baseline}`);
  assert.equal(
    lineChart([{ name: "a", y: [1] }], { x, y, title: "Short" }).layout.title?.text,
    "Short",
  );
});
