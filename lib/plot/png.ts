import { encode } from "fast-png";

/**
 * Largest distances in RGB space, of 255 per channel, between a colour and its replacement in the
 * palette. The second is tried if the first needs too many colours.
 *
 * sharp has palettes too, but for charts of 600 to 3,000 colours its largest distance is 8 to 23 at
 * nearly the same size, and it is asynchronous, which a grid of images cannot be.
 */
const tolerances = [6, 12];

/** A picture of more colours is a photograph and keeps all of them. */
const maxColors = 20_000;

/**
 * Encodes opaque pixels as a PNG file that is small enough for a notebook.
 *
 * Charts have few colours except at the edges of letters and lines. A palette of 256 colours is
 * close to all of them and needs a third of the bytes. Other pictures keep each colour.
 *
 * @param pixels [height, width, 4]: red, green, blue, and an alpha that is ignored.
 */
export function encodePalettePng(pixels: Uint8Array, width: number, height: number): Uint8Array {
  const colors = new Uint32Array(width * height);
  const counts = new Map<number, number>();
  // Most neighbours are equal, so counting runs of one colour saves most look-ups.
  let start = 0;
  for (let index = 0; index < colors.length; index++) {
    const offset = index * 4;
    const color = pixels[offset]! << 16 | pixels[offset + 1]! << 8 | pixels[offset + 2]!;
    colors[index] = color;
    if (color !== colors[start]) {
      counts.set(colors[start]!, (counts.get(colors[start]!) ?? 0) + index - start);
      start = index;
    }
  }
  counts.set(colors[start]!, (counts.get(colors[start]!) ?? 0) + colors.length - start);

  const mostUsedFirst = [...counts].sort(([, a], [, b]) => b - a).map(([color]) => channels(color));
  const palette = paletteOf(mostUsedFirst);
  if (!palette) {
    const data = new Uint8Array(colors.length * 3);
    for (let index = 0; index < colors.length; index++) {
      data[index * 3] = colors[index]! >> 16;
      data[index * 3 + 1] = colors[index]! >> 8;
      data[index * 3 + 2] = colors[index]!;
    }
    return encode({ width, height, channels: 3, data }, { zlib: { level: 6 } });
  }
  const paletteIndices = new Map(
    mostUsedFirst.map((color) => [packed(color), nearest(color, palette).index]),
  );
  const data = new Uint8Array(colors.length);
  for (let index = 0; index < colors.length; index++) {
    data[index] = colors[index] === colors[index - 1]
      ? data[index - 1]!
      : paletteIndices.get(colors[index]!)!;
  }
  return encode({ width, height, channels: 1, data, palette }, { zlib: { level: 8 } });
}

type Color = [red: number, green: number, blue: number];

/** Returns at most 256 colours that are close to all, if they exist. */
function paletteOf(mostUsedFirst: readonly Color[]): Color[] | undefined {
  if (mostUsedFirst.length <= 256) return [...mostUsedFirst];
  if (mostUsedFirst.length > maxColors) return undefined;
  for (const tolerance of tolerances) {
    const palette: Color[] = [];
    for (const color of mostUsedFirst) {
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

function packed([red, green, blue]: Color): number {
  return red << 16 | green << 8 | blue;
}

/** Returns the nearest colour of a palette and its squared distance. */
function nearest(
  [red, green, blue]: Color,
  palette: readonly Color[],
): { index: number; distance: number } {
  let index = 0, distance = Infinity;
  for (let candidate = 0; candidate < palette.length; candidate++) {
    const [r, g, b] = palette[candidate]!;
    const squared = (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
    if (squared < distance) [index, distance] = [candidate, squared];
  }
  return { index, distance };
}
