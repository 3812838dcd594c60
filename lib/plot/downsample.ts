/** Downsampling of points to those that are visible, because a notebook stores a figure as text. */
import { extent, type Numbers } from "./numbers.ts";
import type { Axis } from "./options.ts";

/**
 * A cloud or a winding path of more points is downsampled; a browser draws this many in a second.
 */
export const maxMarkers = 10_000;

/** Cells of a cloud, each about as large as a marker. */
const cells = { x: 120, y: 80 };

/**
 * Returns indices that keep the look of a line from left to right: the lowest and the highest point
 * of each interval of the axis, and the points on both sides of a gap.
 *
 * @param x The horizontal coordinates, ascending.
 * @param lists One or more lists of vertical coordinates.
 * @param maxPoints A line of more points is downsampled: the width of the chart in pixels.
 */
export function downsampleLine(
  x: Numbers,
  lists: readonly Numbers[],
  axis: Axis,
  maxPoints: number,
): number[] | undefined {
  const count = x.length;
  if (count <= maxPoints) return undefined;
  const intervals = Math.max(1, Math.floor(maxPoints / 2) - 1);
  const fractionOf = fractionAlong(axis, [x[0]!, x[count - 1]!]);
  // The intervals have whole numbers of points if the points are evenly spaced.
  const intervalOf = (index: number) => {
    const fraction = fractionOf(x[index]!);
    return fraction < 0 || fraction > 1
      ? Math.sign(fraction - 0.5) * Infinity
      : Math.ceil((fraction * (count - 1) + 1) * intervals / count) - 1;
  };
  const indices = new Set([0]);
  for (let start = 0, before = 0; start < count;) {
    const interval = intervalOf(start);
    let end = start + 1;
    while (end < count && intervalOf(end) === interval) end++;
    if (!(interval - before <= 1)) indices.add(Math.max(0, start - 1)).add(start);
    for (const index of extremes(lists, start, end)) indices.add(index);
    [before, start] = [interval, end];
  }
  return [...indices.add(count - 1)].sort((a, b) => a - b);
}

/** Returns indices that keep the look of any path: the extremes of each interval of points. */
export function downsamplePath(x: Numbers, y: Numbers): number[] | undefined {
  const count = x.length;
  if (count <= maxMarkers) return undefined;
  const intervals = maxMarkers / 5;
  const indices = new Set([0]);
  for (let interval = 0; interval < intervals; interval++) {
    const start = Math.floor(interval * count / intervals);
    const end = Math.floor((interval + 1) * count / intervals);
    for (const index of extremes([x, y], start, end)) indices.add(index);
  }
  return [...indices.add(count - 1)].sort((a, b) => a - b);
}

/**
 * Returns indices that keep the look of a cloud: one point of each cell that is not empty, and the
 * points furthest left, right, down and up.
 *
 * @param extents The extents of all clouds of the figure.
 * @param clouds The number of clouds of the figure.
 * @param lists More lists whose extremes are included, such as the ends of error bars.
 */
export function downsampleCloud(
  x: Numbers,
  y: Numbers,
  axes: { readonly x: Axis; readonly y: Axis },
  extents: { readonly x: readonly [number, number]; readonly y: readonly [number, number] },
  clouds: number,
  lists: readonly Numbers[] = [],
): number[] {
  const columns = Math.ceil(cells.x / Math.sqrt(clouds));
  const rows = Math.ceil(cells.y / Math.sqrt(clouds));
  const across = fractionAlong(axes.x, extents.x), up = fractionAlong(axes.y, extents.y);
  const cell = (fraction: number, cells: number) =>
    Math.min(cells, Math.max(-1, Math.floor(fraction * cells)));
  const usedCells = new Set<number>(), indices = new Set(extremes([x, y, ...lists], 0, x.length));
  for (let index = 0; index < x.length; index++) {
    const key = cell(across(x[index]!), columns) * (rows + 2) + cell(up(y[index]!), rows);
    if (!usedCells.has(key)) indices.add(index);
    usedCells.add(key);
  }
  return [...indices].sort((a, b) => a - b);
}

/** Returns the numbers at some indices, or all. */
export function pick(values: Numbers, indices: readonly number[] | undefined): number[] {
  return indices ? indices.map((index) => values[index]!) : Array.from(values);
}

/** Returns the position of numbers along an axis: 0 at its start, 1 at its end. */
function fractionAlong(
  { range, scale }: Axis,
  data: readonly [number, number],
): (value: number) => number {
  const [start, end] = extent(range ?? data);
  if (scale !== "log") return (value) => end > start ? (value - start) / (end - start) : 0.5;
  const first = Math.log10(start), length = Math.log10(end) - first;
  return (value) => length > 0 ? (Math.log10(value) - first) / length : 0.5;
}

/** Returns the indices of the smallest and the largest number of each list between two indices. */
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
