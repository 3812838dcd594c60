import { encode } from "fast-png";
import { checkInteger } from "../tensor/internal.ts";
import {
  checkFigureOptions,
  checkRange,
  checkSameLength,
  checkStrings,
  checkValuesShape,
} from "./checks.ts";
import { Figure } from "./figure.ts";
import { formatNumber, truncate } from "./format.ts";
import { colorbar } from "./heatmap.ts";
import { extent, minSpread, type Numbers } from "./numbers.ts";
import { figureNames, type FigureOptions } from "./options.ts";
import { baseLayout, colorAt, diverging, extraTitleHeight, label, sequential } from "./style.ts";
import type { Trace } from "./trace.ts";

/** Options of a grid of small pictures. */
export interface GridOptions extends Omit<FigureOptions, "height"> {
  /** Title over each picture; `<br>` breaks the line. */
  titles?: readonly string[];
  /**
   * Number of pictures in a row.
   *
   * @default as many as fit
   */
  columns?: number;
}

/** Options of {@linkcode imageGrid}. */
export interface ImageGridOptions extends GridOptions {
  /**
   * The numbers that are black and white.
   *
   * @default [0, 255] for bytes, [0, 1] for numbers in that range, else the ends of the values
   */
  range?: readonly [number, number];
}

/** A narrower picture would show nothing. */
const minCellWidth = 4;

/** Minimum width of a figure of pictures. */
const minGridWidth = 64;

const gridNames = { ...figureNames, titles: true, columns: true } as const;

/** More pictures than this would be too small. */
const maxImages = 400;

/**
 * Draws images as crisp pixels in a grid, with a title over each.
 *
 * The figure stores all images as one PNG picture. Images larger than their cell are averaged down.
 * Under the pointer it shows the numbers of a pixel, for a single image with its row and column.
 *
 * @param values The pixels, row by row, channels last.
 * @param shape `[count, height, width, channels]`, with 1 channel (grey) or 3 (red, green, blue).
 * @param options Titles, columns, range, title and width.
 * @throws {RangeError} If there are no images or more than 400, the values differ in number from
 * the shape, a value is not finite, there are neither 1 nor 3 channels, the titles differ in number
 * from the images, or the range does not ascend.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { imageGrid } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = imageGrid([0, 1, 1, 0, 1, 1, 0, 0], [2, 2, 2, 1], { titles: ["cross", "bar"] });
 * assert.equal(figure.data[0]?.type, "image");
 * assert.equal(figure.description, "2 grey images of 2×2 pixels: cross, bar.");
 * ```
 */
export function imageGrid(
  values: Numbers,
  shape: readonly [count: number, height: number, width: number, channels: number],
  options: ImageGridOptions = {},
): Figure {
  const action = "Drawing a grid of images";
  checkFigureOptions<ImageGridOptions>(
    action,
    options,
    "{ columns: 4 }",
    { ...gridNames, range: true },
    minGridWidth,
  );
  if (options.titles) checkStrings(action, "titles", options.titles);
  checkValuesShape(action, values, shape, "[count, height, width, channels]");
  const [count, height, width, channels] = shape;
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`${action}: the channels must be 1 or 3, found ${channels}.`);
  }
  if (options.range) checkRange(action, options.range);
  const [black, white] = options.range ?? defaultRange(values);
  const bytes = Uint8ClampedArray.from(
    values,
    (value) => 255 * (value - black) / (white - black),
  );
  const kind = channels === 1 ? "grey" : "colour";
  const stretched = [0, 1, 255].includes(white) && black === 0
    ? ""
    : `, black at ${formatNumber(black)} and white at ${formatNumber(white)}`;
  const titles = (options.titles ?? []).map(plain).filter((title) => title !== "");
  return imageMosaic(
    action,
    { bytes, count, height, width, channels },
    options,
    `${formatNumber(count)} ${kind} ${
      count === 1 ? "image" : "images"
    } of ${height}×${width} pixels` +
      `${stretched}${titles.length > 0 ? `: ${titles.join(", ")}` : ""}.`,
    { numbers: pixelNumbers(channels, black, white) },
  );
}

