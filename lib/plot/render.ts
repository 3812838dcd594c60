/**
 * A renderer without a browser: plotly.js draws SVG in a jsdom window, resvg converts it to PNG.
 *
 * The first picture loads the packages. Nothing needs the network: the font, DejaVu Sans, is an npm
 * package, so a picture is the same on each machine.
 */
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { checkNumber, checkOptions, show } from "../tensor/internal.ts";
import { encodePalettePng } from "./png.ts";
import { polyfillSvgMeasurements } from "./svg_measure.ts";
import type { Layout, Trace } from "./trace.ts";

const ACTION = "Drawing a picture";

/** Width and height in pixels of a figure whose layout has none. */
const defaultWidth = 700;
const defaultHeight = 420;

/** Traces and layout of a figure, such as a {@linkcode Figure}. */
export interface Drawable {
  /** The plotly traces. */
  readonly data: readonly Trace[];
  /** The plotly layout. */
  readonly layout: Layout;
}

/** Options of `toPng` of a figure. */
export interface PngOptions {
  /**
   * Pixels of the picture for each pixel of the layout, along each side.
   *
   * @default 1
   */
  scale?: number;
}

interface Renderer {
  svg(figure: Drawable): Promise<string>;
  png(svg: string, scale: number): Uint8Array;
}

/** The part of the jsdom window with plotly.js that drawing uses. */
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

/** The renderer, loaded at the first call. */
function renderer(): Promise<Renderer> {
  return loading ??= load();
}

/**
 * Draws a figure as an SVG document without a browser, in the size of its layout.
 *
 * The first call loads plotly.js, which takes about a second.
 *
 * @param figure The figure to draw.
 * @returns The text of the SVG document.
 */
export async function renderSvg(figure: Drawable): Promise<string> {
  checkDrawable(figure);
  return (await renderer()).svg(figure);
}

/** Draws a figure as a PNG picture without a browser; see `toPng` of a figure. */
export async function renderPng(
  figure: Drawable,
  options: PngOptions = {},
): Promise<Uint8Array> {
  checkDrawable(figure);
  if (typeof options === "string") {
    throw new TypeError(
      `${ACTION}: the options must be an object such as { scale: 2 }, found ${show(options)}. ` +
        `To save the picture: await Deno.writeFile(${show(options)}, await figure.toPng())`,
    );
  }
  checkOptions<PngOptions>(ACTION, options, "{ scale: 2 }", { scale: true });
  const { scale = 1 } = options;
  checkNumber(ACTION, "scale", scale, scale > 0 && scale <= 8, "a number above 0 and at most 8");
  const { svg, png } = await renderer();
  return png(await svg(figure), scale);
}

function checkDrawable(figure: unknown): void {
  const { data, layout } = (figure ?? {}) as Partial<Drawable>;
  if (Array.isArray(data) && typeof layout === "object" && layout !== null) return;
  throw new TypeError(`${ACTION}: the figure must be a Figure, found ${show(figure)}.`);
}

async function load(): Promise<Renderer> {
  const [{ JSDOM, VirtualConsole }, canvas, { svgPathProperties }, { Resvg }] = await Promise.all([
    import("jsdom"),
    import("@napi-rs/canvas"),
    import("svg-path-properties"),
    import("@resvg/resvg-js"),
    // Only files of these two are read. The imports declare the packages, so that their files are
    // found where this library is a dependency.
    import("plotly.js-dist-min/package.json", { with: { type: "json" } }),
    import("dejavu-fonts-ttf/package.json", { with: { type: "json" } }),
  ]);
  const fontFiles = ["DejaVuSans", "DejaVuSans-Bold"].map((name) =>
    packageFile(`npm:dejavu-fonts-ttf@2.37.3/ttf/${name}.ttf`)
  );
  for (const file of fontFiles) canvas.GlobalFonts.registerFromPath(file);

  const { window } = new JSDOM("<!doctype html><body></body>", {
    runScripts: "outside-only",
    pretendToBeVisual: true,
    // A console without listeners drops the hints of plotly.js.
    virtualConsole: new VirtualConsole(),
  });
  polyfillSvgMeasurements(window, canvas, svgPathProperties);
  window.eval(await readFile(packageFile("npm:plotly.js-dist-min@3.7.0/plotly.min.js"), "utf8"));
  const { JSON: windowJson, Plotly }: PlotlyWindow = window;

  return {
    async svg(figure) {
      const { width = defaultWidth, height = defaultHeight } = figure.layout;
      // "fast" embeds the picture of an image trace; otherwise plotly.js paints it pixel by pixel.
      const data = figure.data.map((trace) =>
        trace.type === "image" ? { ...trace, zsmooth: "fast" } : trace
      );
      // A copy made of the window's own objects, because plotly.js changes its arguments.
      const copy = windowJson.parse(
        JSON.stringify({ data, layout: { ...figure.layout, width, height } }),
      );
      const svg = await Plotly.toImage(copy, { format: "svg", width, height, imageDataOnly: true });
      return svg.replace(
        /(<g class="im"[^>]*><image [^>]*style=")/g,
        "$1image-rendering: pixelated; ",
      );
    },
    png(svg, scale) {
      const font = { fontFiles, loadSystemFonts: false, defaultFontFamily: "DejaVu Sans" };
      const image = new Resvg(forResvg(svg), {
        background: "#ffffff",
        font,
        ...(scale === 1 ? {} : { fitTo: { mode: "zoom", value: scale } }),
      }).render();
      return encodePalettePng(image.pixels, image.width, image.height);
    },
  };
}

/** Rewrites the parts of an SVG that resvg reads differently: gradients, crisp pixels, flips. */
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

/**
 * Returns the path of a file inside an npm package. The specifier has the version, because
 * publishing rewrites the names of imports only.
 */
function packageFile(specifier: string): string {
  return fileURLToPath(import.meta.resolve(specifier));
}
