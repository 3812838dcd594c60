import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { decode } from "fast-png";
import { featureMaps, type Figure, filterGrid, imageGrid } from "../../lib/plot/mod.ts";

/** The one picture of a figure, and its pixels as rows of [channel, ...]. */
function pictureOf({ data }: Figure): { rows: number[][][]; width: number; height: number } {
  const source = data[0]?.source ?? "";
  assert.match(source, /^data:image\/png;base64,/);
  const { width, height, channels, data: bytes } = decode(
    Buffer.from(source.slice(source.indexOf(",") + 1), "base64"),
  );
  const rows = Array.from(
    { length: height },
    (_, row) =>
      Array.from({ length: width }, (_, column) => {
        const at = (row * width + column) * channels;
        return Array.from(bytes.slice(at, at + channels));
      }),
  );
  return { rows, width, height };
}

Deno.test("imageGrid sets grey images side by side with white between", () => {
  const { rows, width, height } = pictureOf(imageGrid([0, 1, 0.5, 0.2, 1, 0, 0, 1], [2, 2, 2, 1]));
  assert.equal(height, 2);
  assert.deepEqual(rows[0]?.slice(0, 2), [[0], [255]]);
  assert.deepEqual(rows[1]?.slice(0, 2), [[128], [51]]);
  assert.deepEqual(rows[0]?.slice(-2), [[255], [0]]);
  assert.deepEqual(rows[1]?.slice(-2), [[0], [255]]);
  assert.deepEqual(rows[0]?.slice(2, -2), new Array(width - 4).fill([255]));
  assert.ok(width > 4);
});

Deno.test("imageGrid keeps colours, channels last", () => {
  const { rows } = pictureOf(imageGrid(Uint8Array.of(255, 0, 10, 1, 2, 3), [1, 1, 2, 3]));
  assert.deepEqual(rows, [[[255, 0, 10], [1, 2, 3]]]);
});

Deno.test("imageGrid stretches numbers beyond [0, 1], and says so", () => {
  const figure = imageGrid([-1, 0, 3], [1, 1, 3, 1]);
  assert.deepEqual(pictureOf(figure).rows, [[[0], [64], [255]]]);
  assert.equal(
    figure.description,
    "1 grey image of 1×3 pixels, black at −1 and white at 3.",
  );
  const chosen = imageGrid([-1, 0, 3], [1, 1, 3, 1], { range: [0, 1] });
  assert.deepEqual(pictureOf(chosen).rows, [[[0], [0], [255]]]);
  assert.deepEqual(pictureOf(imageGrid([5, 5], [1, 1, 2, 1])).rows, [[[0], [0]]]);
  const bytes = imageGrid(Uint8Array.of(0, 1, 254), [1, 1, 3, 1]);
  assert.deepEqual(pictureOf(bytes).rows, [[[0], [1], [254]]]);
  assert.equal(bytes.description, "1 grey image of 1×3 pixels.");
});

Deno.test("imageGrid puts each title over its image", () => {
  const titles = ["boot", "bag<br>taken for a boot", "shirt"];
  const { layout, description } = imageGrid(new Float32Array(3 * 784), [3, 28, 28, 1], {
    titles,
    columns: 2,
  });
  const [first, second, third] = layout.annotations ?? [];
  assert.deepEqual([first?.text, second?.text, third?.text], titles);
  assert.ok(Number(first?.x) < Number(second?.x) && first?.y === second?.y);
  assert.ok(first?.x === third?.x && Number(first?.y) < Number(third?.y));
  assert.equal(description, "3 grey images of 28×28 pixels: boot, bag taken for a boot, shirt.");
});

Deno.test("imageGrid cuts titles that are wider than their place", () => {
  const { layout } = imageGrid(new Float32Array(12), [12, 1, 1, 1], {
    titles: Array.from({ length: 12 }, () => "an ankle boot"),
    columns: 12,
  });
  assert.equal(layout.annotations?.[0]?.text, "an ank…");
});

Deno.test("imageGrid draws whole pixels: the plot area is a multiple of the picture", () => {
  for (const [count, side] of [[1, 28], [2, 28], [10, 28], [32, 28], [64, 32], [5, 224]] as const) {
    const figure = imageGrid(new Float32Array(count * side * side), [count, side, side, 1]);
    const { width, height } = pictureOf(figure);
    const { margin, width: figureWidth = 0, height: figureHeight = 0 } = figure.layout;
    const [, share = 0] = figure.layout.xaxis?.domain ?? [];
    const zoomX = share * (figureWidth - (margin?.l ?? 0) - (margin?.r ?? 0)) / width;
    const zoomY = (figureHeight - (margin?.t ?? 0) - (margin?.b ?? 0)) / height;
    assert.equal(zoomX, zoomY, `${count} of ${side}`);
    assert.ok(zoomX >= 0.5 && Number.isInteger(2 * zoomX), `${count} of ${side}: ${zoomX}`);
    assert.equal(figureWidth, 700);
  }
});

