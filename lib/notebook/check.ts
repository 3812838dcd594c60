import { inspect, isDeepStrictEqual } from "node:util";
import type { Tensor } from "../tensor/mod.ts";
import { checkBoolean, checkNumber, isTensor, show } from "../tensor/internal.ts";

/** The numbers that {@linkcode checkClose} compares: a number, a tensor, or arrays of these. */
export type Numeric = number | Tensor | (ArrayLike<number> & ArrayBufferView) | readonly Numeric[];

/** Maximum length, in characters, of a value that is printed beside a claim that holds. */
const MAX_SHOWN = 60;

/**
 * Checks a claim: prints `✓ claim` if it holds.
 *
 * @param claim The claim in words.
 * @param condition Whether it holds.
 * @throws {Error} `✗ claim` if it does not hold.
 * @throws {TypeError} If `condition` is neither true nor false, such as a tensor.
 *
 * @example
 * ```ts
 * import { check } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * check("a stride of 2 halves 28 pixels", 28 / 2 === 14);
 * assert.throws(() => check("padding 1 keeps 28 pixels", false), /^Error: ✗ padding 1/);
 * ```
 */
export function check(claim: string, condition: boolean): asserts condition {
  checkBoolean(`Checking "${claim}"`, "the condition", condition);
  if (!condition) fail(claim, "expected true, found false");
  pass(claim);
}

/**
 * Checks that two values are deeply equal: prints `✓ claim`, with the value if it is short.
 *
 * NaN never passes, not even if NaN is expected. For tensors use {@linkcode checkClose}.
 *
 * @param claim The claim in words.
 * @param actual The actual value.
 * @param expected The expected value.
 * @throws {Error} `✗ claim: expected …, found …` if they differ.
 * @throws {TypeError} If either contains a tensor, or they are objects without visible content,
 * such as promises.
 *
 * @example
 * ```ts
 * import { checkEqual, lenet, summary } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * checkEqual("LeNet's parameters", summary(lenet(), [28, 28, 1]).parameters, 61_706);
 * assert.throws(() => checkEqual("width", 2, 3), /✗ width: expected 3, found 2/);
 * ```
 */
export function checkEqual<T>(claim: string, actual: T, expected: NoInfer<T>): void {
  if (contains(actual, isTensor) || contains(expected, isTensor)) {
    throw new TypeError(
      `Checking "${claim}": the values must not be tensors, found one. Use checkClose, or the tensor's shape or arraySync().`,
    );
  }
  // isDeepStrictEqual treats two objects with only private fields as equal.
  if (!Object.is(actual, expected) && contains(actual, isOpaque) && contains(expected, isOpaque)) {
    throw new TypeError(
      `Checking "${claim}": the values must have visible content, found ${show(actual)}. ` +
        "Await a promise, and compare the properties of an object.",
    );
  }
  if (!isDeepStrictEqual(actual, expected) || contains(actual, Number.isNaN)) {
    fail(claim, `expected ${inspectValue(expected)}, found ${inspectValue(actual)}`);
  }
  const text = inspectValue(actual);
  pass(text.length <= MAX_SHOWN ? `${claim}: ${text}` : claim);
}

/**
 * Checks that numbers have the same shape, and that `|actual − expected| ≤ tolerance` for each:
 * prints `✓ claim`, with the number or the largest difference. NaN never passes.
 *
 * @param claim The claim in words.
 * @param actual The actual numbers.
 * @param expected The expected numbers.
 * @param tolerance The largest difference that passes, in the unit of the numbers.
 * @throws {Error} `✗ claim: expected …, found …` if the shapes differ or a number is too far off.
 * @throws {TypeError} If either contains a value that is not a number, or the tolerance is not a
 * number.
 * @throws {RangeError} If there are no numbers, the arrays in an array differ in shape, or the
 * tolerance is negative or not finite.
 *
 * @example
 * ```ts
 * import { checkClose, ops } from "resnet-lab";
 * import assert from "node:assert/strict";
 *
 * checkClose("ln 2", Math.log(2), 0.693, 0.001);
 * checkClose("softmax of equal logits", ops.softmax(ops.zeros([1, 2])), [[0.5, 0.5]], 1e-6);
 * assert.throws(() => checkClose("π", 3.2, 3.14, 0.01), /✗ π: expected 3\.14 ± 0\.01, found 3\.2/);
 * ```
 */
