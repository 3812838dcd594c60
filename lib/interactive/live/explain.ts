/** Shows the numbers behind one unit of a network as HTML. */
import { Activation } from "../../nn/mod.ts";
import { Conv2d, Linear, Pool } from "../../nn/internal.ts";
import { ResidualBlock } from "../../models/internal.ts";
import type { Kit } from "../component.ts";
import { type LiveLayer, type Maps, windowOf } from "./answer.ts";

/** The place of a unit in its layer. */
export interface Unit {
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** The greatest number of products that are listed one by one. */
const LISTED = 10;

/** Returns one number of feature maps; outside of them it is the zero of the padding. */
export function valueAt(maps: Maps, { channel, row, column }: Unit): number {
  const { height, width, channels, values } = maps;
  const isInside = row >= 0 && row < height && column >= 0 && column < width;
  return isInside ? values[(row * width + column) * channels + channel]! : 0;
}

/**
 * Shows how the value of a unit comes from the input of its layer.
 *
 * @param from The input channel whose products are shown, -1 for the one with the largest sum.
 */
export function explain(kit: Kit, layer: LiveLayer, unit: Unit, from: number): string {
  const { module } = layer, value = valueAt(layer, unit);
  if (module instanceof Conv2d) return explainConv(kit, layer, module, unit, from);
  if (module instanceof Linear) return explainLinear(kit, layer, module, unit);
  if (module instanceof Pool) {
    const window = patch(layer.input, windowOf(module, layer.input), unit, unit.channel);
    const name = module.kind === "maxPool" ? "The largest number" : "The mean";
    return `<div class="panels">${grid("Window", window)}</div>` +
      said(`${name} of the window is ${result(kit, value)}.`);
  }
  if (module instanceof ResidualBlock) return explainBlock(kit, layer, module, unit);
  if (module instanceof Activation) {
    const input = valueAt(layer.input, unit);
    return said(`${module.name}(${short(input)}) = ${result(kit, value)}.`);
  }
  const { height, width } = layer.input;
  return said(
    `The mean of the ${height} × ${width} numbers of the feature map is ${result(kit, value)}.`,
  );
}

function explainConv(
  kit: Kit,
  layer: LiveLayer,
  module: Conv2d<number, number>,
  unit: Unit,
  from: number,
): string {
  const weights = module.weight.dataSync(), [rows, columns, inChannels, out] = module.weight.shape;
  const window = windowOf(module, layer.input);
  const patches = Array.from({ length: inChannels }, (_, c) => patch(layer.input, window, unit, c));
  const kernels = patches.map((_, c) =>
    Array.from(
      { length: rows },
      (_, i) =>
        Array.from({ length: columns }, (_, j) =>
          weights[((i * columns + j) * inChannels + c) * out + unit.channel]!),
    )
  );
  const products = patches.map((rows, c) =>
    rows.map((row, i) => row.map((number, j) => number * kernels[c]![i]![j]!))
  );
  const sums = products.map((rows) => sum(rows.flat()));
  const largest = sums.reduce((best, s, c) => Math.abs(s) > Math.abs(sums[best]!) ? c : best, 0);
  const shown = from >= 0 && from < inChannels ? from : largest;
  const options = sums.map((s, c) =>
    `<option value="${c}"${c === shown ? " selected" : ""}>${c + 1}: sum ${short(s)}</option>`
  );
  const choice = inChannels === 1
    ? ""
    : `<label>Input channel <select data-name="from" aria-label="Input channel">${
      options.join("")
    }</select></label>`;
  return choice + `<div class="panels">
${grid("Input patch", patches[shown]!)}<div class="sign">×</div>
${grid("Kernel", kernels[shown]!)}<div class="sign">=</div>
${grid(`Products, sum ${short(sums[shown]!)}`, products[shown]!)}</div>` +
    total(kit, sums.map((s, c) => [`channel ${c + 1}`, s]), biasOf(module, unit), layer, unit);
}

function explainLinear(
  kit: Kit,
  layer: LiveLayer,
  module: Linear<number, number>,
  unit: Unit,
): string {
  const weights = module.weight.dataSync(), [count, out] = module.weight.shape;
  const terms = Array.from({ length: count }, (_, i): Term => {
    const input = layer.input.values[i]!, weight = weights[i * out + unit.channel]!;
    return [`input ${i + 1}: ${short(input)} × ${short(weight)}`, input * weight];
  });
  return total(kit, terms, biasOf(module, unit), layer, unit);
}

/** A number of a sum, and its name. */
type Term = readonly [name: string, value: number];

/** The largest terms of a sum, the rest, the bias, and the value. */
function total(
  kit: Kit,
  terms: readonly Term[],
  bias: number,
  layer: LiveLayer,
  unit: Unit,
): string {
  const sorted = [...terms].sort(([, a], [, b]) => Math.abs(b) - Math.abs(a));
  const rest = sorted.slice(LISTED), products = sum(terms.map(([, value]) => value));
  const rows = [
    ...sorted.slice(0, LISTED),
    ...rest.length === 0
      ? []
      : [[`the other ${rest.length}`, sum(rest.map(([, value]) => value))] as const],
    ["bias", bias] as const,
  ].map(([name, value]) => `<tr><td>${name}</td><td>${short(value, 3)}</td></tr>`);
  return `<table class="terms" data-sum="${products}" data-bias="${bias}"><tbody>${rows.join("")}
<tr class="sum"><td>sum of products + bias</td><td>${
    result(kit, valueAt(layer, unit))
  }</td></tr></tbody></table>`;
}

function explainBlock(
  kit: Kit,
  layer: LiveLayer,
  module: ResidualBlock<number, number>,
  unit: Unit,
): string {
  const value = valueAt(layer, unit), inner = valueAt(layer.inner!, unit);
  if (module.describe().endsWith("no shortcut")) {
    return said(
      `relu(F(x)) = relu(${short(inner)}) = ${result(kit, value)}. F is the two ` +
        "convolutions; this network has no shortcut.",
    );
  }
  // Shortcut A: every stride-th pixel, and zeros in the channels that the input has not.
  const stride = Math.round(layer.input.height / layer.height);
  const place = { ...unit, row: unit.row * stride, column: unit.column * stride };
  const input = unit.channel < layer.input.channels ? valueAt(layer.input, place) : 0;
  return said(
    `relu(F(x) + x) = relu(<span data-inner="${inner}">${short(inner)}</span> + ` +
      `<span data-shortcut="${input}">${short(input)}</span>) = ${result(kit, value)}. F is the ` +
      "two convolutions, and x the input of the block on the shortcut.",
  );
}

function biasOf({ bias }: Conv2d<number, number> | Linear<number, number>, unit: Unit): number {
  return bias ? bias.dataSync()[unit.channel]! : 0;
}

/** The numbers of an input channel under the window of a unit. */
function patch(
  input: Maps,
  { kernelSize, stride, dilation, top, left }: ReturnType<typeof windowOf>,
  unit: Unit,
  channel: number,
): number[][] {
  return Array.from(
    { length: kernelSize[0] },
    (_, i) =>
      Array.from({ length: kernelSize[1] }, (_, j) =>
        valueAt(input, {
          channel,
          row: unit.row * stride[0] - top + i * dilation[0],
          column: unit.column * stride[1] - left + j * dilation[1],
        })),
  );
}

function grid(title: string, rows: readonly (readonly number[])[]): string {
  const reach = Math.max(...rows.flat().map(Math.abs)) || 1;
  const cell = (value: number) => {
    const share = (Math.abs(value) / reach * 0.55).toFixed(2);
    const color = value > 0 ? "213, 94, 0" : "30, 130, 200";
    return `<td style="background: rgba(${color}, ${share})">${short(value)}</td>`;
  };
  return `<div><h4>${title}</h4><table class="numbers"><tbody>${
    rows.map((row) => `<tr>${row.map(cell).join("")}</tr>`).join("")
  }</tbody></table></div>`;
}

function said(html: string): string {
  return `<p class="reading">${html}</p>`;
}

function result(kit: Kit, value: number): string {
  return `<b data-value="${value}">${kit.num(value, 4)}</b>`;
}

function short(value: number, digits = 2): string {
  const text = value.toFixed(digits);
  return (Number(text) === 0 ? (0).toFixed(digits) : text).replace("-", "−");
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
