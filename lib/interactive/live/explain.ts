/** Shows the numbers behind one unit of a network as HTML. */
import type { Kit } from "../component.ts";
import type { LiveLayer, LiveWindow, Maps, Rule, Weights } from "./layer.ts";

/** The rule of a kind of layers. */
type RuleOf<Kind extends Rule["kind"]> = Extract<Rule, { readonly kind: Kind }>;

/** The place of a unit in its layer. */
export interface Unit {
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** The greatest number of products that are listed one by one. */
const LISTED = 10;

/** Returns one number of feature maps; outside of them it is the zero of the padding. */
export function valueAt(maps: Maps, { channel, row, column }: Unit, outside = 0): number {
  const { height, width, channels, values } = maps;
  const isInside = row >= 0 && row < height && column >= 0 && column < width;
  return isInside ? values[(row * width + column) * channels + channel]! : outside;
}

/**
 * Shows how the value of a unit comes from the input of its layer.
 *
 * @param from The input channel whose products are shown, -1 for the one with the largest sum.
 */
export function explain(kit: Kit, layer: LiveLayer, unit: Unit, from: number): string {
  const { rule } = layer, value = valueAt(layer, unit), input = valueAt(layer.input, unit);
  switch (rule.kind) {
    case "convolution":
      return explainConv(kit, layer, rule, unit, from);
    case "linear":
      return explainLinear(kit, layer, rule, unit);
    case "maxPool":
    case "avgPool": {
      // No number outside of the input is the largest.
      const outside = rule.kind === "maxPool" ? NaN : 0;
      const window = patch(layer.input, rule.window, unit, unit.channel, outside);
      const name = rule.kind === "maxPool" ? "The largest number" : "The mean";
      return `<div class="panels">${grid("Window", window)}</div>` +
        said(`${name} of the window is ${result(kit, value)}.`);
    }
    case "block":
      return explainBlock(kit, layer, rule, unit);
    case "function":
      return said(`${rule.name}(${short(input)}) = ${result(kit, value)}.`);
    case "batchNorm": {
      const { mean, variance, weight, bias } = rule;
      const [m, v, w, b] = [mean, variance, weight, bias].map(({ values }) =>
        short(values[unit.channel]!, 3)
      );
      return said(
        `(x − mean) / √(variance + ε) · weight + bias = ` +
          `(${short(input, 3)} − ${m}) / √(${v} + ${rule.epsilon}) · ${w} + ${b} = ${
            result(kit, value)
          }.`,
      );
    }
    case "pair": {
      const [a, b] = rule.operands.map((maps) => valueAt(maps, within(maps, unit)));
      return said(
        `<span data-first="${a}">${short(a!)}</span> ${rule.sign} ` +
          `<span data-second="${b}">${short(b!)}</span> = ${result(kit, value)}.`,
      );
    }
    case "concat": {
      let { channel } = unit;
      const part = rule.parts.find(({ channels }) => {
        if (channel < channels) return true;
        channel -= channels;
        return false;
      })!;
      return said(
        `The value is that of channel ${channel + 1} of ${kit.escape(part.path)}, ` +
          `${result(kit, value)}.`,
      );
    }
    case "mean": {
      const { height, width } = layer.input;
      const numbers = rule.isWhole ? `the ${height} × ${width} numbers` : "a part";
      return said(`The mean of ${numbers} of the feature map is ${result(kit, value)}.`);
    }
    case "other":
      return said(`The value is ${rule.text}, ${result(kit, value)}.`);
  }
}

/** The unit in maps that may have one row, column or channel for all. */
function within({ height, width, channels }: Maps, { channel, row, column }: Unit): Unit {
  return {
    channel: Math.min(channel, channels - 1),
    ...{ row: Math.min(row, height - 1), column: Math.min(column, width - 1) },
  };
}

function explainConv(
  kit: Kit,
  layer: LiveLayer,
  { weight, bias, window }: RuleOf<"convolution">,
  unit: Unit,
  from: number,
): string {
  const weights = weight.values;
  const [rows, columns, inChannels, out] = weight.shape as [number, number, number, number];
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
    total(kit, sums.map((s, c) => [`channel ${c + 1}`, s]), biasOf(bias, unit), layer, unit);
}

function explainLinear(
  kit: Kit,
  layer: LiveLayer,
  { weight, bias }: RuleOf<"linear">,
  unit: Unit,
): string {
  const weights = weight.values, [count, out] = weight.shape as [number, number];
  const terms = Array.from({ length: count }, (_, i): Term => {
    const input = layer.input.values[i]!, weight = weights[i * out + unit.channel]!;
    return [`input ${i + 1}: ${short(input)} × ${short(weight)}`, input * weight];
  });
  return total(kit, terms, biasOf(bias, unit), layer, unit);
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
  rule: RuleOf<"block">,
  unit: Unit,
): string {
  const value = valueAt(layer, unit), inner = valueAt(rule.inner, unit);
  if (!rule.hasShortcut) {
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

function biasOf(bias: Weights | undefined, { channel }: Unit): number {
  return bias?.values[channel] ?? 0;
}

/** The numbers of an input channel under the window of a unit. */
function patch(
  input: Maps,
  { kernelSize, stride, dilation, top, left }: LiveWindow,
  unit: Unit,
  channel: number,
  outside = 0,
): number[][] {
  return Array.from(
    { length: kernelSize[0] },
    (_, i) =>
      Array.from({ length: kernelSize[1] }, (_, j) =>
        valueAt(input, {
          channel,
          row: unit.row * stride[0] - top + i * dilation[0],
          column: unit.column * stride[1] - left + j * dilation[1],
        }, outside)),
  );
}

function grid(title: string, rows: readonly (readonly number[])[]): string {
  const numbers = rows.flat().filter((value) => !Number.isNaN(value));
  const reach = Math.max(...numbers.map(Math.abs)) || 1;
  const cell = (value: number) => {
    if (Number.isNaN(value)) return "<td></td>";
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
