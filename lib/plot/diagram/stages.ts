import type { Annotations } from "plotly.js";
import type { Summary } from "../../nn/mod.ts";
import { checkArray, checkBoolean, checkString } from "../../tensor/internal.ts";
import { checkFigureOptions, checkNotEmpty, checkNumberList } from "../checks.ts";
import { Figure } from "../figure.ts";
import { truncate } from "../format.ts";
import { figureNames, type FigureOptions } from "../options.ts";
import { colors } from "../style.ts";
import { diagramWidth, mixed, pixelLayout, type Shape, sideMargin, text } from "./canvas.ts";

/** Options of {@linkcode stages}. */
export interface StagesOptions extends Omit<FigureOptions, "height"> {
  /**
   * Height of the largest feature map in pixels of the drawing.
   *
   * @default 110
   */
  largest?: number;
  /**
   * Paths of frozen parts, such as `["conv1", "layer1"]`. Their stages are grey, and below each
   * stage with parameters stands whether it is frozen or trained.
   *
   * @default nothing is said
   */
  frozen?: readonly string[];
  /**
   * Whether each residual block is a stage of its own, with an arc for its shortcut from the
   * feature maps before the block to those after it. The arc is dotted where the shape changes.
   *
   * @default false
   */
  shortcuts?: boolean;
}

/** Neighbouring layers of one kind whose outputs have the same shape. */
interface Stage {
  readonly shape: readonly number[];
  /** The layers that compute something, by their short names. */
  readonly layers: string[];
  readonly color: string;
  /** Whether it has parameters, and whether they are frozen. */
  readonly state: "frozen" | "trained" | "";
  /** Whether it is a residual block with a shortcut, which is drawn. */
  readonly hasArc: boolean;
}

/** The colour of the input and of frozen stages. */
const grey = "#9a9a9a";

/** How far a box reaches back for each pixel of its width: along x and along y. */
const back = 0.4;

/** The drawing of the most channels is this wide. */
const widest = 64;

/** Space for the two lines of text below a box. */
const textHeight = 40;

const minStageWidth = 78;

/** Space for the arcs of shortcuts above the boxes. */
const arcHeight = 30;

/**
 * Draws the stages of a network as boxes on one scale: a feature map with its height, its width
 * (which runs backwards) and its channels (the thickness of the box).
 *
 * A stage is neighbouring layers of one kind whose outputs have the same shape; activations, norms
 * and flatten are not named. Lengths of pixels have one scale and channels another; a vector of
 * features is one pixel high. Stages that do not fit beside each other continue below.
 *
 * @param summary The result of `summary(model, inputShape)`, with the depth that shall be drawn.
 * @param options The size of the largest map, the title and width.
 * @throws {RangeError} If the summary has no layers.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { diagram, lenet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = diagram.stages(summary(lenet(), [28, 28, 1]));
 * assert.match(figure.description, /^Stages of a network: 28×28×1; conv 5×5 → 28×28×6; max pool/);
 * ```
 */
