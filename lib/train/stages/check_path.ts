import { show } from "../../tensor/internal.ts";

/**
 * Checks that a value is a path.
 *
 * @throws {TypeError} If it is not.
 */
export function checkPath(action: string, subject: string, value: unknown, example: string): void {
  if (typeof value === "string" && value !== "") return;
  throw new TypeError(
    `${action}: ${subject} must be a path such as "${example}", found ${show(value)}.`,
  );
}
