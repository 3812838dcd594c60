import type { Annotations } from "plotly.js";
import { checkOptions, checkString } from "../tensor/internal.ts";
import {
  checkAxisValues,
  checkChartAxis,
  checkColors,
  checkFigureOptions,
  checkNotEmpty,
  checkSameLength,
} from "./checks.ts";
import { downsampleCloud, maxMarkers, pick } from "./downsample.ts";
import { Figure } from "./figure.ts";
import { escapeText, formatNumber, joinClauses } from "./format.ts";
import { type Box, placeLabels } from "./label_placement.ts";
import { jointExtent, minSpread, type Numbers } from "./numbers.ts";
import { type Axis, chartNames, type ColorOptions, type FigureOptions } from "./options.ts";
import {
  axisTitle,
  baseLayout,
  colors,
  layoutAxis,
  legendName,
  lowerFirst,
  maxDecadeTicks,
  plotArea,
} from "./style.ts";
import type { Trace } from "./trace.ts";

/** A named group of points of one colour and shape; groups of equal colours differ in shape. */
export interface PointGroup {
  /** Name beside the point or in the legend. */
  name: string;
  /** Horizontal coordinates of the points. */
  x: Numbers;
  /** Vertical coordinates of the points. */
  y: Numbers;
  /**
   * Length of the error bar of each point, up and down: a standard deviation, or half an interval.
   */
  spread?: Numbers;
}

/** Options of {@linkcode scatterChart}. */
export interface ScatterChartOptions extends FigureOptions, ColorOptions {
  /** Horizontal axis. */
  x: Axis;
  /** Vertical axis. */
  y: Axis;
}

/** Shapes that distinguish groups of the same colour. */
const shapes = ["circle", "diamond-open", "triangle-up", "square-open", "cross"] as const;

/** If a group has more points than this, all points are small and slightly transparent. */
const maxLargePoints = 50;

/**
 * Draws groups of separate points on linear or logarithmic axes, such as networks by work and
 * accuracy, or images by class.
 *
 * If each group is a single point, its name is beside it, otherwise in a legend. A group of more
 * than 10,000 points is downsampled to the points that can be distinguished.
 *
 * @param groups The points, each group with a name.
 * @param options The axes, title and size.
 * @throws {RangeError} If there is no group, a group has no points, `x`, `y` and `spread` differ in
 * length, a number is not finite, a spread is negative, or a number on a logarithmic axis is not
 * positive.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
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
 * const names = figure.layout.annotations?.map(({ text }) => text);
 * assert.deepEqual(names, ["ResNet-18", "ResNet-50"]);
 * assert.equal(
 *   figure.description,
 *   "Accuracy (%) against work (GMACs): ResNet-18 69.8 at 1.8; ResNet-50 76.1 at 4.1.",
 * );
 * ```
 */
export function scatterChart(groups: readonly PointGroup[], options: ScatterChartOptions): Figure {
  const action = "Drawing a scatter chart";
  checkFigureOptions<ScatterChartOptions>(
    action,
    options,
    '{ x: { title: "Work" }, y: { title: "Accuracy" } }',
    { ...chartNames, colors: true },
  );
  checkChartAxis(action, "axis x", options.x);
  checkChartAxis(action, "axis y", options.y);
  checkNotEmpty(action, "groups", groups);
  for (let index = 0; index < groups.length; index++) {
    checkGroup(action, groups[index]!, index, options);
  }
  const single = groups.every(({ y }) => y.length === 1);
  const extents = {
    x: jointExtent(groups.map(({ x }) => x)),
    y: jointExtent(groups.flatMap(({ y, spread }) => spread ? ends(y, spread) : [y])),
  };
  const clouds = groups.filter(({ x }) => x.length > maxMarkers).length;
  const axes = single
    ? { x: padRange(options.x, extents.x, 0.15), y: padRange(options.y, extents.y, 0.14) }
    : { x: options.x, y: options.y };
  const small = groups.some(({ y }) => y.length > maxLargePoints);
  const places = checkColors(action, options, ["groups", groups]);
  const data = groups.map(({ name, x, y, spread }, index): Trace => {
    const indices = x.length > maxMarkers
      ? downsampleCloud(x, y, axes, extents, clouds, spread ? ends(y, spread) : [])
      : undefined;
    const place = places[index]!, color = colors[place]!;
    const shape = places.slice(0, index).filter((other) => other === place).length % shapes.length;
    return {
      type: "scatter",
      mode: "markers",
      name: legendName(name, options),
      x: pick(x, indices),
      y: pick(y, indices),
      marker: { color, symbol: shapes[shape]!, size: small ? 5 : 9, opacity: small ? 0.7 : 1 },
      ...(spread
        ? { error_y: { type: "data", array: pick(spread, indices), color, width: 4 } }
        : {}),
    };
  });
  const sentences = groups.map(({ name, x, y }) =>
    y.length === 1
      ? `${name} ${formatNumber(y[0]!)} at ${formatNumber(x[0]!)}`
      : `${name} (${formatNumber(y.length)} points)`
  );
  const maxTicks = maxDecadeTicks(options);
  return new Figure(
    data,
    {
      ...baseLayout(options, single ? [] : groups.map(({ name }) => name)),
      xaxis: layoutAxis(axes.x, extents.x, maxTicks.x),
      yaxis: layoutAxis(axes.y, extents.y, maxTicks.y),
      ...(single ? { annotations: labelsOf(groups, axes.x, axes.y, options) } : {}),
    },
    options.description ??
      `${axisTitle(options.y)} against ${lowerFirst(options.x)}: ${joinClauses(sentences)}.`,
  );
}

