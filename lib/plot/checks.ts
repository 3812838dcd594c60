/** Checks of the arguments of charts. */
import {
  checkArray,
  checkBoolean,
  checkInteger,
  checkOneOf,
  checkOptions,
  checkString,
  isTensor,
  type OptionNames,
  show,
} from "../tensor/internal.ts";
import { isRange, maxMagnitude, minMagnitude, minSpread, type Numbers } from "./numbers.ts";
import type { Axis, ColorOptions, FigureOptions, FractionAxis, Quantity } from "./options.ts";
import { colors } from "./palette.ts";

/** The longest side of a figure; a picture of this size still fits into memory. */
const maxPixels = 20_000;

/** A chart has no space on a shorter side. */
const minPixels = 160;

/** Checks that all options exist, and the values of those that all figures have. */
export function checkFigureOptions<T extends Omit<FigureOptions, "height">>(
  action: string,
  options: T,
  example: string,
  names: OptionNames<NoInfer<T>>,
  least = minPixels,
): void {
  checkOptions<T>(action, options, example, names);
  if (options.title !== undefined) checkString(action, "title", options.title);
  if (options.description !== undefined) checkString(action, "description", options.description);
  for (const side of ["width", "height"]) {
    const pixels: unknown = Reflect.get(options, side);
    if (pixels !== undefined) checkPixels(action, side, pixels, least);
  }
}

/** Checks the length of a side of a figure. */
export function checkPixels(action: string, side: string, pixels: unknown, least = 0): void {
  if (typeof pixels !== "number") {
    throw new TypeError(`${action}: ${side} must be a number of pixels, found ${show(pixels)}.`);
  }
  if (!(pixels > 0 && pixels >= least && pixels <= maxPixels)) {
    throw new RangeError(
      `${action}: ${side} must be ${least > 0 ? `at least ${least} and ` : "above 0 and "}` +
        `at most ${maxPixels} pixels, found ${pixels}.`,
    );
  }
}

/** Checks an array of strings. */
export function checkStrings(action: string, subject: string, strings: unknown): void {
  if (!Array.isArray(strings)) {
    throw new TypeError(
      `${action}: ${subject} must be an array of strings, found ${show(strings)}.`,
    );
  }
  // A loop by index, because forEach skips the holes of an array.
  for (let index = 0; index < strings.length; index++) {
    checkString(action, `${subject}[${index}]`, strings[index]);
  }
}

/** Checks that a quantity has a title, and no property that does not exist. */
export function checkQuantity(action: string, subject: string, quantity: Quantity): void {
  checkQuantityOptions<Quantity>(action, subject, quantity, { title: true, unit: true });
}

/** Checks an axis, except for its range, which {@linkcode checkAxisEnds} checks. */
export function checkChartAxis(action: string, subject: string, axis: Axis): void {
  checkQuantityOptions<Axis>(action, subject, axis, axisNames);
  checkScale(action, subject, axis);
}

/** Checks an axis of numbers that may be fractions, except for its range. */
export function checkFractionAxis(action: string, subject: string, axis: FractionAxis): void {
  checkQuantityOptions<FractionAxis>(action, subject, axis, { ...axisNames, percent: true });
  checkScale(action, subject, axis);
  if (axis.percent !== undefined) checkBoolean(action, `percent of ${subject}`, axis.percent);
}

const axisNames = { title: true, unit: true, range: true, scale: true } as const;

function checkScale(action: string, subject: string, { scale }: Axis): void {
  if (scale !== undefined) {
    checkOneOf(action, `the scale of ${subject}`, scale, ["linear", "log"]);
  }
}

/** Checks the places of colours in the palette, one for each part of a chart, and returns them. */
export function checkColors(
  action: string,
  { colors: places }: ColorOptions,
  [subject, parts]: readonly [string, readonly unknown[]],
): readonly number[] {
  if (places === undefined) return parts.map((_, index) => index % colors.length);
  checkArray(action, "colors", places);
  checkSameLength(action, ["colors", places], [subject, parts]);
  places.forEach((place, i) => checkInteger(action, `colors[${i}]`, place, 0, colors.length - 1));
  return places;
}

/** Checks a quantity that has these properties. */
export function checkQuantityOptions<T extends Quantity>(
  action: string,
  subject: string,
  quantity: T,
  names: OptionNames<NoInfer<T>>,
): void {
  checkOptions<T>(`${action}, ${subject}`, quantity, '{ title: "Loss" }', names);
  checkString(action, `the title of ${subject}`, quantity.title);
  if (quantity.unit !== undefined) checkString(action, `the unit of ${subject}`, quantity.unit);
}

/** Checks the ends of an axis. */
export function checkAxisEnds({ title, range, scale }: Axis): void {
  const log = scale === "log";
  const action = `Drawing the ${log ? "logarithmic " : ""}axis "${title}"`;
  if (!isRange(range) || log && !range.every((end) => end > 0)) {
    throw new RangeError(
      `${action}: the range must be two ${log ? "positive" : "finite"} numbers, found ${
        show(range)
      }.`,
    );
  }
  const [min, max] = [Math.min(...range), Math.max(...range)];
  if (log ? max <= min * (1 + 1e-9) : max === min || max - min < minSpread([min, max])) {
    throw new RangeError(
      `${action}: the ends of the range must differ by more than rounding, found ${show(range)}.`,
    );
  }
}

