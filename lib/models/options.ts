/** Options that the networks share. */
import { checkNumber } from "../tensor/internal.ts";

/** The options that networks share; each network documents its defaults. */
export interface ClassifierOptions<
  InChannels extends number = number,
  Classes extends number = number,
> {
  /** Channels of the images. */
  inChannels?: InChannels;
  /** Number of classes. */
  classes?: Classes;
  /**
   * Width multiplier: the factor on every number of channels.
   *
   * @default 1
   */
  width?: number;
  /**
   * Height and width of the images that the linear layers are built for.
   *
   * @default 224
   */
  imageSize?: number;
}

/**
 * Returns the number of channels in a network that is `width` times as wide: at least 1, and a
 * multiple of `groups`.
 *
 * @throws {TypeError} If the width is not a number.
 * @throws {RangeError} If it is not a finite number above 0.
 */
export function scaleChannels(
  action: string,
  channels: number,
  width: number,
  groups = 1,
): number {
  const fits = Number.isFinite(width) && width > 0;
  checkNumber(action, "width", width, fits, "a finite number above 0");
  return groups * Math.max(1, Math.round(channels * width / groups));
}