export function stages(
  summary: Pick<Summary, "inputShape" | "rows">,
  options: StagesOptions = {},
): Figure {
  const action = "Drawing the stages of a network";
  checkFigureOptions<StagesOptions>(action, options, '{ title: "LeNet" }', {
    ...figureNames,
    largest: true,
    frozen: true,
    shortcuts: true,
  });
  if (!Array.isArray(Object(summary).rows)) {
    throw new TypeError(
      `${action}: the summary must be what summary(model, inputShape) returns, found no rows.`,
    );
  }
  checkNumberList(action, "the inputShape of the summary", summary.inputShape);
  checkNotEmpty(action, "the rows of the summary", summary.rows);
  const { frozen, shortcuts = false } = options;
  if (frozen !== undefined) checkFrozen(action, summary, frozen);
  checkBoolean(action, "shortcuts", shortcuts);
  const found = stagesOf(summary, frozen ?? [], shortcuts);
  const width = options.width ?? diagramWidth, inner = width - 2 * sideMargin;
  const sides = found.map(({ shape }) => shape.length === 3 ? shape : [1, 1, shape.at(-1)!]);
  const scale = (options.largest ?? 110) / Math.max(...sides.flatMap(([h, w]) => [h!, w!]));
  const thickness = widest / Math.max(...sides.map(([, , channels]) => channels!));

  // As many boxes beside each other as fit; the tallest box of a line sets its height.
  const boxes = sides.map(([h, w, channels]) => ({
    height: Math.max(2, h! * scale),
    depth: Math.max(2, w! * scale) * back,
    thick: Math.max(1.5, channels! * thickness),
  }));
  const needed = boxes.map(({ depth, thick }, index) => {
    const { shape, layers } = found[index]!;
    const label = Math.max(8.3 * shape.join("×").length, 6.4 * layers.join(", ").length);
    return Math.min(inner, Math.max(minStageWidth, depth + thick + 14, label + 16));
  });
  const lines: number[][] = [[]];
  let used = 0;
  needed.forEach((length, index) => {
    if (used + length > inner && lines.at(-1)!.length > 0) {
      lines.push([]);
      used = 0;
    }
    lines.at(-1)!.push(index);
    used += length;
  });
  const shapes: Shape[] = [], annotations: Partial<Annotations>[] = [];
  const arcs = found.map(({ hasArc }) => hasArc);
  const tops: Point[] = [];
  let bottom = 0;
  for (const line of lines) {
    bottom += Math.max(...line.map((index) => boxes[index]!.height + boxes[index]!.depth)) + 4;
    if (line.some((index) => arcs[index] || arcs[index + 1])) bottom += arcHeight;
    let left = 0;
    for (const index of line) {
      const { height, depth, thick } = boxes[index]!;
      const { shape, layers, color, state } = found[index]!;
      const x = left + (needed[index]! - depth - thick) / 2;
      shapes.push(...boxAt(x, bottom, { height, depth, thick }, color));
      tops.push({ x: x + (thick + depth) / 2, y: bottom - height - depth - 4 });
      const middle = left + needed[index]! / 2, letters = Math.floor(needed[index]! / 6);
      annotations.push(
        text(shape.join("×"), middle, bottom + 4, { yanchor: "top", font: { size: 12 } }),
        text(truncate(layers.join(", "), letters), middle, bottom + 20, { yanchor: "top" }),
      );
      if (frozen) annotations.push(text(state, middle, bottom + 35, { yanchor: "top" }));
      left += needed[index]!;
      if (index < found.length - 1) {
        annotations.push(text("›", left, bottom + 4, { yanchor: "top", font: { size: 14 } }));
      }
    }
    bottom += textHeight + (frozen ? 15 : 0);
  }
  found.forEach(({ shape, hasArc }, index) => {
    if (!hasArc) return;
    const from = tops[index - 1]!, to = tops[index]!;
    const isSame = shape.join() === found[index - 1]!.shape.join();
    shapes.push(...arcBetween(from, to, inner, isSame ? "solid" : "dot"));
  });
  return new Figure(
    // plotly.js draws no shapes without a trace on their axes.
    [{ type: "scatter", mode: "markers", x: [0], y: [0], marker: { opacity: 0 } }],
    { ...pixelLayout({ ...options, width }, bottom), shapes, annotations },
    options.description ??
      `Stages of a network: ${
        found.map(({ shape, layers, state }, index) => {
          const said = frozen && state !== "" ? ` (${state})` : "";
          return index === 0 ? shape.join("×") : `${layers.join(", ")} → ${shape.join("×")}${said}`;
        }).join("; ")
      }${arcs.includes(true) ? `; ${arcs.filter(Boolean).length} shortcuts, drawn as arcs` : ""}.`,
  );
}

/** Checks that each path leads to a layer of the summary. */
function checkFrozen(
  action: string,
  { rows }: Pick<Summary, "rows">,
  frozen: readonly string[],
): void {
  checkArray(action, "frozen", frozen);
  for (const part of frozen) {
    checkString(action, "a path of frozen", part);
    if (rows.some(({ path }) => isPart(path, part))) continue;
    throw new RangeError(
      `${action}: a path of frozen must lead to a layer of the summary, found "${part}".`,
    );
  }
}

/** Whether a path is another path, or leads further. */
function isPart(path: string, whole: string): boolean {
  return path === whole || path.startsWith(`${whole}.`);
}

interface Point {
  readonly x: number;
  readonly y: number;
}

/**
 * Returns an arc with an arrow head from above one box to above another. To a box in the line
 * below, it leaves the drawing on the right and returns on the left.
 */
