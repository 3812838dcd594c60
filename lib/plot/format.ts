/** Numbers and lists as text. */

/** Replaces the hyphens of a number by minus signs, as plotly.js writes them along an axis. */
export function withMinus(text: string): string {
  return text.replaceAll("-", "−");
}

/** Formats a number for a sentence: at most four significant digits, thousands grouped. */
export function formatNumber(value: number, digits = 4): string {
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (!Number.isFinite(value)) return withMinus(String(value));
  if (Number.isInteger(value) && size < 1e15) return withMinus(value.toLocaleString("en"));
  if (size >= 1e6 || size < 1e-4) {
    return withMinus(value.toExponential(Math.min(2, digits - 1)).replace("e+", "e"));
  }
  return withMinus(
    Number(value.toPrecision(digits)).toLocaleString("en", { maximumSignificantDigits: digits }),
  );
}

/**
 * Formats the numbers of a column of a table. They have equally many decimals, so that they can be
 * compared at a glance, unless the sizes differ by more than a factor of a hundred: then the
 * smallest would lose their digits.
 *
 * @param digits The significant digits of the largest number. Whole numbers keep all of theirs.
 */
export function formatColumn(values: readonly number[], digits: number): string[] {
  const sizes = values.map(Math.abs).filter((size) => size > 0 && size < Infinity);
  const largest = Math.max(...sizes), smallest = Math.min(...sizes);
  // Numbers of up to four digits may be years or seeds.
  const useGrouping = largest >= 1e4;
  if (sizes.every(Number.isInteger)) {
    return values.map((value) =>
      withMinus(Math.abs(value) < 1e15 ? value.toLocaleString("en", { useGrouping }) : `${value}`)
    );
  }
  if (largest > 100 * smallest || largest < 1e-3) {
    return values.map((value) => formatNumber(value, digits));
  }
  const most = Math.max(0, Math.min(17, digits - 1 - Math.floor(Math.log10(largest))));
  const decimals = Math.max(...sizes.map((size) => decimalsOf(size.toFixed(most))));
  const options = {
    useGrouping,
    minimumFractionDigits: decimals,
    maximumFractionDigits: decimals,
  };
  return values.map((value) => withMinus(value.toLocaleString("en", options)));
}

/** Formats a mean with half of its interval, which has two significant digits: "91.23 ± 0.41". */
export function formatInterval(mean: number, halfWidth: number): string {
  const decimals = 1 - Math.floor(Math.log10(halfWidth));
  return halfWidth > 0 && Math.abs(mean) < 1e9 && decimals <= 8
    ? withMinus(
      `${mean.toFixed(Math.max(0, decimals))} ± ${halfWidth.toFixed(Math.max(0, decimals))}`,
    )
    : `${formatNumber(mean)} ± ${formatNumber(halfWidth)}`;
}

/** Counts the digits after the point, without zeros at the end. */
function decimalsOf(text: string): number {
  return text.includes(".") ? text.replace(/0+$/, "").split(".")[1]!.length : 0;
}

/** Formats a number for a bar or a diagram, with an SI letter if it is large: 61.1M, 1.81G, 240. */
export function formatSI(value: number): string {
  const rounded = Number(value.toPrecision(3)) + 0; // 999,999 is 1M, and -0 is 0.
  if (Math.abs(rounded) >= 1e12) return withMinus(rounded.toExponential().replace("+", ""));
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]] as const) {
    if (Math.abs(rounded) >= size) {
      return withMinus(`${Number((value / size).toPrecision(3))}${letter}`);
    }
  }
  return withMinus(String(rounded));
}

/** Formats a fraction as a percentage. */
export function formatPercent(fraction: number, digits = 3): string {
  return withMinus(`${Number((100 * fraction).toPrecision(digits))} %`);
}

/** Joins the clauses of a sentence; after 40 of them it only counts the rest. */
export function joinClauses(clauses: readonly string[], separator = "; "): string {
  const max = 40;
  return clauses.length <= max ? clauses.join(separator) : [
    ...clauses.slice(0, max),
    `and ${formatNumber(clauses.length - max)} more`,
  ].join(separator);
}

/** Cuts a text to a number of letters, with an ellipsis as the last. */
export function truncate(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}

/** Escapes and truncates a text, so that plotly.js draws it literally and not as markup. */
export function escapeText(text: string, letters = Infinity): string {
  return truncate(text, letters).replaceAll("&", "&amp;").replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;");
}
