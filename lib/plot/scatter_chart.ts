import { Figure, type Trace } from "./figure.ts";
import { extent, type Numbers, requireOnAxis, requireSameLength, say } from "./numbers.ts";
import {
  type Axis,
  axisTitle,
  colors,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
} from "./style.ts";

/** Points of one name, colour and shape. */
export interface PointGroup {
  /** What they are. */
  name: string;
  /** Their places. */
  x: Numbers;
  /** Their heights. */
  y: Numbers;
  /** Half the length of a bar through each point, up and down: a standard deviation, half an interval. */
  spread?: Numbers;
}

/** What `scatterChart` takes beside its points. */
export interface ScatterChartOptions extends FigureOptions {
  /** The horizontal axis. */
  x: Axis;
  /** The vertical axis. */
  y: Axis;
}

/** As many shapes as there are, so that groups stay apart when the colours begin again. */
const shapes = ["circle", "diamond-open", "triangle-up", "square-open", "cross"] as const;

/** Where a group has more points than this, all are drawn small and a little transparent. */
const mostLargePoints = 50;

/**
 * Draws groups of separate points on linear or logarithmic axes, such as networks by work and accuracy, or images by class.
 *
 * Where each group is a single point its name stands beside it, otherwise in a legend.
 *
 * @param groups The points, each group with a name.
 * @param options The axes, title and size.
 * @throws {RangeError} If there is no group, a group has no points, `x`, `y` and `spread` differ in length, a number is not finite, a
 * spread is negative, or a number on a logarithmic axis is not positive.
 *
 * @example
 * ```ts
 * import { scatterChart } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = scatterChart(
 *   [{ name: "ResNet-18", x: [1.8], y: [69.8] }, { name: "ResNet-50", x: [4.1], y: [76.1] }],
 *   { x: { title: "Work", unit: "GMACs" }, y: { title: "Accuracy", unit: "%" } },
 * );
 * assert.deepEqual(figure.data.map(({ text }) => text), [["ResNet-18"], ["ResNet-50"]]);
 * assert.equal(
 *   figure.description,
 *   "Accuracy (%) against work (GMACs): ResNet-18 69.8 at 1.8; ResNet-50 76.1 at 4.1.",
 * );
 * ```
 */
export function scatterChart(groups: readonly PointGroup[], options: ScatterChartOptions): Figure {
  const doing = "Drawing a scatter chart";
  if (groups.length === 0) {
    throw new RangeError(`${doing}: expected at least one group, found none`);
  }
  for (const { name, x, y, spread } of groups) {
    requireOnAxis(doing, `x of "${name}"`, x, options.x);
    requireOnAxis(doing, `y of "${name}"`, y, options.y);
    requireSameLength(doing, [`x of "${name}"`, x], [`y of "${name}"`, y]);
    if (spread) checkSpread(doing, name, spread, y, options.y);
  }
  const single = groups.every(({ y }) => y.length === 1);
  const shown = {
    x: groups.flatMap(({ x }) => Array.from(x)),
    y: groups.flatMap(({ y, spread }) => spread ? ends(y, spread) : Array.from(y)),
  };
  const axes = single
    ? { x: withRoom(options.x, shown.x, 0.15), y: withRoom(options.y, shown.y, 0.14) }
    : { x: options.x, y: options.y };
  const positions = single ? placed(groups, axes.x, axes.y, options) : [];
  const small = groups.some(({ y }) => y.length > mostLargePoints);
  const data = groups.map(({ name, x, y, spread }, index): Trace => {
    const color = colors[index % colors.length]!;
    const shape = Math.floor(index / colors.length) % shapes.length;
    return {
      type: "scatter",
      mode: single ? "text+markers" : "markers",
      name,
      x: Array.from(x),
      y: Array.from(y),
      marker: { color, symbol: shapes[shape]!, size: small ? 5 : 9, opacity: small ? 0.7 : 1 },
      ...(single
        ? {
          text: [name],
          textposition: positions[index]!,
          textfont: { size: 11 },
          cliponaxis: false,
        }
        : {}),
      ...(spread ? { error_y: { type: "data", array: Array.from(spread), color, width: 4 } } : {}),
    };
  });
  const sentences = groups.map(({ name, x, y }) =>
    y.length === 1 ? `${name} ${say(y[0]!)} at ${say(x[0]!)}` : `${name} (${say(y.length)} points)`
  );
  return new Figure(
    data,
    {
      ...frame(options, single ? [] : groups.map(({ name }) => name)),
      xaxis: layoutAxis(axes.x, extent(shown.x)),
      yaxis: layoutAxis(axes.y, extent(shown.y)),
    },
    options.description ??
      `${axisTitle(options.y)} against ${inSentence(options.x)}: ${sentences.join("; ")}.`,
  );
}