Deno.test("imageGrid averages down images that are larger than their place", () => {
  // A picture of 600×600 in a figure of 100: room for 100 - 2·16 - 6 = 62 pixels, 124 in the
  // static picture, so blocks of 5×5 become one pixel.
  const values = Float32Array.from({ length: 360_000 }, (_, i) => i % 5 < 2 ? 1 : 0);
  const { rows, width, height } = pictureOf(imageGrid(values, [1, 600, 600, 1], { width: 100 }));
  assert.deepEqual([width, height], [120, 120]);
  // Two of five columns are white: 0.4 · 255.
  assert.deepEqual(new Set(rows.flat(2)), new Set([102]));
});

Deno.test("imageGrid stores a grid for about the bytes of its images", () => {
  const noise = Uint8Array.from({ length: 32 * 784 }, (_, i) => (i * 7919) % 256);
  const figure = imageGrid(noise, [32, 28, 28, 1]);
  assert.ok(JSON.stringify([figure.data, figure.layout]).length < 2 * noise.length);
});

Deno.test("filterGrid draws one kernel per output channel, white at zero", () => {
  // [height 1, width 2, input 2, output 2]: input channel 1 holds 1, -2 and 0, 2.
  const kernels = [9, 9, 1, -2, 9, 9, 0, 2];
  const figure = filterGrid(kernels, [1, 2, 2, 2], { inputChannel: 1 });
  const { rows } = pictureOf(figure);
  const row = rows.at(-1) ?? [];
  // Filter 0 is [1, 0], filter 1 is [-2, 2], on the scale from -2 (blue) over 0 to 2 (red).
  assert.deepEqual(row.slice(-2), [[8, 64, 126], [154, 44, 0]]);
  const [half, zero] = row.filter(([r, g, b]) => !(r === 255 && g === 255 && b === 255));
  assert.deepEqual(zero?.map((c) => Math.abs(c - 244) <= 2), [true, true, true]);
  assert.ok(half && half[0]! > half[2]! + 50, `${half} is reddish`);
  assert.equal(
    figure.description,
    "2 kernels of 1×2 weights for input channel 1 of 2, from −2 to 2.",
  );
  assert.deepEqual(figure.layout.annotations?.map(({ text }) => text), ["0", "1"]);
  const scale = figure.data[1]?.marker;
  assert.deepEqual([scale?.cmin, scale?.cmax, scale?.showscale], [-2, 2, true]);
});

Deno.test("filterGrid draws kernels over three channels in colour, gray at zero", () => {
  const figure = filterGrid([4, 0, -4], [1, 1, 3, 1]);
  assert.deepEqual(pictureOf(figure).rows.at(-1), [[255, 128, 0]]);
  assert.equal(figure.data.length, 1, "no scale, for there are three");
  assert.equal(figure.description, "1 kernel of 1×1 weights in colour, from −4 to 4.");
  const one = filterGrid([4, 0, -4], [1, 1, 3, 1], { inputChannel: 2 });
  assert.deepEqual(pictureOf(one).rows.at(-1), [[8, 64, 126]]);
  assert.deepEqual(pictureOf(filterGrid([0, 0, 0], [1, 1, 3, 1])).rows.at(-1), [[128, 128, 128]]);
});

Deno.test("featureMaps draws one picture per channel on one scale", () => {
  // [height 1, width 2, channels 2]: channel 0 holds 0, 4 and channel 1 holds 8, 8.
  const figure = featureMaps([0, 8, 4, 8], [1, 2, 2]);
  const { rows } = pictureOf(figure);
  const row = rows.at(-1) ?? [];
  const [dark, middle] = row;
  assert.deepEqual(dark, [68, 1, 84]);
  assert.ok(middle && Math.abs(middle[0]! - 33) <= 2 && Math.abs(middle[1]! - 145) <= 2);
  assert.deepEqual(row.slice(-2), [[253, 231, 37], [253, 231, 37]]);
  assert.equal(figure.description, "2 feature maps of 1×2, from 0 to 8.");
  const scale = figure.data[1]?.marker;
  assert.deepEqual([scale?.cmin, scale?.cmax], [0, 8]);
  const ranged = featureMaps([0, 8, 4, 8], [1, 2, 2], { range: [8, 9] });
  assert.deepEqual(pictureOf(ranged).rows.at(-1)?.at(0), [68, 1, 84]);
});

