import { show } from "../tensor/internal.ts";

/**
 * Checks that an option is one of the named ones.
 *
 * @throws {RangeError} If it is none of them.
 */
export function checkOneOf(
  doing: string,
  name: string,
  value: string,
  all: readonly string[],
): void {
  if (!all.includes(value)) {
    throw new RangeError(
      `${doing}: ${name} must be one of ${all.join(", ")}, found ${
        typeof value === "string" ? value : show(value)
      }.`,
    );
  }
}
