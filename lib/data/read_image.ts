import { type Images, ops } from "../tensor/mod.ts";
import { checkOptions, show } from "../tensor/internal.ts";
import { type AnyModule, Module } from "../nn/mod.ts";
import { fractionsOf } from "./dataset.ts";
import { decoder, type ReadImageOptions, reasonOf } from "./decode.ts";
import { checkDecodeOptions } from "./decode_options.ts";
import { readBounded } from "./picture_file.ts";
import { trainingDataOf } from "./training_data.ts";

/**
 * Reads one picture as {@linkcode imageFolder} reads those of a training: a JPEG, PNG, WebP, GIF,
 * TIFF or AVIF file, or its bytes.
 *
 * Instead of options it takes a trained model, and then reads the picture as the images of its
 * training were read: of the same size, cut in the same way, in colour or grey. `fit` leaves this
 * with the model, and it is saved and loaded with its state dict.
 *
 * @returns The image `[1, height, width, channels]` with pixels from 0 to 1; dispose it after use.
 * @throws {TypeError} If an option does not exist or is of the wrong kind, or the picture is
 * neither a path nor bytes.
 * @throws {RangeError} If an option is out of range, or the model does not know how to read
 * pictures.
 * @throws {Error} If the picture cannot be read.
 *
 * @example
 * ```ts
 * import { readImage } from "resnet-lab";
 * import { encode } from "fast-png";
 * import assert from "node:assert/strict";
 *
 * const png = encode({ width: 2, height: 2, channels: 3, data: new Uint8Array(12).fill(51) });
 * const image = await readImage(png, { size: [2, 2] });
 * assert.deepEqual(image.shape, [1, 2, 2, 3]);
 * assert(Math.abs(image.dataSync()[0]! - 0.2) < 1e-7);
 * ```
 */
export function readImage<const Channels extends 1 | 3 = 3>(
  picture: string | Uint8Array,
  options: ReadImageOptions<Channels>,
): Promise<Images<Channels>>;
/** {@linkcode readImage} for a model. */
export function readImage<Channels extends number>(
  picture: string | Uint8Array,
  model: Module<Images<Channels>, unknown>,
): Promise<Images<Channels>>;
export async function readImage(
  picture: string | Uint8Array,
  options: ReadImageOptions | AnyModule,
): Promise<Images> {
  const isPath = typeof picture === "string";
  const action = `Reading ${isPath ? `the picture ${picture}` : "a picture"}`;
  if (!isPath && !(picture instanceof Uint8Array)) {
    throw new TypeError(
      `${action}: the picture must be a path or the bytes of a file, found ${show(picture)}.`,
    );
  }
  const { size, shorterSide, channels = 3 } = formOf(action, options);
  let pixels: Uint8Array;
  try {
    const bytes = isPath ? await readBounded(picture) : Uint8Array.from(picture);
    pixels = await (await decoder({ size, shorterSide, channels }))(bytes);
  } catch (cause) {
    throw new Error(
      `${action}: it must be a picture that can be read, found the error: ${reasonOf(cause)}.`,
      { cause },
    );
  }
  return ops.tensor(fractionsOf(pixels), [1, size[0], size[1], channels]);
}

function formOf(action: string, options: ReadImageOptions | AnyModule): ReadImageOptions {
  if (!(options instanceof Module)) {
    checkOptions<ReadImageOptions>(action, options, "{ size: [64, 64] }", {
      size: true,
      shorterSide: true,
      channels: true,
    });
    checkDecodeOptions(action, options);
    return options;
  }
  const data = trainingDataOf(options);
  if (data === undefined) {
    throw new RangeError(
      `${action}: the model must know how the images of its training were read, found one that fit ` +
        "has not trained, and that was not loaded from such a model's state dict. Pass { size: [height, width] }.",
    );
  }
  const { height, width, channels, shorterSide } = data;
  const form = { size: [height, width], shorterSide, channels } as ReadImageOptions;
  checkDecodeOptions(action, form);
  return form;
}