/**
 * Returns the text of a pixel under the pointer. plotly.js reads the bytes of the picture itself,
 * so the numbers take no space in the notebook, and a number that is no byte is shown as a share of
 * the range. The position in an image of a grid would take a text for each pixel.
 */
function pixelNumbers(channels: number, black: number, white: number): string {
  const bytes = channels === 1
    ? "%{color[0]}"
    : "red %{color[0]}, green %{color[1]}, blue %{color[2]}";
  if (black === 0 && white === 255) return bytes;
  const share = bytes.replaceAll("]}", "]}/255");
  return black === 0 && white === 1
    ? share
    : `${share} from ${formatNumber(black)} to ${formatNumber(white)}`;
}

/** Options of {@linkcode filterGrid}. */
export interface FilterGridOptions extends GridOptions {
  /**
   * The input channel to draw.
   *
   * @default all channels in colour if there are 3, else channel 0
   */
  inputChannel?: number;
}

/**
 * Draws the kernels of a convolution, one small picture per output channel.
 *
 * Kernels over 3 input channels are drawn in colour, with zero as middle grey. Other kernels are
 * drawn for one input channel: zero is white, positive red and negative blue.
 *
 * @param kernels The weight of a convolution, such as `layer.weight.dataSync()`.
 * @param shape `[height, width, input channels, output channels]`.
 * @param options The input channel, titles, columns, title and width.
 * @throws {RangeError} If the values differ in number from the shape, a value is not finite, there
 * are more than 400 output channels, or the input channel does not exist.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { filterGrid } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const sobel = [1, 0, -1, 2, 0, -2, 1, 0, -1];
 * const figure = filterGrid(sobel, [3, 3, 1, 1], { titles: ["vertical edge"] });
 * assert.match(figure.description, /^1 kernel of 3×3 weights for input channel 0 of 1, from −2 /);
 * ```
 */
export function filterGrid(
  kernels: Numbers,
  shape: readonly [height: number, width: number, input: number, output: number],
  options: FilterGridOptions = {},
): Figure {
  const action = "Drawing convolution kernels";
  checkFigureOptions<FilterGridOptions>(action, options, "{ inputChannel: 0 }", {
    ...gridNames,
    inputChannel: true,
  });
  if (options.titles) checkStrings(action, "titles", options.titles);
  checkValuesShape(action, kernels, shape, "[height, width, input, output]");
  const [height, width, input, output] = shape;
  const { inputChannel } = options;
  if (inputChannel !== undefined) checkInteger(action, "inputChannel", inputChannel, 0, input - 1);
  const inColor = input === 3 && inputChannel === undefined;
  const channels = inColor ? 3 : 1;
  const planes = new Float64Array(output * height * width * channels);
  for (let position = 0; position < height * width; position++) {
    for (let channel = 0; channel < channels; channel++) {
      const from = inColor ? channel : inputChannel ?? 0;
      for (let filter = 0; filter < output; filter++) {
        planes[(filter * height * width + position) * channels + channel] =
          kernels[(position * input + from) * output + filter]!;
      }
    }
  }
  const [min, max] = extent(planes);
  const reach = Math.max(-min, max) || 1;
  const images = inColor
    ? { bytes: Uint8ClampedArray.from(planes, (value) => 127.5 * (1 + value / reach)), channels }
    : { bytes: mapColors(planes, diverging, -reach, reach), channels: 3 };
  return imageMosaic(
    action,
    { ...images, count: output, height, width },
    { titles: Array.from({ length: output }, (_, filter) => String(filter)), ...options },
    `${formatNumber(output)} ${
      output === 1 ? "kernel" : "kernels"
    } of ${height}×${width} weights ` +
      (inColor ? "in colour" : `for input channel ${inputChannel ?? 0} of ${input}`) +
      `, from ${formatNumber(min)} to ${formatNumber(max)}.`,
    inColor ? {} : { colorScale: colorbarTrace("Weight", diverging, -reach, reach) },
  );
}

