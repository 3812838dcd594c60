/**
 * Decodes image files to pixels, as Pillow and torchvision do; see `imageFolder`. Workers load this
 * file, so it imports nothing of TensorFlow.js.
 */
import { pixelReader } from "./picture_file.ts";
import { type Pixels, resample } from "./resample.ts";

/** Returns the reason of an error in one short line: some decoders repeat their lines. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  let reason = "";
  for (const line of message.split("\n").map((line) => line.replace(/^\s+|[.:\s]+$/g, ""))) {
    if (!reason.includes(line)) reason += reason ? `; ${line}` : line;
  }
  return reason.length > 200 ? `${reason.slice(0, 199)}…` : reason;
}

/** The options of {@linkcode readImage}. */
export interface ReadImageOptions<Channels extends 1 | 3 = 1 | 3> {
  /** The height and width of the image, in pixels. */
  size: readonly [height: number, width: number];
  /**
   * The length to which the shorter side is resized before `size` is cut out of the middle. Without
   * it the image is resized so that as little as possible is cut off.
   */
  shorterSide?: number;
  /**
   * 3 for red, green and blue, 1 for grey.
   *
   * @default 3
   */
  channels?: Channels;
}

/**
 * Returns a function that decodes the bytes of an image file to `[height, width, channels]`. It
 * throws an error if they are of another format, too large, or damaged.
 */
export async function decoder(
  options: ReadImageOptions,
): Promise<(bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>> {
  const pixelsOf = await pixelReader(options.channels ?? 3);
  return async (bytes) => toSize(await pixelsOf(bytes), options);
}

/** Returns an image resized and cut to the size of the options. */
export function toSize(whole: Pixels, { size, shorterSide }: ReadImageOptions): Uint8Array {
  const shorter = Math.min(whole.height, whole.width);
  // torchvision's Resize truncates the longer side to whole pixels, and CenterCrop rounds halves to
  // even numbers.
  const heightDecides = size[0] / whole.height >= size[1] / whole.width;
  const [factor, divisor] = shorterSide !== undefined
    ? [shorterSide, shorter]
    : heightDecides
    ? [size[0], whole.height]
    : [size[1], whole.width];
  const scaled = [
    Math.trunc(factor * whole.height / divisor),
    Math.trunc(factor * whole.width / divisor),
  ] as const;
  const from = [
    roundToEven((scaled[0] - size[0]) / 2),
    roundToEven((scaled[1] - size[1]) / 2),
  ] as const;
  return resample(whole, scaled, from, size);
}

/** Rounds to a whole number, halves to the even one. */
function roundToEven(x: number): number {
  return x % 1 === 0.5 ? 2 * Math.round(x / 2) : Math.round(x);
}
