import { checkArray, checkString, isTensor, show } from "../tensor/internal.ts";
import { checkPixels } from "./checks.ts";
import { extent, jointExtent, type Numbers } from "./numbers.ts";
import { type PngOptions, renderPng } from "./render.ts";
import { defaultLayout } from "./style.ts";
import { type Layout, type Trace, traceTypes } from "./trace.ts";

/** The forms in which a notebook stores a figure: interactive, picture, and one sentence. */
export interface FigureBundle {
  /** The interactive figure. */
  "application/vnd.plotly.v1+json": {
    data: Trace[];
    layout: Layout;
    config: { responsive: boolean };
  };
  /** The static picture, a PNG file in base64. */
  "image/png": string;
  /** The sentence that describes the figure. */
  "text/plain": string;
}

/**
 * A chart: plotly traces, a plotly layout in the library's style, and one sentence that describes
 * the figure.
 *
 * A notebook of the Deno kernel displays the figure that is the last expression of a cell. Each
 * chart function (`lineChart`, `heatmap`, …) returns one. A figure keeps five significant digits of
 * its numbers and stores typed arrays as plain ones, because a notebook stores it as JSON.
 *
 * @example
 * ```ts
 * import { type Figure, lineChart } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const axes = { x: { title: "Step" }, y: { title: "Loss" } };
 * const figure: Figure = lineChart([{ name: "loss", y: Float32Array.of(0.25, 0.1) }], axes);
 * assert.deepEqual(figure.data[0]?.y, [0.25, 0.1]);
 * assert.equal(figure.layout.width, 700);
 * ```
 */
export class Figure {
  /** The plotly traces. */
  readonly data: Trace[];
  /** The plotly layout. */
  readonly layout: Layout;
  /** One sentence that describes the figure. */
  readonly description: string;

  /**
   * Makes a figure from traces and a layout.
   *
   * @param data The plotly traces.
   * @param layout The plotly layout; the library's style fills in the rest.
   * @param description One sentence that describes the figure.
   * @throws {RangeError} If a trace is of a type that needs WebGL, which no static picture can
   * show, or the width or the height is not positive or above 20,000 pixels.
   * @throws {TypeError} If an argument or a number in a trace is of the wrong kind.
   */
  constructor(data: readonly Trace[], layout: Layout, description: string) {
    const action = "Making a figure";
    checkArray(action, "data", data);
    if (typeof layout !== "object" || layout === null) {
      throw new TypeError(`${action}: layout must be an object, found ${show(layout)}.`);
    }
    checkString(action, "the description", description);
    for (const { type } of data) {
      if (traceTypes.includes(type)) continue;
      throw new RangeError(
        `${action}: the type of a trace must be one of ${traceTypes.join(", ")}, which a static ` +
          `picture can show, found ${show(type)}. Draw a surface with contourPlot.`,
      );
    }
    for (const side of ["width", "height"] as const) {
      if (layout[side] !== undefined) checkPixels(action, side, layout[side]);
    }
    this.data = roundForStorage(action, data);
    this.layout = { ...defaultLayout, ...layout };
    this.description = description;
  }

  /**
   * Draws the figure as a PNG picture, without a browser. To save it:
   * `await Deno.writeFile("chart.png", await figure.toPng())`.
   *
   * The picture has one pixel for each pixel of the layout. The first call loads plotly.js, which
   * takes about a second.
   *
   * @returns The bytes of the PNG file.
   * @throws {RangeError} If the scale is not above 0 or above 8.
   * @throws {TypeError} If an option does not exist.
   *
   * @example
   * ```ts
   * import { barChart } from "resnet-lab";
   * import assert from "node:assert/strict";
   *
   * const axes = { x: { title: "Class" }, y: { title: "Images" } };
   * const png = await barChart(["cat", "dog"], [3, 5], axes).toPng();
   * assert.equal(new TextDecoder().decode(png.subarray(1, 4)), "PNG");
   * ```
   */
  async toPng(options: PngOptions = {}): Promise<Uint8Array> {
    return await renderPng(this, options);
  }

  /** Returns the description, which `console.log` shows in place of the traces. */
  [Symbol.for("Deno.customInspect")](): string {
    return this.description;
  }

  /**
   * Returns the forms of this figure that a notebook stores: interactive plotly JSON, a static
   * picture of the layout's size, and the description. The interactive figure fills the width of
   * the output, unless the figure was given a width.
   */
  async [Symbol.for("Jupyter.display")](): Promise<FigureBundle> {
    const { data, description } = this;
    const { width, ...flexible } = this.layout;
    const layout = width === defaultLayout.width ? { ...flexible, autosize: true } : this.layout;
    return {
      "application/vnd.plotly.v1+json": { data, layout, config: { responsive: true } },
      "image/png": (await renderPng(this)).toBase64(),
      "text/plain": description,
    };
  }
}

/**
 * Copies traces with plain arrays and only as many digits as a picture and its hover text can show:
 * five significant ones, and more where the values along an axis lie close together far from zero.
 */
function roundForStorage<T extends object>(action: string, traces: readonly T[]): T[] {
  // Rows of a matrix and traces on the same axis share one precision.
  const lists = new Map<string, Numbers[]>();
  for (const trace of traces) {
    mapNumbers(action, trace, "", (list, path) => {
      const key = axisKey(path, trace), others = lists.get(key);
      if (others) others.push(list);
      else lists.set(key, [list]);
      return list;
    });
  }
  const digits = new Map(
    Array.from(lists, ([key, lists]) => [key, digitsFor(jointExtent(lists))]),
  );
  return traces.map((trace) =>
    mapNumbers(action, trace, "", (list, path) => {
      const [min, max] = extent(list);
      const needed = Math.max(
        digits.get(axisKey(path, trace))!,
        min < max ? digitsFor([min, max]) : 0,
      );
      return Array.from(
        list,
        (number) =>
          Number.isInteger(number) || !Number.isFinite(number)
            ? number
            : Number(number.toPrecision(needed)),
      );
    }) as T
  );
}

/** Copies a trace or a part of it, with each list of numbers replaced. */
function mapNumbers(
  action: string,
  value: unknown,
  path: string,
  replace: (list: Numbers, path: string) => Numbers,
): unknown {
  if (isNumbers(value)) return replace(value, path);
  if (Array.isArray(value)) return value.map((item) => mapNumbers(action, item, path, replace));
  if (isTensor(value) || ArrayBuffer.isView(value) || typeof value === "bigint") {
    throw new TypeError(
      `${action}: ${path.slice(1)} of a trace must be numbers, found ` +
        `${ArrayBuffer.isView(value) ? value.constructor.name : show(value)}.`,
    );
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [
      key,
      mapNumbers(action, item, `${path}.${key}`, replace),
    ]),
  );
}

/** The axis of the figure, or the property of the traces, to which a list of numbers belongs. */
function axisKey(path: string, trace: object): string {
  return `${path} ${Reflect.get(trace, `${path.slice(1)}axis`) ?? ""}`;
}

/** Returns a number of digits: five more than all numbers between two ends have in common. */
function digitsFor([min, max]: readonly [number, number]): number {
  const common = Math.log10(Math.max(-min, max) / (max - min));
  // A single number keeps the 17 digits that identify it.
  return min === max ? 17 : Math.min(17, 5 + (common > 0 ? Math.round(common) : 0));
}

function isNumbers(value: unknown): value is Numbers {
  return Array.isArray(value)
    ? value.length > 0 && value.every((item) => typeof item === "number")
    : ArrayBuffer.isView(value) && "length" in value &&
      !(value instanceof BigInt64Array || value instanceof BigUint64Array);
}
