import { Buffer } from "node:buffer";
import type { Layout, PlotData, PlotMarker } from "plotly.js";
import { show } from "../tensor/internal.ts";
import { compact } from "./numbers.ts";
import { renderPng } from "./render.ts";
import { houseLayout, requirePixels, requireText } from "./style.ts";

/** The plotly trace types that draw as SVG; the others need WebGL and have no static picture. */
const traceTypes = [
  "bar",
  "box",
  "contour",
  "heatmap",
  "histogram",
  "image",
  "pie",
  "scatter",
  "violin",
] as const;

/**
 * One plotly trace, with the properties that plotly's own types know, of a type that can be drawn
 * without WebGL.
 */
export interface Trace extends Omit<Partial<PlotData>, "type" | "marker" | "text"> {
  /** What kind of mark the trace draws. */
  type: typeof traceTypes[number];
  /** The markers of a scatter trace or the colours of bars. */
  marker?: Partial<PlotMarker> & { angleref?: "previous" | "up" };
  /** The words at the points of a trace or in the cells of a heatmap. */
  text?: string | string[] | string[][];
  /** The picture of an `image` trace as a data URI. */
  source?: string;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

/** The forms in which a figure reaches a notebook: interactive, picture, and one sentence. */
export interface FigureBundle {
  "application/vnd.plotly.v1+json": { data: Trace[]; layout: Partial<Layout> };
  /** The static picture, a PNG file in base64. */
  "image/png": string;
  /** The sentence that says what the figure shows. */
  "text/plain": string;
}

/**
 * A picture of numbers: plotly traces, a plotly layout in the house style, and one sentence that
 * says what the figure shows.
 *
 * As the last expression of a cell of the Deno kernel it shows itself. The makers
 * (`lineChart`, `heatmap`, ...) return figures; make one directly for any other plotly chart.
 * Numbers are kept to five significant digits and typed arrays become plain ones, because the
 * figure is stored in the notebook as JSON.
 *
 * @example
 * ```ts
 * import { Figure } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = new Figure(
 *   [{ type: "scatter", y: Float32Array.of(0.1, 0.25) }],
 *   { yaxis: { title: { text: "Loss" } } },
 *   "The loss rises from 0.1 to 0.25.",
 * );
 * assert.deepEqual(figure.data, [{ type: "scatter", y: [0.1, 0.25] }]);
 * assert.equal(figure.layout.width, 700);
 * ```
 */
export class Figure {
  /** The plotly traces. */
  readonly data: Trace[];
  /** The plotly layout. */
  readonly layout: Partial<Layout>;
  /** One sentence that says what the figure shows. */
  readonly description: string;

  /**
   * @param data The plotly traces.
   * @param layout The plotly layout; the house style fills in what it leaves open.
   * @param description One sentence that says what the figure shows.
   * @throws {RangeError} If the width or the height is not positive or above 20,000 pixels.
   * @throws {TypeError} If a trace is of a type that needs WebGL, which no static picture can show.
   */
  constructor(data: readonly Trace[], layout: Partial<Layout>, description: string) {
    const doing = "Making a figure";
    if (!Array.isArray(data) || !isObject(layout)) {
      throw new TypeError(
        `${doing}: the data must be an array of traces and the layout an object, found ${
          show(data)
        } and ${show(layout)}.`,
      );
    }
    requireText(doing, "the description", description);
    for (const { type } of data) {
      if (!traceTypes.includes(type)) {
        throw new TypeError(
          `${doing}: expected traces of type ${traceTypes.join(", ")}, found "${type}", ` +
            "which the static picture cannot show (for a surface, use contour)",
        );
      }
    }
    for (const side of ["width", "height"] as const) {
      if (layout[side] !== undefined) requirePixels(doing, side, layout[side]);
    }
    this.data = compact(data);
    this.layout = { ...houseLayout, ...layout };
    this.description = description;
  }

  /**
   * The forms of this figure that a notebook stores: interactive plotly JSON, a static picture
   * of the layout's size, and the description.
   */
  async [Symbol.for("Jupyter.display")](): Promise<FigureBundle> {
    const { data, layout, description } = this;
    return {
      "application/vnd.plotly.v1+json": { data, layout },
      "image/png": Buffer.from(await renderPng(this)).toString("base64"),
      "text/plain": description,
    };
  }
}
