import type { Action, Component, Kit } from "../component.ts";

/** A surface to walk down: a narrow valley, two minima of which one is deeper, or a saddle. */
export type Surface = "valley" | "two minima" | "saddle";

/** A rule by which an optimizer steps, with the library's defaults where it has other settings. */
export type StepRule = "sgd" | "momentum" | "adagrad" | "adam";

/** The options of {@linkcode interactive.valley}: what it shows at first. */
export interface ValleyOptions {
  /**
   * The surface.
   *
   * @default "valley"
   */
  surface?: Surface;
  /**
   * The rules whose paths are shown.
   *
   * @default ["sgd"]
   */
  rules?: readonly StepRule[];
  /**
   * The learning rate η, from 0.001 to 1.
   *
   * @default 0.07
   */
  learningRate?: number;
  /**
   * The momentum β, from 0 to 0.99, of the rule "momentum".
   *
   * @default 0.9
   */
  momentum?: number;
  /**
   * The curvature across the valley, from 1 to 100. Along it the curvature is 1.
   *
   * @default 25
   */
  steepness?: number;
  /**
   * The place from which the paths start: along the valley, from −9 to 9, and across, from −3.3 to
   * 3.3.
   *
   * @default [-8, 2], and [-0.02, 2] on the saddle
   */
  start?: readonly [along: number, across: number];
  /**
   * The number of steps, from 1 to 200.
   *
   * @default 60
   */
  steps?: number;
}

/** The state of the figure. */
interface State extends Required<ValleyOptions> {
  readonly rules: readonly StepRule[];
}

/** A path, with the height at each of its points. */
export interface Walk {
  readonly along: readonly number[];
  readonly across: readonly number[];
  readonly height: readonly number[];
}

/**
 * The paths of optimizers down a surface, and their height after each step.
 *
 * The text of this function is part of each figure: it refers to nothing outside of itself.
 */
