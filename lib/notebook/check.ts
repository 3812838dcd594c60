import { inspect, isDeepStrictEqual } from "node:util";
import { isTensor, type Tensor } from "../tensor/mod.ts";

/** What {@linkcode checkClose} compares: a number, a tensor, a typed array, or arrays of these. */
export type Numeric = number | Tensor | (ArrayLike<number> & ArrayBufferView) | readonly Numeric[];

/** Found values up to this many characters stand in the line of a claim that holds. */
const shortLength = 60;

/**
 * Checks a claim: prints `✓ claim` if it holds.
 *
 * @param claim What is claimed, in words.
 * @param condition Whether it holds.
 * @throws {Error} `✗ claim` if it does not hold.
 * @throws {TypeError} If `condition` is neither true nor false; a tensor of one truth value is not.
 *
 * @example
 * ```ts
 * import { check } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * check("a stride of 2 halves 28 pixels", 28 / 2 === 14);
 * assert.throws(() => check("padding 1 keeps a 1×1 convolution's size", false), /^Error: ✗ padding 1/);
 * ```
 */
export function check(claim: string, condition: boolean): asserts condition {
  if (typeof condition !== "boolean") {
    throw new TypeError(
      `Checking "${claim}": expected true or false, found ${show(condition)}`,
    );
  }
  if (!condition) fail(claim, "expected true, found false");
  pass(claim);
}

/**
 * Checks that a value is what it should be, in depth: prints `✓ claim`, with the value if it is
 * short.
 *
 * NaN never passes, not even where NaN is expected. For tensors use {@linkcode checkClose}.
 *
 * @param claim What is claimed, in words.
 * @param actual The value found.
 * @param expected The value it should be.
 * @throws {Error} `✗ claim: expected …, found …` if they differ.
 * @throws {TypeError} If either is or holds a tensor, or they are objects whose content cannot be
 * seen, such as promises.
 *
 * @example
 * ```ts
 * import { checkEqual, lenet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * checkEqual("LeNet's parameters", summary(lenet(), [28, 28, 1]).parameters, 61_706);
 * assert.throws(() => checkEqual("shape", [2, 3], [3, 2]), /✗ shape: expected \[ 3, 2 \], found \[ 2, 3 \]/);
 * ```
 */
export function checkEqual<T>(claim: string, actual: T, expected: NoInfer<T>): void {
  if (holds(actual, isTensor) || holds(expected, isTensor)) {
    throw new TypeError(
      `Checking "${claim}": expected values that are no tensors, found a tensor; use checkClose, or its shape or arraySync()`,
    );
  }
  // To isDeepStrictEqual two objects with nothing but private fields are equal.
  if (!Object.is(actual, expected) && holds(actual, isOpaque) && holds(expected, isOpaque)) {
    throw new TypeError(
      `Checking "${claim}": expected values whose content can be compared, found ${
        show(actual)
      }; ` +
        "await a promise, and compare the properties of an object",
    );
  }
  if (!isDeepStrictEqual(actual, expected) || holds(actual, Number.isNaN)) {
    fail(claim, `expected ${show(expected)}, found ${show(actual)}`);
  }
  const found = show(actual);
  pass(found.length <= shortLength ? `${claim}: ${found}` : claim);
}

/**
 * Checks that numbers are of the same shape and `|actual − expected| ≤ tolerance` for each: prints
 * `✓ claim`, with the number or the largest difference. NaN never passes.
 *
 * @param claim What is claimed, in words.
 * @param actual The numbers found.
 * @param expected The numbers they should be.
 * @param tolerance The largest difference that passes, in the unit of the numbers.
 * @throws {Error} `✗ claim: expected …, found …` if the shapes differ or a number is too far off.
 * @throws {TypeError} If either holds something other than numbers.
 * @throws {RangeError} If there is no number at all, the arrays in an array differ in shape, or the
 * tolerance is no number from 0 up.
 *
 * @example
 * ```ts
 * import { checkClose, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * checkClose("ln 2", Math.log(2), 0.693, 0.001);
 * checkClose("softmax of equal logits", ops.softmax(ops.zeros([1, 4])), [[0.25, 0.25, 0.25, 0.25]], 1e-6);
 * assert.throws(() => checkClose("π", 3.2, Math.PI, 0.01), /✗ π: expected 3\.14159.* ± 0\.01, found 3\.2/);
 * ```
 */
