/** A worker that reads and decodes image files, so that the training does not wait for them. */
import { parentPort } from "node:worker_threads";
import { decoder, type ReadImageOptions, reasonOf, toSize } from "./decode.ts";
import { pixelsTogether, readBounded } from "./picture_file.ts";
import type { FileVersion } from "./readable_files.ts";
import { jpegDecoder } from "./jpeg_decoder.ts";

/** A request for the pixels of some files. */
export interface DecodeRequest {
  readonly id: number;
  readonly form: ReadImageOptions;
  /** The path of TensorFlow's addon, if it may decode. */
  readonly addon: string | undefined;
  readonly files: readonly VersionedFile[];
}

/** A file as it was when the folder was read. */
export interface VersionedFile extends FileVersion {
  readonly path: string;
}

/** The answer to a request: the pixels of all files one after the other, or why there are none. */
export type DecodeAnswer =
  | { readonly id: number; readonly pixels: Uint8Array<ArrayBuffer> }
  | { readonly id: number; readonly path: string; readonly reason: string };

/** The number of groups that are decoded at the same time. */
const CONCURRENT = 2;
/** The number of images that are decoded together. */
const GROUP = 16;

let decodeJpeg: ReturnType<typeof jpegDecoder> | undefined;

async function answer(request: DecodeRequest): Promise<DecodeAnswer> {
  const { id, form, files, addon } = request;
  if (addon !== undefined) decodeJpeg ??= jpegDecoder(addon);
  const decode = await decoder(form);
  const [height, width] = form.size, imageSize = height * width * (form.channels ?? 3);
  const pixels = new Uint8Array(files.length * imageSize);
  const readInto = async (index: number) => {
    const file = files[index]!;
    pixels.set(await decode(await readBounded(file.path, file)), index * imageSize);
  };
  let next = 0;
  const failed: number[] = [];
  const readGroups = async () => {
    while (next < files.length && failed.length === 0) {
      const first = next, group = files.slice(first, first + GROUP);
      next += group.length;
      const images = await decodeGroup(form, group).catch(() => undefined);
      if (images) {
        images.forEach((image, i) => pixels.set(image, (first + i) * imageSize));
        continue;
      }
      for (const i of group.keys()) {
        await readInto(first + i).catch(() => failed.push(first + i));
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENT }, readGroups));
  // Decoders that run at the same time share one error message, so it is read again for its own.
  const [index] = failed;
  if (index === undefined) return { id, pixels };
  try {
    await readInto(index);
    return await answer(request); // It was readable after all, as on a busy network.
  } catch (error) {
    return { id, path: files[index]!.path, reason: reasonOf(error) };
  }
}

/** Reads files and decodes them together; undefined if they must be decoded one by one. */
async function decodeGroup(
  form: ReadImageOptions,
  files: readonly VersionedFile[],
): Promise<Uint8Array[] | undefined> {
  // Large files are not plain JPEGs of few pixels, and would need much memory together.
  if (files.some(({ size }) => size > MAX_GROUPED_BYTES)) return undefined;
  const bytes = await Promise.all(files.map((file) => readBounded(file.path, file)));
  const images = await pixelsTogether(form.channels ?? 3, bytes, decodeJpeg);
  return images?.map((image) => toSize(image, form));
}

/** The largest file that is decoded together with others. */
const MAX_GROUPED_BYTES = 2 ** 20;

parentPort?.on("message", async (request: DecodeRequest) => {
  const result = await answer(request);
  parentPort?.postMessage(result, "pixels" in result ? [result.pixels.buffer] : []);
});
