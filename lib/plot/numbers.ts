import { isTensor } from "../tensor/mod.ts";
import { show } from "../tensor/internal.ts";
import type { Axis } from "./style.ts";

/** Numbers in a row: a plain or a typed array. */
export type Numbers = ArrayLike<number>;

/**
 * Numbers further from zero than this are refused: plotly.js adds and multiplies them without a
 * check for overflow.
 */
const largest = 1e300;

/** Checks that a value is a plain or a typed array, or any other list with a length. */
export function requireList(doing: string, name: string, values: unknown): void {
  const length = typeof values === "object" && values !== null && !isTensor(values)
    ? Reflect.get(values, "length")
    : undefined;
  if (!Number.isInteger(length)) {
    throw new TypeError(
      `${doing}: ${name} must be an array of numbers, found ${show(values)}.` +
        (isTensor(values) ? " Take its numbers with await tensor.data()." : ""),
    );
  }
}

/** Checks that there is at least one number and that all are finite. */
export function requireNumbers(doing: string, name: string, values: Numbers): void {
  requireList(doing, name, values);
  if (values.length === 0) {
    throw new RangeError(`${doing}: expected at least one number in ${name}, found none`);
  }
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value >= -largest && value <= largest && typeof value === "number") continue;
    if (typeof value !== "number") {
      throw new TypeError(
        `${doing}: ${name} must be numbers, found ${show(value)} at index ${index}.`,
      );
    }
    if (Number.isFinite(value)) {
      throw new RangeError(
        `${doing}: ${name} must be from -${largest} to ${largest}, found ${value} at index ${index}.`,
      );
    }
    throw new RangeError(
      `${doing}: expected finite numbers in ${name}, found ${value} at index ${index}`,
    );
  }
}

/** Checks numbers for an axis, which may be a logarithmic one. */
export function requireOnAxis(
  doing: string,
  name: string,
  values: Numbers,
  { scale }: Pick<Axis, "scale">,
): void {
  requireNumbers(doing, name, values);
  if (scale !== "log") return;
  for (let index = 0; index < values.length; index++) {
    if (values[index]! > 0 && values[index]! < smallest) {
      throw new RangeError(
        `${doing}: ${name} must be at least ${smallest} for a logarithmic axis, ` +
          `found ${values[index]} at index ${index}.`,
      );
    }
    if (values[index]! <= 0) {
      throw new RangeError(
        `${doing}: expected positive numbers in ${name} for a logarithmic axis, ` +
          `found ${values[index]} at index ${index}`,
      );
    }
  }
}

/** Checks the two ends of a scale. */
export function requireRange(doing: string, range: readonly [number, number]): void {
  if (!isRange(range) || range[0] >= range[1]) {
    throw new RangeError(
      `${doing}: expected a range that ascends, found ${show(range)}`,
    );
  }
  if (range[1] - range[0] < leastSpread(range)) {
    throw new RangeError(
      `${doing}: the ends of a range must differ by more than rounding, found ${show(range)}.`,
    );
  }
}

/** Whether a value is two numbers that can be drawn, with room around the largest. */
export function isRange(range: unknown): range is readonly [number, number] {
  return Array.isArray(range) && range.length === 2 &&
    range.every((end) => typeof end === "number" && Math.abs(end) <= 10 * largest);
}

/**
 * The least distance between the ends of a scale: a number has 16 digits, an axis tells apart a
 * hundred places, and the labels of its ticks have 15 digits.
 */
export function leastSpread([min, max]: readonly [number, number]): number {
  return Math.max(smallest, 1e-13 * Math.max(-min, max));
}

/** Numbers closer to zero than this are drawn there: plotly.js divides by them. */
const smallest = 1e-300;

/** The ends of a scale around numbers that are equal, or that it cannot tell apart. */
export function endsAround([min, max]: readonly [number, number]): [number, number] {
  const size = Math.max(-min, max);
  const half = (size < smallest ? 1 : size) / 2;
  return [min - half, max + half];
}

/** Whether each number is greater than the one before. */
export function ascends(values: Numbers): boolean {
  for (let index = 1; index < values.length; index++) {
    if (!(values[index - 1]! < values[index]!)) return false;
  }
  return true;
}

/** Checks that two lists that belong together are of one length. */
export function requireSameLength(
  doing: string,
  [name, values]: [string, ArrayLike<unknown>],
  [otherName, others]: [string, ArrayLike<unknown>],
): void {
  if (values.length !== others.length) {
    throw new RangeError(
      `${doing}: expected ${name} and ${otherName} to have the same length, ` +
        `found ${values.length} and ${others.length}`,
    );
  }
}

/** Checks that a flat array holds as many finite numbers as its shape says. */
export function requireShape(
  doing: string,
  values: Numbers,
  shape: readonly number[],
  axes: string,
): void {
  requireList(doing, "the values", values);
  const count = axes.split(",").length;
  if (!Array.isArray(shape) || shape.length !== count) {
    throw new TypeError(
      `${doing}: the shape must be ${axes}, found ${show(shape)}.`,
    );
  }
  const size = shape.reduce((product, length) => product * length, 1);
  if (!shape.every((length) => Number.isInteger(length) && length > 0)) {
    throw new RangeError(
      `${doing}: expected a shape ${axes} of positive integers, found ${show(shape)}`,
    );
  }
  if (values.length !== size) {
    throw new RangeError(
      `${doing}: expected ${size} numbers for the shape ${axes} = [${shape.join(", ")}], ` +
        `found ${values.length}`,
    );
  }
  requireNumbers(doing, "values", values);
}

