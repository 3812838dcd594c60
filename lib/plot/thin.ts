/** Leaves out points that nobody could see: a figure is 700 pixels wide and is stored as text. */
import { extent, type Numbers } from "./numbers.ts";
import type { Axis } from "./style.ts";

/** A line from left to right of more points is thinned. */
const mostPoints = 1000;

/** A cloud or a winding path of more points is thinned; a browser draws this many in a second. */
export const mostMarkers = 10_000;

/** The cells of a cloud, each about as large as a marker. */
const cells = { x: 120, y: 80 };

/**
 * The indices that keep the look of a line from left to right: the lowest and the highest point of
 * each stretch of the axis, and the points on both sides of a gap.
 *
 * @param x The places, ascending.
 * @param heights One or more lists of heights at these places.
 */
export function thinLine(
  x: Numbers,
  heights: readonly Numbers[],
  axis: Axis,
): number[] | undefined {
  const count = x.length;
  if (count <= mostPoints) return undefined;
  const stretches = mostPoints / 2 - 1;
  const part = fractionAlong(axis, [x[0]!, x[count - 1]!]);
  // Numbered so that even places fall into stretches of whole numbers of points.
  const stretchOf = (index: number) => {
    const place = part(x[index]!);
    return place < 0 || place > 1
      ? Math.sign(place - 0.5) * Infinity
      : Math.ceil((place * (count - 1) + 1) * stretches / count) - 1;
  };
  const kept = new Set([0]);
  for (let start = 0, before = 0; start < count;) {
    const stretch = stretchOf(start);
    let end = start + 1;
    while (end < count && stretchOf(end) === stretch) end++;
    if (!(stretch - before <= 1)) kept.add(Math.max(0, start - 1)).add(start);
    for (const index of extremes(heights, start, end)) kept.add(index);
    [before, start] = [stretch, end];
  }
  return [...kept.add(count - 1)].sort((a, b) => a - b);
}

/**
 * The indices that keep the look of a path that goes anywhere: the extremes of each stretch of
 * points.
 */
export function thinPath(x: Numbers, y: Numbers): number[] | undefined {
  const count = x.length;
  if (count <= mostMarkers) return undefined;
  const stretches = mostMarkers / 5;
  const kept = new Set([0]);
  for (let stretch = 0; stretch < stretches; stretch++) {
    const start = Math.floor(stretch * count / stretches);
    const end = Math.floor((stretch + 1) * count / stretches);
    for (const index of extremes([x, y], start, end)) kept.add(index);
  }
  return [...kept.add(count - 1)].sort((a, b) => a - b);
}

/**
 * The indices that keep the look of a cloud: one point of each cell that has any, and those
 * furthest left, right, down and up.
 *
 * @param shown The extents of all clouds of the figure.
 * @param clouds How many clouds the figure has.
 * @param heights More lists whose extremes are kept, such as the ends of bars.
 */
export function thinCloud(
  x: Numbers,
  y: Numbers,
  axes: { readonly x: Axis; readonly y: Axis },
  shown: { readonly x: readonly [number, number]; readonly y: readonly [number, number] },
  clouds: number,
  heights: readonly Numbers[] = [],
): number[] {
  const columns = Math.ceil(cells.x / Math.sqrt(clouds));
  const rows = Math.ceil(cells.y / Math.sqrt(clouds));
  const across = fractionAlong(axes.x, shown.x), up = fractionAlong(axes.y, shown.y);
  const cell = (fraction: number, cells: number) =>
    Math.min(cells, Math.max(-1, Math.floor(fraction * cells)));
  const taken = new Set<number>(), kept = new Set(extremes([x, y, ...heights], 0, x.length));
  for (let index = 0; index < x.length; index++) {
    const key = cell(across(x[index]!), columns) * (rows + 2) + cell(up(y[index]!), rows);
    if (!taken.has(key)) kept.add(index);
    taken.add(key);
  }
  return [...kept].sort((a, b) => a - b);
}

/** Numbers at some indices, or all. */
export function pick(values: Numbers, indices: readonly number[] | undefined): number[] {
  return indices ? indices.map((index) => values[index]!) : Array.from(values);
}

/** Where a number lies along an axis: 0 at its start, 1 at its end. */
function fractionAlong(
  { range, scale }: Axis,
  shown: readonly [number, number],
): (value: number) => number {
  const [start, end] = extent(range ?? shown);
  if (scale !== "log") return (value) => end > start ? (value - start) / (end - start) : 0.5;
  const first = Math.log10(start), length = Math.log10(end) - first;
  return (value) => length > 0 ? (Math.log10(value) - first) / length : 0.5;
}

/** Where each list has its least and its greatest number between two indices. */
function extremes(lists: readonly Numbers[], start: number, end: number): number[] {
  return lists.flatMap((list) => {
    let low = start, high = start;
    for (let index = start; index < end; index++) {
      if (list[index]! < list[low]!) low = index;
      if (list[index]! > list[high]!) high = index;
    }
    return [low, high];
  });
}
