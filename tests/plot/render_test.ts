import assert from "node:assert/strict";
import { decode } from "fast-png";
import { imageGrid, lineChart } from "../../lib/plot/mod.ts";
import { Figure } from "../../lib/plot/figure.ts";
import { renderPng, renderSvg } from "../../lib/plot/render.ts";

/** Native libraries stay loaded and jsdom idles, yet nothing may keep a test from ending. */
const strict = { sanitizeOps: true, sanitizeResources: true, sanitizeExit: true };

const chart = (name: string, height = 420) =>
  lineChart([{ name, y: [3, 1, 2] }, { name: "other", y: [1, 2, 3] }], {
    title: `All about ${name}`,
    height,
    x: { title: "Step" },
    y: { title: "Loss", unit: "nats" },
  });

/** The pixels of a PNG file as `[row][column]` of "#rrggbb". */
function pixels(png: Uint8Array): string[][] {
  const { width, height, channels, data, palette } = decode(png);
  const color = (index: number) =>
    palette
      ? palette[data[index]!]!.slice(0, 3)
      : Array.from(data.slice(index * channels, index * channels + 3));
  return Array.from(
    { length: height },
    (_, row) =>
      Array.from(
        { length: width },
        (_, column) =>
          "#" + color(row * width + column).map((c) => c.toString(16).padStart(2, "0")).join(""),
      ),
  );
}

/** Counts the pixels of a part of a picture that are not white. */
function marks(rows: string[][], [left, top, right, bottom]: [number, number, number, number]) {
  return rows.slice(top, bottom).flatMap((row) => row.slice(left, right))
    .filter((color) => color !== "#ffffff").length;
}

