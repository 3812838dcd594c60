/** Pictures of the page "Live networks": drawing, pushing, links, and PNG files of maps. */
import { encode } from "fast-png";
import { type Maps, SIDE } from "./answer.ts";

/** The grey levels of pictures: a link has four bits for each pixel. */
const LEVELS = 15;

/** Rounds grey levels to those that a link can hold. */
export function rounded(pixels: ArrayLike<number>): Float32Array {
  return Float32Array.from(pixels, (value) => {
    return Math.round(Math.max(0, Math.min(1, value)) * LEVELS) / LEVELS;
  });
}

/** Returns a rounded picture as text for a link. */
export function textOf(pixels: Float32Array): string {
  const bytes = Uint8Array.from(
    { length: pixels.length / 2 },
    (_, i) => Math.round(pixels[2 * i]! * LEVELS) * 16 + Math.round(pixels[2 * i + 1]! * LEVELS),
  );
  return base64(bytes).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Returns the picture of a text; undefined if the text is of none. */
export function pictureOf(text: string): Float32Array | undefined {
  try {
    const bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
    if (bytes.length !== SIDE * SIDE / 2) return undefined;
    return Float32Array.from({ length: SIDE * SIDE }, (_, i) => {
      const byte = bytes.charCodeAt(i >> 1);
      return (i % 2 === 0 ? byte >> 4 : byte & 15) / LEVELS;
    });
  } catch {
    return undefined;
  }
}

/** Moves a picture; black pixels come in. */
export function pushed(pixels: Float32Array, right: number, down: number): Float32Array {
  const moved = new Float32Array(SIDE * SIDE);
  for (let y = Math.max(0, down); y < Math.min(SIDE, SIDE + down); y++) {
    for (let x = Math.max(0, right); x < Math.min(SIDE, SIDE + right); x++) {
      moved[y * SIDE + x] = pixels[(y - down) * SIDE + x - right]!;
    }
  }
  return moved;
}

/** Draws a white line with soft edges from one place to another, in pixels. */
export function drawn(
  pixels: Float32Array,
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
): Float32Array {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  return rounded(pixels.map((value, i) => {
    const x = i % SIDE + 0.5 - x1, y = Math.floor(i / SIDE) + 0.5 - y1;
    const along = length === 0 ? 0 : (x * (x2 - x1) + y * (y2 - y1)) / length;
    const part = Math.max(0, Math.min(1, along));
    const distance = Math.hypot(x - part * (x2 - x1), y - part * (y2 - y1));
    return Math.max(value, Math.min(1, 1.7 - distance));
  }));
}

/** Inverts a picture with a light edge, because the pictures of the training are on black. */
export function onBlack(pixels: Float32Array): Float32Array {
  const edge = [...pixels].filter((_, i) => {
    const x = i % SIDE, y = Math.floor(i / SIDE);
    return x === 0 || y === 0 || x === SIDE - 1 || y === SIDE - 1;
  });
  const mean = edge.reduce((sum, value) => sum + value, 0) / edge.length;
  return mean > 0.5 ? pixels.map((value) => 1 - value) : pixels;
}

/** Returns the address of a grey picture. */
export function greyPng(pixels: Float32Array): string {
  return png(SIDE, SIDE, 1, Uint8Array.from(pixels, (value) => Math.round(255 * value)));
}

/** Returns the address of a heat map: orange that is opaque where the map has its maximum. */
export function heatPng(map: Float32Array): string {
  const most = Math.max(...map) || 1, data = new Uint8Array(4 * map.length);
  map.forEach((value, i) => data.set([255, 120, 0, Math.round(220 * value / most)], 4 * i));
  return png(SIDE, SIDE, 4, data);
}

/** The places of feature maps in a picture that has all maps of a layer. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Pixels from one map to the next. */
  readonly stepX: number;
  readonly stepY: number;
}

/** Returns the places of maps in a picture of at most so many pixels across. */
export function gridOf({ width, height, channels }: Maps, most: number): Grid {
  const gap = width > 1 ? 1 : 0, stepX = width + gap;
  const columns = Math.max(1, Math.min(channels, Math.floor(most / stepX)));
  return { columns, rows: Math.ceil(channels / columns), stepX, stepY: height + gap };
}

const ORANGE = [213, 94, 0, 255], BLUE = [30, 130, 200, 255], ZERO = [128, 128, 128, 50];

/** Returns the address of a picture of all maps, orange above zero and blue below. */
export function mapsPng(maps: Maps, { columns, rows, stepX, stepY }: Grid): string {
  const { width, channels, values } = maps;
  const across = columns * stepX, data = new Uint8Array(4 * across * rows * stepY);
  const most = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  values.forEach((value, i) => {
    const channel = i % channels, pixel = Math.floor(i / channels);
    const x = channel % columns * stepX + pixel % width;
    const y = Math.floor(channel / columns) * stepY + Math.floor(pixel / width);
    // The root shows small values too.
    const share = Math.sqrt(Math.abs(value) / most), color = value > 0 ? ORANGE : BLUE;
    data.set(ZERO.map((zero, c) => zero + share * (color[c]! - zero)), 4 * (y * across + x));
  });
  return png(across, rows * stepY, 4, data);
}

/** Returns the address of a picture of bytes. */
export function png(width: number, height: number, channels: 1 | 4, data: Uint8Array): string {
  return `data:image/png;base64,${base64(encode({ width, height, channels, data }))}`;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