Deno.test("imageGrid, filterGrid and featureMaps refuse values that they cannot draw", () => {
  const cases: [() => unknown, string][] = [
    [
      () => imageGrid([1, 2, 3], [1, 2, 2, 1]),
      "a grid of images: the values must be 4 numbers for the shape [count, height, width, channels] = " +
      "[1, 2, 2, 1], found 3.",
    ],
    [
      () => imageGrid([], [0, 2, 2, 1]),
      "a grid of images: the shape [count, height, width, channels] must be whole numbers of at least 1, " +
      "found [0, 2, 2, 1].",
    ],
    [
      () => imageGrid([1, 2], [1, 1, 1, 2]),
      "a grid of images: the channels must be 1 or 3, found 2.",
    ],
    [
      () => imageGrid([1, NaN], [1, 1, 2, 1]),
      "a grid of images: the values must be finite numbers, found NaN at index 1.",
    ],
    [
      () => imageGrid([1], [1, 1, 1, 1], { titles: ["a", "b"] }),
      "a grid of images: titles and images must have the same length, found 2 and 1.",
    ],
    [
      () => imageGrid([1], [1, 1, 1, 1], { columns: 0 }),
      "a grid of images: columns must be a whole number of at least 1, found 0.",
    ],
    [
      () => imageGrid([1], [1, 1, 1, 1], { range: [1, 1] }),
      "a grid of images: range must be two ascending numbers, found [1, 1].",
    ],
    [
      () => imageGrid(new Float32Array(401), [401, 1, 1, 1]),
      "a grid of images: the number of images must be at most 400, found 401.",
    ],
    [
      () => filterGrid([1, 2], [1, 1, 2, 1], { inputChannel: 2 }),
      "convolution kernels: inputChannel must be a whole number from 0 to 1, found 2.",
    ],
    [
      () => featureMaps([1, Infinity], [1, 1, 2]),
      "feature maps: the values must be finite numbers, found Infinity at index 1.",
    ],
  ];
  for (const [draw, message] of cases) {
    assert.throws(draw, { name: "RangeError", message: `Drawing ${message}` });
  }
});

Deno.test("featureMaps draws negative activations with white at zero", () => {
  const { data } = featureMaps([-1, 0, 2, 0], [2, 2, 1]);
  const scale = data.find(({ marker }) => marker?.cmin !== undefined)?.marker;
  assert.deepEqual([scale?.cmin, scale?.cmax], [-2, 2]);
});

Deno.test("imageGrid shows the number of a pixel under the pointer, and its place in an image", () => {
  const hover = (...args: Parameters<typeof imageGrid>) => imageGrid(...args).data[0];
  const bytes = hover(Uint8Array.of(7, 9), [1, 1, 2, 1], { titles: ["a wide title"] });
  assert.equal(bytes?.hovertemplate, "Row %{y}, column %{x}: %{color[0]}<extra></extra>");
  // plotly.js shows x0 + column, so the image starts at 0, wherever it is in its cell.
  const { data: [{ x0, y0 } = {}], layout } = imageGrid(Uint8Array.of(7, 9), [1, 1, 2, 1], {
    titles: ["a wide title"],
  });
  const { rows } = pictureOf(
    imageGrid(Uint8Array.of(7, 9), [1, 1, 2, 1], { titles: ["a wide title"] }),
  );
  const top = rows.findIndex((row) => row.some(([value]) => value === 7));
  const left = rows[top]!.findIndex(([value]) => value === 7);
  assert.deepEqual([Number(x0) + left, Number(y0) + top], [0, 0]);
  assert.deepEqual(layout.xaxis?.range?.[0], Number(x0) - 0.5);
  const shares = hover(Float32Array.of(0, 0.5, 1), [3, 1, 1, 1]);
  assert.equal(shares?.hovertemplate, "%{color[0]}/255<extra></extra>");
  const colours = hover([-1, 0, 2], [1, 1, 1, 3]);
  assert.equal(
    colours?.hovertemplate,
    "Row %{y}, column %{x}: red %{color[0]}/255, green %{color[1]}/255, blue %{color[2]}/255 from −1 to 2<extra></extra>",
  );
  assert.equal(featureMaps([0, 1], [1, 2, 1]).data[0]?.hoverinfo, "skip");
});
