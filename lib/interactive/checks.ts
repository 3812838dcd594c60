/** Checks of the options of interactive figures. */
import { checkArray, checkInteger, checkNumber } from "../tensor/internal.ts";
import type { Matrix } from "./components/kernel_workshop.ts";

/** Checks that a value is a number from `low` to `high`. */
export function checkWithin(
  action: string,
  subject: string,
  value: unknown,
  low: number,
  high: number,
): void {
  const fits = Number(value) >= low && Number(value) <= high;
  checkNumber(action, subject, value, fits, `from ${low} to ${high}`);
}

/** Checks that a kernel is a square of numbers. */
export function checkKernel(action: string, subject: string, kernel: unknown): void {
  const [rows, columns] = checkMatrix(action, subject, kernel);
  checkInteger(action, `the side of ${subject}`, rows, 1, 5);
  checkNumber(
    action,
    `the columns of ${subject}`,
    columns,
    rows === columns,
    `${rows}, as its rows`,
  );
}

/** Checks rows of numbers, equally many in each. Returns how many rows and columns there are. */
export function checkMatrix(
  action: string,
  subject: string,
  matrix: unknown,
): readonly [rows: number, columns: number] {
  checkArray(action, subject, matrix);
  const rows = matrix as readonly unknown[];
  for (const row of rows) checkArray(action, `a row of ${subject}`, row);
  const [first = [], ...others] = rows as Matrix;
  for (const { length } of others) {
    checkNumber(
      action,
      `the length of a row of ${subject}`,
      length,
      length === first.length,
      `${first.length}, as the first`,
    );
  }
  for (const value of (rows as Matrix).flat()) {
    checkNumber(action, `a number of ${subject}`, value, Number.isFinite(value), "finite");
  }
  return [rows.length, first.length];
}
