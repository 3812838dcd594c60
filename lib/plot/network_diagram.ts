import { show } from "../tensor/internal.ts";
import type { SummaryRow } from "../nn/mod.ts";
import { Figure, type Trace } from "./figure.ts";
import { extent, requireList, requireNumbers, say, short } from "./numbers.ts";
import {
  asText,
  checkFigure,
  colors,
  extraTitleHeight,
  figureNames,
  type FigureOptions,
  frame,
  label,
  requireText,
} from "./style.ts";

/** What `networkDiagram` takes beside the rows. */
export type NetworkDiagramOptions = Omit<FigureOptions, "height">;

/** The colour of a layer by the first of these words that its name holds. */
const kinds: readonly [RegExp, string][] = [
  [/conv/i, colors[0]],
  [/linear|dense/i, colors[1]],
  [/norm/i, colors[5]],
  [/pool/i, colors[2]],
  [/relu|sigmoid|tanh|gelu|softmax/i, colors[4]],
  [/dropout/i, colors[3]],
];
const otherKind = colors[6];

/**
 * Draws a network from top to bottom: each layer with the shape of its output, and bars for where
 * its parameters and its work (multiply-accumulate operations, MACs) are.
 *
 * @param rows The layers in the order of the computation, as `summary` gives them in its `rows`.
 * @param options The title and width.
 * @throws {RangeError} If there are no rows, or a count of parameters or MACs is not finite.
 * @throws {TypeError} If there is no such option, or something is of another kind.
 *
 * @example
 * ```ts
 * import { networkDiagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = networkDiagram([
 *   { path: "0", layer: "flatten", outputShape: [784], parameters: 0, macs: 0 },
 *   { path: "1", layer: "linear(784, 10)", outputShape: [10], parameters: 7850, macs: 7840 },
 * ]);
 * assert.equal(
 *   figure.description,
 *   "Network of 2 layers with 7,850 parameters and 7,840 MACs; most parameters are in 1 " +
 *     "(linear(784, 10)), most MACs in 1 (linear(784, 10)).",
 * );
 * ```
 */
export function networkDiagram(
  rows: readonly SummaryRow[],
  options: NetworkDiagramOptions = {},
): Figure {
  const doing = "Drawing a network";
  checkFigure<NetworkDiagramOptions>(doing, options, '{ title: "LeNet" }', figureNames);
  if (!Array.isArray(rows)) {
    throw new TypeError(
      `${doing}: the rows must be those of summary(model, shape).rows, found ${show(rows)}.`,
    );
  }
  if (rows.length === 0) throw new RangeError(`${doing}: expected at least one layer, found none`);
  for (const [index, row] of rows.entries()) {
    requireText(doing, `the path of rows[${index}]`, row?.path);
    requireText(doing, `the layer of rows[${index}]`, row.layer);
    requireList(doing, `the outputShape of rows[${index}]`, row.outputShape);
  }
  const parameters = rows.map((row) => row.parameters), macs = rows.map((row) => row.macs);
  requireNumbers(doing, "parameters", parameters);
  requireNumbers(doing, "macs", macs);

  const rowHeight = 22;
  const width = options.width ?? 700;
  const paths = rows.map(({ path }) => clip(path, 26));
  const margin = {
    l: 16 + 6.6 * extent(paths.map((path) => path.length))[1],
    r: 16,
    t: (options.title === undefined ? 36 : 76) + extraTitleHeight(options),
    b: 12,
  };
  // The shares of the width: what the layer is, its output, its parameters, its MACs.
  const ends = [0, 0.42, 0.6, 0.8, 1];
  const layerLength = Math.floor((width - margin.l - margin.r) * ends[1]! / 6.8);
  const places = rows.map((_, index) => index);
  const hovertext = rows.map(({ path, layer, outputShape, parameters, macs }) =>
    `<b>${asText(path, Infinity)}</b> ${asText(layer, Infinity)}<br>output ${
      outputShape.join("×")
    }` +
    `<br>${say(parameters)} parameters, ${say(macs)} MACs`
  );
  const bar = (x: number[], text: string[], color: string | string[], axis: string): Trace => ({
    type: "bar",
    orientation: "h",
    x,
    y: places,
    text,
    hovertext,
    hoverinfo: "text",
    marker: { color },
    xaxis: axis,
  });
  const costs = (values: number[], axis: string): Trace => ({
    ...bar(values, values.map((value) => value === 0 ? "" : short(value)), colors[0], axis),
    textposition: "outside",
    textfont: { size: 10 },
    cliponaxis: false,
  });
  const column = (index: number, end: number) => ({
    domain: [ends[index]!, ends[index + 1]!],
    range: [0, end],
    visible: false,
  });
  const heading = (text: string, x: number, xanchor: "left" | "center") =>
    label(`<b>${text}</b>`, {
      xref: "paper",
      yref: "paper",
      x,
      y: 1,
      xanchor,
      yanchor: "bottom",
    });
  return new Figure(
    [
      {
        ...bar(
          rows.map(() => 1),
          rows.map(({ layer }) => asText(layer, layerLength)),
          rows.map(({ layer }) => kinds.find(([word]) => word.test(layer))?.[1] ?? otherKind),
          "x",
        ),
        textposition: "inside",
        insidetextanchor: "middle",
        textfont: { size: 11 },
      },
      {
        type: "scatter",
        mode: "text",
        x: rows.map(() => 0.5),
        y: places,
        text: rows.map(({ outputShape }) => outputShape.join("×")),
        textfont: { size: 11 },
        xaxis: "x2",
        hoverinfo: "skip",
      },
      costs(parameters, "x3"),
      costs(macs, "x4"),
    ],
    {
      ...frame(options),
      width,
      height: rows.length * rowHeight + margin.t + margin.b,
      margin,
      bargap: 0.16,
      xaxis: column(0, 1),
      xaxis2: column(1, 1),
      // Room for the number behind the longest bar.
      xaxis3: column(2, 1.5 * Math.max(1, extent(parameters)[1])),
      xaxis4: column(3, 1.5 * Math.max(1, extent(macs)[1])),
      yaxis: {
        range: [rows.length - 0.5, -0.5],
        tickvals: places,
        ticktext: paths.map((path) => asText(path, Infinity)),
        tickfont: { size: 11 },
        ticks: "",
        showgrid: false,
        showline: false,
        automargin: false,
      },
      annotations: [
        heading("Layer", ends[1]! / 2, "center"),
        heading("Output", (ends[1]! + ends[2]!) / 2, "center"),
        heading("Parameters", ends[2]!, "left"),
        heading("MACs", ends[3]!, "left"),
      ],
    },
    options.description ?? describe(rows, parameters, macs),
  );
}

function describe(rows: readonly SummaryRow[], parameters: number[], macs: number[]): string {
  const most = (values: number[]) => {
    const row = rows[values.indexOf(extent(values)[1])]!;
    return `in ${row.path} (${row.layer})`;
  };
  const total = (values: number[]) => say(values.reduce((sum, value) => sum + value, 0));
  return `Network of ${rows.length} ${rows.length === 1 ? "layer" : "layers"} with ` +
    `${total(parameters)} parameters and ${total(macs)} MACs; most parameters are ` +
    `${most(parameters)}, most MACs ${most(macs)}.`;
}

function clip(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1)}…`;
}
