/** Pictures of the page "Live networks": drawing, pushing, links, and PNG files of maps. */
import { encode } from "fast-png";
import { ops, type Tensor4D, tidy } from "../../tensor/mod.ts";
import { GREY, type Maps, type Shape, SIDE } from "./layer.ts";

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

/** Returns a picture of another shape that looks the same. */
export function fitted(pixels: Float32Array, from: Shape, to: Shape): Float32Array {
  if (String(from) === String(to)) return pixels;
  return tidy(() => {
    const [height, width, channels] = to;
    const resized = ops.resizeBilinear(ops.tensor(pixels, [1, ...from]), [height, width]);
    const grey: Tensor4D = from[2] === channels
      ? resized
      : ops.mean(resized, [3], { keepDims: true });
    return Float32Array.from(ops.tile(grey, [1, 1, 1, channels / grey.shape[3]]).dataSync());
  });
}

/** Moves a picture; black pixels come in. */
export function pushed(
  pixels: Float32Array,
  right: number,
  down: number,
  [height, width, channels] = GREY,
): Float32Array {
  return pixels.map((_, i) => {
    const pixel = Math.floor(i / channels), y = Math.floor(pixel / width) - down;
    const x = pixel % width - right;
    const isInside = x >= 0 && x < width && y >= 0 && y < height;
    return isInside ? pixels[(y * width + x) * channels + i % channels]! : 0;
  });
}

/**
 * Draws a white line with soft edges from one place to another, in pixels. In larger pictures it is
 * as much wider.
 */
export function drawn(
  pixels: Float32Array,
  [x1, y1]: readonly [number, number],
  [x2, y2]: readonly [number, number],
  [height, width, channels] = GREY,
): Float32Array {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2, pen = Math.max(height, width) / SIDE;
  return rounded(pixels.map((value, i) => {
    const pixel = Math.floor(i / channels);
    const x = pixel % width + 0.5 - x1, y = Math.floor(pixel / width) + 0.5 - y1;
    const along = length === 0 ? 0 : (x * (x2 - x1) + y * (y2 - y1)) / length;
    const part = Math.max(0, Math.min(1, along));
    const distance = Math.hypot(x - part * (x2 - x1), y - part * (y2 - y1)) / pen;
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

/** Returns the address of a picture. */
export function picturePng(pixels: Float32Array, [height, width, channels]: Shape): string {
  const data = Uint8Array.from(pixels, (value) => Math.round(255 * value));
  return png(width, height, channels, data);
}

/** Returns the address of a heat map: orange that is opaque where the map has its maximum. */
export function heatPng(map: Float32Array, [height, width]: Shape): string {
  const most = map.reduce((a, b) => Math.max(a, b), 0) || 1, data = new Uint8Array(4 * map.length);
  map.forEach((value, i) => data.set([255, 120, 0, Math.round(220 * value / most)], 4 * i));
  return png(width, height, 4, data);
}

/** The places of feature maps in a picture that has all maps of a layer. */
export interface Grid {
  readonly columns: number;
  readonly rows: number;
  /** Pixels from one map to the next. */
  readonly stepX: number;
  readonly stepY: number;
  /** Units from one pixel to the next: of large maps not all are drawn. */
  readonly every: number;
  /** The size of a pixel on the screen. */
  readonly scale: number;
}

/** Returns the places of maps in a picture of at most so many screen pixels across. */
export function gridOf({ width, height, channels }: Maps, most: number): Grid {
  const every = Math.ceil(Math.max(width, height) / 64), drawn = Math.ceil(width / every);
  const scale = width === 1 ? 13 : Math.max(drawn > 32 ? 1 : 2, Math.round(42 / drawn));
  const gap = width > 1 ? 1 : 0, stepX = drawn + gap;
  const columns = Math.max(1, Math.min(channels, Math.floor(most / scale / stepX)));
  const rows = Math.ceil(channels / columns);
  return { columns, rows, stepX, stepY: Math.ceil(height / every) + gap, every, scale };
}

const ORANGE = [213, 94, 0, 255], BLUE = [30, 130, 200, 255], ZERO = [128, 128, 128, 50];

/** Returns the address of a picture of all maps, orange above zero and blue below. */
export function mapsPng(maps: Maps, { columns, rows, stepX, stepY, every }: Grid): string {
  const { width, channels, values } = maps;
  const across = columns * stepX, data = new Uint8Array(4 * across * rows * stepY);
  const most = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  values.forEach((value, i) => {
    const channel = i % channels, pixel = Math.floor(i / channels);
    const column = pixel % width / every, row = Math.floor(pixel / width) / every;
    if (!Number.isInteger(column) || !Number.isInteger(row)) return;
    const x = channel % columns * stepX + column;
    const y = Math.floor(channel / columns) * stepY + row;
    // The root shows small values too.
    const share = Math.sqrt(Math.abs(value) / most), color = value > 0 ? ORANGE : BLUE;
    const at = 4 * (y * across + x);
    for (let c = 0; c < 4; c++) data[at + c] = ZERO[c]! + share * (color[c]! - ZERO[c]!);
  });
  return png(across, rows * stepY, 4, data);
}

/** Returns the address of a picture of bytes. */
export function png(width: number, height: number, channels: number, data: Uint8Array): string {
  return `data:image/png;base64,${base64(encode({ width, height, channels, data }))}`;
}

function base64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}