/** Options of {@linkcode featureMaps}. */
export interface FeatureMapsOptions extends GridOptions {
  /**
   * The numbers at the ends of the colour scale.
   *
   * @default the smallest and the largest value, or −m and m if there are negative values
   */
  range?: readonly [number, number];
}

/**
 * Draws the feature maps of a layer for one image, one small picture per channel, all on one colour
 * scale. If there are negative activations, zero is white.
 *
 * @param values The activations of one image.
 * @param shape `[height, width, channels]`.
 * @param options The range, titles, columns, title and width.
 * @throws {RangeError} If the values differ in number from the shape, a value is not finite, there
 * are more than 400 channels, or the range does not ascend.
 * @throws {TypeError} If an option does not exist, or an argument is of the wrong kind.
 *
 * @example
 * ```ts
 * import { featureMaps } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = featureMaps([0, 5, 1, 6, 2, 7, 3, 8], [2, 2, 2]);
 * assert.equal(figure.description, "2 feature maps of 2×2, from 0 to 8.");
 * ```
 */
export function featureMaps(
  values: Numbers,
  shape: readonly [height: number, width: number, channels: number],
  options: FeatureMapsOptions = {},
): Figure {
  const action = "Drawing feature maps";
  checkFigureOptions<FeatureMapsOptions>(action, options, "{ columns: 4 }", {
    ...gridNames,
    range: true,
  });
  if (options.titles) checkStrings(action, "titles", options.titles);
  checkValuesShape(action, values, shape, "[height, width, channels]");
  const [height, width, count] = shape;
  const planes = new Float64Array(values.length);
  for (let position = 0; position < height * width; position++) {
    for (let map = 0; map < count; map++) {
      planes[map * height * width + position] = values[position * count + map]!;
    }
  }
  const [min, max] = extent(planes);
  if (options.range) checkRange(action, options.range);
  const reach = Math.max(-min, max);
  const [low, high] = options.range ??
    (min < 0 ? [-reach, reach] : widenRange(min, max));
  // White stands for zero only in the middle of the scale.
  const colors = low === -high ? diverging : sequential;
  return imageMosaic(
    action,
    { bytes: mapColors(planes, colors, low, high), count, height, width, channels: 3 },
    { titles: Array.from({ length: count }, (_, map) => String(map)), ...options },
    `${formatNumber(count)} feature ${count === 1 ? "map" : "maps"} of ${height}×${width}, ` +
      `from ${formatNumber(min)} to ${formatNumber(max)}.`,
    { colorScale: colorbarTrace("Activation", colors, low, high) },
  );
}

interface Images {
  /** [count, height, width, channels] */
  bytes: Uint8ClampedArray;
  count: number;
  height: number;
  width: number;
  channels: number;
}

/**
 * Draws images in a grid as one picture.
 *
 * @param numbers The text of a pixel under the pointer, for plotly.js; without it there is none.
 */
