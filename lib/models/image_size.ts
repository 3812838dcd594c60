/** Image sizes that a network accepts, found from its convolutions and pooling layers. */
import type { Images } from "../tensor/mod.ts";
import { isTensor } from "../tensor/internal.ts";
import type { AnyModule } from "../nn/mod.ts";
import { Conv2d, Pool } from "../nn/internal.ts";

type Size = readonly [height: number, width: number];

/** The convolutions and pooling layers of a network in the order in which they run, by path. */
export type WindowLayers =
  readonly (readonly [path: string, layer: Conv2d<number, number> | Pool])[];

/**
 * Returns the convolutions and pooling layers in a tree of modules, in its order. Parallel branches
 * count as if they ran one after the other, which is right where no branch changes the size.
 */
export function windowLayers(model: AnyModule): WindowLayers {
  return [...model.namedModules()].flatMap(([path, module]) =>
    module instanceof Conv2d || module instanceof Pool ? [[path, module] as const] : []
  );
}

/**
 * Returns the size of the feature maps after the layers.
 *
 * @throws {RangeError} If the images are too small, with the smallest size that is large enough and
 * the layer whose input is too small.
 */
export function outputSize(action: string, layers: WindowLayers, imageSize: Size): Size {
  let size = imageSize;
  for (const [path, layer] of layers) {
    const next = layerOutputSize(layer, size);
    if (next === undefined) {
      throw new RangeError(
        `${action}: the images must be at least ${smallest(layers)}, found ${
          imageSize.join("×")
        }, of which ${size.join("×")} is left for ${path} (${layer.describe()}).`,
      );
    }
    size = next;
  }
  return size;
}

/**
 * Returns the side of the feature maps after the layers of a network, for square images. Disposes
 * the network, which is not complete yet, if the images are too small.
 *
 * @throws {RangeError} As {@linkcode outputSize}.
 */
export function outputSide(
  action: string,
  network: AnyModule,
  layers: WindowLayers,
  imageSize: number,
): number {
  try {
    return outputSize(action, layers, [imageSize, imageSize])[0];
  } catch (error) {
    network.dispose();
    throw error;
  }
}

/** Returns the size of a layer's output, `undefined` where its window does not fit. */
function layerOutputSize(layer: WindowLayers[number][1], size: Size): Size | undefined {
  try {
    return layer.outputSize(size);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return undefined;
  }
}

/** Returns the smallest square that fits all windows, as text. */
function smallest(layers: WindowLayers): string {
  for (let side = 1;; side++) {
    let size: Size | undefined = [side, side];
    for (const [, layer] of layers) size = size && layerOutputSize(layer, size);
    if (size) return `${side}×${side}`;
  }
}

/**
 * Checks that images are large enough for a network. The layers check everything else.
 *
 * @throws {RangeError} If they are not.
 */
export function checkLargeEnough(action: string, layers: WindowLayers, images: Images): void {
  if (isTensor(images) && images.rank === 4) {
    outputSize(action, layers, [images.shape[1], images.shape[2]]);
  }
}

/**
 * Checks that images have the size that the linear layers of a network are built for.
 *
 * @throws {RangeError} If they do not.
 */
export function checkImageSize(action: string, imageSize: number, images: Images): void {
  if (!isTensor(images) || images.rank !== 4) return;
  const [, height, width] = images.shape;
  if (height !== imageSize || width !== imageSize) {
    throw new RangeError(
      `${action}: the images must be ${imageSize}×${imageSize}, the option imageSize, found ${height}×${width}. ` +
        "Build the network with another imageSize.",
    );
  }
}
