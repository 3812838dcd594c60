/**
 * The renderer without a browser: plotly.js draws SVG in a jsdom window, resvg turns it into PNG.
 *
 * Nothing here is loaded before the first picture is asked for, and nothing touches the network:
 * the one font, DejaVu Sans, comes from an npm package, so a picture is the same on each machine.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { show } from "../tensor/internal.ts";
import type { Figure } from "./figure.ts";
import { opaquePng } from "./png.ts";
import { fillInMeasurements } from "./svg_measure.ts";

/** The width and height in pixels of a figure whose layout gives none. */
const defaultWidth = 700;
const defaultHeight = 420;

type Drawable = Pick<Figure, "data" | "layout">;

interface Renderer {
  svg(figure: Drawable): Promise<string>;
  png(svg: string): Uint8Array;
}

/** The part of the jsdom window with plotly.js in it that drawing needs. */
interface PlotlyWindow {
  JSON: typeof JSON;
  Plotly: {
    toImage(
      figure: unknown,
      options: { format: "svg"; width: number; height: number; imageDataOnly: true },
    ): Promise<string>;
  };
}

let loading: Promise<Renderer> | undefined;

/** The one renderer, loaded when it is first asked for. */
function renderer(): Promise<Renderer> {
  return loading ??= load();
}

/**
 * Draws a figure as an SVG document without a browser.
 *
 * The size is that of `layout.width` and `layout.height` (700 by 420 pixels when they are absent).
 * The first call loads plotly.js, which takes about a second.
 *
 * @param figure What to draw.
 * @returns The text of the SVG document.
 *
 * @example
 * ```ts
 * import { barChart, renderSvg } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = barChart(["cat", "dog"], [3, 5], { x: { title: "Class" }, y: { title: "Images" } });
 * const svg = await renderSvg(figure);
 * assert.ok(svg.startsWith("<svg") && svg.includes("Images"));
 * ```
 */
export async function renderSvg(figure: Drawable): Promise<string> {
  requireFigure(figure);
  return (await renderer()).svg(figure);
}

/**
 * Draws a figure as a PNG picture without a browser, two pixels for each pixel of its layout.
 *
 * @param figure What to draw.
 * @returns The bytes of the PNG file.
 *
 * @example
 * ```ts
 * import { barChart, renderPng } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = barChart(["cat", "dog"], [3, 5], { x: { title: "Class" }, y: { title: "Images" } });
 * const png = await renderPng(figure);
 * assert.equal(new TextDecoder().decode(png.subarray(1, 4)), "PNG");
 * ```
 */
export async function renderPng(figure: Drawable): Promise<Uint8Array> {
  requireFigure(figure);
  const { svg, png } = await renderer();
  return png(await svg(figure));
}

function requireFigure(figure: unknown): void {
  const { data, layout } = (figure ?? {}) as Partial<Drawable>;
  if (Array.isArray(data) && typeof layout === "object" && layout !== null) return;
  throw new TypeError(`Drawing a picture: the figure must be a Figure, found ${show(figure)}.`);
}

async function load(): Promise<Renderer> {
  const [{ JSDOM, VirtualConsole }, canvas, { svgPathProperties }, { Resvg }] = await Promise.all([
    import("jsdom"),
    import("@napi-rs/canvas"),
    import("svg-path-properties"),
    import("@resvg/resvg-js"),
    // Only files of these two are read. The imports make the packages known where this library is
    // a dependency; without them their files could not be found there.
    import("plotly.js-dist-min/package.json", { with: { type: "json" } }),
    import("dejavu-fonts-ttf/package.json", { with: { type: "json" } }),
  ]);
  const fontFiles = ["DejaVuSans", "DejaVuSans-Bold"].map((name) =>
    packageFile(`dejavu-fonts-ttf/ttf/${name}.ttf`)
  );
  for (const file of fontFiles) canvas.GlobalFonts.registerFromPath(file);

  const { window } = new JSDOM("<!doctype html><body></body>", {
    runScripts: "outside-only",
    pretendToBeVisual: true,
    // One that nobody listens to: plotly.js's hints are not the reader's concern.
    virtualConsole: new VirtualConsole(),
  });
  fillInMeasurements(window, canvas, svgPathProperties);
  window.eval(await readFile(packageFile("plotly.js-dist-min/plotly.min.js"), "utf8"));
  const { JSON: windowJson, Plotly }: PlotlyWindow = window;

  return {
    async svg(figure) {
      const { width = defaultWidth, height = defaultHeight } = figure.layout;
      // An image trace as the picture it is; otherwise plotly.js would paint it pixel by pixel.
      const data = figure.data.map((trace) =>
        trace.type === "image" ? { ...trace, zsmooth: "fast" } : trace
      );
      // A copy made of the window's own objects: plotly.js writes into what it is given.
      const copy = windowJson.parse(
        JSON.stringify({ data, layout: { ...figure.layout, width, height } }),
      );
      const svg = await Plotly.toImage(copy, { format: "svg", width, height, imageDataOnly: true });
      return svg.replace(
        /(<g class="im"[^>]*><image [^>]*style=")/g,
        "$1image-rendering: pixelated; ",
      );
    },
    png(svg) {
      const font = { fontFiles, loadSystemFonts: false, defaultFontFamily: "DejaVu Sans" };
      // As many pixels as the layout says: JupyterLab shows the picture in that size until the
      // mouse touches it.
      const image = new Resvg(forResvg(svg), { background: "#ffffff", font }).render();
      return opaquePng(image.pixels, image.width, image.height);
    },
  };
}

/** What resvg reads differently: gradients, crisp pixels, and images that an axis turns around. */
function forResvg(svg: string): string {
  return svg
    .replace(/url\('(#[^']*)'\)/g, "url($1)")
    .replaceAll("image-rendering: pixelated", "image-rendering: optimizeSpeed")
    .replace(
      /<image ([^>]*style="[^"]*)transform: ([^;"]*);/g,
      (_, before: string, transform: string) =>
        `<image transform="${transform.replaceAll("px", "")}" ${before}`,
    );
}

/** The path of a file inside an npm package, wherever this library is imported from. */
function packageFile(specifier: string): string {
  return fileURLToPath(import.meta.resolve(specifier));
}
