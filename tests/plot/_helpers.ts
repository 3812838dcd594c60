/** Reads the ticks and the markers of a drawing. */

/** A tick: its position along the axis in pixels, its label, and the number of the label. */
export interface Tick {
  readonly at: number;
  readonly label: string;
  readonly value: number;
}

/** Returns the ticks with a label along an axis of an SVG drawing. */
export function ticks(svg: string, axis: "x" | "x2" | "x3" | "y"): Tick[] {
  const matches = svg.matchAll(
    new RegExp(`<g class="${axis}tick"><text([^>]*)>(.*?)</text></g>`, "g"),
  );
  return Array.from(matches, ([, attributes = "", markup = ""]) => {
    const [, x, y] = attributes.match(/translate\(([-\d.e]+),([-\d.e]+)\)/) ?? [];
    const label = markup.replace(/<tspan[^>]*dy="-[^>]*>(.*?)<\/tspan>/g, "^$1")
      .replace(/<[^>]*>/g, "");
    return { at: Number(axis === "y" ? y : x), label, value: numberIn(label) };
  }).filter(({ label }) => label !== "");
}

/** Returns the centres of the markers of an SVG drawing, in pixels. */
export function markers(svg: string): { x: number; y: number }[] {
  const [, left, top] = svg.match(/<g class="xy" transform="translate\(([\d.]+),([\d.]+)\)"/) ?? [];
  const matches = svg.matchAll(
    /<path class="point"[^>]*transform="translate\(([-\d.]+),([-\d.]+)\)"/g,
  );
  return Array.from(matches, ([, x, y]) => ({
    x: Number(left) + Number(x),
    y: Number(top) + Number(y),
  }));
}

/** A rectangle in pixels; y grows downwards. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Returns the boxes of the annotations of an SVG drawing, by their texts. */
export function annotations(svg: string): Map<string, Box> {
  const matches = svg.matchAll(
    /translate\(([-\d.]+),([-\d.]+)\)"><rect class="bg"[^>]* width="([\d.]+)" height="([\d.]+)"\/><text[^>]*>(.*?)<\/text>/g,
  );
  return new Map(Array.from(matches, ([, x, y, width, height, text]) => {
    const [left, top] = [Number(x), Number(y)];
    return [text!, { left, top, right: left + Number(width), bottom: top + Number(height) }];
  }));
}

/** Returns the boxes of the vertical error bars of an SVG drawing, caps included. */
export function errorBars(svg: string): Box[] {
  const [, left, top] = svg.match(/<g class="xy" transform="translate\(([\d.]+),([\d.]+)\)"/) ?? [];
  const matches = svg.matchAll(
    /class="yerror" d="M([\d.]+),([\d.]+)h([\d.]+)m-[\d.]+,0V([\d.]+)/g,
  );
  return Array.from(matches, ([, x, high, width, low]) => ({
    left: Number(left) + Number(x),
    right: Number(left) + Number(x) + Number(width),
    top: Number(top) + Number(high),
    bottom: Number(top) + Number(low),
  }));
}

/** Returns the number of a label: 1,000 · 2e−9 · 10^−3. */
export function numberIn(label: string): number {
  const text = label.replaceAll("−", "-").replaceAll(",", "").replaceAll("\u200b", "").trim();
  const power = text.match(/^(?:([-\d.]+)[×x])?10\^(-?\d+)$/);
  return power ? Number(`${power[1] ?? 1}e${power[2]}`) : Number(text);
}

/** Returns the number at a position of an axis, from its first and its last tick. */
export function read(ticks: readonly Tick[], position: number, scale: "linear" | "log"): number {
  const first = ticks[0]!, last = ticks.at(-1)!;
  const part = (position - first.at) / (last.at - first.at);
  return scale === "linear"
    ? first.value + part * (last.value - first.value)
    : 10 ** (Math.log10(first.value) + part * Math.log10(last.value / first.value));
}
