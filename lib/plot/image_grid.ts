import { Buffer } from "node:buffer";
import { encode } from "fast-png";
import { show } from "../tensor/internal.ts";
import { Figure, type Trace } from "./figure.ts";
import { colorbar } from "./heatmap.ts";
import {
  extent,
  leastSpread,
  type Numbers,
  requireRange,
  requireSameLength,
  requireShape,
  say,
} from "./numbers.ts";
import {
  checkFigure,
  colorAt,
  diverging,
  extraTitleHeight,
  figureNames,
  type FigureOptions,
  frame,
  label,
  requireTexts,
  sequential,
} from "./style.ts";

/** How a grid of small pictures is laid out. */
export interface GridOptions extends Omit<FigureOptions, "height"> {
  /** A line over each picture; `<br>` breaks it. */
  titles?: readonly string[];
  /** How many pictures stand in a row; by default as many as fit. */
  columns?: number;
}

/** What `imageGrid` takes beside its images. */
export interface ImageGridOptions extends GridOptions {
  /**
   * The numbers that are black and white. By default [0, 255] for bytes, [0, 1] for other numbers
   * in that range, and the least and the greatest number otherwise.
   */
  range?: readonly [number, number];
}

/** A narrower picture shows nothing. */
const leastPlace = 4;

/** The width of a figure with room for one picture. */
const leastWidth = 64;

const gridNames = { ...figureNames, titles: true, columns: true } as const;

/** More pictures than this do not fit a figure in which one can see anything. */
const mostImages = 400;

/**
 * Draws images as crisp pixels in a grid, with a title over each.
 *
 * All images become one PNG picture inside the figure, so a grid costs about as much as the images
 * themselves. Images larger than their place in the grid are averaged down.
 *
 * @param values The pixels, row by row, channels last.
 * @param shape `[count, height, width, channels]`, with 1 channel (gray) or 3 (red, green, blue).
 * @param options Titles, columns, range, title and width.
 * @throws {RangeError} If there are no images or more than 400, the values are not as many as the
 * shape says, a value is not finite, there are neither 1 nor 3 channels, the titles are not as
 * many as the images, or the range does not ascend.
 * @throws {TypeError} If there is no such option, or something is of another kind.
 *
 * @example
 * ```ts
 * import { imageGrid } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const figure = imageGrid([0, 1, 1, 0, 1, 1, 0, 0], [2, 2, 2, 1], { titles: ["cross", "bar"] });
 * assert.equal(figure.data[0]?.type, "image");
 * assert.equal(figure.description, "2 gray images of 2×2 pixels: cross, bar.");
 * ```
 */
export function imageGrid(
  values: Numbers,
  shape: readonly [count: number, height: number, width: number, channels: number],
  options: ImageGridOptions = {},
): Figure {
  const doing = "Drawing a grid of images";
  checkFigure<ImageGridOptions>(
    doing,
    options,
    "{ columns: 4 }",
    { ...gridNames, range: true },
    leastWidth,
  );
  if (options.titles) requireTexts(doing, "titles", options.titles);
  requireShape(doing, values, shape, "[count, height, width, channels]");
  const [count, height, width, channels] = shape;
  if (channels !== 1 && channels !== 3) {
    throw new RangeError(`${doing}: expected 1 or 3 channels, found ${channels}`);
  }
  if (options.range) requireRange(doing, options.range);
  const [black, white] = options.range ?? usualRange(values);
  const bytes = Uint8ClampedArray.from(
    values,
    (value) => 255 * (value - black) / (white - black),
  );
  const kind = channels === 1 ? "gray" : "colour";
  const stretched = [0, 1, 255].includes(white) && black === 0
    ? ""
    : `, black at ${say(black)} and white at ${say(white)}`;
  return pictures(
    doing,
    { bytes, count, height, width, channels },
    options,
    `${say(count)} ${kind} ${count === 1 ? "image" : "images"} of ${height}×${width} pixels` +
      `${stretched}${options.titles ? `: ${options.titles.map(plain).join(", ")}` : ""}.`,
  );
}

/** What `filterGrid` takes beside its kernels. */
export interface FilterGridOptions extends GridOptions {
  /** The one input channel to draw. By default colour for 3 input channels, else channel 0. */
  inputChannel?: number;
}

