/** Pictures of figures in a web page, drawn by the plotly.js that the page has loaded. */
import type { Drawable, PngOptions } from "./render.ts";

/** Draws a figure as a PNG picture; see `toPng` of a figure. */
export async function renderPng(
  { data, layout }: Drawable,
  { scale = 1 }: PngOptions = {},
): Promise<Uint8Array> {
  const plotly: typeof import("plotly.js") | undefined = Reflect.get(
    globalThis as object,
    "Plotly",
  );
  if (!plotly) {
    throw new RangeError(
      "Drawing a picture: the page must have loaded plotly.js, found no Plotly. Load it by a script element.",
    );
  }
  // A copy, because plotly.js changes its arguments.
  const figure = JSON.parse(JSON.stringify({ data, layout }));
  const { width = 700, height = 420 } = layout;
  const address = await plotly.toImage(figure, { format: "png", width, height, scale });
  return await (await fetch(address)).bytes();
}
