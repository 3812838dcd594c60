/** Reads a drawing back: what its ticks say and where its marks are. */

/**
 * A tick's place along its axis in pixels of the drawing, its label, and the number that the label
 * says.
 */
export interface Tick {
  readonly at: number;
  readonly label: string;
  readonly value: number;
}

/** The ticks with a label along an axis of an SVG drawing. */
export function ticks(svg: string, axis: "x" | "y"): Tick[] {
  const found = svg.matchAll(
    new RegExp(`<g class="${axis}tick"><text([^>]*)>(.*?)</text></g>`, "g"),
  );
  return Array.from(found, ([, attributes = "", markup = ""]) => {
    const [, x, y] = attributes.match(/translate\(([-\d.e]+),([-\d.e]+)\)/) ?? [];
    const label = markup.replace(/<tspan[^>]*dy="-[^>]*>(.*?)<\/tspan>/g, "^$1")
      .replace(/<[^>]*>/g, "");
    return { at: Number(axis === "x" ? x : y), label, value: numberIn(label) };
  }).filter(({ label }) => label !== "");
}

/** The middles of the markers of an SVG drawing, in pixels of the drawing. */
export function markers(svg: string): { x: number; y: number }[] {
  const [, left, top] = svg.match(/<g class="xy" transform="translate\(([\d.]+),([\d.]+)\)"/) ?? [];
  const found = svg.matchAll(
    /<path class="point"[^>]*transform="translate\(([-\d.]+),([-\d.]+)\)"/g,
  );
  return Array.from(found, ([, x, y]) => ({
    x: Number(left) + Number(x),
    y: Number(top) + Number(y),
  }));
}

/** What a label says: 1,000 · 2e−9 · 10^−3. */
export function numberIn(label: string): number {
  const text = label.replaceAll("−", "-").replaceAll(",", "").replaceAll("\u200b", "").trim();
  const power = text.match(/^(?:([-\d.]+)[×x])?10\^(-?\d+)$/);
  return power ? Number(`${power[1] ?? 1}e${power[2]}`) : Number(text);
}

/** What one reads at a place of an axis, from its first and its last tick. */
export function read(ticks: readonly Tick[], place: number, scale: "linear" | "log"): number {
  const first = ticks[0]!, last = ticks.at(-1)!;
  const part = (place - first.at) / (last.at - first.at);
  return scale === "linear"
    ? first.value + part * (last.value - first.value)
    : 10 ** (Math.log10(first.value) + part * Math.log10(last.value / first.value));
}
