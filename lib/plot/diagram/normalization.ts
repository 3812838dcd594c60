import type { Annotations } from "plotly.js";
import { checkArray, checkOneOf } from "../../tensor/internal.ts";
import { checkFigureOptions, checkNotEmpty } from "../checks.ts";
import { Figure } from "../figure.ts";
import { figureNames, type FigureOptions } from "../options.ts";
import { colors } from "../style.ts";
import { diagramWidth, mixed, pixelLayout, type Shape, sideMargin, text } from "./canvas.ts";

/** A normalisation layer, by the numbers that share a mean and a variance. */
export type NormalizationKind = "batch" | "layer" | "instance" | "group";

/** Options of {@linkcode normalization}. */
export type NormalizationOptions = Omit<FigureOptions, "height">;

/** The cells of the cube along each axis. */
const pictures = 4, channels = 4, pixels = 5;

/** The side of a cell, and its step backwards along x and y, in pixels of the drawing. */
const cell = 17, back = 9;

/** The size of a cube with its labels. */
const cubeWidth = channels * cell + pictures * back, cubeHeight = pixels * cell + pictures * back;
const headHeight = 42, labelHeight = 20;

/** The numbers of one mean: a name, a caption, and whether a cell of the cube is one of them. */
const KINDS: Readonly<
  Record<NormalizationKind, {
    readonly name: string;
    readonly caption: string;
    readonly sentence: string;
    readonly includes: (picture: number, channel: number) => boolean;
  }>
> = {
  batch: {
    name: "batch norm",
    caption: "per channel",
    sentence: "batch norm averages each channel over all pictures and pixels",
    includes: (_, channel) => channel === channels - 1,
  },
  layer: {
    name: "layer norm",
    caption: "per picture",
    sentence: "layer norm averages each picture over all channels and pixels",
    includes: (picture) => picture === 0,
  },
  instance: {
    name: "instance norm",
    caption: "per picture, channel",
    sentence: "instance norm averages each channel of each picture over its pixels",
    includes: (picture, channel) => picture === 0 && channel === channels - 1,
  },
  group: {
    name: "group norm",
    caption: "per picture, group",
    sentence: "group norm averages each group of channels of each picture over its pixels",
    includes: (picture, channel) => picture === 0 && channel >= channels / 2,
  },
};

/**
 * Draws which numbers of feature maps a normalisation layer averages: a cube of pictures, channels
 * and pixels for each kind, in which the numbers that share one mean and one variance are coloured.
 *
 * @param kinds The normalisations, from left to right.
 * @param options The title and width.
 * @throws {RangeError} If there is no kind, or one that does not exist.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { diagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = diagram.normalization(["batch", "layer"]);
 * assert.match(figure.description, /^Numbers that share a mean: batch norm averages each channel/);
 * ```
 */
export function normalization(
  kinds: readonly NormalizationKind[],
  options: NormalizationOptions = {},
): Figure {
  const action = "Drawing normalisations";
  checkFigureOptions<NormalizationOptions>(action, options, '{ title: "Batch norm" }', figureNames);
  checkArray(action, "the kinds", kinds);
  checkNotEmpty(action, "the kinds", kinds);
  for (const kind of kinds) {
    checkOneOf(action, "a kind", kind, Object.keys(KINDS) as NormalizationKind[]);
  }
  const width = options.width ?? diagramWidth, inner = width - 2 * sideMargin;
  const columns = Math.max(1, Math.min(kinds.length, Math.floor(inner / (cubeWidth + 40))));
  const lineHeight = headHeight + cubeHeight + labelHeight + 14;
  const shapes: Shape[] = [], annotations: Partial<Annotations>[] = [];
  kinds.forEach((kind, index) => {
    const inLine = Math.min(columns, kinds.length - columns * Math.floor(index / columns));
    const middle = (index % columns + 0.5) * inner / inLine;
    const top = Math.floor(index / columns) * lineHeight;
    const left = middle - cubeWidth / 2, front = top + headHeight + pictures * back;
    const { name, caption, includes } = KINDS[kind];
    shapes.push(...cube(left, front, includes));
    const under = { yanchor: "top" as const };
    annotations.push(
      text(name, middle, top + 2, { ...under, font: { size: 13 } }),
      text(caption, middle, top + 20, under),
      text("channels", left + channels * cell / 2, front + pixels * cell + 4, under),
      text("pixels", left - 10, front + pixels * cell / 2, { textangle: "-90" }),
      text("pictures", left + channels * cell + pictures * back / 2 + 9, front + pixels * cell, {
        textangle: "-45",
        xanchor: "center",
        yanchor: "middle",
        yshift: 14 - 2 * back,
      }),
    );
  });
  const height = Math.ceil(kinds.length / columns) * lineHeight - 10;
  return new Figure(
    // plotly.js draws no shapes without a trace on their axes.
    [{ type: "scatter", mode: "markers", x: [0], y: [0], marker: { opacity: 0 } }],
    { ...pixelLayout({ ...options, width }, height), shapes, annotations },
    options.description ??
      `Numbers that share a mean: ${kinds.map((kind) => KINDS[kind].sentence).join("; ")}.`,
  );
}

/** Returns the cells of the three visible faces of a cube whose front face begins at a point. */
function cube(
  left: number,
  top: number,
  includes: (picture: number, channel: number) => boolean,
): Shape[] {
  const face = (
    points: readonly (readonly [number, number])[],
    isIncluded: boolean,
    white: number,
  ): Shape => ({
    type: "path",
    path: `M${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`,
    fillcolor: mixed(isIncluded ? colors[0] : "#c4c4c4", white),
    line: { color: "#ffffff", width: 1 },
  });
  const right = left + channels * cell;
  const shapes: Shape[] = [];
  for (let channel = 0; channel < channels; channel++) {
    const x = left + channel * cell;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const y = top + pixel * cell, low = y + cell;
      const square = [[x, y], [x + cell, y], [x + cell, low], [x, low]] as const;
      shapes.push(face(square, includes(0, channel), 0));
    }
    for (let picture = 0; picture < pictures; picture++) {
      const near = picture * back, far = near + back;
      shapes.push(face(
        [[x + near, top - near], [x + cell + near, top - near], [x + cell + far, top - far], [
          x + far,
          top - far,
        ]],
        includes(picture, channel),
        0.25,
      ));
    }
  }
  for (let picture = 0; picture < pictures; picture++) {
    const near = picture * back, far = near + back;
    for (let pixel = 0; pixel < pixels; pixel++) {
      const y = top + pixel * cell, low = y + cell;
      shapes.push(face(
        [[right + near, y - near], [right + far, y - far], [right + far, low - far], [
          right + near,
          low - near,
        ]],
        includes(picture, channels - 1),
        0.45,
      ));
    }
  }
  return shapes;
}