/**
 * Draws the kernels of a convolution, one small picture per output channel.
 *
 * Kernels over 3 input channels are drawn in colour, where middle gray is zero; others are drawn
 * for one input channel, where white is zero, red positive and blue negative.
 *
 * @param kernels The weights, in the layout of TensorFlow.
 * @param shape `[height, width, input channels, output channels]`.
 * @param options The input channel, titles (by default the output channels), columns, title.
 * @throws {RangeError} If the values are not as many as the shape says, a value is not finite,
 * there are more than 400 output channels, or there is no such input channel.
 * @throws {TypeError} If there is no such option, or something is of another kind.
 *
 * @example
 * ```ts
 * import { filterGrid } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * const sobel = [1, 0, -1, 2, 0, -2, 1, 0, -1];
 * const figure = filterGrid(sobel, [3, 3, 1, 1], { titles: ["vertical edge"] });
 * assert.match(figure.description, /^1 kernel of 3×3 weights for input channel 0 of 1, from -2 to 2/);
 * ```
 */
export function filterGrid(
  kernels: Numbers,
  shape: readonly [height: number, width: number, input: number, output: number],
  options: FilterGridOptions = {},
): Figure {
  const doing = "Drawing convolution kernels";
  checkFigure<FilterGridOptions>(doing, options, "{ inputChannel: 0 }", {
    ...gridNames,
    inputChannel: true,
  });
  if (options.titles) requireTexts(doing, "titles", options.titles);
  requireShape(doing, kernels, shape, "[height, width, input, output]");
  const [height, width, input, output] = shape;
  const { inputChannel } = options;
  if (
    inputChannel !== undefined &&
    !(Number.isInteger(inputChannel) && inputChannel >= 0 && inputChannel < input)
  ) {
    throw new RangeError(
      `${doing}: expected an input channel from 0 to ${input - 1}, found ${show(inputChannel)}`,
    );
  }
  const inColor = input === 3 && inputChannel === undefined;
  const channels = inColor ? 3 : 1;
  const planes = new Float64Array(output * height * width * channels);
  for (let place = 0; place < height * width; place++) {
    for (let channel = 0; channel < channels; channel++) {
      const from = inColor ? channel : inputChannel ?? 0;
      for (let filter = 0; filter < output; filter++) {
        planes[(filter * height * width + place) * channels + channel] =
          kernels[(place * input + from) * output + filter]!;
      }
    }
  }
  const [min, max] = extent(planes);
  const reach = Math.max(-min, max) || 1;
  const images = inColor
    ? { bytes: Uint8ClampedArray.from(planes, (value) => 127.5 * (1 + value / reach)), channels }
    : { bytes: colored(planes, diverging, -reach, reach), channels: 3 };
  return pictures(
    doing,
    { ...images, count: output, height, width },
    { titles: Array.from({ length: output }, (_, filter) => String(filter)), ...options },
    `${say(output)} ${output === 1 ? "kernel" : "kernels"} of ${height}×${width} weights ` +
      (inColor ? "in colour" : `for input channel ${inputChannel ?? 0} of ${input}`) +
      `, from ${say(min)} to ${say(max)}.`,
    inColor ? undefined : scale("Weight", diverging, -reach, reach),
  );
}

/** What `featureMaps` takes beside its values. */
export interface FeatureMapsOptions extends GridOptions {
  /**
   * The numbers at the ends of the colour scale; by default the least and the greatest, or where
   * there are negative ones, −m and m.
   */
  range?: readonly [number, number];
}

