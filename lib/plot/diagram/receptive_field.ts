import { checkInteger, checkOptions, checkString } from "../../tensor/internal.ts";
import { checkFigureOptions, checkNotEmpty } from "../checks.ts";
import { Figure } from "../figure.ts";
import { figureNames, type FigureOptions } from "../options.ts";
import { colors } from "../style.ts";
import type { Trace } from "../trace.ts";
import { diagramWidth, pixelLayout, sideMargin, text } from "./canvas.ts";

/** A layer with a window, such as a convolution or pooling. */
export interface WindowLayer {
  /** Side of the window. */
  readonly kernelSize: number;
  /**
   * Step of the window.
   *
   * @default 1
   */
  readonly stride?: number;
  /**
   * Distance of the weights of the kernel.
   *
   * @default 1
   */
  readonly dilation?: number;
  /**
   * Name of the layer in the drawing.
   *
   * @default the size and stride: "3×3, stride 2"
   */
  readonly name?: string;
}

/** Options of {@linkcode receptiveField}. */
export type ReceptiveFieldOptions = Omit<FigureOptions, "height">;

/** The most pixels that the drawing can show. */
const maxField = 128;

/** Distance of two layers in pixels. */
const layerHeight = 46;

/**
 * Draws the receptive field of one unit along one side of the image: the unit at the top, below it
 * the units that it reads layer by layer, and at the bottom the pixels that it sees.
 *
 * @param layers The layers from the image to the unit.
 * @param options The title and width.
 * @throws {RangeError} If there are no layers, a size is not a whole number of at least 1, or the
 * field is larger than 128 pixels.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { diagram } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = diagram.receptiveField([{ kernelSize: 3 }, { kernelSize: 3 }]);
 * assert.equal(
 *   figure.description,
 *   "One unit after 3×3, 3×3 sees 5 pixels across; layer by layer it reads 3, 5 units.",
 * );
 * ```
 */
export function receptiveField(
  layers: readonly WindowLayer[],
  options: ReceptiveFieldOptions = {},
): Figure {
  const action = "Drawing a receptive field";
  checkFigureOptions<ReceptiveFieldOptions>(action, options, '{ title: "VGG" }', figureNames);
  checkNotEmpty(action, "the layers", layers);
  layers.forEach((layer, index) => checkLayer(action, `layers[${index}]`, layer));
  const names = layers.map(({ kernelSize, stride = 1, dilation = 1, name }) =>
    name ?? `${kernelSize}×${kernelSize}` + (stride === 1 ? "" : `, stride ${stride}`) +
        (dilation === 1 ? "" : `, dilation ${dilation}`)
  );
  // Where a unit of each layer lies over the image: at offset + step · index.
  const grids = [{ offset: 0, step: 1 }];
  for (const { kernelSize, stride = 1, dilation = 1 } of layers) {
    const { offset, step } = grids.at(-1)!;
    grids.push({ offset: offset + step * dilation * (kernelSize - 1) / 2, step: step * stride });
  }
  // The units that the unit at the top reads, from the top down.
  const read: number[][] = [[0]];
  for (const { kernelSize, stride = 1, dilation = 1 } of layers.toReversed()) {
    const below = read.at(-1)!.flatMap((unit) =>
      Array.from({ length: kernelSize }, (_, tap) => unit * stride + tap * dilation)
    );
    const units = [...new Set(below)].sort((a, b) => a - b);
    if (units.at(-1)! >= maxField) {
      throw new RangeError(
        `${action}: the field must be at most ${maxField} pixels, found more. Leave out layers.`,
      );
    }
    read.push(units);
  }
  read.reverse();

  const field = read[0]!.at(-1)! + 1, width = options.width ?? diagramWidth;
  const textWidth = 7 * Math.max(5, ...names.map((name) => name.length)) + 12;
  const countWidth = 64;
  const pixel = (width - 2 * sideMargin - textWidth - countWidth) / field;
  const height = layerHeight * layers.length + 24;
  const x = (layer: number, unit: number) =>
    textWidth + (grids[layer]!.offset + grids[layer]!.step * unit + 0.5) * pixel;
  const y = (layer: number) => height - 12 - layerHeight * layer;

  const lineX: (number | null)[] = [], lineY: (number | null)[] = [];
  layers.forEach(({ kernelSize, stride = 1, dilation = 1 }, below) => {
    for (const unit of read[below + 1]!) {
      for (let tap = 0; tap < kernelSize; tap++) {
        lineX.push(x(below + 1, unit), x(below, unit * stride + tap * dilation), null);
        lineY.push(y(below + 1), y(below), null);
      }
    }
  });
  const size = Math.max(3, Math.min(14, 0.7 * pixel));
  const points: Trace[] = read.map((units, layer) => ({
    type: "scatter",
    mode: "markers",
    x: units.map((unit) => x(layer, unit)),
    y: units.map(() => y(layer)),
    marker: {
      symbol: "square",
      size,
      color: layer === 0 ? colors[6] : layer === layers.length ? colors[1] : colors[0],
    },
  }));
  const heading = ["image", ...names];
  return new Figure(
    [
      {
        type: "scatter",
        mode: "lines",
        x: lineX,
        y: lineY,
        line: { color: "#b8cfe0", width: 1 },
      },
      ...points,
    ],
    {
      ...pixelLayout({ ...options, width }, height),
      annotations: read.flatMap((units, layer) => [
        text(heading[layer]!, 0, y(layer), { xanchor: "left" }),
        text(
          layer === 0
            ? `${units.length} pixels`
            : `${units.length} ${units.length === 1 ? "unit" : "units"}`,
          width - 2 * sideMargin,
          y(layer),
          { xanchor: "right" },
        ),
      ]),
    },
    options.description ??
      `One unit after ${names.join(", ")} sees ${field} pixels across; layer by layer it reads ` +
        `${read.slice(0, -1).reverse().map(({ length }) => length).join(", ")} units.`,
  );
}

function checkLayer(action: string, subject: string, layer: WindowLayer): void {
  checkOptions<WindowLayer>(`${action}, ${subject}`, layer, "{ kernelSize: 3 }", {
    kernelSize: true,
    stride: true,
    dilation: true,
    name: true,
  });
  const { kernelSize, stride = 1, dilation = 1, name } = layer;
  for (const [side, value] of Object.entries({ kernelSize, stride, dilation })) {
    checkInteger(action, `${side} of ${subject}`, value, 1, maxField);
  }
  if (name !== undefined) checkString(action, `the name of ${subject}`, name);
}
