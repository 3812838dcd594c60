import type { SummaryRow } from "../nn/mod.ts";
import { checkString } from "../tensor/internal.ts";
import { checkFigureOptions, checkNotEmpty, checkNumberList, checkNumbers } from "./checks.ts";
import { Figure } from "./figure.ts";
import { escapeText, formatNumber, formatSI, truncate } from "./format.ts";
import { extent } from "./numbers.ts";
import { figureNames, type FigureOptions } from "./options.ts";
import { baseLayout, colors, extraTitleHeight, label } from "./style.ts";
import type { Trace } from "./trace.ts";

/** Options of {@linkcode networkDiagram}. */
export type NetworkDiagramOptions = Omit<FigureOptions, "height">;

/** Colour of a layer by the first of these patterns that matches its name. */
const kinds: readonly [RegExp, string][] = [
  [/conv/i, colors[0]],
  [/linear|dense/i, colors[1]],
  [/norm/i, colors[5]],
  [/pool/i, colors[2]],
  [/relu|sigmoid|tanh|gelu|swish|softmax/i, colors[4]],
  [/dropout/i, colors[3]],
];
const otherKind = colors[6];

/**
 * Draws a network from top to bottom: each layer with the shape of its output, and bars for its
 * parameters and its multiply-accumulate operations (MACs).
 *
 * @param rows The layers in the order of the computation: the `rows` of `summary`.
 * @param options The title and width.
 * @throws {RangeError} If there are no rows, or a count of parameters or MACs is not finite.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { networkDiagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = networkDiagram([
 *   { path: "0", layer: "flatten", outputShape: [784], parameters: 0, macs: 0 },
 *   { path: "1", layer: "linear 784 → 10", outputShape: [10], parameters: 7850, macs: 7840 },
 * ]);
 * assert.equal(
 *   figure.description,
 *   "Network of 2 layers with 7,850 parameters and 7,840 MACs; most parameters are in 1 " +
 *     "(linear 784 → 10), most MACs in 1 (linear 784 → 10).",
 * );
 * ```
 */
export function networkDiagram(
  rows: readonly SummaryRow[],
  options: NetworkDiagramOptions = {},
): Figure {
  const action = "Drawing a network";
  checkFigureOptions<NetworkDiagramOptions>(action, options, '{ title: "LeNet" }', figureNames);
  if (!Array.isArray(rows) && Object(rows).rows !== undefined) {
    throw new TypeError(
      `${action}: the rows must be an array, found a summary. Pass summary(model, shape).rows.`,
    );
  }
  checkNotEmpty(action, "the rows of summary(model, shape)", rows);
  for (const [index, row] of rows.entries()) {
    checkString(action, `the path of rows[${index}]`, row?.path);
    checkString(action, `the layer of rows[${index}]`, row.layer);
    checkNumberList(action, `the outputShape of rows[${index}]`, row.outputShape);
  }
  const parameters = rows.map((row) => row.parameters), macs = rows.map((row) => row.macs);
  checkNumbers(action, "parameters", parameters);
  checkNumbers(action, "macs", macs);

  const rowHeight = 22;
  const width = options.width ?? 700;
  const paths = rows.map(({ path }) => truncate(path, 26));
  const margin = {
    l: 16 + 6.6 * extent(paths.map((path) => path.length))[1],
    r: 16,
    t: (options.title === undefined ? 36 : 76) + extraTitleHeight(options),
    b: 12,
  };
  // Columns as fractions of the width: layer, output, parameters, MACs.
  const ends = [0, 0.42, 0.6, 0.8, 1];
  const layerLength = Math.floor((width - margin.l - margin.r) * ends[1]! / 6.8);
  const positions = rows.map((_, index) => index);
  const hovertext = rows.map(({ path, layer, outputShape, parameters, macs }) =>
    `<b>${escapeText(path, Infinity)}</b> ${escapeText(layer, Infinity)}<br>output ${
      outputShape.join("×")
    }` +
    `<br>${formatNumber(parameters)} parameters, ${formatNumber(macs)} MACs`
  );
  const bar = (x: number[], text: string[], color: string | string[], axis: string): Trace => ({
    type: "bar",
    orientation: "h",
    x,
    y: positions,
    text,
    hovertext,
    hoverinfo: "text",
    marker: { color },
    xaxis: axis,
  });
  const costs = (values: number[], axis: string): Trace => ({
    ...bar(values, values.map((value) => value === 0 ? "" : formatSI(value)), colors[0], axis),
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
          rows.map(({ layer }) => escapeText(layer, layerLength)),
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
        y: positions,
        text: rows.map(({ outputShape }) => outputShape.join("×")),
        textfont: { size: 11 },
        xaxis: "x2",
        hoverinfo: "skip",
      },
      costs(parameters, "x3"),
      costs(macs, "x4"),
    ],
    {
      ...baseLayout(options),
      width,
      height: rows.length * rowHeight + margin.t + margin.b,
      margin,
      bargap: 0.16,
      xaxis: column(0, 1),
      xaxis2: column(1, 1),
      // Space for the number after the longest bar.
      xaxis3: column(2, 1.5 * Math.max(1, extent(parameters)[1])),
      xaxis4: column(3, 1.5 * Math.max(1, extent(macs)[1])),
      yaxis: {
        range: [rows.length - 0.5, -0.5],
        tickvals: positions,
        ticktext: paths.map((path) => escapeText(path, Infinity)),
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
  const total = (values: number[]) => formatNumber(values.reduce((sum, value) => sum + value, 0));
  return `Network of ${rows.length} ${rows.length === 1 ? "layer" : "layers"} with ` +
    `${total(parameters)} parameters and ${total(macs)} MACs; most parameters are ` +
    `${most(parameters)}, most MACs ${most(macs)}.`;
}