/** A name beside a point is truncated to this many letters. */
const maxLabelLetters = 40;

function checkGroup(
  action: string,
  group: PointGroup,
  index: number,
  axes: { x: Axis; y: Axis },
): void {
  checkOptions<PointGroup>(`${action}, groups[${index}]`, group, '{ name: "a", x: [1], y: [2] }', {
    name: true,
    x: true,
    y: true,
    spread: true,
  });
  const { name, x, y, spread } = group;
  checkString(action, `the name of groups[${index}]`, name);
  checkAxisValues(action, `x of "${name}"`, x, axes.x);
  checkAxisValues(action, `y of "${name}"`, y, axes.y);
  checkSameLength(action, [`x of "${name}"`, x], [`y of "${name}"`, y]);
  if (!spread) return;
  const subject = `spread of "${name}"`;
  checkAxisValues(action, subject, spread, {});
  checkSameLength(action, [subject, spread], [`y of "${name}"`, y]);
  for (const end of ends(y, spread)) {
    checkAxisValues(action, `${subject} below and above`, end, axes.y);
  }
  const negative = Array.from(spread).find((half) => half < 0);
  if (negative !== undefined) {
    throw new RangeError(`${action}: ${subject} must be at least 0, found ${negative}.`);
  }
}

/** Returns the lower and the upper end of each error bar. */
function ends(y: Numbers, spread: Numbers): [number[], number[]] {
  return [
    Array.from(y, (value, i) => value - spread[i]!),
    Array.from(y, (value, i) => value + spread[i]!),
  ];
}

/** Extends an axis beyond the data by a fraction of their extent on both sides. */
function padRange(axis: Axis, data: readonly [number, number], fraction: number): Axis {
  if (axis.range) return axis;
  const log = axis.scale === "log";
  const [low, high] = log ? [Math.log10(data[0]), Math.log10(data[1])] : data;
  const isNarrow = high - low < (log ? 1e-8 : minSpread([low, high]));
  const padding = !isNarrow && fraction * (high - low) || (log ? 1 : Math.abs(high) || 1) / 2;
  const range = [low - padding, high + padding] as const;
  return { ...axis, range: log ? [10 ** range[0], 10 ** range[1]] : range };
}

/** Half of the widths of a marker and of the cap of a bar, and space beyond its ends, in pixels. */
const markerHalf = 5, capHalf = 5, barSpace = 2;

/** Returns the names of single points as annotations beside them; see {@linkcode placeLabels}. */
function labelsOf(
  groups: readonly PointGroup[],
  xAxis: Axis,
  yAxis: Axis,
  options: FigureOptions,
): Partial<Annotations>[] {
  const area = plotArea(options);
  const fraction = ({ range, scale }: Axis, value: number) => {
    const [low, high, position] = [range![0], range![1], value].map((number) =>
      scale === "log" ? Math.log10(number) : number
    );
    return (position! - low!) / (high! - low!);
  };
  const down = (value: number) => area.height * (1 - fraction(yAxis, value));
  const boxAround = (x: number, half: number, top: number, bottom: number): Box => ({
    left: x - half,
    right: x + half,
    top,
    bottom,
  });
  const points = groups.map((group) => {
    const x = area.width * fraction(xAxis, group.x[0]!), y = down(group.y[0]!);
    const text = group.name.slice(0, maxLabelLetters);
    const marker = boxAround(x, markerHalf, y - markerHalf, y + markerHalf);
    if (!group.spread) return { x, y, text, boxes: [marker] };
    const [top, bottom] = ends(group.y, group.spread).map(([end]) => down(end!)).sort((a, b) =>
      a - b
    );
    const bar = boxAround(x, capHalf, top! - barSpace, bottom! + barSpace);
    return { x, y, text, boxes: [marker, bar] };
  });
  // On a logarithmic axis an annotation is at the exponent.
  const position = ({ scale }: Axis, value: number) => scale === "log" ? Math.log10(value) : value;
  return placeLabels(points, area).map((place, index) => ({
    x: position(xAxis, groups[index]!.x[0]!),
    y: position(yAxis, groups[index]!.y[0]!),
    text: escapeText(groups[index]!.name, maxLabelLetters),
    ...place,
  }));
}