/** Checks the two ends of a colour scale or of bins. */
export function checkRange(action: string, range: readonly [number, number]): void {
  if (!isRange(range) || range[0] >= range[1]) {
    throw new RangeError(`${action}: range must be two ascending numbers, found ${show(range)}.`);
  }
  if (range[1] - range[0] < minSpread(range)) {
    throw new RangeError(
      `${action}: the ends of range must differ by more than rounding, found ${show(range)}.`,
    );
  }
}

/** Checks that a value is a plain or a typed array, or another list with a length. */
export function checkNumberList(action: string, subject: string, values: unknown): void {
  const length = typeof values === "object" && values !== null && !isTensor(values)
    ? Reflect.get(values, "length")
    : undefined;
  if (!Number.isInteger(length)) {
    throw new TypeError(
      `${action}: ${subject} must be an array of numbers, found ${show(values)}.` +
        (isTensor(values) ? " Take its numbers with await tensor.data()." : ""),
    );
  }
}

/** Checks that a list has at least one number and that all are finite. */
export function checkNumbers(action: string, subject: string, values: Numbers): void {
  checkNumberList(action, subject, values);
  if (values.length === 0) {
    throw new RangeError(`${action}: ${subject} must have at least one number, found none.`);
  }
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value >= -maxMagnitude && value <= maxMagnitude && typeof value === "number") continue;
    if (typeof value !== "number") {
      throw new TypeError(
        `${action}: ${subject} must be numbers, found ${show(value)} at index ${index}.`,
      );
    }
    const condition = Number.isFinite(value)
      ? `from -${maxMagnitude} to ${maxMagnitude}`
      : "finite numbers";
    throw new RangeError(
      `${action}: ${subject} must be ${condition}, found ${value} at index ${index}.`,
    );
  }
}

/** Checks numbers along an axis, which may be logarithmic. */
export function checkAxisValues(
  action: string,
  subject: string,
  values: Numbers,
  { scale }: Pick<Axis, "scale">,
): void {
  checkNumbers(action, subject, values);
  if (scale !== "log") return;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value >= minMagnitude) continue;
    throw new RangeError(
      `${action}: ${subject} must be ${value > 0 ? `at least ${minMagnitude}` : "positive"} ` +
        `for a logarithmic axis, found ${value} at index ${index}.`,
    );
  }
}

/** Checks that two lists have the same length. */
export function checkSameLength(
  action: string,
  [subject, values]: [string, ArrayLike<unknown>],
  [otherSubject, others]: [string, ArrayLike<unknown>],
): void {
  if (values.length !== others.length) {
    throw new RangeError(
      `${action}: ${subject} and ${otherSubject} must have the same length, ` +
        `found ${values.length} and ${others.length}.`,
    );
  }
}

/** Checks that a flat array has as many finite numbers as its shape says. */
export function checkValuesShape(
  action: string,
  values: Numbers,
  shape: readonly number[],
  axes: string,
): void {
  checkNumberList(action, "the values", values);
  if (!Array.isArray(shape) || shape.length !== axes.split(",").length) {
    throw new TypeError(`${action}: the shape must be ${axes}, found ${show(shape)}.`);
  }
  if (!shape.every((length) => Number.isInteger(length) && length > 0)) {
    throw new RangeError(
      `${action}: the shape ${axes} must be whole numbers of at least 1, found ${show(shape)}.`,
    );
  }
  const size = shape.reduce((product, length) => product * length, 1);
  if (values.length !== size) {
    throw new RangeError(
      `${action}: the values must be ${size} numbers for the shape ${axes} = ` +
        `[${shape.join(", ")}], found ${values.length}.`,
    );
  }
  checkNumbers(action, "the values", values);
}

/** Checks that rows form a matrix of finite numbers, and returns its width. */
export function checkMatrix(action: string, subject: string, rows: readonly Numbers[]): number {
  if (!Array.isArray(rows)) {
    throw new TypeError(
      `${action}: ${subject} must be an array of rows of numbers, found ${show(rows)}.` +
        (isTensor(rows) ? " Take its numbers with await tensor.array()." : ""),
    );
  }
  if (rows.length > 0) checkNumberList(action, `row 0 of ${subject}`, rows[0]);
  const width = rows[0]?.length ?? 0;
  if (width === 0) {
    throw new RangeError(`${action}: ${subject} must have at least one number, found none.`);
  }
  // A loop by index, because forEach skips the holes of an array.
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index];
    checkNumberList(action, `row ${index} of ${subject}`, row);
    if (row.length !== width) {
      throw new RangeError(
        `${action}: each row of ${subject} must have ${width} numbers, ` +
          `found ${row.length} in row ${index}.`,
      );
    }
    checkNumbers(action, `row ${index} of ${subject}`, row);
  }
  return width;
}

/** Checks that a list of series, groups or layers is an array with at least one element. */
export function checkNotEmpty(action: string, subject: string, list: unknown): void {
  checkArray(action, subject, list);
  if ((list as readonly unknown[]).length === 0) {
    throw new RangeError(`${action}: ${subject} must have at least one element, found none.`);
  }
}
