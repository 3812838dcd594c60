import { colors } from "./palette.ts";
import { Figure } from "./figure.ts";
import { formatNumber, joinClauses } from "./format.ts";
import { lineChart, type Series } from "./line_chart.ts";
import type { ColorOptions, FigureOptions } from "./options.ts";
import type { Trace } from "./trace.ts";

/** The figure, the colours, and the ends of the vertical axis as fractions. */
interface SearchFigureOptions extends FigureOptions, ColorOptions {
  range?: readonly [number, number];
}

/** The accuracy of a network at each learning rate, from 0 to 1, and the rates that diverged. */
export interface Search extends Series {
  /** The learning rates of trainings that did not diverge, in ascending order. */
  x: readonly number[];
  /** The accuracies at these rates. */
  y: readonly number[];
  /** The learning rates at which the training diverged. */
  diverged: readonly number[];
}

const dashes = ["solid", "dash", "dot"] as const;

/**
 * Draws the accuracy of networks at each learning rate that was tried, with a ring around the best
 * of each network. Lines of one colour differ by their dashes.
 */
export function searchChart(searches: readonly Search[], options: SearchFigureOptions): Figure {
  const { range, ...shared } = options;
  const places = options.colors ?? searches.map((_, index) => index % colors.length);
  const chart = lineChart(
    searches.map(({ diverged: _, ...line }, index): Series => {
      const before = places.slice(0, index).filter((place) => place === places[index]).length;
      return { ...line, mode: "lines+markers", dash: dashes[before % dashes.length]! };
    }),
    {
      width: 560,
      ...shared,
      x: { title: "Largest learning rate", scale: "log" },
      y: { title: "Held-out accuracy", percent: true, ...(range ? { range } : {}) },
      colors: places,
      description: options.description ?? describe(searches),
    },
  );
  const rings = searches.map((search, index): Trace => {
    const { rate, accuracy } = bestOf(search);
    const color = colors[places[index]!]!;
    return {
      type: "scatter",
      mode: "markers",
      x: [rate],
      y: [100 * accuracy],
      marker: { symbol: "circle-open", size: 15, color, line: { width: 2 } },
      hoverinfo: "skip",
      showlegend: false,
    };
  });
  return new Figure([...chart.data, ...rings], chart.layout, chart.description);
}

/** Returns the smallest rate with the highest accuracy. */
function bestOf({ x, y }: Search): { rate: number; accuracy: number } {
  const accuracy = Math.max(...y);
  return { rate: x[y.indexOf(accuracy)]!, accuracy };
}

function describe(searches: readonly Search[]): string {
  const clauses = searches.map((search) => {
    const { rate, accuracy } = bestOf(search);
    const tried = [...search.x, ...search.diverged].sort((a, b) => a - b);
    const place = tried.length === 1
      ? "the only rate"
      : rate === tried[0]
      ? `the smallest of ${tried.length} rates`
      : rate === tried.at(-1)
      ? `the largest of ${tried.length} rates`
      : `of ${tried.length} rates`;
    const diverged = search.diverged.length === 0
      ? ""
      : `, diverged at ${search.diverged.map((rate) => formatNumber(rate)).join(", ")}`;
    return `${search.name} ${formatNumber(100 * accuracy)} at ${
      formatNumber(rate)
    } (${place}${diverged})`;
  });
  return `Best held-out accuracy (%) by largest learning rate: ${joinClauses(clauses)}.`;
}
