/** The sizes of images that a network can take, from a walk over its convolutions and poolings. */
import { type Images, isTensor } from "../tensor/mod.ts";
import type { AnyModule } from "../nn/mod.ts";
import { Conv2d, Pool } from "../nn/internal.ts";

type Size = readonly [height: number, width: number];

/** The convolutions and poolings of a network that has them one after the other, by path. */
export type Windows = readonly (readonly [path: string, layer: Conv2d<number, number> | Pool])[];

/**
 * The convolutions and poolings in a tree of modules, in its order. Branches over the same input
 * may count as if one came after the other where none of them changes the size.
 */
export function windowsOf(model: AnyModule): Windows {
  return [...model.namedModules()].flatMap(([path, module]) =>
    module instanceof Conv2d || module instanceof Pool ? [[path, module] as const] : []
  );
}

/**
 * The size of what is left of images behind the windows.
 *
 * @throws {RangeError} If the images are too small, with the layer that has too little left and the
 * smallest size that will do.
 */
export function sizeAfter(doing: string, windows: Windows, size: Size): Size {
  let left = size;
  for (const [path, layer] of windows) {
    const next = outputSize(layer, left);
    if (next === undefined) {
      throw new RangeError(
        `${doing}: images of ${size.join("×")} are too small: they are down to ${
          left.join("×")
        } at ${path} (${layer.describe()}). The smallest that will do are ${smallest(windows)}.`,
      );
    }
    left = next;
  }
  return left;
}

/**
 * The side of what is left of square images behind the windows of a network that is being built;
 * what is built of it is disposed if they are too small.
 *
 * @throws {RangeError} As {@linkcode sizeAfter}.
 */
export function sideLeft(
  doing: string,
  network: AnyModule,
  windows: Windows,
  imageSize: number,
): number {
  try {
    return sizeAfter(doing, windows, [imageSize, imageSize])[0];
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** The size that a layer gives, `undefined` where its window does not fit. */
function outputSize(layer: Windows[number][1], size: Size): Size | undefined {
  try {
    return layer.outputSize(size);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

/** The smallest square that fits all windows, as text. */
function smallest(windows: Windows): string {
  for (let side = 1;; side++) {
    let size: Size | undefined = [side, side];
    for (const [, layer] of windows) size = size && outputSize(layer, size);
    if (size) return `${side}×${side}`;
  }
}

/**
 * Checks that images are large enough for a network; what else may be wrong with them its layers
 * say.
 *
 * @throws {RangeError} If they are not.
 */
export function checkLargeEnough(doing: string, windows: Windows, images: Images): void {
  if (isTensor(images) && images.rank === 4) {
    sizeAfter(doing, windows, [images.shape[1], images.shape[2]]);
  }
}

/**
 * Checks that images have the size that a network was built for, which its linear layers depend on.
 *
 * @throws {RangeError} If they have another.
 */
export function checkBuiltFor(doing: string, imageSize: number, images: Images): void {
  if (!isTensor(images) || images.rank !== 4) return;
  const [, height, width] = images.shape;
  if (height !== imageSize || width !== imageSize) {
    throw new RangeError(
      `${doing}: the images must be ${imageSize}×${imageSize}, for which it was built, found ${height}×${width}. ` +
        "The option imageSize builds it for others.",
    );
  }
}