export function valley(
  kit: Kit,
  options: ValleyOptions,
): Component<State> & { walk(rule: StepRule, state: Required<ValleyOptions>): Walk } {
  const { num, text } = kit;
  const ALONG = 9, ACROSS = 3.3;
  const WIDTH = 400, HEIGHT = 290, LEFT = 34, TOP = 8, BOTTOM = 34;
  const names = { sgd: "SGD", momentum: "momentum", adagrad: "Adagrad", adam: "Adam" } as const;
  const rules = Object.keys(names) as StepRule[];
  const color = (rule: StepRule) => kit.colors[rules.indexOf(rule)]!;
  // A dash for each rule, for readers who do not see colours.
  const dashes = { sgd: "", momentum: "7 3", adagrad: "2 3", adam: "9 3 2 3" } as const;

  const startOn = (surface: Surface): readonly [number, number] =>
    surface === "saddle" ? [-0.02, 2] : [-8, 2];
  const surface = options.surface ?? "valley";
  const initial: State = {
    rules: ["sgd"],
    ...{ learningRate: 0.07, momentum: 0.9, steepness: 25, steps: 60 },
    ...options,
    surface,
    start: options.start ?? startOn(surface),
  };

  /** The height along each surface where `across` is 0, and its slope. The lowest point is at 0. */
  const profiles: Readonly<
    Record<Surface, readonly [height: (a: number) => number, slope: (a: number) => number]>
  > = {
    valley: [(a) => a ** 2 / 2, (a) => a],
    // Minima at −4.67 and, 3 lower, at 5.28.
    "two minima": [
      (a) => 3.125 * ((a / 5) ** 2 - 1) ** 2 - 0.3 * a + 1.5425807541,
      (a) => 0.5 * a * ((a / 5) ** 2 - 1) - 0.3,
    ],
    saddle: [(a) => a ** 4 / 144 - a ** 2 / 2 + 9, (a) => a ** 3 / 36 - a],
  };

  function height(state: Required<ValleyOptions>, along: number, across: number): number {
    return profiles[state.surface][0](along) + state.steepness * across ** 2 / 2;
  }

  /** Walks by a rule: the equations of the library's optimizers, one for each coordinate. */
  function walk(rule: StepRule, state: Required<ValleyOptions>): Walk {
    const { learningRate, momentum, steepness, steps } = state;
    const slope = profiles[state.surface][1];
    const place = [...state.start] as [number, number];
    const first = [0, 0], second = [0, 0];
    const path = { along: [place[0]], across: [place[1]], height: [height(state, ...place)] };
    for (let step = 1; step <= steps; step++) {
      const gradient = [slope(place[0]), steepness * place[1]];
      for (const axis of [0, 1] as const) {
        const g = gradient[axis]!;
        if (rule === "sgd") place[axis] -= learningRate * g;
        else if (rule === "momentum") {
          first[axis] = momentum * first[axis]! + g;
          place[axis] -= learningRate * first[axis]!;
        } else if (rule === "adagrad") {
          second[axis] = second[axis]! + g ** 2;
          place[axis] -= learningRate * g / (Math.sqrt(second[axis]!) + 1e-10);
        } else {
          first[axis] = 0.9 * first[axis]! + 0.1 * g;
          second[axis] = 0.999 * second[axis]! + 0.001 * g ** 2;
          const mean = first[axis]! / (1 - 0.9 ** step);
          const squares = second[axis]! / (1 - 0.999 ** step);
          place[axis] -= learningRate * mean / (Math.sqrt(squares) + 1e-8);
        }
      }
      path.along.push(place[0]);
      path.across.push(place[1]);
      path.height.push(height(state, ...place));
    }
    return path;
  }

  const columns = (along: number) => LEFT + (along + ALONG) / (2 * ALONG) * (WIDTH - LEFT - 8);
  const rows = (across: number) => TOP + (ACROSS - across) / (2 * ACROSS) * (HEIGHT - TOP - BOTTOM);
  const limit = (value: number) => Math.round(10 * Math.max(-9999, Math.min(9999, value))) / 10;

  /** Where the line between `inside` and `outside` crosses a level of the profile. */
  function crossing(profile: (a: number) => number, level: number, inside: number, out: number) {
    for (let i = 0; i < 30; i++) {
      const middle = (inside + out) / 2;
      if (profile(middle) < level) inside = middle;
      else out = middle;
    }
    return inside;
  }

  /** The line of equal height: all surfaces are a profile along plus a parabola across. */
  function contour(state: State, level: number): string {
    const profile = profiles[state.surface][0], step = 0.25, end = ALONG + 3;
    const point = (a: number, side: number) => {
      const across = Math.sqrt(Math.max(0, 2 * (level - profile(a)) / state.steepness));
      return `${Math.round(columns(a))} ${Math.round(10 * rows(side * across)) / 10}`;
    };
    let path = "", from: number | undefined;
    for (let a = -end; a <= end; a += step) {
      const isInside = profile(a) < level;
      if (isInside) from ??= a > -end ? crossing(profile, level, a, a - step) : a;
      if (from === undefined || isInside && a + step <= end) continue;
      // From one end of the island to the other, denser near both, where the line is steep.
      const to = isInside ? a : crossing(profile, level, a - step, a);
      const middle = (from + to) / 2, half = (to - from) / 2;
      const places = Array.from(
        { length: 25 },
        (_, i) => middle - half * Math.cos(Math.PI * i / 24),
      );
      const line = [
        ...places.map((a) => point(a, 1)),
        ...places.reverse().map((a) => point(a, -1)),
      ];
      path += `M${line.join("L")}Z`;
      from = undefined;
    }
    return path;
  }

  function map(state: State, walks: readonly (readonly [StepRule, Walk])[]): string {
    const highest = height(state, ALONG, ACROSS);
    const levels = Array.from({ length: 12 }, (_, i) => highest * ((i + 1) / 12) ** 2.5);
    const area = `x="${LEFT}" y="${TOP}" width="${WIDTH - LEFT - 8}" ` +
      `height="${HEIGHT - TOP - BOTTOM}"`;
    const contours = levels.map((level) => `<path class="contour" d="${contour(state, level)}"/>`);
    const markers = walks.map(([rule]) =>
      `<marker id="${rule}" viewBox="-3 -3 6 6" markerWidth="6" markerHeight="6" ` +
      `markerUnits="userSpaceOnUse"><circle r="2.5" fill="${color(rule)}"/></marker>`
    );
    const paths = walks.map(([rule, { along, across }]) => {
      const points = along.map((a, i) => [limit(columns(a)), limit(rows(across[i]!))] as const)
        .filter((point) => point.every(Number.isFinite)).map((point) => point.join(" "))
        // A path that has arrived stays at one point.
        .filter((point, i, all) => point !== all[i - 1]);
      const dots = ["start", "mid", "end"].map((place) => `marker-${place}="url(#${rule})"`);
      return `<path class="curve" stroke="${color(rule)}" stroke-dasharray="${dashes[rule]}" ` +
        `${dots.join(" ")} d="M${points.join("L")}"/>`;
    });
    const [x, y] = [columns(state.start[0]), rows(state.start[1])];
    const bottom = HEIGHT - BOTTOM;
    return kit.svg(
      WIDTH,
      HEIGHT,
      describe(state),
      `<defs><clipPath id="area"><rect ${area}/></clipPath>${
        markers.join("")
      }</defs><g clip-path="url(#area)">` +
        `${contours.join("")}${paths.join("")}` +
        `<circle cx="${limit(x)}" cy="${limit(y)}" r="7" class="start"/></g>` +
        `<rect ${area} class="line"/>` +
        [-8, -4, 0, 4, 8].map((a) => text(columns(a), bottom + 14, num(a), 'class="small middle"'))
          .join("") +
        [-3, -2, -1, 0, 1, 2, 3].map((b) =>
          text(LEFT - 5, rows(b) + 4, num(b), 'class="small end"')
        )
          .join("") +
        text(WIDTH / 2, HEIGHT - 4, "a, along", 'class="middle"') +
        text(
          12,
          HEIGHT / 2 - 12,
          "b, across",
          `class="middle" transform="rotate(-90 12 ${HEIGHT / 2 - 12})"`,
        ),
    );
  }

  function heights(state: State, walks: readonly (readonly [StepRule, Walk])[]): string {
    const width = 340, left = 46;
    const [low, high] = [-4, 4];
    const column = (step: number) => left + step / state.steps * (width - left - 10);
    const row = (height: number) =>
      TOP +
      (high - Math.max(low, Math.min(high, Math.log10(height)))) / (high - low) *
        (HEIGHT - TOP - BOTTOM);
    const bottom = HEIGHT - BOTTOM;
    const decades = Array.from({ length: 9 }, (_, i) => low + i);
    const ticks = [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * state.steps));
    const curves = walks.map(([rule, { height }]) => {
      const points = height.flatMap((value, step) =>
        Number.isNaN(value) ? [] : [`${limit(column(step))} ${limit(row(value))}`]
      );
      return `<path class="curve" stroke="${color(rule)}" stroke-dasharray="${dashes[rule]}" ` +
        `d="M${points.join("L")}"/>`;
    });
    return kit.svg(
      width,
      HEIGHT,
      "The height after each step, on a logarithmic axis.",
      decades.map((decade) =>
        `<path class="grid" d="M${left} ${row(10 ** decade)}H${width - 10}"/>` +
        text(
          left - 5,
          row(10 ** decade) + 4,
          decade >= 0 ? String(10 ** decade) : (10 ** decade).toFixed(-decade),
          'class="small end"',
        )
      ).join("") +
        [...new Set(ticks)].map((tick) =>
          text(column(tick), bottom + 14, String(tick), 'class="small middle"')
        ).join("") +
        `<path class="line" d="M${left} ${TOP}V${bottom}H${width - 10}"/>${curves.join("")}` +
        text((width + left) / 2, HEIGHT - 4, "step", 'class="middle"') +
        text(left + 8, TOP + 14, "height", 'class="bold"') +
        walks.map(([rule], i) =>
          text(
            width - 14,
            TOP + 14 + 15 * i,
            names[rule],
            `class="end bold" style="fill: ${color(rule)}"`,
          )
        ).join(""),
    );
  }

  /** The result of a rule, as HTML. */
  function result(state: State, [rule, { height }]: readonly [StepRule, Walk]): string {
    const last = height.at(-1)!, below = height.findIndex((value) => value < 0.001);
    const arrival = below < 0 ? "" : `; below 0.001 after step ${below}`;
    return `<li><b style="color: ${color(rule)}">${names[rule]}</b>: height ` +
      `<span data-result="${rule}">${num(last)}</span> after ${state.steps} steps${arrival}</li>`;
  }

  /** The factors by which a step of SGD multiplies the two coordinates in the valley. */
  function factors({ surface, learningRate, steepness }: State): string {
    if (surface !== "valley") {
      return surface === "saddle"
        ? "On the saddle the slope is nearly zero, and along a it leads away on both sides."
        : "Two minima: the left one is higher by 3. Which one a path finds depends on start and rule.";
    }
    const factor = 1 - steepness * learningRate, size = Math.abs(factor);
    const fate = Math.abs(size - 1) < 1e-9
      ? "b jumps to and fro for ever"
      : size > 1
      ? "b grows without end"
      : factor < 0
      ? "b changes sides at each step and shrinks"
      : "both shrink";
    return `A step of SGD multiplies a by 1 − η = ${num(1 - learningRate)} and b by ` +
      `1 − ${num(steepness)}η = <b data-factor="">${num(factor)}</b>: ${fate}.`;
  }

  function describe(state: State): string {
    const shown = state.rules.map((rule) => {
      const { height } = walk(rule, state);
      return `${names[rule]} ends at height ${num(height.at(-1)!)}`;
    });
    return `Paths from (${state.start.map((value) => num(value)).join(", ")}) with learning rate ` +
      `${num(state.learningRate)}, ${
        state.surface === "valley"
          ? `in the valley (a² + ${num(state.steepness)}b²)/2`
          : state.surface === "saddle"
          ? "from a saddle"
          : "on a surface with two minima"
      }, after ${state.steps} steps: ${shown.join(", ") || "none is shown"}.`;
  }

  function views(state: State): Record<string, string> {
    const walks = state.rules.map((rule) => [rule, walk(rule, state)] as const);
    return {
      map: map(state, walks),
      heights: heights(state, walks),
      factors: factors(state),
      results: walks.map((one) => result(state, one)).join(""),
    };
  }

  function values(state: State): Record<string, string> {
    return {
      surface: state.surface,
      learningRate: String(state.learningRate),
      momentum: String(state.momentum),
      steepness: String(state.steepness),
      steps: String(state.steps),
      along: String(state.start[0]),
      across: String(state.start[1]),
      ...Object.fromEntries(
        rules.map((rule) => [`rule ${rule}`, String(state.rules.includes(rule))]),
      ),
    };
  }

  const ends = {
    learningRate: [0.001, 1],
    momentum: [0, 0.99],
    steepness: [1, 100],
    steps: [1, 200],
    along: [-ALONG, ALONG],
    across: [-ACROSS, ACROSS],
  } as const;

  function act(state: State, { kind, name, value, x, y, pressed }: Action): State {
    if (kind === "down" || kind === "move" && pressed) {
      const along = (x - LEFT) / (WIDTH - LEFT - 8) * 2 * ALONG - ALONG;
      const across = ACROSS - (y - TOP) / (HEIGHT - TOP - BOTTOM) * 2 * ACROSS;
      const within = (value: number, end: number) =>
        Math.round(100 * Math.max(-end, Math.min(end, value))) / 100;
      return { ...state, start: [within(along, ALONG), within(across, ACROSS)] };
    }
    if (kind !== "set") return state;
    if (name === "surface") {
      const surface = value as Surface;
      return { ...state, surface, start: startOn(surface) };
    }
    if (name.startsWith("rule ")) {
      const shown = rules.filter((rule) =>
        `rule ${rule}` === name ? value === "true" : state.rules.includes(rule)
      );
      return { ...state, rules: shown };
    }
    const [low, high] = ends[name as keyof typeof ends];
    if (name === "along" || name === "across") {
      const axis = name === "along" ? 0 : 1, start = [...state.start] as [number, number];
      start[axis] = kit.read(value, start[axis], low, high);
      return { ...state, start };
    }
    const old = state[name as "steps"], number = kit.read(value, old, low, high);
    return { ...state, [name]: name === "steps" ? Math.round(number) : number };
  }

  const checkboxes = rules.map((rule) =>
    kit.checkbox(`rule ${rule}`, `<b style="color: ${color(rule)}">${names[rule]}</b>`)
  );
  const box = (name: string, label: string, end: number) =>
    `<label>${label} <input type="number" data-name="${name}" min="${-end}" max="${end}" ` +
    `step="0.01"></label>`;
  return {
    css: `.contour { fill: none; stroke: var(--line); opacity: 0.6; }
.start { fill: none; stroke: var(--ink); stroke-width: 2; }
[data-view=map] { cursor: crosshair; } ul { margin: 2px 0 0; padding-left: 18px; }`,
    initial,
    pictures: ["map", "heights"],
    describe,
    layout: `<div class="controls">
${
      kit.choice("surface", "Surface", [
        ["valley", "valley"],
        ["two minima", "two minima"],
        ["saddle", "saddle"],
      ])
    }
<fieldset aria-label="Rules">${checkboxes.join("")}</fieldset>
${kit.slider("learningRate", "rate η", { low: 0.001, high: 1, step: 0.001, log: true })}
${kit.slider("momentum", "momentum β", { low: 0, high: 0.99, step: 0.01 })}
${kit.slider("steepness", "steepness", { low: 1, high: 100, step: 1 })}
${kit.slider("steps", "steps", { low: 1, high: 200, step: 1 })}
${box("along", "start a", ALONG)} ${box("across", "start b", ACROSS)}
</div>
<div class="panels"><div data-view="map" data-pad="map"></div><div data-view="heights"></div></div>
<div class="reading" data-view="factors" role="status"></div>
<ul data-view="results"></ul>
<p class="reading">Click or drag in the map to move the start.</p>`,
    views,
    values,
    act,
    walk,
  };
}
