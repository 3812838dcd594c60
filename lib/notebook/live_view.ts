import { escapeHtml } from "../nn/internal.ts";
import type { History } from "../train/mod.ts";

/**
 * Maximum number of points of a curve. In a long training run each point is the mean of several
 * steps.
 */
const MAX_POINTS = 150;

/**
 * Height in pixels: that of the figure that replaces the view at the end, so that what stands below
 * does not jump.
 */
const HEIGHT = 572;

/**
 * Colours of training and validation. Their contrast is at least 3.8 on white and on the #111 of
 * dark themes; text and grid have the colour of the theme.
 */
const TRAINING = "#1e82c8", VALIDATION = "#d55e00";

/** The number of steps whose mean loss extends the axis: a single batch may be far off. */
const BLOCK = 10;

/** Ends of an axis from zero, as multiples of a power of ten, and their number of intervals. */
const NICE_ENDS = [
  [1, 5],
  [1.5, 3],
  [2, 4],
  [2.5, 5],
  [3, 3],
  [4, 4],
  [5, 5],
  [6, 3],
  [8, 4],
  [10, 5],
] as const;

type Point = readonly [x: number, y: number];

interface Curve {
  readonly title: string;
  readonly color: string;
  readonly points: readonly Point[];
}

/** An axis of a chart, with a tick at each multiple of `step`. */
interface LiveAxis {
  readonly title?: string;
  readonly low: number;
  readonly high: number;
  readonly step: number;
}

/**
 * Returns a training run in progress as HTML: a line of text, a progress bar, the loss by step, and
 * the accuracies. The axes go to the end of the training from the start, and the axis of the loss
 * from zero to a round number that only grows, so that progress is seen as progress.
 *
 * It is not a plotly figure, because JupyterLab's plotly renderer ignores updates, and drawing
 * without a browser takes a tenth of a second, a hundred times as long as this view.
 */
export function liveView(line: string, { steps, epochs }: History): string {
  const { step, totalSteps, epochs: totalEpochs } = steps.at(-1)!;
  const perEpoch = totalSteps / totalEpochs;
  const loss = means(steps.map(({ step, loss }) => [step, loss]));
  const training = means(steps.map(({ step, accuracy }) => [step / perEpoch, 100 * accuracy]));
  const validation = epochs.flatMap(({ epoch, validation }): Point[] =>
    validation ? [[epoch, 100 * validation.accuracy]] : []
  );
  const charts = [
    chart(
      { title: "Step", low: 0, high: totalSteps, step: tickStep(totalSteps) },
      lossAxis(steps.map(({ loss }) => loss)),
      [{ title: "Loss", color: TRAINING, points: loss }],
    ),
    // An objective may have no accuracies.
    ...[...training, ...validation].every(([, y]) => !Number.isFinite(y)) ? [] : [chart(
      { title: "Epoch", low: 0, high: totalEpochs, step: Math.max(1, tickStep(totalEpochs)) },
      { low: 0, high: 100, step: 20 },
      [
        { title: "Training accuracy (%)", color: TRAINING, points: training },
        { title: "Validation accuracy (%)", color: VALIDATION, points: validation },
      ],
    )],
  ];
  return `<div style="max-width: 700px; height: ${HEIGHT}px; display: flex; flex-direction: column; font: 12px sans-serif; font-variant-numeric: tabular-nums"><div>${
    escapeHtml(line)
  }</div>
<progress value="${step}" max="${totalSteps}" style="display: block; width: 100%"></progress>
${charts.join("\n")}
</div>`;
}