/**
 * Draws what the channels of a layer answer to one image, one small picture per channel, all on
 * one colour scale; where there are negative activations, one with white at zero.
 *
 * @param values The activations of one image.
 * @param shape `[height, width, channels]`.
 * @param options The range, titles (by default the channels), columns, title and width.
 * @throws {RangeError} If the values are not as many as the shape says, a value is not finite,
 * there are more than 400 channels, or the range does not ascend.
 * @throws {TypeError} If there is no such option, or something is of another kind.
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
  const doing = "Drawing feature maps";
  checkFigure<FeatureMapsOptions>(doing, options, "{ columns: 4 }", { ...gridNames, range: true });
  if (options.titles) requireTexts(doing, "titles", options.titles);
  requireShape(doing, values, shape, "[height, width, channels]");
  const [height, width, count] = shape;
  const planes = new Float64Array(values.length);
  for (let place = 0; place < height * width; place++) {
    for (let map = 0; map < count; map++) {
      planes[map * height * width + place] = values[place * count + map]!;
    }
  }
  const [min, max] = extent(planes);
  if (options.range) requireRange(doing, options.range);
  const reach = Math.max(-min, max);
  const [low, high] = options.range ??
    (min < 0 ? [-reach, reach] : wide(min, max));
  // White stands for zero only in the middle of the scale.
  const colors = low === -high ? diverging : sequential;
  return pictures(
    doing,
    { bytes: colored(planes, colors, low, high), count, height, width, channels: 3 },
    { titles: Array.from({ length: count }, (_, map) => String(map)), ...options },
    `${say(count)} feature ${count === 1 ? "map" : "maps"} of ${height}×${width}, ` +
      `from ${say(min)} to ${say(max)}.`,
    scale("Activation", colors, low, high),
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

/** Lays images out in a grid and draws them as one picture. */
function pictures(
  doing: string,
  original: Images,
  { titles, columns, ...options }: GridOptions,
  description: string,
  colorScale?: Trace,
): Figure {
  const { count } = original;
  if (count > mostImages) {
    throw new RangeError(`${doing}: expected at most ${mostImages} images, found ${count}`);
  }
  if (titles) requireSameLength(doing, ["titles", titles], ["images", { length: count }]);
  if (columns !== undefined && !(Number.isInteger(columns) && columns > 0)) {
    throw new RangeError(
      `${doing}: expected columns to be a positive integer, found ${show(columns)}`,
    );
  }
  const margin = {
    l: 16,
    r: colorScale ? 104 : 16,
    t: (options.title === undefined ? 16 : 52) + extraTitleHeight(options),
    b: 16,
  };
  const figureWidth = options.width ?? 700;
  const room = figureWidth - margin.l - margin.r;
  const gap = 6;

  // The rows hold as many images as fit under their titles, then as few as fill the same rows.
  const lines = titles?.map((title) => title.split("<br>")) ?? [];
  const titleWidth = 7 * Math.max(0, ...lines.flat().map((line) => plain(line).length));
  const least = Math.max(titleWidth, Math.min(120, Math.max(42, original.width)));
  const fitting = Math.min(count, columns ?? Math.max(1, Math.floor(room / (least + gap))));
  const perRow = columns ?? Math.ceil(count / Math.ceil(count / fitting));
  const place = room / perRow - gap;
  if (place < leastPlace) {
    const most = Math.floor(room / (leastPlace + gap));
    throw new RangeError(
      `${doing}: columns must be at most ${most} in ${figureWidth} pixels, found ${columns}.`,
    );
  }
  const imageWidth = Math.min(count === 1 ? 280 : 160, place);

  const images = shrunk(original, Math.ceil(original.width / (2 * imageWidth)));
  const { bytes, height, width, channels } = images;
  // A whole number of half pixels per image pixel: whole ones in the static picture.
  const zoom = Math.floor(2 * imageWidth / width) / 2;
  // ... and from here on in image pixels.
  const band = Math.ceil(14 * Math.max(0, ...lines.map((lines) => lines.length)) / zoom);
  const cellWidth = Math.max(width, Math.floor(Math.min(titleWidth, place) / zoom));
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
  const picture: Trace = {
    type: "image",
    source: `data:image/png;base64,${Buffer.from(png).toString("base64")}`,
    x0: 0.5,
    y0: 0.5,
    hoverinfo: "skip",
  };
  const hidden = { visible: false, constrain: "domain" } as const;
  return new Figure(
    colorScale ? [picture, colorScale] : [picture],
    {
      ...frame(options),
      width: figureWidth,
      height: mosaicHeight * zoom + margin.t + margin.b,
      margin: { ...margin, r: figureWidth - margin.l - mosaicWidth * zoom },
      xaxis: { ...hidden, range: [0, mosaicWidth] },
      yaxis: { ...hidden, range: [mosaicHeight, 0], scaleanchor: "x" },
      annotations: lines.map((lines, image) => {
        const { left, top } = corner(image);
        return label(lines.map((line) => clip(line, place)).join("<br>"), {
          x: left + width / 2,
          y: top,
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
function shrunk(images: Images, factor: number): Images {
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

/** Numbers as the colours of a scale, [..., 3]. */
function colored(
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

/** A trace without points, which carries the colour scale of a picture. */
function scale(
  title: string,
  colorscale: [number, string][],
  cmin: number,
  cmax: number,
): Trace {
  return {
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
      colorbar: colorbar({ title }, [cmin, cmax]),
    },
    hoverinfo: "skip",
  };
}

function usualRange(values: Numbers): readonly [number, number] {
  if (values instanceof Uint8Array || values instanceof Uint8ClampedArray) return [0, 255];
  const [min, max] = extent(values);
  if (min >= 0 && max <= 1) return [0, 1];
  return wide(min, max);
}

/** The ends of a scale on which equal numbers have the first colour. */
function wide(min: number, max: number): readonly [number, number] {
  return max - min >= leastSpread([min, max])
    ? [min, max]
    : [min, min + Math.max(1e-300, Math.abs(min) || 1)];
}

/** A line of a title, cut where it is wider than its place in pixels. */
function clip(line: string, place: number): string {
  const letters = Math.floor(place / 6.6);
  return plain(line).length <= letters ? line : `${plain(line).slice(0, letters - 1)}…`;
}

/** A title without its tags. */
function plain(title: string): string {
  return title.replaceAll("<br>", " ").replace(/<[^>]*>/g, "");
}
