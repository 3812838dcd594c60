import { encode } from "fast-png";

/**
 * How far, in steps of 255 along a line through red, green and blue, a pixel's colour may be from
 * the one that stands for it. The second is tried where the first needs too many colours.
 */
const tolerances = [6, 12];

/** With more colours than this a picture is no chart. */
const mostColors = 20_000;

/**
 * Encodes opaque pixels as a PNG file that is small enough to be kept in a notebook.
 *
 * Charts have few colours but for the edges of letters and lines, so a palette of 256 comes close
 * to all of them and a third of the bytes is enough; other pictures keep each colour.
 *
 * @param pixels [height, width, 4], red, green, blue and an alpha that is ignored.
 */
export function opaquePng(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const colors = new Uint32Array(width * height);
  const counts = new Map<number, number>();
  // Neighbours are mostly alike, so runs of one colour save most look-ups.
  let start = 0;
  for (let index = 0; index < colors.length; index++) {
    const at = index * 4;
    const color = pixels[at]! << 16 | pixels[at + 1]! << 8 | pixels[at + 2]!;
    colors[index] = color;
    if (color !== colors[start]) {
      counts.set(colors[start]!, (counts.get(colors[start]!) ?? 0) + index - start);
      start = index;
    }
  }
  counts.set(colors[start]!, (counts.get(colors[start]!) ?? 0) + colors.length - start);

  const byUse = [...counts].sort(([, a], [, b]) => b - a).map(([color]) => channels(color));
  const palette = paletteOf(byUse);
  if (!palette) {
    const data = new Uint8Array(colors.length * 3);
    for (let index = 0; index < colors.length; index++) {
      data[index * 3] = colors[index]! >> 16;
      data[index * 3 + 1] = colors[index]! >> 8;
      data[index * 3 + 2] = colors[index]!;
    }
    return encode({ width, height, channels: 3, data }, { zlib: { level: 6 } });
  }
  const places = new Map(byUse.map((color) => [number(color), nearest(color, palette).place]));
  const data = new Uint8Array(colors.length);
  for (let index = 0; index < colors.length; index++) {
    data[index] = colors[index] === colors[index - 1]
      ? data[index - 1]!
      : places.get(colors[index]!)!;
  }
  return encode({ width, height, channels: 1, data, palette }, { zlib: { level: 8 } });
}

type Color = [red: number, green: number, blue: number];

/** At most 256 colours that come close to all, the most used ones exactly; else nothing. */
function paletteOf(byUse: readonly Color[]): Color[] | undefined {
  if (byUse.length <= 256) return [...byUse];
  if (byUse.length > mostColors) return undefined;
  for (const tolerance of tolerances) {
    const palette: Color[] = [];
    for (const color of byUse) {
      if (nearest(color, palette).distance <= tolerance ** 2) continue;
      palette.push(color);
      if (palette.length > 256) break;
    }
    if (palette.length <= 256) return palette;
  }
  return undefined;
}

function channels(color: number): Color {
  return [color >> 16, color >> 8 & 255, color & 255];
}

function number([red, green, blue]: Color): number {
  return red << 16 | green << 8 | blue;
}

function nearest(
  [red, green, blue]: Color,
  palette: readonly Color[],
): { place: number; distance: number } {
  let place = 0, distance = Infinity;
  for (let index = 0; index < palette.length; index++) {
    const [r, g, b] = palette[index]!;
    const away = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (away < distance) [place, distance] = [index, away];
  }
  return { place, distance };
}