function arcBetween(from: Point, to: Point, right: number, dash: "solid" | "dot"): Shape[] {
  const at = ({ x, y }: Point) => `${x.toFixed(1)},${y.toFixed(1)}`;
  const stroke = (path: string): Shape => ({
    type: "path",
    path,
    line: { color: colors[1], width: 2, dash },
  });
  const head: Shape = {
    type: "path",
    path: `M${at(to)}L${at({ x: to.x - 4, y: to.y - 8 })}L${at({ x: to.x + 4, y: to.y - 8 })}Z`,
    fillcolor: colors[1],
    line: { width: 0 },
  };
  const end = { x: to.x, y: to.y - 7 };
  if (to.x > from.x) {
    const y = Math.min(from.y, to.y) - arcHeight + 4;
    return [stroke(`M${at(from)}C${at({ x: from.x, y })} ${at({ x: to.x, y })} ${at(end)}`), head];
  }
  const [above, below] = [from.y - arcHeight / 2, to.y - arcHeight / 2 - 4];
  return [
    stroke(`M${at(from)}Q${at({ x: from.x, y: above })} ${at({ x: right, y: above })}`),
    stroke(`M${at({ x: 0, y: below })}Q${at({ x: to.x, y: below })} ${at(end)}`),
    head,
  ];
}

/** Returns the stages, the input first. */
function stagesOf(
  { inputShape, rows }: Pick<Summary, "inputShape" | "rows">,
  frozen: readonly string[],
  shortcuts: boolean,
): Stage[] {
  const found: Stage[] = [
    { shape: inputShape, layers: ["input"], color: grey, state: "", hasArc: false },
  ];
  for (const { path, layer, outputShape, macs } of rows) {
    const isPool = /pool/i.test(layer);
    if (macs === 0 && !isPool) continue;
    const last = found.at(-1)!, name = shortName(layer);
    const isFrozen = frozen.some((part) => isPart(path, part));
    const kind = isPool ? colors[2] : /linear/.test(layer) ? colors[1] : colors[0];
    const color = isFrozen && !isPool ? grey : kind;
    const state = isPool ? "" : isFrozen ? "frozen" : "trained";
    const isBlock = shortcuts && / block /.test(layer);
    const isSame = last.color === color && last.shape.join() === outputShape.join();
    if (isSame && !isBlock) last.layers.push(name);
    else {
      const hasArc = isBlock && !layer.includes("no shortcut");
      found.push({ shape: outputShape, layers: [name], color, state, hasArc });
    }
  }
  return found.map((stage) => ({ ...stage, layers: counted(stage.layers) }));
}

/** Returns "conv 5×5" for "conv2d 6 → 16, 5×5, padding 2". */
function shortName(layer: string): string {
  const kind = /^[A-Za-z]+( block)?/.exec(layer)?.[0] ?? layer;
  const size = kind === "adaptiveAveragePool" ? undefined : /\d+×\d+/.exec(layer)?.[0];
  const name =
    { maxPool: "max pool", avgPool: "mean pool", adaptiveAveragePool: "mean pool" }[kind] ??
      kind;
  return size === undefined ? name : `${name} ${size}`;
}

/** Joins equal neighbours: ["conv 3×3", "conv 3×3"] is ["2 × conv 3×3"]. */
function counted(names: readonly string[]): string[] {
  const groups: { name: string; count: number }[] = [];
  for (const name of names) {
    const last = groups.at(-1);
    if (last?.name === name) last.count++;
    else groups.push({ name, count: 1 });
  }
  return groups.map(({ name, count }) => count === 1 ? name : `${count} × ${name}`);
}

/** Returns the three visible faces of a box whose lower left front corner is at a point. */
function boxAt(
  x: number,
  bottom: number,
  { height, depth, thick }: { height: number; depth: number; thick: number },
  color: string,
): Shape[] {
  const top = bottom - height, right = x + thick;
  const face = (points: readonly (readonly [number, number])[], fillcolor: string): Shape => ({
    type: "path",
    path: `M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`,
    fillcolor,
    line: { color: "#ffffff", width: 0.5 },
  });
  return [
    face([[x, bottom], [right, bottom], [right, top], [x, top]], color),
    face(
      [[x, top], [right, top], [right + depth, top - depth], [x + depth, top - depth]],
      mixed(color, 0.35),
    ),
    face(
      [[right, bottom], [right, top], [right + depth, top - depth], [
        right + depth,
        bottom - depth,
      ]],
      mixed(color, 0.6),
    ),
  ];
}
