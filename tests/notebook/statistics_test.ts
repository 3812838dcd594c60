import assert from "node:assert/strict";
import { meanAndInterval, meanCurve } from "resnet-lab";

/** The factor t that the interval of some values has: the half width in units of s / √n. */
function factor(count: number, level?: number): number {
  const values = Array.from({ length: count }, (_, i) => i % 2);
  const { standardDeviation, halfWidth } = meanAndInterval(values, level);
  return halfWidth / (standardDeviation / Math.sqrt(count));
}

/** Asserts that two numbers agree to about ten digits. */
function assertNear(actual: number, expected: number): void {
  assert(Math.abs(actual - expected) < 1e-9 * expected, `expected ${expected}, found ${actual}`);
}

Deno.test("meanAndInterval() uses the quantiles of Student's t", () => {
  // By bisection of mpmath's incomplete beta function, with 30 digits. Printed tables agree.
  const cases: [degrees: number, level: number, t: number][] = [
    [1, 0.95, 12.70620473617],
    [2, 0.95, 4.302652729749],
    [3, 0.95, 3.182446305284],
    [4, 0.95, 2.776445105198],
    [5, 0.95, 2.570581835636],
    [7, 0.95, 2.364624251593],
    [15, 0.95, 2.13144954556],
    [16, 0.95, 2.119905299221],
    [29, 0.95, 2.045229642133],
    [100, 0.95, 1.983971518524],
    [1, 0.99, 63.65674116287],
    [4, 0.99, 4.60409487135],
    [29, 0.99, 2.756385903671],
    [5, 0.9, 2.015048373333],
    [8, 0.8, 1.396815309744],
    [100, 0.8, 1.290074761347],
  ];
  for (const [degrees, level, t] of cases) assertNear(factor(degrees + 1, level), t);
  assert.equal(factor(5), factor(5, 0.95));
});

Deno.test("meanAndInterval() uses the formulas for one and two degrees of freedom", () => {
  for (const level of [0.5, 0.9, 0.95, 0.99]) {
    assertNear(factor(2, level), Math.tan(level * Math.PI / 2));
    assertNear(factor(3, level), level * Math.sqrt(2 / (1 - level ** 2)));
  }
});

Deno.test("meanAndInterval() returns the mean, the standard deviation and half the interval", () => {
  const { mean, standardDeviation, halfWidth } = meanAndInterval([88, 89, 90]);
  assert.deepEqual([mean, standardDeviation], [89, 1]);
  assertNear(halfWidth, 2.4841377117503);
  assert.equal(meanAndInterval([3, 3]).halfWidth, 0);
});

Deno.test("meanAndInterval() refuses too few values, and values and levels that do not fit", () => {
  const refused: [values: unknown, level: unknown, name: string, message: RegExp][] = [
    [[1], 0.95, "RangeError", /: the number of values must be at least 2, found 1\.$/],
    [[], 0.95, "RangeError", /found 0\.$/],
    [[1, NaN], 0.95, "RangeError", /: value 1 must be a finite number, found NaN\.$/],
    [[1, "2"], 0.95, "TypeError", /: value 1 must be a finite number, found "2"\.$/],
    [3, 0.95, "TypeError", /: the values must be an array, found 3\.$/],
    [undefined, 0.95, "TypeError", /: the values must be an array, found undefined\.$/],
    [[1, 2], 95, "RangeError", /: the level must be between 0 and 1, found 95\.$/],
    [[1, 2], 1, "RangeError", /found 1\.$/],
    [[1, 2], "0.95", "TypeError", /: the level must be between 0 and 1, found "0\.95"\.$/],
  ];
  for (const [values, level, name, message] of refused) {
    assert.throws(() => meanAndInterval(values as number[], level as number), { name, message });
  }
});

Deno.test("meanCurve() returns the mean and the ends of the interval at each point", () => {
  const { y, band } = meanCurve([[88, 89, 90], [7, 7]]);
  assert.deepEqual(y, [89, 7]);
  assertNear(band.low[0]!, 89 - 2.4841377117503);
  assertNear(band.high[0]!, 89 + 2.4841377117503);
  assert.deepEqual([band.low[1], band.high[1]], [7, 7]);
  assert.throws(() => meanCurve([[1]]), /the number of values must be at least 2, found 1\.$/);
  assert.throws(() => meanCurve([1, 2] as never), { name: "TypeError" });
});