Deno.test({ name: "renderSvg draws the text and the lines of a figure", ...strict }, async () => {
  const svg = await renderSvg(chart("momentum"));
  assert.match(svg, /^<svg [^>]*width="700" height="420"/);
  for (const words of ["All about momentum", "momentum", "other", "Step", "Loss (nats)"]) {
    assert.ok(svg.includes(`>${words}</text>`), words);
  }
  assert.equal(svg.match(/class="trace scatter/g)?.length, 2);
});

Deno.test({ name: "renderSvg draws several figures at the same time", ...strict }, async () => {
  const names = ["a1", "b2", "c3", "d4"];
  const drawings = await Promise.all(names.flatMap((name) => [
    renderSvg(chart(name)),
    renderPng(chart(name)),
  ]));
  for (const [index, name] of names.entries()) {
    const svg = drawings[2 * index];
    assert.ok(typeof svg === "string" && svg.includes(`>All about ${name}</text>`));
    for (const other of names) assert.equal(svg.includes(`about ${other}<`), other === name);
    assert.deepEqual(drawings[2 * index + 1], await renderPng(chart(name)));
  }
});

Deno.test({ name: "renderSvg draws after a failed drawing", ...strict }, async () => {
  const broken = {
    data: [],
    layout: {
      get xaxis(): undefined {
        throw new RangeError("no axis");
      },
    },
  };
  const failing = renderSvg(broken);
  const following = renderSvg(chart("next"));
  await assert.rejects(failing, { message: "no axis" });
  assert.ok((await following).includes("All about next"));
});

Deno.test(
  { name: "renderPng draws text in the size of the layout, times the scale", ...strict },
  async () => {
    const rows = pixels(await renderPng(chart("text", 300)));
    assert.deepEqual([rows[0]!.length, rows.length], [700, 300]);
    assert.ok(marks(rows, [10, 10, 200, 30]) > 150, "the title");
    assert.ok(marks(rows, [0, 50, 20, 280]) > 60, "the title of the vertical axis");
    assert.ok(rows.flat().includes("#0072b2"), "the first line");
    assert.equal(marks(rows, [0, 0, 700, 2]), 0, "the margin");
    const double = pixels(await renderPng(chart("text", 300), { scale: 2 }));
    assert.deepEqual([double[0]!.length, double.length], [1400, 600]);
    assert.ok(marks(double, [20, 20, 400, 60]) > 2 * marks(rows, [10, 10, 200, 30]), "the title");
    for (const scale of [0, -1, 9, NaN]) {
      await assert.rejects(renderPng(chart("text", 300), { scale }), {
        name: "RangeError",
        message: /^Drawing a picture: scale must be a number above 0 and at most 8, found /,
      });
    }
  },
);

Deno.test(
  { name: "renderSvg measures wide letters wider than narrow ones", ...strict },
  async () => {
    // The legend's second name starts after the first, so its place tells the first one's width.
    const placeOf = async (name: string) => {
      const svg = await renderSvg(chart(name));
      const places = [...svg.matchAll(/class="traces"[^>]*translate\(([\d.]+),/g)];
      return Number(places[1]![1]);
    };
    const narrow = await placeOf("iiiiiiiiii"), wide = await placeOf("mmmmmmmmmm");
    // DejaVu Sans at 12 pixels: an i is 3.33 wide, an m 11.69; entries are as wide as the widest,
    // and "other" is 33.
    assert.ok(Math.abs(wide - narrow - 10 * (11.69 - 3.33)) < 4, `${wide - narrow}`);
  },
);

Deno.test({ name: "renderPng draws an image in crisp pixels, upright", ...strict }, async () => {
  // One image of 2×3 pixels: black, white, red over green, blue, gray.
  const values = [0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255, 128, 128, 128];
  const figure = imageGrid(Uint8Array.from(values), [1, 2, 3, 3]);
  const rows = pixels(await renderPng(figure));
  // 280 pixels for 3 give 93 each, from the margin of 16.
  const at = (row: number, column: number, offset: number) =>
    rows[16 + row * 93 + offset]![16 + column * 93 + offset];
  for (const offset of [1, 46, 91]) {
    assert.deepEqual([0, 1, 2].map((column) => at(0, column, offset)), [
      "#000000",
      "#ffffff",
      "#ff0000",
    ]);
    assert.deepEqual([0, 1, 2].map((column) => at(1, column, offset)), [
      "#00ff00",
      "#0000ff",
      "#808080",
    ]);
  }

  const turned = new Figure(
    figure.data,
    { ...figure.layout, yaxis: { ...figure.layout.yaxis, range: [-0.5, 1.5] } },
    "the same image on an axis that points up",
  );
  assert.equal(pixels(await renderPng(turned))[16 + 46]![16 + 46], "#00ff00");
});

Deno.test({ name: "renderPng draws colour scales and annotation arrows", ...strict }, async () => {
  const figure = new Figure(
    [{
      type: "heatmap",
      z: [[0, 1], [2, 3]],
      colorscale: [[0, "#000000"], [1, "#ff0000"]],
      colorbar: { thickness: 20 },
    }],
    { margin: { r: 120 }, annotations: [{ x: 0, y: 0, ax: 60, ay: -60, text: "here" }] },
    "",
  );
  const svg = await renderSvg(figure);
  assert.ok(svg.includes("annotation-arrow"), "an arrow, for which the length of paths is needed");
  const scale = pixels(await renderPng(figure)).flatMap((row) => row.slice(580));
  for (const red of ["20", "80", "e0"]) {
    // The palette may move a colour by 6 of 255.
    const near = scale.some((color) =>
      color.endsWith("0000") && Math.abs(parseInt(color.slice(1, 3), 16) - parseInt(red, 16)) <= 6
    );
    assert.ok(near, `the scale passes #${red}0000`);
  }
});

Deno.test("Figure.toPng() says how to save a picture where it is given a file name", async () => {
  const figure = new Figure([{ type: "scatter", y: [1] }], {}, "One point.");
  await assert.rejects(figure.toPng("x.png" as never), {
    name: "TypeError",
    message:
      'Drawing a picture: the options must be an object such as { scale: 2 }, found "x.png". ' +
      'To save the picture: await Deno.writeFile("x.png", await figure.toPng())',
  });
});