/** Checks that rows form a matrix of finite numbers and returns its width. */
export function requireMatrix(doing: string, name: string, rows: readonly Numbers[]): number {
  if (!Array.isArray(rows)) {
    throw new TypeError(
      `${doing}: ${name} must be an array of rows of numbers, found ${show(rows)}.` +
        (isTensor(rows) ? " Take its numbers with await tensor.array()." : ""),
    );
  }
  if (rows.length > 0) requireList(doing, `row 0 of ${name}`, rows[0]);
  const width = rows[0]?.length ?? 0;
  if (width === 0) throw new RangeError(`${doing}: expected at least one number, found none`);
  // By index, because forEach leaves out the holes of an array.
  for (let index = 0; index < rows.length; index++) {
    const row = rows[index];
    requireList(doing, `row ${index} of ${name}`, row);
    if (row.length !== width) {
      throw new RangeError(
        `${doing}: expected ${width} numbers in each row of ${name}, ` +
          `found ${row.length} in row ${index}`,
      );
    }
    requireNumbers(doing, `row ${index} of ${name}`, row);
  }
  return width;
}

/** The least and the greatest of some numbers. */
export function extent(values: Numbers): [number, number] {
  let min = Infinity, max = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = values[index]!;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  return [min, max];
}

/** The least and the greatest of the numbers of several lists. */
export function jointExtent(lists: Iterable<Numbers>): [number, number] {
  let min = Infinity, max = -Infinity;
  for (const list of lists) {
    const [low, high] = extent(list);
    min = Math.min(min, low);
    max = Math.max(max, high);
  }
  return [min, max];
}

/** A number for a sentence: at most four significant digits, thousands grouped. */
export function say(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (Number.isInteger(value) && size < 1e15) return value.toLocaleString("en");
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace("e+", "e");
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** Clauses of a sentence, but no more than one would read. */
export function inShort(clauses: readonly string[], separator = "; "): string {
  const most = 40;
  return clauses.length <= most ? clauses.join(separator) : [
    ...clauses.slice(0, most),
    `and ${say(clauses.length - most)} more`,
  ].join(separator);
}

/** A number short enough for a bar or a diagram: 61.1M, 1.81G, 240. */
export function short(value: number): string {
  const rounded = Number(value.toPrecision(3)) + 0; // 999,999 is 1M, and -0 is 0.
  if (Math.abs(rounded) >= 1e12) return rounded.toExponential().replace("+", "");
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(rounded) >= size) return `${Number((value / size).toPrecision(3))}${letter}`;
  }
  return String(rounded);
}

/**
 * Traces as they are stored: plain arrays, and as many digits as a picture and its hover text can
 * use, which is five significant ones, more where the values along an axis lie close together far
 * from zero.
 */
export function compact<T extends object>(traces: readonly T[]): T[] {
  // Rows of a matrix and traces on the same axis are seen together, and so is their precision.
  const together = new Map<string, Numbers[]>();
  for (const trace of traces) {
    walk(trace, "", (list, path) => {
      const key = placeOf(path, trace), lists = together.get(key);
      if (lists) lists.push(list);
      else together.set(key, [list]);
      return list;
    });
  }
  const digits = new Map(
    Array.from(together, ([key, lists]) => [key, digitsFor(jointExtent(lists))]),
  );
  return traces.map((trace) =>
    walk(trace, "", (list, path) => {
      const [min, max] = extent(list);
      const needed = Math.max(
        digits.get(placeOf(path, trace))!,
        min < max ? digitsFor([min, max]) : 0,
      );
      return Array.from(
        list,
        (number) =>
          Number.isInteger(number) || !Number.isFinite(number)
            ? number
            : Number(number.toPrecision(needed)),
      );
    }) as T
  );
}

/** A copy of a trace or a part of it, with each list of numbers replaced. */
function walk(
  value: unknown,
  path: string,
  replace: (list: Numbers, path: string) => Numbers,
): unknown {
  if (isNumbers(value)) return replace(value, path);
  if (Array.isArray(value)) return value.map((item) => walk(item, path, replace));
  if (isTensor(value) || ArrayBuffer.isView(value) || typeof value === "bigint") {
    throw new TypeError(
      `Making a figure: ${path.slice(1)} of a trace must be numbers, found ` +
        `${ArrayBuffer.isView(value) ? value.constructor.name : show(value)}.`,
    );
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, walk(item, `${path}.${key}`, replace)]),
  );
}

/** The axis of the figure, or the property of the traces, that a list of numbers lies along. */
function placeOf(path: string, trace: object): string {
  return `${path} ${Reflect.get(trace, `${path.slice(1)}axis`) ?? ""}`;
}

/** Five digits, and those that all numbers between two ends have in common. */
function digitsFor([min, max]: readonly [number, number]): number {
  const common = Math.log10(Math.max(-min, max) / (max - min));
  // A number that stands alone keeps all 17 digits that tell it from others.
  return min === max ? 17 : Math.min(17, 5 + (common > 0 ? Math.round(common) : 0));
}

function isNumbers(value: unknown): value is Numbers {
  return Array.isArray(value)
    ? value.length > 0 && value.every((item) => typeof item === "number")
    : ArrayBuffer.isView(value) && "length" in value &&
      !(value instanceof BigInt64Array || value instanceof BigUint64Array);
}
