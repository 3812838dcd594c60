import type { Action, Component, Kit } from "../component.ts";

/** The options of {@linkcode interactive.scores}: what it shows at first. */
export interface ScoresOptions {
  /**
   * The scores, one for each class, from −10 to 10; from two to five.
   *
   * @default [2, 1, -1]
   */
  scores?: readonly number[];
  /**
   * The names of the classes.
   *
   * @default "class 0", "class 1", …
   */
  classNames?: readonly string[];
  /**
   * The index of the true class.
   *
   * @default 0
   */
  target?: number;
  /**
   * The temperature T, by which the scores are divided, from 0.1 to 10.
   *
   * @default 1
   */
  temperature?: number;
}

/** The state of the figure. */
interface State {
  readonly scores: readonly number[];
  readonly target: number;
  readonly temperature: number;
  /** Whether 1000 is added to all scores. */
  readonly isShifted: boolean;
}

/** The losses of scores, and their slopes in each score. */
export interface Losses {
  readonly probabilities: readonly number[];
  /** `−log p` of the true class. */
  readonly crossEntropy: number;
  /** `Σ (p − target)²`. */
  readonly squaredError: number;
  readonly crossEntropySlopes: readonly number[];
  readonly squaredErrorSlopes: readonly number[];
}

/**
 * Scores, their probabilities, the loss, and how it pulls at the scores.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function scores(
  kit: Kit,
  options: ScoresOptions,
): Component<State> & { losses(state: State): Losses } {
  const { num, text } = kit;
  const HEIGHT = 250, TOP = 34, BOTTOM = 30;
  const [blue, orange] = kit.colors as [string, string];
  const initial: State = {
    scores: options.scores ?? [2, 1, -1],
    target: options.target ?? 0,
    temperature: options.temperature ?? 1,
    isShifted: false,
  };
  const count = initial.scores.length;
  const names = options.classNames ?? initial.scores.map((_, i) => `class ${i}`);

  function losses({ scores, target, temperature, isShifted }: State): Losses {
    const shifted = scores.map((score) => score + (isShifted ? 1000 : 0));
    // Without the largest score, the power of a score of 1000 would be infinite.
    const largest = Math.max(...shifted);
    const powers = shifted.map((score) => Math.exp((score - largest) / temperature));
    const total = powers.reduce((sum, power) => sum + power, 0);
    const probabilities = powers.map((power) => power / total);
    const errors = probabilities.map((p, i) => p - (i === target ? 1 : 0));
    const mean = errors.reduce((sum, error, i) => sum + probabilities[i]! * error, 0);
    return {
      probabilities,
      crossEntropy: Math.log(total) - (shifted[target]! - largest) / temperature,
      squaredError: errors.reduce((sum, error) => sum + error ** 2, 0),
      crossEntropySlopes: errors.map((error) => error / temperature),
      squaredErrorSlopes: errors.map((error, i) =>
        2 * probabilities[i]! * (error - mean) / temperature
      ),
    };
  }

  const short = (name: string, most: number) =>
    name.length > most ? `${name.slice(0, most - 1)}…` : name;

  function bars(state: State, { probabilities }: Losses): string {
    const width = 240, left = 34, step = (width - left) / count;
    const row = (p: number) => TOP + (1 - p) * (HEIGHT - TOP - BOTTOM);
    return kit.svg(
      width,
      HEIGHT,
      `The probabilities: ${probabilities.map((p) => num(p)).join(", ")}.`,
      text(0, 14, "probability", 'class="bold"') +
        [0, 0.5, 1].map((p) =>
          `<path class="grid" d="M${left} ${row(p)}H${width}"/>` +
          text(left - 5, row(p) + 4, num(p), 'class="small end"')
        ).join("") +
        probabilities.map((p, i) => {
          const x = left + i * step, middle = x + step / 2;
          const target = i !== state.target ? "" : `<rect class="target" x="${x + 8}" ` +
            `y="${row(1)}" width="${step - 16}" height="${row(0) - row(1)}"/>`;
          return `<rect fill="${blue}" x="${x + 8}" y="${row(p)}" width="${step - 16}" ` +
            `height="${row(0) - row(p)}"/>${target}` +
            text(middle, row(p) - 5, num(p), 'class="middle"') +
            text(
              middle,
              HEIGHT - 12,
              short(names[i]!, Math.floor(step / 7)),
              'class="small middle"',
            );
        }).join(""),
    );
  }

  function curve(state: State, { probabilities, crossEntropy }: Losses): string {
    const width = 230, left = 26, highest = 6;
    const column = (p: number) => left + p * (width - left - 8);
    const row = (loss: number) =>
      TOP + (1 - Math.min(highest, loss) / highest) * (HEIGHT - TOP - BOTTOM);
    const points = Array.from({ length: 80 }, (_, i) => {
      const p = Math.exp(-highest * (1 - i / 79));
      return `${Math.round(10 * column(p)) / 10} ${Math.round(10 * row(-Math.log(p))) / 10}`;
    });
    const p = probabilities[state.target]!;
    const isRight = p > 0.6;
    return kit.svg(
      width,
      HEIGHT,
      `The loss of the true class: ${num(crossEntropy)}.`,
      text(0, 14, "−log p of the true class", 'class="bold"') +
        [0, 2, 4, 6].map((loss) =>
          `<path class="grid" d="M${left} ${row(loss)}H${width - 8}"/>` +
          text(left - 5, row(loss) + 4, num(loss), 'class="small end"')
        ).join("") +
        [0, 0.5, 1].map((p) =>
          text(column(p), HEIGHT - BOTTOM + 15, num(p), 'class="small middle"')
        ).join("") +
        `<path class="curve" stroke="${blue}" d="M${points.join("L")}"/>` +
        `<circle cx="${column(p)}" cy="${row(crossEntropy)}" r="6" fill="${orange}"/>` +
        text(
          column(p) + (isRight ? -8 : 10),
          crossEntropy > 0.9 * highest ? row(crossEntropy) + 5 : row(crossEntropy) - 9,
          (crossEntropy > highest ? "↑ " : "") + num(crossEntropy),
          `class="bold${isRight ? " end" : ""}"`,
        ),
    );
  }

  /** Arrows of the steps that descent takes: minus the slopes. */
  function arrows(state: State, losses: Losses): string {
    const width = 320, step = width / count;
    const kinds = [
      [losses.crossEntropySlopes, blue, -1],
      [losses.squaredErrorSlopes, orange, 1],
    ] as const;
    const largest = Math.max(1, ...kinds.flatMap(([slopes]) => slopes.map(Math.abs)));
    const zero = (TOP + HEIGHT - BOTTOM) / 2, half = (HEIGHT - BOTTOM - TOP) / 2 - 8;
    const arrow = (x: number, slope: number, color: string) => {
      const length = -slope / largest * half, end = zero - length;
      const side = Math.sign(length) * Math.min(7, Math.abs(length));
      return `<path stroke="${color}" stroke-width="4" d="M${x} ${zero}V${end + side}"/>` +
        `<path fill="${color}" d="M${x - 6} ${end + side}h12L${x} ${end}z"/>`;
    };
    return kit.svg(
      width,
      HEIGHT,
      "The pull of both losses on each score.",
      text(0, 14, "pull on each score", 'class="bold"') +
        text(width, 14, "cross-entropy", `class="end" style="fill: ${blue}"`) +
        text(width, 29, "squared error", `class="end" style="fill: ${orange}"`) +
        `<path class="line" d="M0 ${zero}H${width}"/>` +
        names.map((name, i) => {
          const middle = (i + 0.5) * step;
          return kinds.map(([slopes, color, side]) => arrow(middle + 10 * side, slopes[i]!, color))
            .join("") + text(
              middle,
              HEIGHT - 12,
              short(name, Math.floor(step / 7)),
              `class="small middle${i === state.target ? " bold" : ""}"`,
            );
        }).join(""),
    );
  }

  /** The numbers as a table. */
  function table(state: State, losses: Losses): string {
    const row = (tag: string, cells: readonly string[]) =>
      `<tr>${cells.map((cell) => `<${tag}>${cell}</${tag}>`).join("")}</tr>`;
    const perT = state.temperature === 1 ? "p − target" : "(p − target) / T";
    const rows = names.map((name, i) =>
      row("td", [
        kit.escape(name) + (i === state.target ? " (true)" : ""),
        num(state.scores[i]! + (state.isShifted ? 1000 : 0), 5),
        `<span data-probability="${i}">${num(losses.probabilities[i]!)}</span>`,
        `<span data-slope="${i}">${num(losses.crossEntropySlopes[i]!)}</span>`,
        `<span data-squared="${i}">${num(losses.squaredErrorSlopes[i]!)}</span>`,
      ])
    );
    return `<table><thead>${
      row("th", ["", "score", "p", `slope of −log p<br>= ${perT}`, "slope of the<br>squared error"])
    }</thead><tbody>${rows.join("")}</tbody></table>`;
  }

  function said(state: State, { probabilities, crossEntropy, squaredError }: Losses): string {
    return `−log ${num(probabilities[state.target]!)} = <b data-loss="">${
      num(crossEntropy)
    }</b>; ` +
      `the squared error Σ (p − target)² is ${num(squaredError)}.`;
  }

  function describe(state: State): string {
    const { probabilities, crossEntropy } = losses(state);
    return `Scores ${state.scores.map((score) => num(score)).join(", ")} give the probabilities ` +
      `${probabilities.map((p) => num(p)).join(", ")}; the true class is ` +
      `${names[state.target]!}, and its loss −log p is ${num(crossEntropy)}.`;
  }

  /** Scores that make a point; the true class is the one that is chosen. */
  function example(name: string, { target }: State): readonly number[] {
    const wrong = target === 0 ? 1 : 0;
    return initial.scores.map((_, i) =>
      name === "right" && i === target || name === "wrong" && i === wrong ? 8 : 0
    );
  }

  function act(state: State, { kind, name, value }: Action): State {
    if (kind === "press") {
      return name === "reset" ? initial : { ...state, scores: example(name, state) };
    }
    if (kind !== "set") return state;
    if (name === "isShifted") return { ...state, isShifted: value === "true" };
    if (name === "target") return { ...state, target: Number(value) };
    if (name === "temperature") {
      return { ...state, temperature: kit.read(value, state.temperature, 0.1, 10) };
    }
    const index = Number(name.slice(6));
    const changed = state.scores.map((score, i) =>
      i === index ? kit.read(value, score, -10, 10) : score
    );
    return { ...state, scores: changed };
  }

  const sliders = names.map((name, i) =>
    kit.slider(`score ${i}`, name, { low: -10, high: 10, step: 0.1 })
  );
  return {
    css: `.target { fill: none; stroke: var(--ink); stroke-dasharray: 3 3; }
table { border-collapse: collapse; margin-top: 4px; }
td, th { padding: 2px 12px 2px 0; text-align: right; font-weight: normal; vertical-align: bottom; }
th { border-bottom: 1px solid var(--line); } td:first-child { text-align: left; }
@container (max-width: 420px) { td, th { padding-right: 7px; font-size: 13px; } }`,
    initial,
    pictures: ["bars", "curve", "arrows"],
    describe,
    layout: `<fieldset aria-label="Scores">${sliders.join("")}</fieldset>
<div class="controls" style="margin-top: 6px">
${kit.choice("target", "True class", names.map((name, i) => [String(i), name]))}
${kit.slider("temperature", "temperature T", { low: 0.1, high: 10, step: 0.1, log: true })}
${kit.checkbox("isShifted", "add 1000 to all scores")}
${kit.button("undecided", "Undecided")} ${kit.button("right", "Sure and right")}
${kit.button("wrong", "Sure and wrong")} ${kit.button("reset", "Start again")}
</div>
<div class="panels"><div data-view="bars"></div><div data-view="curve"></div>
<div data-view="arrows"></div></div>
<div class="reading" data-view="said" role="status"></div>
<div data-view="table"></div>
<p class="reading">An arrow is the pull of a loss: minus its slope in that score.</p>`,
    views: (state) => {
      const found = losses(state);
      return {
        bars: bars(state, found),
        curve: curve(state, found),
        arrows: arrows(state, found),
        said: said(state, found),
        table: table(state, found),
      };
    },
    values: (state) => ({
      ...Object.fromEntries(state.scores.map((score, i) => [`score ${i}`, String(score)])),
      target: String(state.target),
      temperature: String(state.temperature),
      isShifted: String(state.isShifted),
    }),
    act,
    losses,
  };
}
