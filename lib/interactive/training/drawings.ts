/** The drawings of the page "Train a network": the plane with its points, and curves of steps. */
import { downsampleLine } from "../../plot/internal.ts";
import type { Kit } from "../component.ts";
import { png } from "../live/picture.ts";
import { SQUARES, type TrainingRun } from "./run.ts";

const SIDE = 340, EDGE = 22;
/** The colours of the two classes, `kit.colors` 0 and 1, which colour-blind readers tell apart. */
const BLUE = [30, 130, 200], ORANGE = [213, 94, 0];

/** Draws the plane: what the network finds at each place, the points, and its mistakes. */
export function drawPlane(kit: Kit, run: TrainingRun, label: string): string {
  const { points, predicted, reach } = run, surface = run.surface();
  const place = (value: number) => (SIDE * (value / reach + 1) / 2).toFixed(1);
  const ticks = [-1, 0, 1].map((value) =>
    kit.text(EDGE + Number(place(value)), SIDE + 15, kit.num(value), 'class="small middle"') +
    kit.text(EDGE - 5, Number(place(-value)) + 4, kit.num(value), 'class="small end"')
  );
  const marks = points.map(({ x, y, label, isHeldOut }) => {
    const [left, top] = [place(x), place(-y)], look = `class="${isHeldOut ? "held" : "trained"}" `;
    return label === 0
      ? `<circle ${look}style="--own: ${kit.colors[0]}" cx="${left}" cy="${top}" r="4"/>`
      : `<rect ${look}style="--own: ${kit.colors[1]}" x="${(+left - 3.5).toFixed(1)}" ` +
        `y="${(+top - 3.5).toFixed(1)}" width="7" height="7"/>`;
  });
  const wrong = points.filter(({ label }, i) => predicted[i] !== label)
    .map(({ x, y }) =>
      `M${place(x)} ${place(-y)}m-8 -8l4.5 4.5m7 7l4.5 4.5m0 -16l-4.5 4.5m-7 7l-4.5 4.5`
    ).join("");
  return kit.svg(
    SIDE + EDGE + 1,
    SIDE + EDGE,
    label,
    ticks.join("") + `<g transform="translate(${EDGE} 1)">` +
      `<image href="${tint(surface)}" width="${SIDE}" height="${SIDE}"/>` +
      `<path class="border" d="${border(surface)}"/>` +
      (wrong && `<path class="halo" d="${wrong}"/><path class="wrong" d="${wrong}"/>`) +
      marks.join("") +
      `<rect class="line" width="${SIDE}" height="${SIDE}"/></g>`,
  );
}

/** A picture of the surface: the surer the network, the stronger the colour of its class. */
function tint(surface: Float32Array): string {
  const data = new Uint8Array(4 * surface.length);
  surface.forEach((difference, i) => {
    const sureness = Math.abs(2 / (1 + Math.exp(-difference)) - 1);
    data.set([...(difference > 0 ? ORANGE : BLUE), Math.round(30 + 100 * sureness)], 4 * i);
  });
  return png(SQUARES, SQUARES, 4, data);
}

/** The line on which both classes are equally probable, piece by piece. */
function border(surface: Float32Array): string {
  const step = SIDE / SQUARES;
  let path = "";
  for (let row = 0; row + 1 < SQUARES; row++) {
    for (let column = 0; column + 1 < SQUARES; column++) {
      const corners = [[0, 0], [0, 1], [1, 1], [1, 0]] as const;
      const values = corners.map(([down, right]) =>
        surface[(row + down) * SQUARES + column + right]!
      );
      // The places on the edges between four neighbours where the sign changes.
      const places = corners.flatMap(([down, right], i) => {
        const [value, next] = [values[i]!, values[(i + 1) % 4]!];
        if (value > 0 === next > 0) return [];
        const part = value / (value - next), [toDown, toRight] = corners[(i + 1) % 4]!;
        const x = column + 0.5 + right + part * (toRight - right);
        const y = row + 0.5 + down + part * (toDown - down);
        return [`${(x * step).toFixed(1)} ${(y * step).toFixed(1)}`];
      });
      for (let i = 0; i + 1 < places.length; i += 2) path += `M${places[i]}L${places[i + 1]}`;
    }
  }
  return path;
}

/** A curve over the steps, from step 0. */
export interface Curve {
  readonly name: string;
  readonly values: readonly number[];
  readonly color: string;
}

const WIDTH = 360, HEIGHT = 200, LEFT = 46, RIGHT = 18, TOP = 24, BOTTOM = 34;
/** A dash for each curve, for readers who do not see colours. */
const DASHES = ["", "7 3", "2 3", "9 3 2 3"];

