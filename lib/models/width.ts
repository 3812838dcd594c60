/**
 * The number of channels in a network that is `width` times as wide, at least 1; with groups of channels a multiple of their number.
 *
 * @throws {TypeError} If the width is no number.
 * @throws {RangeError} If it is not a finite number above 0.
 */
export function widened(doing: string, channels: number, width: number, groups = 1): number {
  if (typeof width !== "number" || !(width > 0 && Number.isFinite(width))) {
    const Kind = typeof width === "number" ? RangeError : TypeError;
    throw new Kind(`${doing}: width must be a finite number above 0, found ${width}.`);
  }
  return groups * Math.max(1, Math.round(channels * width / groups));
}