/** Averages neighbours, so that at most `MAX_POINTS` points are left. */
function means(points: readonly Point[]): Point[] {
  const size = Math.ceil(points.length / MAX_POINTS);
  return Array.from({ length: Math.ceil(points.length / size) }, (_, i) => {
    const part = points.slice(i * size, (i + 1) * size);
    return [mean(part.map(([x]) => x)), mean(part.map(([, y]) => y))];
  });
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Returns the axis of the loss. Blocks that are complete do not change any more, so the axis never
 * shrinks.
 */
function lossAxis(losses: readonly number[]): LiveAxis {
  const blocks = Array.from(
    { length: Math.floor(losses.length / BLOCK) },
    (_, i) => mean(losses.slice(i * BLOCK, (i + 1) * BLOCK)),
  );
  const values = [losses[0]!, ...blocks].filter(Number.isFinite);
  const [high, step] = niceEnd(Math.max(0, ...values));
  const [low, stepBelow] = niceEnd(Math.max(0, ...values.map((value) => -value)));
  return low === 0
    ? { low: 0, high: high || 1, step: step || 0.2 }
    : { low: -low, high, step: Math.max(step, stepBelow) };
}

/** Returns the next round number above a value, and the distance of its ticks. */
function niceEnd(value: number): readonly [end: number, step: number] {
  if (value === 0) return [0, 0];
  const unit = 10 ** Math.floor(Math.log10(value));
  const [end, intervals] = NICE_ENDS.find(([end]) => end * unit >= value) ?? [10, 5];
  return [end * unit, end * unit / intervals];
}

/** Returns a round distance of ticks, at most five of them up to a number. */
function tickStep(last: number): number {
  const unit = 10 ** Math.floor(Math.log10(last / 5));
  return ([1, 2, 5, 10].find((factor) => 5 * factor * unit >= last) ?? 10) * unit;
}

/**
 * Draws curves over fixed axes, each with a dot at its end. The lines are SVG that stretches with
 * the window, the texts are HTML, whose size does not change.
 */
function chart(x: LiveAxis, y: LiveAxis, curves: readonly Curve[]): string {
  const place = ({ low, high }: LiveAxis, value: number) => 100 * (value - low) / (high - low);
  const at = ([a, b]: Point) => `${place(x, a).toFixed(2)},${(100 - place(y, b)).toFixed(2)}`;
  const path = (d: string, style: string) =>
    `<path d="${d}" fill="none" vector-effect="non-scaling-stroke" ${style} />`;
  const lines = curves.flatMap(({ color, points }) => {
    // A loss that is not finite cannot be drawn. The line of text shows it.
    const drawn = points.filter(([, value]) => Number.isFinite(value)).map(at);
    if (drawn.length === 0) return [];
    return [
      path(`M${drawn.join("L")}`, `stroke="${color}" stroke-width="2" stroke-linejoin="round"`),
      path(`M${drawn.at(-1)}h0`, `stroke="${color}" stroke-width="7" stroke-linecap="round"`),
    ];
  });
  const xs = ticks(x), ys = ticks(y);
  const grid = [
    ...xs.map((tick) => `M${place(x, tick).toFixed(2)},0v100`),
    ...ys.map((tick) => `M0,${(100 - place(y, tick)).toFixed(2)}h100`),
  ].join("");
  const text = (content: string, position: string) =>
    `<span style="position: absolute; white-space: nowrap; ${position}">${content}</span>`;
  return `<div style="flex: 1; position: relative">
${
    text(
      curves.filter(({ points }) => points.length > 0).map(({ title, color }) =>
        `<b style="color: ${color}">${title}</b>`
      ).join(" &nbsp; "),
      "left: 48px; top: 6px",
    )
  }
<div style="position: absolute; left: 48px; right: 14px; top: 28px; bottom: 38px">
<svg viewBox="0 0 100 100" preserveAspectRatio="none" style="position: absolute; width: 100%; height: 100%; overflow: hidden">
${path(grid, 'stroke="currentColor" opacity="0.2"')}
${path("M0,0V100H100", 'stroke="currentColor" opacity="0.7"')}
${lines.join("\n")}
</svg>
${
    ys.map((tick) =>
      text(
        label(tick),
        `right: calc(100% + 6px); top: ${
          (100 - place(y, tick)).toFixed(2)
        }%; transform: translateY(-50%)`,
      )
    ).join("\n")
  }
${
    xs.map((tick) =>
      text(
        label(tick),
        `top: calc(100% + 3px); left: ${place(x, tick).toFixed(2)}%; transform: translateX(-50%)`,
      )
    ).join("\n")
  }
${text(x.title ?? "", "top: calc(100% + 19px); left: 50%; transform: translateX(-50%)")}
</div>
</div>`;
}

/** Returns the multiples of the step within an axis. */
function ticks({ low, high, step }: LiveAxis): number[] {
  const first = Math.ceil(low / step), last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
}

function label(value: number): string {
  return Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
}