/** Draws curves over the steps. */
export function drawCurves(
  kit: Kit,
  { label, curves, isLog }: {
    readonly label: string;
    readonly curves: readonly Curve[];
    /** Whether the axis has equal factors, and not equal steps from 0 to 1. */
    readonly isLog: boolean;
  },
): string {
  const last = roundSteps(curves[0]!.values.length - 1);
  const [low, high] = isLog ? decades(curves) : [0, shareEnd(curves)];
  const scale = isLog ? Math.log10 : (value: number) => value;
  const column = (step: number) => LEFT + step / last * (WIDTH - LEFT - RIGHT);
  const row = (value: number) => {
    const part = (scale(value) - scale(low)) / (scale(high) - scale(low));
    return TOP + (1 - Math.max(0, Math.min(1, part))) * (HEIGHT - TOP - BOTTOM);
  };
  const rows = (isLog ? logTicks(low, high) : [0, 0.25, 0.5, 0.75, 1].map((part) => part * high))
    .map((value) =>
      `<path class="grid" d="M${LEFT} ${row(value).toFixed(1)}H${WIDTH - RIGHT}"/>` +
      kit.text(
        LEFT - 5,
        row(value) + 4,
        isLog ? power(kit, value) : `${kit.num(100 * value)}%`,
        'class="small end"',
      )
    );
  const columns = [0, 0.25, 0.5, 0.75, 1].map((part) =>
    kit.text(column(part * last), HEIGHT - BOTTOM + 15, String(part * last), 'class="small middle"')
  );
  const steps = curves[0]!.values.map((_, step) => step);
  const lines = curves.map(({ values, color }, i) => {
    const some = downsampleLine(steps, [values], { title: "step" }, WIDTH) ?? steps;
    const places = some.filter((step) => Number.isFinite(values[step]))
      .map((step) => `${column(step).toFixed(1)} ${row(values[step]!).toFixed(1)}`);
    // A single place is a dot.
    if (places.length === 1) places.push(places[0]!);
    return places.length === 0
      ? ""
      : `<path class="curve" stroke="${color}" stroke-linecap="round" ` +
        `stroke-dasharray="${DASHES[i]}" d="M${places.join("L")}"/>`;
  });
  const legend = curves.map(({ name, color }, i) => {
    const x = LEFT + i * (WIDTH - LEFT - RIGHT) / curves.length;
    return `<path class="curve" stroke="${color}" stroke-dasharray="${DASHES[i]}" ` +
      `d="M${x} 11h22"/>` + kit.text(x + 26, 15, name, 'class="small"');
  });
  return kit.svg(
    WIDTH,
    HEIGHT,
    label,
    rows.join("") + columns.join("") + legend.join("") +
      `<path class="line" d="M${LEFT} ${TOP}V${HEIGHT - BOTTOM}H${WIDTH - RIGHT}"/>` +
      lines.join("") + kit.text((WIDTH + LEFT) / 2, HEIGHT - 4, "step", 'class="small middle"'),
  );
}

/** The end of the axis of steps: a round number, so that the axis seldom changes. */
function roundSteps(steps: number): number {
  let end = 20;
  for (let i = 0; end < steps; i++) end *= i % 3 === 1 ? 2.5 : 2;
  return end;
}

/** The powers of ten around all numbers above zero. */
function decades(curves: readonly Curve[]): [low: number, high: number] {
  let low = Infinity, high = 0;
  for (const { values } of curves) {
    for (const value of values) {
      if (value > 0 && value < low) low = value;
      if (value > high && value < Infinity) high = value;
    }
  }
  if (high === 0) return [0.1, 1];
  const [down, up] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  return [10 ** down, 10 ** Math.max(up, down + 1)];
}

/** Places on a logarithmic axis: powers of ten, and numbers between if there are few of them. */
function logTicks(low: number, high: number): number[] {
  const first = Math.round(Math.log10(low)), count = Math.round(Math.log10(high)) - first;
  const between = count === 1 ? [1, 2, 5] : count === 2 ? [1, 3] : [1],
    every = Math.ceil(count / 6);
  return Array.from({ length: Math.floor(count / every) + 1 }, (_, i) => first + i * every)
    .flatMap((power) => between.map((factor) => factor * 10 ** power))
    .filter((value) => value <= high * 1.001);
}

/** Writes a number of a logarithmic axis; a power of ten in few letters. */
function power(kit: Kit, value: number): string {
  return kit.num(value).replace(".00e", "e");
}

/** The end of the axis of shares: at least the largest share, and one whose quarters are short. */
function shareEnd(curves: readonly Curve[]): number {
  const most = Math.max(...curves.map(({ values }) => values.reduce((a, b) => Math.max(a, b), 0)));
  return [0.2, 0.4, 0.6, 0.8].find((end) => most <= end) ?? 1;
}
