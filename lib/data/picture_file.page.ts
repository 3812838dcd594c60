/** Reads all pixels of a picture in a web page, where a path is an address. */
import { rgbToGrey } from "./grey.ts";
import type { Pixels } from "./resample.ts";

export { fetchBytes as readBounded } from "./fetch_bytes.ts";

/** The drawing context of a page's canvas. Deno's has only WebGPU, so its type lacks this. */
interface Context {
  fillStyle: string;
  fillRect(x: number, y: number, width: number, height: number): void;
  drawImage(image: ImageBitmap, x: number, y: number): void;
  getImageData(x: number, y: number, width: number, height: number): ImageData;
}

/**
 * Returns a function that reads the bytes of a picture as the browser decodes them, upright and on
 * white, in red, green and blue or in grey.
 */
export function pixelReader(
  channels: 1 | 3,
): Promise<(bytes: Uint8Array<ArrayBuffer>) => Promise<Pixels>> {
  return Promise.resolve(async (bytes) => {
    const image = await createImageBitmap(new Blob([bytes]), { colorSpaceConversion: "none" });
    const { width, height } = image, pixels = width * height;
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d") as unknown as Context;
    context.fillStyle = "white";
    context.fillRect(0, 0, width, height);
    context.drawImage(image, 0, 0);
    image.close();
    const rgba = context.getImageData(0, 0, width, height).data;
    const data = new Uint8Array(3 * pixels);
    for (let i = 0; i < pixels; i++) data.set(rgba.subarray(4 * i, 4 * i + 3), 3 * i);
    if (channels === 1) rgbToGrey(data, pixels);
    return { data, height, width, channels };
  });
}