export function checkClose(
  claim: string,
  actual: Numeric,
  expected: Numeric,
  tolerance: number,
): void {
  const doing = `Checking "${claim}"`;
  if (!(typeof tolerance === "number" && tolerance >= 0 && tolerance < Infinity)) {
    throw new RangeError(`${doing}: expected a tolerance from 0 up, found ${show(tolerance)}`);
  }
  const found = flatten(doing, actual), wanted = flatten(doing, expected);
  if (!isDeepStrictEqual(found.shape, wanted.shape)) {
    fail(claim, `expected ${sayShape(wanted.shape)}, found ${sayShape(found.shape)}`);
  }
  if (found.values.length === 0) {
    throw new RangeError(`${doing}: expected at least one number, found none`);
  }
  let worst = 0, largest = -1;
  for (let i = 0; i < found.values.length; i++) {
    const a = found.values[i]!, b = wanted.values[i]!;
    const distance = Math.abs(a - b);
    const difference = a === b ? 0 : Number.isNaN(distance) ? Infinity : distance;
    if (difference > largest) [worst, largest] = [i, difference];
  }
  const a = found.values[worst]!, b = wanted.values[worst]!;
  const isNumber = found.shape.length === 0;
  if (largest > tolerance) {
    const place = isNumber ? "" : ` at [${position(worst, found.shape).join(", ")}]`;
    fail(claim, `expected ${b} ± ${tolerance}${place}, found ${a}`);
  }
  pass(
    isNumber
      ? `${claim}: ${round(a)} (expected ${round(b)} ± ${tolerance})`
      : `${claim}: largest difference ${round(largest)} (tolerance ${tolerance})`,
  );
}

function pass(line: string): void {
  console.log(`✓ ${line}`);
}

function fail(claim: string, why: string): never {
  throw new Error(`✗ ${claim}: ${why}`);
}

/** Numbers of any kind in a row, and their shape; that of a single number is []. */
function flatten(doing: string, numbers: Numeric): { shape: number[]; values: ArrayLike<number> } {
  if (typeof numbers === "number") return { shape: [], values: [numbers] };
  if (isTensor(numbers)) {
    const { dtype }: { dtype: string } = numbers;
    if (dtype === "string" || dtype === "complex64") {
      throw new TypeError(`${doing}: expected real numbers, found a tensor of ${dtype}`);
    }
    return { shape: numbers.shape, values: numbers.dataSync() };
  }
  if (isTyped(numbers)) return { shape: [numbers.length], values: numbers };
  if (!Array.isArray(numbers)) {
    throw new TypeError(`${doing}: expected numbers, found ${show(numbers)}`);
  }
  if (numbers.length > 0 && numbers.every((part) => typeof part === "number") && isFull(numbers)) {
    return { shape: [numbers.length], values: numbers };
  }
  // Array.from takes the holes of an array for undefined, which map would leave out.
  const parts = Array.from(numbers, (part) => flatten(doing, part));
  const shape = parts[0]?.shape ?? [];
  for (const part of parts) {
    if (!isDeepStrictEqual(part.shape, shape)) {
      throw new RangeError(
        `${doing}: expected parts of one shape, found ${sayShape(shape)} beside ${
          sayShape(part.shape)
        }`,
      );
    }
  }
  return {
    shape: [parts.length, ...shape],
    values: parts.flatMap(({ values }) => Array.from(values)),
  };
}

/** Whether a value is a typed array of numbers, which those of BigInt are not. */
function isTyped(value: unknown): value is ArrayLike<number> & ArrayBufferView {
  return ArrayBuffer.isView(value) && "length" in value &&
    !(value instanceof BigInt64Array || value instanceof BigUint64Array);
}

/** Whether an array has no holes. */
function isFull(values: readonly unknown[]): boolean {
  return !values.includes(undefined);
}

/** The index along each axis of the element at `flat` in row-major order. */
function position(flat: number, shape: readonly number[]): number[] {
  return shape.reduceRight<number[]>((rest, length) => {
    const index = flat % length;
    flat = (flat - index) / length;
    return [index, ...rest];
  }, []);
}

/** Whether a value or anything in it is of some kind. */
function holds(value: unknown, isSome: (part: unknown) => boolean, seen = new Set()): boolean {
  if (isSome(value)) return true;
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  if (ArrayBuffer.isView(value)) return isTyped(value) && Array.prototype.some.call(value, isSome);
  seen.add(value);
  const parts = value instanceof Map
    ? [...value.keys(), ...value.values()]
    : value instanceof Set
    ? [...value]
    : Object.values(value);
  return parts.some((part) => holds(part, isSome, seen));
}

/** Whether nothing of an object can be seen: a promise, or one whose fields are all private. */
function isOpaque(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Object.keys(value).length > 0) return false;
  const prototype = Object.getPrototypeOf(value);
  const isKnown = [Array, Map, Set, Date, RegExp, Error].some((known) => value instanceof known);
  return !isKnown && !ArrayBuffer.isView(value) &&
    prototype !== null && prototype !== Object.prototype;
}

function show(value: unknown): string {
  return isTensor(value)
    ? `a tensor of shape [${value.shape.join(", ")}]`
    : inspect(value, { breakLength: Infinity, compact: true });
}

function sayShape(shape: readonly number[]): string {
  return shape.length === 0 ? "a single number" : `shape [${shape.join(", ")}]`;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
