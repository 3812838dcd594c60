import { colors, jointExtent } from "../plot/internal.ts";
import type { History } from "../train/mod.ts";

/**
 * Maximum number of points of a curve. In a long training run each point is the mean of several
 * steps.
 */
const MAX_POINTS = 150;

type Point = readonly [x: number, y: number];

/**
 * Returns a training run in progress as HTML: a line of text, a progress bar, and curves of the
 * loss by step and the accuracies by epoch.
 *
 * It is not a plotly figure, because JupyterLab's plotly renderer ignores updates, and drawing
 * without a browser takes a tenth of a second, a hundred times as long as this view.
 */
export function liveView(line: string, { steps, epochs }: History): string {
  const { step, totalSteps } = steps.at(-1)!;
  const loss = means(steps.map(({ step, loss }) => [step, loss]));
  const training = epochs.map(({ epoch, trainAccuracy }): Point => [epoch, 100 * trainAccuracy]);
  const validation = epochs.flatMap(({ epoch, validation }): Point[] =>
    validation ? [[epoch, 100 * validation.accuracy]] : []
  );
  return `<div style="max-width: 720px; font: 12px sans-serif; font-variant-numeric: tabular-nums">${line}
<progress value="${step}" max="${totalSteps}" style="display: block; width: 100%"></progress>
${chart("Step", step, { "Loss": loss })}
${
    epochs.length === 0 ? "" : chart("Epoch", epochs.length, {
      "Training accuracy (%)": training,
      "Validation accuracy (%)": validation,
    })
  }</div>`;
}

/** Averages neighbours, so that at most `MAX_POINTS` points are left. */
function means(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / MAX_POINTS);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const part = points.slice(i * size, (i + 1) * size);
    const mean = (axis: 0 | 1) => part.reduce((sum, point) => sum + point[axis], 0) / part.length;
    return [mean(0), mean(1)];
  });
}

/** Draws curves over the range from 1 to `last` as SVG, each with a dot at its end. */
function chart(
  xTitle: string,
  last: number,
  curves: Readonly<Record<string, readonly Point[]>>,
): string {
  // A loss that is not finite cannot be drawn. The line of text shows it.
  const drawn = Object.entries(curves)
    .map(([title, points]) => [title, points.filter(([, y]) => Number.isFinite(y))] as const)
    .filter(([, points]) => points.length > 0);
  if (drawn.length === 0) return "";
  const [low, high] = jointExtent(drawn.map(([, points]) => points.map(([, y]) => y)));
  const pixels = ([x, y]: Point) => [
    (50 + 280 * (x - 1) / (last - 1 || 1)).toFixed(1),
    (130 - 100 * (y - low) / (high - low || 1)).toFixed(1),
  ];
  const titles = drawn.map(([title], i) => `<tspan fill="${colors[i]}">${title}</tspan>`);
  const paths = drawn.map(([, points], i) => {
    const path = points.map(pixels), [x, y] = path.at(-1)!;
    return `<path d="M${path.join("L")}" fill="none" stroke="${colors[i]}" stroke-width="2" />
<circle cx="${x}" cy="${y}" r="3" fill="${colors[i]}" />`;
  });
  return `<svg viewBox="0 0 350 150" style="width: 49%" font-size="11" fill="currentColor">
<path d="M50,30V130H330" fill="none" stroke="currentColor" opacity="0.4" />
${paths.join("\n")}
<text x="50" y="14">${titles.join(" ")}</text>
<text x="45" y="34" text-anchor="end">${Number(high.toPrecision(3))}</text>
<text x="45" y="134" text-anchor="end">${low < high ? Number(low.toPrecision(3)) : ""}</text>
<text x="50" y="146">1</text>
<text x="190" y="146" text-anchor="middle">${xTitle}</text>
<text x="330" y="146" text-anchor="end">${last.toLocaleString("en")}</text>
</svg>`;
}