function imageMosaic(
  action: string,
  original: Images,
  { titles, columns, ...options }: GridOptions,
  description: string,
  { colorScale, numbers }: { colorScale?: (x: number) => Trace; numbers?: string },
): Figure {
  const { count } = original;
  if (count > maxImages) {
    throw new RangeError(
      `${action}: the number of images must be at most ${maxImages}, found ${count}.`,
    );
  }
  if (titles) checkSameLength(action, ["titles", titles], ["images", { length: count }]);
  if (columns !== undefined) checkInteger(action, "columns", columns);
  const margin = {
    l: 16,
    r: colorScale ? 104 : 16,
    t: (options.title === undefined ? 16 : 52) + extraTitleHeight(options),
    b: 16,
  };
  const figureWidth = options.width ?? 700;
  const innerWidth = figureWidth - margin.l - margin.r;
  const gap = 6;

  // As many images in a row as their titles allow; of the grids with that many rows, the narrowest.
  const titleLines = titles?.map((title) => title.split("<br>")) ?? [];
  const titleWidth = 7 * Math.max(0, ...titleLines.flat().map((line) => plain(line).length));
  const least = Math.max(titleWidth, Math.min(120, Math.max(42, original.width)));
  const fitting = Math.min(count, columns ?? Math.max(1, Math.floor(innerWidth / (least + gap))));
  const perRow = columns ?? Math.ceil(count / Math.ceil(count / fitting));
  const available = innerWidth / perRow - gap;
  if (available < minCellWidth) {
    const most = Math.floor(innerWidth / (minCellWidth + gap));
    throw new RangeError(
      `${action}: columns must be at most ${most} in ${figureWidth} pixels, found ${columns}.`,
    );
  }
  const imageWidth = Math.min(count === 1 ? 280 : 160, available);

  const factor = Math.ceil(original.width / (2 * imageWidth));
  const images = averageDown(original, factor);
  const { bytes, height, width, channels } = images;
  // A whole number of half pixels per image pixel, for crisp edges.
  const zoom = Math.floor(2 * imageWidth / width) / 2;
  // From here on lengths are in image pixels.
  const band = Math.ceil(14 * Math.max(0, ...titleLines.map((lines) => lines.length)) / zoom);
  const cellWidth = Math.max(width, Math.floor(Math.min(titleWidth, available) / zoom));
  const stepX = cellWidth + Math.ceil(gap / zoom);
  const stepY = band + height + Math.ceil(gap / zoom);
  const mosaicWidth = (perRow - 1) * stepX + cellWidth;
  const mosaicHeight = (Math.ceil(count / perRow) - 1) * stepY + band + height;
  const mosaic = new Uint8Array(mosaicWidth * mosaicHeight * channels).fill(255);
  const corner = (image: number) => ({
    left: (image % perRow) * stepX + Math.floor((cellWidth - width) / 2),
    top: Math.floor(image / perRow) * stepY + band,
  });
  for (let image = 0; image < count; image++) {
    const { left, top } = corner(image);
    for (let row = 0; row < height; row++) {
      const from = (image * height + row) * width * channels;
      mosaic.set(
        bytes.subarray(from, from + width * channels),
        ((top + row) * mosaicWidth + left) * channels,
      );
    }
  }
  const png = encode(
    { width: mosaicWidth, height: mosaicHeight, channels, data: mosaic },
    { zlib: { level: 9 } },
  );
  // plotly.js shows the position on the axes. In a single image it is the row and the column.
  const isWhole = count === 1 && factor === 1;
  const [originX, originY] = isWhole ? [corner(0).left + 0.5, corner(0).top + 0.5] : [0, 0];
  const picture: Trace = {
    type: "image",
    source: `data:image/png;base64,${png.toBase64()}`,
    x0: 0.5 - originX,
    y0: 0.5 - originY,
    ...(numbers === undefined
      ? { hoverinfo: "skip" }
      : { hovertemplate: `${isWhole ? "Row %{y}, column %{x}: " : ""}${numbers}<extra></extra>` }),
  };
  const hidden = { visible: false, constrain: "domain" } as const;
  // Whole image pixels between the images may make the grid wider than planned.
  const right = Math.min(margin.r, figureWidth - margin.l - mosaicWidth * zoom);
  const share = mosaicWidth * zoom / (figureWidth - margin.l - right);
  // In a window of another width the pixels stay square, and the grid at the upper left or beside
  // its colour bar. A grid that is shrunk to make room for its colour bar stays in the middle.
  const [towardX, towardY] = share < 1
    ? [{ constraintoward: colorScale ? "right" : "left" }, { constraintoward: "top" }] as const
    : [{}, {}];
  return new Figure(
    colorScale ? [picture, colorScale(1.02 * share)] : [picture],
    {
      ...baseLayout(options),
      width: figureWidth,
      height: mosaicHeight * zoom + margin.t + margin.b,
      margin: { ...margin, r: right },
      xaxis: {
        ...hidden,
        range: [-originX, mosaicWidth - originX],
        domain: [0, share],
        ...towardX,
      },
      yaxis: {
        ...hidden,
        range: [mosaicHeight - originY, -originY],
        scaleanchor: "x",
        ...towardY,
      },
      annotations: titleLines.map((lines, image) => {
        const { left, top } = corner(image);
        return label(lines.map((line) => clip(line, available)).join("<br>"), {
          x: left + width / 2 - originX,
          y: top - originY,
          yanchor: "bottom",
          borderpad: 0,
          font: { size: 11 },
        });
      }),
    },
    options.description ?? description,
  );
}

