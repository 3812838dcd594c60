import { checkFigureOptions } from "../checks.ts";
import { Figure } from "../figure.ts";
import { formatNumber } from "../format.ts";
import { figureNames, type FigureOptions } from "../options.ts";
import { colors } from "../style.ts";
import { diagramWidth, pixelLayout, type Shape, sideMargin, text } from "./canvas.ts";

/** Options of {@linkcode functionClasses}. */
export type FunctionClassesOptions = Omit<FigureOptions, "height">;

/** A class of functions, drawn as a disc. The unit is half of a panel's width. */
interface Disc {
  readonly x: number;
  readonly y: number;
  readonly radius: number;
}

/** The function that is looked for. */
const wanted = { x: 0.5, y: -0.42 };

/** From the smallest class to the largest. */
const panels: readonly (readonly [caption: string, discs: readonly Disc[]])[] = [
  ["not nested", [
    { x: -0.3, y: 0.12, radius: 0.26 },
    { x: 0.08, y: -0.1, radius: 0.4 },
    { x: -0.34, y: 0.3, radius: 0.56 },
  ]],
  ["nested", [
    { x: -0.3, y: 0.12, radius: 0.26 },
    { x: -0.22, y: 0.12, radius: 0.46 },
    { x: -0.16, y: 0.08, radius: 0.68 },
  ]],
];

/**
 * Draws classes of functions as discs, from the smallest to the largest: on the left such that a
 * larger class does not contain the smaller ones, on the right such that it does. A star is the
 * function that is looked for, and in each class a dot is the function nearest to it.
 *
 * On the left the largest class is further away from the star than a smaller one. On the right that
 * cannot happen.
 *
 * @param options The title and width.
 * @throws {TypeError} If an option does not exist or is of the wrong kind.
 * @throws {RangeError} If the width is out of range.
 *
 * @example
 * ```ts
 * import { diagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = diagram.functionClasses();
 * assert.match(figure.description, /not nested, the distances .* are .*; nested, they are/);
 * ```
 */
export function functionClasses(options: FunctionClassesOptions = {}): Figure {
  const action = "Drawing function classes";
  checkFigureOptions<FunctionClassesOptions>(action, options, '{ title: "…" }', figureNames);
  const width = options.width ?? diagramWidth;
  const half = (width - 2 * sideMargin) / 4, captionHeight = 24;
  const shapes: Shape[] = [], distances: string[][] = [];
  const labels = panels.flatMap(([caption, discs], panel) => {
    const place = ({ x, y }: { x: number; y: number }) => ({
      x: half * (2 * panel + 1 + x),
      y: captionHeight + half * (1 + y) - 0.1 * half,
    });
    const star = place(wanted);
    const found = discs.map((disc) => {
      const [dx, dy] = [wanted.x - disc.x, wanted.y - disc.y], length = Math.hypot(dx, dy);
      const nearest = place({
        x: disc.x + dx / length * disc.radius,
        y: disc.y + dy / length * disc.radius,
      });
      return {
        center: place(disc),
        radius: half * disc.radius,
        nearest,
        gap: length - disc.radius,
      };
    });
    distances.push(found.map(({ gap }) => formatNumber(gap, 2)));
    // The largest disc is drawn first.
    found.toReversed().forEach(({ center, radius }, index) => {
      const color = colors[found.length - 1 - index]!;
      shapes.push({
        ...{ type: "circle", fillcolor: `${color}1a`, line: { color, width: 2 } },
        ...{ x0: center.x - radius, x1: center.x + radius },
        ...{ y0: center.y - radius, y1: center.y + radius },
      });
    });
    found.forEach(({ nearest }, index) => {
      const color = colors[index]!;
      shapes.push(
        {
          ...{ type: "line", x0: nearest.x, y0: nearest.y, x1: star.x, y1: star.y },
          line: { color, width: 1.5, dash: "dot" },
        },
        {
          ...{ type: "circle", fillcolor: color, line: { width: 0 } },
          ...{ x0: nearest.x - 4, x1: nearest.x + 4, y0: nearest.y - 4, y1: nearest.y + 4 },
        },
      );
    });
    return [
      text(caption, half * (2 * panel + 1), 8, { font: { size: 13 } }),
      text("★", star.x, star.y, { font: { size: 20 } }),
      text("f*", star.x + 16, star.y - 10, { font: { size: 13 } }),
      ...found.map(({ center, radius }, index) =>
        text(`F${"₁₂₃"[index]}`, center.x - 0.62 * radius, center.y + 0.62 * radius, {
          font: { size: 13, color: colors[index] },
          bgcolor: "rgba(255,255,255,0.7)",
        })
      ),
    ];
  });
  return new Figure(
    // plotly.js draws no shapes without a trace on their axes.
    [{ type: "scatter", mode: "markers", x: [0], y: [0], marker: { opacity: 0 } }],
    {
      ...pixelLayout({ ...options, width }, captionHeight + 2 * half),
      shapes,
      annotations: labels,
    },
    options.description ??
      `Three growing classes of functions: not nested, the distances of their nearest functions ` +
        `from the wanted one are ${distances[0]!.join(", ")}; nested, they are ${
          distances[1]!.join(", ")
        }.`,
  );
}
