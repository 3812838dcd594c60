import type { Axis } from "./style.ts";

/** Numbers in a row: a plain or a typed array. */
export type Numbers = ArrayLike<number>;

/** Checks that there is at least one number and that all are finite. */
export function requireNumbers(doing: string, name: string, values: Numbers): void {
  if (values.length === 0) {
    throw new RangeError(`${doing}: expected at least one number in ${name}, found none`);
  }
  for (let index = 0; index < values.length; index++) {
    if (!Number.isFinite(values[index])) {
      throw new RangeError(
        `${doing}: expected finite numbers in ${name}, found ${values[index]} at index ${index}`,
      );
    }
  }
}

/** Checks numbers for an axis, which may be a logarithmic one. */
export function requireOnAxis(doing: string, name: string, values: Numbers, { scale }: Axis): void {
  requireNumbers(doing, name, values);
  if (scale !== "log") return;
  for (let index = 0; index < values.length; index++) {
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
  if (!(Number.isFinite(range[0]) && Number.isFinite(range[1]) && range[0] < range[1])) {
    throw new RangeError(`${doing}: expected a range that ascends, found [${range.join(", ")}]`);
  }
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
  const size = shape.reduce((product, length) => product * length, 1);
  if (!shape.every((length) => Number.isInteger(length) && length > 0)) {
    throw new RangeError(
      `${doing}: expected a shape ${axes} of positive integers, found [${shape.join(", ")}]`,
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
  const width = rows[0]?.length ?? 0;
  if (width === 0) throw new RangeError(`${doing}: expected at least one number, found none`);
  rows.forEach((row, index) => {
    if (row.length !== width) {
      throw new RangeError(
        `${doing}: expected ${width} numbers in each row of ${name}, ` +
          `found ${row.length} in row ${index}`,
      );
    }
    requireNumbers(doing, `row ${index} of ${name}`, row);
  });
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

/** A number for a sentence: at most four significant digits, thousands grouped. */
export function say(value: number): string {
  if (Number.isInteger(value)) return value.toLocaleString("en");
  const size = Math.abs(value);
  if (size >= 1e6 || size < 1e-4) return value.toExponential(2).replace("e+", "e");
  return Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
}

/** A number short enough for a bar or a diagram: 61.1M, 1.81G, 240. */
export function short(value: number): string {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(3))}${letter}`;
  }
  return String(Number(value.toPrecision(3)));
}

/**
 * Numbers as they are stored: plain arrays, and as many digits as a picture and its hover text can
 * use, which is five significant ones, more where the values lie close together far from zero.
 */
export function compact<T>(value: T): T;
export function compact(value: unknown): unknown {
  if (isNumbers(value)) {
    const [min, max] = extent(value);
    const spread = Math.log10(Math.max(-min, max) / (max - min));
    const digits = Math.min(15, 5 + (spread > 0 && spread < Infinity ? Math.round(spread) : 0));
    return Array.from(
      value,
      (number) =>
        Number.isInteger(number) || !Number.isFinite(number)
          ? number
          : Number(number.toPrecision(digits)),
    );
  }
  if (Array.isArray(value)) return value.map((item) => compact(item));
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, compact(item)]));
  }
  return value;
}

function isNumbers(value: unknown): value is Numbers {
  return Array.isArray(value)
    ? value.length > 0 && value.every((item) => typeof item === "number")
    : ArrayBuffer.isView(value) && !(value instanceof DataView);
}