export function checkClose(
  claim: string,
  actual: Numeric,
  expected: Numeric,
  tolerance: number,
): void {
  const action = `Checking "${claim}"`;
  const fits = tolerance >= 0 && tolerance < Infinity;
  checkNumber(action, "the tolerance", tolerance, fits, "a finite number of at least 0");
  const left = flatten(action, actual), right = flatten(action, expected);
  if (!isDeepStrictEqual(left.shape, right.shape)) {
    fail(claim, `expected ${describeShape(right.shape)}, found ${describeShape(left.shape)}`);
  }
  if (left.values.length === 0) {
    throw new RangeError(`${action}: there must be at least one number, found none.`);
  }
  let worst = 0, largest = -1;
  for (let i = 0; i < left.values.length; i++) {
    const a = left.values[i]!, b = right.values[i]!;
    const distance = Math.abs(a - b);
    const difference = a === b ? 0 : Number.isNaN(distance) ? Infinity : distance;
    if (difference > largest) [worst, largest] = [i, difference];
  }
  const a = left.values[worst]!, b = right.values[worst]!;
  const isNumber = left.shape.length === 0;
  if (largest > tolerance) {
    const where = isNumber ? "" : ` at [${indexOf(worst, left.shape).join(", ")}]`;
    fail(claim, `expected ${b} ± ${tolerance}${where}, found ${a}`);
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

/** The numbers in row-major order, and their shape; the shape of a single number is []. */
function flatten(action: string, numbers: Numeric): { shape: number[]; values: ArrayLike<number> } {
  if (typeof numbers === "number") return { shape: [], values: [numbers] };
  if (isTensor(numbers)) {
    const { dtype }: { dtype: string } = numbers;
    if (dtype === "string" || dtype === "complex64") {
      throw new TypeError(`${action}: the numbers must be real, found a tensor of ${dtype}.`);
    }
    return { shape: numbers.shape, values: numbers.dataSync() };
  }
  if (isTyped(numbers)) return { shape: [numbers.length], values: numbers };
  if (!Array.isArray(numbers)) {
    throw new TypeError(`${action}: the values must be numbers, found ${show(numbers)}.`);
  }
  if (numbers.length > 0 && numbers.every((part) => typeof part === "number") && isFull(numbers)) {
    return { shape: [numbers.length], values: numbers };
  }
  // Array.from reads the holes of an array as undefined; map would skip them.
  const parts = Array.from(numbers, (part) => flatten(action, part));
  const shape = parts[0]?.shape ?? [];
  for (const part of parts) {
    if (!isDeepStrictEqual(part.shape, shape)) {
      throw new RangeError(
        `${action}: the arrays in an array must have one shape, found ${describeShape(shape)} and ${
          describeShape(part.shape)
        }.`,
      );
    }
  }
  return {
    shape: [parts.length, ...shape],
    values: parts.flatMap(({ values }) => Array.from(values)),
  };
}

/** Whether a value is a typed array of numbers, not of BigInt. */
function isTyped(value: unknown): value is ArrayLike<number> & ArrayBufferView {
  return ArrayBuffer.isView(value) && "length" in value &&
    !(value instanceof BigInt64Array || value instanceof BigUint64Array);
}

/** Whether an array has no holes. */
function isFull(values: readonly unknown[]): boolean {
  return !values.includes(undefined);
}

/** The index along each axis of an element in row-major order. */
function indexOf(flat: number, shape: readonly number[]): number[] {
  return shape.reduceRight<number[]>((rest, length) => {
    const index = flat % length;
    flat = (flat - index) / length;
    return [index, ...rest];
  }, []);
}

/** Whether a value, or any value in it, passes a test. */
function contains(value: unknown, test: (part: unknown) => boolean, seen = new Set()): boolean {
  if (test(value)) return true;
  if (typeof value !== "object" || value === null || seen.has(value)) return false;
  if (ArrayBuffer.isView(value)) return isTyped(value) && Array.prototype.some.call(value, test);
  seen.add(value);
  const parts = value instanceof Map
    ? [...value.keys(), ...value.values()]
    : value instanceof Set
    ? [...value]
    : Object.values(value);
  return parts.some((part) => contains(part, test, seen));
}

/** Whether an object has no visible content: a promise, or only private fields. */
function isOpaque(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Object.keys(value).length > 0) return false;
  const prototype = Object.getPrototypeOf(value);
  const isKnown = [Array, Map, Set, Date, RegExp, Error].some((known) => value instanceof known);
  return !isKnown && !ArrayBuffer.isView(value) &&
    prototype !== null && prototype !== Object.prototype;
}

function inspectValue(value: unknown): string {
  return inspect(value, { breakLength: Infinity, compact: true });
}

function describeShape(shape: readonly number[]): string {
  return shape.length === 0 ? "a single number" : `shape [${shape.join(", ")}]`;
}

function round(value: number): number {
  return Number(value.toPrecision(4));
}
