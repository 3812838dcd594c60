import assert from "node:assert/strict";
import { decode } from "fast-png";
import { encodePalettePng } from "../../lib/plot/png.ts";

/** The colour of each pixel of a PNG file. */
function colorsOf(png: Uint8Array): number[][] {
  const { data, palette, channels } = decode(png);
  return palette
    ? Array.from(data, (place) => palette[place]!.slice(0, 3))
    : Array.from({ length: data.length / channels }, (_, i) =>
      Array.from(data.slice(i * channels, i * channels + 3)));
}

function rgba(colors: readonly (readonly number[])[]): Uint8Array {
  return Uint8Array.from(colors.flatMap(([r = 0, g = 0, b = 0]) => [r, g, b, 255]));
}

Deno.test("encodePalettePng keeps few colours exactly, in a palette", () => {
  const colors = Array.from({ length: 512 }, (_, i) => [i % 256, 255 - i % 256, 7]);
  const png = encodePalettePng(rgba(colors), 32, 16);
  assert.equal(decode(png).palette?.length, 256);
  assert.deepEqual([decode(png).width, decode(png).height], [32, 16]);
  assert.deepEqual(colorsOf(png), colors);
});

Deno.test("encodePalettePng moves no colour by more than 6, and the most used not at all", () => {
  const gradient = Array.from({ length: 1000 }, (_, i) => [i % 256, (i * 3) % 100 + 100, 0]);
  const colors = [...gradient, ...new Array(3000).fill([1, 2, 3])];
  const png = encodePalettePng(rgba(colors), 100, 40);
  const { palette } = decode(png);
  assert.ok(palette && palette.length <= 256);
  colorsOf(png).forEach(([r = 0, g = 0, b = 0], i) => {
    const [red = 0, green = 0, blue = 0] = colors[i]!;
    assert.ok(Math.hypot(r - red, g - green, b - blue) <= 12, `pixel ${i}`);
  });
  assert.deepEqual(colorsOf(png).at(-1), [1, 2, 3]);
});

Deno.test("encodePalettePng keeps each colour of a picture of all colours", () => {
  const colors = Array.from({ length: 4096 }, (_, i) => [i % 64 * 4, (i >> 6) * 4, (i * 91) % 256]);
  const png = encodePalettePng(rgba(colors), 64, 64);
  assert.equal(decode(png).palette, undefined);
  assert.deepEqual(colorsOf(png), colors);
});
