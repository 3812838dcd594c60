/** Decodes image files to pixels, as Pillow and torchvision do; see `imageFolder`. */
import { checkInteger, show } from "../tensor/internal.ts";
import { checkSize } from "./checks.ts";
import { pixelReader } from "./picture_file.ts";
import { type Pixels, resample } from "./resample.ts";

/** Returns the reason of an error in one short line: some decoders repeat themselves. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/[:\s]+$/, "").replaceAll(/\s*\n\s*/g, " ").slice(0, 200);
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
 * Checks the form in which images are decoded.
 *
 * @throws {TypeError} If a value is of the wrong kind.
 * @throws {RangeError} If it is out of range.
 */
export function checkDecodeOptions(
  action: string,
  { size, shorterSide, channels = 3 }: ReadImageOptions,
): void {
  checkSize(action, size);
  if (shorterSide !== undefined) checkInteger(action, "shorterSide", shorterSide);
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`${action}: channels must be 1 or 3, found ${show(channels)}.`);
  }
  const longer = Math.max(...size);
  if (shorterSide !== undefined && shorterSide < longer) {
    throw new RangeError(
      `${action}: shorterSide must be at least ${longer}, from which ${size[0]} × ${
        size[1]
      } can be cut, found ${shorterSide}.`,
    );
  }
}

/**
 * Returns a function that decodes the bytes of an image file to `[height, width, channels]`. It
 * throws an error if they are of another format, too large, or damaged.
 */
export async function decoder(
  { size, shorterSide, channels = 3 }: ReadImageOptions,
): Promise<(bytes: Uint8Array<ArrayBuffer>) => Promise<Uint8Array>> {
  const pixelsOf = await pixelReader(channels);
  return async (bytes) => cut(await pixelsOf(bytes), size, shorterSide);
}

/** Resizes an image, and cuts the middle out of it. */
function cut(
  whole: Pixels,
  size: readonly [height: number, width: number],
  shorterSide: number | undefined,
): Uint8Array {
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
