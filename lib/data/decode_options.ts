import { checkInteger, show } from "../tensor/internal.ts";
import { checkSize } from "./checks.ts";
import type { ReadImageOptions } from "./decode.ts";

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