/** Averages blocks of `factor` by `factor` pixels. */
function averageDown(images: Images, factor: number): Images {
  if (factor <= 1) return images;
  const { bytes, count, channels } = images;
  const height = Math.ceil(images.height / factor), width = Math.ceil(images.width / factor);
  const small = new Uint8ClampedArray(count * height * width * channels);
  for (let row = 0; row < count * height; row++) {
    const image = Math.floor(row / height), y = row % height * factor;
    const bottom = Math.min(y + factor, images.height);
    for (let column = 0; column < width; column++) {
      const x = column * factor, right = Math.min(x + factor, images.width);
      for (let channel = 0; channel < channels; channel++) {
        let sum = 0;
        for (let v = y; v < bottom; v++) {
          for (let u = x; u < right; u++) {
            sum += bytes[((image * images.height + v) * images.width + u) * channels + channel]!;
          }
        }
        small[(row * width + column) * channels + channel] = sum / (bottom - y) / (right - x);
      }
    }
  }
  return { bytes: small, count, height, width, channels };
}

/** Maps numbers to the colours of a scale, [..., 3]. */
function mapColors(
  values: Float64Array,
  colorScale: readonly [number, string][],
  low: number,
  high: number,
): Uint8ClampedArray {
  const table = Array.from({ length: 256 }, (_, level) => colorAt(colorScale, level / 255));
  const bytes = new Uint8ClampedArray(values.length * 3);
  values.forEach((value, index) => {
    const level = Math.round(255 * Math.min(1, Math.max(0, (value - low) / (high - low))));
    bytes.set(table[level]!, index * 3);
  });
  return bytes;
}

/**
 * Returns a function that makes a trace without points, which adds a colour bar to a picture.
 *
 * The function takes the left end of the bar as a fraction of the plot area.
 */
function colorbarTrace(
  title: string,
  colorscale: [number, string][],
  cmin: number,
  cmax: number,
): (x: number) => Trace {
  return (x) => ({
    type: "scatter",
    mode: "markers",
    x: [null],
    y: [null],
    marker: {
      color: [cmin],
      colorscale,
      cmin,
      cmax,
      showscale: true,
      colorbar: { ...colorbar({ title }), x },
    },
    hoverinfo: "skip",
  });
}

function defaultRange(values: Numbers): readonly [number, number] {
  if (values instanceof Uint8Array || values instanceof Uint8ClampedArray) return [0, 255];
  const [min, max] = extent(values);
  if (min >= 0 && max <= 1) return [0, 1];
  return widenRange(min, max);
}

/** Widens a range of equal numbers upwards, so that they have the first colour. */
function widenRange(min: number, max: number): readonly [number, number] {
  return max - min >= minSpread([min, max])
    ? [min, max]
    : [min, min + Math.max(1e-300, Math.abs(min) || 1)];
}

/** Truncates a line of a title to a width in pixels; a truncated line loses its tags. */
function clip(line: string, width: number): string {
  const letters = Math.floor(width / 6.6);
  return plain(line).length <= letters ? line : truncate(plain(line), letters);
}

/** Removes the tags of a title. */
function plain(title: string): string {
  return title.replaceAll("<br>", " ").replace(/<[^>]*>/g, "");
}