function checkSpread(doing: string, name: string, spread: Numbers, y: Numbers, axis: Axis): void {
  const what = `spread of "${name}"`;
  requireSameLength(doing, [what, spread], [`y of "${name}"`, y]);
  requireOnAxis(doing, `${what} below and above`, ends(y, spread), axis);
  const negative = Array.from(spread).find((half) => half < 0);
  if (negative !== undefined) {
    throw new RangeError(`${doing}: expected no negative number in ${what}, found ${negative}`);
  }
}

/** The lower and the upper end of each bar. */
function ends(y: Numbers, spread: Numbers): number[] {
  return Array.from(y).flatMap((value, i) => [value - spread[i]!, value + spread[i]!]);
}

/** An axis that goes on a little to both sides of what it shows. */
function withRoom(axis: Axis, values: readonly number[], part: number): Axis {
  if (axis.range) return axis;
  const log = axis.scale === "log";
  const [low, high] = extent(log ? values.map(Math.log10) : values);
  const room = part * (high - low) || (log ? 1 : Math.abs(high) || 1) / 2;
  const range = [low - room, high + room] as const;
  return { ...axis, range: log ? [10 ** range[0], 10 ** range[1]] : range };
}

/** A rectangle in pixels. */
interface Box {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

/** Where a name may stand, best first: how many of its widths and heights its middle is away from the point. */
const places = [
  ["middle right", 1, 0],
  ["middle left", -1, 0],
  ["top center", 0, -1],
  ["bottom center", 0, 1],
  ["top right", 1, -1],
  ["bottom right", 1, 1],
  ["top left", -1, -1],
  ["bottom left", -1, 1],
] as const;

/** For each single point the first place for its name that covers no point, bar or other name and lies in the figure. */
function placed(
  groups: readonly PointGroup[],
  xAxis: Axis,
  yAxis: Axis,
  { width = 700, height = 420 }: FigureOptions,
): (typeof places)[number][0][] {
  const area = { width: width - 100, height: height - 112 };
  const part = ({ range, scale }: Axis, value: number) => {
    const [low, high, at] = [range![0], range![1], value].map((number) =>
      scale === "log" ? Math.log10(number) : number
    );
    return (at! - low!) / (high! - low!);
  };
  const points = groups.map(({ x, y, spread }) => {
    const height = (value: number) => area.height * (1 - part(yAxis, value));
    const half = spread?.[0] ?? 0;
    return {
      x: area.width * part(xAxis, x[0]!),
      y: height(y[0]!),
      top: height(y[0]! + half),
      bottom: height(y[0]! - half),
    };
  });
  const taken = points.map(({ x, y, top, bottom }): Box => ({
    left: x - 6,
    right: x + 6,
    top: Math.min(top, y - 6),
    bottom: Math.max(bottom, y + 6),
  }));
  return groups.map(({ name }, index) => {
    const { x, y } = points[index]!;
    const half = { width: 3.5 * name.length, height: 8 };
    const boxAt = (right: number, down: number): Box => {
      const middle = { x: x + right * (half.width + 7), y: y + down * (half.height + 7) };
      return {
        left: middle.x - half.width,
        right: middle.x + half.width,
        top: middle.y - half.height,
        bottom: middle.y + half.height,
      };
    };
    const isFree = (box: Box) =>
      box.left >= 0 && box.right <= area.width &&
      !taken.some((other) => overlaps(box, other));
    const [place, right, down] = places.find(([, right, down]) => isFree(boxAt(right, down))) ??
      places[2];
    taken.push(boxAt(right, down));
    return place;
  });
}

function overlaps(a: Box, b: Box): boolean {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
