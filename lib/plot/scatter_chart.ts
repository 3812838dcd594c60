import { checkOptions } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import { Figure, type Trace } from "./figure.ts";
import {
  inShort,
  jointExtent,
  leastSpread,
  type Numbers,
  requireOnAxis,
  requireSameLength,
  say,
} from "./numbers.ts";
import {
  asText,
  type Axis,
  axisTitle,
  chartNames,
  checkFigure,
  colors,
  type FigureOptions,
  frame,
  inSentence,
  layoutAxis,
  legendName,
  requireAxis,
  requireText,
  roomForPowers,
} from "./style.ts";
import { mostMarkers, pick, thinCloud } from "./thin.ts";

/** Points of one name, colour and shape. */
export interface PointGroup {
  /** What they are. */
  name: string;
  /** Their places. */
  x: Numbers;
  /** Their heights. */
  y: Numbers;
  /**
   * Half the length of a bar through each point, up and down: a standard deviation, half an
   * interval.
   */
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
 * Draws groups of separate points on linear or logarithmic axes, such as networks by work and
 * accuracy, or images by class.
 *
 * Where each group is a single point its name stands beside it, otherwise in a legend. Of a group
 * of more than 10,000 points those are drawn that can be told apart.
 *
 * @param groups The points, each group with a name.
 * @param options The axes, title and size.
 * @throws {RangeError} If there is no group, a group has no points, `x`, `y` and `spread` differ in
 * length, a number is not finite, a spread is negative, or a number on a logarithmic axis is not
 * positive.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  checkFigure<ScatterChartOptions>(
    doing,
    options,
    '{ x: { title: "Work" }, y: { title: "Accuracy" } }',
    chartNames,
  );
  requireAxis(doing, "axis x", options.x);
  requireAxis(doing, "axis y", options.y);
  if (!Array.isArray(groups)) {
    throw new TypeError(`${doing}: groups must be an array of objects, found ${show(groups)}.`);
  }
  if (groups.length === 0) {
    throw new RangeError(`${doing}: expected at least one group, found none`);
  }
  for (let index = 0; index < groups.length; index++) {
    checkGroup(doing, groups[index]!, index, options);
  }
  const single = groups.every(({ y }) => y.length === 1);
  const shown = {
    x: jointExtent(groups.map(({ x }) => x)),
    y: jointExtent(groups.flatMap(({ y, spread }) => spread ? ends(y, spread) : [y])),
  };
  const clouds = groups.filter(({ x }) => x.length > mostMarkers).length;
  const axes = single
    ? { x: withRoom(options.x, shown.x, 0.15), y: withRoom(options.y, shown.y, 0.14) }
    : { x: options.x, y: options.y };
  const positions = single ? placed(groups, axes.x, axes.y, options) : [];
  const small = groups.some(({ y }) => y.length > mostLargePoints);
  const data = groups.map(({ name, x, y, spread }, index): Trace => {
    const kept = x.length > mostMarkers
      ? thinCloud(x, y, axes, shown, clouds, spread ? ends(y, spread) : [])
      : undefined;
    const color = colors[index % colors.length]!;
    const shape = Math.floor(index / colors.length) % shapes.length;
    return {
      type: "scatter",
      mode: single ? "text+markers" : "markers",
      name: legendName(name, options),
      x: pick(x, kept),
      y: pick(y, kept),
      marker: { color, symbol: shapes[shape]!, size: small ? 5 : 9, opacity: small ? 0.7 : 1 },
      ...(single
        ? {
          text: [asText(name, mostLetters)],
          textposition: positions[index]!,
          textfont: { size: 11 },
          cliponaxis: false,
        }
        : {}),
      ...(spread ? { error_y: { type: "data", array: pick(spread, kept), color, width: 4 } } : {}),
    };
  });
  const sentences = groups.map(({ name, x, y }) =>
    y.length === 1 ? `${name} ${say(y[0]!)} at ${say(x[0]!)}` : `${name} (${say(y.length)} points)`
  );
  const room = roomForPowers(options);
  return new Figure(
    data,
    {
      ...frame(options, single ? [] : groups.map(({ name }) => name)),
      xaxis: layoutAxis(axes.x, shown.x, room.x),
      yaxis: layoutAxis(axes.y, shown.y, room.y),
    },
    options.description ??
      `${axisTitle(options.y)} against ${inSentence(options.x)}: ${inShort(sentences)}.`,
  );
}

/** A name beside a point is cut to this many letters. */
const mostLetters = 40;

function checkGroup(
  doing: string,
  group: PointGroup,
  index: number,
  axes: { x: Axis; y: Axis },
): void {
  checkOptions<PointGroup>(`${doing}, groups[${index}]`, group, '{ name: "a", x: [1], y: [2] }', {
    name: true,
    x: true,
    y: true,
    spread: true,
  });
  const { name, x, y, spread } = group;
  requireText(doing, `the name of groups[${index}]`, name);
  requireOnAxis(doing, `x of "${name}"`, x, axes.x);
  requireOnAxis(doing, `y of "${name}"`, y, axes.y);
  requireSameLength(doing, [`x of "${name}"`, x], [`y of "${name}"`, y]);
  if (!spread) return;
  const what = `spread of "${name}"`;
  requireOnAxis(doing, what, spread, {});
  requireSameLength(doing, [what, spread], [`y of "${name}"`, y]);
  for (const end of ends(y, spread)) {
    requireOnAxis(doing, `${what} below and above`, end, axes.y);
  }
  const negative = Array.from(spread).find((half) => half < 0);
  if (negative !== undefined) {
    throw new RangeError(`${doing}: expected no negative number in ${what}, found ${negative}`);
  }
}

/** The lower and the upper end of each bar. */
function ends(y: Numbers, spread: Numbers): [number[], number[]] {
  return [
    Array.from(y, (value, i) => value - spread[i]!),
    Array.from(y, (value, i) => value + spread[i]!),
  ];
}

/** An axis that goes on a little to both sides of what it shows. */
function withRoom(axis: Axis, shown: readonly [number, number], part: number): Axis {
  if (axis.range) return axis;
  const log = axis.scale === "log";
  const [low, high] = log ? [Math.log10(shown[0]), Math.log10(shown[1])] : shown;
  const near = high - low < (log ? 1e-8 : leastSpread([low, high]));
  const room = !near && part * (high - low) || (log ? 1 : Math.abs(high) || 1) / 2;
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

/**
 * Where a name may stand, best first: how many of its widths and heights its middle is away from
 * the point.
 */
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

/**
 * For each single point the first place for its name that covers no point, bar or other name and
 * lies in the figure.
 */
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
    const half = { width: 3.5 * Math.min(mostLetters, name.length), height: 8 };
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
