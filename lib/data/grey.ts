/**
 * Converts RGB to grey in place, as Pillow does it: the luma of ITU-R 601-2 in units of 1/65,536.
 */
export function rgbToGrey(data: Uint8Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const [red, green, blue] = [data[3 * i]!, data[3 * i + 1]!, data[3 * i + 2]!];
    data[i] = (19595 * red + 38470 * green + 7471 * blue + 0x8000) >> 16;
  }
}
